"""Values of properties in rows of customers: their types, their spellings, and what a dry run says of them."""

import csv
from datetime import date

import pytest
from bulk_tools import SOURCE, counts, people, properties_of_texts, read, write_csv

pytestmark = pytest.mark.anyio


async def test_a_dry_run_looks_properties_up(sandbox, client, results):
    """A dry run says what the real run does, field by field: it reads properties, once a customer, and writes none."""
    first, second = [f"property.{property_id}" for property_id in properties_of_texts(sandbox)[:2]]
    rows = [{**row, first: "a", second: "b"} for row in people(4)]
    found = []
    arguments = {"match": "email", "defaults": SOURCE, "results": results}
    await client.customers.bulk_write(rows[:3], **arguments)
    rows[1][second], rows[2][first], rows[2]["last_name"] = "other", "other", "Changed"
    for dry_run in (True, False):
        with client.record_calls() as calls:
            report = await client.customers.bulk_write(rows, dry_run=dry_run, **arguments)
        found.append([(row["outcome"], row["changed_fields"]) for row in read(results)])
        assert counts(report) == {"unchanged": 1, "updated": 2, "created": 1}
        assert not dry_run or {call.method for call in calls} == {"GET"}
        assert not dry_run or len([call for call in calls if "property-records" in call.path]) == 3
    assert (
        found[0]
        == found[1]
        == [
            ("unchanged", []),
            ("updated", [second]),
            ("updated", ["personal_information.last_name", first]),
            ("created", [first, second]),
        ]
    )


async def test_a_dry_run_says_which_properties_are_in_conflict(sandbox, client, tmp_path):
    """In a dry run too, a customer with two values of a property is a conflict."""
    property_id = sandbox.records("customer-properties").ids()[0]
    rows, results = [{**people(1)[0], f"property.{property_id}": "1"}], tmp_path / "r.jsonl"
    await client.customers.bulk_write(rows, match="email", defaults=SOURCE)
    customer = (await client.customers.list(email="new0@example.com").first()).customer_id
    sandbox.records("customers/property-records", of=customer).insert(
        {"property_id": property_id, "property_value": "2"}
    )
    rows[0][f"property.{property_id}"] = "0"
    report = await client.customers.bulk_write(rows, match="email", dry_run=True, results=results)
    assert counts(report) == {"conflict": 1}
    assert read(results)[0]["reasons"] == [f"property.{property_id}: 2 records have this property"]


@pytest.mark.parametrize(
    ("given", "kept", "cell"),
    [
        ("a", "a", "a"), (42, "42", "42"), (True, True, "true"), (["a", "b"], ["a", "b"], '["a","b"]'),
        ({"x": 1}, {"x": 1}, '{"x": 1}'), (date(2026, 1, 31), "2026-01-31", "2026-01-31"),
    ],
)  # fmt: skip
async def test_a_property_of_any_kind(sandbox, client, tmp_path, given, kept, cell):
    """`property.ID` takes booleans, lists and objects too; the same row, or its cell in a file, changes nothing."""
    source, arguments = tmp_path / "c.csv", {"match": "email", "defaults": SOURCE}
    property_id = properties_of_texts(sandbox)[0]
    rows = [{**people(1)[0], f"property.{property_id}": given}]
    assert counts(await client.customers.bulk_write(rows, **arguments)) == {"created": 1}
    made = await client.customers.list(email="new0@example.com").first()
    records = [record async for record in client.customers.property_records(made.customer_id).list()]
    assert [record.property_value for record in records if record.property_id == property_id] == [kept]
    assert counts(await client.customers.bulk_write(rows, **arguments)) == {"unchanged": 1}
    with source.open("w", newline="") as file:
        csv.writer(file).writerows([["email", f"property.{property_id}"], ["new0@example.com", cell]])
    assert counts(await client.customers.bulk_write(source, **arguments)) == {"unchanged": 1}


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        ("integer", "37 959", 37959),
        ("integer", "-5,00", -5),
        ("Float", "37959,53", 37959.53),
        ("number", "1.234,5", 1234.5),
        ("boolean", "ANO", True),
        ("boolean", "0", False),
        ("date", "31.01.2026", "2026-01-31"),
        ("string", "37959,53", "37959,53"),
        ("string", "31.01.2026", "31.01.2026"),
        ("timestamp", "2026-01-31 10:00", "2026-01-31 10:00"),
        ("their own", "1,5", "1,5"),
    ],
)
async def test_a_property_takes_values_of_its_type(sandbox, client, tmp_path, kind, cell, value):
    """A cell becomes a value of the property's type, by the file's decimal sign; again it changes nothing."""
    property_id = properties_of_texts(sandbox)[0]
    sandbox.records("customer-properties").update(property_id, {"data_type": kind})
    path = write_csv(tmp_path / "c.csv", [{**people(1)[0], f"property.{property_id}": cell}])
    arguments = {"match": "email", "defaults": SOURCE, "decimal": ","}
    assert counts(await client.customers.bulk_write(path, **arguments)) == {"created": 1}
    made = await client.customers.list(email="new0@example.com").first()
    records = [record async for record in client.customers.property_records(made.customer_id).list()]
    (found,) = [record.property_value for record in records if record.property_id == property_id]
    assert (type(found), found) == (type(value), value)
    for dry_run in (True, False):
        assert counts(await client.customers.bulk_write(path, dry_run=dry_run, **arguments)) == {"unchanged": 1}


