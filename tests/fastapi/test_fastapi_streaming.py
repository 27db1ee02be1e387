"""Listings as NDJSON: whole, unparsed, in pieces, and never half without a sign."""

import json
from collections.abc import AsyncIterable

import httpx
import pytest
from fastapi import FastAPI

from carecloud_async import Customer
from carecloud_async.fastapi import (
    CareCloudDep,
    NdjsonResponse,
    carecloud_lifespan,
    install_error_handlers,
    ndjson,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def app(make):
    app = FastAPI(lifespan=carecloud_lifespan(make))
    install_error_handlers(app)

    @app.get("/export", response_class=NdjsonResponse)
    async def export(carecloud: CareCloudDep, last_name: str | None = None) -> NdjsonResponse:
        listing = carecloud.customers.list(last_name=last_name, count=100)
        return ndjson(listing, headers={"Content-Disposition": "attachment; filename=customers.ndjson"})

    return app


async def test_a_whole_listing(sandbox, app, enter):
    """Every record is one line of JSON as the API sent it."""
    async with enter(app) as http:
        answer = await http.get("/export")
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["content-disposition"].startswith("attachment")
    lines = answer.text.split("\n")
    assert lines.pop() == ""
    assert [json.loads(line)["customer_id"] for line in lines] == [sandbox.customers.id_at(i) for i in range(300)]


async def test_an_error_before_the_first_record(sandbox, app, enter):
    """What fails at the first page is an ordinary error answer."""
    sandbox.faults.add("GET /customers", status=503)
    async with enter(app) as http:
        answer = await http.get("/export")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_broken_stream_on_the_wire(sandbox, app, serve, caplog):
    """The client on a socket sees that the answer is not complete."""
    sandbox.faults.add("GET /customers", status=503, after=2)
    with serve(app) as (host, port), pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
        httpx.get(f"http://{host}:{port}/export")
    assert "StreamBrokenError" in caplog.text


async def test_the_media_type_in_the_openapi_document(app, enter):
    """As `response_class` it declares NDJSON."""
    async with enter(app) as http:
        document = (await http.get("/openapi.json")).json()
    assert "application/x-ndjson" in document["paths"]["/export"]["get"]["responses"]["200"]["content"]


@pytest.fixture
def typed_app(make):
    app = FastAPI(lifespan=carecloud_lifespan(make))
    install_error_handlers(app)

    @app.get("/customers")
    async def customers(carecloud: CareCloudDep) -> AsyncIterable[Customer]:
        async for customer in carecloud.customers.list(count=100):
            yield customer

    return app


async def test_a_route_that_yields_records(sandbox, typed_app, enter):
    """A route that yields models streams one JSON object a line, by the application's own schema."""
    async with enter(typed_app) as http:
        answer = await http.get("/customers")
    assert answer.headers["content-type"] == "application/jsonl"
    records = [json.loads(line) for line in answer.text.strip("\n").split("\n")]
    assert [record["customer_id"] for record in records] == [sandbox.customers.id_at(i) for i in range(300)]


@pytest.mark.parametrize("after", [0, 2])
def test_a_route_that_yields_breaks_on_the_wire(sandbox, typed_app, serve, after):
    """If such a route fails, at once or later, the client sees that the answer is not complete."""
    sandbox.faults.add("GET /customers", status=403, after=after)
    with serve(typed_app) as (host, port), pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
        httpx.get(f"http://{host}:{port}/customers")
