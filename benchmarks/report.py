"""The table: a line for each comparison, what we lose included, as plain text or as Markdown."""

from collections.abc import Iterable, Sequence

from benchmarks import machine
from benchmarks.numbers import Spread, compared, delay, failure, measured, rate, verdict
from benchmarks.runner import Result
from benchmarks.saved import SavedRun
from benchmarks.work import TIMES, Comparison, Measure, Work

_HEADERS = ("work", "who", "a second", "against", "median", "min … max", "target", "met")


def table(results: Sequence[Result], beside: SavedRun | None = None, *, markdown: bool) -> str:
    """Return the table.

    Args:
        results: what was measured.
        beside: another run, whose medians stand in a column of their own.
        markdown: as Markdown, or as plain text.
    """
    lines = [_HEADERS, *(line for result in results for line in _lines(result))]
    if beside is not None:
        column = [f"Python {beside.python}", *(cell for result in results for cell in _medians(result.work, beside))]
        lines = [(*line[:5], cell, *line[5:]) for line, cell in zip(lines, column, strict=True)]
    return _as_markdown(lines) if markdown else _as_text(lines)


def block(results: Sequence[Result], beside: SavedRun | None = None) -> str:
    """Return the block for the documentation: command, machine, versions, table."""
    about = f"`{machine.command()}` on {machine.machine()}; {machine.versions()}; {_rounds(results)}."
    return f"{about}\n\n{table(results, beside, markdown=True)}\n\n{_ceilings(results)}"


def text(results: Sequence[Result], beside: SavedRun | None = None) -> str:
    """Return the report for the terminal."""
    about = f"{machine.command()}\n{machine.machine()}\n{machine.versions()}\n{_rounds(results)}"
    return f"{about}\n\n{table(results, beside, markdown=False)}\n\n{_ceilings(results)}"


def _rounds(results: Sequence[Result]) -> str:
    numbers = sorted({max(map(len, result.outcomes.values())) for result in results})
    return f"medians of {' or '.join(map(str, numbers))} pairs, each in its own process, interleaved"


def _lines(result: Result) -> list[tuple[str, ...]]:
    return [
        (result.work.title if number == 0 else "", *_cells(result, comparison))
        for number, comparison in enumerate(result.work.comparisons)
    ]


def _medians(work: Work, beside: SavedRun) -> list[str]:
    """Return the medians of another run, a line for each comparison."""
    result = beside.result(work)
    spreads = [None if result is None else compared(result, comparison) for comparison in work.comparisons]
    return [
        "" if spread is None else _figure(spread.middle, comparison.measure)
        for comparison, spread in zip(work.comparisons, spreads, strict=True)
    ]


def _cells(result: Result, comparison: Comparison) -> tuple[str, ...]:
    spread = compared(result, comparison)
    if spread is None:
        reason = failure(result, comparison.who)
        if reason is None:
            reason = f"{comparison.against} failed: {failure(result, comparison.against)}"
        missed = "no" if comparison.target is not None else ""
        return (comparison.who, _speed(result, comparison), comparison.against, f"failed: {reason}", "", "", missed)
    return (
        comparison.who,
        _speed(result, comparison),
        comparison.against,
        _figure(spread.middle, comparison.measure),
        _range(spread, comparison.measure),
        _target(comparison),
        verdict(comparison, spread),
    )


def _speed(result: Result, comparison: Comparison) -> str:
    if comparison.measure in {Measure.EXTRA_MS, Measure.EXTRA_MB} or not measured(result, comparison.who):
        return ""
    speed = f"{rate(result, comparison.who):,.0f} {result.work.unit}"
    if comparison.measure is not Measure.DELAY_P99_MS:
        return speed
    late = f"median {delay(result, comparison.who):.1f} ms late"
    return f"{speed}; {late}" if rate(result, comparison.who) else late


def _figure(value: float, measure: Measure) -> str:
    if measure is Measure.TIMES_FASTER:
        return f"{value:.2f}{TIMES}"
    return f"{value:.1f} ms" if measure is Measure.DELAY_P99_MS else f"{value:+.1f} {_unit(measure)}"


def _unit(measure: Measure) -> str:
    return "p99 ms" if measure is Measure.DELAY_P99_MS else measure.value.split()[0]


def _range(spread: Spread, measure: Measure) -> str:
    digits = 2 if measure is Measure.TIMES_FASTER else 1
    return f"{spread.low:.{digits}f} … {spread.high:.{digits}f}"


def _target(comparison: Comparison) -> str:
    if comparison.target is None:
        return ""
    sign, unit = ("≥", TIMES) if comparison.measure.higher_is_better else ("≤", " " + _unit(comparison.measure))
    aim = f" (aim {comparison.aim:g}{unit})" if comparison.aim is not None else ""
    return f"{sign} {comparison.target:g}{unit}{aim}"


def _ceilings(results: Iterable[Result]) -> str:
    """Say how fast the server is by itself, and that against the fastest contestant."""
    ceilings = [line for result in results if (line := _ceiling(result))]
    return "The server by itself, asked by a bare socket: " + "; ".join(ceilings) + "." if ceilings else ""


def _ceiling(result: Result) -> str | None:
    rates = [rate(result, label) for label in result.outcomes if measured(result, label)]
    if result.ceiling is None or not rates:
        return None
    # Not the first contestant's: an idle one does nothing.
    done = max(task.done for task in result.work.contestants.values())
    each = done / len(result.work.paths) if result.work.unit == "customers" else 1
    unit = result.work.unit
    by_itself = result.ceiling * each
    return f"{result.work.name} {by_itself:,.0f} {unit}/s ({by_itself / max(rates):.1f}{TIMES} the fastest)"


def _as_text(lines: Sequence[tuple[str, ...]]) -> str:
    # A long reason of a failure must not widen its column for everyone.
    widths = [max(len(cell) for cell in column if not cell.startswith("failed")) for column in zip(*lines, strict=True)]
    rows = [lines[0], tuple("-" * width for width in widths), *lines[1:]]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _as_markdown(lines: Sequence[tuple[str, ...]]) -> str:
    rows = [lines[0], ("---",) * len(lines[0]), *lines[1:]]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)
