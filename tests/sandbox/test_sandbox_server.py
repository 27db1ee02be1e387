"""The server around the operations: paths, bodies, headers, what is noted, and how it is reached."""

import asyncio
import gc
import socket
import threading
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx
import pytest

from benchmarks.api_rules import broken_rules
from carecloud_async.sandbox import FIRST_CUSTOMER_ID, Sandbox
from carecloud_async.sandbox.server.serving import listening, url_of

pytestmark = pytest.mark.anyio


async def test_unknown_paths_and_verbs(api):
    """An unknown path is 404; a wrong verb is 405, and `Allow` names the right ones."""
    missing = await api.get("/nonsense")
    wrong = await api.call("DELETE", "/customers")
    assert (missing.status_code, missing.json()["error"]["error_data"]["resource_name"]) == (404, "nonsense")
    assert (wrong.status_code, wrong.json()["error"]["error_data"]) == (405, {"http_method": "DELETE"})
    assert wrong.headers["allow"] == "GET, POST"
    other_version = await api.http.get("https://sandbox.example.com/webservice/rest-api/enterprise-interface/v2/x")
    assert other_version.status_code == 404


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff"])
async def test_broken_bodies(api, body):
    """A body that is not a JSON object is a 400."""
    answer = await api.call("POST", "/customers", content=body)
    assert (answer.status_code, answer.json()["error"]["exception"]) == (400, "invalid_json_exception")


async def test_broken_rules_are_noted_without_secrets(sandbox, api):
    """Missing headers, a token on a login, cookies and unknown parameters are noted; no secret is in the notes."""
    sandbox.forget_requests()
    url = "https://sandbox.example.com/webservice/rest-api/enterprise-interface/v1.0"
    async with httpx.AsyncClient(
        transport=sandbox.transport(), headers={"Authorization": f"Bearer {api.token}"}
    ) as bare:
        await bare.post(url + "/users/actions/login", content=b"{}")
        await bare.get(url + "/customers?name=x", headers={"Cookie": "a=b"})
    assert broken_rules(sandbox) == [
        "POST /users/actions/login: Content-Type is not application/json",
        "POST /users/actions/login: Accept-Language is missing",
        "POST /users/actions/login: Authorization was sent where no login is needed",
        "GET /customers: Content-Type is not application/json",
        "GET /customers: Accept-Language is missing",
        "GET /customers: a cookie was sent",
        "GET /customers: unknown query parameter 'name'",
    ]
    assert api.token not in "".join(broken_rules(sandbox))


async def test_requests_are_recorded(sandbox, api):
    """Each request is kept with template, query, headers and body; its repr shows no secret."""
    await api.get(f"/customers/{FIRST_CUSTOMER_ID}")
    request = sandbox.requests[-1]
    assert (request.name, request.token) == ("GET /customers/{customer_id}", api.token)
    assert "/enterprise-interface/" in request.path
    assert sandbox.requests[0].json()["login"] == "fabulous_user"
    assert api.token not in repr(sandbox.requests)
    assert (sandbox.logins, sandbox.count("GET *"), sandbox.count("POST /users/actions/login")) == (1, 1, 1)


async def test_headers_of_answers(sandbox, api):
    """`Date` follows the sandbox's clock; each answer has an id, and none sets a cookie."""
    sandbox.clock.set(datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC))
    answer = await api.get("/customers")
    assert answer.headers["date"].startswith("Wed, 02 Jan 2030 03:04:0")
    assert answer.headers["x-request-id"]
    assert "set-cookie" not in answer.headers


async def test_an_ambiguous_hour(connect):
    """In autumn's double hour the end of a token is written as the API does, without saying which."""
    sandbox = Sandbox(1, timezone="Europe/Prague", token_lifetime=3600, clock=lambda: 0.0)
    ends = []
    async with connect(sandbox, "enterprise") as api:
        for hour in (23, 0):
            day = 24 if hour == 23 else 25
            sandbox.clock.set(datetime(2026, 10, day, hour, 30, tzinfo=UTC))
            await api.user_token()
            body = {"user_external_application_id": "89d1a6111b3fb6e74665d948", "login": "fabulous_user"}
            answer = await api.call("POST", "/users/actions/login", json={**body, "password": "password_example"})
            ends.append(answer.json()["data"]["valid_to"])
    assert ends == ["2026-10-25 02:30:00", "2026-10-25 02:30:00"]


async def test_the_same_over_a_socket(connect):
    """Served by uvicorn, the answers are the same, `Date` is the sandbox's, and connections are counted."""
    sandbox = Sandbox(20)
    sandbox.clock.set(datetime(2030, 1, 2, tzinfo=UTC))
    async with connect(sandbox, "enterprise") as api:
        inside = await api.get("/customers", token=await api.user_token())
    with sandbox.running() as url:
        async with connect(sandbox, "enterprise", url) as api:
            outside = await api.get("/customers", token=await api.user_token())
            assert (sandbox.connections.now, sandbox.connections.total) == (1, 1)
    assert outside.content == inside.content
    assert outside.headers.get_list("date")[0].startswith("Wed, 02 Jan 2030")
    assert len(outside.headers.get_list("date")) == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
def test_the_address_can_be_called(host):
    """A sandbox that listens on all addresses names loopback, to which clients send plain HTTP."""
    with listening(host, 0) as listener:
        assert url_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"


async def test_httpx2_speaks_to_it_too(sandbox):
    """The other family has a transport of its own, with its own exceptions."""
    httpx2 = pytest.importorskip("httpx2")
    sandbox.faults.add("GET /customers", cut=True)
    async with httpx2.AsyncClient(transport=sandbox.transport(family="httpx2")) as http:
        url = "https://sandbox.example.com/webservice/rest-api/enterprise-interface/v1.0/customers"
        with pytest.raises(httpx2.RemoteProtocolError):
            await http.get(url)
        assert (await http.get(url)).status_code == 401


async def test_unknown_paths_are_noted_without_their_end(sandbox, enterprise):
    """A token in a path that no operation has is in neither notes nor counters."""
    await enterprise.call("POST", "/tokens/very-secret/actions/nonsense", token="any")
    assert sandbox.count("POST /tokens/…") == 1
    assert "very-secret" not in f"{broken_rules(sandbox)} {sandbox.requests}"


async def test_a_body_does_not_wait_for_the_head_to_be_acknowledged(sandbox):
    """The server's connections have TCP_NODELAY: head and body leave in two packets."""
    with sandbox.running() as url:
        address = urlsplit(url)
        with socket.create_connection((address.hostname, address.port)) as client:
            client.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(1)
            here = client.getsockname()
            own = [
                get_object
                for get_object in gc.get_objects()
                if isinstance(get_object, socket.socket) and get_object.fileno() != -1
            ]
            served = [item for item in own if item is not client and _peer(item) == here]
            assert [item.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for item in served] == [1]


def _peer(end):
    try:
        return end.getpeername()
    except OSError:  # it listens
        return None


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_serving_that_is_cancelled_ends_its_server(anyio_backend):
    """`Task.cancel()` at any step of `serving` leaves no server running."""

    async def serve():
        async with Sandbox(customers=1).serving():
            await asyncio.sleep(60)

    for steps in range(1, 6):
        task = asyncio.create_task(serve())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert "carecloud-sandbox" not in {thread.name for thread in threading.enumerate()}
