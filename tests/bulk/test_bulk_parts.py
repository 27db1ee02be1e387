"""Rows of customers that carry a card and values of properties: written in order, each once."""

import pytest
from bulk_tools import SOURCE, connect, counts, people, read

from carecloud_async import CareCloudError

pytestmark = pytest.mark.anyio

LOST = {"504 after": {"status": 504, "worked": True}, "504 before": {"status": 504}, "cut": {"cut": "after"}}


async def card_type_of(client):
    return (await client.card_types.list().first()).card_type_id


async def test_a_row_brings_a_card_and_properties(sandbox, tmp_path):
    """A new customer gets the row's card and values; the same rows are unchanged, an edited value is an update."""
    async with connect(sandbox) as client:
        card_type = await card_type_of(client)
        properties = [one.property_id async for one in client.customer_properties.list()][:1]
        rows = [
            {**row, "card_number": f"5550{one}", f"property.{properties[0]}": f"value {one}"}
            for one, row in enumerate(people(4))
        ]
        arguments = {"match": "email", "defaults": {**SOURCE, "card_type_id": card_type}}
        assert counts(await client.customers.bulk_write(rows, **arguments)) == {"created": 4}
        assert counts(await client.customers.bulk_write(rows, **arguments)) == {"unchanged": 4}
        rows[2][f"property.{properties[0]}"] = "another"
        results = tmp_path / "r.jsonl"
        report = await client.customers.bulk_write(rows, results=results, **arguments)
        assert counts(report) == {"unchanged": 3, "updated": 1}
        changed = read(results)[2]
        assert changed["changed_fields"] == [f"property.{properties[0]}"]
        cards = [one async for one in client.cards.list(customer_id=changed["record_id"])]
        assert [one.card_number for one in cards] == ["55502"]
        values = client.customers.property_records(changed["record_id"]).list()
        assert [one.property_value async for one in values if one.property_id == properties[0]] == ["another"]


async def test_a_card_of_another_customer_is_a_conflict(sandbox, tmp_path):
    """A card that another customer holds stays theirs: the row is a conflict, and its customer is there."""
    async with connect(sandbox) as client:
        card_type = await card_type_of(client)
        rows = [{**row, "card_number": "7777"} for row in people(2)]
        defaults = {**SOURCE, "card_type_id": card_type}
        results = tmp_path / "r.jsonl"
        report = await client.customers.bulk_write(
            rows, match="email", defaults=defaults, concurrency=1, results=results
        )
        assert counts(report) == {"created": 1, "conflict": 1}
        assert {tuple(row["reasons"]) for row in read(results)} == {
            (),
            ("card_number: the card belongs to another customer",),
        }


@pytest.mark.parametrize("fault", LOST.values(), ids=LOST)
async def test_a_lost_answer_of_a_part_makes_no_double(sandbox, fault):
    """A card whose answer was lost is looked up before it is sent again."""
    async with connect(sandbox) as client:
        card_type = await card_type_of(client)
        sandbox.faults.add("POST /cards", **fault, times=2)
        rows = [{**row, "card_number": f"6660{one}"} for one, row in enumerate(people(3))]
        report = await client.customers.bulk_write(
            rows, match="email", defaults={**SOURCE, "card_type_id": card_type}, concurrency=1
        )
        assert counts(report) == {"created": 3}
        numbers = [one.card_number async for one in client.cards.list(count=500)]
    assert sorted(one for one in numbers if one.startswith("6660")) == ["66600", "66601", "66602"]


async def test_customers_by_their_cards(sandbox):
    """`match="card_number"` finds customers by their cards, and gives new ones the card of their row."""
    async with connect(sandbox) as client:
        defaults = {**SOURCE, "card_type_id": await card_type_of(client)}
        rows = [{**row, "card_number": f"4440{one}"} for one, row in enumerate(people(3))]
        assert counts(await client.customers.bulk_write(rows, match="card_number", defaults=defaults)) == {"created": 3}
        rows[1]["last_name"] = "Changed"
        report = await client.customers.bulk_write(rows, match="card_number", defaults=defaults)
        assert counts(report) == {"unchanged": 2, "updated": 1}


async def test_rows_without_a_key_whose_parts_were_stopped(sandbox, tmp_path):
    """A keyless row that was created before its card could be written is no second time created: it gets its card."""
    source, results = tmp_path / "c.jsonl", tmp_path / "r.jsonl"
    source.write_text(
        "".join(f'{{"email":"k{one}@example.com","language_id":"en","card_number":"6660{one}"}}\n' for one in range(5))
    )
    async with connect(sandbox) as client:
        arguments = {"match": None, "defaults": {**SOURCE, "card_type_id": await card_type_of(client)}}
        fault = sandbox.faults.add("POST /cards", status=403, times=None, after=2)
        with pytest.raises(CareCloudError):
            await client.customers.bulk_write(source, results=results, concurrency=1, **arguments)
        sandbox.faults.remove(fault)
        report = await client.customers.bulk_write(source, results=results, resume=True, **arguments)
        assert counts(report) == {"created": 5}
        assert await client.customers.list().total() == 65
        numbers = [one.card_number async for one in client.cards.list(count=500)]
    assert sorted(one for one in numbers if one.startswith("6660")) == [f"6660{one}" for one in range(5)]
    assert all(row["record_id"] for row in read(results))


async def test_a_keyless_row_of_a_writer_whose_card_fails(sandbox):
    """A keyless row of a writer whose card fails is unknown and names its record: again it would be a double."""
    async with connect(sandbox) as client:
        defaults = {**SOURCE, "card_type_id": await card_type_of(client)}
        sandbox.faults.add("POST /cards", status=403, times=None)
        async with client.customers.bulk_writer(match=None, defaults=defaults) as writer:
            result = await writer.write({**people(1)[0], "card_number": "66601"})
    assert result.outcome == "unknown"
    assert result.record_id in sandbox.customers.ids()
