"""An export that is imported unchanged changes nothing, in every format and family; ten edits are ten updates."""

import csv
import json

import pytest
from bulk_tools import connect, counts, properties_of_texts, read
from thorough import variants

from carecloud_async.models import PropertyRecordInput
from carecloud_async.resources import OPERATIONS
from carecloud_async.resources.declare import declared
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.asyncio

#: Families at the top that are listed, and written in bulk by the id of a record.
FAMILIES = sorted(
    operation.call.partition(".")[0]
    for operation in OPERATIONS.values()
    if operation.call.count(".") == 1 and operation.call.endswith(".replace") and "tokens" not in operation.call
)


VALUES = [True, False, 5, 2.0, 1e16, "5", "true", "red", ["a", "b"], [True, 1.5], {"a": 1}, "[1]", '["a","b"]']
VALUES += ["1.2.2025"]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
async def test_an_export_of_properties_changes_nothing(tmp_path, suffix):
    """Properties keep their values and their kinds, though the cells of a file are texts."""
    path, sandbox = tmp_path / f"p.{suffix}", Sandbox(customers=1, records=60)
    properties = properties_of_texts(sandbox)
    async with connect(sandbox) as client:
        found = await client.customers.list().first()
        records = client.customers.property_records(found.customer_id)
        for property_id, value in zip(properties, VALUES, strict=False):
            await records.create(PropertyRecordInput(property_id=property_id, property_value=value))
        await records.list().export(path)
        report = await records.bulk_write(path, match="property_record_id")
        assert counts(report) == {"unchanged": report.rows}
        assert report.rows >= len(VALUES)


@pytest.mark.parametrize("suffix", ["csv", *variants("excel.csv"), "jsonl", "parquet"])
async def test_an_export_changes_nothing(tmp_path, suffix):
    """Every family that can be updated: the export is imported by id, and every row is unchanged."""
    from carecloud_async._lists.export.formats.sinks import CsvOptions

    async with connect(Sandbox(customers=40, records=40, seed=3)) as client:
        for name in FAMILIES:
            family = getattr(client, name)
            path = tmp_path / f"{name}.{suffix}"
            dialect = CsvOptions.excel() if "excel" in suffix else CsvOptions()
            report = await family.list().export(path, csv=dialect)
            key = declared(family.list).operation.id_field
            results = tmp_path / "results.jsonl"
            written = await family.bulk_write(path, match=key, results=results)
            odd = [row for row in read(results) if row["outcome"] != "unchanged"]
            assert (name, counts(written), odd[:1]) == (name, {"unchanged": report.records}, [])


async def test_a_blank_cell_clears_no_empty_text(tmp_path):
    """With `blank="clear"` an export changes nothing, though the record has empty texts where its cells are blank."""
    path = tmp_path / "c.csv"
    async with connect(Sandbox(customers=20, untidy=True)) as client:
        await client.customers.list().export(path)
        report = await client.customers.bulk_write(path, match="customer_id", blank="clear")
    assert counts(report) == {"unchanged": 20}


async def test_ten_edits_are_ten_updates(tmp_path):
    """Ten cells changed by hand are ten updates, and nothing else differs on the server."""
    sandbox = Sandbox(customers=40, seed=3)
    async with connect(sandbox) as client:
        before = {customer.customer_id: customer.to_dict() async for customer in client.customers.list(count=100)}
        path = tmp_path / "c.csv"
        await client.customers.list().export(path)
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows[:10]:
            row["personal_information.last_name"] = "Edited"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        report = await client.customers.bulk_write(path, match="customer_id")
        assert counts(report) == {"updated": 10, "unchanged": 30}
        after = {customer.customer_id: customer.to_dict() async for customer in client.customers.list(count=100)}
    edited = {row["customer_id"] for row in rows[:10]}
    for customer_id, record in after.items():
        old = before[customer_id]
        if customer_id in edited:
            assert record["personal_information"].pop("last_name") == "Edited"
            old["personal_information"].pop("last_name", None)
            record.pop("last_change"), old.pop("last_change")
        assert json.dumps(record, sort_keys=True) == json.dumps(old, sort_keys=True)


@pytest.mark.parametrize("key", ["customer_id", "email"])
async def test_an_export_to_parquet_is_imported_by_a_field_inside_an_object(tmp_path, key):
    """Columns of objects, as Parquet has them, hold the key and the fields."""
    path = tmp_path / "c.parquet"
    async with connect(Sandbox(customers=10, seed=3)) as client:
        await client.customers.list().export(path)
        report = await client.customers.bulk_write(path, match=key, mode="update")
        assert report.unchanged > 0
        assert report.updated == report.conflict == 0


@pytest.mark.parametrize("as_table", [True, False])
async def test_a_column_with_the_name_of_an_object_may_lead_to_a_field(as_table):
    """`columns=` decides where a column leads, before the name that it has; a blank cell of an object is blank."""
    pa = pytest.importorskip("pyarrow")
    async with connect(Sandbox(customers=1)) as client:
        found = await client.customers.list().first()
        rows = [{"customer_id": found.customer_id, "personal_information": "Ada"}]
        source = pa.Table.from_pylist(rows) if as_table else rows
        columns = {"personal_information": "first_name"}
        report = await client.customers.bulk_write(source, match="customer_id", columns=columns)
        assert counts(report) == {"updated": 1}
        blank = pa.table({"customer_id": [found.customer_id], "first_name": ["Eve"], "personal_information": [""]})
        assert counts(await client.customers.bulk_write(blank, match="customer_id")) == {"updated": 1}


async def test_rows_of_objects_for_a_project_without_records(tmp_path):
    """Objects in an Arrow table need no record of the server that shows them; an ignored object is not written."""
    pa = pytest.importorskip("pyarrow")
    rows = [{"email": "a@example.com", "language_id": "en", "address": {"city": "Brno"}}, None]
    table = pa.table({"personal_information": rows})
    more = {"match": "email", "defaults": {"customer_source_id": "86e05affc7a7abefcd513ab400"}}
    async with connect(Sandbox(customers=0)) as client:
        report = await client.customers.bulk_write(table, **more)
        assert counts(report) == {"created": 1, "refused": 1}
        made = await client.customers.list(email="a@example.com").first()
        assert made.personal_information.address.city == "Brno"
        ignored = {**rows[0], "address": {"city": "Praha"}}
        ignore = ["personal_information.address"]
        report = await client.customers.bulk_write([{"personal_information": ignored}], ignore_columns=ignore, **more)
        assert counts(report) == {"unchanged": 1}
