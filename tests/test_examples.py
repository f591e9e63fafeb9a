"""The list of example traces: four presets, both ways of picking, two shapes, and few bytes of what is there."""

from __future__ import annotations

from collections import Counter

from playground.export import read_trace
from playground.ui.presets import PRESETS
from scripts.examples import FOLDER, examples

ROOM = 900_000  # bytes of all together


def test_every_preset_in_both_ways_and_every_way_in_both_shapes() -> None:
    found = list(examples())
    names = [name for name, _ in found]
    assert len(set(names)) == len(names) == 8 and names == sorted(names)
    assert Counter(request.prompt for _, request in found) == Counter({preset.prompt: 2 for preset in PRESETS[:4]})
    pairs = Counter((request.sampling.greedy, str(request.shape)) for _, request in found)
    assert len({shape for _, shape in pairs}) == 2 and set(pairs.values()) == {2} and len(pairs) == 4
    assert found[0][1].prompt == PRESETS[0].prompt and found[0][1].sampling.greedy


def test_what_is_bundled_is_whole_and_small() -> None:
    paths = sorted(FOLDER.glob("*.jsonl"))
    assert paths and sum(path.stat().st_size for path in paths) < ROOM
    assert all(read_trace(path).complete for path in paths)
