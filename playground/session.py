"""A loaded pair that answers prompts: checks a request, runs the race, records it, and stops when asked.

The one owner of the device: one run at a time, others stand in its line. Used by the screen and the terminal alike.
Knows nothing of either.
"""

from __future__ import annotations

import platform
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime

import torch

from playground import __version__
from playground.base_model.native import NativeBase
from playground.calibration import note_run, plain_costs
from playground.config import BeamShape, CostCurve, EngineOptions, PlaygroundError, RunRequest
from playground.decode.decoding import Decoding, Drafting
from playground.decode.direct import DirectRunner
from playground.decode.engine import DraftingLane, PlainLane
from playground.decode.native_runner import NativeDecoding, NativeRunner
from playground.decode.race import race
from playground.decode.replay import Programs, ReplayedRunner
from playground.decode.runner import Runner
from playground.drafter.cell import Drafter
from playground.drafter.native import NativeDraftModel
from playground.figures.format import plural
from playground.figures.sentence import run_sentence
from playground.figures.summary import run_summary
from playground.footprint import Footprint, PeakMemory, no_room, tightest
from playground.line import Line, Place
from playground.memory import free_bytes, is_out_of_memory
from playground.pair import Pair, load_pair
from playground.sources.checkpoint import first_line
from playground.trace import (
    FinishReason,
    Footer,
    Header,
    ParityRecord,
    Progress,
    Record,
    RunSettings,
    SessionInfo,
    Trace,
    kept,
)

AnyDrafter = Drafter | NativeDraftModel
HOLD_MS = 50.0  # steps are told of twenty times a second at most: a page looks eleven times
CHARACTERS_PER_TOKEN = 16  # English has about 4; what has more than this does not fit in a window


