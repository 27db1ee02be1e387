"""Clients of every kind, and servers that misbehave."""

import pytest
from call_doors import DOORS
from redis_servers import own_redis_server, redis_server  # noqa: F401  (fixtures)

from carecloud_async.sandbox import Sandbox


@pytest.fixture(params=list(DOORS))
def door(request, anyio_backend):
    if request.param == "httpx-aiohttp" and anyio_backend != "asyncio":
        pytest.skip("aiohttp runs on asyncio alone")
    return DOORS[request.param]


@pytest.fixture
def sandbox():
    return Sandbox(customers=200, seed=1)
