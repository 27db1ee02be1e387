"""Files as shops have them: encodings, decimal commas, phones as people write them, spoiled numbers of cards."""

import csv
from zoneinfo import ZoneInfo

import pytest
from bulk_tools import SOURCE, connect, counts, people, read

from carecloud_async import CsvOptions
from carecloud_async.bulk.convert import ConversionError, Converter
from carecloud_async.bulk.errors import TooManyRefusedError
from carecloud_async.bulk.phones import phone_number
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

PRAGUE = ZoneInfo("Europe/Prague")
NOT_A_PHONE = "personal_information.phone: not a phone number with its international prefix, such as 420603123456"


def write(path, rows, *, encoding="utf-8", delimiter=";"):
    """Write rows as a CSV file."""
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


async def test_a_file_of_a_shop(sandbox, tmp_path):
    """A file in cp1250 with phones and days as people write them is imported; the results are in its encoding."""
    rows = [
        {"email": "a@example.com", "last_name": "Řehořová", "phone": "+420 603 123 456", "birthdate": "1.2.1990"},
        {"email": "b@example.com", "last_name": "Žák", "phone": "00420-603-123-457", "birthdate": "31. 12. 1999"},
    ]
    path, results = write(tmp_path / "c.csv", rows, encoding="cp1250"), tmp_path / "r.csv"
    arguments = {"match": "email", "defaults": {**SOURCE, "language_id": "cs"}, "encoding": "cp1250"}
    async with connect(sandbox) as client:
        report = await client.customers.bulk_write(path, results=results, **arguments)
        assert counts(report) == {"created": 2}
        made = (await client.customers.list(email="a@example.com").first()).personal_information
        assert (made.last_name, made.phone, str(made.birthdate)) == ("Řehořová", "420603123456", "1990-02-01")
        again = await client.customers.bulk_write(results, **arguments)
        assert counts(again) == {"unchanged": 2}
    assert "Řehořová" in results.read_text(encoding="cp1250")


@pytest.mark.parametrize(
    ("written", "digits"),
    [
        ("420603123456", "420603123456"),
        ("+420 603 123 456", "420603123456"),
        ("(+420) 603-123-456", "420603123456"),
        ("00420/603.123.456", "420603123456"),
        ("+44 (0)20 7946 0958", "442079460958"),
        ("+420\u00a0603\u202f123 456", "420603123456"),
        ("420603123456.0", "420603123456"),
        ("0905 123 456", None),
        ("603 123 456 ext. 5", None),
        ("4.20603E+11", None),
        ("   ", None),
        ("none", None),
    ],
)
def test_phone_numbers(written, digits):
    """A number becomes digits with its prefix; one without a prefix, or with letters, is none."""
    assert phone_number(written) == digits


async def test_a_dry_run_refuses_the_phones_that_the_server_would(sandbox, tmp_path):
    """What the API does not take as a phone number is refused without the server; the report counts the reasons."""
    rows = [{**one, "phone": "0603 123 456" if number else "603 123"} for number, one in enumerate(people(40))]
    path = write(tmp_path / "c.csv", rows)
    async with connect(sandbox) as client:
        trial = await client.customers.bulk_write(path, match="email", defaults=SOURCE, dry_run=True)
        assert counts(trial) == {"created": 1, "refused": 39}
        report = await client.customers.bulk_write(path, match="email", defaults=SOURCE)
        assert counts(report) == counts(trial)
    assert trial.reasons == report.reasons == {NOT_A_PHONE: 39}


async def test_a_phone_in_another_spelling_is_no_change(sandbox):
    """A record whose number is the row's in another spelling keeps its own."""
    async with connect(sandbox) as client:
        found = await client.customers.list().first()
        number = found.personal_information.phone
        rows = [{"customer_id": found.customer_id, "phone": f"+{number[:3]} {number[3:]}"}]
        assert counts(await client.customers.bulk_write(rows, match="customer_id")) == {"unchanged": 1}


@pytest.mark.parametrize(
    ("decimal", "written", "number"),
    [
        (",", "1234,50", 1234.5),
        (",", "1 234,50", 1234.5),
        (",", "-1.234.567,89", -1234567.89),
        (",", "1\u00a0234", 1234),
        (",", "1.234", 1234),
        (",", "1'234,5", 1234.5),
        (",", "5,00", 5),
        (",", "1.5", None),
        (",", "1.23,4", None),
        (",", "1,234,567", None),
        (".", "1,234.50", 1234.5),
        (".", "1 234", 1234),
        (".", "1,5", None),
        (None, "1234.5", 1234.5),
        (None, "1,5", None),
        (None, "1 234", None),
    ],
)
def test_decimal_signs(decimal, written, number):
    """Numbers are read with the decimal sign that was named, and thousands may be separated then."""
    converter = Converter(timezone=PRAGUE, textual=True, decimal=decimal)
    if number is None:
        reason = "not a number; for decimal commas set decimal" if decimal is None else "not a number"
        with pytest.raises(ConversionError, match=f"^{reason}$"):
            converter.convert(written, float)
        return
    assert converter.convert(written, float) == number
    if number == int(number):
        assert converter.convert(written, int) == number


