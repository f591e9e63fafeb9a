"""A tiny random base model on disk, with a byte-level tokenizer, and a drafter for it: loads in a moment."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from playground.drafter.cell import Drafter
from playground.drafter.config import DrafterConfig
from playground.sources.tokenizer import byte_level_table

VOCABULARY = 259  # 256 bytes and three special tokens
HIDDEN = 32
WINDOW = 200
TEMPLATE = (
    "{% for message in messages %}<|start|>{{ message['role'] }}\n{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


def write_base(
    folder: Path,
    *,
    chat: bool = True,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    hidden: int = HIDDEN,
    inner: int = 48,
) -> Path:
    """A two-layer Llama and its tokenizer as transformers saves them."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        intermediate_size=inner,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=WINDOW,
        bos_token_id=256,
        eos_token_id=258,
        initializer_range=0.3,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).to(dtype).save_pretrained(folder)
    tokenizer(chat=chat).save_pretrained(folder)
    return folder


def tokenizer(*, chat: bool) -> PreTrainedTokenizerFast:
    """One token a byte, and <|start|>, <|pad|>, <|end|>."""
    backend = Backend(models.BPE({char: byte for char, byte in byte_level_table().items()}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(["<|start|>", "<|pad|>", "<|end|>"])
    made = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<|start|>", pad_token="<|pad|>", eos_token="<|end|>"
    )
    made.chat_template = TEMPLATE if chat else None
    return made


def tiny_drafter(seed: int = 1, hidden: int = HIDDEN) -> Drafter:
    """An untrained drafter with a draft vocabulary and a tied head; its proposals are as good as random."""
    torch.manual_seed(seed)
    config = DrafterConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        exit_dim=24,
        num_draft_layers=1,
        draft_vocab_size=64,
        tied_head=True,
        logit_cut=0,
    )
    return Drafter(config, name="untrained")
