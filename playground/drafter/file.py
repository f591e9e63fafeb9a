"""Drafter checkpoints: Apple's config.json and model.safetensors, read and written, with our extensions.

Tensors as Apple's code names them: `input_proj.{weight,bias}` where exit_dim differs from 2 x hidden_size,
`rnn_u.{weight,bias}`, `rnn_w.weight`, `lm_head.{i}.linear.{weight,bias}` for the residual blocks and
`lm_head.{num_draft_layers}.weight`. Ours: `tied_projection.weight` in place of the last one,
`draft_vocabulary` (int32 [V'], ascending full ids), `context_in.*`, `context_out.*`, `lookup_w.weight`,
`lookup_bonus.*`. Knows files; nothing of base models.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import torch
from torch import Tensor

from playground.config import PlaygroundError
from playground.drafter.cell import Drafter
from playground.drafter.config import DrafterConfig
from playground.files import write_json, written_whole

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "README.md"

_ALIASES = (
    (re.compile(r"^0\."), ""),
    (re.compile(r"^input_projs\b"), "input_proj"),
    (re.compile(r"^lm_heads\b"), "lm_head"),
)


def load_drafter(folder: Path) -> Drafter:
    """Read a checkpoint folder; the drafter is not yet bound to a base model.

    Raises:
        PlaygroundError: config or weights missing, broken, or not of one another.
    """
    config = _read_config(folder)
    tensors = _read_tensors(folder)
    drafter = Drafter(config, name=folder.resolve().name)
    expected = {name: _file_name(name, config) for name in drafter.state_dict()}
    missing = sorted(set(expected.values()) - set(tensors))
    if missing:
        raise PlaygroundError(
            f"{folder / WEIGHTS_FILE} lacks the tensors {', '.join(missing[:4])} that its config.json asks for. "
            f"The checkpoint is incomplete or of another kind; download or train it again."
        )
    state = {name: tensors[stored] for name, stored in expected.items()}
    for name, current in drafter.state_dict().items():
        if state[name].shape != current.shape:
            raise PlaygroundError(
                f"{folder / WEIGHTS_FILE} has {expected[name]} of shape {tuple(state[name].shape)}, but its "
                f"config.json asks for {tuple(current.shape)}. Put the config and the weights of one drafter together."
            )
    drafter.load_state_dict(state)
    drafter.hashes = (file_hash(folder / WEIGHTS_FILE), file_hash(folder / CONFIG_FILE))
    return drafter.eval()


def save_drafter(drafter: Drafter, folder: Path, dtype: torch.dtype = torch.bfloat16) -> None:
    """Write config.json and model.safetensors, weights in `dtype`; readable by Apple's code where the shape allows."""
    from safetensors.torch import save_file

    tensors = {}
    for name, tensor in drafter.state_dict().items():
        kind = dtype if tensor.is_floating_point() else torch.int32
        tensors[_file_name(name, drafter.config)] = tensor.detach().to("cpu", kind).contiguous()
    with written_whole(folder / WEIGHTS_FILE) as partial:
        save_file(tensors, partial, metadata={"format": "pt"})
        write_json(folder / CONFIG_FILE, drafter.config.to_json(), indent=2)


def read_card(folder: Path) -> str:
    """The model card beside the weights, Markdown without its front matter; empty where there is none."""
    file = folder / CARD_FILE
    if not file.is_file():
        return ""
    text = file.read_text(encoding="utf-8", errors="replace")
    return text.split("---\n", 2)[-1].lstrip() if text.startswith("---\n") else text


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _file_name(name: str, config: DrafterConfig) -> str:
    """Name in the file of a parameter of ours."""
    if name == "output.weight":
        return "tied_projection.weight" if config.tied_head else f"lm_head.{config.num_draft_layers}.weight"
    return re.sub(r"^blocks\.", "lm_head.", name)


def _read_config(folder: Path) -> DrafterConfig:
    file = folder / CONFIG_FILE
    try:
        keys = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PlaygroundError(
            f"{file} cannot be read ({error}). Choose a folder with a drafter's config.json and model.safetensors."
        ) from error
    return DrafterConfig.from_json(keys)


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = folder / WEIGHTS_FILE
    try:
        tensors = load_file(file)
    except (OSError, SafetensorError) as error:
        raise PlaygroundError(
            f"{file} cannot be read as safetensors ({error}). The file is missing, cut short or of another format; "
            f"download or train the drafter again."
        ) from error
    renamed = {}
    for name, tensor in tensors.items():
        for pattern, plain in _ALIASES:
            name = pattern.sub(plain, name)
        renamed[name] = tensor
    return renamed
