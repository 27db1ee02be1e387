"""Answers and arguments that mean harm: whatever comes, the error is ours, soon, and of a bounded size."""

import json
import pickle

import httpx
import httpx2
import pytest
from kit import login_body, served

from carecloud_async import (
    ApiError,
    BadRequestError,
    CareCloud,
    ConfigurationError,
    ResponseError,
    RetryPolicy,
)
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio


def connect(answer, **options):
    """Return a client of a server that always answers the same."""
    return served(lambda request: answer, **{"retry": RetryPolicy(attempts=2, base=0.001), **options})


def nested(depth):
    return "[" * depth + '"a"' + "]" * depth


PARAMS = {
    "names 330 levels deep": b'{"error":{"error_data":{"invalid_params":[{"name":%s,"reason":"x"}]}}}'
    % nested(330).encode(),
    "3,000 of them": json.dumps(
        {"error": {"error_data": {"invalid_params": [{"name": "email", "reason": "required"}] * 3_000}}}
    ).encode(),
    "one name of 10,000 parts": json.dumps(
        {"error": {"error_data": {"invalid_params": [{"name": ["email"] * 10_000, "reason": "x"}]}}}
    ).encode(),
    "one name of 10,000 keys": json.dumps(
        {"error": {"error_data": {"invalid_params": [{"name": {f"k{i}": 1 for i in range(10_000)}}]}}}
    ).encode(),
    "a long exception, title and detail": json.dumps(
        {"error": {"exception": "e" * 10**6, "title": "t" * 10**6, "detail": "d" * 10**6, "type": "y" * 10**6}}
    ).encode(),
    "a number of 5,000 digits": b'{"error":{"error_data":{"invalid_params":[{"name":%s}]}}}' % (b"1" * 5000),
}


@pytest.mark.parametrize("body", PARAMS.values(), ids=PARAMS)
async def test_errors_are_bounded_whatever_the_server_complains_of(body):
    """A 400 is a BadRequestError of some kilobytes, pickled too."""
    async with connect(httpx.Response(400, content=body)) as client:
        with pytest.raises(BadRequestError) as caught:
            await client.ping()
    error = caught.value
    assert len(str(error)) < 6_000
    assert len(repr(error)) < 6_000
    assert len(pickle.dumps(error)) < 100_000
    assert len(error.invalid_params) <= 1000


async def test_deeply_nested_error_is_not_the_apis():
    """A body that cannot be read as JSON, such as one of 100,000 levels, is no refusal of CareCloud's."""
    body = b'{"error":{"error_data":{"invalid_params":[{"name":%s}]}}}' % nested(100_000).encode()
    async with connect(httpx.Response(400, content=body)) as client:
        with pytest.raises(ResponseError, match="something in front of CareCloud answered with 400"):
            await client.ping()


async def test_the_text_of_an_error_says_how_many_reasons_it_leaves_out():
    """Twenty are named; `.invalid_params` and `.has_reason` know the others."""
    params = [{"name": f"field_{number}", "reason": "required"} for number in range(49)]
    params.append({"name": "email", "reason": "already_exists"})
    body = json.dumps({"error": {"error_data": {"invalid_params": params}}}).encode()
    async with connect(httpx.Response(400, content=body)) as client:
        with pytest.raises(ApiError) as caught:
            await client.ping()
    assert "field_19: required, and 30 more]" in str(caught.value)
    assert caught.value.has_reason("already_exists", name="email")


@pytest.mark.parametrize("family", [httpx, httpx2], ids=lambda family: family.__name__)
@pytest.mark.parametrize("what", ["id", "filter"])
async def test_an_id_of_any_length_is_refused_as_ours(family, what):
    """A client of the user's own takes URLs of 64 KB: beyond it the error is a ConfigurationError, and short."""
    mock = family.MockTransport(lambda request: family.Response(200, content=login_body()))
    async with (
        family.AsyncClient(transport=mock) as http,
        CareCloud("x.example.com", auth=Sandbox(1).credentials(), http_client=http) as client,
    ):
        with pytest.raises(ConfigurationError, match="path and query") as caught:
            if what == "id":
                await client.customers.get("x" * 70_000)
            else:
                await client.customers.list(last_name="x" * 70_000).page()
    assert len(str(caught.value)) < 500
