"""A tiny random model of every tested family, as a user has one: trained for, loaded with its drafter, raced.

In every dtype that its engines offer behind `make trust`, a few of them always. Four steps each, or as long as
REDRAFTER_TRAIN_MINUTES says.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kernels.native.from_transformers import FAMILIES as NATIVE
from playground.cli import main
from playground.distill.training.loop import read_log
from tests.families import FAMILIES, build
from tests.tiny import VOCABULARY, tokenizer
from tests.trust.conftest import Note

EAGER_DTYPES, NATIVE_DTYPES = ("float32", "bfloat16", "float16"), ("float32", "bfloat16", "int8")
ALWAYS = {
    ("gemma3-mixed", "native", "int8"),
    ("gpt2", "eager", "float16"),
    ("gpt-oss-sinks", "eager", "bfloat16"),
    ("smollm3-mixed", "native", "bfloat16"),
}
MINUTES = float(os.environ.get("REDRAFTER_TRAIN_MINUTES", "0"))
SHORT = ["--rows", "8", "--row-tokens", "64", "--steps", "4", "--batch", "16", "--trial-tokens", "8"]
TRAIN = ["--hours", str(MINUTES / 60)] if MINUTES else SHORT


def cases() -> Iterator[Any]:
    for family in FAMILIES:
        native = build(family).config.model_type in NATIVE
        for engine, dtypes in (("eager", EAGER_DTYPES), ("native", NATIVE_DTYPES if native else ())):
            for dtype in dtypes:
                case = (family, engine, dtype)
                yield pytest.param(*case, id="-".join(case), marks=() if case in ALWAYS else pytest.mark.trust)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Of the models saved so far."""
    return {"": tmp_path_factory.mktemp("families")}


def folder_of(family: str, folders: dict[str, Path]) -> Path:
    if family not in folders:
        folders[family] = folders[""] / family
        sizes = {"n_embd": 64, "n_inner": 96} if family == "gpt2" else {"hidden_size": 64, "intermediate_size": 96}
        if family.startswith("gemma"):
            sizes |= {"head_dim": 16, "query_pre_attn_scalar": 16}  # the least that the native engine has
        ends = {"bos_token_id": 256, "pad_token_id": 257, "eos_token_id": 258}
        if family == "opt":
            sizes |= {"word_embed_proj_dim": 64, "ffn_dim": 96}
        build(family, vocab_size=VOCABULARY, **sizes, **ends).save_pretrained(folders[family])
        tokenizer(chat=False).save_pretrained(folders[family])
    return folders[family]


def result(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    code, told = main([*arguments, "--json"]), capsys.readouterr()
    assert code == 0, told.err[-2000:]
    return dict(json.loads(told.out))


@pytest.mark.parametrize(("family", "engine", "dtype"), list(cases()))
def test_trained_for_and_raced(
    family: str, engine: str, dtype: str, own_cache: Path, folders: dict[str, Path], tmp_path: Path,
    capsys: pytest.CaptureFixture[str], record_property: Note,
) -> None:  # fmt: skip
    base, drafter = str(folder_of(family, folders)), str(tmp_path / "drafter")
    runs_in = ["--device", "cpu", "--engine", engine, "--dtype", dtype]
    began = time.monotonic()
    made = result(capsys, "train", "--base", base, "--out", drafter, *runs_in, *TRAIN)
    losses = [entry["loss"] for entry in read_log(tmp_path / "drafter" / "work" / "training")]
    assert losses[0] > 0 and losses[-1] <= losses[0], losses  # to nothing where the model repeats one token
    if MINUTES:
        took = f"{(time.monotonic() - began) / 60:.2f} minutes"
        record_property("took", f"{took}, {made['steps']:,} steps on {made['corpus_tokens']:,} tokens")
        assert made["steps"] >= 4
    else:
        assert (made["steps"], made["corpus_tokens"]) == (4, 512)

    raced = result(
        capsys, "race", "Hello there", "--base", base, "--drafter", drafter, *runs_in, "--max-new-tokens", "24"
    )
    assert (raced["engine"], raced["dtype"]) == (engine, dtype) and raced["new_tokens"] > 0
    if dtype == "float32" or engine == "native":
        assert raced["identical"]
