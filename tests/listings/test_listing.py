"""Listings: pages, records, raw JSON; servers that cap, lie and repeat."""

import inspect
import json

import anyio
import httpx
import kit
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import connect
from lying import lie

from carecloud_async import ConfigurationError, NotFoundError, Page, ResponseError
from carecloud_async._lists.paging.iterators import is_last
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


@pytest.mark.parametrize("customers", [0, 1, 49, 50, 51, 100])
async def test_lists_of_every_length_end(customers):
    """Lists that end on a page's edge, are empty or short are read whole."""
    sandbox = Sandbox(customers=customers, seed=1)
    async with connect(sandbox) as client:
        assert len(await ids(client.customers.list(count=50))) == customers
        async with client.customers.list(count=50).prefetch(3) as found:
            assert len(await ids(found)) == customers
        first = await client.customers.list().first()
        assert (first is None) == (customers == 0)


async def test_a_server_that_caps_count_loses_no_record():
    """A page advances by the records received, not by those asked for."""
    sandbox = Sandbox(customers=70, seed=1, max_count=15)
    async with connect(sandbox) as client:
        assert len(set(await ids(client.customers.list(count=1000)))) == 70
        async with client.customers.list(count=1000).prefetch(4) as found:
            assert len(set(await ids(found))) == 70


@pytest.mark.parametrize("total", [10, 50, 500, 0])
async def test_a_total_that_lies_loses_no_record(total):
    """A total that is too low or too high changes nothing in what is read."""
    sandbox = Sandbox(customers=130, seed=1)
    lie(sandbox, total_items=total)
    async with connect(sandbox) as client:
        assert len(set(await ids(client.customers.list(count=50)))) == 130
        async with client.customers.list(count=50).prefetch(4) as found:
            assert len(set(await ids(found))) == 130


@pytest.mark.parametrize("total", ["missing", None, "nonsense", -1, 0, 5, True, 1.5])
async def test_a_server_that_caps_count_and_gives_no_usable_total_loses_no_record(total):
    """A short first page is no proof of the end: one more request is."""
    people = [{"customer_id": f"{number:03}", "personal_information": {}} for number in range(237)]

    def page(start, count):
        return {"customers": people[start : start + 50]} | ({} if total == "missing" else {"total_items": total})

    async with served(page) as client:
        listing = client.customers.list(count=100)
        assert len(set(await ids(listing))) == 237
        assert len([line async for line in listing.raw()]) == 237
        assert len(await listing.collect(limit=200)) == 200
        async with listing.prefetch(4) as found:
            assert len(set(await ids(found))) == 237


@pytest.mark.parametrize("total", [None, 5])
@pytest.mark.parametrize("sizes", [[50, 50, 20, 50, 50], [50, 40, 30, 20, 10]])
async def test_pages_that_shrink_lose_no_record(total, sizes):
    """A short page in the middle, or pages that get shorter and shorter, are no end where no total says so."""
    people = [{"customer_id": f"{number:03}"} for number in range(220)]
    asked = []

    def page(start, count):
        size = min(sizes[len(asked) % len(sizes)], count)
        asked.append(start)
        return {"customers": people[start : start + size]} | ({} if total is None else {"total_items": total})

    async with served(page) as client:
        listing = client.customers.list(count=50)
        assert len(set(await ids(listing))) == 220
        async with listing.prefetch(4) as found:
            assert len(set(await ids(found))) == 220


@pytest.mark.parametrize("count", [1, 10])
async def test_a_page_pushed_back_by_inserts_is_no_circle(count):
    """As many records inserted in front as a page holds bring a page again: it is passed over, and the rest comes."""
    people = [{"customer_id": f"{number:03}"} for number in range(60)]
    wanted = {one["customer_id"] for one in people}
    pages = []

    def page(start, count):
        data = {"customers": people[start : start + count], "total_items": len(people)}
        pages.append(start)
        if len(pages) == 4:
            people[:0] = [{"customer_id": f"new{number}"} for number in range(count)]
        return data

    async with served(page) as client:
        assert wanted <= set(await ids(client.customers.list(count=count)))


