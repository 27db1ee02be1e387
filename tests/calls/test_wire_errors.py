"""Errors on the way back: uneven bodies in, typed and presentable errors out."""

import copy
import json
import pickle
from datetime import UTC, datetime

import anyio
import httpx
import pytest
from clocks import FakeClock
from hypothesis import given
from hypothesis import strategies as st
from kit import KnownUser, served

from carecloud_async import RetryPolicy, errors
from carecloud_async.errors import (
    ApiError,
    AuthenticationError,
    BadRequestError,
    CareCloudError,
    ConnectionFailedError,
    InvalidParam,
    MethodNotAllowedError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitError,
    RequestTimeoutError,
    ResponseError,
    ServerError,
)

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
PATH = "/customers/{customer_id}"


async def error_of(body, status=400, headers=()):
    """Return the error of a read that gets this answer."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    options = {"auth": KnownUser(), "retry": RetryPolicy(attempts=1), "clock": FakeClock(wall=NOW.timestamp())}
    async with served(lambda _: httpx.Response(status, headers=headers, content=content), **options) as client:
        with pytest.raises(CareCloudError) as caught:
            await client.customers.get("x")
    caught.value.correlation_id = None  # by chance
    return caught.value


def invalid(params):
    return {"error": {"type": "parameter_exception", "error_data": {"invalid_params": params}}}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequestError),
        (401, AuthenticationError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (405, MethodNotAllowedError),
        (409, ApiError),
        (422, ApiError),
        (429, RateLimitError),
        (500, ServerError),
        (503, ServerError),
        (599, ServerError),
    ],
)
async def test_the_status_names_the_class(status, kind):
    """Each status of the API has its class; others are plain ApiErrors."""
    assert type(await error_of({"error": {}}, status)) is kind


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ([{"name": "email", "reason": "already_exists", "value": "x@y.z"}], [("email", "already_exists")]),
        ({"3": {"name": "email", "reason": "required"}}, [("email", "required")]),
        ([{"name": ["a", "b"], "reason": "empty"}], [("a,b", "empty")]),
        ([{"name": 7, "reason": "empty"}], [("7", "empty")]),
        ([{"name": {"card": 1}, "reason": "not_found"}], [("card", "not_found")]),
        ([{"name": None, "reason": None}, "nonsense", 3], [("unknown", "unknown")]),
        ([{"name": 777123456, "reason": "5000-1234-5678"}], [("unknown", "unknown")]),
        ([{"name": {"420777123456": 1}, "reason": "12"}], [("unknown", "12")]),
        ([{"name": "someone@example.com", "reason": "John Smith lives here"}], [("unknown", "unknown")]),
        ("nonsense", []),
        (None, []),
    ],
)
async def test_invalid_params_in_every_shape(params, expected):
    """Lists, PHP's objects, names of any type; what looks like prose or data is not taken for a code."""
    error = await error_of(invalid(params))
    assert [(param.name, param.reason) for param in error.invalid_params] == expected
    assert error.reasons == error.invalid_params


async def test_reasons_survive_an_encoding_that_is_not_utf_8():
    """A back end that answers in its own code page costs the prose, not the reasons."""
    body = json.dumps(invalid([{"name": "email", "reason": "required"}]) | {"note": "?"}).encode()
    error = await error_of(b"\xef\xbb\xbf" + body.replace(b"?", "žluťoučký".encode("cp1250")))
    assert error.has_reason("required", name="email")
    assert not error.has_reason("required", name="phone")


async def test_what_is_shown_and_what_is_not():
    """`str` and `repr` hold status, method, template, exception, reasons and request id; prose and values stay out."""
    params = [{"name": "email", "reason": "already_exists", "value": "john@x.cz"}]
    told = {"exception": "parameter_exception", "title": "John Smith", "detail": "John Smith, +420777123456"}
    body = {"error": invalid(params)["error"] | told}
    error = await error_of(body, headers={"x-request-id": "abc-1", "retry-after": "5"})
    shown = "400 on GET /customers/{customer_id} (parameter_exception) [email: already_exists] request id abc-1"
    assert str(error) == shown
    assert repr(error) == f"<BadRequestError: {shown}>"
    assert error.detail == "John Smith, +420777123456"
    assert (error.request_id, error.retry_after, error.title) == ("abc-1", 5.0, "John Smith")
    assert "john@x.cz" not in repr(vars(error))
    assert repr(error.invalid_params[0]) == "InvalidParam(name='email', reason='already_exists')"


