"""Lists without a record, in all the ways that servers write them."""

import httpx
import pytest
from kit import InTurn, cut, page, served

from carecloud_async import BadRequestError, NotFoundError, ResponseError

pytestmark = pytest.mark.anyio


async def ids(iterator):
    return [item.customer_id async for item in iterator]


@pytest.mark.parametrize("data", [[], {"total_items": 0}, {"customers": [], "total_items": 0}, {"customers": None}])
async def test_every_way_to_write_an_empty_list_is_read(data, tmp_path):
    """An empty list as `"data": []`, or without its key beside a total of 0, is read as one everywhere."""
    async with served(lambda request: httpx.Response(200, json={"data": data})) as client:
        listing = client.customers.list(email="nobody@example.com")
        assert await ids(listing) == [line async for line in listing.raw()] == []
        assert await listing.first() is None
        assert await listing.total() == 0
        assert await client.listing("customers").collect(limit=9) == []
        report = await listing.export(tmp_path / "none.jsonl")
        assert report.records == 0


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (204, b"", ResponseError),
        (404, b'{"error": {"exception": "not_found_exception"}}', NotFoundError),
        (400, b'{"error": {"exception": "bad_request_exception"}}', BadRequestError),
        (200, b'{"data": {"total_items": 7}}', ResponseError),
    ],
)
async def test_another_answer_for_an_empty_list_is_one_clear_error(status, body, error):
    """204, 404, 400 and a missing list beside a total raise at once, and the error has the status."""
    answer = InTurn((status, body))
    async with served(answer) as client:
        with pytest.raises(error, match=str(status)):
            await client.customers.list(email="nobody@example.com").collect(limit=9)
    assert len(answer.requests) == 1


async def test_a_null_before_the_first_record_is_none():
    """`first()` returns the first record, as an iteration does, where the server sends a null before it."""
    records = [None, None, {"customer_id": "c1"}]
    async with served(lambda request: cut("customers", records, request)) as client:
        assert (await client.customers.list().first()).customer_id == "c1"
        assert (await client.customers.list(offset=1).first()).customer_id == "c1"


async def test_a_prefetch_that_ends_before_the_total_warns(caplog):
    """An empty page before the total ends a prefetch as it ends an iteration: with a warning."""
    people = [{"customer_id": f"c{number}"} for number in range(50)]

    def answer(request):
        return page("customers", [], 50) if request.url.params["offset"] == "30" else cut("customers", people, request)

    async with served(answer) as client, client.customers.list(count=10).prefetch(2) as records:
        assert len(await ids(records)) == 30
    assert "the list ended at 30, though total_items is 50" in caplog.text
