"""How a drafter would do on text already written: acceptance and tokens per step, without running the base model.

Greedy output does not depend on the beam shape, so the text a base model wrote greedily tells what every
draft would have got accepted. Exact for greedy rows; the fast yardstick of training, `evaluate` measures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from playground.config import COPY_TOKENS, DEFAULT_NODES, BeamShape
from playground.distill.corpus.corpus import Corpus
from playground.distill.training.batches import BatchSource, lookbacks
from playground.distill.training.simulate_tree import Places, accepted_by_budget
from playground.drafter.cell import Drafter


@dataclass(frozen=True)
class Simulated:
    """What a drafter would reach on held-out greedy text."""

    top1: tuple[float, ...]  # [K] share of teacher-forced steps whose best token is the text's
    tokens_per_step: dict[str, float]  # by the shape in words
    tokens_per_step_no_loops: dict[str, float]
    steps: int


_AT_ONCE = 256
HELD_OUT_PLACES = 2500
"""At most, of one measurement."""


def held_out_places(corpus: Corpus, length: int, limit: int = HELD_OUT_PLACES) -> Tensor:
    """Places in held-out greedy rows from which `length` tokens are the assistant's own, row after row."""
    stop = corpus.tokens - length - 2
    good = np.zeros(corpus.tokens, bool)
    good[:stop] = (corpus.held_out & corpus.greedy)[:stop] & (corpus.row[:stop] == corpus.row[length + 2 :])
    for ahead in range(1, length + 2):
        good[:stop] &= corpus.assistant[ahead : stop + ahead]
    return torch.from_numpy(np.nonzero(good)[0][:limit])


@torch.inference_mode()
def simulate(
    drafter: Drafter,
    source: BatchSource,
    corpus: Corpus,
    shapes: tuple[BeamShape, ...],
    limit: int = HELD_OUT_PLACES,
    tick: Callable[[], None] = lambda: None,
) -> Simulated:
    """Measure on up to `limit` held-out places; all zero where there are none.

    A budget of "auto" counts as `DEFAULT_NODES`: there is no machine here whose costs it could go by.

    Args:
        tick: called now and then; may raise.
    """
    longest = max(shape.depth for shape in shapes)
    places = held_out_places(corpus, max(longest, source.unroll), limit)
    if not len(places):
        nothing = {shape_name(shape): 0.0 for shape in shapes}
        return Simulated((0.0,) * source.unroll, nothing, dict(nothing), 0)
    looped = torch.from_numpy(corpus.looped())
    rates, rates_no_loops = {}, {}
    steps = 0
    for shape in shapes:
        found = []
        for part in places.split(_AT_ONCE):
            found.append(accepted_at(drafter, source, part, shape, corpus).cpu())
            tick()
        accepted = torch.cat(found)
        every, clean, steps = _walk(places, accepted, looped)
        rates[shape_name(shape)], rates_no_loops[shape_name(shape)] = every, clean
    return Simulated(_top1(drafter, source, places), rates, rates_no_loops, steps)


def shape_name(shape: BeamShape) -> str:
    """A shape in words, its copy tail too."""
    return f"{shape}{'' if shape.nodes is None or shape.copy_tail else ' no tail'}"


def accepted_at(drafter: Drafter, source: BatchSource, places: Tensor, shape: BeamShape, corpus: Corpus) -> Tensor:
    """[B] accepted drafted tokens of a draft from each place."""
    if shape.nodes is None:
        return _accepted(drafter, source, places, shape)
    batch = source.at(places).to(drafter.device)
    truth = source.tokens(places[:, None] + torch.arange(2, shape.depth + 2))  # [B, D]
    seen = lookbacks(corpus, places + 1, recent=source.config.context_tokens, continuation=COPY_TOKENS)
    found = Places(batch.hidden, seen.to(drafter.device), batch.tokens[:, 0], truth.to(drafter.device))
    nodes = DEFAULT_NODES if isinstance(shape.nodes, str) else shape.nodes
    return accepted_by_budget(drafter, found, shape, [nodes])[0]


def _top1(drafter: Drafter, source: BatchSource, places: Tensor) -> tuple[float, ...]:
    hits = torch.zeros(source.unroll, dtype=torch.float64)
    for part in places.split(512):
        batch = source.at(part).to(drafter.device)
        state = drafter.begin(batch.hidden, batch.seen)
        for k in range(source.unroll):
            state, logits = drafter.advance(state, batch.tokens[:, k])
            best = drafter.full_tokens(state, logits.argmax(-1)[:, None])[:, 0]
            hits[k] += (best == batch.labels[:, k]).sum().item()
    return tuple((hits / max(len(places), 1)).tolist())


def _accepted(drafter: Drafter, source: BatchSource, places: Tensor, shape: BeamShape) -> Tensor:
    """[B] accepted drafted tokens of a beam search from each place."""
    width, length = shape.width, shape.length
    batch = source.at(places).to(drafter.device)
    count = len(places)
    truth = source.tokens(places[:, None] + torch.arange(2, length + 2)).to(drafter.device)  # [B, L]
    state, logits = drafter.advance(drafter.begin(batch.hidden, batch.seen), batch.tokens[:, 0])
    scores, tokens = logits.float().log_softmax(-1).topk(min(width, logits.shape[1]), dim=-1)  # [B, W]
    width = scores.shape[1]
    rows = torch.arange(count, device=drafter.device)[:, None]
    beams = drafter.full_tokens(state, tokens)[..., None]  # [B, W, 1]
    state = state.select(rows.expand(-1, width).reshape(-1))
    for _ in range(1, length):
        state, logits = drafter.advance(state, beams[..., -1].reshape(-1))
        best_logits, best_tokens = logits.topk(width, dim=-1)  # [B W, W]: no beam can place more
        gains = best_logits.float() - logits.float().logsumexp(-1, keepdim=True)
        scores, flat = (scores[..., None] + gains.view(count, width, width)).flatten(1).topk(width, dim=-1)
        beam, full = flat // width, drafter.full_tokens(state, best_tokens)
        token = full.view(count, -1).gather(1, flat)
        beams = torch.cat((beams[rows, beam], token[..., None]), dim=-1)
        state = state.select((rows * width + beam).reshape(-1))
    prefix = (beams == truth[:, None]).long().cumprod(-1).sum(-1).max(-1).values
    return prefix


def _walk(places: Tensor, accepted: Tensor, looped: Tensor) -> tuple[float, float, int]:
    """Tokens per step of decoding through the places: over all, and over tokens outside loops.

    Outside loops a step counts by the share of its tokens that are not in a loop.
    """
    following = dict(zip(places.tolist(), accepted.tolist(), strict=True))
    steps = emitted = 0
    clean_steps = clean_emitted = 0.0
    place = int(places[0]) if len(places) else 0
    last = int(places[-1]) if len(places) else -1
    while place <= last:
        if place not in following:
            place += 1
            continue
        gained = following[place] + 1
        outside = int((~looped[place + 2 : place + 2 + gained]).sum())
        steps, emitted = steps + 1, emitted + gained
        clean_steps, clean_emitted = clean_steps + outside / gained, clean_emitted + outside
        place += gained
    return emitted / max(steps, 1), clean_emitted / max(clean_steps, 1e-9), steps
