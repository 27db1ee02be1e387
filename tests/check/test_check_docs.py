"""The page on the check names every finding, with what is assumed and how it is checked."""

import re
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the sandbox extra is not installed")

from check_tools import check, make

pytestmark = pytest.mark.anyio
PAGE = Path(__file__).parents[2] / "docs/reference/check.md"


async def test_the_reference_says_what_each_finding_is_about():
    """Every finding of a report has a row that says what is assumed and how it is checked."""
    table = PAGE.read_text(encoding="utf-8").partition("(`meaning`, `fix`).\n\n")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    report = await check(make())
    says_what_the_check_did = {"settings"}
    names = {finding.name for finding in report.findings} - says_what_the_check_did
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == names
