"""What the tests of workflows share."""

import pytest
from kit import ScriptedServer


@pytest.fixture
def server():
    return ScriptedServer()


@pytest.fixture
async def client(server):
    async with server.client() as client:
        yield client
