"""`"auto"`: what is asked for on the wire, of servers that cap pages, fail at large ones or give everything."""

import inspect
import json
import random
from email.utils import formatdate

import anyio
import httpx
import pytest
import respx
from hypothesis import given, settings
from hypothesis import strategies as st
from kit import CREDENTIALS, HOST, login_answer, served
from lists import numbered
from thorough import examples, variants

from carecloud_async import CareCloud, ConfigurationError, RateLimit, RetryPolicy, ServerError
from carecloud_async.pytest_plugin.clock import FakeClock

pytestmark = pytest.mark.anyio

LENGTH = 5000
#: Records of the first page and of the largest, and the bytes of a page, where both are found.
FIRST, LARGEST, PAGE_BYTES = 200, 1000, 8 * 2**20


class Server:
    """A list of customers; `refuse(count, number)` may answer a request in place of it.

    Attributes:
        asked: the records asked for, request by request.
        most_at_once: the most requests that were under way at once.
    """

    def __init__(self, *, length=LENGTH, cap=10**9, padding=0, refuse=lambda _count, _number: None):
        self._length = length
        self._cap = cap
        self._padding = "x" * padding
        self._refuse = refuse
        self._under_way = 0
        self.asked = []
        self.most_at_once = 0

    async def answer(self, request):
        start, count = int(request.url.params["offset"]), int(request.url.params["count"])
        self.asked.append(count)
        self._under_way += 1
        self.most_at_once = max(self.most_at_once, self._under_way)
        try:
            for _ in range(5):
                await anyio.lowlevel.checkpoint()
        finally:
            self._under_way -= 1
        refused = self._refuse(count, len(self.asked))
        if inspect.isclass(refused):
            raise refused("cut off", request=request)
        if refused is not None:
            return refused
        numbers = range(start, min(start + min(count, self._cap), self._length))
        records = [{"customer_id": f"{number:06}", "note": self._padding} for number in numbers]
        data = {"customers": records, "total_items": self._length}
        return httpx.Response(200, json={"data": data}, headers={"Date": formatdate(usegmt=True)})

    def connect(self, **more):
        return served(self.answer, **more)


async def prefetched(client, folder, **paging):
    del folder
    async with client.customers.list(**paging).prefetch() as taken:
        return [customer.customer_id async for customer in taken]


async def exported(client, folder, **paging):
    report = await client.customers.list(**paging).export(folder / "c.jsonl")
    assert (report.exact, report.list_changed) == (True, False)
    return [json.loads(line)["customer_id"] for line in (folder / "c.jsonl").read_bytes().splitlines()]


async def streamed(client, folder, **paging):
    del folder
    async with client.customers.list(**paging).arrow() as batches:
        taken = [name async for batch in batches for name in batch["customer_id"].to_pylist()]
    assert (batches.report.exact, batches.report.list_changed) == (True, False)
    return taken


WAYS = [prefetched, exported, streamed]


@pytest.fixture(params=WAYS, ids=["prefetch", "export", "arrow"])
def read(request):
    if request.param is streamed:
        pytest.importorskip("pyarrow")
    return request.param


ALL_IDS = [f"{number:06}" for number in range(LENGTH)]


async def test_pages_grow_and_nothing_is_lost(read, tmp_path):
    """The first page comes alone and asks for 200 records, later ones for more, within bounds; all is there once."""
    server = Server(length=8000)
    async with server.connect() as client:
        taken = await read(client, tmp_path)
    assert taken == [f"{number:06}" for number in range(8000)]
    assert server.asked[0] == FIRST
    assert FIRST < max(server.asked) <= LARGEST
    assert server.most_at_once <= 20


@pytest.mark.parametrize("length", [0, 1, 200, 201, *variants(199, 400)])
async def test_a_short_list_costs_no_more_requests_than_it_must(read, tmp_path, length):
    """A list that ends on the first page is one request, and for an export some more that prove its end."""
    server = Server(length=length)
    async with server.connect() as client:
        assert await read(client, tmp_path) == ALL_IDS[:length]
    assert len(server.asked) <= (1 if length < FIRST else 4) + 3 * (read is not prefetched)


