"""Files as shops have them: encodings, decimal commas, phones as people write them, spoiled numbers of cards."""

import re

import pytest
from bulk_tools import CARD_TYPE, SOURCE, connect, counts, people, write_csv

from carecloud_async import CsvOptions
from carecloud_async.bulk import BadSourceError, TooManyRefusedError
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

NO_PREFIX = (
    "personal_information.phone: a phone number without its international prefix; "
    "set phone_prefix= (--phone-prefix), such as +420"
)


async def test_a_file_of_a_shop(client, tmp_path):
    """A file in cp1250 with phones and days as people write them is imported; the results are in its encoding."""
    rows = [
        {"email": "a@example.com", "last_name": "Řehořová", "phone": "+420 603 123 456", "birthdate": "1.2.1990"},
        {"email": "b@example.com", "last_name": "Žák", "phone": "00420-603-123-457", "birthdate": "31. 12. 1999"},
    ]
    path, results = write_csv(tmp_path / "c.csv", rows, encoding="cp1250"), tmp_path / "r.csv"
    arguments = {"match": "email", "defaults": {**SOURCE, "language_id": "cs"}, "encoding": "cp1250"}
    report = await client.customers.bulk_write(path, results=results, **arguments)
    assert counts(report) == {"created": 2}
    made = (await client.customers.list(email="a@example.com").first()).personal_information
    assert (made.last_name, made.phone, str(made.birthdate)) == ("Řehořová", "420603123456", "1990-02-01")
    again = await client.customers.bulk_write(results, **arguments)
    assert counts(again) == {"unchanged": 2}
    assert "Řehořová" in results.read_text(encoding="cp1250")


async def test_dates_in_the_format_of_a_shop(client, tmp_path):
    """`date_format=` reads days of one format; without it the reason names the option, with a wrong one the format."""
    days = ("31/12/99", "1/2/45", "05/06/26", "1990-05-31", "31.12.1999")
    rows = [{**item, "birthdate": day} for item, day in zip(people(5), days, strict=True)]
    path = write_csv(tmp_path / "c.csv", rows)
    without = await client.customers.bulk_write(path, match="email", defaults=SOURCE, dry_run=True)
    report = await client.customers.bulk_write(path, match="email", defaults=SOURCE, date_format="dd/mm/yy")
    made = [(await client.customers.list(email=f"new{number}@example.com").first()) for number in range(4)]
    compared = await client.customers.list().compare(path, match="email", date_format="dd/mm/yy")
    assert without.reasons == {
        "personal_information.birthdate: not a date: write YYYY-MM-DD or DD.MM.YYYY; or set date_format= "
        "(--date-format), such as dd/mm/yyyy": 3
    }
    assert report.reasons == {"personal_information.birthdate: not a date: write dd/mm/yy, or YYYY-MM-DD": 1}
    assert counts(report) == {"created": 4, "refused": 1}
    born = [str(item.personal_information.birthdate) for item in made]
    assert born == ["1999-12-31", "1945-02-01", "2026-06-05", "1990-05-31"]
    assert compared.same == 4


async def test_phones_without_a_prefix(client, tmp_path, caplog):
    """Numbers without a prefix are sent unchanged with one warning that counts them; `phone_prefix=` completes them."""
    rows = [{**item, "phone": f"603 123 {number:03}"} for number, item in enumerate(people(40))]
    rows[0]["phone"] = "+421 905 123 456"
    path = write_csv(tmp_path / "c.csv", rows)
    trial = await client.customers.bulk_write(path, match="email", defaults=SOURCE, dry_run=True)
    assert counts(trial) == {"created": 40}
    assert [record.message for record in caplog.records if record.name == "carecloud_async.bulk"] == [
        "39 phone numbers have no international prefix: set phone_prefix= (--phone-prefix), such as +420, to "
        "complete them; without it they are sent as they are"
    ]
    caplog.clear()
    report = await client.customers.bulk_write(path, match="email", defaults=SOURCE, phone_prefix="+420")
    assert (counts(report), caplog.records) == ({"created": 40}, [])
    made = [(await client.customers.list(email=f"new{value}@example.com").first()) for value in (0, 39)]
    assert [item.personal_information.phone for item in made] == ["421905123456", "420603123039"]
    again = await client.customers.bulk_write(path, match="phone", phone_prefix="00420", mode="update")
    assert counts(again) == {"unchanged": 40}
    compared = await client.customers.list().compare(path, match="email", phone_prefix="420")
    assert (compared.same, compared.rows) == (40, 40)


RIGHT = {
    "+420 603 123 456": "420603123456",
    "00420 603-123-457": "420603123457",
    "(+420) 603/123/458": "420603123458",
    "603 123 459": "420603123459",
    "420603123460": "420603123460",
    "800 123 456": "420800123456",
    "+421 905 123 456": "421905123456",
    "+48 600 700 800": "48600700800",
    "+49 (0)30 901820": "4930901820",
    "+36 06 30 123 4567": "36301234567",
}
WRONG = (
    "603123456/7",
    "+420 0603 123 456",
    "60312345",
    "+420 103 123 456",
    "6031234567",
    "+999 123 456 789",
    "+421 905 123",
    "111 111 111",
    "12345",
    "420 60 312 345",
)


