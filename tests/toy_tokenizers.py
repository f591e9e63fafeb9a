"""Two tiny tokenizers, one for each way vocabularies spell bytes."""

from __future__ import annotations

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

TEXTS = [
    "the quick brown fox jumps over the lazy dog",
    "naïve café — 日本語のテキスト 😀😀",
    "def f(x):\n\treturn x  # tab",
]
TEMPLATE = (
    "{% for m in messages %}<|start|>{{ m['role'] }}\n{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


def byte_level_tokenizer() -> PreTrainedTokenizerFast:
    """GPT-2's spelling: every byte a printable character."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=340, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<|end|>", "<|start|>"]
    )
    backend.train_from_iterator(TEXTS, trainer)
    backend.add_tokens([AddedToken("    ", normalized=False), AddedToken("é!", normalized=False)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|end|>", bos_token="<|start|>")
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def byte_fallback_tokenizer() -> PreTrainedTokenizerFast:
    """SentencePiece's spelling: U+2581 for a space, <0xE2> for bytes the vocabulary has no piece for."""
    pieces = ["<unk>", "<s>", "</s>", *[f"<0x{byte:02X}>" for byte in range(256)], "▁", *"abcdefghijklmnopqrstuvwxyz"]
    backend = Tokenizer(
        models.BPE(
            {piece: index for index, piece in enumerate([*pieces, "▁t", "he", "▁the"])},
            [("▁", "t"), ("h", "e"), ("▁t", "he")],
            byte_fallback=True,
            unk_token="<unk>",
        )
    )
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", bos_token="<s>", eos_token="</s>")
