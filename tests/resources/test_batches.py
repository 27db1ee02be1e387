"""Batches: their bounds, and what is known of a batch that was refused in part."""

import json

import pytest
from kit import connect

from carecloud_async import BadRequestError, ConfigurationError, RetryPolicy
from carecloud_async.models import (
    ErrorProcessing,
    PluIdInput,
    ProductInput,
    ProductReservationPriceIdInput,
    PropertyRecordInput,
)
from carecloud_async.resources import OPERATIONS
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

BATCHES = [one for one in OPERATIONS.values() if one.path.endswith("/batch")]
ROW = PropertyRecordInput(property_id="p")


@pytest.fixture
def sandbox():
    return Sandbox(customers=3, records=0)


@pytest.fixture
async def client(sandbox):
    async with connect(sandbox, retry=RetryPolicy(attempts=1)) as client:
        yield client


def method_of(client, operation):
    """The method of a batch, by the dotted name in the table."""
    *families, name = operation.call.split(".")
    found = getattr(client, families[0])
    for part in families[1:]:
        found = getattr(found, part)("1")
    return getattr(found, name)


@pytest.mark.parametrize("operation", BATCHES, ids=lambda one: one.operation_id)
@pytest.mark.parametrize("rows", [[], [ROW] * 1001], ids=["none", "1,001"])
async def test_a_batch_has_one_to_a_thousand_rows(client, sandbox, operation, rows):
    """Another number is refused before anything is sent, and the message says the bounds."""
    with pytest.raises(ConfigurationError, match=r"1 to 1,000 rows, not (0|1,001)"):
        await method_of(client, operation)(rows)
    assert not sandbox.requests


@pytest.mark.parametrize("rows", ["text", 7, {"property_id": "p"}])
async def test_a_batch_takes_a_list(client, sandbox, rows):
    """Text, a number or a single mapping is no list of rows."""
    with pytest.raises(ConfigurationError, match="list of rows"):
        await client.customers.property_records("1").batch(rows)
    assert not sandbox.requests


async def test_a_thousand_rows_are_taken(client, sandbox):
    """Exactly 1,000 rows are one request, in a list or by keyword."""
    rows = [ProductInput(name=f"p{n}", plu_ids=[PluIdInput(list_code="G", code=str(n))]) for n in range(1000)]
    await client.products.batch(rows)
    await client.products.batch(products=tuple(rows[:1]))
    assert len(sandbox.records("products")) == 1001


@pytest.mark.parametrize("mode", [None, ErrorProcessing.ROLL_BACK, ErrorProcessing.KEEP_VALID])
async def test_the_error_of_a_batch_says_what_was_kept(client, sandbox, mode):
    """Only of a batch that keeps its valid rows does the error carry a report; the rows that it names are missing."""
    plu = [PluIdInput(list_code="G", code="1")]
    rows = [ProductInput(name=name, plu_ids=plu) for name in ("good", "", "fine", "")]
    with pytest.raises(BadRequestError) as caught:
        await client.products.batch(rows, error_processing=mode)
    kept = [one["name"] for one in sandbox.records("products")]
    report = caught.value.report
    assert caught.value.may_have_happened is (mode is ErrorProcessing.KEEP_VALID)
    if mode is not ErrorProcessing.KEEP_VALID:
        assert (kept, report) == ([], None)
        return
    assert kept == ["good", "fine"]
    assert (report.rows, sorted(report.refused), report.unnamed) == (4, [1, 3], ())
    assert report.refused[1][0].reason == "empty"


async def test_a_fault_that_names_no_row_is_kept_apart(client, sandbox):
    """A report takes a name for a row only if its number is that of a row, and not by chance."""
    params = [{"name": name, "reason": "bad"} for name in ("products[0].name", "address1", "9", "1", "products.1.code")]
    error = json.dumps({"error": {"error_data": {"invalid_params": params}}}).encode()
    sandbox.faults.add("POST /products/batch", status=400, body=error)
    rows = [ProductInput(name="a", plu_ids=[PluIdInput(list_code="G", code="1")])] * 2
    with pytest.raises(BadRequestError) as caught:
        await client.products.batch(rows, error_processing=2)
    report = caught.value.report
    assert {number: len(found) for number, found in report.refused.items()} == {0: 1, 1: 2}
    assert [one.name for one in report.unnamed] == ["address1", "9"]


async def test_a_batch_of_deletions_says_what_was_refused(client, sandbox):
    """A batch of deletions deletes the rows that are not refused, as a batch of writes keeps its valid rows."""
    error = json.dumps({"error": {"error_data": {"invalid_params": [{"name": "1", "reason": "not_found"}]}}}).encode()
    sandbox.faults.add("DELETE /product-reservation-prices/batch", status=400, body=error)
    rows = [ProductReservationPriceIdInput(product_reservation_price_id=one) for one in ("a", "b")]
    with pytest.raises(BadRequestError) as caught:
        await client.product_reservation_prices.delete_batch(rows, error_processing=ErrorProcessing.KEEP_VALID)
    assert caught.value.may_have_happened
    assert (caught.value.report.rows, [*caught.value.report.refused]) == (2, [1])
