"""`make trust`: every long test is in a part, what passed is not run again, and the report is what the records say."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.trust import __main__ as trust
from benchmarks.trust import records, run
from benchmarks.trust.parts import MT_BENCH, PARTS, SECOND_BASE, Part
from benchmarks.trust.records import ROOT, Failure, Figure, Outcome, Record, keep, read
from benchmarks.trust.report import report

TESTS = """
import pytest

def test_that_passes(record_property):
    record_property("cases | tried", 12)

@pytest.mark.trust
def test_of_the_long_form():
    pass

def test_that_fails():
    assert 1 == 2, "one is not two"

@pytest.mark.skip(reason="no such device")
def test_that_is_skipped():
    pass
"""


def made(part: str = "noise", **values: object) -> Record:
    plain = Record(
        part, "python -m pytest", "0123456789", "sources", "2026-01-02 03:04", 90.0, 1.5, "A processor", ("avx2",), 2,
        {"python": "3.11"}, 6, Outcome(3, (), {}, ()),
    )  # fmt: skip
    return replace(plain, **values)  # type: ignore[arg-type]


def test_every_long_test_belongs_to_a_part() -> None:
    places = [ROOT / place for part in PARTS for place in part.tests]
    assert all(place.exists() for place in places)
    marked = {file for file in (ROOT / "tests").rglob("test_*.py") if "mark.trust" in file.read_text(encoding="utf-8")}
    marked -= {Path(__file__).resolve()}
    assert len(marked) > 5
    for file in [*marked, *(ROOT / "tests" / "trust").glob("test_*.py")]:
        assert any(place == file or place in file.parents for place in places), file


def test_a_parts_outcome_is_what_pytest_reported(tmp_path: Path) -> None:
    file = tmp_path / "test_made_up.py"
    file.write_text(TESTS)
    out = tmp_path / "report.xml"
    options = [
        "-m",
        run.MARKER,
        "-p",
        "no:cacheprovider",
        f"--junitxml={out}",
        f"--rootdir={tmp_path}",
        "-q",
        *run.PROPERTIES,
    ]
    ini = tmp_path / "pytest.ini"
    ini.write_text("[pytest]\nmarkers =\n    trust: long\n")
    subprocess.run([sys.executable, "-m", "pytest", "-c", str(ini), *options, str(file)], capture_output=True)
    found = run.outcome_of(out.read_text())
    assert found.passed == 2 and found.skipped == {"no such device": 1}
    (failure,) = found.failed
    assert failure.test.endswith("::test_that_fails") and "one is not two" in failure.why
    (figure,) = found.figures
    assert (figure.name, figure.value) == ("cases | tried", "12")


def test_records_are_read_as_they_were_kept(tmp_path: Path) -> None:
    file = tmp_path / "trust.json"
    first = made(outcome=Outcome(1, (Failure("a", "b"),), {"why": 2}, (Figure("t", "n", "v"),)))
    keep(first, file)
    keep(made("stop"), file)
    keep(made("stop", seconds=3.0), file)
    assert read(file) == {"noise": first, "stop": made("stop", seconds=3.0)}


def test_the_report_says_what_failed_what_was_skipped_and_what_was_not_run() -> None:
    failed = made(outcome=Outcome(3, (Failure("t::x", "one is not two"),), {"no such device": 4}, ()))
    figures = made("stop", outcome=Outcome(2, (), {}, (Figure("t::y", "cases | tried", "12"),)))
    told = report({"noise": failed, "stop": figures})
    assert f"2 of {len(PARTS)} parts were run: 5 passed, 1 failed, 4 skipped." in told
    assert "| noise | 3 | 1 | 4 | 2026-01-02 03:04 | 1.5 | 0123456789 | **failed** |" in told
    assert "- **Failed**: `t::x`: one is not two" in told and "- Skipped, 4: no such device" in told
    assert "| t::y | cases \\| tried | 12 |" in told
    assert "| soak | | | | | | | **not run** |" in told and f"**not run**: {SECOND_BASE} names no folder" in told
    assert "python -m pytest" in told and "A processor (avx2), 2 cores" in told and "vLLM" in told
    assert "Not all parts" not in told
    assert "Not all parts" in report({"noise": failed, "stop": replace(figures, sources="others")})


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Records and report beside no others; every part takes no time and passes."""
    file = tmp_path / "trust.json"
    monkeypatch.setattr(trust, "read", lambda: read(file))
    monkeypatch.setattr(trust, "keep", lambda record: keep(record, file))
    monkeypatch.setattr(trust, "REPORT", tmp_path / "trust.md")
    monkeypatch.setattr(trust, "run", lambda part, scale: made(part.name, sources=records.sources(), scale=scale))
    for name in (SECOND_BASE, MT_BENCH):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TRUST_SCALE", "6")
    return file


def test_what_passed_with_these_sources_is_not_run_again(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trust.main(["--parts", "noise,stop,second-base"]) == 0
    said = capsys.readouterr().err
    assert f"second-base: skipped: {SECOND_BASE}" in said and "noise: the noise" in said
    assert set(read(results)) == {"noise", "stop"} and (results.parent / "trust.md").exists()
    broken = Outcome(0, (Failure("t", "w"),), {}, ())

    def fails(part: Part, scale: int) -> Record:
        return made(part.name, outcome=broken)

    monkeypatch.setattr(trust, "run", fails)
    assert trust.main(["--parts", "noise,stop"]) == 0
    assert "noise: passed with these sources on 2026-01-02 03:04" in capsys.readouterr().err
    assert trust.main(["--parts", "noise", "--again"]) == 1
    assert "Not passed: noise." in capsys.readouterr().err
    monkeypatch.setenv("TRUST_SCALE", "7")
    assert trust.main(["--parts", "stop"]) == 1, "on more cases than before it is run again"


def test_an_unknown_part_is_a_sentence(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        trust.main(["--parts", "noise,nose"])
    assert "no part is called nose; there are promises, noise" in capsys.readouterr().err


def test_sources_change_with_a_file() -> None:
    """The hash is of what stands in the folder, committed or not."""
    before, file = records.sources(), ROOT / "tests" / "a_file_of_this_test.txt"
    try:
        file.write_text("x")
        assert records.sources() != before
    finally:
        file.unlink()
    assert records.sources() == before


def test_the_committed_report_is_that_of_the_records() -> None:
    assert (ROOT / "benchmarks" / "results" / "trust.md").read_text(encoding="utf-8") == report(read())
