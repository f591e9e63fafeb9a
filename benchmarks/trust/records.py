"""What a part left: its command, where and when it ran, and its result. Kept in one JSON file beside the report."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from playground.files import write_text

ROOT = Path(__file__).resolve().parents[2]
RECORDS = ROOT / "benchmarks" / "results" / "trust.json"
SOURCES = ("app.py", "kernels", "playground", "assets", "tests", "requirements.txt", "benchmarks/cpu")


@dataclass(frozen=True)
class Figure:
    """A number that a test found, or how often it tried."""

    test: str
    name: str
    value: str


@dataclass(frozen=True)
class Failure:
    """A test that did not pass, and its first words about it."""

    test: str
    why: str


@dataclass(frozen=True)
class Outcome:
    """Of one part: how many tests (or runs) passed, which did not, how many were skipped and why."""

    passed: int
    failed: tuple[Failure, ...]
    skipped: dict[str, int]
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Record:
    """One part as it was run last."""

    part: str
    command: str
    commit: str  # with "+" where files were changed since
    sources: str  # of all that the result hangs on
    date: str  # UTC, when it began
    seconds: float
    load: float  # before it began
    processor: str
    flags: tuple[str, ...]
    cores: int
    versions: dict[str, str]
    scale: int
    outcome: Outcome

    @property
    def ok(self) -> bool:
        """It ran, and nothing failed."""
        return bool(self.outcome.passed) and not self.outcome.failed


def read(file: Path = RECORDS) -> dict[str, Record]:
    """By part's name; none where there is no file."""
    if not file.exists():
        return {}
    found = json.loads(file.read_text(encoding="utf-8"))
    return {name: _record(values) for name, values in found.items()}


def keep(record: Record, file: Path = RECORDS) -> None:
    """In its part's place; the other parts' stay."""
    every = {**read(file), record.part: record}
    told = {name: asdict(every[name]) for name in sorted(every)}
    write_text(file, json.dumps(told, indent=1) + "\n")


def sources() -> str:
    """Hash of the files that results hang on, as they stand now, committed or not."""
    digest = hashlib.sha256()
    listed = _git("ls-files", "-z", "--cached", "--others", "--exclude-standard", *SOURCES)
    for name in sorted(set(listed.split("\0")) - {""}):
        if (file := ROOT / name).is_file():
            digest.update(name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def commit() -> str:
    """The commit that stands here, and "+" where the sources differ from it."""
    changed = _git("status", "--porcelain", "--", *SOURCES).strip()
    return _git("rev-parse", "--short=10", "HEAD").strip() + ("+" if changed else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def _record(values: Mapping[str, object]) -> Record:
    outcome = dict(values["outcome"])  # type: ignore[call-overload]
    outcome["failed"] = tuple(Failure(**one) for one in outcome["failed"])
    outcome["figures"] = tuple(Figure(**one) for one in outcome["figures"])
    plain = {**values, "outcome": Outcome(**outcome), "flags": tuple(values["flags"])}  # type: ignore[arg-type]
    return Record(**plain)  # type: ignore[arg-type]
