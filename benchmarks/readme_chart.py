"""`python -m benchmarks.readme_chart`: draw the README's chart, five figures of the table in docs/speed.md.

The chart of all figures is too large for a phone. This one is 360 units wide, as on a phone, and needs no library.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from benchmarks.work import TIMES

_DOCS = Path(__file__).parents[1] / "docs"
_WIDTH, _MARGIN, _ROW, _TOP, _BOTTOM = 360, 12, 46, 58, 50
_OURS, _OTHERS, _INK = "#1f6feb", "#a8b1bd", "#24292f"


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One figure of the table.

    Attributes:
        work: the work, as the table calls it.
        who: the contestant, as the table calls it; the figure is the one against the script.
        label: what stands above the bar.
    """

    work: str
    who: str = "carecloud-async"
    label: str


BARS = (
    Bar(work="typed pages of 1000, 8 in flight", label="Read a list as typed records"),
    Bar(work="CSV export, 1000 a page", label="Export CSV"),
    Bar(
        work="one small call after another",
        who="carecloud-async, customers.get",
        label="Small calls, one after another",
    ),
    Bar(work="JSONL export, 1000 a page", label="Export JSON Lines"),
    Bar(
        work="JSONL export, 1000 a page",
        who="aiohttp + msgspec",
        label="The same by aiohttp and msgspec, without checks",
    ),
)


def draw(page: str) -> str:
    """Return the chart as SVG.

    Args:
        page: the text of docs/speed.md.
    """
    bars = [(bar, _figure(page, bar)) for bar in BARS]
    height = _TOP + _ROW * len(bars) + _BOTTOM
    scale = (_WIDTH - 2 * _MARGIN - 52) / max(figure for _, figure in bars)
    script = _MARGIN + scale
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="480" '
        f'font-family="system-ui, sans-serif" font-size="13" fill="{_INK}" role="img">',
        "<title>How many times as fast as a script of httpx and json</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{_MARGIN}" y="24" font-size="16" font-weight="bold">How many times as fast</text>',
        f'<text x="{_MARGIN}" y="43">as a hand-written script of httpx and json</text>',
        *(_row(bar, figure, _TOP + _ROW * number, scale) for number, (bar, figure) in enumerate(bars)),
        f'<text x="{script - 8:.1f}" y="{height - _BOTTOM + 14}">1{TIMES}: the script</text>',
        f'<text x="{_MARGIN}" y="{height - 10}">Blue: carecloud-async. Grey: without this SDK.</text>',
        "</svg>",
    ]
    return "\n".join([*parts, ""])


def _row(bar: Bar, figure: float, top: float, scale: float) -> str:
    colour = _OURS if bar.who.startswith("carecloud-async") else _OTHERS
    length, script = figure * scale, _MARGIN + scale
    return (
        f'<text x="{_MARGIN}" y="{top + 14}">{escape(bar.label)}</text>\n'
        f'<rect x="{_MARGIN}" y="{top + 20}" width="{length:.1f}" height="16" rx="2" fill="{colour}"/>\n'
        f'<path d="M{script:.1f} {top + 17} v22" stroke="{_INK}" stroke-width="1.5"/>\n'
        f'<text x="{_MARGIN + length + 6:.1f}" y="{top + 33}" font-weight="bold">{figure:.2f}{TIMES}</text>'
    )


def _figure(page: str, bar: Bar) -> float:
    """Return a median of the table, against the script."""
    work = ""
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        work = cells[0] or work
        if len(cells) > 4 and (work, cells[1], cells[3]) == (bar.work, bar.who, "httpx + json"):
            times = re.fullmatch(rf"([\d.]+){TIMES}", cells[4])
            if times:
                return float(times[1])
    raise SystemExit(f"docs/speed.md has no figure of {bar.who} for {bar.work!r}")


def main() -> None:
    """Draw the chart beside the page."""
    text = (_DOCS / "speed.md").read_text(encoding="utf-8")
    (_DOCS / "speed_readme.svg").write_text(draw(text), encoding="utf-8")


if __name__ == "__main__":
    main()
