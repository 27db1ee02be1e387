"""What was sent is held until its outcome is noted: also if the disk is full, or the run stops before."""

from collections import Counter
from contextlib import contextmanager

import pytest
from bulk_tools import SOURCE, StopError, connect, counts, people, stop_while_it_waits
from disks import file_of, full_database, watch_databases
from memory_servers import client_of

from carecloud_async.bulk import BulkWriteError
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

BY_EMAIL = {"match": "email", "defaults": SOURCE}


@contextmanager
def full_disk(server, file):
    """Let a disk be full from the first write to the server on, for a file of this name."""

    def refuse(database, statement):
        is_change = statement.startswith(("INSERT", "UPDATE", "DELETE"))
        if server.sent and is_change and file_of(database).startswith(file):
            raise full_database()

    with pytest.MonkeyPatch.context() as patch:
        watch_databases(patch, refuse)
        yield


async def test_a_loss_that_cannot_be_noted_keeps_its_key(server, clock, tmp_path):
    """The disk is full when a lost answer is noted: another run waits until the request can take no effect."""
    server.faults = [20.0]
    async with client_of(server, clock) as client:
        with full_disk(server, "1.db"), pytest.raises(BulkWriteError, match="full"):
            await client.customers.bulk_write(people(1), journal=tmp_path / "1.db", **BY_EMAIL)
        began = clock.monotonic()
        report = await client.customers.bulk_write(people(1), journal=tmp_path / "2.db", **BY_EMAIL)
    assert counts(report) == {"unchanged": 1}
    assert 60 <= clock.monotonic() - began < 90
    assert server.emails() == Counter({"new0@example.com": 1})


async def test_an_outcome_that_cannot_be_noted_is_found_again(server, clock, tmp_path):
    """The disk is full when a created row is noted: the run that goes on finds the record, and says created."""
    options = {"journal": tmp_path / "j.db", "resume": True, **BY_EMAIL}
    async with client_of(server, clock) as client:
        with full_disk(server, "j.db"), pytest.raises(BulkWriteError, match="full"):
            await client.customers.bulk_write(people(1), **options)
        report = await client.customers.bulk_write(people(1), **options)
    assert (counts(report), server.sent) == ({"created": 1}, ["POST"])


async def test_a_run_that_goes_on_and_stops_again_keeps_what_it_holds(server, clock, tmp_path):
    """A lost create, and a second run whose look-up fails: the third finds the record, and says created."""
    server.faults = ["after"]
    options = {"journal": tmp_path / "j.db", "resume": True, **BY_EMAIL}
    async with client_of(server, clock) as client:
        with pytest.raises(StopError):
            await client.customers.bulk_write(people(1), on_progress=stop_while_it_waits, **options)
        server.reads = [403] * 10
        with pytest.raises(Exception, match="403"):
            await client.customers.bulk_write(people(1), **options)
        server.reads = []
        report = await client.customers.bulk_write(people(1), **options)
    assert (counts(report), server.sent) == ({"created": 1}, ["POST"])


@pytest.mark.parametrize("stops", [1, 2])
async def test_a_family_is_held_while_a_batch_of_it_is_in_doubt(clock, tmp_path, stops):
    """A run that holds the whole family stops, also when it went on: another run waits for its lost batch."""
    sandbox, rows = Sandbox(customers=1, clock=clock.time), [{"external_id": "x1", "name": "X"}]
    sandbox.faults.add("POST /product-brands/batch", status=504, late=20.0)
    first = {"match": "external_id", "journal": tmp_path / "1.db", "resume": True, "on_progress": stop_while_it_waits}
    async with connect(sandbox, clock=clock) as client:
        for _ in range(stops):
            with pytest.raises(StopError):
                await client.product_brands.bulk_write(rows, **first)
        report = await client.product_brands.bulk_write(rows, match="external_id", journal=tmp_path / "2.db")
        clock.advance(100)
        brands = [brand.external_id async for brand in client.product_brands.list()]
    assert counts(report) == {"unchanged": 1}
    assert brands.count("x1") == 1


async def test_a_row_has_its_outcome_though_its_key_cannot_be_released(server, clock):
    """The claims cannot be changed when a row of a writer has been written: it gets its outcome all the same."""
    with full_disk(server, "claims"):
        async with client_of(server, clock) as client, client.customers.bulk_writer(**BY_EMAIL) as writer:
            assert (await writer.write(people(1)[0])).outcome == "created"