@pytest.mark.parametrize("moments", [{4, 8}, {8, 16, 32}, set(range(2, 60, 2))], ids=str)
async def test_pages_pushed_back_at_different_times_are_no_circle(moments):
    """Inserts that repeat a page now and then are skipped each time."""
    people = [{"customer_id": f"{number:03}"} for number in range(60)]
    wanted = {one["customer_id"] for one in people}
    served_ids = set()

    def page(start, count):
        found = people[start : start + count]
        data = {"customers": found, "total_items": len(people)}
        new = {one["customer_id"] for one in found} - served_ids
        served_ids.update(new)
        if new and len(served_ids) in moments:
            people.insert(0, {"customer_id": f"new{len(served_ids)}"})
        return data

    async with served(page) as client:
        assert wanted <= set(await ids(client.customers.list(count=1)))


async def test_a_server_that_sends_its_last_page_beyond_the_end_does_not_hold_a_list_up():
    """Frameworks that lower an offset beyond the end to that of the last page send it for ever: the list ends."""
    people = [{"customer_id": str(number)} for number in range(20)]

    def page(start, count):
        start = min(start, len(people) - count)
        return {"customers": people[start : start + count], "total_items": len(people)}

    async with served(page) as client:
        assert await ids(client.customers.list(count=2)) == [person["customer_id"] for person in people]


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
        people = [{"customer_id": f"{number:03}"} for number in range(start, min(start + 50, 200))]
        return {"customers": people, "total_items": 200}

    async with (
        served(page) as client,
        client.customers.list(count=50).prefetch(8) as found,
    ):
        assert len(await ids(found)) == 200
    assert waited == [150]


async def test_a_short_list_costs_one_request():
    """A list whose short first page ends exactly at its total costs one request."""
    sandbox = Sandbox(customers=7, seed=1)
    async with connect(sandbox) as client:
        assert len(await ids(client.customers.list())) == 7
    assert len([one for one in sandbox.requests if one.method == "GET"]) == 1


@pytest.mark.parametrize("customers", [100, 150])
async def test_a_prefetch_asks_beyond_the_end_once(customers):
    """Prefetch sends one request that shows nothing new, and none behind the total that it has seen."""
    sandbox = Sandbox(customers=customers, seed=1)
    async with connect(sandbox) as client, client.customers.list(count=100).prefetch(4) as found:
        assert len(await ids(found)) == customers
    assert len([one for one in sandbox.requests if one.method == "GET"]) == 2


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
    people = [{"customer_id": f"{number:03}"} for number in range(cap)]

    def page(start, count):
        return {"customers": people[:count], "total_items": total}

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
    people = [{"customer_id": f"{number:03}"} for number in range(250)]
    async with served(lambda start, count: {"customers": people, "total_items": 250}) as client:
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
    assert not sandbox.violations


@given(received=st.integers(0, 20), count=st.integers(1, 20), total=st.none() | st.integers(0, 40))
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_page_is_last_only_if_nothing_can_follow(anyio_backend, received, count, total):
    """A full page, or one that the total promises more than, is never taken for the last."""
    del anyio_backend
    page = Page(items=[None] * received, offset=0, total_items=total, received=received)
    if is_last(page, count) and received:
        assert received < count
        assert total == received


async def test_records_with_an_empty_id_are_no_repeated_page():
    """An empty text is no id: `raw()` and iteration compare such records by what they hold."""
    records = [{"customer_id": "", "state": number} for number in range(10)]
    async with served(lambda at, count: {"customers": records[at : at + count], "total_items": 10}) as client:
        listing = client.customers.list(count=2)
        assert [json.loads(line)["state"] async for line in listing.raw()] == list(range(10))
        assert [customer.state async for customer in listing] == list(range(10))
