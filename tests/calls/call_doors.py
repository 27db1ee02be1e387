"""The ways a client reaches a server."""

from contextlib import asynccontextmanager

import httpx
import httpx2
import pytest

from carecloud_async import CareCloud, CustomerInput, CustomerSourceInput, PersonalInformationInput
from carecloud_async.sandbox import CUSTOMER_SOURCE_IDS, Sandbox


@asynccontextmanager
async def default(url, **options):
    async with CareCloud(url, auth=Sandbox(1).credentials(), **options) as client:
        yield client


@asynccontextmanager
async def with_httpx(url, **options):
    async with (
        httpx.AsyncClient() as http,
        CareCloud(url, auth=Sandbox(1).credentials(), http_client=http, **options) as c,
    ):
        yield c


@asynccontextmanager
async def with_httpx2(url, **options):
    async with (
        httpx2.AsyncClient() as http,
        CareCloud(url, auth=Sandbox(1).credentials(), http_client=http, **options) as client,
    ):
        yield client


@asynccontextmanager
async def with_httpx_aiohttp(url, **options):
    httpx_aiohttp = pytest.importorskip("httpx_aiohttp")
    transport = httpx_aiohttp.AiohttpTransport()
    async with CareCloud(url, auth=Sandbox(1).credentials(), transport=transport, **options) as client:
        yield client


DOORS = {
    "default": default,
    "httpx": with_httpx,
    "httpx2": with_httpx2,
    "httpx-aiohttp": with_httpx_aiohttp,
}


class Connections:
    """A network backend of httpcore's pools that knows each connection, so that a test can close what a pool forgot."""

    def __init__(self, backend):
        self._backend = backend
        self._opened = []

    async def connect_tcp(self, *args, **kwargs):
        stream = await self._backend.connect_tcp(*args, **kwargs)
        self._opened.append(stream)
        return stream

    async def sleep(self, seconds):
        await self._backend.sleep(seconds)

    async def aclose(self):
        for stream in self._opened:
            await stream.aclose()


@asynccontextmanager
async def closing_what_the_pool_forgets(http):
    """Close all connections of a user's client at the end.

    A pool that is closed during calls leaves some to the garbage collector, which would run in the middle of another
    test.
    """
    pool = http._transport._pool
    pool._network_backend = connections = Connections(pool._network_backend)
    try:
        yield http
    finally:
        await http.aclose()
        await connections.aclose()


async def create(client, email="new@example.com"):
    """Create a customer: the write that must not happen twice."""
    return await client.customers.create(
        CustomerInput(personal_information=PersonalInformationInput(first_name="New", email=email, language_id="en")),
        customer_source=CustomerSourceInput(customer_source_id=CUSTOMER_SOURCE_IDS[0]),
    )
