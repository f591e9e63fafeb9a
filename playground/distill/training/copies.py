"""How far repetition can be trusted: the chance that the next copied token is right, by how many tokens agree so far.

Counted on text that a base model wrote greedily, whichever drafter is trained on it: no drafter has a part in it. Knows
a corpus and the lookup.
"""

from __future__ import annotations

import numpy as np
import torch

from playground.config import COPY_TOKENS
from playground.distill.corpus.corpus import Corpus
from playground.drafter.config import COPY_CHANCES, DEFAULT_COPY_CHANCES
from playground.drafter.lookup import LONGEST_MATCH, look_back

PRIOR = 20.0
"""Weight of the default table against what was counted, in tokens: long matches are rare in a small corpus."""


def copy_chances(corpus: Corpus, limit: int = 400_000) -> tuple[float, ...]:
    """The table of a drafter's config, from up to `limit` tokens of greedy rows; the default where there are none.

    Every place before a token of the assistant's is looked up, and its continuation followed while it is right: a try
    at each step, under the number of tokens that agree by then.
    """
    hits, tries = np.zeros((2, COPY_CHANCES))
    seen = 0
    for start, stop in zip(corpus.starts[:-1], corpus.starts[1:], strict=True):
        if seen >= limit:
            break
        if corpus.greedy[start] and stop - start > 2:
            seen += int(stop - start)
            row = torch.from_numpy(corpus.ids[start:stop].astype(np.int64))
            right, tried = _count(row, torch.from_numpy(corpus.assistant[start:stop]))
            hits, tries = hits + right, tries + tried
    chances = (hits + PRIOR * np.array(DEFAULT_COPY_CHANCES)) / (tries + PRIOR)
    return (0.0, *(round(float(chance), 4) for chance in chances[1:]))


def _count(row: torch.Tensor, assistant: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Tries that were right, and all, by tokens that agreed: [COPY_CHANCES] each, of one row [T]."""
    roots = torch.nonzero(assistant[1:])[:, 0]  # [B], places before a token of the assistant's
    found = look_back(row, roots, recent=0, continuation=COPY_TOKENS, longest=LONGEST_MATCH)
    ahead = roots[:, None] + torch.arange(1, COPY_TOKENS + 1)  # [B, C]
    inside = ahead < len(row)
    told = assistant[ahead.clamp_max(len(row) - 1)] & inside
    right = (found.continuation == row[ahead.clamp_max(len(row) - 1)]) & told
    so_far = torch.cat((torch.ones(len(roots), 1, dtype=torch.bool), right[:, :-1]), dim=1).to(torch.int64).cumprod(-1)
    tried = (so_far > 0) & told & (found.match > 0)[:, None]
    agreed = (found.match[:, None] + torch.arange(COPY_TOKENS)).clamp_max(COPY_CHANCES - 1)
    hits = torch.bincount(agreed[tried & right], minlength=COPY_CHANCES)
    return hits.numpy(), torch.bincount(agreed[tried], minlength=COPY_CHANCES).numpy()
