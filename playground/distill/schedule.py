"""How the hours are divided: seconds of every stage from the rates measured here, and a line that says so.

Knows numbers only.
"""

from __future__ import annotations

from dataclasses import dataclass

DATA_SHARE = {"cpu": 0.5, "cuda": 0.4}
"""Of the hours, the trial taken off: for writing the corpus and reading it; training gets the rest."""
_READING_SHARE = 0.15
"""Of the hours, that reading may take from training where it is slower than planned."""
_TRIAL_SHARE = 0.1
FEWEST_PROMPTS = 2


@dataclass(frozen=True)
class Rates:
    """What was measured on this machine, of this base model."""

    read: float  # tokens a second of the teacher's forward
    token_seconds: float  # of plain decoding
    written: float = 0.0  # tokens a second of the corpus; 0: not known yet
    step_seconds: float = 0.0  # of a training step; 0: not known yet


@dataclass(frozen=True)
class Schedule:
    """A run of so many hours on a kind of device."""

    hours: float
    device: str  # "cpu" or "cuda"

    @property
    def seconds(self) -> float:
        return self.hours * 3600

    def trial_prompts(self, asked: int | None, most: int, prompt_seconds: float) -> int:
        """Those asked for, or as many as a tenth of the time allows."""
        if asked is not None:
            return asked
        return max(FEWEST_PROMPTS, min(most, int(self.seconds * _TRIAL_SHARE / max(prompt_seconds, 1e-9))))

    def writing_seconds(self, rates: Rates, trial: float, spent: float) -> float:
        """How long the corpus may take, so that reading it still fits into the share of both.

        Args:
            spent: seconds that are gone already.
        """
        both = (self.seconds - trial) * DATA_SHARE.get(self.device, DATA_SHARE["cpu"]) - spent
        written = rates.written or rates.read / 3  # about, before anything was written
        return both * rates.read / (rates.read + written)

    def reading_ends(self, trial: float) -> float:
        """Seconds from the beginning, after which no more of the corpus is read."""
        share = DATA_SHARE.get(self.device, DATA_SHARE["cpu"]) + _READING_SHARE
        return (self.seconds - trial) * share

    def steps_left(self, spent: float, ending: float, step_seconds: float) -> int:
        """Training steps that the rest of the hours holds.

        Args:
            ending: seconds that what comes behind training takes. step_seconds: of a step, its part of what is
                measured meanwhile included.
        """
        return int(max(self.seconds - spent - ending, 0.0) / max(step_seconds, 1e-9))

    def plan(
        self, rates: Rates, trial: float, spent: float, tokens: int | None, steps: int | None, done: int = 0
    ) -> str:
        """The plan as a line, as far as it is known.

        Args:
            tokens: of the corpus, once it is written. steps: of training, once they are decided.
            done: of these steps.
        """
        parts = []
        if tokens is None:
            seconds = self.writing_seconds(rates, trial, spent)
            about = int(seconds * rates.written)
            parts.append(f"corpus {spoken(seconds)} (about {about:,} tokens at {rates.written:,.0f} a second)")
        else:
            about = tokens
            parts.append(f"corpus of {tokens:,} tokens")
        reading = about / rates.read
        if steps is None:
            left = self.seconds - trial - spent - reading - (0 if tokens is not None else seconds)
            parts.append(f"the base model's states {spoken(reading)} ({rates.read:,.0f} tokens a second)")
            parts.append(f"training {spoken(max(left, 0.0))}")
        else:
            which = f"steps {done:,} to {steps:,}" if done else f"{steps:,} steps"
            seconds = (steps - done) * rates.step_seconds
            parts.append(f"training {spoken(seconds)} ({which} at {rates.step_seconds:.2g} s)")
        parts.append(f"trial {spoken(trial)}")
        return f"Plan for {self.hours:g} hours, {spoken(spent)} of them gone: {', '.join(parts)}."


def spoken(seconds: float) -> str:
    """Seconds as people say them: '40 s', '9 min', '2.5 h'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
