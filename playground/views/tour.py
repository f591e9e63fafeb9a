"""The guided tour: about ten stops on a bundled trace, each pointing at the real widget.

A stop names the view it happens in and the `data-tour` mark of what it points at; the page does the pointing.
"""

from __future__ import annotations

from dataclasses import dataclass

from playground.views.page import ViewName


@dataclass(frozen=True)
class Stop:
    """One stop."""

    view: ViewName
    target: str  # data-tour mark
    title: str
    words: str


TOUR: tuple[Stop, ...] = (
    Stop("live", "equation", "Does it pay?",
         "A step costs more than a plain step but writes several tokens. Tokens per step divided by the cost of a step "
         "is the speed-up. To the right of the break-even line, drafting has won."),
    Stop("live", "text", "A model writes one token at a time",
         "Each token normally takes a whole forward of the base model. Here a small drafter guessed the marked tokens "
         "ahead, and the base model only checked them, several at once."),
    Stop("steps", "beams", "1. Draft: guess ahead in beams",
         "A tiny recurrent network continues the text in several beams. Each row is a guess, the best first."),
    Stop("steps", "tree", "2. Tree: merge equal prefixes",
         "Beams that begin alike share a prefix. Merged, they form this tree; each node is checked once. A best-first "
         "tree holds the likeliest of all tokens the search scored. Where the text repeats itself, a copy tail adds "
         "what followed the earlier match."),
    Stop("steps", "saving", "What merging saves",
         "Every beam slot that merging or the node budget saves makes the forward cheaper. The budget is the most "
         "nodes a step may verify; on auto, as many as pay."),
    Stop("mask", "mask", "3. Verify: one forward for the whole tree",
         "Every node sees the cached text, its own ancestors and itself. This mask makes one forward equal to many."),
    Stop("steps", "verdict", "4. Accept: follow the base model's own picks",
         "From the root, the base model's pick is looked up among the children. A match is accepted; the first miss "
         "ends the step, and the pick itself is kept as the next root."),
    Stop("steps", "scrubber", "Step by step",
         "Every step of a run is a column: tokens above the line, wasted nodes below. Scrub with the slider or the "
         "arrow keys, play it as a film, or drag over the columns to zoom in."),
    Stop("race", "lanes", "5. The race",
         "Plain decoding of the same model runs beside drafting, each lane on its own clock. Where rounding tips a "
         "near tie the texts may differ; the first token that differs is marked in both."),
    Stop("race", "stages", "Where the time goes",
         "Drafting pays when it costs little compared with the forwards it saves."),
    Stop("shapes", "shapes", "Which beam shape?",
         "More beams catch more tokens, but cost more. Measure a few shapes on your prompt, then click the best cell."),
    Stop("traces", "traces", "Take it away",
         "Every run can be downloaded as a trace, loaded again here, or read by your own tools."),
)  # fmt: skip
