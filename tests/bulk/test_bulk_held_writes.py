"""Servers that hold writes while they answer reads: what is sent again and when, and what is there twice."""

import pytest
from bulk_server import CustomerServer, client_of
from bulk_tools import SOURCE, counts, people

pytestmark = pytest.mark.anyio


async def test_look_ups_pass_by_caches_in_front_of_the_api(clock):
    """Each look-up, before a write and after a lost answer, tells caches on the way to ask the server."""
    server, headers = CustomerServer(clock), []
    server.writes = ["before"]

    async def arrived(request):
        if request.method == "GET":
            headers.append(request.headers.get("Cache-Control"))

    server.arrived = arrived
    async with client_of(server, clock) as client:
        report = await client.customers.bulk_write(people(1), match="email", defaults=SOURCE)
    assert counts(report) == {"created": 1}
    assert len(headers) >= 2
    assert {*headers} == {"no-cache"}
