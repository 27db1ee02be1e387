"""`python -m benchmarks`: run every peer and this SDK, print the table, draw the chart."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path

from benchmarks import chart, machine, report, saved
from benchmarks.generate import generated_client
from benchmarks.runner import Result, Runner
from benchmarks.work import Work
from benchmarks.works import all_works

ROUNDS, QUICK_ROUNDS = 9, 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"a tenth of it, {QUICK_ROUNDS} rounds: does it run?")
    parser.add_argument("--only", action="append", metavar="WORK", help="works whose name begins so; may be repeated")
    parser.add_argument("--rounds", type=int, help=f"rounds per work (default {ROUNDS})")
    parser.add_argument("--markdown", action="store_true", help="print the block for the README")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="draw the chart, an SVG (needs matplotlib)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single outcome")
    parser.add_argument("--beside", type=Path, metavar="FILE", help="a column for a run that --json wrote elsewhere")
    parser.add_argument("--list", action="store_true", help="name the works and end")
    return parser


def _chosen(names: Sequence[str] | None, *, quick: bool) -> list[Work]:
    works = all_works(quick=quick)
    return [work for work in works if not names or any(work.name.startswith(name) for name in names)]


def _run(works: Sequence[Work], *, rounds: int | None, quick: bool) -> list[Result]:
    wanted = any(task.peer == "generated" for work in works for task in work.contestants.values())
    with generated_client() if wanted else nullcontext((None, "not asked for")) as (folder, problem):
        runner = Runner(
            rounds=QUICK_ROUNDS if quick else ROUNDS,
            generated=folder,
            without_generated=problem,
            progress=lambda line: print(line, file=sys.stderr, flush=True),
        )
        return [runner.run(work, rounds=rounds) for work in works]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.chart and find_spec("matplotlib") is None:
        parser.error("--chart needs matplotlib: pip install -e '.[bench]'")
    works = _chosen(options.only, quick=options.quick)
    if options.list or not works:
        print("\n".join(f"{work.name:18}{work.title}" for work in works or all_works(quick=False)))
        return 0 if options.list else 2
    try:
        beside = saved.read(options.beside) if options.beside else None
    except (OSError, ValueError) as error:
        parser.error(f"--beside: {error}")
    results = _run(works, rounds=options.rounds, quick=options.quick)
    if options.json:
        saved.save(results, options.json)
    print(report.block(results, beside) if options.markdown else report.text(results, beside))
    if options.chart:
        chart.draw(results, options.chart, caption=f"{machine.machine()}; {machine.versions()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
