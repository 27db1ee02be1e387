"""aiohttp's internals: each is checked when a pool opens, and without it a documented way gives the same results."""

import json
import subprocess
import sys
from pathlib import Path

import aiohttp
import anyio
import attrs
import pytest
from aiohttp.client_proto import ResponseHandler
from exchange_server import BODY, answer, new_client, outcome, serving

from carecloud_async import Timeout
from carecloud_async._calls.http.aiohttp_internals import NO_PARTS, Parts, find_parts
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

NAMES = ("_factory", "_payload", "should_close")
MOVED = [(), NAMES, *(pytest.param((name,), marks=pytest.mark.thorough) for name in NAMES)]


@pytest.fixture
def anyio_backend():
    """Run on asyncio alone, as aiohttp does."""
    return "asyncio"


async def test_aiohttp_as_installed_has_every_part():
    """The installed aiohttp has every internal part that is used; no other test would fail without them."""
    assert find_parts() == Parts(connections=True, endings=True)


@pytest.mark.parametrize("moved", MOVED, ids=lambda names: ", ".join(names) or "none")
async def test_calls_exports_and_closing_work_without_the_parts(moved, tmp_path):
    """An aiohttp whose source has other names for them serves calls, an export and closing over a real socket."""
    script, file = Path(__file__).with_name("moved_parts.py"), tmp_path / "customers.jsonl"
    async with Sandbox(30).serving() as url:
        command = [sys.executable, "-W", "error", str(script), url, str(file), *moved]
        done = await anyio.run_process(command, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout.decode()
    assert json.loads(done.stdout) == {"missing": True, "records": 30, "closed": True}
    assert len(file.read_bytes().splitlines()) == 30


def changed_connect(self, request, traces, timeout, priority=0):
    """A `connect` with other parameters."""


@pytest.mark.parametrize(
    ("owner", "name", "value", "lost"),
    [
        (aiohttp.TCPConnector, "connect", changed_connect, {"connections"}),
        (aiohttp.connector, "Connection", None, {"connections"}),
        (ResponseHandler, "should_close", lambda self: False, {"connections"}),
        (ResponseHandler, "connection_lost", None, {"endings"}),
    ],
)
async def test_a_part_of_another_kind_is_not_used(monkeypatch, owner, name, value, lost):
    """A function with other parameters, a method in the place of a property, or nothing at all is noticed."""
    monkeypatch.setattr(owner, name, value)
    assert {part for part, found in attrs.asdict(find_parts()).items() if not found} == lost


async def test_without_the_module_of_the_protocol_no_part_is_used(monkeypatch):
    """A release that moves `aiohttp.client_proto` leaves the documented ways."""
    monkeypatch.setitem(sys.modules, "aiohttp.client_proto", None)
    assert find_parts() == NO_PARTS


@pytest.fixture
def no_parts(monkeypatch):
    """Clients that find none of aiohttp's internals."""
    monkeypatch.setitem(sys.modules, "aiohttp.client_proto", None)


@pytest.mark.usefixtures("no_parts")
async def test_without_the_parts_each_request_has_a_connection_of_its_own():
    """Bytes after a response cannot be taken for the next response."""
    stray = answer(b'{"data":{"customer_id":"other"}}')
    async with serving(answer(BODY) + stray) as server, new_client(server.url) as client:
        for _ in range(3):
            assert (await client.customers.get("8ea6")).customer_id == "8ea6"
        assert server.connections == 4  # with that of the login


@pytest.mark.usefixtures("no_parts")
async def test_without_the_parts_a_broken_body_ends_with_the_time_of_its_call():
    """A chunk without a size fails the call, at the latest when `Timeout(total=…)` is over."""
    broken = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"
    async with serving(broken, b"") as server, new_client(server.url) as client:
        await client.login()
        kind, _, _, _ = await outcome(client.with_options(timeout=Timeout(total=0.3)).customers.get("8ea6"))
    assert kind in {"RequestTimeoutError", "ConnectionFailedError"}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "GET"])
async def test_aiohttp_repeats_no_request_by_itself(method):
    """The SDK's retry counts each attempt: a request whose answer was lost reaches the server once."""

    def hang_up_later(number, request):
        return (answer(BODY),) if number == 1 else (b"",)

    async with serving(hang_up_later) as server, new_client(server.url) as client:
        await client.customers.get("8ea6")
        kind, text, _, _ = await outcome(client.request(method, "customers/8ea6"))
        assert (kind, len(server.requests)) == ("ConnectionFailedError", 2)
        assert "the server hung up" in text
