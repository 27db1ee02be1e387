"""The failures of an attempt: from an answer, an exception or a lack of time to the error of the call.

An answer that CareCloud did not write (a proxy, a firewall, a login page or another server answered in its place) says
nothing about a record, a login, a session or a right. It is described without secrets and personal data: words of the
request, and what does not look like a plain word, are left out.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from types import ModuleType
from typing import Any

from carecloud_async._base import codec
from carecloud_async._base.codec.answers import has_data, refusal, success_refusal
from carecloud_async._base.codec.json_text import BrokenJson, Malformed, load
from carecloud_async._calls.auth.login_backoff import refuses_login
from carecloud_async._calls.auth.tokens import UNAUTHORIZED
from carecloud_async._calls.call.call_errors import Hiding, invalid_response, parse_error, retry_after, transport_error
from carecloud_async._calls.call.facts import CallFacts
from carecloud_async._calls.call.operation import RawResponse
from carecloud_async._calls.call.retry import Failure, FailureKind
from carecloud_async._calls.call.transport_failure import TransportFailure, classify, is_library_error
from carecloud_async._calls.http.bodies import BodyTooLargeError
from carecloud_async._calls.http.client import HttpClient
from carecloud_async.errors import (
    ApiError,
    AuthenticationError,
    CareCloudError,
    ConnectionFailedError,
    OutcomeUnknownError,
    RequestTimeoutError,
    ServerError,
    TransportError,
)
from carecloud_async.fixes import (
    CREDENTIALS,
    IN_FRONT,
    LOOK_FIRST,
    NO_HOST,
    NOTHING_ANSWERS,
    PROJECT_URL,
    PROXY,
    REVOKED,
    Fix,
)

#: The message of a call that timed out before anything was sent.
_NO_CONNECTION = "no connection in time"
#: The message of a call that timed out while it waited for its token.
_NO_LOGIN = "no token in time, the login or the token store did not answer"
#: The message for an answer that no HTTP library can parse.
_NOT_HTTP = "not valid HTTP"
#: The message for an answer that a user's response hook has read away.
_CONSUMED = "a response hook has consumed the answer: let it read with response.aread()"
#: Stands for the body of an error of the API that was not read.
_UNREAD_ERROR = b'{"error": {}}'
#: The beginning of the message for an answer that CareCloud did not write.
_IN_FRONT = "something in front of CareCloud answered"

#: Statuses that web servers give by themselves for a request that is too long or too large (RFC 9110, 15.5; RFC 6585).
#: They say nothing but that, and long filters and large pages are divided after them.
SELF_EXPLANATORY = frozenset({413, 414, 431})

_TITLE = re.compile(rb"<title[^>]{0,200}>(.{0,400}?)</title", re.IGNORECASE | re.DOTALL)
#: How far into a page to search for its title.
_HEAD = 16 * 1024
_PRODUCT = re.compile(r"\(?([A-Za-z][A-Za-z._-]{0,30})(?:/[0-9]{1,3}(?:\.[0-9]{1,3}){0,3})?\)?")
_WORD = re.compile(r"\W{0,3}[^\W\d_]{1,20}(?:[-'\u2019][^\W\d_]{1,20})?\W{0,3}")
_PARTS = re.compile(r"\w+")
_LEFT_OUT = "…"
_MOST_WORDS = 12
#: Longer texts of a request are notes and files, and not searched for words.
_LONG_TEXT = 2000

_TOO_MANY = 429
_KIND_OF_STATUS = dict.fromkeys((500, 502, 503, 504), FailureKind.SERVER_ERROR) | {_TOO_MANY: FailureKind.THROTTLED}


def body_of(response: Any, http_library: ModuleType) -> bytes | None:
    """Return the body of a response; `None` if a user's response hook has taken it.

    A hook that calls `raise_for_status` closes the response unread. Its `Content-Type` tells whether that was an error
    of the API: those are JSON, and the pages of proxies are not.
    """
    try:
        content: bytes = response.content
    except http_library.ResponseNotRead:
        is_json = "json" in response.headers.get("content-type", "")
        return _UNREAD_ERROR if is_json and response.status_code >= 400 else None
    return content


def of_response(call: CallFacts, response: Any, http_library: ModuleType) -> RawResponse | Failure:
    """Return a response as its bytes, or the failure that it stands for."""
    call.headers = response.headers
    body, status = body_of(response, http_library), response.status_code
    if 300 <= status <= 399:
        problem = f"the server redirects ({status}), which the API never does"
        return _invalid(call, problem, status=status, fix=PROJECT_URL)
    if not 200 <= status <= 299:
        return _unsuccessful(call, response, body or b"")
    if body is None:
        return _invalid(call, _CONSUMED)
    if call.request.login and call.is_login and success_refusal(body):
        return _unsuccessful(call, response, body)
    return RawResponse(status, response.headers, body, call.began, len(call.statuses))


def of_exception(call: CallFacts, error: Exception, http: HttpClient) -> Failure:
    """Return the failure of an attempt that ended with an exception; raise it if it is a user's own."""
    if isinstance(error, BodyTooLargeError):
        call.headers = None
        return _invalid(call, str(error))
    if call.tokens is not None and not call.sent and not call.handed_over and not http.client.is_closed:
        # The token was not there yet: the code that fetches it failed, perhaps at another server. `sent=True` also
        # recognizes an `OSError`, and an error of an HTTP library that a user's own code raises.
        own = isinstance(error, CareCloudError)
        if own or not is_library_error(error, http_library=http.http_library, sent=True):
            raise error
        problem = f"not sent: the code that fetches the credentials failed ({type(error).__name__})"
        failed = transport_error(TransportError, call.operation, problem)
        failed.__cause__ = error
        return Failure(kind=FailureKind.PERMANENT, error=failed)
    cause = classify(error, http_library=http.http_library, sent=call.sent)
    if cause is None:
        raise error
    call.headers = None
    if cause.cannot_unpack:
        return _invalid(call, f"the answer cannot be unpacked ({cause.text})")
    return _no_response(call, cause)


