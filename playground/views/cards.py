"""The loaded pair as cards: what the base model and the drafter are, and what to expect of the device."""

from __future__ import annotations

from playground.config import BeamShape
from playground.figures.format import compact
from playground.trace import SessionInfo
from playground.views.page import PairPicture


def pair_picture(info: SessionInfo, *, tells_place: bool = True) -> PairPicture:
    """Cards of a session's pair.

    Args:
        tells_place: whether the page may know the folder that the base model lies in.
    """
    base, drafter, own = info.base, info.drafter, BeamShape.parse(info.shape)
    return {
        "base": base.name,
        "drafter": drafter.name if drafter else None,
        "device": info.device,
        "dtype": info.dtype,
        "engine": info.engine,
        "kernels": info.kernels,
        "chatTemplate": info.has_chat_template,
        "width": own.width,
        "length": own.length,
        "baseCard": [
            ("Family", base.family),
            ("Parameters", compact(base.parameters)),
            ("Layers", f"{base.layers:,}"),
            ("Hidden size", f"{base.hidden_size:,}"),
            ("Vocabulary", f"{base.vocab_size:,}"),
            ("Window", f"{base.window:,} tokens"),
        ],
        "drafterCard": None
        if drafter is None
        else [
            ("Parameters", compact(drafter.parameters)),
            ("Draft vocabulary", f"{drafter.draft_vocabulary:,}"),
            ("Head", "tied to the base model's" if drafter.tied_head else "its own"),
            ("Weights", drafter.file_hash[:12]),
        ],
        "cardText": info.drafter_card,
        "expect": " ".join((*info.notes, expectation(info.device, info.engine, info.shape if drafter else ""))),
        "training": info.training if tells_place else "",
    }


def expectation(device: str, engine: str, shape: str) -> str:
    """One sentence on what this device makes of drafting; `shape` is empty where there is no drafter to measure."""
    if engine == "native":
        return "The CPU kernels give one token and a tree the same bits, so both lanes write one text" + (
            f"; the beam shape that pays best here was measured: {shape}." if shape else "."
        )
    if device.lower().startswith(("cuda", "nvidia", "mps")) or "nvidia" in device.lower():
        return "On a GPU a forward over a tree costs little more than one token, so wide beams pay."
    return (
        "On a CPU every tree node costs: narrow beams (1 to 4 wide) usually win, and drafting may be slower than plain "
        "decoding. The race tells."
    )
