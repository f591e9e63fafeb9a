"""The recurrent drafter: a small recurrent cell on the base model's last hidden state.

    s_0 = 0;  s_k = silu(W e(token_{k-1}) + U s_{k-1} + b);  logits_k = head([h ; s_k])

e is the base model's embedding, the head residual blocks x + silu(Ax + b) and a projection (ReDrafter,
arXiv 2403.09919, section 3.1; Apple's public code). One cell serves training and decoding. Extensions,
all optional: a draft vocabulary, a tied head, extra context, lookup. Knows neither beams nor trees.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from playground.config import COPY_TOKENS
from playground.drafter.config import DrafterConfig
from playground.drafter.lookup import LONGEST_MATCH, Lookback, look_back
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
    def token_logits(self, hidden: Tensor, ids: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Copies:
    """The looked-up continuation of B places, with all that is computed of it before any token is fed.

    T tokens are looked up, of which the cell and the head look at C.
    """

    continuation: Tensor  # [B, T] int64 full ids, -1 none
    match: Tensor  # [B] int64, tokens that agree before it
    pull: Tensor  # [B, C, H] what each token adds to the cell
    row: Tensor  # [B, C] int64 draft ids, 0 for a token without one
    found: Tensor  # [B, C] bool, the token has a draft id

    def select(self, index: Tensor) -> Copies:
        """Places `index` [B'] of these."""
        rows = (self.continuation, self.match, self.pull, self.row, self.found)
        return Copies(*(part[index] for part in rows))


@dataclass(frozen=True)
class DraftState:
    """A drafter between two tokens, B beams; what all beams have of one place is kept once."""

    hidden: Tensor  # [B or 1, H] base hidden state with its extra context, the head's first half
    state: Tensor  # [B, H] s_k
    copies: Copies  # of B places or 1
    on_track: Tensor  # [B] bool, the beam has followed the continuation so far
    step: int  # tokens fed

    def select(self, index: Tensor) -> DraftState:
        """Beams `index` [B'] of this state; also widens one beam to many."""
        hidden, copies = self.hidden, self.copies
        if len(hidden) > 1:
            hidden, copies = hidden[index], copies.select(index)
        state, on_track = self.state.index_select(0, index), self.on_track.index_select(0, index)
        return DraftState(hidden, state, copies, on_track, self.step)


@dataclass(frozen=True)
class HeadInput:
    """What the last layer of the head reads, B rows."""

    features: Tensor  # [B, exit_dim] after the residual blocks
    copied: Tensor  # [B] int64 draft id of the looked-up token
    found: Tensor  # [B] bool, there is such a token and the beam has followed so far
    beyond: Tensor | None  # [B] int64 full id of a looked-up token without a draft id, -1 none
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
        self._token_logits: Callable[[Tensor, Tensor], Tensor] | None = None

    def bind(self, base: DraftedModel) -> Drafter:
        """Take the base model's embedding and, for a tied head, its output rows.

        Raises:
            PlaygroundError: hidden size or vocabulary differ.
        """
        self.config.require_base(self.name, base.name, base.hidden_size, base.vocab_size)
        self._embed = base.embed
        if self.config.tied_head:
            ids = self.full_ids
            every = torch.arange(self.config.vocab_size, device=self.device) if ids is None else ids
            self._rows, self._token_logits = base.output_rows(every), base.token_logits
        return self

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

    @property
    def copy_chances(self) -> tuple[float, ...]:
        return self.config.copy_chances

    @property
    def calibration(self) -> tuple[float, ...]:
        return self.config.calibration

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
            continuation=max(config.lookup_tokens, COPY_TOKENS),
            longest=LONGEST_MATCH,
        )
        return self.begin(hidden, seen)

    def begin(self, hidden: Tensor, seen: Lookback) -> DraftState:
        """State before the root is fed, for B places at once: hidden [B, H (1 + taps)]."""
        h = hidden[:, : self.config.hidden_size]
        state = torch.zeros_like(h)
        return DraftState(self._with_context(hidden, seen), state, self._copies(seen), seen.match > 0, step=0)

    def advance(self, state: DraftState, tokens: Tensor) -> tuple[DraftState, Tensor]:
        """Feed tokens [B]; returns the state after them and the next token's logits [B, V'] (draft ids).

        Where a looked-up token has no draft id, one more column stands for it: see `full_tokens`.
        """
        after, head = self.feed(state, tokens)
        return after, self.logits(head)

    def feed(self, state: DraftState, tokens: Tensor) -> tuple[DraftState, HeadInput]:
        """The cell and the residual blocks: all of a draft step but its last layer, shared with training."""
        copies, k, on_track = state.copies, state.step, state.on_track
        if 0 < k <= self.config.lookup_tokens:  # the root cannot leave the continuation
            on_track = on_track & (tokens == copies.continuation[:, k - 1])
        pull = None
        copied, found, beyond = torch.zeros_like(tokens), torch.zeros_like(on_track), None
        if k < self.config.lookup_tokens:
            pull = torch.where(on_track[:, None], copies.pull[:, k], 0.0)
            copied, found = copies.row[:, k].expand_as(tokens), on_track & copies.found[:, k]
            if self.config.copies_beyond:
                beyond = torch.where(on_track, self._beyond(copies, k), -1)
        s = self.cell(self.embed(tokens), state.state, pull)
        x = torch.cat((state.hidden.expand_as(s), s), dim=-1)  # [B, 2H]
        x = self.input_proj(x) if self.input_proj is not None else x
        for block in self.blocks:
            x = block(x)
        bonus = self.lookup_bonus(x)[:, 0] if self.config.lookup_tokens else None
        after = DraftState(state.hidden, s, copies, on_track, k + 1)
        return after, HeadInput(x, copied, found, beyond, bonus)

    def cell(self, embedding: Tensor, state: Tensor, pull: Tensor | None) -> Tensor:
        """s_k from e(token_{k-1}), s_{k-1} and the looked-up token's pull, all [B, H]."""
        if self.rnn_w is None or self.rnn_u is None:
            return state + embedding
        total = self.rnn_w(embedding) + self.rnn_u(state)
        return F.silu(total if pull is None else total + pull)

    def logits(self, head: HeadInput) -> Tensor:
        """[B, V'] logits of the next token in draft ids, and perhaps [B, V' + 1]: see `advance`."""
        projected = self.output(head.features)
        logits = self._rows(projected) if self._rows is not None else projected
        if head.bonus is None:
            return logits
        bonus = torch.where(head.found, head.bonus, 0.0).to(logits.dtype)
        logits = logits.scatter_add_(1, head.copied[:, None], bonus[:, None])
        if head.beyond is None or self._token_logits is None:
            return logits
        own = self._token_logits(projected, head.beyond.clamp(min=0)).to(logits.dtype) + head.bonus.to(logits.dtype)
        return torch.cat((logits, own.masked_fill(head.beyond < 0, -torch.inf)[:, None]), dim=1)

    def full_tokens(self, state: DraftState, drafted: Tensor) -> Tensor:
        """Full ids of draft ids [B, K] of logits of `state`; -1 stays, V' is the looked-up token without a draft id."""
        full = drafted
        if self.full_ids is not None:
            known = drafted.clamp(0, len(self.full_ids) - 1)
            full = torch.where(drafted < 0, -1, self.full_ids[known])
        k = state.step - 1
        if not self.config.copies_beyond or k >= self.config.lookup_tokens:
            return full
        return torch.where(drafted == self.config.head_vocab, self._beyond(state.copies, k)[:, None], full)

    def copied(self, state: DraftState) -> Lookback:
        """What the text would go on with if it repeated itself: continuation [B, T] and match [B]; no recent tokens."""
        copies = state.copies
        return Lookback(copies.continuation[:, :0], copies.continuation[:, :COPY_TOKENS], copies.match)

    def _beyond(self, copies: Copies, k: int) -> Tensor:
        """[B] the looked-up token number k, where it has no draft id; else -1."""
        return torch.where(copies.found[:, k], -1, copies.continuation[:, k])

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
        match = F.one_hot(seen.match.clamp(max=self.config.lookup_match), self.config.lookup_match + 1).to(h.dtype)
        added: Tensor = self.context_out(F.silu(self.context_in(torch.cat((parts, match), dim=-1))))
        return h + added

    def _copies(self, seen: Lookback) -> Copies:
        ahead = seen.continuation[:, : self.config.lookup_tokens].contiguous()  # [B, C]
        row, found = self.draft_index(ahead)
        pull = row.new_empty(*row.shape, 0)
        if self.config.lookup_tokens:
            pull = self.lookup_w(self._embed_or_zero(ahead))
        return Copies(seen.continuation, seen.match, pull, row, found)
