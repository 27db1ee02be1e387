"""Lists of the API by their path: records with odd ids, and what a failure shows."""

import json
import traceback
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from every import every
from kit import connect

from carecloud_async import BadRequestError
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio


@dataclass
class Class:
    customer_id: Any


class Struct(msgspec.Struct):
    customer_id: Any


class Inner(msgspec.Struct):
    a: int


class Nested(msgspec.Struct):
    customer_id: Inner


ODD = [["a"], {"a": 1}, None, ""]
RECORDS = [*[(into, odd) for into in (None, Class, Struct) for odd in ODD], (Nested, {"a": 1})]


@every("into, odd", RECORDS)
async def test_a_record_with_an_odd_id_is_yielded(into, odd):
    """An id that cannot be compared is a record's own affair, whatever it is read into, and ends no loop over them."""
    sandbox = Sandbox(1)
    body = json.dumps({"data": {"customers": [{"customer_id": odd}, {"customer_id": odd}], "total_items": 2}})
    sandbox.faults.add("GET /customers", status=200, body=body)
    async with connect(sandbox) as client:
        records = client.listing("customers", into=into, list_key="customers", id_field="customer_id")
        assert [type(record) for record in await records.collect(limit=2)] == [into or dict] * 2


async def test_records_of_a_list_that_fails_later_are_in_no_frame():
    """A traceback with the local variables of `collect` shows nothing of the pages that came before."""
    sandbox = Sandbox(200)
    async with connect(sandbox) as client:
        listing = client.listing("customers", id_field="customer_id")
        (first,) = await listing.collect(limit=1)
        sandbox.faults.add("GET /customers", status=400, after=1)
        with pytest.raises(BadRequestError) as caught:
            await listing.collect(limit=150)
    whole = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    shown = "".join(str(frame.locals) for frame in whole.stack if "carecloud_async" in frame.filename)
    assert "limit" in shown
    assert first["customer_id"] not in shown
