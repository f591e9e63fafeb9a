"""Where the present place in a text was seen before, and what followed there.

A small language model repeats itself and its prompt; this finds the latest earlier place whose last
tokens match the present ones, for the drafter to learn how far to trust it, and for a copy tail. Knows token ids only.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

LONGEST_MATCH = 16
"""Tokens up to which matches are told apart: the longest is taken, then the latest."""

_BEFORE = -2  # stands before the text and equals nothing, not even the -1 of no token


@dataclass(frozen=True)
class Lookback:
    """What a drafter reads off the text before it drafts; -1 stands for no token."""

    recent: Tensor  # [Q, T] int64, the latest tokens, the present one last
    continuation: Tensor  # [Q, C] int64, what followed the match
    match: Tensor  # [Q] int64, length of the match in tokens, 0 for none

    def to(self, device: torch.device) -> Lookback:
        return Lookback(self.recent.to(device), self.continuation.to(device), self.match.to(device))


def look_back(tokens: Tensor, positions: Tensor, *, recent: int, continuation: int, longest: int) -> Lookback:
    """Read recent tokens and the continuation of the longest, then latest, earlier match.

    Args:
        tokens: [S] int64; entries after a query's position are not looked at by that query.
        positions: [Q] int64, index of each query's present token.
        recent: T, tokens to give back.
        continuation: C, tokens to read off behind the match.
        longest: matches are counted up to this many tokens.

    Returns:
        Lookback of [Q, T], [Q, C] and [Q]. Sync-free, fixed shapes.
    """
    slots = torch.arange(tokens.shape[0], device=tokens.device)  # [S]
    here = positions[:, None]  # [Q, 1]
    span = max(recent, longest if continuation else 0)
    latest = _read(tokens, here - torch.arange(span - 1, -1, -1, device=tokens.device), here)  # [Q, span]
    recent_tokens = latest[:, span - recent :]
    if continuation == 0:
        none = torch.empty(len(positions), 0, dtype=torch.int64, device=tokens.device)
        return Lookback(recent_tokens, none, torch.zeros_like(positions))
    running = slots < here  # [Q, S]
    length = torch.zeros_like(running, dtype=torch.int64)
    padded = F.pad(tokens, (longest, 0), value=_BEFORE)
    for offset in range(longest):
        present = latest[:, span - 1 - offset : span - offset]  # [Q, 1]
        earlier = padded[longest - offset : longest - offset + len(tokens)]  # [S]
        running = running & (earlier == present)
        length += running
        if running.device.type == "cpu" and not running.any():  # asking costs nothing there
            break
    best = (length * tokens.shape[0] + slots).argmax(-1)  # longest match, then the latest
    match = length.gather(1, best[:, None])[:, 0]
    # the text after the match ends at the present token; reading on from the match again keeps short loops whole
    period = (positions - best).clamp(min=1)[:, None]
    ahead = best[:, None] + 1 + torch.arange(continuation, device=tokens.device) % period
    followed = torch.where(match[:, None] > 0, tokens[ahead.clamp(max=tokens.shape[0] - 1)], -1)
    return Lookback(recent_tokens, followed, match)


def _read(tokens: Tensor, index: Tensor, last: Tensor) -> Tensor:
    """tokens[index], -1 where the index lies before the text or after `last`."""
    inside = (index >= 0) & (index <= last)
    return torch.where(inside, tokens[index.clamp(0, tokens.shape[0] - 1)], -1)
