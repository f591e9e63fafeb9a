"""Our top-level `kernels` shadows the hub's package of that name; transformers must not mind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

LOAD = """
import importlib.metadata, json, sys
import kernels, torch
from kernels import kernel_set
assert kernels.__file__.startswith(sys.argv[1]), kernels.__file__
assert not hasattr(kernels, "__version__")
assert importlib.metadata.version("kernels") == "9.9.9"
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM
from playground.base_model.adapter import BaseModel
base = BaseModel.load(sys.argv[2], device=torch.device("cpu"), dtype=torch.float32,
                      kernels=kernel_set("reference", torch.device("cpu")))
tokens = torch.tensor([5, 9, 11])
logits = base.prefill(tokens, base.new_cache(8)).logits
stock = AutoModelForCausalLM.from_pretrained(sys.argv[2])
with torch.no_grad():
    torch.testing.assert_close(logits[0], stock(tokens[None]).logits[0, -1], atol=1e-4, rtol=1e-4)
print("loaded")
"""


def test_transformers_loads_a_model_with_the_hubs_kernels_installed(tmp_path: Path, model_folder: Path) -> None:
    site = tmp_path / "site"
    fake, dist = site / "kernels", site / "kernels-9.9.9.dist-info"
    fake.mkdir(parents=True)
    dist.mkdir()
    (fake / "__init__.py").write_text(
        '__version__ = "9.9.9"\nraise AssertionError("the hub\'s package was imported")\n'
    )
    (dist / "METADATA").write_text("Metadata-Version: 2.1\nName: kernels\nVersion: 9.9.9\n")
    (dist / "RECORD").write_text("kernels/__init__.py,,\n")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{site}", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(ROOT), str(model_folder)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip().endswith("loaded")
