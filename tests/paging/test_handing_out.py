"""Records handed out: other tasks run between batches of a page, and nothing is lost when a reader is cancelled."""

import json
import weakref
from contextlib import AsyncExitStack, aclosing

import anyio
import httpx
import pytest
from anyio.lowlevel import checkpoint
from clocks import InstantClock
from kit import cut, page, served

from carecloud_async import BadRequestError, CareCloudError, NotFoundError, ResponseError

pytestmark = pytest.mark.anyio

PEOPLE = 2200
#: Records that are handed out without a pause, at most.
BATCH = 250
#: Of a thousand records with this text a page is too large to be read at once.
LONG = "x" * 200


def connect(answering=None, odd=None, note=None):
    """Return a client of a server with more customers than fit into one batch, which answers at once or at an event.

    `odd` has the records that stand in place of some; a `note` in each record makes the page a large one.
    """
    odd = odd or {}

    async def answer(request):
        await checkpoint()
        if answering is not None:
            await answering.wait()
        start, count = int(request.url.params["offset"]), int(request.url.params["count"])
        numbers = range(start, min(start + count, PEOPLE))
        people = [odd.get(number) or json.dumps({"customer_id": f"{number:04}", "note": note}) for number in numbers]
        body = f'{{"data":{{"customers":[{",".join(people)}],"total_items":{PEOPLE}}}}}'
        return httpx.Response(200, content=body.encode())

    return served(answer, clock=InstantClock())


class _Neighbour:
    """Counts the passes of the loop that it sees."""

    def __init__(self):
        self.passes = 0

    async def run(self):
        while True:
            self.passes += 1
            await checkpoint()


async def _most_at_once(records, neighbour):
    """Return the longest row of records that came without letting the neighbour run."""
    longest = row = before = 0
    async for _ in records:
        row = row + 1 if neighbour.passes == before else 1
        longest, before = max(longest, row), neighbour.passes
    return longest


@pytest.mark.parametrize("count", [1000, 5000])
@pytest.mark.parametrize("kind", ["records", "raw", "prefetch"])
async def test_other_tasks_run_between_batches_of_a_page(kind, count):
    """However large a page is, another task runs after a bounded number of records, typed, raw and prefetched."""
    neighbour = _Neighbour()
    async with connect() as client, anyio.create_task_group() as group:
        listing = client.customers.list(count=count)
        group.start_soon(neighbour.run)
        if kind == "prefetch":
            async with listing.prefetch(4) as records:
                longest = await _most_at_once(records, neighbour)
        else:
            longest = await _most_at_once(listing if kind == "records" else listing.raw(), neighbour)
        group.cancel_scope.cancel()
    # Trio may run the neighbour first in one pass and last in the next, and this server answers without a pass.
    assert 1 < longest <= 3 * BATCH


@pytest.mark.parametrize("kind", ["records", "raw", "prefetch"])
async def test_a_reader_cancelled_between_batches_loses_no_record(kind):
    """One reader is cancelled over and over; before and after it, every record is read once, in order."""
    seen = []

    async def read(records):
        async for record in records:
            seen.append(record)  # noqa: PERF401  (a comprehension would lose what it had when cancelled)

    async def read_with_interruptions(records):
        for passes in range(200):
            async with anyio.create_task_group() as group:
                group.start_soon(read, records)
                for _ in range(passes % 4 + 1):
                    await checkpoint()
                group.cancel_scope.cancel()
        await read(records)

    async with connect() as client:
        listing = client.customers.list(count=PEOPLE)
        expected = [record async for record in (listing.raw() if kind == "raw" else listing)]
        if kind == "prefetch":
            async with listing.prefetch(2) as records:
                first = await anext(records)
                await read_with_interruptions(records)
        else:
            records = aiter(listing) if kind == "records" else listing.raw()
            first = await anext(records)
            await read_with_interruptions(records)
    assert [first, *seen] == expected


@pytest.mark.parametrize("count", [100, PEOPLE])
@pytest.mark.parametrize("kind", ["records", "raw", "pages", "prefetch"])
async def test_readers_that_share_an_iterator_share_its_records(kind, count):
    """Each record goes to one of the readers, and none is lost between batches or while pages are on their way."""
    seen = []

    async def read(iterator):
        async for taken in iterator:
            seen.extend(taken if kind == "pages" else [taken])
            await checkpoint()

    async def share(iterator):
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(read, iterator)

    async with connect() as client:
        listing = client.customers.list(count=count)
        if kind == "prefetch":
            async with listing.prefetch(4) as records:
                await share(records)
        else:
            await share({"records": listing.__aiter__, "raw": listing.raw, "pages": listing.pages}[kind]())
    names = [json.loads(record)["customer_id"] if kind == "raw" else record.customer_id for record in seen]
    assert sorted(names) == [f"{number:04}" for number in range(PEOPLE)]


async def test_a_reader_left_behind_by_its_block_does_not_take_it_for_the_end():
    """A task that waits for a page of a prefetch or a stream whose block another task leaves gets an error."""
    outcomes = []

    async def read(iterator):
        try:
            await anext(iterator)
        except CareCloudError as error:
            outcomes.append(type(error).__name__)

    async with connect(answering=anyio.Event()) as client, anyio.create_task_group() as group:
        for block in (client.customers.list().prefetch(2), client.customers.list().arrow()):
            async with block as iterator:
                group.start_soon(read, iterator)
                await anyio.wait_all_tasks_blocked()
    assert outcomes == ["ConfigurationError", "ExportError"]


