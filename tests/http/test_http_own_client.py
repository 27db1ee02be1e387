"""Hooks and patches of `client.http` see every request: the short way to the transport is for clients without them."""

import copy
import pickle

import httpx
import httpx2
import pytest
from kit import KnownUser, login_answer

from carecloud_async import CareCloud
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


async def headers_of(family, raw):
    """Return the headers of a response, as `client.http` gives it."""
    transport = family.MockTransport(lambda _: family.Response(200, headers=raw))
    async with CareCloud("x.example.com", auth=KnownUser(), transport=transport) as client:
        return (await client.http.get("https://x.example.com")).headers


@FAMILIES
async def test_headers_that_are_read_late_are_headers(family):
    """The headers of a whole response are parsed on first access, and then behave as the library's own."""
    raw = [(b"Date", b"Wed"), (b"X-Odd", "ř".encode()), (b"x-odd", b"2")]
    expected = family.Headers(raw)
    for look in (
        lambda headers: headers["DATE"],
        lambda headers: headers.get_list("x-odd"),
        lambda headers: (dict(headers), headers.raw, len(headers)),
        lambda headers: headers == expected == copy.deepcopy(headers) == copy.copy(headers),
        lambda headers: pickle.loads(pickle.dumps(headers)) == expected == family.Headers(headers),
        lambda headers: hasattr(headers, "no_such_name"),
    ):
        assert look(await headers_of(family, raw)) == look(family.Headers(raw))


@FAMILIES
@pytest.mark.parametrize("odd", ["ř".encode(), b"\xff", b"plain"])
async def test_a_header_is_found_without_the_others(family, odd):
    """`get`, called first, finds the same as the library's own headers, also if other headers have odd encodings."""
    raw = [(b"Date", b"Wed"), (b"X-Odd", odd), (b"x-two", b"1"), (b"X-Two", b"2"), ("x-é".encode("latin-1"), b"1")]
    for name in ("date", "DATE", "x-odd", "X-Two", "x-é", "x-none", ""):
        assert (await headers_of(family, raw)).get(name) == family.Headers(raw).get(name)
        assert (await headers_of(family, raw)).get(name, "else") == family.Headers(raw).get(name, "else")
