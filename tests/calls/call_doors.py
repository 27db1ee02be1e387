"""The ways a client reaches a server."""

from contextlib import asynccontextmanager, nullcontext
from functools import partial

import httpx
import httpx2
import pytest

from carecloud_async import CareCloud, CustomerInput, CustomerSourceInput, PersonalInformationInput
from carecloud_async.sandbox import CUSTOMER_SOURCE_IDS, Sandbox


@asynccontextmanager
async def through(library, url, **options):
    """A client with an HTTP client of a library, or with the SDK's own."""
    async with (
        library.AsyncClient() if library else nullcontext() as http,
        CareCloud(url, auth=Sandbox(1).credentials(), http_client=http, **options) as client,
    ):
        yield client


@asynccontextmanager
async def with_httpx_aiohttp(url, **options):
    transport = pytest.importorskip("httpx_aiohttp").AiohttpTransport()
    async with CareCloud(url, auth=Sandbox(1).credentials(), transport=transport, **options) as client:
        yield client


default = partial(through, None)
DOORS = {
    "default": default,
    "httpx": partial(through, httpx),
    "httpx2": partial(through, httpx2),
    "httpx-aiohttp": with_httpx_aiohttp,
}


async def create(client, email="new@example.com"):
    """Create a customer: the write that must not happen twice."""
    return await client.customers.create(
        CustomerInput(personal_information=PersonalInformationInput(first_name="New", email=email, language_id="en")),
        customer_source=CustomerSourceInput(customer_source_id=CUSTOMER_SOURCE_IDS[0]),
    )