def of_closed_pool(call: CallFacts) -> Failure:
    """Return the failure of an attempt whose connections the user has closed."""
    call.headers = None
    cause = TransportFailure(kind=FailureKind.PERMANENT, sent=call.sent, text="the connection pool was closed")
    return _no_response(call, cause)


def of_unreadable(call: CallFacts, error: codec.Malformed, response: RawResponse) -> Failure:
    """Return the failure of a successful response that cannot be decoded."""
    # A 204 has no body, so none was lost: a retry would get the same answer.
    kind = FailureKind.PERMANENT
    if response.status != HTTPStatus.NO_CONTENT:
        if isinstance(error, BrokenJson):
            kind = FailureKind.INVALID_RESPONSE
        else:
            is_read = call.operation.method == "GET" and not call.request.login
            if is_read and call.context.answered and not has_data(response.body):
                kind = FailureKind.FOREIGN
    problem = f"{error} (status {response.status}{call.page}, id {call.correlation_id})"
    failed = invalid_response(call.operation, problem, status=response.status)
    failed.is_retryable = kind is not FailureKind.PERMANENT and call.operation.safe_to_repeat
    return Failure(kind=kind, error=failed, may_have_happened=True)


def timed_out(call: CallFacts) -> CareCloudError:
    """Return the error of an attempt that used up the time of its call."""
    if not call.sent:
        problem = f"{_NO_CONNECTION if call.handed_over else _NO_LOGIN} (total{call.page})"
        return transport_error(RequestTimeoutError, call.operation, problem, fix=NOTHING_ANSWERS)
    return _transport_error(call, TransportFailure(kind=FailureKind.PERMANENT, sent=True, timeout=True, text="total"))


