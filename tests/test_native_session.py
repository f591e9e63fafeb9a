"""Sessions on the native engine: how it is chosen, what is kept in the cache folder, and the sentences where it cannot.

The pair is tiny, but of sizes that the kernels take.
"""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import playground.base_model.native_loading as loading
from kernels.native import NativeError, NativeLibrary, build
from playground.config import BeamShape, EngineOptions, Message, PlaygroundError, RunRequest, Sampling
from playground.drafter.file import save_drafter
from playground.session import Session
from playground.trace import Footer, Header, ParityRecord, Record
from tests.tiny import tiny_drafter, write_base

HIDDEN = 64


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("native-pair")
    save_drafter(tiny_drafter(hidden=HIDDEN), folder / "drafter")
    return str(write_base(folder / "base", hidden=HIDDEN, inner=96)), str(folder / "drafter")


@pytest.fixture
def cache(tmp_path: Path, built: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder in which only the library is there."""
    (tmp_path / "native").mkdir()
    for file in built.iterdir():
        (tmp_path / "native" / file.name).symlink_to(file)
    monkeypatch.setenv("REDRAFTER_CACHE", str(tmp_path))
    loading._opened.cache_clear()
    return tmp_path


def records(session: Session, **settings: Any) -> list[Record]:
    asked = RunRequest((Message("user", "Hello there"),), shape=BeamShape(4, 3), max_new_tokens=40, **settings)
    return list(session.run(asked, threading.Event()))


@pytest.mark.parametrize("dtype", ["auto", "int8", "bfloat16", "float32"])
def test_auto_is_native_and_both_lanes_are_one(cache: Path, pair: tuple[str, str], dtype: Any) -> None:
    session = Session.open(*pair, EngineOptions(dtype=dtype))
    info = session.info
    assert info.engine == "native" and info.kernels.startswith("native ") and info.device.startswith("cpu (")
    assert info.dtype in ("int8", "float32") if dtype == "auto" else info.dtype == dtype
    for sampling in (Sampling(), Sampling(temperature=1.0, top_p=0.9, seed=3)):
        found = records(session, sampling=sampling)
        assert isinstance(found[0], Header) and found[0].exact and found[0].engine == "native"
        assert isinstance(found[-2], ParityRecord) and found[-2].identical is True
        assert isinstance(found[-1], Footer) and found[-1].finish_reason in ("length", "eos")


def test_a_later_start_maps_the_packed_model(
    cache: Path, pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Session.open(*pair, EngineOptions())
    monkeypatch.setattr(loading, "load_transformers_model", lambda *_, **__: pytest.fail("the stock model was loaded"))
    second = Session.open(*pair, EngineOptions())
    same_shape = replace(second.info, shape=first.info.shape)  # a busy machine is measured again
    assert same_shape == first.info
    assert text_of(records(second)) == text_of(records(first))


def text_of(found: list[Record]) -> str:
    assert isinstance(found[-1], Footer)
    return found[-1].text


@pytest.mark.parametrize("name", ["weights.bin", "facts.json"])
def test_a_damaged_packed_model_is_packed_anew(cache: Path, pair: tuple[str, str], name: str) -> None:
    first = text_of(records(Session.open(*pair, EngineOptions(dtype="int8"))))
    (file,) = cache.glob(f"native/*-int8/{name}")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert text_of(records(Session.open(*pair, EngineOptions(dtype="int8")))) == first
    assert (next(cache.glob(f"native/*-int8/{name}"))).read_bytes() == whole


def test_other_weights_are_another_packed_model(cache: Path, tmp_path: Path) -> None:
    folder = write_base(tmp_path / "base", hidden=HIDDEN, inner=96)
    Session.open(str(folder), None, EngineOptions(dtype="float32"))
    write_base(tmp_path / "base", hidden=HIDDEN, inner=96, seed=5)
    Session.open(str(folder), None, EngineOptions(dtype="float32"))
    assert len(list(cache.glob("native/*-float32"))) == 2


def test_the_likelihood_is_told(cache: Path, pair: tuple[str, str]) -> None:
    (note,) = Session.open(*pair, EngineOptions(dtype="int8")).info.notes
    assert note.startswith("Weights are int8: log-likelihood of a bundled text ") and note.endswith("against float32.")
    formats = [file for file in cache.glob("native/*.json") if not file.name.startswith("costs-")]
    (measured,) = (json.loads(file.read_text()) for file in formats)
    change = 1 - measured["int8"]["likelihood"]["nats"] / measured["int8"]["likelihood"]["exact"]
    assert f"{100 * change:+.2f}%" in note and abs(change) < 0.02
    assert Session.open(*pair, EngineOptions(dtype="float32")).info.notes == ()


def test_auto_takes_the_fastest_format_of_good_likelihood() -> None:
    def measured(tree_ms: float, nats: float) -> loading.Measured:
        return loading.Measured(1.0, tree_ms, loading.Likelihood(nats, 2.0))

    exact = measured(9.0, 2.0)
    assert loading.choose({"float32": exact, "int8": measured(3.0, 2.009)}) == "int8"
    assert loading.choose({"float32": exact, "int8": measured(3.0, 2.011)}) == "float32"
    assert loading.choose({"float32": exact, "int8": measured(9.5, 2.0)}) == "float32"


def test_a_model_that_does_not_fit_runs_eagerly_and_says_so(cache: Path, tiny_base: Path, tiny_drafter: Path) -> None:
    info = Session.open(str(tiny_base), str(tiny_drafter), EngineOptions(dtype="float32")).info
    assert info.engine == "eager"
    (note,) = info.notes
    assert "inner size of the MLP is 48" in note and note.startswith("Decoding runs on the eager engine")
    with pytest.raises(PlaygroundError, match="inner size of the MLP is 48"):
        Session.open(str(tiny_base), str(tiny_drafter), EngineOptions(engine="native"))


def test_no_compiler_is_said(cache: Path, pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> build.Compiler:
        raise NativeError("no-compiler", "No C compiler was found.")

    monkeypatch.setattr(build, "find_compiler", none)
    info = Session.open(*pair, EngineOptions(dtype="float32")).info
    assert info.engine == "eager" and "pip install ziglang==" in info.notes[0]
    with pytest.raises(PlaygroundError, match="REDRAFTER_INSTALL_COMPILER=1"):
        Session.open(*pair, EngineOptions(engine="native"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (EngineOptions(engine="native", dtype="float16"), "Leave the others out"),
        (EngineOptions(engine="native", kernels="reference"), "Leave the others out"),
        (EngineOptions(engine="eager", dtype="int8"), "native engine alone"),
        (EngineOptions(threads=1024, engine="native"), "1024 threads were asked for"),
    ],
)
def test_what_cannot_be_is_refused(cache: Path, pair: tuple[str, str], options: EngineOptions, words: str) -> None:
    with pytest.raises(PlaygroundError, match=words):
        Session.open(*pair, options)


def test_another_engine_can_be_had(cache: Path, pair: tuple[str, str]) -> None:
    for options in (
        EngineOptions(engine="eager", dtype="float32"),
        EngineOptions(kernels="reference", dtype="float32"),
    ):
        assert Session.open(*pair, options).info.engine == "eager"


def test_threads_and_instruction_set_are_as_asked(
    cache: Path, pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDRAFTER_NATIVE_ISA", "scalar")
    info = Session.open(*pair, EngineOptions(threads=1, dtype="float32")).info
    assert info.kernels == "native scalar" and info.device == "cpu (1 thread)"
    loading._opened.cache_clear()


def test_a_drafter_of_another_model_is_refused(cache: Path, pair: tuple[str, str], tiny_drafter: Path) -> None:
    with pytest.raises(PlaygroundError, match="hidden size 32, but base has 64"):
        Session.open(pair[0], str(tiny_drafter), EngineOptions(engine="native"))


def test_one_library_serves_all_sessions(cache: Path, pair: tuple[str, str]) -> None:
    bases = [Session.open(*pair, EngineOptions()).pair.base for _ in range(2)]
    libraries: list[NativeLibrary] = [base.model.library for base in bases]  # type: ignore[union-attr]
    assert libraries[0] is libraries[1]


def test_stopped_while_the_prompt_is_read(cache: Path, pair: tuple[str, str]) -> None:
    session, stop = Session.open(*pair, EngineOptions()), threading.Event()
    stop.set()
    asked = RunRequest((Message("user", "word " * 30),), shape=BeamShape(2, 3), max_new_tokens=4)
    assert list(session.run(asked, stop)) == []
