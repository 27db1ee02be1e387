"""Hooks and patches of `client.http` see every request: the short way to the transport is for clients without them."""

import copy
import pickle

import httpx
import httpx2
import pytest
from kit import login_answer

from carecloud_async import CareCloud
from carecloud_async._calls.http.responses import new_response
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

FAMILIES = pytest.mark.parametrize("family", [httpx, httpx2], ids=["httpx", "httpx2"])


@pytest.fixture
def sandbox():
    return Sandbox(5)


@FAMILIES
@pytest.mark.parametrize("name", ["send", "_send_handling_auth", "_send_handling_redirects", "_send_single_request"])
async def test_a_patched_function_of_the_family_is_called(sandbox, monkeypatch, family, name):
    """Tracers and test tools replace functions of `AsyncClient` after a client was made; requests pass there."""
    original, seen = getattr(family.AsyncClient, name), []

    async def patched(self, request, *args, **kwargs):
        seen.append(request.method)
        return await original(self, request, *args, **kwargs)

    transport = sandbox.transport(family=family.__name__)
    async with CareCloud("x.example.com", auth=sandbox.credentials(), transport=transport) as client:
        await client.ping()
        monkeypatch.setattr(family.AsyncClient, name, patched)
        await client.ping()
        monkeypatch.undo()
        await client.ping()
    assert seen == ["GET"]


async def test_a_function_patched_on_the_client_itself_is_called(sandbox, monkeypatch):
    """`client.http.send = …` counts as much as a patch of the class."""
    seen = []
    async with CareCloud("x.example.com", auth=sandbox.credentials(), transport=sandbox.transport()) as client:
        original = client.http.send

        async def patched(request, **kwargs):
            seen.append(request.method)
            return await original(request, **kwargs)

        monkeypatch.setattr(client.http, "send", patched)
        await client.ping()
    assert seen == ["POST", "GET"]


@pytest.mark.parametrize("event", ["request", "response"])
async def test_hooks_come_and_go(sandbox, event):
    """A hook that is added to `client.http.event_hooks` sees each request from then on, until it is taken out."""
    seen = []

    async def hook(thing):
        seen.append(thing)

    async with CareCloud("x.example.com", auth=sandbox.credentials(), transport=sandbox.transport()) as client:
        await client.ping()
        client.http.event_hooks[event].append(hook)
        await client.ping()
        client.http.event_hooks[event].clear()
        await client.ping()
    assert len(seen) == 1


@pytest.mark.parametrize("hooked", [False, True])
async def test_a_token_is_replayed_once_by_either_way(sandbox, hooked):
    """After a 401 the call goes again with a new token, through a client with hooks as through one without."""

    async def hook(response):
        del response

    async with CareCloud("x.example.com", auth=sandbox.credentials(), transport=sandbox.transport()) as client:
        if hooked:
            client.http.event_hooks["response"].append(hook)
        await client.login()
        sandbox.faults.add("GET /customers", status=401, times=1)
        assert await client.customers.list().total() == 5
    assert (sandbox.count("POST /users/actions/login"), sandbox.count("GET /customers")) == (2, 2)


async def test_a_transport_in_the_place_of_ours_is_read_to_its_end():
    """A transport that was put into `client.http` has its stream read, and its redirects are not followed."""

    async def body():
        yield b'{"data":{"customer_id":'
        yield b'"8ea6"}}'

    def handle(request):
        if request.url.path.endswith("/login"):
            return login_answer()
        return httpx.Response(200, content=body())

    async with CareCloud("x.example.com", auth=Sandbox(1).credentials(), transport=Sandbox(1).transport()) as client:
        client.http._transport = httpx.MockTransport(handle)
        assert (await client.customers.get("8ea6")).customer_id == "8ea6"


@FAMILIES
def test_headers_that_are_read_late_are_headers(family):
    """The headers of a whole response are parsed on first access, and then behave as the library's own."""
    raw = ((b"Date", b"Wed"), (b"X-Odd", "ř".encode()), (b"x-odd", b"2"))

    def headers():
        return new_response(family, 200, headers=raw, body=b"", extensions={}, seconds=0.1).headers

    expected = family.Headers(raw)
    assert isinstance(headers(), family.Headers)
    assert headers()["DATE"] == "Wed"
    assert headers().get_list("x-odd") == expected.get_list("x-odd")
    assert (dict(headers()), headers().raw, len(headers())) == (dict(expected), expected.raw, 3)
    assert headers() == expected == copy.deepcopy(headers()) == copy.copy(headers())
    assert pickle.loads(pickle.dumps(headers())) == expected
    assert family.Headers(headers()) == expected
    assert not hasattr(headers(), "no_such_name")


@FAMILIES
def test_a_header_whose_name_is_not_ascii_is_looked_up_by_the_library(family):
    """A name outside ASCII is compared in the encoding that the library finds for all headers."""
    raw = ((b"Date", b"Wed"), ("x-é".encode("latin-1"), b"1"))
    headers = new_response(family, 200, headers=raw, body=b"", extensions={}, seconds=0.1).headers
    assert headers.get("x-é") == family.Headers(raw).get("x-é") == "1"


@FAMILIES
@pytest.mark.parametrize("name", ["date", "DATE", "x-odd", "X-Two", "x-none", ""])
@pytest.mark.parametrize("odd", ["ř".encode(), b"\xff", b"plain"])
def test_a_header_is_found_without_the_others(family, name, odd):
    """`get`, called first, finds the same as the library's own headers, also if other headers have odd encodings."""
    raw = ((b"Date", b"Wed"), (b"X-Odd", odd), (b"x-two", b"1"), (b"X-Two", b"2"))
    headers = new_response(family, 200, headers=raw, body=b"", extensions={}, seconds=0.1).headers
    assert headers.get(name) == family.Headers(raw).get(name)
    assert headers.get(name, "else") == family.Headers(raw).get(name, "else")
    assert headers == family.Headers(raw)