@pytest.mark.parametrize("cap", [7, 333, *variants(2, 100, 150)])
async def test_a_server_that_caps_pages_is_asked_for_the_rest(read, tmp_path, cap):
    """If a server caps its pages, no record is lost, and the last requests ask for no more than the cap."""
    server = Server(cap=cap, length=min(LENGTH, cap * 60))
    async with server.connect() as client:
        assert await read(client, tmp_path) == ALL_IDS[: cap * 60]
    late = server.asked[len(server.asked) * 3 // 4 :]
    assert max(late) <= cap


def _bad_count(count, _):
    if count <= 300:
        return None
    problem = {"name": "count", "reason": "not_allowed_value"}
    return httpx.Response(400, json={"error": {"error_data": {"invalid_params": [problem]}}})


REFUSALS = {
    "an internal error": lambda count, _: httpx.Response(500) if count > 300 else None,
    "too large": lambda count, _: httpx.Response(413) if count > 300 else None,
    "a bad parameter": _bad_count,
    "a bad request": lambda count, _: httpx.Response(400) if count > 300 else None,
    "no answer in time": lambda count, _: httpx.ReadTimeout if count > 300 else None,
    "a connection that ends": lambda count, _: httpx.RemoteProtocolError if count > 300 else None,
}


#: Each refusal is met once, and each way of reading meets two of them; --thorough tries all.
MET = [(way, name) for number, way in enumerate(WAYS) for name in list(REFUSALS)[number::3]]


@pytest.mark.parametrize(
    ("read", "refuse"),
    [
        pytest.param(
            way, REFUSALS[name], id=f"{way.__name__}-{name}", marks=() if (way, name) in MET else pytest.mark.thorough
        )
        for way in WAYS
        for name in REFUSALS
    ],
    indirect=["read"],
)
async def test_a_server_that_fails_at_large_pages_is_asked_for_smaller_ones(read, tmp_path, refuse):
    """After a large page fails, sizes that arrived whole are requested; each large page is tried twice at most."""
    server = Server(refuse=refuse)
    retry = RetryPolicy(base=0.001, max_wait=0.001)
    async with server.connect(retry=retry) as client:
        assert await read(client, tmp_path) == ALL_IDS
    large = [index for index, count in enumerate(server.asked) if count > 300]
    assert large
    assert len(large) <= 2 * 9
    assert large[-1] < len(server.asked) - 10


async def test_a_failure_at_a_size_that_the_server_has_served_is_raised(read, tmp_path):
    """Once pages of 100 fail, there is nothing smaller to ask for: the server's error is the user's."""
    server = Server(refuse=lambda _, number: httpx.Response(500) if number > 3 else None)
    async with server.connect(retry=RetryPolicy(attempts=2, base=0.001)) as client:
        with pytest.raises(ServerError):
            await read(client, tmp_path)


async def test_a_bad_request_about_something_else_is_raised_at_once(tmp_path):
    """A page is not asked for again because of a filter that the server refuses."""
    problem = {"name": "email", "reason": "invalid_value_format"}
    answer = httpx.Response(400, json={"error": {"error_data": {"invalid_params": [problem]}}})
    server = Server(refuse=lambda *_: answer)
    async with server.connect() as client:
        with pytest.raises(Exception, match="email"):
            await prefetched(client, tmp_path)
    assert server.asked == [FIRST]


async def test_a_refused_pace_is_no_refused_page(read, tmp_path):
    """A 429 says nothing about the size of a page: it is asked for again as it was."""
    server = Server(refuse=lambda _, number: httpx.Response(429) if number in {3, 4, 5} else None)
    async with server.connect(retry=RetryPolicy(base=0.001), rate_limit=None) as client:
        assert await read(client, tmp_path) == ALL_IDS
    assert max(server.asked) > FIRST


async def test_records_of_great_size_keep_pages_small(tmp_path):
    """A page is bounded in bytes, not in records alone."""
    server = Server(length=1500, padding=100_000)
    async with server.connect() as client:
        assert await prefetched(client, tmp_path) == ALL_IDS[:1500]
    assert server.asked[0] == FIRST
    assert max(server.asked[1:]) <= PAGE_BYTES / 100_000


async def test_a_configured_rate_keeps_the_width_small(tmp_path):
    """If the rate limiter holds calls back, few requests of the largest pages are made, and none waits in a queue."""
    server = Server(length=10_000)
    async with server.connect(rate_limit=RateLimit(requests_per_second=20)) as client:
        assert len(await prefetched(client, tmp_path)) == 10_000
    assert len(server.asked) < 10_000 / FIRST / 2


async def test_a_clock_that_stands_still_beside_the_limiter_is_no_error(read, tmp_path):
    """With a clock that a test moves, all the time of a page may be its wait at the limiter."""
    clock = FakeClock()
    server = Server(length=3000)
    async with server.connect(clock=clock, rate_limit=RateLimit(requests_per_second=2)) as client:
        while not clock.sleeps:
            await client.customers.list(count=1).total()
        assert await read(client, tmp_path) == ALL_IDS[:3000]


@pytest.mark.parametrize("connections", [*variants(1), 3])
async def test_the_width_is_never_above_the_connections(read, tmp_path, connections):
    """`max_connections` bounds the requests at once."""
    server = Server()
    async with server.connect(max_connections=connections) as client:
        assert await read(client, tmp_path) == ALL_IDS
    assert server.most_at_once <= connections


async def test_numbers_that_a_user_gives_are_obeyed(tmp_path):
    """A given count is asked for, a given width is kept, each with or without the other."""
    server = Server(length=6000)
    async with server.connect() as client:
        await prefetched(client, tmp_path, count=50)
        await exported(client, tmp_path, count=50)
        assert set(server.asked) == {50}
        server.most_at_once = 0
        async with client.customers.list().prefetch(3) as taken:
            assert len([customer async for customer in taken]) == 6000
        await client.customers.list().export(tmp_path / "d.jsonl", concurrency=3)
        assert server.most_at_once == 3


async def test_respx_sees_the_numbers_that_a_user_gives():
    """With `count` and width given, each request asks for that count, and at most that many are under way."""
    base = "https://sandbox.crmcarecloud.com/webservice/rest-api/enterprise-interface/v1.0"
    server = Server(length=900)
    with respx.mock(base_url=base) as mock:
        mock.post("/users/actions/login").mock(return_value=login_answer())
        customers = mock.get("/customers").mock(side_effect=server.answer)
        async with (
            httpx.AsyncClient() as http,
            CareCloud(HOST, auth=CREDENTIALS, http_client=http, rate_limit=None) as client,
            client.customers.list(count=70).prefetch(4) as taken,
        ):
            assert [customer.customer_id async for customer in taken] == ALL_IDS[:900]
        assert {call.request.url.params["count"] for call in customers.calls} == {"70"}
    assert 2 <= server.most_at_once <= 4  # one may end before the fourth begins


async def test_what_reads_one_page_after_another_asks_for_a_hundred():
    """Plain iteration, pages, raw records and a page keep the API's own page size; so does "auto" written out."""
    server = Server(length=250)
    async with server.connect() as client:
        for listing in (client.customers.list(), client.customers.list(count="auto"), client.listing("customers")):
            server.asked.clear()
            assert len([customer async for customer in listing]) == 250
            assert len([customer async for page in listing.pages() for customer in page]) == 250
            assert len([line async for line in listing.raw()]) == 250
            await listing.page()
            await listing.collect(limit=1000)
            assert set(server.asked) == {100}


@pytest.mark.parametrize("bad", [0, -1, 1.5, True, None, "8", "Auto"])
async def test_other_values_are_refused_with_what_to_write(tmp_path, bad):
    """A width or count that is neither a number from 1 up nor "auto" is an error that names both."""
    async with Server().connect() as client:
        listing = client.customers.list()
        for attempt in (
            lambda: listing.prefetch(bad),
            lambda: listing.arrow(concurrency=bad),
            lambda: client.listing("customers", count=bad),
        ):
            with pytest.raises(ConfigurationError, match=r'whole number from 1 up.*"auto"'):
                attempt()
        with pytest.raises(Exception, match=r'concurrency must be a whole number from 1 up.*"auto"'):
            await listing.export(tmp_path / "c.jsonl", concurrency=bad)


@given(length=st.integers(0, 300), most=st.integers(1, 60), seed=st.integers(0, 999), width=st.integers(1, 6))
@settings(max_examples=examples(60))
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_however_pages_are_cut_each_record_is_handed_out_once(anyio_backend, length, most, seed, width):
    """A server may cut each page to another size: all records come in order, once."""
    del anyio_backend
    dice, names = random.Random(seed), [f"{number:04}" for number in range(length)]
    server = numbered(names, cap=lambda: dice.randint(1, most), dice=dice)
    async with server.client() as client:
        for count in (7, "auto"):
            async with client.customers.list(count=count).prefetch(width) as customers:
                assert [customer.customer_id async for customer in customers] == names
