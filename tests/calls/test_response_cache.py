"""ResponseCache through a client: what is kept, for whom, and how long."""

import contextlib
import math
import re

import anyio
import httpx
import pytest
from cache_server import Server, connect, credentials
from clocks import ManualClock

from carecloud_async import (
    CareCloud,
    CareCloudError,
    CustomerSession,
    EnterpriseCredentials,
    InterfaceError,
    RateLimit,
    ResponseCache,
    RetryPolicy,
    SessionExpiredError,
)
from carecloud_async.resources import OPERATIONS

pytestmark = pytest.mark.anyio


async def test_twenty_reads_of_a_list_with_max_age_are_one_request():
    """Pages, iteration, first and total of the same page are answered from what is kept."""
    server = Server()
    async with connect(server) as client:
        pages = [await client.customers.list(last_name="Smith").page() for _ in range(10)]
        pages += [[customer async for customer in client.customers.list(last_name="Smith")] for _ in range(10)]
    assert server.sent == ["GET /customers"]
    assert len({page[0] if isinstance(page, list) else page.items[0] for page in pages}) == 1


async def test_without_a_cache_every_read_is_sent():
    """`cache=None` is the default: max-age alone keeps nothing."""
    server = Server()
    transport = httpx.MockTransport(server)
    async with CareCloud("x.example.com", auth=credentials(), transport=transport) as client:
        for _ in range(3):
            await client.customers.list().page()
    assert len(server.sent) == 3


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ({}, 0),
        ({"cache-control": "max-age=60"}, 60),
        ({"cache-control": 'Private, Max-Age="60"'}, 60),
        ({"cache-control": "max-age=60", "age": "50"}, 10),
        ({"cache-control": "max-age=60", "age": "70"}, 0),
        ({"cache-control": "max-age=60, no-store"}, 0),
        ({"cache-control": "no-cache, max-age=60"}, 0),
        ({"cache-control": "max-age=-1"}, 0),
        ({"cache-control": "max-age=soon"}, 0),
        ({"cache-control": "s-maxage=60"}, 0),
        ({"cache-control": "must-revalidate, max-age=5"}, 5),
    ],
)
async def test_how_long_an_answer_is_kept(said, seconds):
    """Max-age less Age from the moment of the request, nothing for no-store and no-cache and what cannot be read."""
    server, clock = Server(**({"x": "y"} | said)), ManualClock()
    async with connect(server, clock=clock) as client:
        for later, sent in ((0, 1), (seconds - 0.1, 1), (0.1, 2)) if seconds else ((0, 1), (0, 2)):
            clock.now += later
            await client.customers.list().page()
            assert len(server.sent) == sent


async def test_reference_data_is_kept_as_long_as_the_user_says():
    """`reference_seconds` holds without any header, and not against `no-store`; other lists are not kept by it."""
    server, clock = Server(Date="now"), ManualClock()
    async with connect(server, cache=ResponseCache(reference_seconds=300), clock=clock) as client:
        for _ in range(3):
            await client.currencies.list().page()
            await client.customers.list().page()
        assert server.sent.count("GET /currencies") == 1
        assert server.sent.count("GET /customers") == 3
        clock.now += 300
        await client.currencies.list().page()
        assert server.sent.count("GET /currencies") == 2
        server.headers = {"Cache-Control": "no-store"}
        clock.now += 300
        for _ in range(3):
            await client.currencies.list().page()
    assert server.sent.count("GET /currencies") == 5


async def test_thirty_customers_on_one_pool_see_each_only_itself():
    """Views of one client read the same path at once and again: each gets its own record, from one request."""
    server = Server()
    customers = {}

    async def read(name):
        view = client.acting_as(CustomerSession.resume(token_id=name, customer_id=name))
        customers[name] = [(await view.customers.list().page()).items[0].customer_id for _ in range(5)]

    async with connect(server) as client, anyio.create_task_group() as group:
        for number in range(30):
            group.start_soon(read, f"customer-{number}")
    assert customers == {f"customer-{number}": [f"customer-{number}"] * 5 for number in range(30)}
    assert len(server.sent) == 30


