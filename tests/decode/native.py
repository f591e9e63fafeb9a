"""What the native decoding tests share: tiny native base models, and a drafter that follows a script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kernels.native import Draft, NativeLibrary, NativeModel, Search
from kernels.native.from_transformers import read_spec, read_weights
from playground.base_model.description import model_info
from playground.base_model.native import NativeBase, NativeFacts
from playground.config import BeamShape, Sampling
from playground.decode.engine import DraftingLane, PlainLane
from playground.decode.native_runner import NativeDecoding, NativeRunner
from playground.drafter.config import DrafterConfig
from tests.decode.lanes import Drafted, run_drafting, run_plain
from tests.kernels.native.families import VOCABULARY, build

Opinion = Callable[[tuple[int, ...]], Sequence[int]]


def native_base(library: NativeLibrary, family: str, format: Any, eos: Sequence[int] = (), **sizes: Any) -> NativeBase:
    """A tiny random model of a native family that ends its text at `eos` only."""
    model = build(family, **sizes)
    spec = read_spec(model, format)
    facts = NativeFacts(spec, model_info(model, family, spec.vocabulary), tuple(eos), None)
    return NativeBase(NativeModel.of(library, spec, read_weights(model, spec)), facts)


class ScriptedDrafter:
    """Stands for a packed drafter: its trees are what `opinion` would add, best first, after each text."""

    config = DrafterConfig(vocab_size=VOCABULARY, hidden_size=64, exit_dim=64)

    def __init__(self, opinion: Opinion, shape: BeamShape) -> None:
        self.opinion, self.shape = opinion, shape
        self.native = self

    def draft(self, search: Search, state: Any, history: Any, count: int, eos: Any, wanted: int, draft: Draft) -> None:
        text = tuple(history[:count].tolist())
        draft.token[0], draft.parent[0], draft.depth[0] = text[-1], -1, 0
        nodes, texts = 1, [text]
        for at in range(self.shape.max_nodes):
            if at >= nodes or draft.depth[at] >= min(self.shape.length, wanted):
                continue
            for token in self.opinion(texts[at]):
                if nodes < self.shape.max_nodes:
                    draft.token[nodes], draft.parent[nodes], draft.depth[nodes] = token, at, draft.depth[at] + 1
                    texts.append((*texts[at], token))
                    nodes += 1
        draft.c.nodes = nodes
        draft.origin[1:nodes] = 1


def plain_run(base: NativeBase, prompt: Sequence[int], sampling: Sampling, new_tokens: int) -> PlainLane:
    """The plain lane, run to its end."""
    return run_plain(PlainLane(NativeRunner(NativeDecoding(base, sampling)), new_tokens), prompt)


def drafting_run(
    base: NativeBase, drafter: Any, shape: BeamShape, prompt: Sequence[int], sampling: Sampling, new_tokens: int
) -> Drafted:
    lane = DraftingLane(NativeRunner(NativeDecoding(base, sampling, drafter, shape)), new_tokens)
    return run_drafting(lane, prompt)


def mixed_opinion(truth: Sequence[int], vocabulary: int) -> Opinion:
    """Right, but often only as the second choice, and every fifth time not at all."""

    def opinion(text: tuple[int, ...]) -> Sequence[int]:
        here = len(text)
        wrong = (here * 7 + 3) % vocabulary
        if here >= len(truth) or list(text) != list(truth[:here]) or here % 5 == 0:
            return (wrong, (wrong + 1) % vocabulary)
        other = (truth[here] + 1) % vocabulary
        return (other, truth[here]) if here % 3 == 0 else (truth[here], other)

    return opinion
