"""Write docs/licences.md: every package of requirements.lock with its version and licence.

`python -m scripts.licences [WHEEL ...]`. Licences are what the installed packages say of themselves, and the wheels
named (`pip download --no-deps`), which need not fit this platform. A package that is neither keeps what was written
for its name before, and is marked where nothing was.
Knows the lock and the packages' metadata, and judges no licence.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageMetadata, PackageNotFoundError, PathDistribution, metadata
from pathlib import Path
from zipfile import Path as ZipPath
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parents[1]
LOCK, PAGE = ROOT / "requirements.lock", ROOT / "docs" / "licences.md"
NOT_HERE = "not read: not installed where this page was written"
_LOCKED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)(?: ; (.*?))? \\$", re.MULTILINE)
_ROW = re.compile(r"^\| ([\w.-]+) \| (\S+) \| (.*?) \| (.*?) \|$", re.MULTILINE)
_HEAD = """# Licences

Every package that `requirements.lock` names, by name, version and licence, as the package's own metadata gives it.
Written by `python -m scripts.licences`; a test compares names and versions with the lock. A package with a condition
is installed only where it holds. The licence of the playground itself is in [LICENSE](../LICENSE).

| package | version | licence | only where |
|---|---|---|---|
"""


@dataclass(frozen=True)
class Locked:
    """A package of the lock; `where` is the condition under which it is installed, empty for always."""

    name: str
    version: str
    where: str


def locked(text: str) -> Iterator[Locked]:
    """The packages of a lock, in its order."""
    for name, version, where in _LOCKED.findall(text):
        yield Locked(name, version, where)


def licence_of(name: str) -> str | None:
    """What an installed package says its licence is, in one line; None where it is not installed."""
    try:
        told = metadata(name)
    except PackageNotFoundError:
        return None
    return _stated(told)


def licence_in(wheel: Path) -> tuple[str, str]:
    """The name of a wheel's package, and what it says its licence is."""
    with ZipFile(wheel) as archive:
        (place,) = {name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)}
        told = PathDistribution(ZipPath(archive, place.removesuffix("METADATA"))).metadata
    return re.sub(r"[-_.]+", "-", told["Name"]).lower(), _stated(told)


def page(lock: str, before: str, wheels: Iterable[Path] = ()) -> str:
    """docs/licences.md for the text of a lock; `before` is the page as it stands."""
    known = {name: licence for name, _, licence, _ in _ROW.findall(before)} | dict(map(licence_in, wheels))
    rows = []
    for package in locked(lock):
        licence = licence_of(package.name) or known.get(package.name, NOT_HERE)
        where = f"`{package.where}`" if package.where else ""
        rows.append(f"| {package.name} | {package.version} | {licence} | {where} |\n")
    return _HEAD + "".join(rows)


def _stated(told: PackageMetadata) -> str:
    return _expression(told) or _classifiers(told) or _free_text(told) or "not stated"


def _expression(told: PackageMetadata) -> str:
    return _line(told.get("License-Expression"))


def _classifiers(told: PackageMetadata) -> str:
    found = [line for line in told.get_all("Classifier") or [] if line.startswith("License ::")]
    return ", ".join(_line(line.rsplit(" :: ", 1)[-1]) for line in found)


def _free_text(told: PackageMetadata) -> str:
    """The old free field; some packages put the whole licence there, of which the first line is its name."""
    return _line((told.get("License") or "").strip().split("\n", 1)[0])


def _line(text: str | None) -> str:
    return " ".join((text or "").replace("|", "/").split())


def main() -> None:
    """Write the page."""
    before = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    wheels = map(Path, sys.argv[1:])
    PAGE.write_text(page(LOCK.read_text(encoding="utf-8"), before, wheels), encoding="utf-8")


if __name__ == "__main__":
    main()