async def test_reference_data_is_shared_by_application():
    """Two users of one application share it; another application and a session that names none ask for themselves."""
    server = Server()
    seen = []
    async with connect(server) as client:
        for auth in (
            credentials("u"),
            credentials("v"),
            credentials("w", application="b"),
            CustomerSession.resume(token_id="t", customer_id="c"),
        ):
            view = client.acting_as(auth)
            if isinstance(auth, EnterpriseCredentials):
                await view.login()
            seen.append((await view.currencies.list().page()).items[0].name)
    assert seen == ["answer 1", "answer 1", "answer 2", "answer 3"]


async def test_private_reference_data_is_kept_for_its_identity():
    """A list with `Cache-Control: private` is given to no other identity, not even while it is under way."""
    server = Server(**{"Cache-Control": "private, max-age=60"})
    seen = []

    async def read(login):
        seen.append((await client.acting_as(credentials(login)).currencies.list().page()).items[0].name)

    async with connect(server) as client:
        for login in ("u", "v"):
            await client.acting_as(credentials(login)).login()
        server.hold = anyio.Event()
        async with anyio.create_task_group() as group:
            for login in ("u", "v"):
                group.start_soon(read, login)
                await anyio.wait_all_tasks_blocked()
            server.hold.set()
        for login in ("u", "v"):
            await read(login)
    assert sorted(seen) == ["answer 1", "answer 1", "answer 2", "answer 2"]


async def test_what_is_shared_names_no_person_and_issues_no_token():
    """Of all GETs, two users of one application share some lists of settings, and nothing of a customer or a token."""
    shared = []
    reads = [operation for operation in OPERATIONS.values() if operation.method == "GET"]
    async with connect(Server(), cache=ResponseCache(reference_seconds=300)) as client:
        views = [client.acting_as(credentials(login)) for login in ("u", "v")]
        for view in views:
            await view.login()
        for operation in reads:
            ids = dict.fromkeys(operation.placeholders, "1")
            with client.record_calls() as calls:
                for view in views:
                    with contextlib.suppress(InterfaceError):
                        await view.request("GET", operation.path, path_params=ids)
            if calls and calls[-1].cached:
                shared.append(operation)
    assert {"/stores", "/currencies", "/products/tags", "/event-types/{event_type_id}/event-properties"} <= {
        operation.path for operation in shared
    }
    told = {word for operation in shared for word in (*operation.parameters, *re.findall(r"\w+", operation.path))}
    assert not [word for word in told if word == "customer_id" or "token" in word]


async def test_languages_have_answers_of_their_own():
    """A view in another language asks for itself."""
    server = Server()
    async with connect(server) as client:
        english = client.with_options(language="en-gb")
        codes = [(await view.currencies.list().page()).items[0].code for view in (client, english, client, english)]
    assert codes == ["cs, en-gb;q=0.8", "en-gb"] * 2
    assert len(server.sent) == 2


WRITES = {
    "PUT /customers/{customer_id}": ["/customers"],
    "POST /purchases/actions/send-purchase": ["/customers"],
    "POST /points/actions/assign-points": ["/customers"],
    "PUT /stores/{store_id}": ["/customers", "/stores", "/currencies", "/products/tags"],
    "POST /stores/{store_id}/property-records": ["/customers", "/stores", "/currencies", "/products/tags"],
    "POST /products/batch": ["/customers", "/stores", "/currencies", "/products/tags"],
    "POST /product-brands/batch": ["/customers", "/stores", "/currencies", "/products/tags"],
    "PUT /currencies/{currency_id}": ["/customers", "/stores", "/currencies", "/products/tags"],
}


@pytest.mark.parametrize("write", WRITES)
async def test_a_write_removes_what_it_can_change(write):
    """Reference data stays unless a family that has some is written, or what is not in the table; all else goes."""
    server = Server()
    method, path = write.split()
    reads = ["/customers", "/stores", "/currencies", "/products/tags"]
    async with connect(server) as client:
        for read in reads * 2:
            await client.request("GET", read)
        assert server.sent == [f"GET {read}" for read in reads]
        await client.request(method, path, path_params=dict.fromkeys(re.findall(r"{(\w+)}", path), "1"), json={})
        server.sent.clear()
        for read in reads:
            await client.request("GET", read)
    assert [sent.removeprefix("GET ") for sent in server.sent] == WRITES[write]


