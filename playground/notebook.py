"""Recorded runs in Python and in notebooks: read a trace, look at its steps, its tables, its graphs, its charts.

    from playground.notebook import read
    run = read("run.jsonl")

A thin face over records, tables, graphs and charts: nothing is computed here. Needs no model and no torch; pandas and
plotly only where a table or a chart is asked for.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from playground.config import PlaygroundError
from playground.export import Wish, export, read_trace
from playground.export.tables import TableName, table
from playground.figures.provenance import summary_of, summary_sources
from playground.trace import StepRecord, Summary, Trace
from playground.views.token_text import visible

if TYPE_CHECKING:
    from playground.figures.compare import Comparison
    from playground.figures.graph import Tree

_ROW = '<tr><th style="text-align:left">{}</th><td style="text-align:left">{}</td></tr>'


@dataclass(frozen=True)
class Step:
    """One step; its record is typed and complete."""

    record: StepRecord
    sampled: bool = field(repr=False)

    def graph(self) -> Tree:
        """The prefix tree as a networkx DiGraph, nodes 0..N-1 with all their attributes and a `label`."""
        from playground.figures.graph import step_graph
        from playground.views.graph import labelled

        return labelled(step_graph(self.record))

    def svg(self) -> str:
        """The tree as a picture."""
        from playground.export.picture import to_svg

        return to_svg(self.record, sampled=self.sampled)

    def _repr_html_(self) -> str:
        return self.svg()


@dataclass(frozen=True)
class Run:
    """A recorded run."""

    trace: Trace = field(repr=False)
    name: str

    @property
    def steps(self) -> Sequence[Step]:
        return _Steps(self.trace)

    @property
    def summary(self) -> Summary:
        """The figures it ended with; of a run that was cut off, what its records add up to."""
        return summary_of(self.trace)

    @property
    def text(self) -> str:
        """What the drafting lane wrote."""
        from playground.views.text import RunText

        return RunText().catch_up(self.trace).redrafter.text

    def graph(self) -> Tree:
        """The whole run as one networkx DiGraph, each step's tree hung where the one before it ended."""
        from playground.figures.graph import run_graph
        from playground.views.graph import labelled

        return labelled(run_graph(self.trace))

    def to_pandas(self, name: TableName = "steps") -> Any:
        """A table as a pandas DataFrame: `steps`, `nodes`, `beams` or `plain`; lists stay lists.

        Raises:
            PlaygroundError: pandas is not installed, or there is no such table.
        """
        Wish(table=name)
        try:
            import pandas
        except ImportError as error:
            raise PlaygroundError(
                "Tables as data frames need pandas, which is not installed here. Install it: pip install pandas"
            ) from error
        made = table(self.trace, name)
        return pandas.DataFrame(list(made.rows()), columns=list(made.columns))

    @property
    def sources(self) -> dict[str, str]:
        """Where each of the summary's figures comes from: measured, or computed with the formula and its numbers."""
        return {name: f"{source.kind}: {source.words}" for name, source in summary_sources(self.trace).items()}

    def figure(self, name: str) -> Any:
        """A chart as a Plotly figure.

        Raises:
            PlaygroundError: no such chart.
        """
        from playground.views.plots import figure

        return figure(self.trace, name)

    def compare(self, other: Run) -> Comparison:
        """This run and another: settings, figures, the first token that differs, steps matched by their place."""
        from playground.figures.compare import compare_runs

        return compare_runs(self.trace, other.trace)

    def compare_figure(self, other: Run) -> Any:
        """Both runs' rates and acceptance as a Plotly figure."""
        from playground.views.compare import compare_info
        from playground.views.plots import compare_figure

        return compare_figure(compare_info(self.trace, other.trace))

    def save(self, file: str | Path, to: str, wish: Wish | None = None) -> None:
        """Write it in one of the formats of `playground.export`.

        Raises:
            PlaygroundError: no such format, or a library it needs is not installed.
        """
        from playground.files import written_whole

        with written_whole(Path(file)) as partial:
            partial.write_bytes(export(self.trace, to, wish))

    def _repr_html_(self) -> str:
        header, summary, settings = self.trace.header, self.summary, self.trace.header.settings
        rows = {
            "run": self.name,
            "pair": f"{header.base.name} with {header.drafter.name}, {header.dtype} on {header.device}",
            "beams": f"{settings.beam_width} × {settings.beam_length}",
            "steps": f"{summary.num_spec_steps}, {summary.tokens_per_step:.2f} tokens each",
            "tokens/s": _against(summary),
            "text": self.text,
        }
        cells = "".join(_ROW.format(html.escape(name), html.escape(visible(text))) for name, text in rows.items())
        return f"<table>{cells}</table>"


def read(path: str | Path) -> Run:
    """A recorded run from its file (JSON Lines, packed or not).

    Raises:
        TraceError: not a trace, a newer major version, or a broken line, which is named.
    """
    return Run(read_trace(path), Path(path).name)


class _Steps(Sequence[Step]):
    """The steps of a trace, made as they are asked for."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def __len__(self) -> int:
        return len(self._trace.steps)

    @overload
    def __getitem__(self, index: int) -> Step: ...
    @overload
    def __getitem__(self, index: slice) -> list[Step]: ...
    def __getitem__(self, index: int | slice) -> Step | list[Step]:
        found = self._trace.steps[index]
        if isinstance(found, list):
            return [Step(record, self._trace.sampled) for record in found]
        return Step(found, self._trace.sampled)

    def __iter__(self) -> Iterator[Step]:
        return (Step(record, self._trace.sampled) for record in self._trace.steps)


def _against(summary: Summary) -> str:
    rate = f"{summary.redrafter_tokens_per_second:.1f}"
    if summary.plain_tokens_per_second is None or summary.speedup is None:
        return rate
    return f"{rate} against {summary.plain_tokens_per_second:.1f} plain, {summary.speedup:.2f} times"
