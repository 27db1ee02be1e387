"""After a 401: compare, renew once, replay once."""

import json
from functools import partial

import anyio
import httpx
import httpx2
import pytest
from auth_tools import HOST, LOGIN, OwnProvider, connect, failures, in_parallel, make_sandbox, slow_sandbox
from kit import login_body

from carecloud_async import (
    AuthenticationError,
    CareCloud,
    MemoryTokenStore,
    OutcomeUnknownError,
    ResponseError,
    RetryPolicy,
    Token,
)

pytestmark = pytest.mark.anyio


async def total(client):
    return await client.customers.list().total()


async def test_calls_in_flight_with_the_old_token_cost_one_login_and_one_replay_each():
    """Forty calls are under way when their token dies."""
    sandbox = slow_sandbox()
    gate = anyio.Event()

    async def hold(request):
        if request.method == "GET":
            await gate.wait()

    async with connect(sandbox) as client:
        await client.login()
        sandbox.forget_requests()
        sandbox.on_request = hold
        async with anyio.create_task_group() as tasks:
            for _ in range(40):
                tasks.start_soon(total, client)
            await anyio.wait_all_tasks_blocked()
            sandbox.revoke_all()
            gate.set()
    assert sandbox.logins == 1
    assert sandbox.count("GET /customers") == 80
    assert sandbox.statuses[401] == 40


async def test_a_late_401_of_an_old_token_makes_no_login():
    """The token was renewed while a slow call was out with the old one: it replays with the new one."""
    sandbox = slow_sandbox()
    gate = anyio.Event()
    slow = []

    async def hold(request):
        if request.method == "GET" and not slow:
            slow.append(request)
            await gate.wait()

    async with connect(sandbox) as client:
        await client.login()
        sandbox.on_request = hold
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(total, client)
            await anyio.wait_all_tasks_blocked()
            sandbox.revoke_all()
            await total(client)
            assert sandbox.logins == 2
            gate.set()
    assert sandbox.logins == 2


async def test_a_second_401_is_an_authentication_error():
    """A fresh token that is refused too ends the call; a crowd of such calls costs one login."""
    sandbox = slow_sandbox()
    async with connect(sandbox) as client:
        await client.login()
        sandbox.faults.add("GET /customers", status=401, times=None)
        errors = failures(await in_parallel(30, partial(total, client)))
        assert {type(error) for error in errors} == {AuthenticationError}
        assert {error.path for error in errors} == {"/customers"}
        assert sandbox.logins <= 5  # who hears of the refusal after the login has to ask for itself
        sandbox.faults.clear()
        await total(client)
    assert sandbox.logins == 2


async def test_a_server_that_hands_back_the_refused_token_is_asked_once():
    """Thirty callers whose token is refused, and handed out again: thirty errors, a login or a few, no circle."""
    sandbox = slow_sandbox(reuse_tokens=1.0)
    async with connect(sandbox) as client:
        await client.login()
        sandbox.faults.add("GET /customers", status=401, times=None)
        assert len(failures(await in_parallel(30, partial(total, client)))) == 30
        assert sandbox.logins <= 5  # who hears of the refusal after the login has to ask for itself
        sandbox.faults.clear()
        await total(client)


async def test_a_dead_token_is_not_taken_from_the_store_again():
    """A login that fails after a 401 does not bring the refused token back."""
    sandbox = slow_sandbox()
    async with connect(sandbox) as client:
        await client.login()
        sandbox.revoke_all()
        fault = sandbox.faults.add(LOGIN, status=400, times=None)
        with pytest.raises(AuthenticationError):
            await total(client)
        sandbox.forget_requests()
        with pytest.raises(AuthenticationError):
            await total(client)
        assert sandbox.count("GET /customers") == 0
        sandbox.faults.remove(fault)