class Session:
    """One loaded pair. `line` is the one for its device: another pair on it stands in the same line."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self.line = Line()
        self._peak = PeakMemory(pair.base.devices)
        self._programs = Programs()
        self._info = SessionInfo(
            base=pair.base.info(),
            drafter=pair.drafter.info() if pair.drafter else None,
            device=_device_names(pair),
            dtype=pair.dtype,
            engine=pair.engine,
            kernels=pair.kernels,
            window=pair.base.window,
            drafter_card=pair.drafter_card,
            has_chat_template=pair.tokenizer.has_chat_template,
            versions=_versions(pair.versions),
            notes=pair.notes,
            likelihood_change=pair.likelihood_change,
            training=pair.training,
            shape=str(pair.shape),
        )

    @classmethod
    def open(
        cls,
        base: str | None = None,
        drafter: str | None = None,
        options: EngineOptions | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> Session:
        """Load a pair by folder, hub id, or None for the default.

        Raises:
            PlaygroundError: it cannot be found, read, or held here.
        """
        try:
            return cls(load_pair(base, drafter, options or EngineOptions(), progress))
        except Exception as error:
            if isinstance(error, PlaygroundError):
                raise
            raise PlaygroundError(
                f"{base or 'The default pair'} could not be loaded ({type(error).__name__}: {first_line(error)}). "
                "Download or save the model again, or choose another."
            ) from error

    @property
    def info(self) -> SessionInfo:
        return self._info

    @property
    def pair(self) -> Pair:
        return self._pair

    @property
    def shape(self) -> BeamShape:
        """The beam shape to use where nobody chose one."""
        return self._pair.shape

    def check(self, request: RunRequest) -> None:
        """Refuse what cannot run, before anything runs.

        Raises:
            PlaygroundError: no drafter, a prompt that leaves no room in the window, or no room in memory.
        """
        self._checked(request)

    def run(self, request: RunRequest, stop: threading.Event, place: Place | None = None) -> Iterator[Record]:
        """Check, then run: the header first, the footer last, also when `stop` is set meanwhile.

        While another run has the device this one waits; stopped before its turn, it yields nothing. Closing the
        iterator ends the run between two steps.

        Args:
            place: in `line`, to run in its turn and leave it to the caller; without one, a place is taken when the
                first record is asked for, and left at the end.

        Raises:
            PlaygroundError: as `check`; then a full line; then, while running, no room in memory.
        """
        drafter, prompt_ids = self._checked(request)
        return self._in_turn(place, stop, lambda: self._records(request, drafter, prompt_ids, stop))

    def _checked(self, request: RunRequest) -> tuple[AnyDrafter, list[int]]:
        pair = self._pair
        if pair.drafter is None:
            raise PlaygroundError(
                f"No drafter is loaded for {pair.base.name}. Name one with --drafter, or train one: {pair.training}"
            )
        self._require_length(request)
        prompt_ids = pair.tokenizer.encode(request.messages, chat_template=self._templated(request))
        room = pair.base.window - request.max_new_tokens
        if len(prompt_ids) > room:
            raise PlaygroundError(
                f"The prompt is {len(prompt_ids):,} tokens long, but the window of {pair.base.name} is "
                f"{pair.base.window:,} and {request.max_new_tokens:,} new tokens leave room for {max(room, 0):,}. "
                "Shorten the prompt or the chat, or ask for fewer new tokens."
            )
        if not prompt_ids:
            raise PlaygroundError("The prompt has no tokens. Type something the tokenizer can read.")
        if max(prompt_ids) >= pair.base.vocab_size:
            raise PlaygroundError(
                f"The tokenizer gives token {max(prompt_ids):,}, but {pair.base.name} has a vocabulary of "
                f"{pair.base.vocab_size:,}. Put the tokenizer and the weights of one model together."
            )
        footprint, tokens, free = self._needs(request, len(prompt_ids))
        if footprint.run(request.shape, tokens, 1 + request.race) > free:
            raise no_room(footprint, request.shape, tokens, 1 + request.race, free)
        return pair.drafter, prompt_ids

    def _require_length(self, request: RunRequest) -> None:
        """Refuse a text far longer than any window, before seconds go into its tokens.

        Raises:
            PlaygroundError: both lengths.
        """
        base, characters = self._pair.base, sum(len(message.content) for message in request.messages)
        most = max(base.window * CHARACTERS_PER_TOKEN, 4096)
        if characters > most:
            raise PlaygroundError(
                f"The prompt has {characters:,} characters, but the window of {base.name} is {base.window:,} tokens, "
                f"which {most:,} characters would fill many times over. Shorten the prompt or the chat."
            )

    def _in_turn(
        self, place: Place | None, stop: threading.Event, records: Callable[[], Iterator[Record]]
    ) -> Iterator[Record]:
        with self.line.join() if place is None else nullcontext(place) as turn:
            if turn.wait(stop):
                yield from records()

    def _records(
        self, request: RunRequest, drafter: AnyDrafter, prompt_ids: list[int], stop: threading.Event
    ) -> Iterator[Record]:
        trace = Trace(self._header(request, prompt_ids))
        self._peak.reset()
        yield trace.header
        drafting, plain = self._lanes(request, drafter)
        with self._explained(request, len(prompt_ids)):
            for bare in race(drafting, plain, prompt_ids, stop.is_set, hold_ms=HOLD_MS):
                record = bare if isinstance(bare, ParityRecord) else kept(bare, self._pair.tokenizer.bytes_of)
                trace.add(record)
                yield record
        cut = drafting.finish_reason is None or (plain is not None and plain.finish_reason is None)
        yield self._footer(trace, "stopped" if cut else drafting.finish_reason or "stopped")

    def _lanes(self, request: RunRequest, drafter: AnyDrafter) -> tuple[DraftingLane, PlainLane | None]:
        return (
            DraftingLane(self._runner(request, drafter), request.max_new_tokens),
            PlainLane(self._runner(request, None), request.max_new_tokens) if request.race else None,
        )

    def _runner(self, request: RunRequest, drafter: AnyDrafter | None) -> Runner:
        """Of the drafting lane, or of the plain one."""
        base = self._pair.base
        if isinstance(base, NativeBase):
            assert not isinstance(drafter, Drafter)
            shape = request.shape
            return NativeRunner(NativeDecoding(base, request.sampling, drafter, shape, self._curve(shape)))
        assert not isinstance(drafter, NativeDraftModel)
        drafting = Drafting(drafter, request.shape, self._curve(request.shape)) if drafter else None
        decoding = Decoding(base, request.sampling, drafting)
        if self._pair.engine == "captured":
            return ReplayedRunner(decoding, self._programs)
        return DirectRunner(decoding)

    def _curve(self, shape: BeamShape) -> CostCurve | None:
        return self._pair.curve(shape.width) if self._pair.curve else None

    def _header(self, request: RunRequest, prompt_ids: list[int]) -> Header:
        info, sampling = self._info, request.sampling
        assert info.drafter is not None
        return Header(
            run_id=uuid.uuid4().hex,
            created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            base=info.base,
            drafter=info.drafter,
            device=info.device,
            dtype=info.dtype,
            engine=info.engine,
            kernels=info.kernels,
            exact=self._pair.exact,
            versions=info.versions,
            settings=RunSettings(
                beam_width=request.shape.width,
                beam_length=request.shape.length,
                nodes=request.shape.nodes,
                copy_tail=request.shape.copy_tokens > 0,
                max_new_tokens=request.max_new_tokens,
                temperature=float(sampling.temperature),
                top_k=sampling.top_k,
                top_p=float(sampling.top_p),
                seed=sampling.seed,
                race=request.race,
                chat_template=self._templated(request),
            ),
            messages=tuple((message.role, message.content) for message in request.messages),
            prompt_ids=tuple(prompt_ids),
            costs=self._curve(request.shape) if request.shape.nodes == "auto" else None,
            likelihood_change=info.likelihood_change,
            token_bytes={token: self._pair.tokenizer.bytes_of(token) for token in sorted(set(prompt_ids))},
        )

    def _footer(self, trace: Trace, reason: FinishReason) -> Footer:
        note_run(self._pair.costs, self._pair.dtype, [record.ms for record in trace.plain[1:]])
        costs = plain_costs(self._pair.costs, self._pair.dtype)
        summary = run_summary(trace, peak_memory_bytes=self._peak.bytes(), costs=costs)
        text = self._pair.tokenizer.decode(trace.redrafter_tokens, skip_special=True)
        return Footer(reason, summary, text, run_sentence(summary, trace.parity, reason))

    def _templated(self, request: RunRequest) -> bool:
        """A model without a chat template gets the plain text."""
        return request.chat_template and self._pair.tokenizer.has_chat_template

    def _needs(self, request: RunRequest, prompt: int) -> tuple[Footprint, int, int]:
        """What a run takes where it is tightest, its tokens, and the bytes free there."""
        tokens = prompt + request.max_new_tokens
        footprint, free = tightest(self._pair.base, request.shape, tokens, 1 + request.race, free_bytes)
        return footprint, tokens, free

    @contextmanager
    def _explained(self, request: RunRequest, prompt: int) -> Iterator[None]:
        """Running out of memory, wherever it happens, names the beam shape that would fit."""
        try:
            yield
        except Exception as error:
            if not (is_out_of_memory(error) or is_out_of_memory(error.__cause__)):
                raise
            self._programs.clear()
            footprint, tokens, free = self._needs(request, prompt)
            raise no_room(footprint, request.shape, tokens, 1 + request.race, free) from error


def _device_names(pair: Pair) -> str:
    """Where the model computes, and where the rest of its weights wait."""
    if isinstance(pair.base, NativeBase):
        return f"cpu ({plural(pair.base.model.library.threads, 'thread')})"
    names = ", ".join(_device_name(device) for device in pair.base.devices)
    return f"{names}, weights {pair.base.put_aside}" if pair.base.put_aside else names


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{device} ({plural(torch.get_num_threads(), 'thread')})" if device.type == "cpu" else str(device)


def _versions(of_kernels: Mapping[str, str]) -> dict[str, str]:
    import transformers

    return {
        "playground": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        **of_kernels,
    }
