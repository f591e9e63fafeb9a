"""transformers' own generate on the same weights, device and dtype: the plain decoding everyone else has.

Knows transformers only, and nothing of our cache or lanes, so that it is an independent yardstick.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch


class StockGenerate:
    """A stock model with its stock attention and cache, greedy."""

    def __init__(self, folder: Path, device: torch.device, dtype: torch.dtype) -> None:
        from transformers import AutoModelForCausalLM

        loader: Any = AutoModelForCausalLM
        self._model = loader.from_pretrained(str(folder), dtype=dtype, local_files_only=True).to(device).eval()
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
