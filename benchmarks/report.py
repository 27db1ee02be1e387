"""The table: a line for each comparison, what we lose included, as plain text or as Markdown."""

from collections.abc import Iterable, Sequence

from benchmarks import machine
from benchmarks.numbers import Spread, compared, failure, measured, rate, verdict
from benchmarks.runner import Result
from benchmarks.work import TIMES, Comparison, Measure

_HEADERS = ("work", "who", "a second", "against", "median", "min … max", "target", "met")


def table(results: Sequence[Result], *, markdown: bool) -> str:
    """Return the table."""
    lines = [line for result in results for line in _lines(result)]
    return _as_markdown(lines) if markdown else _as_text(lines)


def block(results: Sequence[Result]) -> str:
    """Return the block for the README: command, machine, versions, table."""
    about = f"`{machine.command()}` on {machine.machine()}; {machine.versions()}; {_rounds(results)}."
    return f"{about}\n\n{table(results, markdown=True)}\n\n{_ceilings(results)}"


def text(results: Sequence[Result]) -> str:
    """Return the report for the terminal."""
    about = f"{machine.command()}\n{machine.machine()}\n{machine.versions()}\n{_rounds(results)}"
    return f"{about}\n\n{table(results, markdown=False)}\n\n{_ceilings(results)}"


def _rounds(results: Sequence[Result]) -> str:
    numbers = sorted({max(map(len, result.outcomes.values())) for result in results})
    return f"medians of {' or '.join(map(str, numbers))} pairs, each in its own process, interleaved"


def _lines(result: Result) -> list[tuple[str, ...]]:
    return [
        (result.work.title if number == 0 else "", *_cells(result, comparison))
        for number, comparison in enumerate(result.work.comparisons)
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
    return f"{rate(result, comparison.who):,.0f} {result.work.unit}"


def _figure(value: float, measure: Measure) -> str:
    return f"{value:.2f}{TIMES}" if measure is Measure.TIMES_FASTER else f"{value:+.1f} {measure.value.split()[0]}"


def _range(spread: Spread, measure: Measure) -> str:
    digits = 2 if measure is Measure.TIMES_FASTER else 1
    return f"{spread.low:.{digits}f} … {spread.high:.{digits}f}"


def _target(comparison: Comparison) -> str:
    if comparison.target is None:
        return ""
    sign, unit = (
        ("≥", TIMES) if comparison.measure.higher_is_better else ("≤", " " + comparison.measure.value.split()[0])
    )
    aim = f" (aim {comparison.aim:g}{unit})" if comparison.aim is not None else ""
    return f"{sign} {comparison.target:g}{unit}{aim}"


def _ceilings(results: Iterable[Result]) -> str:
    """Say how fast the server is by itself, and that against the fastest contestant."""
    found = [line for result in results if (line := _ceiling(result))]
    return "The server by itself, asked by a bare socket: " + "; ".join(found) + "." if found else ""


def _ceiling(result: Result) -> str | None:
    rates = [rate(result, label) for label in result.outcomes if measured(result, label)]
    if result.ceiling is None or not rates:
        return None
    done = next(iter(result.work.contestants.values())).done if result.work.unit == "customers" else None
    each = done / len(result.work.paths) if done else 1
    unit = result.work.unit
    by_itself = result.ceiling * each
    return f"{result.work.name} {by_itself:,.0f} {unit}/s ({by_itself / max(rates):.1f}{TIMES} the fastest)"


def _as_text(lines: Sequence[tuple[str, ...]]) -> str:
    # A long reason of a failure must not widen its column for everyone.
    widths = [
        max(len(line[column]) for line in (_HEADERS, *lines) if not line[column].startswith("failed"))
        for column in range(len(_HEADERS))
    ]
    rows = [_HEADERS, tuple("-" * width for width in widths), *lines]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _as_markdown(lines: Sequence[tuple[str, ...]]) -> str:
    rows = [_HEADERS, ("---",) * len(_HEADERS), *lines]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)
