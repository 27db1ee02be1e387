"""The page on the check names every finding, with what is assumed and how it is checked."""

import re
from pathlib import Path

import carecloud_async

ROOT = Path(__file__).parents[2]
CHECK = Path(carecloud_async.__file__).parent / "check"


def names_of_findings():
    """The names of all findings, as the code has them."""
    code = "".join(path.read_text(encoding="utf-8") for path in CHECK.glob("*.py"))
    return {*re.findall(r'@probe\(\s*"(\w+)"', code), *re.findall(r'name="(\w+)"', code)}


def first_cells(page, heading):
    """The names in the first column of the table below a heading or a line."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    table = text.partition(heading)[2].partition("\n\n")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}


def test_the_reference_says_what_each_finding_is_about():
    """Every finding has a row that says what is assumed and how it is checked."""
    without_a_row = {"settings", "unexamined"}  # they say what the check did
    names = names_of_findings()
    assert without_a_row < names
    assert first_cells("reference/check.md", "(`meaning`, `fix`).\n\n") == (names - without_a_row)
