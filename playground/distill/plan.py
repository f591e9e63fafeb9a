"""The plan of a training run, kept beside its work: what was decided and what each stage has cost so far.

Decisions that hang on a measured rate are written down once, so that a resumed run keeps them. Knows numbers only.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from playground.config import PlaygroundError
from playground.files import write_json

Stage = Literal["corpus", "teacher", "training"]


@dataclass(frozen=True)
class Spent:
    """What a stage cost, over all runs of the plan."""

    seconds: float = 0.0
    amount: int = 0  # tokens written or read, places trained

    @property
    def rate(self) -> float:
        """Amount per second."""
        return self.amount / self.seconds if self.seconds else 0.0


@dataclass
class Plan:
    """Decisions and costs of one run; `save` after every change."""

    file: Path
    settings: dict[str, Any]
    corpus_tokens: int | None = None  # once the corpus is as long as it will be
    steps: int | None = None
    places: int | None = None  # of a batch, where the hours decided
    cooling: tuple[int, float] | None = None  # step and share of the rate, where the decay began out of its turn
    checkpoint_every: int | None = None
    checkpoint_seconds: float = 0.0  # of measuring one
    step_seconds: float = 0.0  # of a step, as measured before the first
    elapsed: float = 0.0  # seconds by the clock over all runs, as far as they were written down
    spent: dict[str, Spent] = field(default_factory=dict)
    trial: dict[str, Any] | None = None
    tried: dict[str, Any] | None = None  # of a trial that is not at its end: of what, and the decodings done

    @classmethod
    def open(cls, file: Path, settings: dict[str, Any]) -> Plan:
        """The plan in `file`, or a new one.

        Raises:
            PlaygroundError: the folder holds a run of other settings.
        """
        if not file.exists():
            return cls(file, settings)
        found = json.loads(file.read_text(encoding="utf-8"))
        was, now = _leaves(found["settings"]), _leaves(settings)
        different = [name for name in (now | was) if was.get(name) != now.get(name)]
        if different:
            name = different[0]
            raise PlaygroundError(
                f"{file.parent} holds a run with {name} = {was.get(name)!r}, but this one has {now.get(name)!r}. "
                f"Choose another --out, or delete that folder to start anew."
            )
        found["spent"] = {stage: Spent(**cost) for stage, cost in found["spent"].items()}
        found["cooling"] = tuple(found["cooling"]) if found.get("cooling") else None
        return cls(file, **found)

    def save(self) -> None:
        """Write the plan down, whole or not at all."""
        kept = {name: value for name, value in self.__dict__.items() if name != "file"}
        kept["spent"] = {stage: asdict(cost) for stage, cost in self.spent.items()}
        write_json(self.file, kept)

    def spend(self, stage: Stage, seconds: float, amount: int) -> None:
        """Add to what a stage has cost."""
        before = self.spent.get(stage, Spent())
        self.spent[stage] = Spent(before.seconds + seconds, before.amount + amount)

    def seconds_spent(self) -> float:
        """Over all stages and runs."""
        return sum(cost.seconds for cost in self.spent.values())


def _leaves(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level, 'recipe.batch' and so on, in the form JSON gives them back."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            found |= _leaves(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = list(value) if isinstance(value, tuple) else value
    return found
