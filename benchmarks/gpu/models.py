"""Random models of known shapes, drafters for them, and programs set up at a context length without a prompt."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.gpu.report import device
from playground.base_model.adapter import BaseModel
from playground.base_model.pairing import pair_drafter
from playground.config import BeamShape, Sampling
from playground.decode.decoding import Decoding, Drafting
from playground.decode.replay.program import Program
from playground.drafter.cell import Drafter
from playground.drafter.config import DrafterConfig


@dataclass(frozen=True)
class Shape:
    """A Llama's dimensions."""

    vocab: int
    hidden: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    tied: bool = False


SHAPES = {
    "llama-2-7b": Shape(32_000, 4096, 11_008, 32, 32, 32),
    "llama-1b": Shape(128_256, 2048, 8192, 16, 32, 8, tied=True),
    "smollm2-135m": Shape(49_152, 576, 1536, 30, 9, 3, tied=True),
    "tiny": Shape(300, 32, 48, 2, 4, 2),
}


def stock_model(shape: Shape, dtype: torch.dtype, window: int = 40_000) -> Any:
    """A transformers Llama with random weights, made on the device."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=shape.vocab,
        hidden_size=shape.hidden,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=window,
        tie_word_embeddings=shape.tied,
        eos_token_id=None,
        pad_token_id=None,
    )
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with device():
            model = LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(before)
    return model.eval().requires_grad_(False)


def weight_bytes(model: Any) -> int:
    """Bytes a forward reads: every weight but a separate input embedding's."""
    total = sum(part.numel() * part.element_size() for part in model.parameters())
    inputs, outputs = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    return total if inputs is outputs else total - inputs.numel() * inputs.element_size()


def random_drafter(base: BaseModel, draft_vocabulary: int) -> Drafter:
    """The paper's drafter with a tied head over a draft vocabulary, untrained."""
    config = DrafterConfig(
        base.vocab_size,
        base.hidden_size,
        2 * base.hidden_size,
        draft_vocab_size=min(draft_vocabulary, base.vocab_size),
        tied_head=True,
        logit_cut=0,
    )
    return pair_drafter(Drafter(config), base)


@torch.inference_mode()
def plain_at(base: BaseModel, context: int) -> Program:
    """A plain program as if `context` tokens had been read."""
    program = Program(Decoding(base, Sampling()), context + 512)
    _fill(program.stages.cache, context)
    program.prepare()
    return program


@torch.inference_mode()
def drafting_at(base: BaseModel, drafter: Drafter, shape: BeamShape, context: int) -> Program:
    """A drafting program as if `context` tokens had been read."""
    program = Program(Decoding(base, Sampling(), Drafting(drafter, shape)), context + 512 + shape.max_nodes)
    _fill(program.stages.cache, context)
    program.stages.last_position.fill_(context + 400)
    program.stages.hidden.normal_()
    program.prepare()
    return program


def _fill(cache: Any, context: int) -> None:
    for buffer in (*cache.keys, *cache.values):
        buffer[:, :context].normal_()
    cache.extend(context)


def free() -> None:
    """Give memory back between models."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