@pytest.mark.parametrize("header", ["X-Request-Id", "x-correlation-ID", "request-id", "x-other"])
async def test_the_servers_request_id(header):
    """Under any of its usual names; what is no id is left out."""
    error = await error_of({"error": {}}, headers=[(header.encode(), b"r-1"), (b"X-Odd", "ř".encode())])
    assert error.request_id == (None if header == "x-other" else "r-1")
    assert (await error_of({"error": {}}, headers={header: "John Smith <x>"})).request_id is None


def examples():
    yield BadRequestError(status=400, method="GET", path=PATH, invalid_params=(InvalidParam(name="a", reason="b"),))
    yield RateLimitError(status=429, method="GET", path=PATH, retry_after=36000.0, request_id="r")
    yield RequestTimeoutError("late", method="GET", path="/x")
    yield ConnectionFailedError("gone", method="GET", path="/x")
    yield OutcomeUnknownError("perhaps", method="POST", path="/x")
    yield ResponseError("odd", method="GET", path="/x", status=200)
    for name in ("ConfigurationError", "ClientClosedError", "TokenStoreError", "ExportError", "InterfaceError"):
        yield getattr(errors, name)("text")


@pytest.mark.parametrize("error", list(examples()), ids=lambda error: type(error).__name__)
def test_errors_pickle_and_copy(error):
    """With class, message, attributes and notes."""
    error.correlation_id = "0123"
    error.add_note("a note")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error), error.fresh()):
        assert type(again) is type(error)
        assert (str(again), repr(again), again.args) == (str(error), repr(error), error.args)
        assert vars(again) == vars(error)
        assert again.is_retryable == error.is_retryable
        assert again.__traceback__ is None


def test_which_errors_may_be_tried_again():
    """Transport troubles, 429 and 5xx; not what would fail again, and not what may have happened."""
    retryable = {name for name in errors.__all__ if getattr(getattr(errors, name), "is_retryable", False)}
    assert retryable == {
        "ConnectionFailedError",
        "RateLimitError",
        "RequestTimeoutError",
        "ServerError",
        "TokenStoreError",
        "TransportError",
    }
    assert isinstance(RequestTimeoutError("x"), TimeoutError)
    assert issubclass(errors.ConfigurationError, ValueError)
    assert all(issubclass(getattr(errors, name), CareCloudError) for name in errors.__all__ if name != "InvalidParam")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "120"}, 120),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "9" * 30}, 1e30),
        ({"retry-after": "Tue, 24 Nov 2026 12:00:30 GMT"}, 30),
        ({"retry-after": "Tue, 24 Nov 2026 12:00:30 GMT", "date": "Tue, 24 Nov 2026 12:00:10 GMT"}, 20),
        ({"retry-after": "Tue, 24 Nov 2026 11:00:00 GMT"}, 0),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 -1200"}, None),
        ({"retry-after": "Tue, 24 Nov 2026 12:00:30 GMT", "date": "yesterday"}, 30),
    ],
)
async def test_retry_after(headers, seconds):
    """Seconds or a date against the answer's own clock; the past is now, nonsense is nothing, huge is huge."""
    asked = (await error_of({"error": {}}, 429, headers)).retry_after
    assert asked == (None if seconds is None else pytest.approx(seconds))
    assert asked is None or round(asked) >= 0


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
inner = scalars | st.lists(scalars, max_size=3) | st.dictionaries(st.text(max_size=8), scalars, max_size=3)
anything = inner | st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)


@given(anything, st.integers(402, 999), st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30))
def test_no_body_breaks_the_parser(value, status, header):
    """Whatever stands where, the result is an error of ours that prints and pickles."""
    headers = {"retry-after": header, "x-request-id": header, "date": header}
    for body in (value, {"error": value}, {"error": {"error_data": value}}, invalid(value), invalid([{"name": value}])):
        error = anyio.run(error_of, body, status, headers)
        assert pickle.loads(pickle.dumps(error)).status == status
        assert str(status) in str(error)
