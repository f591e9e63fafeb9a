"""A run as its records arrive. Knows their order, not what they say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from playground.trace.records import (
    Footer,
    Header,
    Lane,
    ParityRecord,
    PlainRecord,
    PromptRecord,
    Record,
    StepRecord,
)


class NoRecords(ValueError):
    """A run ended without a record: it was stopped before its turn came."""


@dataclass
class Trace:
    """A run as its records arrive; complete once `footer` stands."""

    header: Header
    prompts: list[PromptRecord] = field(default_factory=list)
    steps: list[StepRecord] = field(default_factory=list)
    plain: list[PlainRecord] = field(default_factory=list)
    parity: ParityRecord | None = None
    footer: Footer | None = None

    @classmethod
    def follow(cls, records: Iterable[Record]) -> Iterator[Trace]:
        """One trace, growing: yielded anew after each record.

        Raises:
            ValueError: the first record is no header, or another one is.
        """
        trace: Trace | None = None
        for record in records:
            if trace is not None:
                trace.add(record)
            elif isinstance(record, Header):
                trace = cls(record)
            else:
                raise ValueError(f"A trace begins with its header, not with a {type(record).__name__}.")
            yield trace

    @classmethod
    def collect(cls, records: Iterable[Record]) -> Trace:
        """The whole trace of a run.

        Raises:
            NoRecords: there was no record at all.
            ValueError: as `follow`.
        """
        trace: Trace | None = None
        for grown in cls.follow(records):
            trace = grown
        if trace is None:
            raise NoRecords("The run was stopped before its turn came, so it left no records. Start it again.")
        return trace

    def add(self, record: Record) -> None:
        """Append a record that followed the header.

        Raises:
            ValueError: a second header.
        """
        match record:
            case PromptRecord():
                self.prompts.append(record)
            case StepRecord():
                self.steps.append(record)
            case PlainRecord():
                self.plain.append(record)
            case ParityRecord():
                self.parity = record
            case Footer():
                self.footer = record
            case Header():
                raise ValueError("A trace has one header.")

    def records(self) -> Iterator[Record]:
        """The records in the order they are written: the two lanes one after the other."""
        yield self.header
        yield from self.prompts
        yield from self.steps
        yield from self.plain
        if self.parity is not None:
            yield self.parity
        if self.footer is not None:
            yield self.footer

    @property
    def complete(self) -> bool:
        return self.footer is not None

    @property
    def stopped(self) -> bool:
        """The run did not come to its own end."""
        return self.footer is None or self.footer.finish_reason == "stopped"

    @property
    def sampled(self) -> bool:
        """Picks were drawn with seeded noise."""
        return self.header.settings.temperature > 0

    def prompt(self, lane: Lane) -> PromptRecord | None:
        return next((record for record in self.prompts if record.lane == lane), None)

    @property
    def redrafter_tokens(self) -> list[int]:
        """New tokens of the drafting lane, the first root first."""
        first = self.prompt("redrafter")
        head = [first.first_root] if first else []
        return head + [token for step in self.steps for token in step.emitted]

    @property
    def plain_tokens(self) -> list[int]:
        """New tokens of the plain lane."""
        return [record.token for record in self.plain]
