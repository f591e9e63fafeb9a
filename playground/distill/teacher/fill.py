"""Fills the teacher's states: one forward of the base model over every row of a corpus.

Runs the transformers model itself, rows in batches, causal attention, no cache. Knows nothing of drafters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from playground.base_model.placement import device_of, weights_at_hand
from playground.distill.corpus.corpus import Corpus
from playground.distill.teacher.states import TeacherStates

BATCH_TOKENS = {"cpu": 2048}
"""Tokens of one forward where it is not 4,096: a CPU's caches hold the activations of half as many."""

_HEAD_ROWS = 512  # rows of logits at once, so that [rows, V] stays small


@torch.inference_mode()
def fill(
    model: Any,
    corpus: Corpus,
    states: TeacherStates,
    done: int,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Compute hidden states, taps and best next tokens from token `done` on; resumable after every batch.

    Args:
        model: a transformers causal language model with its own attention, in evaluation mode.
        done: tokens already filled, always the end of a row.
        report: called with tokens done and tokens in all.
    """
    first, device = int(np.searchsorted(corpus.starts, done)), device_of(model.get_input_embeddings())
    caught: dict[int, Tensor] = {}
    hooks = _tap(model, states.info.taps, caught)
    try:
        for rows in _row_batches(corpus, first, BATCH_TOKENS.get(device.type, 4096)):
            start, stop = int(corpus.starts[rows[0]]), int(corpus.starts[rows[-1] + 1])
            _fill_rows(model, corpus, states, caught, start, stop, len(rows))
            states.mark(stop)
            report(stop, corpus.tokens)
    finally:
        for hook in hooks:
            hook.remove()


def _row_batches(corpus: Corpus, first: int, most: int) -> list[list[int]]:
    """Neighbouring rows of equal length, up to `most` tokens together."""
    batches: list[list[int]] = []
    lengths = np.diff(corpus.starts)
    for row in range(first, corpus.rows):
        last = batches[-1] if batches else []
        if last and lengths[last[0]] == lengths[row] and (len(last) + 1) * lengths[row] <= most:
            last.append(row)
        else:
            batches.append([row])
    return batches


def _fill_rows(
    model: Any, corpus: Corpus, states: TeacherStates, caught: dict[int, Tensor], start: int, stop: int, rows: int
) -> None:
    device = device_of(model.get_input_embeddings())
    ids = torch.from_numpy(corpus.ids[start:stop].astype(np.int64)).view(rows, -1).to(device)
    hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state.flatten(0, 1)  # [tokens, H]
    states.hidden[start:stop] = _bits(hidden)
    for array, layer in zip(states.taps, states.info.taps, strict=True):
        array[start:stop] = _bits(caught[layer].flatten(0, 1))
    wanted = corpus.assistant[start:stop].copy()
    wanted[:-1] |= corpus.assistant[start + 1 : stop]  # the token before an assistant's token predicts it
    for part in np.array_split(np.nonzero(wanted)[0], max(1, int(wanted.sum()) // _HEAD_ROWS)):
        log_probabilities, best = _best(model, hidden[torch.from_numpy(part).to(hidden.device)], states.info.top_tokens)
        states.top_ids[start + part] = best.cpu().numpy()
        states.top_log_probabilities[start + part] = log_probabilities.cpu().half().numpy()


def _best(model: Any, hidden: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Log-probabilities and ids of the `count` best next tokens after hidden [R, H]: [R, k] each."""
    from playground.base_model.output_head import read_output_head

    head = model.get_output_embeddings()
    with weights_at_hand(head):
        whole = read_output_head(model.config.get_text_config(), head)
    logits = whole(hidden.to(whole.weight.device))
    values, ids = logits.topk(count, dim=-1, sorted=False)
    return values.float() - logits.float().logsumexp(-1, keepdim=True), ids


def _tap(model: Any, layers: tuple[int, ...], caught: dict[int, Tensor]) -> list[Any]:
    from playground.base_model.description import decoder_layers

    modules = decoder_layers(model, model.config.get_text_config().num_hidden_layers)

    def keep(layer: int) -> Callable[[Any, Any, Any], None]:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            caught[layer] = output[0] if isinstance(output, tuple) else output

        return hook

    return [modules[layer - 1].register_forward_hook(keep(layer)) for layer in layers]


def _bits(hidden: Tensor) -> np.ndarray:
    """[tokens, H] as bfloat16 bits."""
    low = hidden.to(torch.bfloat16).contiguous().cpu()
    return low.view(torch.int16).numpy().view(np.uint16)
