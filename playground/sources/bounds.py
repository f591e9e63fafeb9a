"""What a model's config.json may ask for: numbers within what models have, so that nothing absurd is ever allocated.

The bounds lie several times beyond the largest models there are. What a config asks for must also be in its weight
files: `require_weights` compares the two before anything is loaded. Knows configs and the headers of weight files.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from playground.config import PlaygroundError, shown

MAX_CONFIG_BYTES: Final = 4 * 2**20
MAX_TENSORS: Final = 200_000  # in the weight files together
_MAX_DEPTH = 8  # of objects inside objects
_MAX_ENTRIES = 20_000  # of a list or an object
_WIDTH, _LENGTH = 2**20, 2**27
_WHOLE: Final[Mapping[str, tuple[int, int]]] = {
    **dict.fromkeys(("vocab_size",), (1, 2**23)),
    **dict.fromkeys(("hidden_size", "n_embd", "d_model"), (1, 2**17)),
    **dict.fromkeys(("intermediate_size", "moe_intermediate_size", "n_inner", "ffn_dim"), (1, _WIDTH)),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "num_layers"), (1, 512)),
    **dict.fromkeys(("num_attention_heads", "num_key_value_heads", "n_head"), (1, 1024)),
    **dict.fromkeys(("head_dim",), (1, 4096)),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx"), (2, _LENGTH)),
    **dict.fromkeys(("sliding_window", "max_window_layers"), (0, _LENGTH)),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "num_experts_per_tok"), (0, 4096)),
}
_DTYPES = frozenset({"float32", "bfloat16", "float16", "float64"})
_NUMBERS = ("rope_theta", "rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "attention_dropout", "rotary_pct")


def check_bounds(config: Mapping[str, Any], name: str) -> None:
    """Refuse a config whose numbers no model has.

    Raises:
        PlaygroundError: the key, its value and what it may be.
    """
    for problem in _problems(config, "", 0):
        raise PlaygroundError(f"{name} could not be loaded: its config.json has {problem}. Download or save it again.")


def require_weights(wanted: int, folder: Path, name: str) -> None:
    """Refuse a config that asks for far more parameters than the weight files hold.

    Raises:
        PlaygroundError: both numbers.
    """
    stored = stored_parameters(folder, name)
    if wanted > 1.5 * stored + 1024:
        raise PlaygroundError(
            f"{name} could not be loaded: its config.json asks for {wanted:,} parameters, but its weight files hold "
            f"{stored:,}. Download or save it again."
        )


def stored_parameters(folder: Path, name: str) -> int:
    """Parameters in a folder's safetensors files, by their headers.

    Raises:
        PlaygroundError: more tensors than a model has.
    """
    from safetensors import safe_open

    tensors = parameters = 0
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="numpy") as opened:
            keys = opened.keys()
            tensors += len(keys)
            if tensors > MAX_TENSORS:
                raise PlaygroundError(f"{name} has more than {MAX_TENSORS:,} tensors. Choose another model.")
            parameters += sum(math.prod(opened.get_slice(key).get_shape()) for key in keys)
    return parameters


def _problems(config: Mapping[str, Any], where: str, depth: int) -> Iterator[str]:
    """What is wrong in an object of a config and in those inside it."""
    if depth > _MAX_DEPTH or len(config) > _MAX_ENTRIES:
        yield f"objects more than {_MAX_DEPTH} deep or of more than {_MAX_ENTRIES:,} entries"
        return
    for key, value in config.items():
        said = f"{where}{key[:60]} = {shown(value)}"
        if key in _WHOLE and value is not None and not _is_whole(value, *_WHOLE[key]):
            yield f"{said}, but it must be a whole number from {_WHOLE[key][0]} to {_WHOLE[key][1]:,}"
        elif key in _NUMBERS and value is not None and not _is_number(value):
            yield f"{said}, but it must be a number from 0 up"
        elif key in ("dtype", "torch_dtype") and value is not None and not _is_dtype(value):
            yield f"{said}, but it must be one of {', '.join(sorted(_DTYPES))}"
        elif key == "eos_token_id" and not _are_ids(value):
            yield f"{said}, but it must be a token id or a list of some"
        elif isinstance(value, float) and not math.isfinite(value):
            yield f"{said}, which is no number"
        elif isinstance(value, int) and abs(value) > 2**63:
            yield f"{said}, which is no number of a model"
        elif isinstance(value, list) and len(value) > _MAX_ENTRIES:
            yield f"{where}{key[:60]} with {len(value):,} entries, but it may have {_MAX_ENTRIES:,}"
        elif isinstance(value, Mapping):
            yield from _problems(value, f"{where}{key[:60]}.", depth + 1)
    yield from _head_problems(config)


def _head_problems(config: Mapping[str, Any]) -> Iterator[str]:
    width = config.get("hidden_size") or config.get("n_embd")
    heads = config.get("num_attention_heads") or config.get("n_head")
    groups = config.get("num_key_value_heads")
    if not all(isinstance(value, int) and value > 0 for value in (width, heads)):
        return
    assert isinstance(width, int) and isinstance(heads, int)
    if not config.get("head_dim") and width % heads:
        yield f"a width of {width}, which {heads} attention heads do not divide"
    if isinstance(groups, int) and groups > 0 and heads % groups:
        yield f"{heads} attention heads, which {groups} key-value heads do not divide"


def _is_whole(value: Any, low: int, high: int) -> bool:
    listed = value if isinstance(value, list) and value else [value]  # a few families have one a layer
    return all(isinstance(one, int) and not isinstance(one, bool) and low <= one <= high for one in listed)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= 1e30 and math.isfinite(value)


def _is_dtype(value: Any) -> bool:
    return isinstance(value, str) and value.removeprefix("torch.") in _DTYPES


def _are_ids(value: Any) -> bool:
    listed = value if isinstance(value, list) else [] if value is None else [value]
    return len(listed) <= 1000 and all(_is_whole(one, -1, 2**31 - 1) and not isinstance(one, list) for one in listed)
