"""The failures of an attempt: from an answer, an exception or a lack of time to the error of the call.

An answer that CareCloud did not write (a proxy, a firewall, a login page or another server answered in its place) says
nothing about a record, a login, a session or a right.

The HTTP libraries nest their exceptions: httpx's own wraps httpcore's, which wraps the socket's, and httpx-aiohttp
reports nearly everything as a connect timeout. The whole chain is therefore read, and the exception closest to the
socket decides.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from itertools import islice
from types import ModuleType
from typing import Any, TypeVar

from carecloud_async import fixes
from carecloud_async._base import codec
from carecloud_async._base.codec.answers import NO_SUCH_INTERFACE, has_data, refusal
from carecloud_async._base.codec.json_text import BrokenJson, Malformed, load
from carecloud_async._calls.auth.tokens import UNAUTHORIZED, refuses_login
from carecloud_async._calls.call.facts import Facts
from carecloud_async._calls.call.operation import Operation, RawResponse
from carecloud_async._calls.call.retry import Failure, FailureKind
from carecloud_async._calls.http.client import HttpClient
from carecloud_async._calls.http.network import NETWORK_PACKAGES
from carecloud_async._calls.http.redaction import Hiding
from carecloud_async._calls.http.responses import BodyTooLargeError
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
    TransportError,
)
from carecloud_async.fixes import (
    CREDENTIALS,
    IN_FRONT,
    INTERFACE,
    LOOK_FIRST,
    NO_HOST,
    NO_TOKEN,
    NOTHING_ANSWERS,
    PROJECT_URL,
    PROXY,
    REVOKED,
    SHORTER_ANSWERS,
    Fix,
)

E = TypeVar("E", bound=TransportError | ResponseError)

_SECONDS = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?")
_CODE = re.compile(r"[A-Za-z0-9_.:\[\]-]{1,80}")
_LONG_NUMBER = re.compile(r"[0-9_.:\[\]-]{6,}")
_BY_STATUS: dict[int, type[ApiError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    405: MethodNotAllowedError,
    429: RateLimitError,
}
_REQUEST_ID_HEADERS = ("x-request-id", "x-correlation-id", "request-id")
#: Limits on the parts of an answer that an error keeps.
MAX_INVALID_PARAMS = 1000
_MAX_NAME = 200
_MAX_NAME_DEPTH = 8
_MAX_TEXT = 4000
#: The longest wait that is reported (seconds): finite, so that callers can compute with it.
_MAX_RETRY_AFTER = 1e300
#: The message of a call that timed out before anything was sent.
_NO_CONNECTION = "no connection in time"
#: The message of a call that timed out while it waited for its token.
_NO_LOGIN = "no token in time, the login or the token store took longer"
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

#: The first product that a `Server` header names (RFC 9110, 10.2.4), with a short version or none.
_PRODUCT = re.compile(r"[A-Za-z][A-Za-z._-]{0,30}(/[0-9]{1,3}(\.[0-9]{1,3}){0,3})?(?=\s|$)")

_TOO_MANY = 429
_KIND_OF_STATUS = dict.fromkeys((500, 502, 503, 504), FailureKind.SERVER_ERROR) | {_TOO_MANY: FailureKind.THROTTLED}

_NOT_SENT = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError"}
_UNSENDABLE = {"UnsupportedProtocol", "LocalProtocolError", "InvalidURL"}
_AIOHTTP_NOT_SENT = {
    "ClientConnectorError", "ConnectionTimeoutError", "ClientHttpProxyError", "ServerFingerprintMismatch",
}  # fmt: skip

#: TLS failures that mean a closed connection, not a permanent incompatibility.
_TRANSIENT_TLS = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
#: Remedies by OpenSSL's codes: not yet valid and expired; made for another name and another IP address.
_CERTIFICATE_FIXES = {9: fixes.DATES, 10: fixes.DATES, 62: fixes.PROJECT_URL, 64: fixes.PROJECT_URL}
#: The most links of a chain of exceptions that are read.
_CHAIN = 8


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


def of_response(call: Facts[Any], response: Any, http_library: ModuleType) -> RawResponse | Failure:
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
    return RawResponse(status, response.headers, body, call.began, len(call.statuses))


def of_exception(call: Facts[Any], error: Exception, http: HttpClient) -> Failure:
    """Return the failure of an attempt that ended with an exception; raise it if it is a user's own."""
    if isinstance(error, BodyTooLargeError):
        call.headers = None
        return _invalid(call, str(error), fix=SHORTER_ANSWERS)
    if call.tokens is not None and call.waits_for_token and not http.client.is_closed:
        raise error  # of the login, or of a user's code in it
    failure = _of_library(call, error, http.http_library)
    if failure is None:
        raise error
    call.headers = None
    return failure


