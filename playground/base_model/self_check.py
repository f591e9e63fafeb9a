"""A tiny tree against the stock forward, at every load: what flags and probe cannot see shows here as wrong logits.

Half precision rounds, in some models by a third of what the logits differ by, so an error that is large in it proves
nothing: it is settled in float32. Uses only a base model's public surface. Does not know why a family might fail.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch

from playground.base_model.types import TreeModel
from playground.config import PlaygroundError

_PROMPT = 4
_PARENT = (-1, 0, 1, 0, 3)  # the root, then two branches of two
_BRANCHES = ((0, 1, 2), (0, 3, 4))
_COUNT = _PROMPT + len(_PARENT) + 1
_WRONG = {torch.float64: 1e-3, torch.float32: 1e-2}  # relative; a tree gone wrong is off by about 1
_WRONG_HALF = 0.25  # half precision rounds differently by a few per cent
_MORE_THAN_NOISE = 2.0  # times what the stock model's own attention implementations differ by

# Real text: on tokens without meaning some models round ten times as much. What is read of it are ten tokens.
TEXT = "The old lighthouse keeper climbed the stairs every evening to light the lamp, and the ships came home."

StockLogits = Callable[[torch.Tensor, str], torch.Tensor]  # tokens [n], an attention implementation -> [n, V]


def check_tokens(ids: Sequence[int] | None, vocab_size: int, device: torch.device) -> torch.Tensor:
    """The prompt's, the tree's and one more token, [10]: `ids`, or spread over the vocabulary where they do not do."""
    if ids is not None and len(ids) >= _COUNT and max(ids[:_COUNT]) < vocab_size:
        return torch.tensor(ids[:_COUNT], device=device)
    return torch.arange(1, _COUNT + 1, device=device) * vocab_size // (_COUNT + 2)


def branches(tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The two texts the tree stands for, the second with the token that follows its commit, [7] and [8]."""
    prompt, tree, last = tokens[:_PROMPT], tokens[_PROMPT:-1], tokens[-1:]
    left, right = (torch.cat([prompt, tree[list(branch)]]) for branch in _BRANCHES)
    return left, torch.cat([right, last])


def tree_logits(base: TreeModel, tokens: torch.Tensor) -> torch.Tensor:
    """Verify the tree, commit a branch, verify one more token: logits [7, V] of prompt's last, nodes, last."""
    device, nodes = base.device, len(_PARENT)
    cache = base.new_cache(len(tokens))
    depth = torch.tensor([0, 1, 2, 1, 2], device=device)
    ancestors = torch.eye(nodes, dtype=torch.bool, device=device)
    for node, parent in enumerate(_PARENT[1:], start=1):
        ancestors[node] |= ancestors[parent]
    root = torch.zeros(1, dtype=torch.int64, device=device)
    got = [base.prefill(tokens[:_PROMPT], cache).logits]
    tree = base.forward(tokens[_PROMPT:-1], depth, ancestors, cache).logits
    cache.commit(torch.tensor(_BRANCHES[1], device=device))
    return torch.cat([*got, tree, base.forward(tokens[-1:], root, ancestors[:1, :1], cache).logits])


def branch_logits(stock: StockLogits, tokens: torch.Tensor, attention: str = "eager") -> torch.Tensor:
    """What `tree_logits` should be, from the stock model over each branch as a text, [7, V]."""
    left, right = (stock(text, attention) for text in branches(tokens))
    return torch.cat([left[_PROMPT - 1 : _PROMPT + 3], right[_PROMPT + 1 :]])


def distance(got: torch.Tensor, expected: torch.Tensor) -> float:
    """Root mean square difference in units of the expected logits' spread."""
    got, expected = got.double(), expected.to(got.device).double()
    spread = (expected - expected.mean(-1, keepdim=True)).square().mean().sqrt()
    return float((got - expected).square().mean().sqrt() / spread)


def self_check(
    base: TreeModel,
    tokens: torch.Tensor,
    expected: torch.Tensor,
    stock: StockLogits,
    widened: AbstractContextManager[None] | None,
) -> float:
    """Compare the tree with the stock model; how far they are apart.

    Args:
        tokens: of `check_tokens`. expected: of `branch_logits`.
        widened: makes the model compute in float32 inside it; None where it does already, or cannot.

    Raises:
        PlaygroundError: the logits differ by more than rounding.
    """
    _require_finite(base, expected)
    error, limit = distance(tree_logits(base, tokens), expected), _WRONG.get(base.dtype, _WRONG_HALF)
    if error <= limit:
        return error
    if widened is not None:
        with widened:
            exact = distance(tree_logits(base, tokens), branch_logits(stock, tokens))
        if exact <= _WRONG[torch.float32]:
            return error
        raise _refusal(
            base, f"off by {exact:.2g} of their spread in float32, where {_WRONG[torch.float32]:g} is allowed"
        )
    if base.dtype.itemsize == 2:
        noise = distance(branch_logits(stock, tokens, "sdpa"), expected)
        if error <= _MORE_THAN_NOISE * noise:
            return error
        limit = max(limit, _MORE_THAN_NOISE * noise)
    raise _refusal(base, f"off by {error:.2g} of their spread, where {limit:g} is allowed")


def check_again(base: TreeModel, tokens: torch.Tensor, expected: torch.Tensor, error: float) -> None:
    """The same tree once kernels of ours run inside the model: no further from the stock model than rounding goes.

    Args:
        error: what `self_check` found before.

    Raises:
        PlaygroundError: they are further apart.
    """
    limit = max(_WRONG.get(base.dtype, _WRONG_HALF), _MORE_THAN_NOISE * error)
    found = distance(tree_logits(base, tokens), expected)
    if not found <= limit:
        raise PlaygroundError(
            f"{base.name} (family {base.info().family!r}) gives other logits with our kernels in its modules: off by "
            f"{found:.2g} of their spread, where {limit:.2g} is allowed. Use --kernels reference or dtype float32."
        )


def _require_finite(base: TreeModel, logits: torch.Tensor) -> None:
    if not bool(torch.isfinite(logits).all()):
        raise PlaygroundError(
            f"{base.name} gives logits that are not finite in {str(base.dtype).removeprefix('torch.')}. "
            "Choose another dtype: float32, or bfloat16."
        )


def _refusal(base: TreeModel, found: str) -> PlaygroundError:
    return PlaygroundError(
        f"{base.name} (family {base.info().family!r}) gives other logits on a tree than on its branches alone: "
        f"{found}. Compared were ten tokens, as a tree over our cache and as two texts through the stock model. Its "
        "layers keep something besides keys and values, so drafts cannot be verified. Choose a model of another family."
    )