@pytest.mark.parametrize(
    ("kind", "known", "cell", "outcome"),
    [
        ("float", "1.50", "1,5", "unchanged"),
        ("float", "1,5", "1,5", "unchanged"),
        ("float", 1.5, "1,50", "unchanged"),
        ("float", "15", "1,5", "updated"),
        ("float", "none", "1,5", "updated"),
        ("integer", "5.0", "5", "unchanged"),
        ("integer", "5", "05", "unchanged"),
        ("boolean", "true", "ano", "unchanged"),
        ("boolean", 1, "ANO", "unchanged"),
        ("boolean", "false", "ANO", "updated"),
        ("date", "2026-01-31", "31.01.2026", "unchanged"),
    ],
)
async def test_a_value_of_a_property_in_another_spelling(sandbox, client, tmp_path, kind, known, cell, outcome):
    """A record that has the row's value in another spelling is not changed."""
    property_id = properties_of_texts(sandbox)[0]
    sandbox.records("customer-properties").update(property_id, {"data_type": kind})
    path = write_csv(tmp_path / "c.csv", [{"email": "new0@example.com", f"property.{property_id}": cell}])
    await client.customers.bulk_write(people(1), match="email", defaults=SOURCE)
    made = await client.customers.list(email="new0@example.com").first()
    value = {"property_id": property_id, "property_value": known}
    sandbox.records("customers/property-records", of=made.customer_id).insert(value)
    report = await client.customers.bulk_write(path, match="email", decimal=",")
    assert counts(report) == {outcome: 1}


@pytest.mark.parametrize(
    ("kind", "cell", "reason"),
    [
        ("integer", "37959,53", "not a whole number"),
        ("float", "many", "not a number"),
        ("boolean", "perhaps", "neither true nor false"),
        (
            "date",
            "soon",
            "not a date: write YYYY-MM-DD or DD.MM.YYYY, or set date_format= (--date-format), such as dd/mm/yyyy",
        ),
    ],
)
async def test_a_value_of_another_type_is_refused(sandbox, client, tmp_path, results, kind, cell, reason):
    """A value that does not fit the property's type refuses its row, before the customer is written."""
    property_id = properties_of_texts(sandbox)[0]
    sandbox.records("customer-properties").update(property_id, {"data_type": kind, "name": "Turnover"})
    path = tmp_path / "c.csv"
    write_csv(path, [{**people(1)[0], "property.Turnover": cell}])
    for dry_run in (True, False):
        report = await client.customers.bulk_write(
            path, match="email", defaults=SOURCE, decimal=",", dry_run=dry_run, results=results
        )
        assert counts(report) == {"refused": 1}
        assert read(results)[0]["reasons"] == [f"property.{property_id}: {reason}"]
    assert await client.customers.list().total() == 60
