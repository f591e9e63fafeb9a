"""A tiny tree against the stock forward, at every load: what flags and probe cannot see shows here as wrong logits.

Uses only a base model's public surface. Does not know why a family might fail.
"""

from __future__ import annotations

import torch

from playground.base_model.types import TreeModel
from playground.config import PlaygroundError

_PROMPT = 4
_PARENT = (-1, 0, 1, 0, 3)  # the root, then two branches of two
_BRANCHES = ((0, 1, 2), (0, 3, 4))
_WRONG = {torch.float64: 1e-3, torch.float32: 1e-2}  # relative; a tree gone wrong is off by about 1
_WRONG_HALF = 0.25  # half precision rounds differently by a few per cent


def check_tokens(vocab_size: int, device: torch.device) -> torch.Tensor:
    """The prompt's, the tree's and one more token, spread over the vocabulary, [10]."""
    count = _PROMPT + len(_PARENT) + 1
    return torch.arange(1, count + 1, device=device) * vocab_size // (count + 2)


def branches(tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The two texts the tree stands for, the second with the token that follows its commit, [7] and [8]."""
    prompt, tree, last = tokens[:_PROMPT], tokens[_PROMPT:-1], tokens[-1:]
    left, right = (torch.cat([prompt, tree[list(branch)]]) for branch in _BRANCHES)
    return left, torch.cat([right, last])


def self_check(base: TreeModel, tokens: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> None:
    """Verify the tree, commit a branch, verify one more token, and compare with the stock model.

    Args:
        tokens: of `check_tokens`. left, right: [7, V] and [8, V], the stock model's logits on `branches(tokens)`.

    Raises:
        PlaygroundError: the logits differ by more than rounding.
    """
    device = base.device
    nodes = len(_PARENT)
    cache = base.new_cache(len(tokens))
    depth = torch.tensor([0, 1, 2, 1, 2], device=device)
    ancestors = torch.eye(nodes, dtype=torch.bool, device=device)
    for node, parent in enumerate(_PARENT[1:], start=1):
        ancestors[node] |= ancestors[parent]
    root = torch.zeros(1, dtype=torch.int64, device=device)

    got = [base.prefill(tokens[:_PROMPT], cache).logits]
    tree = base.forward(tokens[_PROMPT:-1], depth, ancestors, cache).logits
    cache.commit(torch.tensor(_BRANCHES[1], device=device))
    got += [tree, base.forward(tokens[-1:], root, ancestors[:1, :1], cache).logits]
    expected = [left[_PROMPT - 1 : _PROMPT + 3], right[_PROMPT + 1 :]]  # prompt's last, root, nodes 1 2; 3 4; last
    _require_close(base, torch.cat(got), torch.cat(expected).to(device))


def _require_close(base: TreeModel, got: torch.Tensor, expected: torch.Tensor) -> None:
    got, expected = got.double(), expected.double()
    if not bool(torch.isfinite(expected).all()):
        raise PlaygroundError(
            f"{base.name} gives logits that are not finite in {str(base.dtype).removeprefix('torch.')}. "
            "Choose another dtype: float32, or bfloat16."
        )
    spread = (expected - expected.mean(-1, keepdim=True)).square().mean().sqrt()
    error = float((got - expected).square().mean().sqrt() / spread)
    limit = _WRONG.get(base.dtype, _WRONG_HALF)
    if not error <= limit:
        raise PlaygroundError(
            f"{base.name} (family {base.info().family!r}) gives other logits on a tree than on its branches alone: "
            f"off by {error:.2g} of their spread, where {limit:g} is allowed. Its layers keep something besides keys "
            "and values, so drafts cannot be verified. Choose a model of another family."
        )
