"""The report on every family for a minute: from real runs of the tests it starts, and of ones that cannot pass."""

from __future__ import annotations

import re

from benchmarks.families import TESTS, Case, all_cases, report, run
from tests.distill.test_families import cases

CASE = f"{TESTS}::test_trained_for_and_raced[gpt2-eager-float32]"


def test_all_cases_are_found() -> None:
    found = all_cases()
    assert CASE in found and len(found) == len(set(found)) == len(list(cases()))


def test_a_case_is_run_for_as_long_as_asked() -> None:
    (case,) = run([CASE], 0.05, 2)
    assert case.name == "gpt2-eager-float32" and case.passed
    assert re.fullmatch(r"0\.\d\d minutes, [\d,]+ steps on [\d,]+ tokens", case.took)


def test_a_failure_is_named() -> None:
    (case,) = run([CASE], 700_000, 1)  # more hours than `train` takes
    assert not case.passed and "0.0" not in case.took
    said = report([case, Case("opt-eager-float32", "1.00 minutes, 9 steps on 64 tokens", True)], "command", "today")
    assert "1 of 2 passed." in said and f"| gpt2-eager-float32 | {case.took} |" in said
