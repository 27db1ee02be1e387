"""The comparison judges rows: in small, without judging any time."""

import pytest
from thorough import variants

from benchmarks.compare import CASES, HTTPX, PATIENT, SDK, play, table

BY_NAME = {case.name: case for case in CASES}
DELETED = "customers are deleted meanwhile"


@pytest.mark.parametrize(
    ("name", "who"),
    [
        ("every fifth answer is a 503", SDK),
        *variants(("a list at rest", HTTPX), (DELETED, SDK), ("an import", SDK), ("the same import twice", HTTPX)),
    ],
)
def test_all_rows_of_who_does_it_well_are_right(name, who):
    """A row is right if it is there once and as the server has it; customers who were deleted do not count."""
    row = play(BY_NAME[name], who, records=60)
    assert row.wrong == 0
    assert row.right == 60 or (name == DELETED and 40 <= row.right < 60)
    assert row.requests > 0
    *_, line = table(iter([row]))
    assert line.startswith(f"| {name} | {who} | {row.right} | 0 | ")


@pytest.mark.thorough
def test_a_script_that_ends_early_reports_its_error_and_lacks_rows():
    """Retries do not help a script whose token was revoked: the rows that it has not read are wrong."""
    row = play(BY_NAME["the token is revoked halfway"], PATIENT, records=60)
    assert row.right + row.wrong == 60
    assert row.wrong > 0
    assert row.reported == "`HTTPStatusError`"


@pytest.mark.thorough
def test_a_list_that_shrinks_costs_a_script_rows():
    """A script that trusts offsets finds nothing wrong, and lacks rows that moved to a page that it had read."""
    row = play(BY_NAME[DELETED], HTTPX, records=400)
    assert row.wrong > 0
    assert "Error" not in row.reported
