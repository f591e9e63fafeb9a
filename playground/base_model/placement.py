"""Where accelerate has put a model's modules, and their weights for a moment where it keeps them elsewhere.

A model over several devices carries hooks: each module computes on a device of its own, and weights put aside in memory
or on disk come to it for the time of its forward. Knows hooks; nothing of what modules compute.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


def device_of(module: Any) -> torch.device:
    """The device a module with a weight computes on."""
    for hook in _hooks(module):
        if (device := getattr(hook, "execution_device", None)) is not None:
            return torch.device(device)
    weight: torch.Tensor = module.weight
    return weight.device


def is_spread(model: Any) -> bool:
    """Whether hooks move inputs, or weights, between devices."""
    return any(_hooks(model))


def put_aside(model: Any) -> str:
    """Where weights wait that no device has room for, in words; empty where every weight stands on its device."""
    places = {str(place) for place in (getattr(model, "hf_device_map", None) or {}).values()}
    in_memory = "cpu" in places and len(places - {"cpu", "disk"}) > 0
    return " and ".join(words for words, there in (("in memory", in_memory), ("on disk", "disk" in places)) if there)


@contextmanager
def weights_at_hand(module: Any) -> Iterator[None]:
    """A module's own weights on its device for the time of the block; what is taken of them stays valid."""
    if not is_spread(module):
        yield
        return
    from accelerate.utils import align_module_device

    with align_module_device(module):
        yield


def _hooks(module: Any) -> tuple[Any, ...]:
    """accelerate's hooks of one module; several of them stand in one."""
    hook = getattr(module, "_hf_hook", None)
    return () if hook is None else tuple(getattr(hook, "hooks", (hook,)))
