"""transformers' own generate on the same weights, device and dtype: the plain decoding everyone else has.

Knows stock models only, and nothing of our cache or lanes, so that it is an independent yardstick.
"""

from __future__ import annotations

import time

import torch

from playground.base_model.stock import load_transformers_model
from playground.config import DeviceMap
from playground.sources.catalogue import ModelFolder


class StockGenerate:
    """A stock model with its stock attention and cache, greedy."""

    def __init__(
        self, folder: ModelFolder, device: torch.device, dtype: torch.dtype, device_map: DeviceMap | None = None
    ) -> None:
        self._model = load_transformers_model(folder, device=device, dtype=dtype, device_map=device_map)
        self._device = device

    def tokens_per_second(self, prompt_ids: list[int], new_tokens: int) -> float:
        """Rate after the prompt: the time for `new_tokens` less the time for the first, over the others."""
        first_ms, _ = self._timed(prompt_ids, 1)
        all_ms, written = self._timed(prompt_ids, new_tokens)
        return (written - 1) * 1e3 / (all_ms - first_ms) if written > 1 and all_ms > first_ms else 0.0

    def _timed(self, prompt_ids: list[int], new_tokens: int) -> tuple[float, int]:
        """(ms, tokens written); reading the ids back waits for the device."""
        ids = torch.tensor([prompt_ids], device=self._device)
        start = time.perf_counter()
        with torch.inference_mode():
            out = self._model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=new_tokens, do_sample=False, pad_token_id=0
            )
        written = len(out[0].tolist()) - len(prompt_ids)
        return (time.perf_counter() - start) * 1e3, written