@pytest.mark.parametrize("name", ["pages", "raw", "__aiter__"])
async def test_iterators_can_be_closed(name):
    """`contextlib.aclosing` takes an iterator; a closed one has ended, and closing it twice does nothing."""
    async with connect() as client:
        async with aclosing(getattr(client.customers.list(count=1000), name)()) as iterator:
            assert await anext(iterator)
        await iterator.aclose()
        assert await anext(iterator, None) is None


async def test_the_one_page_of_a_list_without_paging_can_be_closed():
    """A list without paging has an iterator that closes too."""
    async with connect() as client:
        pages = client.customers.list().pages()
        await pages.aclose()
        assert [page async for page in pages] == []


@pytest.mark.parametrize("kind", ["records", "prefetch"])
async def test_a_record_that_cannot_be_read_is_an_error_again_and_again(kind):
    """The error names the operation, and reading on does not skip the records after it."""
    deep = '{"customer_id":1500,"new":' + "[" * 100_000 + "]" * 100_000 + "}"
    async with connect(odd={1500: deep}, note=LONG) as client, AsyncExitStack() as stack:
        listing = client.customers.list(count=1000)
        records = await stack.enter_async_context(listing.prefetch(2)) if kind == "prefetch" else aiter(listing)
        seen = []
        with pytest.raises(ResponseError, match="GET /customers: the body is nested too deeply"):
            await _read_into(seen, records)
        with pytest.raises(ResponseError, match="GET /customers: the body is nested too deeply"):
            await _read_into(seen, records)
    assert seen == [f"{number:04}" for number in range(len(seen))]
    assert 1000 <= len(seen) <= 1500


async def _read_into(seen, records):
    async for record in records:
        seen.append(record.customer_id)


@pytest.mark.parametrize("kind", ["records", "prefetch"])
async def test_few_records_of_a_large_page_are_there_at_a_time(kind):
    """Records of a page are read as they are handed out: no more than a batch or two are in memory."""
    alive, most = weakref.WeakSet(), 0
    async with connect(note=LONG) as client, AsyncExitStack() as stack:
        listing = client.customers.list(count=PEOPLE)
        records = await stack.enter_async_context(listing.prefetch(2)) if kind == "prefetch" else aiter(listing)
        async for record in records:
            alive.add(record)
            most = max(most, len(alive))
    assert 0 < most <= BATCH


async def test_a_reader_whose_iterator_another_task_closes_ends():
    """Closing an iterator while its reader lets other tasks run ends the loop."""
    read = []

    async def close(records):
        while not read:
            await checkpoint()
        await records.aclose()

    async with connect() as client, anyio.create_task_group() as group:
        records = aiter(client.customers.list(count=1000))
        group.start_soon(close, records)
        async for record in records:
            read.append(record)  # noqa: PERF401  (the other task looks at it)
    assert 0 < len(read) < 1000


@pytest.mark.parametrize("cut_at", [0, 10])
async def test_pages_that_are_cut_short_come_before_the_error_of_a_later_one(cut_at):
    """The rest of a page that was cut short is requested although a later page has failed, or waits."""
    failing, asked = anyio.Event(), []

    async def answer(request):
        offset, count = int(request.url.params["offset"]), int(request.url.params["count"])
        asked.append(offset)
        if offset == 20:
            await failing.wait()
            return httpx.Response(404, json={"error": {"exception": "not_found_exception"}})
        numbers = range(offset, offset + (5 if offset == cut_at else count))
        return page("customers", [{"customer_id": f"{number:03}"} for number in numbers], 300)

    async with served(answer) as client, client.customers.list(count=10).prefetch(3) as records:
        with anyio.fail_after(60):
            first = [await anext(records) for _ in range(5)]
            failing.set()
            rest = [await anext(records) for _ in range(15)]
            with pytest.raises(NotFoundError):
                await anext(records)
    assert [customer.customer_id for customer in first + rest] == [f"{number:03}" for number in range(20)]
    assert asked.count(cut_at + 5) == 1


@pytest.mark.parametrize("way", ["iterate", "prefetch"])
@pytest.mark.parametrize("fault", ["refused", "repeated"])
async def test_a_list_that_failed_does_not_look_like_one_that_ended(way, fault):
    """After its error, a shared iterator raises an error in each task that asks it, and does not end the list."""
    records = [{"customer_id": f"c{number}"} for number in range(100)]

    def answer(request):
        if request.url.params["offset"] == "20" and fault == "refused":
            return httpx.Response(400, json={"error": {"exception": "bad_request_exception"}})
        return page("customers", records[:10], 100) if fault == "repeated" else cut("customers", records, request)

    async with served(answer) as client, AsyncExitStack() as stack:
        listing = client.customers.list(count=10)
        iterator = aiter(listing) if way == "iterate" else await stack.enter_async_context(listing.prefetch(2))
        for _ in range(20 if fault == "refused" else 10):
            await anext(iterator)
        for _ in range(3):
            with pytest.raises((BadRequestError, ResponseError)):
                await anext(iterator)
