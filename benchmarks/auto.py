"""`python -m benchmarks.auto`: `"auto"` against the best of a grid of page sizes and widths, on simulated servers.

The SDK's own read-ahead, scan and plan read a list of 100,000 customers in virtual time: simulated are the server,
the link and the time that this process takes for a record. Cold starts are included. A share of 0.9 is wanted; where
pages cost more for each record the larger they are, `"auto"` is further off.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.simulated import SERVERS, Server
from benchmarks.simulated_reading import READINGS, Reading, seconds
from benchmarks.work import TIMES

COUNTS, WIDTHS = (50, 100, 200, 500, 1000, 5000), (1, 2, 4, 8, 12, 16, 20)
QUICK_COUNTS, QUICK_WIDTHS = (100, 200, 1000, 5000), (2, 8, 20)
#: What was asked for before there was an "auto": pages of 100, and of 1,000 by the command.
DEFAULTS = ((8, 100), (8, 1000))
TARGET = 0.9

_HEADERS = (
    "server",
    "read by",
    "best of the grid",
    "auto",
    "share",
    *(f"{width} {TIMES} {count}" for width, count in DEFAULTS),
)


@dataclass(frozen=True, kw_only=True)
class Line:
    """What a server brought.

    Attributes:
        server: the server.
        reading: how it was read.
        grid: seconds by width and page size.
        auto: seconds that `auto` took.
    """

    server: Server
    reading: str
    grid: dict[tuple[int, int], float]
    auto: float

    @property
    def best(self) -> tuple[int, int]:
        """The width and page size that were the fastest."""
        return min(self.grid, key=self.grid.__getitem__)

    @property
    def share(self) -> float:
        """The best time of the grid by that of `auto`."""
        return self.grid[self.best] / self.auto

    def cells(self) -> tuple[str, ...]:
        """Return the cells of the table."""
        width, count = self.best
        return (
            self.server.title,
            self.reading,
            f"{self.grid[self.best]:.2f} s ({width} {TIMES} {count})",
            f"{self.auto:.2f} s",
            f"{self.share:.2f}",
            *(f"{self.grid[setting] / self.auto:.2f}" for setting in DEFAULTS),
        )


def measure(server: Server, reading: Reading, *, counts: Sequence[int], widths: Sequence[int]) -> Line:
    """Read one server's list with every number of a grid, and by `auto`."""
    grid = {(width, count): seconds(server, reading, width, count) for width in widths for count in counts}
    return Line(server=server, reading=reading.__name__, grid=grid, auto=seconds(server, reading, "auto", "auto"))


def table(lines: Sequence[Line]) -> str:
    """Return the table as Markdown."""
    rows = [_HEADERS, ("---",) * len(_HEADERS), *(line.cells() for line in lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; return 0 if each share is as large as is wanted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.auto", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small grid")
    quick = parser.parse_args(arguments).quick
    lines = []
    for reading in READINGS:
        for server in SERVERS:
            print(f"{reading.__name__}: {server.title}", file=sys.stderr, flush=True)
            counts, widths = (QUICK_COUNTS, QUICK_WIDTHS) if quick else (COUNTS, WIDTHS)
            lines.append(measure(server, reading, counts=counts, widths=widths))
    print(table(lines))
    return 0 if all(line.share >= TARGET for line in lines) else 1


if __name__ == "__main__":
    raise SystemExit(main())
