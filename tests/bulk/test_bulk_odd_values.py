"""Values that no field, no JSON or no calendar holds: they refuse their row, and the other rows are written."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from bulk_tools import CARD_TYPE, SOURCE, counts, people, properties_of_texts, read, write_csv

pytestmark = pytest.mark.anyio

LAST_MOMENT = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def deep(levels):
    """An object in an object, and so on."""
    value = {}
    for _ in range(levels):
        value = {"a": value}
    return value


#: What a row has, and why it is refused.
ODD = [
    ({"first_name": "\ud800"}, "personal_information.first_name: a text that is no Unicode (a lone surrogate)"),
    ({"email": "\ud800@example.com"}, "personal_information.email: a text that is no Unicode (a lone surrogate)"),
    ({"email": float("nan")}, "personal_information.email: NaN is no value: give null"),
    ({"first_name": float("nan")}, "personal_information.first_name: NaN is no value: give null"),
    ({"birthdate": float("nan")}, "personal_information.birthdate: NaN is no value: give null"),
    ({"first_name": 10**5000}, "personal_information.first_name: not a text"),
    ({"first_name": deep(3000)}, "a value is nested too deeply"),
    ({"personal_information": "text"}, "personal_information: not an object"),
    ({"personal_information": {"address": []}}, "personal_information.address: not an object"),
]


async def test_values_that_cannot_be_sent_refuse_their_rows(client, results):
    """A row is refused with the field and the reason; the rows before and after it are written."""
    more = [{}, *(row for row, _ in ODD), {}]
    rows = [{**person, **item} for person, item in zip(people(len(more)), more, strict=True)]
    report = await client.customers.bulk_write(rows, match="email", defaults=SOURCE, results=results)
    assert counts(report) == {"created": 2, "refused": len(ODD)}
    assert [row["reasons"] for row in read(results)] == [[], *([reason] for _, reason in ODD), []]


async def test_wrong_values_in_a_list_of_objects_refuse_their_rows(client, results):
    """Texts or numbers where a list of objects is due refuse the row with the reason; the other rows are written."""
    values, fault = ([], "x", 5, ["x"], [["x"]], []), "item 1: not an object"
    rows = [{"code": f"odd-{number}", "name": "Coffee", "plu_ids": value} for number, value in enumerate(values)]
    report = await client.products.bulk_write(rows, match="code", results=results)
    assert counts(report) == {"created": 2, "refused": 4}
    reasons = [row["reasons"] for row in read(results)]
    assert reasons == [[], *([f"plu_ids: {item}"] for item in ("not a list", "not a list", fault, fault)), []]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
async def test_results_of_a_lone_surrogate(client, tmp_path, suffix):
    """Results and rejects are UTF-8 also when the source has half a surrogate, and can be given again."""
    source, results, rejects = tmp_path / "c.jsonl", tmp_path / f"r.{suffix}", tmp_path / f"bad.{suffix}"
    source.write_text('{"email":"\\ud800@example.com"}\n{"email":"b@example.com","first_name":"\\ud800"}\n')
    arguments = {"match": "email", "defaults": {**SOURCE, "language_id": "en"}}
    report = await client.customers.bulk_write(source, results=results, rejects=rejects, **arguments)
    assert counts(report) == {"refused": 2}
    for again in (results, rejects):
        report = await client.customers.bulk_write(again, dry_run=True, **arguments)
        assert report.rows == 2
    if suffix == "jsonl":
        assert read(rejects)[1]["first_name"] == "\ud800"


async def test_times_beyond_the_calendar(client, results):
    """A time that the project's zone moves out of the calendar refuses its row; early years keep four digits."""
    rows = [
        {"card_number": "1", "valid_to": LAST_MOMENT.isoformat()},
        {"card_number": "2", "valid_to": "0001-01-01T00:00:00+14:00"},
        {"card_number": "3", "valid_to": "9999-12-31 23:59:59", "valid_from": datetime(985, 2, 12)},  # noqa: DTZ001
    ]
    defaults = {"card_type_id": CARD_TYPE, "state": 1}
    report = await client.cards.bulk_write(rows, match="card_number", defaults=defaults, results=results)
    reason = "valid_to: not a time of the calendar in the project's time zone"
    assert [row["reasons"] for row in read(results)] == [[reason], [reason], []]
    assert counts(report) == {"created": 1, "refused": 2}
    made = [card async for card in client.cards.list(card_number="3").raw()]
    assert b'"0985-02-12 00:00:00"' in made[0]