def of_unreadable(call: Facts[Any], error: codec.Malformed, response: RawResponse) -> Failure:
    """Return the failure of a successful response that cannot be decoded."""
    kind = _kind_of_unreadable(call, error, response)
    problem = f"{error} (status {response.status}{call.page}, id {call.correlation_id})"
    failed = invalid_response(call.operation, problem, status=response.status, fix=error.fix)
    failed.is_retryable = kind is not FailureKind.PERMANENT and call.operation.safe_to_repeat
    return Failure(kind=kind, error=failed, may_have_happened=True)


def _kind_of_unreadable(call: Facts[Any], error: codec.Malformed, response: RawResponse) -> FailureKind:
    if response.status == HTTPStatus.NO_CONTENT:
        return FailureKind.PERMANENT  # it has no body, so none was lost: a retry would get the same answer
    if isinstance(error, BrokenJson):
        return FailureKind.INVALID_RESPONSE
    is_read = call.operation.method == "GET" and not call.request.login
    is_foreign = is_read and call.context.answered and not has_data(response.body)
    return FailureKind.FOREIGN if is_foreign else FailureKind.PERMANENT


def timed_out(call: Facts[Any]) -> CareCloudError:
    """Return the error of an attempt that used up the time of its call."""
    if not call.sent:
        problem, fix = (_NO_LOGIN, NO_TOKEN) if call.waits_for_token else (_NO_CONNECTION, NOTHING_ANSWERS)
        return transport_error(RequestTimeoutError, call.operation, f"{problem} (total{call.page})", fix=fix)
    return _no_response(call, "total", sent=True, kind=FailureKind.PERMANENT, timeout=True).error


def _no_response(
    call: Facts[Any],
    text: str,
    *,
    sent: bool,
    kind: FailureKind | None = None,
    timeout: bool = False,
    malformed: bool = False,
    fix: Fix | None = None,
) -> Failure:
    """Return the failure of an attempt without an answer that could be read.

    Args:
        call: the call.
        text: the cause, as it may be shown.
        sent: whether the request may have been sent.
        kind: the kind of the failure; by `sent` if left out.
        timeout: whether it was a timeout.
        malformed: whether the answer is not valid HTTP.
        fix: the remedy, if it is known.
    """
    operation, text = call.operation, text + call.page
    kind = kind or (FailureKind.NO_RESPONSE if sent else FailureKind.NOT_SENT)
    error: TransportError
    if sent and not operation.safe_to_repeat:
        problem = f"sent, and the answer {f'is {_NOT_HTTP}' if malformed else 'was lost'} ({text})"
        error = transport_error(OutcomeUnknownError, operation, problem, fix=LOOK_FIRST)
    elif timeout:
        problem = f"{'no answer in time' if sent else _NO_CONNECTION} ({text})"
        error = transport_error(RequestTimeoutError, operation, problem, fix=None if sent else NOTHING_ANSWERS)
    else:
        problem = "the server hung up" if sent else "the server was not reached"
        if malformed:
            problem, fix = f"the answer is {_NOT_HTTP}", NO_HOST
        error = transport_error(ConnectionFailedError, operation, f"{problem} ({text})", fix=fix)
        error.is_retryable = kind is not FailureKind.PERMANENT
    return Failure(kind=kind, error=error, may_have_happened=sent)


def _invalid(call: Facts[Any], problem: str, *, status: int | None = None, fix: Fix | None = None) -> Failure:
    """Return the failure of an unexpected answer; of redirects, only a 303 may follow a write that happened."""
    may_have_happened = status is None or status == HTTPStatus.SEE_OTHER
    error = invalid_response(call.operation, problem, status=status, fix=fix)
    return Failure(kind=FailureKind.PERMANENT, error=error, may_have_happened=may_have_happened)


