"""Cells as people, spreadsheets and programs write them: what the API gets of each, or why its row is refused."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from bulk_tools import SOURCE, counts, people, read, write_csv
from every import every
from memory_servers import CustomerServer, LoyaltyServer, client_of

from carecloud_async.pytest_plugin.clock import START

pytestmark = pytest.mark.anyio

PRAGUE = ZoneInfo("Europe/Prague")


@pytest.fixture
def gets(clock, tmp_path):
    """Return a function that writes cells of a column, and returns what the server gets; `None` of a refused row."""

    async def write(column, cells, *, as_file=True, reasons=None, **options):
        server, results = CustomerServer(clock), tmp_path / "r.jsonl"
        rows = [{**row, column: cell} for row, cell in zip(people(len(cells)), cells, strict=True)]
        source = write_csv(tmp_path / "c.csv", rows) if as_file else rows
        async with client_of(server, clock) as client:
            await client.customers.bulk_write(source, match="email", defaults=SOURCE, results=results, **options)
        if reasons is not None:
            reasons += [value["reasons"] for value in read(results) if value["outcome"] == "refused"]
        made = {
            customer["personal_information"]["email"]: customer["personal_information"]
            for customer in server.customers.values()
        }
        found = [{**(one := made.get(row["email"], {})), **one.get("agreement", {})} for row in rows]
        return [item.get(column) for item in found]

    return write


PHONES = {
    None: {
        "420603123456": "420603123456",
        "+420 603 123 456": "420603123456",
        "(+420) 603-123-456": "420603123456",
        "00420/603.123.456": "420603123456",
        "+44 (0)20 7946 0958": "442079460958",
        "+420\u00a0603\u202f123 456": "420603123456",
        "420603123456.0": "420603123456",
        "0905 123 456": None,
        "603 123 456 ext. 5": None,
        "4.20603E+11": None,
        "none": None,
    },
    "420": {
        "603 123 456": "420603123456",
        "(603) 123-456": "420603123456",
        "603123456.0": "420603123456",
        "+421 905 123 456": "421905123456",
        "00421905123456": "421905123456",
        "421905123456": "421905123456",
        "420 123 456": "420420123456",
        "none": None,
    },
    "421": {"0905 123 456": "421905123456"},
    "49": {"0151 23456789": "4915123456789"},
    "39": {"06 1234 5678": "390612345678"},
    "36": {"06 30 123 4567": "36301234567"},
    "47": {"47 12 34 56": "4747123456", "47 12 34 56 78": None},
}


@every("prefix", PHONES)
async def test_phone_numbers(gets, prefix):
    """A phone number becomes digits with its prefix, or with the one that was named; other texts are refused."""
    cells = PHONES[prefix]
    assert await gets("phone", [*cells], phone_prefix=prefix, as_written=["phone"]) == [*cells.values()]


ALIKE = {
    ("720181590", "420720181590"): True,
    ("90123456", "4790123456"): True,
    ("2125550100", "12125550100"): True,
    ("0612345678", "390612345678"): True,
    ("720181590", "420720181591"): False,
    ("60181590", "720181590"): False,
    ("181590", "420720181590"): False,
    ("420720181590", "1420720181590"): False,
}


async def test_numbers_that_lack_only_their_prefix(server, write):
    """A number is the record's if that has one to three more digits in front of it; any other one is a change."""
    rows = []
    for number, (phone, whole) in enumerate(ALIKE):
        server.add(f"a{number}@example.com", phone=whole)
        rows.append({"email": f"a{number}@example.com", "phone": phone})
    await write(rows, match="email", as_written=["phone"])
    shown = [customer["personal_information"]["phone"] for customer in server.customers.values()]
    assert [phone == whole for phone, (_, whole) in zip(shown, ALIKE, strict=True)] == [*ALIKE.values()]


DAYS = {
    None: {"31.1.1990": "1990-01-31", "1990-01-31": "1990-01-31", "5/31/1990": None},
    "mm/dd/yyyy": {"5/31/1990": "1990-05-31", "31.5.1990": None},
    "yyyy/m/d": {"1990/05/31": "1990-05-31"},
    "D. M. YY": {"31. 5. 26": "2026-05-31", "31. 5. 27": "1927-05-31"},
    "dd-mm-yy": {"31-05-47": "1947-05-31", "31-02-47": None},
}


@every("date_format", DAYS)
async def test_days(gets, date_format):
    """The parts of a format may stand in any order; two digits of a birthdate are of the last hundred years."""
    assert await gets("birthdate", [*DAYS[date_format]], date_format=date_format) == [*DAYS[date_format].values()]


MOMENTS = {
    datetime(1985, 2, 11, 23, tzinfo=UTC): "1985-02-12",
    datetime(1985, 7, 11, 22, tzinfo=UTC): "1985-07-12",
    datetime(1985, 2, 12, tzinfo=UTC): "1985-02-12",
    datetime(1985, 2, 12, tzinfo=PRAGUE): "1985-02-12",
    datetime(1985, 2, 12, 15, 30): "1985-02-12",  # noqa: DTZ001  (naive, as the API's times)
}


