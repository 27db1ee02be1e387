"""The chart: every comparison in times as a bar, with the line at 1.0, its spread, and the target as a mark."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from benchmarks.numbers import Spread, compared
from benchmarks.runner import Result
from benchmarks.work import TIMES, Comparison, Measure

_OURS, _OTHERS, _TARGET = "#1f6feb", "#a8b1bd", "#d1242f"
_INK = "#24292f"
#: The marks of the axis: those that matplotlib chooses may leave out 1.
_MARKS = (1 / 16, 0.25, 1, 4, 16, 64, 256)
_LEGEND = (
    "Against a hand-written httpx script where nothing else is named; right is faster, left is slower.\n"
    "Blue: this SDK. Grey: others. Red mark: the target. Whiskers: the slowest and the fastest pair."
)
_Bar = tuple[Comparison, Spread]
#: A label, and the bar if the row is no heading.
Row = tuple[str, _Bar | None]


def draw(results: Sequence[Result], path: Path, *, caption: str) -> None:
    """Draw the chart as SVG.

    Args:
        results: what was measured.
        path: where to.
        caption: what stands below it: machine, versions.
    """
    draw_rows(rows_of(results), path, caption=caption)


def draw_rows(rows: Sequence[Row], path: Path, *, caption: str) -> None:
    """Draw bars that were chosen; the other arguments are those of `draw`."""
    import matplotlib as mpl

    mpl.use("svg")
    # Text stays text: a third of the size, and it can be searched.
    font = {"svg.fonttype": "none", "font.family": "sans-serif", "font.size": 8.5}
    mpl.rcParams.update({"svg.hashsalt": "carecloud", **font})
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 1.5 + 0.24 * len(rows)), layout="constrained")
    for height, (label, row) in enumerate(rows):
        if row is not None:
            _draw_bar(axes, height, *row, label=label)
    _name_rows(axes, rows)
    _dress(axes)
    figure.suptitle("How many times as fast", x=0.01, ha="left", weight="bold")
    figure.supxlabel("\n".join([_LEGEND, *wrap(caption, 130)]), x=0.01, ha="left", size=8)
    figure.savefig(path, format="svg", metadata={"Date": None}, facecolor="white")
    plt.close(figure)


def rows_of(results: Sequence[Result]) -> list[Row]:
    """Return a heading for each work, and its bars below it."""
    rows: list[Row] = []
    for result in results:
        bars = [
            (_label(comparison), (comparison, spread))
            for comparison in result.work.comparisons
            if comparison.measure is Measure.TIMES_FASTER and (spread := compared(result, comparison)) is not None
        ]
        if bars:
            rows += [(result.work.title, None), *bars]
    return rows


def _label(comparison: Comparison) -> str:
    against = comparison.against.removeprefix("carecloud-async, ")
    return comparison.who if against == "httpx + json" else f"{comparison.who}, against {against}"


def _draw_bar(axes: Any, height: int, comparison: Comparison, spread: Spread, *, label: str) -> None:
    ours = label.startswith("carecloud-async")
    reach = [[spread.middle - spread.low], [spread.high - spread.middle]]
    axes.barh(height, spread.middle - 1, left=1, height=0.72, color=_OURS if ours else _OTHERS)
    axes.errorbar(spread.middle, height, xerr=reach, color=_INK, linewidth=0.8, capsize=2)
    edge = max(spread.high, 1, comparison.target or 0)
    axes.annotate(
        f"{spread.middle:.2f}{TIMES}",
        (edge, height),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        weight="bold" if ours else "normal",
    )
    if comparison.target is not None:
        axes.plot([comparison.target] * 2, [height - 0.42, height + 0.42], color=_TARGET, linewidth=2)


def _name_rows(axes: Any, rows: Sequence[Row]) -> None:
    axes.set_yticks(range(len(rows)), [label for label, _ in rows])
    for tick, (_, row) in zip(axes.get_yticklabels(), rows, strict=True):
        tick.set_weight("bold" if row is None else "normal")
    axes.set_ylim(len(rows) - 0.4, -0.6)


def _dress(axes: Any) -> None:
    axes.axvline(1.0, color=_INK, linewidth=1)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}{TIMES}")
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", top=True, labeltop=True)
    axes.grid(axis="x", color="#eaeef2")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.margins(x=0.15)
    least, most = axes.get_xlim()
    axes.set_xticks([mark for mark in _MARKS if least <= mark <= most])