def _no_response(call: CallFacts, cause: TransportFailure) -> Failure:
    return Failure(kind=cause.kind, error=_transport_error(call, cause), may_have_happened=cause.sent)


def _transport_error(call: CallFacts, cause: TransportFailure) -> TransportError:
    operation = call.operation
    text = cause.text + call.page
    if cause.sent and not operation.safe_to_repeat:
        answer = f"is {_NOT_HTTP}" if cause.malformed else "was lost"
        return transport_error(
            OutcomeUnknownError, operation, f"sent, and the answer {answer} ({text})", fix=LOOK_FIRST
        )
    if cause.timeout:
        what = "no answer in time" if cause.sent else _NO_CONNECTION
        fix = None if cause.sent else NOTHING_ANSWERS
        return transport_error(RequestTimeoutError, operation, f"{what} ({text})", fix=fix)
    if cause.malformed:
        what = f"the answer is {_NOT_HTTP}"
    else:
        what = "the server hung up" if cause.sent else "the server was not reached"
    fix = NO_HOST if cause.malformed else cause.fix
    error = transport_error(ConnectionFailedError, operation, f"{what} ({text})", fix=fix)
    error.is_retryable = cause.kind is not FailureKind.PERMANENT
    return error


def _invalid(call: CallFacts, problem: str, *, status: int | None = None, fix: Fix | None = None) -> Failure:
    """Return the failure of an unexpected answer; of redirects, only a 303 may follow a write that happened."""
    may_have_happened = status is None or status == HTTPStatus.SEE_OTHER
    error = invalid_response(call.operation, problem, status=status, fix=fix)
    return Failure(kind=FailureKind.PERMANENT, error=error, may_have_happened=may_have_happened)


def _unsuccessful(call: CallFacts, response: Any, body: bytes) -> Failure:
    status, own = response.status_code, refusal(body)
    explains_itself = status >= 500 or status == _TOO_MANY or status in SELF_EXPLANATORY
    if own is None and not explains_itself:
        return _foreign(call, response, body)
    error = _api_error(call, response, body, is_own=own is not None)
    kind = _KIND_OF_STATUS.get(status, FailureKind.PERMANENT)
    if kind is FailureKind.SERVER_ERROR and not call.operation.safe_to_repeat:
        error.is_retryable = False
    may_have_happened = isinstance(error, ServerError)
    return Failure(kind=kind, error=error, may_have_happened=may_have_happened, retry_after=error.retry_after)


def _foreign(call: CallFacts, response: Any, body: bytes) -> Failure:
    """Return the failure of an answer that CareCloud did not write; what it did, if anything, is not known."""
    status = response.status_code
    problem = f"{_IN_FRONT} with {status} ({_described(call, response, body)})"
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:  # by its meaning the request went no further
        return _invalid(call, problem, status=status, fix=PROXY)
    error = invalid_response(call.operation, problem, status=status, fix=IN_FRONT)
    error.is_retryable = call.operation.safe_to_repeat
    wait = retry_after(response.headers, now=_now(call))
    return Failure(kind=FailureKind.FOREIGN, error=error, may_have_happened=True, retry_after=wait)


def _described(call: CallFacts, response: Any, body: bytes) -> str:
    request, sent = call.request, load(call.body) if call.body else None
    hidden = words_of(request.path_params, request.params, sent, call.secrets())
    return describe_foreign(response.status_code, response.headers, body, hidden=hidden)


def _refused_token(call: CallFacts) -> str:
    """Return the message for a 401."""
    if call.operation.takes_credentials:
        return "the credentials in the call were refused"
    if call.tokens is None:
        return "the server refuses the token that the call was made with"
    if call.replays:
        return "the server refuses a token that was just renewed, for this operation or because it was revoked"
    return "the server refuses the token, and it refused a new one for this operation a moment ago"