async def test_decimals_are_numbers(client, tmp_path):
    """Decimals, as databases and Arrow give them, are taken as numbers."""
    rows = [{**people(1)[0], "phone": Decimal("420777123456"), "gender": Decimal("2.0"), "birthdate": date(990, 1, 2)}]
    report = await client.customers.bulk_write(rows, match="email", defaults=SOURCE)
    assert counts(report) == {"created": 1}
    made = (await client.customers.list(email="new0@example.com").first()).personal_information
    assert (made.phone, made.gender) == ("420777123456", 2)


@pytest.mark.parametrize("digits", ["1.50", "0.1234567890123456789"])
async def test_a_decimal_that_is_a_text_keeps_its_digits(client, digits):
    """A row whose decimal has the digits of the record's text changes nothing."""
    await client.customers.bulk_write([{**people(1)[0], "first_name": digits}], match="email", defaults=SOURCE)
    rows = [{**people(1)[0], "first_name": Decimal(digits)}]
    assert counts(await client.customers.bulk_write(rows, match="email", defaults=SOURCE)) == {"unchanged": 1}


async def test_null_objects_name_no_field(client):
    """An object that is null in JSON changes nothing, whether the server shows such objects or not."""
    rows = [{**people(1)[0], "personal_information": None}, {**people(2)[1], "personal_information": {"address": None}}]
    report = await client.customers.bulk_write(rows, match="email", defaults=SOURCE)
    assert counts(report) == {"created": 2}


async def test_a_text_that_the_record_has_already(client):
    """A float that may have lost digits changes nothing where the record has just this number."""
    rows = [{**people(1)[0], "first_name": "9912345678901234"}]
    await client.customers.bulk_write(rows, match="email", defaults=SOURCE)
    for value, outcome in ((9912345678901234.0, "unchanged"), (9912345678901236.0, "refused")):
        report = await client.customers.bulk_write([{**rows[0], "first_name": value}], match="email", defaults=SOURCE)
        assert counts(report) == {outcome: 1}


PROPERTIES = {
    "31.01.2026": "2026-01-31",
    " 2026-1-31 ": "2026-01-31",
    "99.99.2026": "99.99.2026",
    '["a"]': ["a"],
    "[no list": "[no list",
    "5": "5",
}


async def test_a_property_of_a_cell(sandbox, client, tmp_path):
    """Days are written as the API takes them, and lists in the cells of a file are JSON."""
    found = await client.customers.list().first()
    records, property_id = client.customers.property_records(found.customer_id), properties_of_texts(sandbox)[0]
    for cell, made in PROPERTIES.items():
        path = write_csv(tmp_path / "c.csv", [{"property_id": property_id, "property_value": cell}])
        await records.bulk_write(path, match="property_id")
        assert [record.property_value async for record in records.list() if record.property_id == property_id] == [made]


async def test_values_that_are_no_json(sandbox, client):
    """A value whose only text is Python's own, such as bytes, is refused as the value of a property."""
    found = await client.customers.list().first()
    records = client.customers.property_records(found.customer_id)
    properties = properties_of_texts(sandbox)
    values = [b"x", {"a": b"x"}, [object()], {1, 2}]
    rows = [
        {"property_id": property_id, "property_value": value}
        for property_id, value in zip(properties, values, strict=False)
    ]
    report = await records.bulk_write(rows, match="property_id")
    assert report.reasons == {"property_value: not a value of JSON": len(rows)}


async def test_a_field_that_takes_a_text_or_an_object(client):
    """The customer of an event is a text or an object, whose fields are checked; its type may be named by its word."""
    customers = [{"customer_source_id": "s", "external_id": "1"}, "a@example.com", {"x": 1}]
    event = {"event_type_id": "t", "customer_identifier_type": "EXTERNAL_ID", "data": {}}
    rows = [
        {**event, "external_id": f"e{number}", "customer_identifier_value": value}
        for number, value in enumerate(customers)
    ]
    report = await client.events.bulk_write(rows, match="external_id", dry_run=True)
    assert report.reasons == {"customer_identifier_value: an object with the unknown field x": 1}
    assert report.created == 2
