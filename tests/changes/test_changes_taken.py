"""Changes reach the program that iterates them: none is lost on the way, and their records are the list's."""

import asyncio
import csv
import errno
import io
import json
import sqlite3
import threading
from contextlib import suppress

import attrs
import httpx
import pytest
from clocks import SlowClock
from disks import FullFile, make_files_of
from kit import connect, served

from carecloud_async import ExportError, ResponseError
from carecloud_async._lists.changes.file import ChangesFileOptions, write_changes
from carecloud_async._lists.changes.values import ChangesOptions
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio


def serve(records, **options):
    """Return a client of a server that sends these records, JSON, as one page."""

    def answer(request):
        rows = records if request.url.params["offset"] == "0" else []
        body = f'{{"data":{{"customers":[{",".join(rows)}],"total_items":{len(records)}}}}}'
        return httpx.Response(200, content=body.encode())

    return served(answer, **options)


async def test_each_block_takes_its_own_changes(tmp_path):
    """Blocks of one object: what one took does not count for the next, and what one left comes once, in the next."""
    sandbox = Sandbox(customers=30, seed=1)
    async with connect(sandbox) as client:
        changes = client.customers.list().changes(state=tmp_path / "s")
        async with changes:
            async for _ in changes:
                break
        with pytest.raises(ExportError, match="use changes in a block"):
            await anext(changes)
        async with changes:
            assert len([one async for one in changes]) == len(sandbox.customers)
        updated = sandbox.customers.id_at(2)
        sandbox.customers.update(updated, {"personal_information": {"first_name": "New"}})
        async with changes:
            pass  # takes none of them
        async with changes:
            assert [one.id async for one in changes] == [updated]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_no_change_is_lost_when_the_wait_for_it_is_cancelled(tmp_path, monkeypatch, anyio_backend):
    """A wait for the next change that is cancelled while a thread reads it loses none: the next wait gets it."""
    began, may_end = threading.Event(), threading.Event()

    class Slow(io.FileIO):
        def readinto(self, buffer):
            began.set()
            may_end.wait(60)
            return super().readinto(buffer)

    make_files_of(Slow, monkeypatch)
    async with (
        serve([f'{{"customer_id":"{number:03}"}}' for number in range(60)]) as client,
        client.customers.list().changes(state=tmp_path / "s") as changes,
    ):
        waiting = asyncio.create_task(anext(changes))
        await asyncio.to_thread(began.wait, 60)
        waiting.cancel()
        may_end.set()
        with suppress(asyncio.CancelledError):
            await waiting
        assert waiting.cancelled()
        assert len([change async for change in changes]) == 60


async def test_a_disk_that_fills_up_under_the_changes_is_an_error_of_the_sdk(tmp_path, monkeypatch):
    """A full disk is an error with its fix; no file of changes is left, and the next run brings everything."""
    async with serve([f'{{"customer_id":"{number:03}","note":"{"x" * 300}"}}' for number in range(60)]) as client:
        listing = client.customers.list()
        with monkeypatch.context() as patch:
            make_files_of(FullFile, patch)
            with pytest.raises(ExportError, match=r"disk is full: free some space and run it again$"):
                async with listing.changes(state=tmp_path / "s"):
                    pass
        assert list(tmp_path.iterdir()) == []
        async with listing.changes(state=tmp_path / "s") as changes:
            assert len([change async for change in changes]) == 60


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "mine"), sqlite3.DatabaseError("mine")])
async def test_an_error_of_the_programs_own_is_not_blamed_on_the_state(tmp_path, error):
    """An exception of `on_progress` or of the block is raised unchanged, and is not taken for an error of the disk."""

    def fail(*_):
        raise error

    async with serve(['{"customer_id":"a"}'], clock=SlowClock(0.2)) as client:
        listing = client.customers.list()
        with pytest.raises(type(error), match="mine"):
            async with listing.changes(state=tmp_path / "s", on_progress=fail):
                pass
        with pytest.raises(type(error), match="mine"):
            async with listing.changes(state=tmp_path / "s") as changes:
                async for _ in changes:
                    fail()