async def test_numbers_that_no_country_has_are_refused(client, tmp_path, monkeypatch):
    """With the extra `phones` such numbers are refused, unless their column is named; without it they are taken."""
    pytest.importorskip("phonenumbers", reason="the phones extra is not installed")
    rows = [{**item, "phone": phone} for item, phone in zip(people(20), (*RIGHT, *WRONG), strict=True)]
    path = write_csv(tmp_path / "c.csv", rows)
    arguments = {"match": "email", "defaults": SOURCE, "phone_prefix": "+420"}
    trial = await client.customers.bulk_write(path, dry_run=True, as_written=["phone"], **arguments)
    assert counts(trial) == {"created": 20}
    report = await client.customers.bulk_write(path, **arguments)
    assert counts(report) == {"created": 10, "refused": 10}
    made = [(await client.customers.list(email=f"new{number}@example.com").first()) for number in range(10)]
    monkeypatch.setattr("carecloud_async.bulk.spellings._library", lambda: None)
    trial = await client.customers.bulk_write(path, dry_run=True, **arguments)
    assert counts(trial) == {"created": 10, "updated": 1, "unchanged": 9}
    assert [item.personal_information.phone for item in made] == [*RIGHT.values()]
    assert [*report.reasons] == [
        "personal_information.phone: not a phone number that its country has; if it is right, name the column in "
        "as_written= (--as-written)"
    ]


async def test_a_dry_run_refuses_the_phones_that_the_server_would(client, tmp_path):
    """A phone number that the API would not take is refused before anything is sent; the report counts the reasons."""
    rows = [{**item, "phone": "0603 123 456" if number else "603 123"} for number, item in enumerate(people(40))]
    path = write_csv(tmp_path / "c.csv", rows)
    trial = await client.customers.bulk_write(path, match="email", defaults=SOURCE, dry_run=True)
    assert counts(trial) == {"created": 1, "refused": 39}
    report = await client.customers.bulk_write(path, match="email", defaults=SOURCE)
    assert counts(report) == counts(trial)
    assert trial.reasons == report.reasons == {NO_PREFIX: 39}
    assert report.reason_lines == {NO_PREFIX: [*range(3, 13)]}


async def test_an_untidy_export_is_imported_again(tmp_path):
    """The recipe of the page with zero dates, numbers for texts and unknown fields: every row is unchanged."""
    for suffix, options in (("csv", CsvOptions.excel()), ("plain.csv", CsvOptions()), ("jsonl", CsvOptions())):
        path = tmp_path / f"edit.{suffix}"
        async with connect(Sandbox(customers=300, untidy=True)) as client:
            await client.customers.list(count=150).export(path, csv=options)
            report = await client.customers.bulk_write(path, match="customer_id", if_unchanged=True)
        assert (suffix, counts(report), report.reasons) == (suffix, {"unchanged": 300}, {})


async def test_an_export_with_decimal_commas_is_imported_again(client, tmp_path):
    """A file that was exported with `decimal=","` is imported and compared with it: nothing differs."""
    path = tmp_path / "edit.csv"
    stores = client.stores.list()
    await stores.export(path, csv=CsvOptions.excel(decimal=","))
    assert re.search(r";-?\d+,\d+;", path.read_text(encoding="utf-8-sig"))
    report = await client.stores.bulk_write(path, match="store_id", decimal=",")
    assert report.reasons == {}
    assert report.unchanged == report.rows > 0
    compared = await stores.compare(path, match="store_id", decimal=",")
    assert compared.all_same


async def test_a_zero_date_is_no_date_of_a_new_record(client):
    """A new customer with a zero date is refused with what to do."""
    rows = [{**people(1)[0], "birthdate": "0000-00-00"}]
    report = await client.customers.bulk_write(rows, match="email", defaults=SOURCE)
    assert report.reasons == {"personal_information.birthdate: a zero date: leave the cell empty": 1}


async def test_a_key_in_several_rows(client, tmp_path):
    """A dry run counts the rows that repeat a key, and says where they are; the real run does so."""
    rows = people(6)
    rows[3]["email"] = rows[5]["email"] = "NEW0@example.com"
    path = write_csv(tmp_path / "c.csv", rows)
    for dry_run in (True, False):
        report = await client.customers.bulk_write(path, match="email", defaults=SOURCE, dry_run=dry_run)
        assert counts(report) == {"created": 4, "refused": 2}
        assert report.reasons == {"email: repeats a line": 2}
    assert report.reason_lines == {"email: repeats a line": [5, 7]}


async def test_what_was_noticed_is_in_the_report_of_a_resumed_run(client, tmp_path):
    """A run that was finished before reports the reasons of its rows once more."""
    rows = [{"first_name": "A", "phone": "603123456", "language_id": "cs"}, {"first_name": "B"}]
    path, journal = write_csv(tmp_path / "c.csv", rows), tmp_path / "j.db"
    arguments = {"match": None, "defaults": SOURCE, "journal": journal}
    first = await client.customers.bulk_write(path, **arguments)
    again = await client.customers.bulk_write(path, **arguments, resume=True)
    assert (len(first.reasons), again.resumed) == (1, True)
    assert (again.reasons, again.reason_lines) == (first.reasons, first.reason_lines)


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
