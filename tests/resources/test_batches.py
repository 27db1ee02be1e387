"""Batches: their bounds, and what is known of a batch that was refused in part."""

import json

import pytest
from every import every
from kit import connect
from resource_wire import method_of

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

BATCHES = [operation for operation in OPERATIONS.values() if operation.path.endswith("/batch")]
ROW = PropertyRecordInput(property_id="p")


@pytest.fixture
def sandbox():
    return Sandbox(customers=3, records=0)


@pytest.fixture
async def client(sandbox):
    async with connect(sandbox, retry=RetryPolicy(attempts=1)) as client:
        yield client


WRONG = [
    *[(rows, r"1 to 1,000 rows, not (0|1,001)") for rows in ([], [ROW] * 1001)],
    *[(rows, "list of rows") for rows in ("text", 7, {"property_id": "p"})],
]


@every("operation", BATCHES)
async def test_a_batch_is_a_list_of_one_to_a_thousand_rows(client, sandbox, operation):
    """Anything else is refused before anything is sent, and the message says the bounds."""
    for rows, message in WRONG:
        with pytest.raises(ConfigurationError, match=message):
            await method_of(client, operation)(rows)
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
    kept = [product["name"] for product in sandbox.records("products")]
    report = caught.value.report
    assert caught.value.may_have_happened is (mode is ErrorProcessing.KEEP_VALID)
    if mode is not ErrorProcessing.KEEP_VALID:
        assert (kept, report) == ([], None)
        return
    assert kept == ["good", "fine"]
    assert (report.rows, sorted(report.refused), report.unnamed) == (4, [1, 3], ())
    assert report.refused[1][0].reason == "empty"


async def test_the_report_of_a_batch_takes_no_number_for_a_row_by_chance(client, sandbox):
    """A name stands for a row only if its number is that of a row; a batch of deletions has a report too."""
    params = [{"name": name, "reason": "bad"} for name in ("prices[0].name", "address1", "9", "1", "prices.1.code")]
    error = json.dumps({"error": {"error_data": {"invalid_params": params}}}).encode()
    sandbox.faults.add("DELETE /product-reservation-prices/batch", status=400, body=error)
    rows = [ProductReservationPriceIdInput(product_reservation_price_id=price_id) for price_id in ("a", "b")]
    with pytest.raises(BadRequestError) as caught:
        await client.product_reservation_prices.delete_batch(rows, error_processing=ErrorProcessing.KEEP_VALID)
    report = caught.value.report
    assert caught.value.may_have_happened
    assert {number: len(faults) for number, faults in report.refused.items()} == {0: 1, 1: 2}
    assert [param.name for param in report.unnamed] == ["address1", "9"]
