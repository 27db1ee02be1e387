"""Catalogues in batches: each row has its outcome."""

import json
import pickle

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import LostAnswerError, RefusedError, ScriptedServer, connect, through

from carecloud_async import ApiError, ConfigurationError
from carecloud_async.models import PluIdInput, ProductBrandInput, ProductGroupInput, ProductInput
from carecloud_async.sandbox import Sandbox
from carecloud_async.workflows import RowStatus, sync_product_brands, sync_product_groups, sync_products

pytestmark = pytest.mark.anyio


def products(count):
    return [
        ProductInput(name=f"product {n}", plu_ids=[PluIdInput(list_code="GLOBAL", code=str(n))]) for n in range(count)
    ]


def catalogue(server, bad=(), *, name="products"):
    """Let a server keep the good rows; returns what it keeps."""
    kept = []

    def batch(sent):
        rows = sent[name]
        faults = [n for n, row in enumerate(rows) if row["name"] in bad]
        if not faults or sent["error_processing"] == 2:
            kept.extend(row["name"] for row in rows if row["name"] not in bad)
        if faults:
            raise RefusedError(400, *(("unknown", "invalid_value_format") for _ in faults))

    server.on(f"POST /{name.replace('_', '-')}/batch", batch)
    return kept


async def test_good_rows_go_in_batches(client, server):
    """2,500 rows are three requests of at most 1,000, and each row is written."""
    kept = catalogue(server)
    report = await sync_products(client, products=(product for product in products(2500)))
    sent = server.sent("POST /products/batch")
    assert [len(item["products"]) for item in sent] == [1000, 1000, 500]
    assert {item["error_processing"] for item in sent} == {1}
    assert (report.written, report.requests, len(kept)) == (2500, 3, 2500)
    assert [row.index for row in report.rows] == list(range(2500))
    assert report.rows[1234].row.name == "product 1234"


@given(size=st.integers(1, 40), bad=st.sets(st.integers(0, 39)))
async def test_verdicts_are_exact(size, bad):
    """Whichever rows are at fault, each row has its true outcome."""
    server = ScriptedServer()
    rows = products(40)
    catalogue(server, {f"product {n}" for n in bad})
    async with server.client() as client:
        report = await sync_products(client, products=rows, batch_size=size)
    assert [row.row for row in report.rows] == rows
    assert {row.index for row in report.rows if row.status is RowStatus.REFUSED} == bad
    assert report.written == 40 - len(bad)


@pytest.mark.parametrize("status", [429, 403, None])
async def test_a_lost_batch_whose_repeat_fails_is_unknown(client, server, status):
    """The lost request may have written the rows, though the repeat is refused, or finds no connection."""
    kept = catalogue(server)
    if status is None:
        written = server.handlers["POST\\ /products/batch"]

        def lose_then_refuse(sent):
            if len(server.sent("POST /products/batch")) > 1:
                raise httpx.ConnectError("no connection")
            written(sent)
            raise LostAnswerError

        server.on("POST /products/batch", lose_then_refuse)
        report = await sync_products(client, products=products(2))
        requests = 2
    else:
        server.fail_after("POST /products/batch", status=status)
        with pytest.raises(ApiError) as caught:
            await sync_products(client, products=products(3), batch_size=2)
        report, requests = caught.value.report, 3
    assert [(row.index, row.status) for row in report.rows] == [(0, RowStatus.UNKNOWN), (1, RowStatus.UNKNOWN)]
    assert (report.requests, len(kept)) == (requests, 2)


async def test_brands_are_never_written_twice(client, server):
    """A row that is refused costs no brand a second request."""
    kept = catalogue(server, {"brand 2"}, name="product_brands")
    rows = [ProductBrandInput(name=f"brand {n}", external_id=str(n)) for n in range(5)]
    report = await sync_product_brands(client, product_brands=rows)
    assert sorted(kept) == ["brand 0", "brand 1", "brand 3", "brand 4"]
    assert [item.index for item in report.refused] == [2]
    assert {item["error_processing"] for item in server.sent("POST /product-brands/batch")} == {1}


@pytest.mark.parametrize("report", [True, False], ids=["400", "204"])
async def test_refused_rows_are_never_called_written(report):
    """Whatever the server answers where it keeps valid rows, the rows that it refused are reported as refused."""
    sandbox = Sandbox(customers=3, records=0)

    def after(request, answer):
        keeps_valid = answer.status_code == 400 and json.loads(request.content)["error_processing"] == 2
        return httpx.Response(204) if keeps_valid and not report else None

    rows = products(20)
    rows[7] = ProductInput(name="", plu_ids=[])
    rows[13] = ProductInput(name="no code", plu_ids=[PluIdInput(list_code="GLOBAL", code="")])
    async with connect(sandbox, rate_limit=None, transport=through(sandbox, after=after)) as client:
        outcome = await sync_products(client, products=rows)
    kept = [record["name"] for record in sandbox.records("products")]
    assert [item.index for item in outcome.refused] == [7, 13]
    assert outcome.written == len(kept) == 18
    assert sorted(kept) == sorted(row.name for row in rows if row.name.startswith("product"))


@pytest.mark.parametrize("status", [403, 401, 404])
async def test_a_run_that_ends_in_an_error_has_a_report(client, server, status):
    """The error carries what was written before it; rows without a result were not written."""
    kept = catalogue(server, {"product 1"})
    good = server.handlers["POST\\ /products/batch"]

    def refuse_later(sent):
        if "product 4" in {row["name"] for row in sent["products"]}:
            raise RefusedError(status)
        return good(sent)

    server.on("POST /products/batch", refuse_later)
    with pytest.raises(ApiError) as caught:
        await sync_products(client, products=products(6), batch_size=2)
    report = pickle.loads(pickle.dumps(caught.value)).report
    assert [(row.index, row.status) for row in report.rows] == [
        (0, RowStatus.WRITTEN),
        (1, RowStatus.REFUSED),
        (2, RowStatus.WRITTEN),
        (3, RowStatus.WRITTEN),
    ]
    assert sorted(kept) == ["product 0", "product 2", "product 3"]
    assert report.requests >= 5


@pytest.mark.parametrize("status", [None, 500, 504])
async def test_a_lost_batch_is_sent_again_where_rows_are_updated(client, server, status):
    """Known groups are updated, so that a second request does no harm; a known brand may become a second one."""
    kept = catalogue(server, name="product_groups")
    server.lose("POST /product-groups/batch", status=status)
    rows = [ProductGroupInput(name=f"group {n}", external_id=str(n)) for n in range(3)]
    report = await sync_product_groups(client, product_groups=rows)
    assert (report.written, report.unknown, report.requests, len(kept)) == (3, (), 2, 6)
    catalogue(server, name="product_brands")
    server.lose("POST /product-brands/batch", status=status)
    brands = await sync_product_brands(client, product_brands=[ProductBrandInput(name="b", external_id="1")])
    assert (len(brands.unknown), brands.requests) == (1, 1)


async def test_no_rows_are_no_request(client):
    """An empty catalogue is a report of nothing."""
    report = await sync_products(client, products=[])
    assert (report.rows, report.requests) == ((), 0)


@pytest.mark.parametrize("size", [0, 1001])
async def test_a_batch_has_one_to_a_thousand_rows(client, size):
    """Another size is refused before anything is sent."""
    with pytest.raises(ConfigurationError, match="batch_size"):
        await sync_products(client, products=products(3), batch_size=size)
