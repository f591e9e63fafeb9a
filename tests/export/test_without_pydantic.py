"""Machines that only compute have no screen packages: runs are recorded there, and reading says what it lacks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RECORD = """
import sys
for missing in ("pydantic", "pydantic_core", "gradio", "plotly"):
    sys.modules[missing] = None
import benchmarks.gpu.__main__, playground.bench.evaluate, playground.cli.training, playground.distill.pipeline
import playground.session
from playground.config import PlaygroundError
from playground.export import encode, read_trace
from tests.views.synthetic import make_trace
for record in make_trace(new_tokens=12).records():
    print(encode(record))
try:
    read_trace(sys.argv[1])
except PlaygroundError as error:
    print(error, file=sys.stderr)
"""


def test_recording_needs_no_pydantic_and_reading_says_so(tmp_path: Path) -> None:
    from playground.export import read_trace
    from tests.views.synthetic import make_trace

    example = min((ROOT / "assets" / "traces").glob("*.jsonl"))
    command = [sys.executable, "-c", RECORD, str(example)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "Reading a trace needs pydantic, which is not installed here" in done.stderr
    (tmp_path / "run.jsonl").write_text(done.stdout, encoding="utf-8")
    assert read_trace(tmp_path / "run.jsonl") == make_trace(new_tokens=12)
