"""What the tests of workflows share."""

import pytest
from workflow_server import Server


@pytest.fixture
def server():
    return Server()


@pytest.fixture
async def client(server):
    async with server.client() as client:
        yield client
