"""Prompts to begin with, one of each kind of text, since acceptance depends on it. The first one greets: code, which
most drafters do well at. One shows when drafting hardly pays: facts told in free prose, the hardest to guess."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """A prompt behind a button."""

    name: str
    prompt: str


PRESETS: tuple[Preset, ...] = (
    Preset(
        "Code", "Write a Python function that returns the n-th Fibonacci number, with a docstring and two examples."
    ),
    Preset("Hardly pays", "Explain in three sentences why the sky is blue."),
    Preset(
        "Maths", "A train travels 180 km in 2.5 hours. What is its average speed? Show each step of the calculation."
    ),
    Preset("Story", "Write a short story about a lighthouse keeper who finds a message in a bottle."),
    Preset(
        "Summary",
        "Summarise in two sentences: Photosynthesis is the process by which green plants use sunlight, water and "
        "carbon dioxide to make sugar and oxygen. It takes place in the chloroplasts, which hold the pigment "
        "chlorophyll. The sugar feeds the plant, and the oxygen is released into the air, where animals and people "
        "breathe it.",
    ),
)
