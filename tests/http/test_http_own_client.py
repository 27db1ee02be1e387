"""Hooks and patches of `client.http` see every request: the short way to the transport is for clients without them."""

import httpx
import httpx2
import pytest
from kit import login_answer

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
