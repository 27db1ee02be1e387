"""Paths and queries on the way out."""

from datetime import UTC, date, datetime
from enum import Enum, IntEnum

import pytest
from kit import KnownUser, data, served

from carecloud_async import ConfigurationError

pytestmark = pytest.mark.anyio


async def sent(path="things", *, params=None, path_params=None):
    """Return path and query of a call, as they leave."""
    urls = []

    def answer(request):
        urls.append(request.url.raw_path.decode().partition("/v1.0")[2])
        return data({})

    async with served(answer, auth=KnownUser()) as client:
        await client.request("GET", path, params=params, path_params=path_params)
    return urls[0]


class Kind(IntEnum):
    ONE = 1


class Direction(str, Enum):  # noqa: UP042  (the old kind, whose str() is its name)
    UP = "ASC"


@pytest.mark.parametrize(
    ("params", "query"),
    [
        ({"count": 5, "offset": None}, "count=5"),
        ({"flag": True, "other": False}, "flag=true&other=false"),
        ({"last_name": "X", "sort_field": "a", "offset": 1, "count": 2}, "count=2&offset=1&sort_field=a&last_name=X"),
        ({"customer_ids": ["a", "b"]}, "customer_ids%5B%5D=a&customer_ids%5B%5D=b"),
        ({"email_list[]": ("x@y.z",)}, "email_list%5B%5D=x%40y.z"),
        ({"last_name": "Dvořák & syn"}, "last_name=Dvo%C5%99%C3%A1k+%26+syn"),
        ({"birthdate": date(1985, 2, 12)}, "birthdate=1985-02-12"),
        ({"at": datetime(2026, 7, 1, 12, 0)}, "at=2026-07-01+12%3A00%3A00"),  # noqa: DTZ001  (project-local)
        ({"at": datetime(2026, 7, 1, 12, 0, tzinfo=UTC)}, "at=2026-07-01+14%3A00%3A00"),
        ({"kind": Kind.ONE, "sort_direction": Direction.UP}, "sort_direction=ASC&kind=1"),
        ({"amount": 1.5}, "amount=1.5"),
        ({}, ""),
    ],
)
async def test_queries_as_the_api_reads_them(params, query):
    """`None` is left out, lists get brackets, times are project-local, enums are their values."""
    assert await sent(params=params) == "/things" + (query and f"?{query}")


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"ids": []}, "no filter at all"),
        ({"ids": ["x"] * 1001}, "1001 values"),
        ({"ids": ["x"] * 999, "count": 1, "offset": 0}, "1,001 variables, and servers read 1,000"),
        ({"ids": [None]}, "NoneType"),
        ({"x": object()}, "object"),
        ({"x": {"a": 1}}, "dict"),
        ({"x": b"bytes"}, "bytes"),
        ({"x": "\ud800"}, "surrogate"),
    ],
)
async def test_query_value_that_cannot_be_sent_is_refused(params, words):
    """A value that cannot be sent is refused with the parameter's name and the fix."""
    with pytest.raises(ConfigurationError, match=words):
        await sent(params=params)


@pytest.mark.parametrize(
    ("value", "path"), [("abc", "/cards/abc"), (7, "/cards/7"), ("a/b?c", "/cards/a%2Fb%3Fc"), ("á", "/cards/%C3%A1")]
)
async def test_an_id_is_one_segment(value, path):
    """An id with any characters becomes one segment of the path."""
    assert await sent("cards/{card_id}", path_params={"card_id": value}) == path


@pytest.mark.parametrize("params", [{}, {"other": "1"}, {"card_id": "1", "x": "2"}])
async def test_placeholders_are_named_exactly(params):
    """Arguments that leave a placeholder of the path empty, or have none there, are refused."""
    with pytest.raises(ConfigurationError, match="placeholders"):
        await sent("cards/{card_id}", path_params=params)


@pytest.mark.parametrize("value", ["", " ", ".", "..", None, True, 1.5, "\udcff"])
async def test_an_id_that_is_no_segment_is_refused(value):
    """Path ids that are empty or not a single segment are refused: they would address another path."""
    with pytest.raises(ConfigurationError, match="card_id"):
        await sent("cards/{card_id}", path_params={"card_id": value})
