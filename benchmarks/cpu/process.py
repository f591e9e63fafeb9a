"""Whole processes: the most memory a race takes, and how long an answer takes from a cold start."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COLD = 3
RACE = """
import json, sys
from playground.cli import main
code = main(sys.argv[1:])
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
print(json.dumps({name: int(status[name].split()[0]) // 1024 for name in ("VmHWM", "VmRSS")}), file=sys.stderr)
sys.exit(code)
"""


def process(dtype: str) -> dict[str, Any]:
    prompt = "Explain in three sentences why the sky is blue."
    raced = subprocess.run(
        [sys.executable, "-c", RACE, "race", prompt, "--engine", "native", "--dtype", dtype, "--json"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    memory = json.loads(raced.stderr.strip().splitlines()[-1])
    seconds = []
    for _ in range(COLD):
        start = time.perf_counter()
        command = ["generate", prompt, "--engine", "native", "--dtype", dtype, "--max-new-tokens", "32", "--json"]
        subprocess.run([sys.executable, "-m", "playground", *command], cwd=ROOT, capture_output=True, check=True)
        seconds.append(round(time.perf_counter() - start, 2))
    return {
        "race_peak_resident_mib": memory["VmHWM"],
        "cold_generate_seconds": statistics.median(seconds),
        "cold_generate_rounds": seconds,
    }
