"""A session from folders on disk: what it records, that it stops, queues, and refuses with a sentence."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import playground.session as session_module
from playground.bench.shapes import sweep
from playground.calibration import CostFile, StepCosts, fastest_drafting, known_costs, plain_costs
from playground.config import BeamShape, CostCurve, EngineOptions, Message, PlaygroundError, RunRequest, Sampling
from playground.drafter.file import save_drafter
from playground.engine_options import resolve_device
from playground.export import read_trace, write_trace
from playground.footprint import Footprint
from playground.line import LIMIT
from playground.session import Session
from playground.trace import (
    Footer,
    Header,
    ParityRecord,
    PlainRecord,
    Progress,
    PromptRecord,
    Record,
    StepRecord,
    Trace,
)
from tests.tiny import HIDDEN, VOCABULARY, WINDOW, write_base
from tests.tiny import tiny_drafter as make_drafter

CPU = EngineOptions(device="cpu", dtype="float32")


def asked(prompt: str = "Hi there", **settings: object) -> RunRequest:
    defaults = RunRequest(
        (Message("user", prompt),), shape=BeamShape(4, 3), sampling=Sampling(temperature=1.0, seed=7), max_new_tokens=20
    )
    return replace(defaults, **settings)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def session(own_cache: Path, tiny_base: Path, tiny_drafter: Path) -> Session:
    return Session.open(str(tiny_base), str(tiny_drafter), CPU)


def test_costs_choose_the_budgets_and_are_on_record(session: Session, tmp_path: Path) -> None:
    curve = CostCurve((1, 64), (1.0, 40.0), level_ms=0.5)
    measured = Session(replace(session.pair, curve=lambda _: curve))
    trace = Trace.collect(measured.run(asked(), threading.Event()))
    assert trace.header.costs == curve and trace.header.settings.nodes == "auto" and trace.header.settings.copy_tail
    budgets = [step.budget for step in trace.steps if step.budget is not None]
    assert len(set(budgets)) > 1 and max(budgets) < 64
    write_trace(trace, tmp_path / "run.jsonl")
    assert read_trace(tmp_path / "run.jsonl") == trace
    fixed = Trace.collect(measured.run(asked(shape=BeamShape(4, 3, 9)), threading.Event()))
    assert fixed.header.costs is None and fixed.redrafter_tokens == trace.redrafter_tokens


def test_info_says_what_is_loaded(session: Session) -> None:
    info = session.info
    assert (info.base.name, info.base.family, info.base.vocab_size) == ("tiny", "llama", VOCABULARY)
    assert info.drafter is not None and info.drafter.draft_vocabulary == 64 and len(info.drafter.file_hash) == 64
    assert (info.dtype, info.engine, info.kernels, info.window) == ("float32", "eager", "reference", WINDOW)
    assert info.device.startswith("cpu") and info.has_chat_template
    assert info.versions["torch"] == torch.__version__


def test_a_race_is_a_whole_valid_trace(session: Session, tmp_path: Path) -> None:
    trace = Trace.collect(session.run(asked(), threading.Event()))
    assert trace.footer is not None and trace.parity is not None
    assert trace.footer.finish_reason in {"length", "eos"} and trace.parity.identical is True
    assert [record.token for record in trace.plain] == trace.redrafter_tokens
    assert trace.header.settings.chat_template and trace.header.settings.seed == 7
    assert b"".join(trace.header.token_bytes[i] for i in trace.header.prompt_ids).decode().endswith("assistant\n")
    summary = trace.footer.summary
    assert summary.new_tokens == len(trace.redrafter_tokens) and summary.peak_memory_bytes > 10_000_000
    assert summary.speedup and summary.speedup_over_fastest_plain and summary.fastest_plain_dtype
    assert summary.speedup_over_fastest_plain <= summary.speedup * 1.0001
    write_trace(trace, tmp_path / "run.jsonl")
    assert read_trace(tmp_path / "run.jsonl") == trace


def test_the_captured_engine_writes_the_same_text(session: Session) -> None:
    captured = Session(replace(session.pair, engine="captured"))
    trace = Trace.collect(captured.run(asked(), threading.Event()))
    assert trace.header.engine == "captured" and trace.parity is not None and trace.parity.identical
    assert trace.redrafter_tokens == Trace.collect(session.run(asked(), threading.Event())).redrafter_tokens


def test_without_a_race_identical_is_null(session: Session) -> None:
    trace = Trace.collect(session.run(asked(race=False), threading.Event()))
    assert trace.footer is not None and trace.parity is not None
    assert trace.parity.identical is None and not trace.plain
    assert (
        trace.footer.summary.plain_tokens_per_second is None and "Plain decoding did not run" in trace.footer.sentence
    )


def test_plain_text_and_follow_up_turns(session: Session) -> None:
    plain = Trace.collect(session.run(asked("abc", race=False, chat_template=False), threading.Event()))
    assert plain.header.prompt_ids == (97, 98, 99)
    chat = (Message("user", "a"), Message("assistant", "b"), Message("user", "c"))
    longer = Trace.collect(session.run(asked(messages=chat, race=False), threading.Event()))
    assert longer.header.messages == (("user", "a"), ("assistant", "b"), ("user", "c"))


def test_stop_acts_between_steps_and_leaves_a_whole_trace(session: Session) -> None:
    stop = threading.Event()
    records: list[Record] = []
    for record in session.run(asked(max_new_tokens=100), stop):
        records.append(record)
        if isinstance(record, StepRecord):
            stop.set()
    kinds = [type(record) for record in records]
    assert kinds.count(StepRecord) == 1 and kinds[0] is Header and kinds[-2:] == [ParityRecord, Footer]
    footer = records[-1]
    assert isinstance(footer, Footer)
    assert footer.finish_reason == "stopped" and "Stopped after" in footer.sentence


def test_runs_come_in_the_order_in_which_they_were_asked_for(session: Session) -> None:
    line, order = session.line, []
    with line.join() as before:
        threads = []
        for index in range(3):
            run = session.run(asked(max_new_tokens=2, race=False), threading.Event())
            thread = threading.Thread(target=lambda run=run, index=index: [*run] and order.append(index))
            thread.start()
            threads.append(thread)
            until(lambda index=index: len(line) == index + 2)
        assert before.position == 0 and order == []
    for thread in threads:
        thread.join(20)
    assert order == [0, 1, 2] and len(line) == 0


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, "waited 20 s in vain"
        time.sleep(0.002)


def test_a_place_holds_several_runs(session: Session) -> None:
    with session.line.join() as place:
        behind = session.line.join()
        for _ in range(2):
            assert Trace.collect(session.run(asked(max_new_tokens=2, race=False), threading.Event(), place)).complete
            assert (place.position, behind.position) == (0, 1)
        behind.leave()


def test_a_full_line_refuses_the_run(session: Session) -> None:
    places = [session.line.join() for _ in range(LIMIT)]
    run = session.run(asked(), threading.Event())
    with pytest.raises(PlaygroundError, match=f"{LIMIT} runs are waiting for this device already. Try again"):
        next(run)
    for place in places:
        place.leave()
    assert Trace.collect(session.run(asked(max_new_tokens=2), threading.Event())).complete


def test_a_closed_run_frees_the_device_and_others_wait(session: Session) -> None:
    first = session.run(asked(), threading.Event())
    next(first)
    stop = threading.Event()
    waiting: list[Record] = []
    thread = threading.Thread(target=lambda: waiting.extend(session.run(asked(), stop)))
    thread.start()
    thread.join(0.2)
    assert thread.is_alive() and not waiting  # one run at a time
    stop.set()
    thread.join(5)
    assert not thread.is_alive() and not waiting  # stopped before its turn: nothing
    first.close()
    assert isinstance(Trace.collect(session.run(asked(), threading.Event())).footer, Footer)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_new_tokens": WINDOW}, rf"window of tiny is {WINDOW} and {WINDOW} new tokens leave room for 0\. Shorten"),
        ({"messages": (Message("user", "x" * 300),)}, r"prompt is 3\d\d tokens long, but .*leave room for 180"),
    ],
)
def test_a_prompt_that_leaves_no_room_is_refused(session: Session, settings: dict[str, object], message: str) -> None:
    with pytest.raises(PlaygroundError, match=message):
        session.check(asked(**settings))
    with pytest.raises(PlaygroundError, match=message):
        session.run(asked(**settings), threading.Event())  # before the first record is asked for


def test_no_room_in_memory_names_a_shape_that_fits(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    footprint = Footprint.of(session.pair.base)
    tokens = len(session.pair.tokenizer.encode(asked().messages, chat_template=True)) + 20
    room = footprint.run(BeamShape(2, 3, None), tokens, 2)
    monkeypatch.setattr(session_module, "free_bytes", lambda _: room)
    with pytest.raises(PlaygroundError, match=r"beam width 4 and beam length 3.*Beam width 2 with beam length 3 would"):
        session.check(asked(shape=BeamShape(4, 3, None)))
    session.check(asked(shape=BeamShape(2, 3, None)))
    with pytest.raises(PlaygroundError, match=r"a tree of 64 nodes over .*A tree of 7 nodes would fit"):
        session.check(asked(shape=BeamShape(2, 3)))
    session.check(asked(shape=BeamShape(2, 3, 7)))
    monkeypatch.setattr(session_module, "free_bytes", lambda _: 10)
    with pytest.raises(PlaygroundError, match="No beam shape would fit"):
        session.check(asked())


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_running_out_of_memory_is_a_sentence_and_the_session_goes_on(
    session: Session, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **_options: object) -> Iterator[Record]:
        yield PromptRecord("redrafter", 1, 1.0, 1, 0.0, {1: b"a"})
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(session_module, "race", fail)
        with pytest.raises(PlaygroundError, match=r"no room in memory.*A tree of 32 nodes would fit"):
            Trace.collect(session.run(asked(), threading.Event()))
    assert Trace.collect(session.run(asked(), threading.Event())).complete


def test_other_failures_are_not_dressed_up(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **_options: object) -> Iterator[Record]:
        raise RuntimeError("shapes differ")
        yield

    with monkeypatch.context() as patch:
        patch.setattr(session_module, "race", fail)
        with pytest.raises(RuntimeError, match="shapes differ"):
            Trace.collect(session.run(asked(), threading.Event()))
    assert Trace.collect(session.run(asked(), threading.Event())).complete


def test_a_base_model_without_a_drafter_loads_but_does_not_run(own_cache: Path, tiny_base: Path) -> None:
    seen: list[Progress] = []
    alone = Session.open(str(tiny_base), None, CPU, seen.append)
    assert alone.info.drafter is None
    with pytest.raises(PlaygroundError, match=r"No drafter is loaded for tiny.*train"):
        alone.run(asked(), threading.Event())
    assert seen[-1].done == 1.0 and [p.done for p in seen] == sorted(p.done for p in seen)


def test_a_drafter_that_does_not_fit_is_refused(own_cache: Path, tiny_base: Path, tmp_path: Path) -> None:
    save_drafter(make_drafter(hidden=HIDDEN + 1), tmp_path / "other")
    with pytest.raises(PlaygroundError, match=f"hidden size {HIDDEN + 1}, but tiny has {HIDDEN}"):
        Session.open(str(tiny_base), str(tmp_path / "other"), CPU)


def cut(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("damage", "message"), [(cut, "bytes, but its header asks for"), (pickled, "safetensors are needed")]
)
def test_damaged_checkpoints_are_refused(damage: object, message: str, own_cache: Path, tmp_path: Path) -> None:
    base = write_base(tmp_path / "model")
    damage(base)  # type: ignore[operator]
    with pytest.raises(PlaygroundError, match=message):
        Session.open(str(base), None, CPU)
    save_drafter(make_drafter(), tmp_path / "drafter")
    cut(tmp_path / "drafter")
    with pytest.raises(PlaygroundError):
        Session.open(None, str(tmp_path / "drafter"), CPU)
    with pytest.raises(PlaygroundError, match="no folder"):
        Session.open(str(tmp_path / "nowhere" / "at" / "all"), None, CPU)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (EngineOptions(device="cuda:63"), "this machine has"),
        (EngineOptions(device="gpu"), "must be auto, cpu, cuda, cuda:N or mps"),
        (EngineOptions(device="cpu", engine="captured"), "Use auto or eager"),
        (EngineOptions(device="cpu", exact=True), "Use dtype float32"),
        (EngineOptions(device="cpu", kernels="triton"), "Choose the reference kernels"),
    ],
)
def test_options_that_cannot_be_had_here(
    options: EngineOptions, message: str, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(PlaygroundError, match=message):
        Session.open(str(tiny_base), None, options)


def test_auto_device_is_one_that_is_there() -> None:
    assert resolve_device("auto").type in {"cpu", "cuda", "mps"}


def test_auto_dtype_is_measured_once(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDRAFTER_CACHE", str(tmp_path))
    first = Session.open(str(tiny_base), None, EngineOptions(device="cpu", threads=1))
    files = list((tmp_path / "calibration").glob("*.json"))
    assert len(files) == 1 and set(json.loads(files[0].read_text())) == {"float32", "bfloat16"}
    swapped = {"float32": StepCosts(1.0, 9.0), "bfloat16": StepCosts(2.0, 3.0)}
    files[0].write_text(json.dumps({name: vars(cost) for name, cost in swapped.items()}))
    second = Session.open(str(tiny_base), None, EngineOptions(device="cpu", threads=1))
    assert second.pair.costs == swapped and second.info.dtype == "bfloat16"  # read, not measured again
    assert first.info.dtype == fastest_drafting(first.pair.costs)
    costs = plain_costs(swapped, "bfloat16")
    assert costs is not None and costs.fastest == "float32" and costs.handicap == 0.5


def test_a_damaged_cost_file_is_measured_anew(tmp_path: Path, session: Session) -> None:
    file = CostFile(tmp_path, "model", torch.device("cpu"))
    for content in ("", "[1]", '{"float32": {"plain_ms": "x"}}', '{"float32": 3}'):
        file.path.parent.mkdir(exist_ok=True)
        file.path.write_text(content)
        costs = known_costs(file, ("float32",), lambda _: session.pair.base, lambda *_: None).costs
        assert costs["float32"].plain_ms > 0 and file.read() == costs


def test_sweep_measures_every_shape_and_stops(session: Session) -> None:
    records = list(sweep(session, asked(max_new_tokens=8), (2, 1), (1, 2), threading.Event(), repeats=2))
    assert [len(record.cells) for record in records] == [1, 2, 3, 4, 4, 4, 4, 4]
    assert [sum(cell.repeats for cell in record.cells) for record in records] == list(range(1, 9))
    assert [record.finished for record in records] == [False] * 7 + [True]
    last = records[-1]
    assert all(cell.repeats == 2 and cell.speedup_least <= cell.speedup <= cell.speedup_most for cell in last.cells)
    assert last.plain_spread is not None and last.plain_spread >= 0 and records[0].plain_spread is None
    assert last.finished and (last.widths, last.lengths) == ((1, 2), (1, 2))
    assert [(cell.width, cell.length) for cell in last.cells] == [(1, 1), (2, 1), (1, 2), (2, 2)]
    assert all(cell.identical and cell.speedup and cell.mean_nodes > 1 for cell in last.cells)
    stop = threading.Event()
    stopped = []
    for record in sweep(session, asked(max_new_tokens=8), (1, 2), (1,), stop):
        stopped.append(record)
        stop.set()
    assert len(stopped) == 1 and not stopped[0].finished
    with pytest.raises(PlaygroundError, match="no beam shape"):
        sweep(session, asked(), (), (1,), threading.Event())
    with pytest.raises(PlaygroundError, match="repeats are 0, but must be from 1 to 50"):
        sweep(session, asked(), (1,), (1,), threading.Event(), repeats=0)


def test_plain_records_share_the_clock_of_their_lane(session: Session) -> None:
    trace = Trace.collect(session.run(asked(), threading.Event()))
    clocks = [record.clock_ms for record in trace.plain if isinstance(record, PlainRecord)]
    assert clocks == sorted(clocks) and clocks[0] == 0.0
    assert trace.steps[-1].clock_ms == pytest.approx(sum(step.ms.total for step in trace.steps))
