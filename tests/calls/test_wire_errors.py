"""Errors on the way back: uneven bodies in, typed and presentable errors out."""

import copy
import json
import pickle
from datetime import UTC, datetime

import httpx
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carecloud_async import errors
from carecloud_async._calls.call.call_errors import parse_error, request_id, retry_after
from carecloud_async._calls.http.responses import new_response
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

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def parse(body, status=400, headers=None):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_error(status, headers or {}, data, method="POST", path="/customers/{customer_id}", now=NOW)


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
def test_the_status_names_the_class(status, kind):
    """Each status of the API has its class; others are plain ApiErrors."""
    assert type(parse({}, status)) is kind


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
def test_invalid_params_in_every_shape(params, expected):
    """Lists, PHP's objects, names of any type; what looks like prose or data is not taken for a code."""
    error = parse(invalid(params))
    assert [(param.name, param.reason) for param in error.invalid_params] == expected
    assert error.reasons == error.invalid_params


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"<html>bad gateway</html>",
        b"\xff\xfe\x00binary",
        b'{"error": null}',
        b'{"error": "text"}',
        b'{"error": {"type": 7, "exception": [], "title": {}, "detail": 3, "error_data": []}}',
        b"[" * 100_000,
    ],
)
def test_bodies_that_say_nothing(body):
    """HTML, nothing, binary, nested without end: still an error with status, method and path."""
    error = parse(body, 403)
    assert str(error) == "403 on POST /customers/{customer_id}"
    assert (error.type, error.exception, error.title, error.detail, error.invalid_params) == (
        None,
        None,
        None,
        None,
        (),
    )


def test_reasons_survive_an_encoding_that_is_not_utf_8():
    """A back end that answers in its own code page costs the prose, not the reasons."""
    body = json.dumps(invalid([{"name": "email", "reason": "required"}]) | {"note": "?"}).encode()
    error = parse(b"\xef\xbb\xbf" + body.replace(b"?", "žluťoučký".encode("cp1250")))
    assert error.has_reason("required", name="email")
    assert not error.has_reason("required", name="phone")


def test_what_is_shown_and_what_is_not():
    """`str` and `repr` hold status, method, template, exception, reasons and request id; prose and values stay out."""
    body = {
        "error": {
            "type": "t",
            "exception": "parameter_exception",
            "title": "John Smith",
            "detail": "John Smith, +420777123456",
            "error_data": {"invalid_params": [{"name": "email", "reason": "already_exists", "value": "john@x.cz"}]},
        }
    }
    error = parse(body, headers={"x-request-id": "abc-1", "retry-after": "5"})
    shown = "400 on POST /customers/{customer_id} (parameter_exception) [email: already_exists] request id abc-1"
    assert str(error) == shown
    assert repr(error) == f"<BadRequestError: {shown}>"
    assert error.detail == "John Smith, +420777123456"
    assert (error.request_id, error.retry_after, error.title) == ("abc-1", 5.0, "John Smith")
    assert "john@x.cz" not in repr(vars(error))


@pytest.mark.parametrize("header", ["x-request-id", "x-correlation-id", "request-id"])
def test_the_servers_request_id(header):
    """Under any of its usual names; what is no id is left out."""
    assert parse({}, headers={header: "r-1"}).request_id == "r-1"
    assert parse({}, headers={header: "John Smith <x>"}).request_id is None


def examples():
    yield parse(invalid([{"name": "email", "reason": "already_exists"}]), headers={"x-request-id": "r"})
    yield parse({}, 429, {"retry-after": "36000"})
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
def test_retry_after(headers, seconds):
    """Seconds or a date against the answer's own clock; the past is now, nonsense is nothing, huge is huge."""
    assert retry_after(headers, now=NOW) == (None if seconds is None else pytest.approx(seconds))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(anything, st.integers(400, 999), st.text(max_size=30))
def test_no_body_breaks_the_parser(value, status, header):
    """Whatever stands where, the result is an ApiError that prints and pickles."""
    for body in (value, {"error": value}, {"error": {"error_data": value}}, invalid(value), invalid([{"name": value}])):
        error = parse(body, status, {"retry-after": header, "x-request-id": header, "date": header})
        assert pickle.loads(pickle.dumps(error)).status == status
        assert str(error).startswith(f"{status} on POST ")


def test_a_parameter_keeps_name_and_reason_alone():
    """A refused parameter keeps its name and reason, and no offending value."""
    assert repr(InvalidParam(name="email", reason="required")) == "InvalidParam(name='email', reason='required')"


@pytest.mark.parametrize("family", [httpx, httpx2], ids=["httpx", "httpx2"])
@pytest.mark.parametrize("name", [b"X-Request-Id", b"x-correlation-ID", b"Request-Id", b"X-Other"])
@pytest.mark.parametrize("read_before", [False, True])
def test_id_is_found_in_unread_headers(family, name, read_before):
    """Headers of an answer that are still as they came give the same id as any other mapping."""
    raw = ((b"Date", b"Wed"), (name, b"r-1"), (b"X-Odd", "ř".encode()))
    late = new_response(family, 200, headers=raw, body=b"", extensions={}, seconds=0.1).headers
    assert not read_before or late["date"] == "Wed"
    assert request_id(late) == request_id(family.Headers(raw)) == (None if name == b"X-Other" else "r-1")
    assert request_id({}) is None
