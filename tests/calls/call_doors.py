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


async def create(client, email="new@example.com"):
    """Create a customer: the write that must not happen twice."""
    return await client.customers.create(
        CustomerInput(personal_information=PersonalInformationInput(first_name="New", email=email, language_id="en")),
        customer_source=CustomerSourceInput(customer_source_id=CUSTOMER_SOURCE_IDS[0]),
    )
