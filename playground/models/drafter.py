"""The recurrent drafter: a small recurrent cell on the base model's last hidden state.

    s_0 = 0;  s_k = silu(W e(token_{k-1}) + U s_{k-1} + b);  logits_k = head([h ; s_k])

e is the base model's embedding, the head residual blocks x + silu(Ax + b) and a projection (ReDrafter,
arXiv 2403.09919, section 3.1; Apple's public code). One cell serves training and decoding. Extensions,
all optional: a draft vocabulary, a tied head, extra context, lookup. Knows neither beams nor trees.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from playground.config import PlaygroundError
from playground.models.drafter_config import DrafterConfig
from playground.models.lookup import Lookback, look_back
from playground.trace import DrafterInfo


class DraftedModel(Protocol):
    """What a drafter needs of its base model."""

    @property
    def name(self) -> str: ...
    @property
    def hidden_size(self) -> int: ...
    @property
    def vocab_size(self) -> int: ...
    def embed(self, tokens: Tensor) -> Tensor: ...
    def output_rows(self, ids: Tensor) -> Callable[[Tensor], Tensor]: ...


@dataclass(frozen=True)
class DraftState:
    """A drafter between two tokens, B beams."""

    hidden: Tensor  # [B, H] base hidden state with its extra context, the head's first half
    state: Tensor  # [B, H] s_k
    continuation: Tensor  # [B, C] int64 looked-up tokens, -1 none
    on_track: Tensor  # [B] bool, the beam has followed the continuation so far
    step: int  # tokens fed

    def select(self, index: Tensor) -> DraftState:
        """Beams `index` [B'] of this state; also widens one beam to many."""
        rows = (self.hidden[index], self.state[index], self.continuation[index], self.on_track[index])
        return DraftState(*rows, step=self.step)


@dataclass(frozen=True)
class HeadInput:
    """What the last layer of the head reads, B rows."""

    features: Tensor  # [B, exit_dim] after the residual blocks
    copied: Tensor  # [B] int64 full id of the looked-up token, -1 none
    bonus: Tensor | None  # [B] logit added to the looked-up token


class ResidualBlock(nn.Module):
    """x + silu(Ax + b)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + F.silu(self.linear(x))


class Drafter(nn.Module):
    """A recurrent drafter; `bind` it to a base model before use."""

    draft_vocabulary: Tensor

    def __init__(self, config: DrafterConfig, name: str = "untrained") -> None:
        super().__init__()
        self.config, self.name = config, name
        h, x = config.hidden_size, config.exit_dim
        self.input_proj = nn.Linear(2 * h, x) if x != 2 * h else None
        self.rnn_w = nn.Linear(h, h, bias=False) if config.rnn else None
        self.rnn_u = nn.Linear(h, h) if config.rnn else None
        self.blocks = nn.ModuleList(ResidualBlock(x) for _ in range(config.num_draft_layers))
        self.output = nn.Linear(x, h if config.tied_head else config.head_vocab, bias=False)
        if config.draft_vocab_size:
            self.register_buffer("draft_vocabulary", torch.arange(config.draft_vocab_size))
        if config.context_dim:
            self.context_in = nn.Linear(config.context_width + config.lookup_match + 1, config.context_dim)
            self.context_out = nn.Linear(config.context_dim, h)
        if config.lookup_tokens:
            self.lookup_w = nn.Linear(h, h, bias=False)
            self.lookup_bonus = nn.Linear(x, 1)
        self.hashes = ("", "")  # SHA-256 of the weights file and of the config file, once there are files
        self._embed: Callable[[Tensor], Tensor] | None = None
        self._rows: Callable[[Tensor], Tensor] | None = None

    def bind(self, base: DraftedModel) -> Drafter:
        """Take the base model's embedding and, for a tied head, its output rows.

        Raises:
            PlaygroundError: hidden size or vocabulary differ.
        """
        for what, ours, theirs in (
            ("hidden size", self.config.hidden_size, base.hidden_size),
            ("vocabulary size", self.config.vocab_size, base.vocab_size),
        ):
            if ours != theirs:
                raise PlaygroundError(
                    f"The drafter {self.name} was made for a base model of {what} {ours}, but {base.name} has "
                    f"{theirs}. Choose the drafter trained for this base model, or train one with `train`."
                )
        self._embed = base.embed
        if self.config.tied_head:
            ids = self.full_ids
            every = torch.arange(self.config.vocab_size, device=self.device) if ids is None else ids
            self._rows = base.output_rows(every)
        return self

    @classmethod
    def load(cls, folder: str | Path) -> Drafter:
        """Read a checkpoint folder, ours or Apple's (see `drafter_file`)."""
        from playground.models.drafter_file import load_drafter

        return load_drafter(Path(folder))

    def save(self, folder: str | Path, dtype: torch.dtype = torch.bfloat16) -> None:
        """Write a checkpoint folder."""
        from playground.models.drafter_file import save_drafter

        save_drafter(self, Path(folder), dtype)

    def info(self) -> DrafterInfo:
        """The drafter as traces and cards name it."""
        return DrafterInfo(
            name=self.name,
            parameters=sum(weight.numel() for weight in self.parameters()),
            draft_vocabulary=self.config.head_vocab,
            tied_head=self.config.tied_head,
            file_hash=self.hashes[0],
            config_hash=self.hashes[1],
        )

    @property
    def device(self) -> torch.device:
        return self.output.weight.device

    @property
    def taps(self) -> tuple[int, ...]:
        """Base layers whose residual stream the hidden state must carry."""
        return self.config.context_layers

    @property
    def full_ids(self) -> Tensor | None:
        """[V'] full id of each drafted id; None where the head covers the whole vocabulary."""
        return self.draft_vocabulary if self.config.draft_vocab_size else None

    @property
    def cut(self) -> int | None:
        """Drafter logits kept before the log-softmax."""
        return self.config.logit_cut or None

    def start(self, hidden: Tensor, tokens: Tensor, root_position: Tensor) -> DraftState:
        """State before the root is fed.

        Args:
            hidden: [1, H (1 + taps)], the base model's at root_position - 1.
            tokens: [S] int64, committed tokens, then the root; what follows is not looked at.
            root_position: [] int64.
        """
        config = self.config
        seen = look_back(
            tokens,
            root_position[None],
            recent=config.context_tokens,
            continuation=config.lookup_tokens,
            longest=config.lookup_match,
        )
        return self.begin(hidden, seen)

    def begin(self, hidden: Tensor, seen: Lookback) -> DraftState:
        """State before the root is fed, for B places at once: hidden [B, H (1 + taps)]."""
        h = hidden[:, : self.config.hidden_size]
        state = torch.zeros_like(h)
        on_track = seen.match > 0
        return DraftState(self._with_context(hidden, seen), state, seen.continuation, on_track, step=0)

    def advance(self, state: DraftState, tokens: Tensor) -> tuple[DraftState, Tensor]:
        """Feed tokens [B]; returns the state after them and the next token's logits [B, V'] (draft ids)."""
        after, head = self.feed(state, tokens)
        return after, self.logits(head)

    def feed(self, state: DraftState, tokens: Tensor) -> tuple[DraftState, HeadInput]:
        """The cell and the residual blocks: all of a draft step but its last layer, shared with training."""
        embedding = self.embed(tokens)  # [B, H]
        after = self._follow(state, tokens)
        copied = self._copied(after)
        s = self.cell(embedding, state.state, copied)
        x = torch.cat((state.hidden, s), dim=-1)  # [B, 2H]
        x = self.input_proj(x) if self.input_proj is not None else x
        for block in self.blocks:
            x = block(x)
        bonus = self.lookup_bonus(x)[:, 0] if self.config.lookup_tokens else None
        return replace(after, state=s), HeadInput(x, copied, bonus)

    def cell(self, embedding: Tensor, state: Tensor, copied: Tensor) -> Tensor:
        """s_k from e(token_{k-1}) [B, H], s_{k-1} [B, H] and the looked-up token [B]."""
        if self.rnn_w is None or self.rnn_u is None:
            return state + embedding
        total = self.rnn_w(embedding) + self.rnn_u(state)
        if self.config.lookup_tokens:
            total = total + self.lookup_w(self._embed_or_zero(copied))
        return F.silu(total)

    def logits(self, head: HeadInput) -> Tensor:
        """[B, V'] logits of the next token in draft ids."""
        projected = self.output(head.features)
        logits = self._rows(projected) if self._rows is not None else projected
        if head.bonus is None:
            return logits
        row, found = self.draft_index(head.copied)
        bonus = torch.where(found, head.bonus, 0.0).to(logits.dtype)
        return logits.scatter_add(1, row[:, None], bonus[:, None])

    def draft_index(self, full: Tensor) -> tuple[Tensor, Tensor]:
        """Draft ids of full ids (any shape), and whether each has one; an id without one maps to 0."""
        if self.full_ids is None:
            return full.clamp(min=0), full >= 0
        row = torch.searchsorted(self.full_ids, full).clamp(max=len(self.full_ids) - 1)
        found = self.full_ids[row] == full
        return torch.where(found, row, 0), found

    def embed(self, tokens: Tensor) -> Tensor:
        """The base model's raw input embedding of tokens [...], in the drafter's dtype: [..., H]."""
        if self._embed is None:
            raise RuntimeError("Bind the drafter to its base model before drafting.")
        return self._embed(tokens).to(self.output.weight.dtype)

    def _embed_or_zero(self, tokens: Tensor) -> Tensor:
        present = (tokens >= 0)[..., None]
        return torch.where(present, self.embed(tokens.clamp(min=0)), 0.0)

    def _with_context(self, hidden: Tensor, seen: Lookback) -> Tensor:
        """h plus what the context perceptron reads in lower layers, recent tokens and the match: [B, H]."""
        h = hidden[:, : self.config.hidden_size]
        if not self.config.context_dim:
            return h
        parts = hidden.unflatten(1, (-1, self.config.hidden_size))  # [B, 1 + taps, H]
        parts = torch.cat((parts, self._embed_or_zero(seen.recent)), dim=1)  # [B, 1 + taps + T, H]
        parts = F.rms_norm(parts.float(), parts.shape[-1:]).to(h.dtype).flatten(1)
        match = F.one_hot(seen.match, self.config.lookup_match + 1).to(h.dtype)
        return h + self.context_out(F.silu(self.context_in(torch.cat((parts, match), dim=-1))))

    def _follow(self, state: DraftState, tokens: Tensor) -> DraftState:
        """Note whether the fed tokens leave the looked-up continuation; the root (step 0) cannot."""
        on_track = state.on_track
        if 0 < state.step <= self.config.lookup_tokens:
            on_track = on_track & (tokens == state.continuation[:, state.step - 1])
        return replace(state, on_track=on_track, step=state.step + 1)

    def _copied(self, state: DraftState) -> Tensor:
        """[B] full id the lookup proposes next, -1 for none."""
        if not 0 < state.step <= self.config.lookup_tokens:
            return torch.full_like(state.on_track, -1, dtype=torch.int64)
        return torch.where(state.on_track, state.continuation[:, state.step - 1], -1)