async def test_a_stored_token_that_died_with_the_first_costs_one_login_more():
    """Another process's token was revoked too: an operation that this client never called succeeds all the same."""
    sandbox, store = make_sandbox(), MemoryTokenStore()
    async with connect(sandbox, token_store=store) as one, connect(sandbox, token_store=store) as two:
        await one.login()
        sandbox.revoke_all()
        await total(two)
        sandbox.revoke_all()
        assert await total(one) == 5
    assert sandbox.logins == 3


class Draining:
    """Reads each request's stream to its end, as a socket does, and refuses the first one."""

    def __init__(self, family):
        self.family = family
        self.seen = []
        self.read = []

    async def handle_async_request(self, request):
        body = b"".join([chunk async for chunk in request.stream])
        if request.url.path.endswith("/login"):
            return self.family.Response(200, content=login_body(f"token{len(self.seen)}"))
        self.seen.append((request.headers["Authorization"], body))
        if len(self.seen) == 1:
            return self.family.Response(401, stream=self._stream(b'{"error": {}}'))
        return self.family.Response(200, json={"data": {"customer_id": "new"}})

    def _stream(self, content):
        outer = self

        class Stream(self.family.AsyncByteStream):
            async def __aiter__(self):
                outer.read.append("begun")
                yield content
                outer.read.append("ended")

        return Stream()


@pytest.mark.parametrize("family", [httpx, httpx2], ids=["httpx", "httpx2"])
@pytest.mark.parametrize("body", [{"a": ["ž", 1, None]}, b'{"raw":  true}'], ids=["json", "bytes"])
@pytest.mark.parametrize("way", ["transport", "http_client"])
async def test_a_body_is_replayed_byte_for_byte_and_the_refusal_is_read_first(family, body, way):
    """A transport that drains the stream sees the same bytes twice; the 401 is read to its end before the login."""
    draining = Draining(family)
    transport = type("Transport", (Draining, family.AsyncBaseTransport), {})(family)
    draining = transport
    if way == "transport":
        options = {"transport": transport}
    else:
        options = {"http_client": family.AsyncClient(transport=transport)}
    async with CareCloud(HOST, auth=slow_sandbox().credentials(), **options) as client:
        payload = json.loads(body) if isinstance(body, bytes) else body
        await client.request("POST", "customers", json=payload)
    (first, one), (second, two) = draining.seen
    assert one == two != b""
    assert json.loads(one) == payload
    assert first != second
    assert draining.read[:2] == ["begun", "ended"]


def in_other_words(body, requests):
    """Answer dead tokens with a 401 of this body, and the living one with a customer."""

    def respond(request):
        requests.append(request.method)
        if request.headers["Authorization"] == "Bearer new":
            return httpx.Response(200, json={"data": {"customer_id": "x"}})
        return httpx.Response(401, content=body)

    return CareCloud(
        HOST,
        auth=OwnProvider(Token("old"), Token("new")),
        transport=httpx.MockTransport(respond),
        rate_limit=None,
        retry=RetryPolicy(attempts=1),
    )


@pytest.mark.parametrize("body", [b"", b"Unauthorized", b'{"message": "Unauthorized"}'])
async def test_a_401_without_carecloud_s_error_renews_the_token_of_a_read(body):
    """A 401 that is no page renews the token: a read is sent again, a write is not, as the answer may be a proxy's."""
    requests = []
    async with in_other_words(body, requests) as client:
        assert (await client.customers.get("x")).customer_id == "x"
    assert requests == ["GET", "GET"]
    async with in_other_words(body, requests) as client:
        with pytest.raises(OutcomeUnknownError):
            await client.cards.assign_free_card(card_type_id="t", customer_id="c")
    assert requests == ["GET", "GET", "POST"]


async def test_a_page_with_401_renews_no_token():
    """A proxy that wants a password of its own writes a page: another token is none of its business."""
    requests = []
    async with in_other_words(b" <html>Log in", requests) as client:
        with pytest.raises(ResponseError):
            await client.customers.get("x")
    assert requests == ["GET"]
