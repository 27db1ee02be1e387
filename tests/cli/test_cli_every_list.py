"""Every list of the API by the command, on the embedded sandbox."""

import json

import pytest

from carecloud_async import CareCloud
from carecloud_async.cli.connect import embedded_sandbox
from carecloud_async.cli.lists import ListOptions
from carecloud_async.resources.lookup.by_name import listable
from carecloud_async.sandbox import FIRST_CUSTOMER_ID

N = 12

#: Lists that the API gives only for one customer.
OWNED = {"credit_history", "point_history", "rewards.reward_recommendations"}


@pytest.mark.parametrize("name", ["bookings", "languages", "users"])
def test_the_sandbox_has_as_many_records_of_any_list(carecloud, tmp_path, name):
    """`--sandbox 12` exports twelve records of a list, each once, and `total` counts as many."""
    done = carecloud("export", name, "-o", "records.jsonl", "--count", 5, "--sandbox", N)
    assert done.code == 0, done.err
    assert done.line.startswith(f"{N} {name} in records.jsonl (")
    assert len(set((tmp_path / "records.jsonl").read_bytes().splitlines())) == N
    assert carecloud("total", name, "--sandbox", N).out == f"{N}\n"


def test_a_list_of_a_parent(carecloud):
    """`customers.cards --of ID` lists the cards of that customer alone."""
    done = carecloud("list", "customers.cards", "--of", FIRST_CUSTOMER_ID, "--sandbox", 40)
    assert (done.code, done.err) == (0, "")
    cards = [json.loads(line) for line in done.out.splitlines()]
    assert cards
    assert {card["customer_id"] for card in cards} == {FIRST_CUSTOMER_ID}


def test_one_record_of_a_parent(carecloud):
    """`get` takes the parent's id and the record's own."""
    listed = carecloud("list", "customers.addresses", "--of", FIRST_CUSTOMER_ID, "--count", 1, "--sandbox", 5)
    address = json.loads(listed.out)
    got = carecloud(
        "get", "customers.addresses", address["additional_address_id"], "--of", FIRST_CUSTOMER_ID, "--sandbox", 5
    )
    assert (got.code, got.err) == (0, "")
    assert json.loads(got.out)["additional_address_id"] == address["additional_address_id"]


@pytest.mark.thorough
@pytest.mark.asyncio
async def test_every_list_is_exported_whole(tmp_path):
    """Each list of the API, with a parent where it has one, is exported with as many records as the server counts."""
    sandbox = embedded_sandbox(N)
    transport, credentials = sandbox.transport(), sandbox.credentials()
    async with CareCloud("sandbox.example", auth=credentials, transport=transport) as client:
        for name, operation in listable().items():
            of = [] if "{" not in operation.path else [await first_id(client, name.partition(".")[0])]
            filters = [f"customer_id={FIRST_CUSTOMER_ID}"] if name in OWNED else []
            listing = ListOptions(of=of, filters=filters).listing(client, operation, count=7)
            report = await listing.export(tmp_path / f"{name}.jsonl")
            assert (name, report.records, report.exact) == (name, await listing.total(), True)
            if not of and not filters:
                assert (name, report.records) == (name, N)


async def first_id(client, parent):
    operation = listable()[parent]
    return getattr(await ListOptions(of=[], filters=[]).listing(client, operation, count=1).first(), operation.id_field)