def _unsuccessful(call: Facts[Any], response: Any, body: bytes) -> Failure:
    status = response.status_code
    explains_itself = status >= 500 or status == _TOO_MANY or status in SELF_EXPLANATORY
    if not explains_itself and refusal(body) is None:
        return _foreign(call, response, body)
    error = api_error(call, response, body)
    kind = _KIND_OF_STATUS.get(status, FailureKind.PERMANENT)
    if kind is FailureKind.SERVER_ERROR and not call.operation.safe_to_repeat:
        error.is_retryable = False
    may_have_happened = isinstance(error, ServerError)
    return Failure(kind=kind, error=error, may_have_happened=may_have_happened, retry_after=error.retry_after)


def _foreign(call: Facts[Any], response: Any, body: bytes) -> Failure:
    """Return the failure of an answer that CareCloud did not write; what it did, if anything, is not known."""
    status = response.status_code
    problem = f"{_IN_FRONT} with {status} ({_described(call, response, body)})"
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:  # by its meaning the request went no further
        return _invalid(call, problem, status=status, fix=PROXY)
    error = invalid_response(call.operation, problem, status=status, fix=IN_FRONT)
    error.is_retryable = call.operation.safe_to_repeat
    wait = retry_after(response.headers, now=_now(call))
    return Failure(kind=FailureKind.FOREIGN, error=error, may_have_happened=True, retry_after=wait)


def _described(call: Facts[Any], response: Any, body: bytes) -> str:
    """Return what can be said of an answer that CareCloud did not write: `server nginx, a page`.

    Nothing of its text is shown, which may repeat the request.
    """
    product, kind = _PRODUCT.match(response.headers.get("server") or ""), _kind(body)
    return Hiding(call.secrets())(f"server {product[0]}, {kind}" if product else kind)


def _kind(body: bytes) -> str:
    try:
        load(body)
    except BrokenJson:
        return "a text" if body.strip() else "no body"
    except Malformed:
        return "a page"
    return "JSON that is not the API's"


def _refused_token(call: Facts[Any]) -> str:
    """Return the message for a 401."""
    if call.operation.takes_credentials:
        return "the credentials in the call were refused"
    if call.tokens is None:
        return "the server refuses the token that the call was made with"
    if call.replayed:
        return "the server refuses a token that was just renewed, for this operation or because it was revoked"
    return "the server refuses the token, and it refused a new one for this operation a moment ago"


def api_error(call: Facts[Any], response: Any, body: bytes) -> ApiError:
    """Return the typed error of an answer with an error status, whoever wrote it.

    It is bounded in size, and without secrets.
    """
    operation, status, headers, own = call.operation, response.status_code, response.headers, refusal(body)
    cls = _BY_STATUS.get(status) or (ServerError if status >= 500 else ApiError)
    hint, fix = None, None
    if own is not None and call.is_login and refuses_login(status):
        cls, hint, fix = AuthenticationError, "the login was refused", CREDENTIALS
    elif status == UNAUTHORIZED:
        hint = _refused_token(call)
        # Its login succeeded, or another process's: the credentials are probably right.
        fix = None if call.tokens is None or operation.takes_credentials else REVOKED
    elif status == 414:
        hint = "the server finds the query too long: give fewer values, or iterate the listing, which asks in parts"
    elif own is None and body.strip():
        hint = f"{_IN_FRONT} ({_described(call, response, body)})"
        fix = IN_FRONT if status >= 500 and status not in _KIND_OF_STATUS else None
    elif status == HTTPStatus.NOT_FOUND and operation.result_key is not None and not operation.placeholders:
        hint = "this project may not have the list: one without records would be an empty list"
    hide, error = Hiding(call.secrets()), own or {}
    exception = _code(error.get("exception"))
    return cls(
        status=status,
        method=operation.method,
        path=operation.path,
        type=_shown(error.get("type"), hide),
        exception=exception and hide(exception),
        title=_shown(error.get("title"), hide),
        detail=_shown(error.get("detail"), hide),
        invalid_params=_invalid_params(error.get("error_data"), hide),
        retry_after=retry_after(headers, now=_now(call)),
        request_id=request_id(headers, hide),
        hint=hint,
        fix=INTERFACE if fix is None and exception == NO_SUCH_INTERFACE else fix,
    )


