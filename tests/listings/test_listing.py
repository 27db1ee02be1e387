"""Listings: pages, records, raw JSON; servers that cap, lie and repeat."""

import inspect
import json

import anyio
import httpx
import kit
import pytest
from kit import connect
from lying import lie

from benchmarks.api_rules import broken_rules
from carecloud_async import ConfigurationError, NotFoundError, ResponseError
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio


def served(page):
    """Return a client of a server whose pages `page(offset, count)` makes, plainly or as a coroutine."""

    async def answer(request):
        data = page(int(request.url.params["offset"]), int(request.url.params["count"]))
        return httpx.Response(200, json={"data": await data if inspect.isawaitable(data) else data})

    return kit.served(answer)


async def ids(iterator):
    return [item.customer_id async for item in iterator]


async def test_every_record_comes_once_in_order():
    """Iteration, pages, collect, raw and prefetch all give the same records."""
    sandbox = Sandbox(customers=125, seed=1)
    async with connect(sandbox) as client:
        listing = client.customers.list(count=50)
        expected = await ids(listing)
        assert len(set(expected)) == 125
        assert [len(page) async for page in listing.pages()] == [50, 50, 25]
        assert [json.loads(line)["customer_id"] async for line in listing.raw()] == expected
        assert [c.customer_id for c in await listing.collect(limit=60)] == expected[:60]
        async with listing.prefetch(4) as customers:
            assert await ids(customers) == expected
        assert (await listing.first()).customer_id == expected[0]
        assert await listing.total() == 125
        page = await client.customers.list(count=50, offset=100).page()
        assert (len(page.items), page.offset, page.total_items) == (25, 100, 125)


#: Lists that end on a page's edge, are empty or short; caps; totals that are too low or too high.
WHOLE = [
    *((customers, 50, {}, {}) for customers in (0, 1, 49, 50, 51, 100)),
    (70, 1000, {"max_count": 15}, {}),
    *((130, 50, {}, {"total_items": total}) for total in (10, 50, 500, 0)),
]


@pytest.mark.parametrize(("customers", "count", "settings", "lies"), WHOLE, ids=str)
async def test_lists_are_read_whole(customers, count, settings, lies):
    """A page advances by the records received, whatever its length, the server's cap and the total say."""
    sandbox = Sandbox(customers=customers, seed=1, **settings)
    lie(sandbox, **lies)
    async with connect(sandbox) as client:
        assert len(set(await ids(client.customers.list(count=count)))) == customers
        async with client.customers.list(count=count).prefetch(4) as records:
            assert len(set(await ids(records))) == customers
        assert (await client.customers.list().first() is None) == (customers == 0)


def people(count):
    return [{"customer_id": f"{number:03}"} for number in range(count)]


#: How many records the pages have, one after another: a cap, one short page, and ever shorter ones.
SIZES = [[50], [50, 50, 20, 50, 50], [50, 40, 30, 20, 10]]


@pytest.mark.parametrize("sizes", SIZES, ids=["cap", "short", "shorter"])
@pytest.mark.parametrize("total", ["missing", None, "nonsense", -1, 0, 5, True, 1.5])
async def test_short_pages_without_a_usable_total_lose_no_record(total, sizes):
    """A short page is no proof of the end: one more request is."""
    asked = []

    def page(start, count):
        asked.append(start)
        size = min(sizes[len(asked) % len(sizes)], count)
        return {"customers": people(220)[start : start + size]} | ({} if total == "missing" else {"total_items": total})

    async with served(page) as client:
        listing = client.customers.list(count=100)
        assert len(set(await ids(listing))) == 220
        assert len([line async for line in listing.raw()]) == 220
        assert len(await listing.collect(limit=200)) == 200
        async with listing.prefetch(4) as records:
            assert len(set(await ids(records))) == 220


@pytest.mark.parametrize(
    ("count", "moments"), [(1, {4}), (10, {40}), (1, {4, 8}), (1, {8, 16, 32}), (1, set(range(2, 60, 2)))], ids=str
)
async def test_pages_pushed_back_by_inserts_are_no_circle(count, moments):
    """As many records inserted in front as a page holds bring it again: it is passed over, each time."""
    listed, shown = people(60), set()
    wanted = {record["customer_id"] for record in listed}

    def page(start, count):
        records = listed[start : start + count]
        data = {"customers": records, "total_items": len(listed)}
        new = {record["customer_id"] for record in records} - shown
        shown.update(new)
        if new and len(shown) in moments:
            listed[:0] = [{"customer_id": f"new{len(shown)} {number}"} for number in range(count)]
        return data

    async with served(page) as client:
        assert wanted <= set(await ids(client.customers.list(count=count)))