def _api_error(call: CallFacts, response: Any, body: bytes, *, is_own: bool) -> ApiError:
    """Return the error of an answer; `is_own` says whether CareCloud wrote it."""
    operation, status = call.operation, response.status_code
    refused_login = is_own and call.is_login and refuses_login(status)
    hint, fix = None, None
    if refused_login:
        hint, fix = "the login was refused", CREDENTIALS
    elif status == UNAUTHORIZED:
        hint = _refused_token(call)
        # Its login succeeded, or another process's: the credentials are probably right.
        fix = None if call.tokens is None or operation.takes_credentials else REVOKED
    elif status == 414:
        hint = "the server finds the query too long: give fewer values, or iterate the listing, which asks in parts"
    elif not is_own and body.strip():
        hint = f"{_IN_FRONT} ({_described(call, response, body)})"
        fix = IN_FRONT if status >= 500 and status not in _KIND_OF_STATUS else None
    elif status == HTTPStatus.NOT_FOUND and operation.result_key is not None and not operation.placeholders:
        hint = "the API answers a list that is empty with an empty list"
    return parse_error(
        status,
        response.headers,
        body,
        method=operation.method,
        path=operation.path,
        now=_now(call),
        kind=AuthenticationError if refused_login else None,
        hint=hint,
        fix=fix,
        hide=Hiding(call.secrets()),
    )


def _now(call: CallFacts) -> datetime:
    return datetime.fromtimestamp(call.context.clock.time(), UTC)


def describe_foreign(status: int, headers: Mapping[str, str], body: bytes, *, hidden: frozenset[str]) -> str:
    """Return what can be said of such an answer: `server nginx, a page titled "404 Not Found"`.

    Args:
        status: the HTTP status of the answer.
        headers: the headers of the answer.
        body: the bytes of the answer, unpacked.
        hidden: words that must not be shown, in lower case; see `words_of`.
    """
    server = " ".join(_products(headers.get("server") or "", hidden))
    return f"server {server}, {_kind(status, body, hidden)}" if server else _kind(status, body, hidden)


def _products(text: str, hidden: frozenset[str]) -> Iterator[str]:
    for word in text.split()[:4]:
        found = _PRODUCT.fullmatch(word)
        if found and hidden.isdisjoint(_PARTS.findall(found[1].casefold())):
            yield word


def _kind(status: int, body: bytes, hidden: frozenset[str]) -> str:
    """Name the kind of a body, and the title of a page."""
    try:
        load(body)
    except BrokenJson:
        return "a text" if body.strip() else "no body"
    except Malformed:
        title = _title(status, body, hidden)
        return f'a page titled "{title}"' if title else "a page"
    return "JSON that is not the API's"


def _title(status: int, body: bytes, hidden: frozenset[str]) -> str:
    found = _TITLE.search(body[:_HEAD])
    text = "" if found is None else html.unescape(found[1].decode("utf-8", "replace"))
    shown: list[str] = []
    for word in text.split()[:_MOST_WORDS]:
        keeps = word == str(status) or _is_plain(word, hidden)
        if keeps or shown[-1:] != [_LEFT_OUT]:
            shown.append(word if keeps else _LEFT_OUT)
    return " ".join(shown) if any(map(str.isalnum, "".join(shown))) else ""


def _is_plain(word: str, hidden: frozenset[str]) -> bool:
    if len(word) == 1 and not word.isalnum():  # a dash or a bar between two words
        return True
    return _WORD.fullmatch(word) is not None and hidden.isdisjoint(_PARTS.findall(word.casefold()))


def words_of(*values: Any) -> frozenset[str]:
    """Return the words of all texts and numbers in plain values, in lower case."""
    return frozenset(_words(values))


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, Sequence | frozenset | set) and not isinstance(value, str | bytes):
        for member in value:
            yield from _words(member)
    elif value is not None and len(text := str(value)) <= _LONG_TEXT:
        yield from _PARTS.findall(text.casefold())