@pytest.mark.parametrize("lost", [httpx.ReadError("gone"), httpx.Response(504), httpx.Response(200, text="<p>")])
async def test_a_lost_write_keeps_answers_out_for_a_while(lost):
    """For half a minute after a lost write, which may take effect late, reads are sent and not kept."""
    clock, server = ManualClock(), Server()

    async def lossy(request):
        if request.method != "PUT":
            return await server(request)
        if isinstance(lost, Exception):
            raise lost
        return lost

    once = RetryPolicy(attempts=1)
    async with connect(lossy, clock=clock, retry=once) as client:
        with pytest.raises(CareCloudError, match="may have happened"):
            await client.request("PUT", "customers/{customer_id}", path_params={"customer_id": "1"}, json={})
        for _ in range(3):
            await client.customers.list().page()
        assert len(server.sent) == 3
        clock.now += 30
        for _ in range(3):
            await client.customers.list().page()
    assert len(server.sent) == 4


async def test_an_update_reads_the_record_itself():
    """An update merges its changes into a record that it has just read, and not into a cached one."""
    server = Server()
    async with connect(server) as client:
        await client.customers.get("1")
        await client.customers.update("1", {"personal_information": {"last_name": "New"}})
    assert server.sent == ["GET /customers/1", "GET /customers/1", "PUT /customers/1"]


async def test_prefetch_exports_and_ping_are_always_sent(tmp_path):
    """Pages of different ages would not make an exact list, and a ping is there to ask."""
    server = Server()
    async with connect(server) as client:
        await client.customers.list().page()
        await client.ping()
        async with client.customers.list().prefetch(2) as customers:
            async for _ in customers:
                break
        before = len(server.sent)
        assert before >= 3
        await client.customers.list().export(tmp_path / "all.jsonl")
    assert len(server.sent) > before


async def test_calls_that_are_more_than_a_plain_read_are_always_sent():
    """Own headers, and paths that the SDK does not know."""
    server = Server()
    async with connect(server) as client:
        for _ in range(2):
            await client.request("GET", "customers", headers={"X-Mine": "1"})
            await client.request("GET", "unknown/things")
    assert len(server.sent) == 4


async def test_logged_out_identity_gets_nothing_from_the_cache():
    """A session that was logged out is over, also where its answers would still be good."""
    server = Server()
    async with connect(server) as client:
        mine = client.acting_as(CustomerSession.resume(token_id="t", customer_id="c"))
        await mine.customers.list().page()
        await mine.logout()
        with pytest.raises(SessionExpiredError):
            await mine.customers.list().page()
        with pytest.raises(SessionExpiredError):
            await mine.currencies.list().page()


async def test_hits_pass_before_the_rate_limiter():
    """A thousand kept answers take no slot of a limit that lets one call leave in an hour."""
    server = Server()
    async with connect(server, rate_limit=RateLimit(requests_per_second=20)) as client:
        await client.customers.list().page()
        with client.record_calls() as calls, anyio.fail_after(60):
            for _ in range(1000):
                await client.customers.list().page()
    assert len(server.sent) == 1
    assert math.fsum(call.limiter_seconds for call in calls) == 0


@pytest.mark.parametrize(
    ("bound", "asked", "sent"),
    [({"max_entries": 2}, "121312", "1232"), ({"max_bytes": 5000}, "123231", "1231"), ({"max_bytes": 100}, "11", "11")],
    ids=str,
)
async def test_what_is_kept_is_bounded(bound, asked, sent):
    """By number and by memory, the one used longest ago goes first; what is too large alone is not kept."""
    server = Server()
    async with connect(server, cache=ResponseCache(**bound)) as client:
        for name in asked:
            await client.customers.get(name)
    assert server.sent == [f"GET /customers/{name}" for name in sent]


async def test_a_loop_of_hits_lets_other_tasks_run_and_can_be_cancelled():
    """Each cached answer is a checkpoint: other tasks run, and a loop of hits can be cancelled."""
    server = Server()
    async with connect(server) as client:
        await client.customers.list().page()
        with anyio.move_on_after(0.05) as scope:
            while True:
                await client.customers.list().page()
    assert scope.cancelled_caught
