"""The report on every family for a minute: from real runs of the tests it starts, and of ones that cannot pass."""

from __future__ import annotations

import re

from benchmarks.cpu.machine import processor
from benchmarks.families import TESTS, all_cases, report, run
from benchmarks.trust.records import Outcome
from tests.distill.test_families import cases

CASE = f"{TESTS}::test_trained_for_and_raced[gpt2-eager-float32]"


def test_all_cases_are_found() -> None:
    found = all_cases()
    assert CASE in found and len(found) == len(set(found)) == len(list(cases()))


def test_a_case_is_run_for_as_long_as_asked() -> None:
    (outcome,) = run([CASE], 0.05, 2)
    (took,) = outcome.figures
    assert outcome.passed == 1 and not outcome.failed and took.test.endswith("[gpt2-eager-float32]")
    assert re.fullmatch(r"0\.\d\d minutes, [\d,]+ steps on [\d,]+ tokens", took.value)
    assert f"| gpt2-eager-float32 | {took.value} |" in report([outcome], "command", "today")


def test_a_failure_is_named() -> None:
    (outcome,) = run([CASE], 700_000, 1)  # more hours than `train` takes
    (failure,) = outcome.failed
    assert not outcome.passed and not outcome.figures and failure.why.startswith("AssertionError")
    said = report([outcome, Outcome(1, (), {}, ())], "command", "today")
    assert "1 of 2 passed." in said and f"| gpt2-eager-float32 | **failed**: {failure.why} |" in said
    assert all(flag in said for flag in processor()["flags"])
