"""Numbers of cards that a spreadsheet has spoiled: refused with their lines, unless they are said to be right."""

import pytest
from bulk_tools import SOURCE, connect, counts, people, write_csv

from carecloud_async.bulk.errors import BadSourceError, TooManyRefusedError
from carecloud_async.bulk.spoiled import CodeColumn

pytestmark = pytest.mark.anyio

AS_WRITTEN = "; if they are right, name the column in as_written= (--as-written)"


@pytest.mark.parametrize(
    ("good", "bad", "problem"),
    [
        ([f"77{one:011}" for one in range(30)], "7.7E+12", "a number that a spreadsheet has shortened"),
        ([f"77{one:011}" for one in range(30)], "7,70001E+12", "a number that a spreadsheet has shortened"),
        ([f"0077{one:09}" for one in range(30)], "77000000031", "11 digits where most rows have 13"),
        ([f"77{one:011}" for one in range(30)], "700000000031", "12 digits where most rows have 13"),
    ],
)
async def test_card_numbers_that_a_spreadsheet_spoiled(sandbox, tmp_path, good, bad, problem):
    """A number that was shortened, or lost zeros by the length of the others, is refused before anything is sent."""
    async with connect(sandbox) as client:
        card_type = (await client.card_types.list().first()).card_type_id
        path = write_csv(
            tmp_path / "c.csv",
            [{"card_number": one, "card_type_id": card_type, "state": "ACTIVE"} for one in [bad, *good]],
        )
        report = await client.cards.bulk_write(path, match="card_number", dry_run=True)
        assert counts(report) == {"created": 30, "refused": 1}
        (reason,) = report.reasons
        assert reason.startswith(f"card_number: {problem}")
        with pytest.raises(TooManyRefusedError, match="none was sent") as caught:
            await client.cards.bulk_write(path, match="card_number", max_refused=0)
        assert caught.value.report.requests == 0


async def test_card_numbers_that_were_rounded(sandbox, tmp_path):
    """Of numbers of sixteen digits a spreadsheet keeps fifteen: where all end with zeros, all are refused."""
    async with connect(sandbox) as client:
        card_type = (await client.card_types.list().first()).card_type_id
        rows = [
            {"card_number": f"770012345678{one:03}0", "card_type_id": card_type, "state": "ACTIVE"} for one in range(30)
        ]
        report = await client.cards.bulk_write(write_csv(tmp_path / "c.csv", rows), match="card_number", dry_run=True)
        assert counts(report) == {"refused": 30}
        rows[7]["card_number"] = "7700123456780071"
        report = await client.cards.bulk_write(write_csv(tmp_path / "d.csv", rows), match="card_number", dry_run=True)
        assert counts(report) == {"created": 30}


async def test_card_numbers_of_two_kinds(sandbox, tmp_path):
    """Numbers of several lengths, such as cards of two series, are taken as they are."""
    async with connect(sandbox) as client:
        card_type = (await client.card_types.list().first()).card_type_id
        numbers = [*(f"77{one:011}" for one in range(30)), *(f"77{one:06}" for one in range(8)), "A-1"]
        rows = [{"card_number": one, "card_type_id": card_type, "state": "ACTIVE"} for one in numbers]
        report = await client.cards.bulk_write(write_csv(tmp_path / "c.csv", rows), match="card_number", dry_run=True)
    assert counts(report) == {"created": len(rows)}