async def test_a_server_that_sends_its_last_page_beyond_the_end_does_not_hold_a_list_up():
    """Frameworks that lower an offset beyond the end to that of the last page send it for ever: the list ends."""

    def page(start, count):
        start = min(start, 20 - count)
        return {"customers": people(20)[start : start + count], "total_items": 20}

    async with served(page) as client:
        assert await ids(client.customers.list(count=2)) == [person["customer_id"] for person in people(20)]


async def test_where_the_last_page_is_full_the_end_is_asked_for_beside_it():
    """A list that fills its pages exactly costs the time of its pages, and not that of one more answer."""
    beyond = anyio.Event()
    waited = []

    async def page(start, count):
        if start == 200:
            beyond.set()
        if start == 150:
            with anyio.move_on_after(60):
                await beyond.wait()
                waited.append(start)
        return {"customers": people(200)[start : start + 50], "total_items": 200}

    async with served(page) as client, client.customers.list(count=50).prefetch(8) as records:
        assert len(await ids(records)) == 200
    assert waited == [150]


@pytest.mark.parametrize(("customers", "requests"), [(7, 1), (100, 2), (150, 2)])
async def test_the_end_of_a_list_costs_one_request_at_most(customers, requests):
    """A short first page that ends at its total is the end; no request is sent behind a total that was seen."""
    sandbox = Sandbox(customers=customers, seed=1)
    async with connect(sandbox) as client:
        async with client.customers.list(count=100).prefetch(4) as records:
            assert len(await ids(records)) == customers
        assert sandbox.count("GET /customers") == requests
        assert len(await ids(client.customers.list(count=100))) == customers
    assert sandbox.count("GET /customers") == 2 * requests


async def drain(listing, way):
    """Read a listing whole in one way; return the number of records."""
    if way == "prefetch":
        async with listing.prefetch() as records:
            return len([record async for record in records])
    return len([record async for record in {"iterate": listing, "raw": listing.raw(), "pages": listing.pages()}[way]])


@pytest.mark.parametrize("way", ["iterate", "raw", "pages", "prefetch"])
@pytest.mark.parametrize(("customers", "count"), [(130, 50), (100, 50), (51, 50), (2, 1), (250, 100)])
async def test_a_page_that_repeats_is_an_error_and_no_short_list(way, customers, count):
    """If a server ignores `offset`, a part of the list is an error and not the whole list."""
    sandbox = Sandbox(customers=customers, seed=1)
    lie(sandbox, repeat_page=True)
    async with connect(sandbox) as client:
        with pytest.raises(ResponseError, match=rf"ignored `offset`: after \d+ of {customers} records.*larger count"):
            await drain(client.customers.list(count=count), way)


@pytest.mark.parametrize("way", ["iterate", "prefetch"])
@pytest.mark.parametrize("cap", [40, 50, 100])
@pytest.mark.parametrize("total", [100, None])
async def test_a_capping_server_that_ignores_the_offset_gives_no_short_list(way, cap, total):
    """A server that ignores `offset` is noticed also if it caps its pages or sends no total."""

    def page(start, count):
        return {"customers": people(cap)[:count], "total_items": total}

    async with served(page) as client:
        listing = client.customers.list()
        if (cap, total) == (100, 100):
            assert await drain(listing, way) == 100
        else:
            with pytest.raises(ResponseError, match="ignored `offset`"):
                await drain(listing, way)


@pytest.mark.parametrize("way", ["iterate", "prefetch"])
async def test_a_server_without_paging_that_sends_the_whole_list_is_read(way):
    """A server that ignores `count` and `offset` and says how many there are has sent them all at once."""
    async with served(lambda start, count: {"customers": people(250), "total_items": 250}) as client:
        assert await drain(client.customers.list(count=100), way) == 250