async def test_amounts_of_a_file(sandbox, tmp_path):
    """`decimal=` reaches the rows of a file."""
    async with connect(sandbox) as client:
        product = await client.campaign_products.list().first()
        bad = await client.campaign_products.bulk_write([{"value": "1,5"}], match=None, dry_run=True)
        assert counts(bad) == {"refused": 1}
        rows = [{"campaign_id": product.campaign_id, "value": "1 250,5", "value_type_id": "PERCENT"}]
        path, results = write(tmp_path / "c.csv", rows), tmp_path / "r.jsonl"
        await client.campaign_products.bulk_write(path, match=None, decimal=",", dry_run=True, results=results)
    assert not any("value:" in reason for reason in read(results)[0]["reasons"])


async def test_an_untidy_export_is_imported_again(tmp_path):
    """The recipe of the page with zero dates, numbers for texts and unknown fields: every row is unchanged."""
    for suffix, options in (("csv", CsvOptions.excel()), ("plain.csv", CsvOptions()), ("jsonl", CsvOptions())):
        path = tmp_path / f"edit.{suffix}"
        async with connect(Sandbox(customers=1000, untidy=True)) as client:
            await client.customers.list(count=500).export(path, csv=options)
            report = await client.customers.bulk_write(path, match="customer_id", if_unchanged=True)
        assert (suffix, counts(report), report.reasons) == (suffix, {"unchanged": 1000}, {})


async def test_a_row_whose_record_has_a_time_by_now(sandbox):
    """A row with a zero date for `last_change` is in conflict with a record that was changed since."""
    async with connect(sandbox) as client:
        found = await client.customers.list().first()
        row = {"customer_id": found.customer_id, "last_name": "Ours", "last_change": "0000-00-00 00:00:00"}
        report = await client.customers.bulk_write([row], match="customer_id", if_unchanged=True)
        assert counts(report) == {"conflict": 1}


async def test_a_zero_date_is_no_date_of_a_new_record(sandbox):
    """A new customer with a zero date is refused with what to do."""
    async with connect(sandbox) as client:
        rows = [{**people(1)[0], "birthdate": "0000-00-00"}]
        report = await client.customers.bulk_write(rows, match="email", defaults=SOURCE)
    assert report.reasons == {"personal_information.birthdate: a zero date: leave the cell empty": 1}


async def test_agreements_by_name(sandbox):
    """Values of agreements go in by the names of their members, as those of all enumerations."""
    async with connect(sandbox) as client:
        rows = [{**people(1)[0], "agreement_gtc": "YES", "agreement_profiling": "not set", "gender": "Female"}]
        assert counts(await client.customers.bulk_write(rows, match="email", defaults=SOURCE)) == {"created": 1}
        made = (await client.customers.list(email="new0@example.com").first()).personal_information
    assert (made.agreement.agreement_gtc, made.agreement.agreement_profiling, made.gender) == (1, 2, 2)


def test_enumerations_of_texts_by_name():
    """A member of an enumeration of texts is sent as its value, in lists too; other texts are left as they are."""
    converter = Converter(timezone=PRAGUE, textual=True)
    assert converter.convert("EXTERNAL_ID", str, enumeration="CustomerIdentifierType") == "external_id"
    assert converter.convert("base64", str, enumeration="UploadMethod") == "base64"
    assert converter.convert("new one", str, enumeration="UploadMethod") == "new one"
    assert converter.convert('["EMAIL"]', list[str], enumeration="CustomerIdentifierType") == ["email"]


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
        path = write(
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
        report = await client.cards.bulk_write(write(tmp_path / "c.csv", rows), match="card_number", dry_run=True)
        assert counts(report) == {"refused": 30}
        rows[7]["card_number"] = "7700123456780071"
        report = await client.cards.bulk_write(write(tmp_path / "d.csv", rows), match="card_number", dry_run=True)
        assert counts(report) == {"created": 30}


async def test_card_numbers_of_two_kinds(sandbox, tmp_path):
    """Numbers of several lengths, such as cards of two series, are taken as they are."""
    async with connect(sandbox) as client:
        card_type = (await client.card_types.list().first()).card_type_id
        numbers = [*(f"77{one:011}" for one in range(30)), *(f"77{one:06}" for one in range(8)), "A-1"]
        rows = [{"card_number": one, "card_type_id": card_type, "state": "ACTIVE"} for one in numbers]
        report = await client.cards.bulk_write(write(tmp_path / "c.csv", rows), match="card_number", dry_run=True)
    assert counts(report) == {"created": len(rows)}
