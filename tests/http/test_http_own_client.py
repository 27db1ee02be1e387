"""Hooks and patches of `client.http` see every request; what a client that speaks HTTP/2 shows."""

import logging

import httpx
import httpx2
import pytest
from kit import KnownUser, login_answer

from carecloud_async import CareCloud, OutcomeUnknownError
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

EACH_FAMILY = pytest.mark.parametrize("family", [httpx, httpx2], ids=lambda family: family.__name__)


@pytest.fixture
def sandbox():
    return Sandbox(5)


@EACH_FAMILY
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


class BrokenFrameError(Exception):
    """Stands for what h2 raises for a frame that its protocol does not allow."""


BrokenFrameError.__module__ = "h2.exceptions"


def connect_mock(family, handle):
    http_client = family.AsyncClient(transport=family.MockTransport(handle))
    return CareCloud("x.example.com", auth=KnownUser(), http_client=http_client)


@EACH_FAMILY
async def test_a_write_whose_answer_breaks_the_protocol_may_have_happened(family):
    """The library raises the same for it as for a request that cannot be sent: h2's own error tells them apart."""
    requests = []

    def handle(request):
        requests.append(request)
        raise family.LocalProtocolError("broken") from BrokenFrameError()

    async with connect_mock(family, handle) as client:
        with pytest.raises(OutcomeUnknownError, match="not valid HTTP"):
            await client.request("POST", "/customers", json={"a": 1})
    assert len(requests) == 1


@EACH_FAMILY
async def test_the_headers_of_http_2_are_in_no_log(family, caplog):
    """The log of hpack has the true path and query; its records of the user's own requests stay."""
    caplog.set_level(logging.DEBUG)

    def handle(request):
        logging.getLogger("hpack.hpack").debug("Adding :path=%s to the header table", request.url.raw_path)
        logging.getLogger("hpack.table").debug("Evicting %s from the header table", request.url.raw_path)
        return family.Response(200, json={"data": {"customers": [], "total_items": 0}})

    async with connect_mock(family, handle) as client:
        await client.customers.list(email="planted@example.com").collect(limit=10)
    assert "planted" not in caplog.text
    logging.getLogger("hpack.hpack").debug("Adding %s", "own")
    assert "own" in caplog.text
