"""Values of properties in rows of customers: their types, their spellings, and what a dry run says of them."""

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


@pytest.fixture
def typed(sandbox):
    """Give properties of customers these types; return their columns."""

    def give(*kinds):
        table = sandbox.records("customer-properties")
        for property_id, kind in zip(table.ids(), kinds, strict=False):
            table.update(property_id, {"data_type": kind})
        return [f"property.{property_id}" for property_id in table.ids()[: len(kinds)]]

    return give


async def values_of(client, columns):
    """The values of properties of the first new customer."""
    made = await client.customers.list(email="new0@example.com").first()
    records = [record async for record in client.customers.property_records(made.customer_id).list()]
    values = {f"property.{record.property_id}": record.property_value for record in records}
    return [values[column] for column in columns]


#: What is given, what the server keeps of it, and the cell of a file that means the same.
KINDS = [
    ("a", "a", "a"), (42, "42", "42"), (True, True, "true"), (["a", "b"], ["a", "b"], '["a","b"]'),
    ({"x": 1}, {"x": 1}, '{"x": 1}'), (date(2026, 1, 31), "2026-01-31", "2026-01-31"),
]  # fmt: skip


async def test_properties_of_any_kind(client, typed, tmp_path):
    """`property.ID` takes booleans, lists and objects too; the same row, or its cells in a file, change nothing."""
    given, kept, cells = zip(*KINDS, strict=True)
    columns, arguments = typed(*["string"] * len(KINDS)), {"match": "email", "defaults": SOURCE}
    rows = [{**people(1)[0], **dict(zip(columns, given, strict=True))}]
    assert counts(await client.customers.bulk_write(rows, **arguments)) == {"created": 1}
    assert await values_of(client, columns) == [*kept]
    source = write_csv(tmp_path / "c.csv", [{"email": rows[0]["email"], **dict(zip(columns, cells, strict=True))}])
    for again in (rows, source):
        assert counts(await client.customers.bulk_write(again, **arguments)) == {"unchanged": 1}


#: A type, a cell, and the value that it becomes with decimal commas.
CELLS = [
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
]


async def test_properties_take_values_of_their_types(client, typed, tmp_path):
    """A cell becomes a value of the property's type, by the file's decimal sign; again it changes nothing."""
    kinds, cells, values = zip(*CELLS, strict=True)
    columns = typed(*kinds)
    path = write_csv(tmp_path / "c.csv", [{**people(1)[0], **dict(zip(columns, cells, strict=True))}])
    arguments = {"match": "email", "defaults": SOURCE, "decimal": ","}
    assert counts(await client.customers.bulk_write(path, **arguments)) == {"created": 1}
    made = await values_of(client, columns)
    assert [(type(value), value) for value in made] == [(type(value), value) for value in values]
    for dry_run in (True, False):
        assert counts(await client.customers.bulk_write(path, dry_run=dry_run, **arguments)) == {"unchanged": 1}


#: A type, what a record has, a cell, and whether it is another value.
SPELLINGS = [
    ("float", "1.50", "1,5", False),
    ("float", "1,5", "1,5", False),
    ("float", 1.5, "1,50", False),
    ("float", "15", "1,5", True),
    ("float", "none", "1,5", True),
    ("integer", "5.0", "5", False),
    ("integer", "5", "05", False),
    ("boolean", "true", "ano", False),
    ("boolean", 1, "ANO", False),
    ("boolean", "false", "ANO", True),
    ("date", "2026-01-31", "31.01.2026", False),
]


async def test_values_of_properties_in_another_spelling(sandbox, client, typed, tmp_path, results):
    """A record that has the row's value in another spelling is not changed."""
    kinds, known, cells, are_others = zip(*SPELLINGS, strict=True)
    columns = typed(*kinds)
    await client.customers.bulk_write(people(1), match="email", defaults=SOURCE)
    made = await client.customers.list(email="new0@example.com").first()
    table = sandbox.records("customers/property-records", of=made.customer_id)
    for column, value in zip(columns, known, strict=True):
        table.insert({"property_id": column.partition(".")[2], "property_value": value})
    path = write_csv(tmp_path / "c.csv", [{"email": "new0@example.com", **dict(zip(columns, cells, strict=True))}])
    report = await client.customers.bulk_write(path, match="email", decimal=",", results=results)
    assert counts(report) == {"updated": 1}
    changed = [column for column, is_other in zip(columns, are_others, strict=True) if is_other]
    assert read(results)[0]["changed_fields"] == changed


MISFITS = [
    ("integer", "37959,53", "not a whole number"),
    ("float", "many", "not a number"),
    ("boolean", "perhaps", "neither true nor false"),
    (
        "date",
        "soon",
        "not a date: write YYYY-MM-DD or DD.MM.YYYY; or set date_format= (--date-format), such as dd/mm/yyyy",
    ),
]


async def test_values_of_another_type_are_refused(sandbox, client, typed, tmp_path, results):
    """A value that does not fit the property's type refuses its row, before the customer is written."""
    kinds, cells, reasons = zip(*MISFITS, strict=True)
    columns = typed(*kinds)
    sandbox.records("customer-properties").update(columns[0].partition(".")[2], {"name": "Turnover"})
    cells = dict(zip(["property.Turnover", *columns[1:]], cells, strict=True))
    blank = dict.fromkeys(cells, "")
    rows = [{**row, **blank, name: cell} for row, (name, cell) in zip(people(4), cells.items(), strict=True)]
    path = write_csv(tmp_path / "c.csv", rows)
    for dry_run in (True, False):
        report = await client.customers.bulk_write(
            path, match="email", defaults=SOURCE, decimal=",", dry_run=dry_run, results=results
        )
        assert counts(report) == {"refused": 4}
        assert [row["reasons"] for row in read(results)] == [
            [f"{column}: {reason}"] for column, reason in zip(columns, reasons, strict=True)
        ]
    assert await client.customers.list().total() == 60
