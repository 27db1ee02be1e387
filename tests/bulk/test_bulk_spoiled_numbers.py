"""Texts that a spreadsheet has shortened, and card numbers with decimals: refused, unless they are said to be right."""

import pytest
from bulk_tools import CARD_TYPE, SOURCE, counts, people, write_csv

from carecloud_async.bulk import BadSourceError, TooManyRefusedError

pytestmark = pytest.mark.anyio

SHORTENED = "card_number: a number that a spreadsheet has shortened: export the column again, as text"
DECIMALS = "card_number: a number with decimals, as a table of numbers writes it: export the column again, as text"


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("7.7E+12", SHORTENED),
        ("7,70001e+12", SHORTENED),
        ("7700000000031.0", DECIMALS),
        (" 7700000000032,00", DECIMALS),
    ],
)
async def test_card_numbers_that_a_spreadsheet_spoiled(client, tmp_path, bad, problem):
    """A shortened number, or one with decimals, is refused before anything is sent; others are taken as they are."""
    path = write_csv(
        tmp_path / "c.csv",
        [
            {"card_number": value, "card_type_id": CARD_TYPE, "state": "ACTIVE"}
            for value in (bad, "7700000000031", "031", "7700123456780010", "A-1.0")
        ],
    )
    report = await client.cards.bulk_write(path, match="card_number", dry_run=True)
    assert counts(report) == {"created": 4, "refused": 1}
    assert report.reason_lines == {problem: [2]}
    with pytest.raises(TooManyRefusedError, match="none was sent") as caught:
        await client.cards.bulk_write(path, match="card_number", max_refused=0)
    assert caught.value.report.requests == 0


async def test_numbers_that_are_right(client, tmp_path):
    """`as_written=` takes the numbers of a column as they are, by its own name or its field's; it must be there."""
    rows = [{"Card": value, "card_type_id": CARD_TYPE, "state": "ACTIVE"} for value in ("7.7E+12", "7700000000031.0")]
    path = write_csv(tmp_path / "c.csv", rows)
    arguments = {"match": "card_number", "columns": {"Card": "card_number"}, "dry_run": True}
    for name in ("Card", "card_number"):
        report = await client.cards.bulk_write(path, as_written=[name], **arguments)
        assert counts(report) == {"created": 2}
    with pytest.raises(BadSourceError, match="has no column 'Crad'"):
        await client.cards.bulk_write(path, as_written=["Crad"], **arguments)


async def test_a_text_that_looks_shortened_may_be_right(client):
    """A name such as `1E+5` is refused, and taken if its column is named in `as_written=`."""
    rows = [{**people(1)[0], "last_name": "1E+5"}]
    refused = await client.customers.bulk_write(rows, match="email", defaults=SOURCE, dry_run=True)
    assert counts(refused) == {"refused": 1}
    taken = await client.customers.bulk_write(
        rows, match="email", defaults=SOURCE, dry_run=True, as_written=["last_name"]
    )
    assert counts(taken) == {"created": 1}