def _now(call: Facts[Any]) -> datetime:
    return datetime.fromtimestamp(call.context.clock.time(), UTC)


def _of_library(call: Facts[Any], error: Exception, http_library: ModuleType) -> Failure | None:
    """Return the failure that an exception stands for; `None` if it is not the HTTP library's, but a user's own."""
    sent = call.sent
    if isinstance(error, CareCloudError) or not _is_library_error(error, http_library=http_library, sent=sent):
        return None
    chain = list(_chain(error))
    names = {cls.__name__ for cls in type(error).__mro__}
    if "DecodingError" in names:
        return _invalid(call, f"the answer cannot be unpacked ({type(error).__name__})")
    # Over HTTP/2, a `LocalProtocolError` may also mean that the answer breaks the rules: the request has been sent.
    is_http2 = sent and any(_root(type(link)) == "h2" for link in chain)
    if not is_http2 and (names & _UNSENDABLE or isinstance(error, ValueError | TypeError)):
        text = f"it cannot be sent: {type(error).__name__}"
        return _no_response(call, text, sent=False, kind=FailureKind.PERMANENT)
    # aiohttp's own exception, where there is one, says more than those around it.
    origin = next((link for link in chain if _root(type(link)) == "aiohttp"), None)
    if origin is None:
        sent = sent and names.isdisjoint(_NOT_SENT)
        timeout = "TimeoutException" in names
    else:
        sent = sent and _AIOHTTP_NOT_SENT.isdisjoint(cls.__name__ for cls in type(origin).__mro__)
        timeout = isinstance(origin, TimeoutError)
    cause = None if sent else _permanent_cause(chain)
    if cause is not None:
        return _no_response(call, cause[0], sent=False, kind=FailureKind.PERMANENT, fix=cause[1])
    malformed = sent and any(_is_not_http(link) for link in chain)
    return _no_response(call, _text(origin or error, chain), sent=sent, timeout=timeout, malformed=malformed)


def _is_library_error(error: Exception, *, http_library: ModuleType, sent: bool) -> bool:
    """Return whether an exception comes from an HTTP library, and not from a user's own code."""
    if isinstance(error, (http_library.HTTPError, http_library.StreamError, http_library.InvalidURL)):
        return True
    if _raised_in(error) in NETWORK_PACKAGES:
        return True
    return sent and (_root(type(error)) in NETWORK_PACKAGES or isinstance(error, OSError))


def _root(cls: type) -> str:
    return cls.__module__.partition(".")[0]


