"""What tests of resources share."""

import pytest
from kit import connect

from carecloud_async.sandbox import Sandbox


@pytest.fixture
def sandbox():
    return Sandbox(customers=30, seed=5)


@pytest.fixture
async def client(sandbox):
    async with connect(sandbox) as client:
        yield client