async def test_pretty_printed_answers_are_one_line_a_record_when_raw():
    """Raw records are compact JSON without a line break, for any style of the server."""
    sandbox = Sandbox(customers=30, seed=1)
    lie(sandbox, pretty=True)
    async with connect(sandbox) as client:
        lines = [line async for line in client.customers.list().raw()]
    assert len(lines) == 30
    assert not any(b"\n" in line for line in lines)
    assert all(json.loads(line) == sandbox.customers.get(json.loads(line)["customer_id"]) for line in lines)


async def test_leaving_half_way_leaves_nothing_open():
    """A `break` in any iteration is clean, without a word from the event loop."""
    sandbox = Sandbox(customers=30, seed=1)
    async with connect(sandbox) as client:
        for iterator in (
            client.customers.list(count=10),
            client.customers.list().pages(),
            client.customers.list().raw(),
        ):
            async for _ in iterator:
                break
    assert len(sandbox.requests) == 4


async def test_a_users_exception_leaves_prefetch_as_itself():
    """An exception inside the block is raised unchanged, and no task keeps running."""
    sandbox = Sandbox(customers=500, seed=1)
    async with connect(sandbox) as client:
        with pytest.raises(KeyError):
            async with client.customers.list(count=10).prefetch(5) as customers:
                async for _ in customers:
                    raise KeyError
        await client.ping()


async def test_an_error_of_a_later_page_comes_out_as_itself():
    """A page that fails for good raises its own error at its place in the order."""
    sandbox = Sandbox(customers=500, seed=1)
    sandbox.faults.add("GET /customers", status=404, after=3, times=1)
    seen = 0
    async with connect(sandbox) as client:
        with pytest.raises(NotFoundError):
            async with client.customers.list(count=10).prefetch(3) as customers:
                async for _ in customers:
                    seen += 1
    assert seen % 10 == 0
    assert seen >= 10


async def test_prefetch_outside_its_block_says_how():
    """Iterating without `async with` is an error that shows the block."""
    sandbox = Sandbox(customers=5, seed=1)
    async with connect(sandbox) as client:
        with pytest.raises(ConfigurationError, match="async with"):
            await anext(client.customers.list().prefetch(2))


async def test_prefetch_read_on_behind_its_block_is_an_error_and_no_short_list():
    """Left early, a prefetch refuses to be read on or opened again; read to its end, it just has ended."""
    async with connect(Sandbox(customers=60)) as client:
        async with client.customers.list(count=20).prefetch(2) as unread:
            pass
        async with client.customers.list(count=20).prefetch(2) as begun:
            await anext(begun)
        for early in (unread, begun):
            with pytest.raises(ConfigurationError, match="inside the block"):
                await anext(early)
            with pytest.raises(ConfigurationError, match="one block"):
                await early.__aenter__()
        async with client.customers.list(count=20).prefetch(2) as whole:
            assert len([customer async for customer in whole]) == 60
        assert [customer async for customer in whole] == []
        with pytest.raises(ConfigurationError, match="one block"):
            await whole.__aenter__()


@pytest.mark.parametrize("bad", [{"count": 0}, {"count": -1}, {"count": True}, {"offset": -1}, {"count": "10"}])
async def test_numbers_out_of_range_are_refused_at_once(bad):
    """`count` and `offset` are checked before anything is sent."""
    sandbox = Sandbox(customers=5, seed=1)
    async with connect(sandbox) as client:
        with pytest.raises(ConfigurationError):
            client.customers.list(**bad)
        with pytest.raises(ConfigurationError):
            client.customers.list().prefetch(0)
        with pytest.raises(ConfigurationError):
            await client.customers.list().collect(limit=0)
    assert not sandbox.requests


async def test_list_filters_are_sent_in_brackets():
    """List-valued filters reach the server as `name[]=`, and filter."""
    sandbox = Sandbox(customers=50, seed=1)
    async with connect(sandbox) as client:
        wanted = (await ids(client.customers.list()))[5:8]
        assert sorted(await ids(client.customers.list(customer_ids=wanted))) == sorted(wanted)
    assert not broken_rules(sandbox)


async def test_records_with_an_empty_id_are_no_repeated_page():
    """An empty text is no id: `raw()` and iteration compare such records by what they hold."""
    records = [{"customer_id": "", "state": number} for number in range(10)]
    async with served(lambda at, count: {"customers": records[at : at + count], "total_items": 10}) as client:
        listing = client.customers.list(count=2)
        assert [json.loads(line)["state"] async for line in listing.raw()] == list(range(10))
        assert [customer.state async for customer in listing] == list(range(10))
