"""Filters that are too long for one request: parts with one result, or an error that names the bound."""

from itertools import product

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit import KnownUser, connect, cut, page, served
from thorough import examples

from carecloud_async import ConfigurationError
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

WAYS = ["iterate", "raw", "pages", "collect"]


class Front(httpx.AsyncBaseTransport):
    """A web server before the sandbox: it takes request lines of some length, and PHP's number of variables."""

    def __init__(self, sandbox, takes=8190):
        self._inner = sandbox.transport()
        self._takes = takes
        self.lines = []
        self.refused = 0

    async def handle_async_request(self, request):
        line = f"{request.method} {request.url.raw_path.decode()} HTTP/1.1"
        if len(line) > self._takes:
            self.refused += 1
            return httpx.Response(414, text="URI Too Long")
        assert line.count("&") < 1000
        if request.method == "GET":
            self.lines.append(len(line))
        return await self._inner.handle_async_request(request)


@pytest.fixture(scope="module")
def sandbox():
    return Sandbox(customers=1200, seed=4)


async def ids_of(listing, way):
    if way == "raw":
        return [line.split(b'"', 4)[3].decode() async for line in listing.raw()]
    if way == "pages":
        return [customer.customer_id async for customers in listing.pages() for customer in customers]
    customers = await listing.collect(limit=10_000) if way == "collect" else [customer async for customer in listing]
    return [customer.customer_id for customer in customers]


def some(sandbox, number):
    return [sandbox.customers.id_at(index) for index in range(number)]


@pytest.mark.parametrize("way", WAYS)
async def test_a_long_filter_is_asked_in_parts_with_one_result(sandbox, way):
    """A thousand ids make several requests that servers take, and each record comes once."""
    front, wanted = Front(sandbox), some(sandbox, 1000)
    async with connect(sandbox, transport=front, rate_limit=None) as client:
        ids = await ids_of(client.customers.list(customer_ids=wanted), way)
    assert sorted(ids) == sorted(wanted)
    assert (front.refused, len(front.lines) > 5, max(front.lines) <= 8000) == (0, True, True)


@pytest.mark.parametrize("way", [*WAYS, "total", "first"])
async def test_a_record_that_matches_values_of_several_parts_comes_once(way):
    """Each of ten records has a hundred external ids: they come once, and are counted once."""
    owners = {f"{number:03}-{'x' * 40}": f"{number % 10}" for number in range(1000)}
    asked = []

    def answer(request):
        records = sorted({owners[external_id] for external_id in request.url.params.get_list("external_ids[]")})
        asked.append(len(records))
        items = [{"customer_source_record_id": name, "external_id": f"{len(asked)}"} for name in records]
        return cut("customer_source_records", items, request)

    async with served(answer) as client:
        listing = client.customer_source_records.list(external_ids=list(owners))
        if way == "total":
            assert await listing.total() == 10
        elif way == "first":
            assert (await listing.first()).customer_source_record_id == "0"
            assert len(asked) == 1
        else:
            assert len(await ids_of(listing, way)) == 10


@pytest.mark.parametrize(
    "ask",
    [
        lambda listing, path: listing.export(path / "c.jsonl"),
        lambda listing, path: listing.arrow().__aenter__(),
        lambda listing, path: listing.prefetch(2).__aenter__(),
        lambda listing, path: listing.page(),
    ],
    ids=["export", "arrow", "prefetch", "page"],
)
async def test_what_needs_one_list_names_the_bound(sandbox, ask, tmp_path):
    """Exports, streams, prefetch and single pages refuse a filter that is too long, and say how many values fit."""
    front = Front(sandbox)
    async with connect(sandbox, transport=front, rate_limit=None) as client:
        with pytest.raises(ConfigurationError, match=r"customer_ids makes a .* and servers take 8,000 bytes") as caught:
            await ask(client.customers.list(customer_ids=some(sandbox, 1000)), tmp_path)
        fits = int(str(caught.value).partition("Give some ")[2].partition(" ")[0])
        assert 100 <= fits <= 200
        assert len((await client.customers.list(customer_ids=some(sandbox, fits)).page()).items) == 100
    assert len(front.lines) == 1
    assert some(sandbox, 1)[0] not in str(caught.value)


@pytest.mark.parametrize("more", [{"sort_field": "last_change"}, {"offset": 3}], ids=str)
@pytest.mark.parametrize("way", [*WAYS, "total", "first"])
async def test_parts_have_no_order(sandbox, more, way):
    """A sorted list, or one with an offset, cannot be put together from parts: it is refused unsent."""
    front = Front(sandbox)
    async with connect(sandbox, transport=front, rate_limit=None) as client:
        listing = client.customers.list(customer_ids=some(sandbox, 1000), **more)
        with pytest.raises(ConfigurationError, match="a sorted list, or one with an offset"):
            await (getattr(listing, way)() if way in {"total", "first"} else ids_of(listing, way))
        short = client.customers.list(customer_ids=some(sandbox, 20), **more)
        assert len(await ids_of(short, "iterate")) == 20 - more.get("offset", 0)


async def test_one_call_with_a_long_query_names_the_bound(sandbox):
    """`request()` refuses a query that servers do not take, and names the listing that asks in parts."""
    front = Front(sandbox)
    async with connect(sandbox, transport=front, rate_limit=None) as client:
        with pytest.raises(ConfigurationError, match=r"servers take 8,000: give fewer values, or iterate a listing"):
            await client.request("GET", "customers", params={"customer_ids": some(sandbox, 400)})
        with pytest.raises(ConfigurationError, match=r"GET /gifts: .* servers take 8,000"):
            await client.listing("gifts", params={"ids": some(sandbox, 400)}).collect(limit=1)
    assert front.lines == []


@given(
    customers=st.sets(st.integers(0, 10**6), min_size=1, max_size=60),
    emails=st.sets(st.integers(0, 10**6), min_size=1, max_size=60),
    length=st.sampled_from([20, 100, 400]),
)
@settings(max_examples=examples(50))
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_parts_hold_each_combination_of_values_once(anyio_backend, customers, emails, length):
    """However two long filters are cut, each pair of their values is asked for in exactly one part that fits."""
    del anyio_backend
    filters = {"customer_ids": customers, "email_list": emails}
    filters = {name: [f"{value:0{length}}" for value in values] for name, values in filters.items()}
    asked = []

    def answer(request):
        assert len(request.url.raw_path) < 8000
        asked.append([request.url.params.get_list(f"{name}[]") for name in filters])
        return page("customers", [])

    async with served(answer, auth=KnownUser(), rate_limit=None) as client:
        assert await client.customers.list(**filters).collect(limit=9) == []
    pairs = [pair for part in asked for pair in product(*part)]
    assert sorted(pairs) == sorted(product(*filters.values()))
