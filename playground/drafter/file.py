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
MAX_CARD_BYTES = 256 * 1024

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
    stored = _stored_shapes(folder)
    with torch.device("meta"):
        wanted = {name: tuple(tensor.shape) for name, tensor in Drafter(config).state_dict().items()}
    expected = {name: _file_name(name, config) for name in wanted}
    missing = sorted(set(expected.values()) - set(stored))
    if missing:
        raise PlaygroundError(
            f"{folder / WEIGHTS_FILE} lacks the tensors {', '.join(missing[:4])} that its config.json asks for. "
            f"The checkpoint is incomplete or of another kind; download or train it again."
        )
    for name, shape in wanted.items():
        if stored[expected[name]] != shape:
            raise PlaygroundError(
                f"{folder / WEIGHTS_FILE} has {expected[name]} of shape {stored[expected[name]]}, but its "
                f"config.json asks for {shape}. Put the config and the weights of one drafter together."
            )
    tensors = _read_tensors(folder)
    state = {name: tensors[file] for name, file in expected.items()}
    _check_values(folder, state, config)
    drafter = Drafter(config, name=folder.resolve().name)
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
    """The model card beside the weights, Markdown without its front matter; empty where there is none.

    Its first MAX_CARD_BYTES alone. A link counts as none where it leads out of the model's folder, or out of the
    hub's cache of this model, in which every file is a link: a card must not show another file.
    """
    file = folder / CARD_FILE
    try:
        real, home = file.resolve(strict=True), folder.resolve()
        cached = home.parent.parent / "blobs" if home.parent.name == "snapshots" else None
        if not real.is_file() or real.parent not in (home, cached):
            return ""
        with real.open("rb") as stream:
            text = stream.read(MAX_CARD_BYTES).decode("utf-8", errors="replace")
    except OSError:  # none, or not for us to read
        return ""
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


def _stored_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Shapes by name, out of the file's header: nothing is allocated for what does not fit its config."""
    from safetensors import SafetensorError, safe_open

    file = folder / WEIGHTS_FILE
    try:
        with safe_open(file, framework="pt") as opened:
            return {_plain_name(name): tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise _unreadable(file, error) from error


def _check_values(folder: Path, state: dict[str, Tensor], config: DrafterConfig) -> None:
    """Refuse weights that are no numbers, and a draft vocabulary that names no ascending ids of the base model's."""
    kinds = {name: tensor.dtype for name, tensor in state.items() if name != "draft_vocabulary"}
    odd = [name for name, kind in kinds.items() if not kind.is_floating_point or kind.itemsize < 2]
    if odd:
        raise PlaygroundError(
            f"{folder / WEIGHTS_FILE} has {odd[0]} of {kinds[odd[0]]}, but weights are float32, bfloat16 or float16. "
            "Save the drafter again."
        )
    ids = state.get("draft_vocabulary")
    if ids is None:
        return
    whole = ids.dtype in (torch.int32, torch.int64)
    if not whole or int(ids.min()) < 0 or int(ids.max()) >= config.vocab_size or not bool((ids[1:] > ids[:-1]).all()):
        raise PlaygroundError(
            f"{folder / WEIGHTS_FILE} has a draft_vocabulary that is no ascending list of ids below "
            f"{config.vocab_size:,}. Train or download the drafter again."
        )


def _read_config(folder: Path) -> DrafterConfig:
    file = folder / CONFIG_FILE
    try:
        keys = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise PlaygroundError(
            f"{file} cannot be read ({error}). Choose a folder with a drafter's config.json and model.safetensors."
        ) from error
    return DrafterConfig.from_json(keys)


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = folder / WEIGHTS_FILE
    try:
        return {_plain_name(name): tensor for name, tensor in load_file(file).items()}
    except (OSError, SafetensorError) as error:
        raise _unreadable(file, error) from error


def _plain_name(name: str) -> str:
    """A tensor's name, however Apple's code came to write it."""
    for pattern, plain in _ALIASES:
        name = pattern.sub(plain, name)
    return name


def _unreadable(file: Path, error: Exception) -> PlaygroundError:
    return PlaygroundError(
        f"{file} cannot be read as safetensors ({error}). The file is missing, cut short or of another format; "
        f"download or train the drafter again."
    )