async def test_a_day_that_a_data_frame_holds_as_a_time(gets):
    """Midnight in the project's zone is that day, though its time in UTC is of the day before."""
    assert await gets("birthdate", [*MOMENTS], as_file=False) == [*MOMENTS.values()]


async def test_a_text_that_was_a_float(gets):
    """A float that has lost digits, such as a long card number in a column with gaps, is no text."""
    reasons = []
    values = [420777123456.0, 9912345678901235.0]
    assert await gets("first_name", values, as_file=False, reasons=reasons) == ["420777123456", None]
    assert ["lost digits" in reason[0] for reason in reasons] == [True]


NUMBERS = {
    ",": {
        "1234,50": 1234.5,
        "1 234,50": 1234.5,
        "-1.234.567,89": -1234567.89,
        "1\u00a0234": 1234,
        "1.234": 1234,
        "1'234,5": 1234.5,
        "5,00": 5,
        "1.5": None,
        "1.23,4": None,
        "1,234,567": None,
    },
    ".": {"1,234.50": 1234.5, "1 234": 1234, "1,5": None},
    None: {"1234.5": 1234.5, "1,5": None, "1 234": None, "9" * 400: None},
}
VALUES = {
    Decimal("10.50"): 10.5,
    10**400: None,
    -(10**18): None,
    Decimal("1e400"): None,
    Decimal("nan"): None,
    float("inf"): None,
    "1.5": 1.5,
    True: None,
}


@pytest.mark.parametrize("decimal", [*NUMBERS, "values"])
async def test_numbers(clock, tmp_path, results, decimal):
    """Numbers are read with the decimal sign that was named, and thousands may be separated then."""
    server = LoyaltyServer(clock)
    cells = VALUES if decimal == "values" else NUMBERS[decimal]
    rows = [{"customer_id": "c", "reference": f"B{number}", "amount": cell} for number, cell in enumerate(cells)]
    is_file = decimal != "values"
    source = write_csv(tmp_path / "c.csv", rows) if is_file else rows
    async with client_of(server, clock) as client:
        options = {"decimal": decimal} if is_file else {}
        report = await client.points.bulk_write(source, match="reference", results=results, **options)
    made = [entry["point_amount"] for entry in server.points]
    assert sorted(made) == sorted(value for value in cells.values() if value is not None)
    assert [row["outcome"] == "created" for row in read(results)] == [value is not None for value in cells.values()]
    assert all(reason.startswith("amount: ") for reason in report.reasons)
    if decimal is None:
        assert "amount: not a number; for decimal commas set decimal= (--decimal)" in report.reasons


async def test_truth_values_and_members_in_words(gets):
    """`ANO` and `NE` are yes and no, and a member of an enumeration may stand by its name, in any case."""
    assert await gets("gender", ["MALE", " female ", "2", "neither"]) == [1, 2, 2, None]
    words = {"ANO": 1, " ne": 0, "yes": 1, "No": 0, "Nie": 0, "not set": 2, "asi": None}
    assert await gets("agreement_gtc", [*words]) == [*words.values()]


async def test_a_number_that_the_record_has_as_a_text(server, write, tmp_path):
    """A number of a row is the text of the record if that spells it, as PHP writes the decimals of MySQL."""
    customers = [
        server.add(f"a{value}@example.com", first_name=text) for value, text in enumerate(("1.5", "2", "1.51"))
    ]
    rows = [{"customer_id": item, "first_name": number} for item, number in zip(customers, (1.5, 2, 1.5), strict=True)]
    assert counts(await write(rows, match="customer_id")) == {"unchanged": 2, "updated": 1}


#: Ways to write the time of the record, 2026-03-02 12:00:00 in the zone of the server, and a time before it.
SAME = [
    "2026-03-02 12:00:00", "2026-03-02T12:00:00", "2026-03-02 12:00:00.000000", "2.3.2026 12:00:00", "2. 3. 2026 12:00",
    "2026-03-02 12:00", "2026-03-02T11:00:00Z", "2026-03-02 12:00:00+01:00", START.replace(tzinfo=None),
    datetime(2026, 3, 2, 11, tzinfo=UTC),
]  # fmt: skip
BEFORE = [
    "2026-03-02 11:59:59", "2.3.2026 9:00", "28.2.2026 13:00:00", "2026-03-02T11:00:00.5+01:00",
    START.replace(tzinfo=None) - timedelta(seconds=1), "2026-03-02 11:59", "0000-00-00 00:00:00",
]  # fmt: skip


OUTCOMES = {**dict.fromkeys(SAME, "updated"), **dict.fromkeys(BEFORE, "conflict"), "soon": "refused", "": "refused"}


@every("last_change, outcome", [*OUTCOMES.items()])
async def test_times_of_any_spelling(server, write, results, last_change, outcome):
    """A row's time is read as spreadsheets, JSON and Python write it; one that is no time refuses the row."""
    row = {"customer_id": server.add("a@x.cz", last_name="Old"), "last_name": "New", "last_change": last_change}
    report = await write([row], match="customer_id", if_unchanged=True, results=results)
    assert counts(report) == {outcome: 1}
    if outcome != "updated":
        assert read(results)[0]["reasons"][0].startswith("last_change: ")
