"""Lists of the API by their path: records with odd ids, and what a failure shows."""

import json
import traceback
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from carecloud_async import BadRequestError, CareCloud
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("odd", [["a"], {"a": 1}])
async def test_a_record_with_an_odd_id_is_yielded(odd):
    """An id that is a list or an object is a record's own affair, and ends no loop over them."""
    sandbox = Sandbox(1)
    records = [{"customer_id": odd}, {"customer_id": "b"}]
    body = json.dumps({"data": {"customers": records, "total_items": 2}})
    sandbox.faults.add("GET /customers", status=200, body=body)
    async with CareCloud("x.example.com", auth=sandbox.credentials(), transport=sandbox.transport()) as client:
        assert await client.listing("customers", id_field="customer_id").collect(limit=2) == records


@dataclass
class Class:
    customer_id: Any


class Struct(msgspec.Struct):
    customer_id: Any


class Inner(msgspec.Struct):
    a: int


class Nested(msgspec.Struct):
    customer_id: Inner


@pytest.mark.parametrize("odd", [["a"], {"a": 1}, None, ""])
@pytest.mark.parametrize("kind", ["dataclass", "struct", "nested", "pydantic"])
async def test_a_record_of_a_users_class_needs_no_id_that_can_be_compared(kind, odd):
    """A user's record without a comparable id is compared by its content, even if it cannot be sent as JSON."""
    if kind == "pydantic":
        pydantic = pytest.importorskip("pydantic", reason="pydantic is not installed")
        into = pydantic.create_model("Model", customer_id=(Any, ...))
    else:
        into, odd = {"dataclass": (Class, odd), "struct": (Struct, odd), "nested": (Nested, {"a": 1})}[kind]
    sandbox = Sandbox(1)
    body = json.dumps({"data": {"customers": [{"customer_id": odd}] * 2, "total_items": 2}})
    sandbox.faults.add("GET /customers", status=200, body=body)
    async with CareCloud("x.example.com", auth=sandbox.credentials(), transport=sandbox.transport()) as client:
        listing = client.listing("customers", into=into, list_key="customers", id_field="customer_id")
        assert [type(one) for one in await listing.collect(limit=2)] == [into, into]


async def test_records_of_a_list_that_fails_later_are_in_no_frame():
    """A traceback with the local variables of `collect` shows nothing of the pages that came before."""
    sandbox = Sandbox(200)
    async with CareCloud("x.example.com", auth=sandbox.credentials(), transport=sandbox.transport()) as client:
        listing = client.listing("customers", id_field="customer_id")
        (first,) = await listing.collect(limit=1)
        sandbox.faults.add("GET /customers", status=400, after=1)
        with pytest.raises(BadRequestError) as caught:
            await listing.collect(limit=150)
    whole = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    shown = "".join(str(frame.locals) for frame in whole.stack if "carecloud_async" in frame.filename)
    assert "limit" in shown
    assert first["customer_id"] not in shown
