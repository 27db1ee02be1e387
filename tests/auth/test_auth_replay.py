"""After a 401: compare, renew once, replay once."""

import json
from functools import partial

import anyio
import httpx
import httpx2
import pytest
from auth_tools import (
    HOST,
    LOGIN,
    FakeClock,
    OwnProvider,
    connect,
    failures,
    in_parallel,
    make_sandbox,
    once,
    slow_sandbox,
    total,
)
from kit import InTurn, login_body, served

from carecloud_async import (
    AuthenticationError,
    CareCloud,
    MemoryTokenStore,
    PermissionDeniedError,
    ResponseError,
    Token,
)

pytestmark = pytest.mark.anyio


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


async def test_a_path_that_always_answers_401_costs_a_crowd_one_login():
    """A new token that is refused too ends each call."""
    sandbox = slow_sandbox()
    async with connect(sandbox) as client:
        await client.login()
        sandbox.faults.add("GET /customers", status=401, times=None)
        errors = failures(await in_parallel(30, partial(total, client)))
        assert {(type(error), error.path) for error in errors} == {(AuthenticationError, "/customers")}
        assert "for this operation or because it was revoked" in str(errors[0])
        assert "credentials" not in errors[0].fix.settings
        assert sandbox.logins == 2
        sandbox.faults.clear()
        await total(client)
    assert sandbox.logins == 2


async def test_a_path_that_always_answers_401_costs_a_login_in_five_seconds():
    """A new token that was refused is not replaced while it is young; a path that is served again renews as ever."""
    clock = FakeClock()
    sandbox = make_sandbox(clock)
    fault = sandbox.faults.add("GET /customers", status=401, times=None)
    async with connect(sandbox, clock=clock) as client:
        for second in range(60):
            with pytest.raises(AuthenticationError):
                await total(client)
            assert sandbox.logins == 2 + second // 5
            clock.passed += 1
        sandbox.faults.remove(fault)
        sandbox.revoke_all()
        assert await total(client) == 5
    assert sandbox.count("GET /customers") == 60 + 12 + 2


async def test_a_403_renews_no_token():
    """A refusal with 403 is about a right, also of a call that was allowed before: one request, no login."""
    clock = FakeClock()
    sandbox = make_sandbox(clock)
    async with connect(sandbox, clock=clock) as client:
        await total(client)
        clock.passed += 60
        sandbox.faults.add("GET /customers", status=403, times=None)
        with pytest.raises(PermissionDeniedError):
            await total(client)
        assert sandbox.count("GET /customers") == 1 + 1
    assert sandbox.logins == 1


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


async def test_a_stored_token_that_died_with_the_first_costs_one_call():
    """Another process's token was revoked too: the call that finds it fails, and the next one logs in."""
    sandbox, store = make_sandbox(), MemoryTokenStore()
    async with connect(sandbox, token_store=store) as client, connect(sandbox, token_store=store) as other:
        await client.login()
        sandbox.revoke_all()
        await total(other)
        sandbox.revoke_all()
        with pytest.raises(AuthenticationError):
            await total(client)
        assert await total(client) == 5
    assert sandbox.logins == 3


@pytest.mark.parametrize("family", [httpx, httpx2], ids=["httpx", "httpx2"])
@pytest.mark.parametrize("body", [{"a": ["ž", 1, None]}, b'{"raw":  true}'], ids=["json", "bytes"])
@pytest.mark.parametrize("way", ["transport", "http_client"])
async def test_a_body_is_replayed_byte_for_byte_and_the_refusal_is_read_first(family, body, way):
    """A transport that drains the stream sees the same bytes twice; the 401 is read to its end before the login."""
    seen, read = [], []

    class Refusal(family.AsyncByteStream):
        async def __aiter__(self):
            yield b'{"error": {}}'
            read.append(len(seen))

    class Draining(family.AsyncBaseTransport):
        async def handle_async_request(self, request):
            sent = b"".join([chunk async for chunk in request.stream])
            if request.url.path.endswith("/login"):
                return family.Response(200, content=login_body(f"token{len(seen)}"))
            seen.append((request.headers["Authorization"], sent))
            if len(seen) == 1:
                return family.Response(401, stream=Refusal())
            return family.Response(200, json={"data": {"customer_id": "new"}})

    wire = Draining() if way == "transport" else family.AsyncClient(transport=Draining())
    payload = json.loads(body) if isinstance(body, bytes) else body
    async with CareCloud(HOST, auth=slow_sandbox().credentials(), **{way: wire}) as client:
        await client.request("POST", "customers", json=payload)
    assert [token for token, _ in seen] == ["Bearer token0", "Bearer token1"]
    assert [json.loads(sent) for _, sent in seen] == [payload] * 2
    assert seen[0][1] == seen[1][1]
    assert read == [1]


@pytest.mark.parametrize("body", [b"", b"Unauthorized", b'{"message": "Unauthorized"}', b" <html>Log in"])
async def test_a_401_without_carecloud_s_error_renews_no_token(body):
    """A proxy that wants a password of its own says nothing of the token."""
    server = InTurn((401, body))
    async with served(server, auth=OwnProvider(Token("old"), Token("new")), retry=once()) as client:
        with pytest.raises(ResponseError):
            await client.customers.get("x")
    assert [request.headers["Authorization"] for request in server.requests] == ["Bearer old"]