@pytest.mark.parametrize(
    ("numbers", "problem", "spoiled"),
    [
        (["7.7E+12"] * 4, "a number that a spreadsheet has shortened", 4),
        (["7,7e+12", "7,8e+12"], "a number that a spreadsheet has shortened", 2),
        (["7700000000031.0", "7700000000032,00"], "a number with decimals", 2),
        (["7700000000000"] * 3, "all rows have the same number", 3),
        (["7700120000000", "7700130000000"], "a number of which a spreadsheet has kept 6 digits", 2),
        (["7700120000000", "7700130000000", "7700140000000", "7700000000031"], "a number of which", 3),
        (["7700123456780010", "7700123456780020", "7700123456780030", "7700123456780040"], "a number that a", 4),
        (["7700123456780010000"], "a number that a spreadsheet has rounded to 15 digits", 1),
        (["7700000000031", "7700000000032", "7700000000033", "7700000000034", "700000000035"], "12 digits", 1),
        ([*(f"77{one:05}" for one in range(6)), *(f"7{one:05}" for one in range(4))], "6 digits where most", 4),
        ([f"77{one:011}" for one in range(5)], None, 0),
        (["7700000000000", "7700000000001"], None, 0),
        (["12", "12", "12"], None, 0),
        (["7700000000031", "7700000000032", "70000"], None, 0),
        (["A-1", ""], None, 0),
    ],
)
def test_columns_that_a_spreadsheet_spoiled(numbers, problem, spoiled):
    """A small or wholly spoiled column is noticed: shortened, with decimals, rounded, all alike, without its zeros."""
    column = CodeColumn(is_unique=True)
    for one in numbers:
        column.add(one)
    problems = [found for one in numbers if (found := column.problem(one)) is not None]
    assert len(problems) == spoiled
    assert all(one.startswith(problem) for one in problems)


async def test_a_customer_without_the_spoiled_card(sandbox, tmp_path):
    """A shortened number is never right: the reason says that the customer can be created without it."""
    path = write_csv(tmp_path / "c.csv", [{**people(1)[0], "card_number": "7,71E+10"}])
    async with connect(sandbox) as client:
        report = await client.customers.bulk_write(path, match="email", defaults=SOURCE, dry_run=True)
    assert report.reasons == {
        "card_number: a number that a spreadsheet has shortened: export the column again, as text, or empty the cell: "
        "the customer is created without a card": 1
    }


def test_numbers_that_may_stand_in_many_rows():
    """The card of one customer may stand in every row of a file of bills."""
    column = CodeColumn()
    for _ in range(3):
        column.add("7700000000031")
    assert column.problem("7700000000031") is None


async def test_numbers_that_are_right(sandbox, tmp_path):
    """The report names the lines of spoiled numbers and no number; `as_written=` takes them as they are."""
    async with connect(sandbox) as client:
        card_type = (await client.card_types.list().first()).card_type_id
        numbers = ["7700120000000", "7700130000000", "7700140000000"]
        rows = [{"Card": one, "card_type_id": card_type, "state": "ACTIVE"} for one in numbers]
        path = write_csv(tmp_path / "c.csv", rows)
        arguments = {"match": "card_number", "columns": {"Card": "card_number"}, "dry_run": True}
        report = await client.cards.bulk_write(path, **arguments)
        assert counts(report) == {"refused": 3}
        ((reason, lines),) = report.reason_lines.items()
        assert reason.endswith(AS_WRITTEN)
        assert not any(one in reason for one in numbers)
        assert lines == [2, 3, 4]
        for name in ("Card", "card_number"):
            report = await client.cards.bulk_write(path, as_written=[name], **arguments)
            assert counts(report) == {"created": 3}
        with pytest.raises(BadSourceError, match="has no column 'Crad'"):
            await client.cards.bulk_write(path, as_written=["Crad"], **arguments)


async def test_a_text_that_looks_shortened_may_be_right(sandbox):
    """A name such as `1E+5` is refused, and taken if its column is named in `as_written=`."""
    async with connect(sandbox) as client:
        rows = [{**people(1)[0], "last_name": "1E+5"}]
        refused = await client.customers.bulk_write(rows, match="email", defaults=SOURCE, dry_run=True)
        assert counts(refused) == {"refused": 1}
        taken = await client.customers.bulk_write(
            rows, match="email", defaults=SOURCE, dry_run=True, as_written=["last_name"]
        )
        assert counts(taken) == {"created": 1}
