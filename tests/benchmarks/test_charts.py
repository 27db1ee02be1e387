"""The charts: their figures are those of docs/speed.md, and they can be read."""

import re
from pathlib import Path

import pytest

from benchmarks import readme_chart
from benchmarks.work import TIMES

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "speed.md").read_text(encoding="utf-8")


def test_the_chart_of_the_readme_has_five_bars_of_the_table():
    """The README's chart shows five bars of the table, for a screen of 360 pixels, in letters of 13 and more."""
    chart = (DOCS / "speed_readme.svg").read_text(encoding="utf-8")
    assert chart == readme_chart.draw(PAGE)
    assert 'viewBox="0 0 360 ' in chart
    assert len(re.findall(rf"<text[^>]*>[\d.]+{TIMES}</text>", chart)) == 5
    assert min(map(int, re.findall(r'font-size="(\d+)"', chart))) == 13


def test_a_figure_that_the_page_has_not_is_named():
    """A work whose row is gone ends the drawing with its name."""
    with pytest.raises(SystemExit, match="CSV export, 1000 a page"):
        readme_chart.draw(PAGE.replace("CSV export", "CSV"))


def test_the_long_chart_has_its_axis_at_both_ends():
    """Each mark of the axis is above the bars and below them."""
    chart = (DOCS / "speed.svg").read_text(encoding="utf-8")
    marks = re.findall(rf">([\d.]+){TIMES}</text>", chart)
    assert [marks.count(mark) for mark in ("0.25", "1", "4", "16")] == [2, 2, 2, 2]