def _raised_in(error: Exception) -> str:
    """Return the package that raised: closed pools and invalid headers raise plain RuntimeErrors and ValueErrors."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return "" if traceback is None else str(traceback.tb_frame.f_globals.get("__name__", "")).partition(".")[0]


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    for _ in range(_CHAIN):
        if link is None:
            return
        yield link
        link = link.__cause__ or link.__context__


def _permanent_cause(chain: list[BaseException]) -> tuple[str, Fix] | None:
    """Return why connecting again cannot help, with the remedy; `None` if it can."""
    for link in chain:
        status = _proxy_status(link)
        if status is not None and 400 <= status < 500:
            return f"the proxy refuses with {status}", fixes.PROXY
        if _root(type(link)) == "aiohttp":
            continue  # its TLS errors are only wrappers, and look like ssl's own
        if isinstance(link, ssl.SSLCertVerificationError):
            reason = link.verify_message or "no trust"
            fix = _CERTIFICATE_FIXES.get(link.verify_code, fixes.PRIVATE_CA)
            return f"its certificate cannot be verified, {reason.rstrip('.')}", fix
        if isinstance(link, ssl.SSLError) and not isinstance(link, _TRANSIENT_TLS):
            return f"TLS failed, {link.reason or type(link).__name__}", fixes.TLS
        if isinstance(link, socket.gaierror) and link.errno in {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None)}:
            return "there is no such host", fixes.NO_HOST
    return None


def _is_not_http(link: BaseException) -> bool:
    """Return whether a library could not parse the answer; a truncated answer does not count."""
    name = type(link).__name__
    match _root(type(link)):
        case "aiohttp":
            return name in {"ClientResponseError", "HttpProcessingError"}
        case "h11":
            return name == "RemoteProtocolError" and not str(link).startswith("peer closed connection")
        case "h2" | "httptools":
            return True
    return name == "InvalidURL"  # of a redirect


def _proxy_status(link: BaseException) -> int | None:
    name = type(link).__name__
    if name == "ClientHttpProxyError":
        status = getattr(link, "status", None)
        return status if isinstance(status, int) else None
    if name == "ProxyError" and str(link)[:3].isdigit():
        return int(str(link)[:3])
    return None


def _text(shown: BaseException, chain: list[BaseException]) -> str:
    code = next((link.errno for link in chain if isinstance(link, OSError) and link.errno in errno.errorcode), None)
    name = type(shown).__name__
    return name if code is None else f"{name}, {errno.errorcode[code]}"


def transport_error(kind: type[E], operation: Operation, problem: str, *, fix: Fix | None = None, **more: Any) -> E:
    """Return the error of a call without a usable answer; it names the call."""
    return kind(f"{operation.title}: {problem}", method=operation.method, path=operation.path, fix=fix, **more)


def invalid_response(
    operation: Operation, problem: str, *, status: int | None = None, fix: Fix | None = None
) -> ResponseError:
    """Return the error of an answer that the API does not allow."""
    return transport_error(ResponseError, operation, problem, fix=fix, status=status)


def server_date(headers: Mapping[str, str]) -> datetime | None:
    """Return the `Date` of an answer in UTC: the server's clock (RFC 9110, 6.6.1)."""
    return _http_date(headers.get("date"))


def _http_date(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def retry_after(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Return the seconds that `Retry-After` asks for (RFC 9110, 10.2.3), or `None` if it is absent or unreadable.

    A date counts from the answer's own `Date`, else from `now`. A time in the past is zero.
    """
    text = (headers.get("retry-after") or "").strip()
    if not text:
        return None
    if _SECONDS.fullmatch(text):
        return min(max(float(text), 0.0), _MAX_RETRY_AFTER)
    moment = _http_date(text)
    if moment is None:
        return None
    return max((moment - (server_date(headers) or now)).total_seconds(), 0.0)


def request_id(headers: Mapping[str, str], hide: Callable[[str], str]) -> str | None:
    """Return the server's id of a request, if its answer has one that may be shown."""
    return next((hide(code) for name in _REQUEST_ID_HEADERS if (code := _code(headers.get(name)))), None)


def _shown(value: Any, hide: Hiding) -> str | None:
    return hide(value[:_MAX_TEXT]) if isinstance(value, str) and value else None


def _code(value: Any) -> str | None:
    """Return a value if it looks like a code: codes are shown; prose is not, since it may quote personal data."""
    return value if isinstance(value, str) and _CODE.fullmatch(value) else None


def _label(value: Any) -> str:
    """Return a code, or `unknown` for another value. A long number counts as one: it may be a phone or card number."""
    code = _code(value)
    return "unknown" if code is None or _LONG_NUMBER.fullmatch(code) else code


def _invalid_params(error_data: Any, hide: Hiding) -> tuple[InvalidParam, ...]:
    entries = error_data.get("invalid_params") if isinstance(error_data, dict) else None
    if isinstance(entries, dict):  # PHP turns a list with gaps into an object
        entries = list(entries.values())
    if not isinstance(entries, list):
        return ()
    return tuple(
        InvalidParam(name=hide(_param_name(entry.get("name"))), reason=hide(_label(entry.get("reason"))))
        for entry in entries[:MAX_INVALID_PARAMS]
        if isinstance(entry, dict)
    )


def _param_name(name: Any, *, depth: int = _MAX_NAME_DEPTH) -> str:
    match name:
        case str():
            return _label(name)
        case bool() | None:
            return "unknown"
        case int() | float():
            return _label(str(name))
        case list() if depth:
            return ",".join(_param_name(part, depth=depth - 1) for part in name[:_MAX_NAME])[:_MAX_NAME] or "unknown"
        case dict():
            return ",".join(_label(key) for key in islice(name, _MAX_NAME))[:_MAX_NAME] or "unknown"
    return "unknown"