async def test_a_record_that_is_no_object_is_read_as_the_list_reads_it(tmp_path):
    """PHP writes an empty record as `[]`: changes bring it as `list` does, and files of changes have its row."""
    async with serve(['{"customer_id":"a"}', "[]"]) as client:
        listing = client.customers.list()
        async with listing.changes(state=tmp_path / "s") as changes:
            found = [change.record async for change in changes]
        assert found == [record async for record in listing]
        for name in ("c.csv", "c.jsonl"):
            await write_changes(
                listing.export_source(), tmp_path / name, tmp_path / f"{name}.s", ChangesOptions(), ChangesFileOptions()
            )
    with (tmp_path / "c.csv").open(newline="") as file:
        assert [(row["_change"], row["customer_id"]) for row in csv.DictReader(file)] == [
            ("created", "a"),
            ("created", ""),
        ]
    lines = [json.loads(line) for line in (tmp_path / "c.jsonl").read_text().splitlines()]
    assert [line["record"] for line in lines] == [{"customer_id": "a"}, []]


@attrs.frozen
class Strict:
    customer_id: str
    shoe_size: int


async def test_a_record_that_does_not_fit_a_class_is_an_error(tmp_path):
    """As in the list itself; it is never `None`, and the state does not move."""
    async with serve(['{"customer_id":"a","shoe_size":43}', '{"customer_id":"b"}']) as client:
        listing = client.listing("customers", into=Strict, id_field="customer_id")
        with pytest.raises(ResponseError, match="shoe_size"):
            await listing.collect(limit=5)
        async with listing.changes(state=tmp_path / "s") as changes:
            for _ in range(2):
                with pytest.raises(ResponseError, match=r"GET /customers.*does not fit Strict.*shoe_size"):
                    await anext(changes)
        async with client.listing("customers", id_field="customer_id").changes(state=tmp_path / "s") as changes:
            assert len([change async for change in changes]) == 2


async def test_the_last_digit_of_a_number_is_a_change(tmp_path):
    """Numbers that are the same float are different; the same number in another order of fields is no change."""
    first, second = "0.12345678901234567890", "0.12345678901234567891"
    for record, kinds, fields in (
        (f'{{"customer_id":"a","x":{first},"y":1.5}}', ["created"], []),
        (f'{{"customer_id":"a","y":1.50,"x":{first}}}', [], []),
        (f'{{"customer_id":"a","y":1.5,"x":{second}}}', ["updated"], [("x",)]),
        (f'{{"customer_id":"a","y":1e{"9" * 20},"x":{second}}}', ["updated"], [("y",)]),
    ):
        async with (
            serve([record]) as client,
            client.customers.list().changes(state=tmp_path / "s", keep="records") as changes,
        ):
            found = [change async for change in changes]
        assert [change.kind for change in found] == kinds
        assert [change.fields for change in found if change.kind == "updated"] == fields


@pytest.mark.parametrize("keep", ["digests", "records"])
async def test_an_id_that_becomes_a_number_is_the_same_record(tmp_path, keep):
    """Deleted under one form and created under the other, it would be gone from a copy that knows ids by their text."""
    texts = [f'{{"customer_id":"{number}"}}' for number in range(40)]
    numbers = [f'{{"customer_id":{number}}}' for number in range(40)]
    for records, kind in ((texts, "created"), (numbers, "updated"), (numbers, None), (texts, "updated")):
        async with (
            serve(records) as client,
            client.customers.list().changes(state=tmp_path / "s", keep=keep) as changes,
        ):
            found = [(change.kind, change.id) async for change in changes]
        assert sorted(found) == sorted((kind, str(number)) for number in range(40) if kind)
