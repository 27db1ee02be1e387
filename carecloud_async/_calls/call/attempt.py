"""One attempt of a call: send a request, and return its response or a classified failure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from types import ModuleType
from typing import Any

import anyio

from carecloud_async._base.codec.answers import refusal, success_refusal
from carecloud_async._base.codec.json_text import load
from carecloud_async._base.runtime.clock import Clock
from carecloud_async._base.runtime.event_loops import cancellation_requested
from carecloud_async._calls.auth.login_backoff import refuses_login
from carecloud_async._calls.auth.token import Token
from carecloud_async._calls.auth.tokens import UNAUTHORIZED, Tokens
from carecloud_async._calls.call.call_errors import invalid_response, parse_error, retry_after, transport_error
from carecloud_async._calls.call.call_secrets import Hiding
from carecloud_async._calls.call.failures import TransportFailure, classify, is_library_error
from carecloud_async._calls.call.foreign import SELF_EXPLANATORY, describe_foreign, words_of
from carecloud_async._calls.call.limiter_turns import LimiterTurns
from carecloud_async._calls.call.operation import RawResponse
from carecloud_async._calls.call.report import CallReport
from carecloud_async._calls.call.retry import Failure, FailureKind
from carecloud_async._calls.http.bodies import BodyTooLargeError
from carecloud_async._calls.http.client import HttpClient
from carecloud_async._calls.http.departure import Departure
from carecloud_async._calls.http.outgoing import OutgoingRequest
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

_TOO_MANY = 429
_KIND_OF_STATUS = dict.fromkeys((500, 502, 503, 504), FailureKind.SERVER_ERROR) | {_TOO_MANY: FailureKind.THROTTLED}


class Attempt:
    """A request that is ready to be sent.

    Args:
        request: what is sent; a second time after a 401, with another token.
        report: the report of the call that it belongs to; it is the last attempt there.
        tokens: the identity's tokens, or `None` for a request that brings its own token or none.
        turns: waits until its requests may be sent.

    Attributes:
        sent: whether the request may have had an effect: true from the moment of sending, false again after a refusal
            that is due to the token.
        headers: the headers of the last response, whatever its status.
    """

    __slots__ = (
        "_began",
        "_call",
        "_clock",
        "_handed_over",
        "_number",
        "_replays",
        "_report",
        "_tokens",
        "_turns",
        "headers",
        "request",
        "sent",
    )

    def __init__(
        self,
        request: OutgoingRequest,
        report: CallReport,
        *,
        tokens: Tokens | None,
        turns: LimiterTurns,
        clock: Clock,
    ) -> None:
        self._call = report.call
        self._tokens = tokens
        self._replays = 0  # with another token than the first one
        self._report = report
        self._turns = turns
        self._clock = clock
        self._number = len(report.statuses)
        self._began = clock.monotonic()
        self._handed_over = False  # whether the HTTP library has the request, and has not answered it yet
        self.request: OutgoingRequest = request
        self.sent: bool = False
        self.headers: Mapping[str, str] | None = None

    @property
    def _is_login(self) -> bool:
        return self._call.request.login and not self._call.operation.path.endswith("/logout")

    async def send(self, http: HttpClient) -> RawResponse | Failure:
        """Send the request, and once more after a refusal that another token may cure.

        Raises:
            CareCloudError: its login failed.
            Exception: raised by a user's own code: a provider, a hook, a transport.
        """
        request, tokens, title = self.request, self._tokens, self._call.operation.title
        token: Token | None = None
        try:
            if tokens is not None and self._call.operation.authorized:
                token = tokens.current() or await self._wait_for_token(tokens)
            while True:  # until an answer that no other token would change
                if token is not None:
                    request.set_bearer(token.value)
                    self._report.secrets.tokens.append(token.value)
                departure = request.departure = Departure(self._turns.check_age)
                self._handed_over = True
                try:
                    await self._turns.leave(http.permits)
                    self.sent = True  # from here on, no response may mean that a write succeeded
                    response = await http.send(request)
                except BaseException:
                    if departure.is_promised and not departure.happened:
                        self.sent = False  # there was no connection yet
                    raise
                finally:
                    self._turns.return_permit()
                    request.departure = None  # it refers to this attempt
                self._handed_over = False
                if tokens is None:
                    break
                if response.status_code != UNAUTHORIZED:
                    if 200 <= response.status_code <= 299:
                        tokens.on_served(title)
                    break
                another = await self._after_401(tokens, token, _body(response, http.http_library) or b"")
                if another is None:
                    break
                token = another
                self._report.notify("attempt_resent", self._number, request.headers, response.status_code)
        except anyio.get_cancelled_exc_class():
            if cancellation_requested() or not http.client.is_closed:
                raise
            return self._no_response(
                TransportFailure(kind=FailureKind.PERMANENT, sent=self.sent, text="the connection pool was closed")
            )
        except BodyTooLargeError as error:
            return self._invalid(str(error))
        except Exception as error:  # noqa: BLE001  (classified there, and raised if it is not the HTTP library's)
            return self._failed(error, http)
        return self._received(response, http.http_library)

    async def _wait_for_token(self, tokens: Tokens) -> Token:
        return await tokens.get(on_wait=partial(self._report.notify, "login_awaited"))

    async def _after_401(self, tokens: Tokens, token: Token | None, body: bytes) -> Token | None:
        operation = self._call.operation
        self.sent = refusal(body) is None  # a request that CareCloud refused so had no effect
        if not tokens.renews_after(body, repeatable=operation.safe_to_repeat):
            return None
        if token is None:
            return await self._wait_for_token(tokens)
        on_wait = partial(self._report.notify, "login_awaited")
        another = await tokens.after_401(token, operation.title, replays=self._replays, on_wait=on_wait)
        self._replays += another is not None
        return another

    def timed_out(self) -> CareCloudError:
        """Return the error of an attempt that used up the time of its call."""
        if not self.sent:
            problem = f"{_NO_CONNECTION if self._handed_over else _NO_LOGIN} (total{self._call.page})"
            return transport_error(RequestTimeoutError, self._call.operation, problem, fix=NOTHING_ANSWERS)
        return self._error(TransportFailure(kind=FailureKind.PERMANENT, sent=True, timeout=True, text="total"))

    def _received(self, response: Any, http_library: ModuleType) -> RawResponse | Failure:
        self.headers = response.headers
        body = _body(response, http_library)
        status = response.status_code
        if 300 <= status <= 399:
            problem = f"the server redirects ({status}), which the API never does"
            return self._invalid(problem, status=status, fix=PROJECT_URL)
        if not 200 <= status <= 299:
            return self._unsuccessful(response, body or b"")
        if body is None:
            return self._invalid(_CONSUMED)
        if self._is_login and success_refusal(body):
            return self._unsuccessful(response, body)
        return RawResponse(status, response.headers, body, self._began, self._number)

    def _failed(self, error: Exception, http: HttpClient) -> Failure:
        """Return the failure of an attempt that ended with an exception; raise it if it is a user's own."""
        if self._tokens is not None and not self.sent and not self._handed_over and not http.client.is_closed:
            # The token was not there yet: the code that fetches it failed, perhaps at another server. `sent=True` also
            # recognizes an `OSError`, and an error of an HTTP library that a user's own code raises.
            own = isinstance(error, CareCloudError)
            if own or not is_library_error(error, http_library=http.http_library, sent=True):
                raise error
            problem = f"not sent: the code that fetches the credentials failed ({type(error).__name__})"
            failed = transport_error(TransportError, self._call.operation, problem)
            failed.__cause__ = error
            return Failure(kind=FailureKind.PERMANENT, error=failed)
        cause = classify(error, http_library=http.http_library, sent=self.sent)
        if cause is None:
            raise error
        if cause.cannot_unpack:
            return self._invalid(f"the answer cannot be unpacked ({cause.text})")
        return self._no_response(cause)

    def _no_response(self, cause: TransportFailure) -> Failure:
        return Failure(kind=cause.kind, error=self._error(cause), may_have_happened=cause.sent)

    def _error(self, cause: TransportFailure) -> TransportError:
        operation = self._call.operation
        text = cause.text + self._call.page
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

    def _invalid(self, problem: str, *, status: int | None = None, fix: Fix | None = None) -> Failure:
        """Return the failure of an unexpected answer; of redirects, only a 303 may follow a write that happened."""
        may_have_happened = status is None or status == HTTPStatus.SEE_OTHER
        error = invalid_response(self._call.operation, problem, status=status, fix=fix)
        return Failure(kind=FailureKind.PERMANENT, error=error, may_have_happened=may_have_happened)

    def _unsuccessful(self, response: Any, body: bytes) -> Failure:
        status, own = response.status_code, refusal(body)
        explains_itself = status >= 500 or status == _TOO_MANY or status in SELF_EXPLANATORY
        if own is None and not explains_itself:
            return self._foreign(response, body)
        error = self._api_error(response, body, is_own=own is not None)
        kind = _KIND_OF_STATUS.get(status, FailureKind.PERMANENT)
        if kind is FailureKind.SERVER_ERROR and not self._call.operation.safe_to_repeat:
            error.is_retryable = False
        may_have_happened = isinstance(error, ServerError)
        return Failure(kind=kind, error=error, may_have_happened=may_have_happened, retry_after=error.retry_after)

    def _foreign(self, response: Any, body: bytes) -> Failure:
        """Return the failure of an answer that CareCloud did not write; what it did, if anything, is not known."""
        status = response.status_code
        problem = f"{_IN_FRONT} with {status} ({self._described(response, body)})"
        if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:  # by its meaning the request went no further
            return self._invalid(problem, status=status, fix=PROXY)
        error = invalid_response(self._call.operation, problem, status=status, fix=IN_FRONT)
        error.is_retryable = self._call.operation.safe_to_repeat
        return Failure(
            kind=FailureKind.FOREIGN, error=error, may_have_happened=True, retry_after=self._retry_after(response)
        )

    def _described(self, response: Any, body: bytes) -> str:
        request, secrets = self._call.request, self._report.secrets.texts()
        sent = load(self._call.body) if self._call.body else None
        hidden = words_of(request.path_params, request.params, sent, secrets)
        return describe_foreign(response.status_code, response.headers, body, hidden=hidden)

    def _refusal(self) -> str:
        """Return the message for a 401."""
        if self._call.operation.takes_credentials:
            return "the credentials in the call were refused"
        if self._tokens is None:
            return "the server refuses the token that the call was made with"
        if self._replays:
            return "the server refuses a token that was just renewed, for this operation or because it was revoked"
        return "the server refuses the token, and it refused a new one for this operation a moment ago"

    def _api_error(self, response: Any, body: bytes, *, is_own: bool) -> ApiError:
        """Return the error of an answer; `is_own` says whether CareCloud wrote it."""
        operation, status = self._call.operation, response.status_code
        refused_login = is_own and self._is_login and refuses_login(status)
        hint, fix = None, None
        if refused_login:
            hint, fix = "the login was refused", CREDENTIALS
        elif status == UNAUTHORIZED:
            hint = self._refusal()
            # Its login succeeded, or another process's: the credentials are probably right.
            fix = None if self._tokens is None or operation.takes_credentials else REVOKED
        elif status == 414:
            hint = "the server finds the query too long: give fewer values, or iterate the listing, which asks in parts"
        elif not is_own and body.strip():
            hint = f"{_IN_FRONT} ({self._described(response, body)})"
            fix = IN_FRONT if status >= 500 and status not in _KIND_OF_STATUS else None
        elif status == HTTPStatus.NOT_FOUND and operation.result_key is not None and not operation.placeholders:
            hint = "the API answers a list that is empty with an empty list"
        return parse_error(
            status,
            response.headers,
            body,
            method=operation.method,
            path=operation.path,
            now=self._now(),
            kind=AuthenticationError if refused_login else None,
            hint=hint,
            fix=fix,
            hide=Hiding(self._report.secrets.texts()),
        )

    def _retry_after(self, response: Any) -> float | None:
        return retry_after(response.headers, now=self._now())

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.time(), UTC)


def _body(response: Any, http_library: ModuleType) -> bytes | None:
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
