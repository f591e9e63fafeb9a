"""One drafter out of several: the mean of their weights, as model soups do (Wortsman et al., arXiv 2203.05482).

Ends of one run that cooled down at different times, or in different orders, err in different ways; their mean errs less
and costs no more to run. Knows checkpoints; nothing of base models, corpora or what the mean is worth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch

from playground.config import PlaygroundError
from playground.drafter.cell import Drafter
from playground.drafter.file import WEIGHTS_FILE, file_hash, load_drafter


def average(folders: Sequence[Path], shares: Sequence[float] | None = None) -> Drafter:
    """The mean drafter of the checkpoints in `folders`, in float32.

    Args:
        shares: how much each counts, in any unit; equally much if None.

    Raises:
        PlaygroundError: fewer than two, shares that do not fit, or drafters that cannot be averaged.
    """
    if len(folders) < 2:
        raise PlaygroundError(f"{len(folders)} drafter was given, but a mean needs at least 2. Name more folders.")
    weights = _weights(shares, len(folders))
    members = [load_drafter(folder).float() for folder in folders]
    mean, *others = members
    for folder, other in zip(folders[1:], others, strict=True):
        _require_alike(mean, other, folders[0], folder)
    states = [member.state_dict() for member in members]
    with torch.no_grad():
        for name, value in mean.state_dict().items():
            if value.is_floating_point():
                value.copy_(sum(share * state[name] for share, state in zip(weights, states, strict=True)))
    return mean


def average_card(out: Path, folders: Sequence[Path], shares: Sequence[float] | None = None) -> str:
    """The mean's model card, Markdown: its members, their files and how much each counts."""
    rows = [
        f"| {folder.resolve().name} | {share:.1%} | {file_hash(folder / WEIGHTS_FILE)[:16]} |"
        for folder, share in zip(folders, _weights(shares, len(folders)), strict=True)
    ]
    return "\n".join(
        (
            f"# {out.resolve().name}: the mean of {len(folders)} recurrent drafters",
            "",
            "Its weights are the mean of those of drafters from one training run (model soups, arXiv 2203.05482).",
            "What it is worth is not measured yet: `python -m playground evaluate --drafter DIR --prompts FILE`.",
            "",
            "| member | share | SHA-256 of its weights begins |",
            "|---|---|---|",
            *rows,
            "",
        )
    )


def _weights(shares: Sequence[float] | None, count: int) -> list[float]:
    if shares is None:
        return [1.0 / count] * count
    if len(shares) != count:
        raise PlaygroundError(f"{len(shares)} shares were given for {count} drafters. Give one number for each folder.")
    if not all(math.isfinite(share) and share > 0 for share in shares):
        raise PlaygroundError(
            f"Shares are {', '.join(f'{share:g}' for share in shares)}, but each must be a number above 0. "
            "Leave a drafter out instead of giving it nothing."
        )
    return [share / sum(shares) for share in shares]


def _require_alike(first: Drafter, other: Drafter, first_folder: Path, folder: Path) -> None:
    """A mean of weights means something only where each weight does the same work in every member."""
    remedy = "Average drafters that grew from one training run."
    if other.config != first.config:
        ours, theirs = first.config.to_json(), other.config.to_json()
        key = next(key for key in ours if ours[key] != theirs.get(key))
        raise PlaygroundError(f"{folder} has {key} {theirs.get(key)!r}, but {first_folder} has {ours[key]!r}. {remedy}")
    if first.full_ids is not None and not torch.equal(first.full_ids, other.full_ids):  # type: ignore[arg-type]
        raise PlaygroundError(f"{folder} drafts from another vocabulary than {first_folder}. {remedy}")
