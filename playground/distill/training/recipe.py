"""What drafter to train for a base model, and the pieces of its training put together.

Sizes come from the base: five draft steps read each of the drafter's weights five times, and should not
read more than about a third of the base model's. Knows the base's figures, not how a session uses them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from playground.base_model.adapter import BaseModel
from playground.base_model.output_head import OutputHead
from playground.config import PlaygroundError
from playground.distill.corpus.corpus import Corpus
from playground.distill.teacher.states import TeacherStates
from playground.distill.training.batches import BatchSource
from playground.distill.training.copies import copy_chances
from playground.distill.training.loss import OutputRows
from playground.distill.training.objective import Objective
from playground.drafter.cell import Drafter
from playground.drafter.config import DrafterConfig
from playground.drafter.file import load_drafter
from playground.trace import ModelInfo

DRAFT_STEPS = 5
COST_SHARE = 0.35  # about a third
VOCABULARIES = (32_768, 16_384, 8_192, 4_096)
UNROLL = 5


@dataclass(frozen=True)
class Recipe:
    """All that shapes a drafter and its training."""

    config: DrafterConfig
    batch: int = 256
    unroll: int = UNROLL
    seed: int = 0
    start: str | None = None  # folder of the drafter whose weights training starts from


def config_for(
    base: BaseModel, start: Path | None, draft_vocabulary: int | None, *, apple_format: bool
) -> DrafterConfig:
    """The config of the drafter to train: that of the drafter to start from, Apple's, or one of a size that suits.

    Raises:
        PlaygroundError: the drafter to start from does not fit the base model or the vocabulary asked for.
    """
    if start is not None:
        return _config_to_go_on(base, start, draft_vocabulary)
    return apple_config(base.info()) if apple_format else choose_config(base.info(), draft_vocabulary)


def choose_config(base: ModelInfo, draft_vocabulary: int | None = None) -> DrafterConfig:
    """A drafter of a size that suits the base model.

    Args:
        draft_vocabulary: V'; None takes the largest of 4k to 32k whose draft steps are cheap enough.
    """
    h, layers = base.hidden_size, base.layers
    block = (2 * h) ** 2
    cell = 3 * h * h + 2 * block + 2 * h * h  # cell and lookup, residual blocks, tied projection
    affordable = (base.parameters * COST_SHARE / DRAFT_STEPS - cell) / h
    fitting = [size for size in VOCABULARIES if size <= min(affordable, base.vocab_size)]
    chosen = draft_vocabulary or (fitting[0] if fitting else min(VOCABULARIES[-1], base.vocab_size))
    return DrafterConfig(
        vocab_size=base.vocab_size,
        hidden_size=h,
        exit_dim=2 * h,
        num_draft_layers=2,
        draft_vocab_size=chosen if chosen < base.vocab_size else 0,
        tied_head=True,
        context_layers=tuple(sorted({max(1, layers // 3), max(1, 2 * layers // 3)})),
        context_tokens=4,
        context_dim=4 * h // 3,
        lookup_tokens=UNROLL,
        lookup_match=4,
        logit_cut=0,
    )


def apple_config(base: ModelInfo) -> DrafterConfig:
    """The paper's drafter in Apple's format: a head of its own over the whole vocabulary, nothing beside the cell."""
    h = base.hidden_size
    return DrafterConfig(vocab_size=base.vocab_size, hidden_size=h, exit_dim=2 * h, num_draft_layers=2)


def count_vocabulary(corpus: Corpus, size: int, vocab_size: int) -> torch.Tensor:
    """[V'] int64 ascending ids of the `size` tokens the assistant used most in training rows."""
    counts = np.bincount(corpus.ids[corpus.assistant & ~corpus.held_out], minlength=vocab_size)
    return torch.from_numpy(np.sort(np.argsort(-counts, kind="stable")[:size]).astype(np.int64))


def taught_vocabulary(corpus: Corpus, most: int) -> int:
    """A size of draft vocabulary that holds every token the assistant used in training rows, `most` at the most."""
    used = len(np.unique(corpus.ids[corpus.assistant & ~corpus.held_out]))
    return min([most, *(size for size in VOCABULARIES if size >= used)])


def coverage(corpus: Corpus, vocabulary: torch.Tensor) -> float:
    """Share of held-out assistant tokens that the draft vocabulary holds."""
    wanted = corpus.ids[corpus.assistant & corpus.held_out]
    return float(np.isin(wanted, vocabulary.numpy()).mean()) if len(wanted) else 0.0


def new_drafter(recipe: Recipe, corpus: Corpus, base: BaseModel, name: str) -> Drafter:
    """A drafter bound to its base model, ready to be trained: fresh, or with the weights the recipe starts from.

    Its config tells the copy chances of this corpus, but in Apple's format, which has no place for them.
    """
    config = recipe.config
    if not config.apple_compatible:
        config = replace(config, copy_chances=copy_chances(corpus))
    drafter = Drafter(config, name)
    if recipe.config.draft_vocab_size:
        size = recipe.config.draft_vocab_size
        drafter.draft_vocabulary.copy_(count_vocabulary(corpus, size, recipe.config.vocab_size))
    if recipe.start is not None:
        _take_weights(drafter, load_drafter(Path(recipe.start)))
    else:
        sample = torch.from_numpy(corpus.ids[:4096].astype(np.int64)).to(base.device)
        _initialise(drafter, float(base.embed(sample).float().square().mean().sqrt()), recipe.seed)
    return drafter.to(base.device).bind(base)


def _initialise(drafter: Drafter, embedding_rms: float, seed: int) -> None:
    """Fresh weights at the scales of the base model: embeddings may be 15 times smaller than hidden states."""
    torch.manual_seed(seed)
    for module in drafter.modules():
        if isinstance(module, nn.Linear):
            module.reset_parameters()
    with torch.no_grad():
        gain = 1.7 / max(embedding_rms, 1e-4)  # brings W e to unit variance under the default uniform init
        for name in ("rnn_w", "lookup_w"):
            layer = getattr(drafter, name, None)
            if layer is not None:
                layer.weight.mul_(gain)
        if drafter.config.context_dim:
            drafter.context_out.weight.zero_()
            drafter.context_out.bias.zero_()
        if drafter.config.lookup_tokens:
            drafter.lookup_bonus.weight.zero_()


def _take_weights(drafter: Drafter, earlier: Drafter) -> None:
    """Copy an earlier drafter's weights; a tied head has none of its own, so it drafts from the new corpus's tokens."""
    state = earlier.state_dict()
    if drafter.config.tied_head and drafter.config.draft_vocab_size:
        state["draft_vocabulary"] = drafter.draft_vocabulary
    drafter.load_state_dict(state)


class TiedHead:
    """The base model's output rows in bfloat16, as a drafter's tied head reads them."""

    def __init__(self, drafter: Drafter, base: BaseModel) -> None:
        ids = drafter.full_ids if drafter.full_ids is not None else torch.arange(base.vocab_size, device=base.device)
        self._base = base
        self.rows = self.any_rows(ids)

    def any_rows(self, ids: torch.Tensor) -> OutputRows:
        """Rows of full ids [R]."""
        head: OutputHead = self._base.output_rows(ids)
        bias = None if head.bias is None else head.bias.to(torch.bfloat16)
        return OutputRows(head.weight.to(torch.bfloat16), bias, head.scale, head.softcap)


def tied_head(drafter: Drafter, base: BaseModel) -> TiedHead | None:
    """The base's output rows for a tied head; None for a projection of its own."""
    return TiedHead(drafter, base) if drafter.config.tied_head else None


def assemble(
    recipe: Recipe, corpus: Corpus, states: TeacherStates, base: BaseModel, name: str
) -> tuple[Drafter, BatchSource, Objective]:
    """Drafter, batches and loss of a training run."""
    drafter = new_drafter(recipe, corpus, base, name)
    source = BatchSource(corpus, states, recipe.config, unroll=recipe.unroll, size=recipe.batch, seed=recipe.seed)
    return drafter, source, Objective(drafter, states, tied_head(drafter, base))


def _config_to_go_on(base: BaseModel, start: Path, draft_vocabulary: int | None) -> DrafterConfig:
    """The config of the drafter to start from, with another draft vocabulary where one is asked for."""
    earlier = load_drafter(start).bind(base)
    size = draft_vocabulary or earlier.config.draft_vocab_size
    if size != earlier.config.draft_vocab_size and not earlier.config.tied_head:
        raise PlaygroundError(
            f"--draft-vocabulary is {size}, but {start} has an output layer for {earlier.config.head_vocab} tokens. "
            f"Leave it out, or train a new drafter without --from."
        )
    return replace(earlier.config, draft_vocab_size=size if size < base.vocab_size else 0)
