"""The hub's real client against a small hub on this machine: downloads, refusals, and the cache alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources.local_hub import FIRST, SECOND, LocalHub, Repository, files_of

ROOT = Path(__file__).resolve().parents[2]

FETCH = """
import json, sys
from playground.config import PlaygroundError
from playground.sources.catalogue import resolve_base
answers = []
for name in sys.argv[1:]:
    told = []
    try:
        found = resolve_base(name, lambda done, message: told.append((done, message)))
        files = sorted(str(path.relative_to(found.path)) for path in found.path.rglob("*") if path.is_file())
        answers.append({"name": found.name, "path": str(found.path), "files": files, "told": told})
    except PlaygroundError as error:
        answers.append({"error": str(error), "told": told})
print(json.dumps(answers))
"""


@pytest.fixture
def small_hub(model_folder: Path) -> Iterator[LocalHub]:
    """A hub with one good repository, owner/model."""
    hub = LocalHub()
    hub.repositories["owner/model"] = Repository(files_of(model_folder))
    yield hub
    hub.close()


def fetch(endpoint: str, home: Path, *names: str, **more: str) -> list[dict[str, object]]:
    """What `resolve_base` gives for each name, in a process whose hub is at `endpoint` and whose cache is `home`."""
    environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    environment.pop("HF_HUB_OFFLINE", None)
    environment |= {"PYTHONPATH": str(ROOT), "HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run(
        [sys.executable, "-c", FETCH, *names],
        env=environment | more,
        cwd=home.parent,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_a_download_then_the_cache_alone(small_hub: LocalHub, tmp_path: Path) -> None:
    repository = small_hub.repositories["owner/model"]
    repository.files |= {"pytorch_model.bin": b"never wanted", "onnx/config.json": b"{}", "README.md": b"# Model"}
    (first,) = fetch(small_hub.address, tmp_path / "home", "owner/model")
    assert first.get("name") == "owner/model", first
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= set(first["files"])
    assert not {"pytorch_model.bin", "onnx/config.json"} & {*first["files"], *small_hub.downloads()}
    shares = [share for share, _ in first["told"]]
    assert shares == sorted(shares) and shares[-1] == 1.0 and len(set(shares)) > 4
    assert all("owner/model" in message for _, message in first["told"])
    assert any("MB" in message for _, message in first["told"])

    asked = len(small_hub.asked)
    (again,) = fetch(small_hub.address, tmp_path / "home", "owner/model")
    assert again["files"] == first["files"] and len(small_hub.asked) == asked  # what is there is not asked for
    (offline,) = fetch("http://127.0.0.1:9", tmp_path / "home", "owner/model")  # the discard port: nobody answers
    assert offline["files"] == first["files"]


def test_all_files_are_of_one_commit(small_hub: LocalHub, tmp_path: Path) -> None:
    """The owner pushes between two of our requests."""
    small_hub.repositories["owner/model"].commits = [FIRST, SECOND]
    (found,) = fetch(small_hub.address, tmp_path / "home", "owner/model")
    assert str(found["path"]).endswith(FIRST)
    files = [path for path in small_hub.asked if "/resolve/" in path]
    assert files and all(f"/resolve/{FIRST}/" in path for path in files)
    assert small_hub.downloads()[0] == "config.json"


def test_refusals_are_said_before_weights_are_fetched(small_hub: LocalHub, model_folder: Path, tmp_path: Path) -> None:
    good = small_hub.repositories["owner/model"].files
    config = json.loads(good["config.json"])
    quantised = json.dumps(config | {"quantization_config": {"quant_method": "awq"}}).encode()
    pickled = {("pytorch_model.bin" if name.endswith(".safetensors") else name): data for name, data in good.items()}
    small_hub.repositories |= {
        "owner/quantised": Repository(good | {"config.json": quantised}),
        "owner/pickled": Repository(pickled),
        "owner/gated": Repository(good, gated=True),
    }
    names = ("owner/quantised", "owner/pickled", "owner/gated", "owner/nobody", "not an id")
    errors = [str(answer["error"]) for answer in fetch(small_hub.address, tmp_path / "home", *names)]
    assert "owner/quantised is quantised (awq)" in errors[0]
    assert "owner/pickled has no safetensors weights" in errors[1]
    assert "owner/gated is gated" in errors[2] and "hf auth login" in errors[2]
    assert "'owner/nobody' is neither a folder on this machine nor a repository" in errors[3]
    assert "'not an id' is neither a folder on this machine nor a hub id" in errors[4]
    assert set(small_hub.downloads()) == {"config.json"}


def test_what_was_begun_is_finished(small_hub: LocalHub, tmp_path: Path) -> None:
    """A repository whose config was fetched, but not its weights, is no model yet."""
    repository = small_hub.repositories["owner/model"]
    weights = repository.files.pop("model.safetensors")
    (refused,) = fetch(small_hub.address, tmp_path / "home", "owner/model")
    assert "no safetensors" in str(refused["error"])
    repository.files["model.safetensors"], repository.commits = weights, [SECOND]
    (found,) = fetch(small_hub.address, tmp_path / "home", "owner/model")
    assert "model.safetensors" in found["files"]  # type: ignore[operator]


def test_no_network_and_nothing_in_the_cache(tmp_path: Path) -> None:
    (refused,) = fetch("http://127.0.0.1:9", tmp_path / "home", "owner/model")
    assert "owner/model could not be downloaded" in str(refused["error"]) and "connection" in str(refused["error"])
    (refused,) = fetch("http://127.0.0.1:9", tmp_path / "home", "owner/model", HF_HUB_OFFLINE="1")
    assert "owner/model could not be downloaded" in str(refused["error"]) and "connection" in str(refused["error"])
