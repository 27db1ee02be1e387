"""Every exception the SDK raises.

```text
CareCloudError
├── ConfigurationError          also a ValueError: an argument or setting that cannot work
│   ├── InterfaceError          this interface has no such operation; nothing was sent
│   └── ReadOnlyError           the client only reads; nothing was sent
├── ClientClosedError           the client was closed
├── WrongEventLoopError         the client belongs to another event loop, thread or process
├── TransportError              nothing usable came back
│   ├── ConnectionFailedError   the server was not reached, or hung up
│   ├── RequestTimeoutError     also a TimeoutError
│   └── OutcomeUnknownError     a write was sent, and whether it happened is not known
├── ResponseError               the answer is not what the API promises
├── TokenStoreError             the token store cannot be reached or used
├── DeviceTokenConflictError    a device's token was refused twice within a minute
├── ExportError                 an export cannot start or go on
├── ConflictError               the record is not in the expected state
└── ApiError                    the server refused: status, type, reasons
    ├── BadRequestError         400
    ├── AuthenticationError     401, or a login that was refused
    │   └── SessionExpiredError a customer session that cannot be renewed
    ├── PermissionDeniedError   403
    ├── NotFoundError           404
    ├── MethodNotAllowedError   405
    ├── RateLimitError          429
    └── ServerError             5xx
```

What may be shown: `str` and `repr` hold the status, the method, the path template (never the URL: it can carry a token)
and the reasons. What the server wrote in prose (`.detail`) is an attribute only, and offending values are not kept.
"""

from __future__ import annotations

from typing import Any, Self, TypeVar

from attrs import frozen

from carecloud_async import fixes
from carecloud_async.fixes import Fix

__all__ = [
    "ApiError",
    "AuthenticationError",
    "BadRequestError",
    "CareCloudError",
    "ClientClosedError",
    "ConfigurationError",
    "ConflictError",
    "ConnectionFailedError",
    "DeviceTokenConflictError",
    "ExportError",
    "InterfaceError",
    "InvalidParam",
    "MethodNotAllowedError",
    "NotFoundError",
    "OutcomeUnknownError",
    "PermissionDeniedError",
    "RateLimitError",
    "ReadOnlyError",
    "RequestTimeoutError",
    "ResponseError",
    "ServerError",
    "SessionExpiredError",
    "TokenStoreError",
    "TransportError",
    "WrongEventLoopError",
]


E = TypeVar("E", bound="CareCloudError")

#: How many invalid parameters the text of an error names; all that are kept are in `.invalid_params`.
MAX_SHOWN_PARAMS = 20

#: The beginning and the end of the paths of customers' logins.
_CUSTOMER_LOGIN = ("/tokens/{token_id}/actions/", "login")


def _rebuild(cls: type[E], args: tuple[Any, ...], state: dict[str, Any]) -> E:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class CareCloudError(Exception):
    """The root of everything this SDK raises. Pickles and copies with all its attributes.

    Attributes:
        is_retryable: whether the same call may succeed later, unchanged.
        may_have_happened: whether the call was a write that may have been carried out: its answer was lost, was a 5xx
            or could not be read. `False` for what was refused or never sent, and for reads, logins and logouts.
        correlation_id: the id of the call in this client's log records; `None` for what no call raised.
        report: what was written before the error, from calls that write several records: a `CatalogueReport`, a
            `BatchReport` or a `CreatedCustomer`; otherwise `None`.
        fix: what to do about it, a setting or a step, as data. `str` ends with it, unless all errors of the class have
            the same one.
    """

    is_retryable: bool = False
    may_have_happened: bool = False
    correlation_id: str | None = None
    report: Any = None
    fix: Fix | None = None

    def __init__(self, *args: object, fix: Fix | None = None) -> None:
        super().__init__(*args)
        if fix is not None:
            self.fix = fix

    def __str__(self) -> str:
        return f"{self.problem}: {self.fix}" if "fix" in self.__dict__ else self.problem

    @property
    def problem(self) -> str:
        """The text without the fix."""
        return super().__str__()

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, dict(self.__dict__))

    def fresh(self) -> Self:
        """Return a copy without traceback, for one error that must reach several callers."""
        return _rebuild(type(self), self.args, dict(self.__dict__))


class ConfigurationError(CareCloudError, ValueError):
    """An argument or a setting cannot work; the message names the fix."""


class InterfaceError(ConfigurationError):
    """The operation does not exist on the interface of this identity; nothing was sent."""


class ReadOnlyError(ConfigurationError):
    """The call may change something, and the client or view is read-only; nothing was sent."""


class ClientClosedError(CareCloudError):
    """The client was closed; make a new one."""


class WrongEventLoopError(CareCloudError):
    """The client was opened in another event loop, thread or process; make one client for each."""


class TransportError(CareCloudError):
    """Nothing usable came back from the server.

    Attributes:
        method: the HTTP method.
        path: the path template of the operation.
    """

    is_retryable = True

    def __init__(self, message: str, *, method: str = "", path: str = "", fix: Fix | None = None) -> None:
        super().__init__(message, fix=fix)
        self.method = method
        self.path = path


class ConnectionFailedError(TransportError):
    """The server could not be reached, or hung up before it answered."""

    fix: Fix | None = fixes.ADDRESS


class RequestTimeoutError(TransportError, TimeoutError):
    """A connect, read or total timeout passed."""

    fix: Fix | None = fixes.SMALLER_PAGES


class OutcomeUnknownError(TransportError):
    """A write that must not be repeated was sent, and whether it happened is not known.

    Its answer was lost, was a 5xx or could not be read; where an answer came, `__cause__` is its `ServerError` or
    `ResponseError`. Look the record up before sending it again.
    """

    is_retryable = False
    may_have_happened = True
    fix: Fix | None = fixes.LOOK_FIRST


class ResponseError(CareCloudError):
    """The answer is not what the API promises: broken JSON, HTML, no `data`.

    With a 4xx it is an answer that CareCloud did not write, but a proxy, a firewall or another server: no verdict on a
    record, a login, a session or a right.

    Attributes:
        method: the HTTP method.
        path: the path template of the operation.
        status: the HTTP status of the answer, if there was one.
    """

    fix: Fix | None = fixes.NOT_THE_API

    def __init__(
        self, message: str, *, method: str = "", path: str = "", status: int | None = None, fix: Fix | None = None
    ) -> None:
        super().__init__(message, fix=fix)
        self.method = method
        self.path = path
        self.status = status


class TokenStoreError(CareCloudError):
    """The token store cannot be reached or used."""

    is_retryable = True


class DeviceTokenConflictError(CareCloudError):
    """A device's token was refused twice within a minute; no third token is created.

    Either another program creates tokens for the same device, and each of them invalidates ours, or the tokens were
    logged out or revoked.
    """


class ExportError(CareCloudError):
    """An export cannot start or go on; what was there before is untouched."""


class ConflictError(CareCloudError):
    """The record is not in the expected state. Read it and decide what to change.

    Raised by `update(…, if_unchanged=record)`, by an `update` whose answer was lost while another writer changed the
    record, and by workflows, for example for a card that another customer holds. Nothing was written unless
    `may_have_happened` says so.

    Attributes:
        fields: the fields that differ, nested ones dotted; never their values.
    """

    def __init__(self, message: str, *, fields: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.fields = fields


@frozen(kw_only=True)
class InvalidParam:
    """One entry of `error_data.invalid_params`; the offending value is left out.

    Attributes:
        name: the parameter as text (the API also sends lists, numbers and objects).
        reason: the API's reason code, an open set (`already_exists`, `required`, `not_found` …).
    """

    name: str
    reason: str


class ApiError(CareCloudError):
    """The server answered with an error.

    Attributes:
        status: the HTTP status.
        method: the HTTP method.
        path: the path template of the operation.
        type, exception, title: the API's own words, where given.
        detail: the API's prose; may hold personal data and is therefore in neither `str` nor `repr`.
        invalid_params: the parameters that the API refused, each with its name and reason; never a value.
        reasons: the same as `invalid_params`.
        retry_after: seconds the server asked to wait, or `None`.
        request_id: the server's id of the request, where it sends one.
    """

    def __init__(
        self,
        *,
        status: int,
        method: str,
        path: str,
        type: str | None = None,  # noqa: A002  (the API's own name)
        exception: str | None = None,
        title: str | None = None,
        detail: str | None = None,
        invalid_params: tuple[InvalidParam, ...] = (),
        retry_after: float | None = None,
        request_id: str | None = None,
        hint: str | None = None,
        fix: Fix | None = None,
    ) -> None:
        self.status = status
        self.method = method
        self.path = path
        self.type = type
        self.exception = exception
        self.title = title
        self.detail = detail
        self.invalid_params = invalid_params
        self.retry_after = retry_after
        self.request_id = request_id
        super().__init__(self._describe(hint), fix=fix)

    def _describe(self, hint: str | None) -> str:
        words = [f"{self.status} on {self.method} {self.path}" if self.method else str(self.status)]
        if self.exception:
            words.append(f"({self.exception})")
        if self.invalid_params:
            shown = [f"{param.name}: {param.reason}" for param in self.invalid_params[:MAX_SHOWN_PARAMS]]
            more = len(self.invalid_params) - len(shown)
            words.append("[" + ", ".join([*shown, f"and {more} more"] if more else shown) + "]")
        if self.request_id:
            words.append(f"request id {self.request_id}")
        return " ".join(words) + (f" - {hint}" if hint else "")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self}>"

    @property
    def reasons(self) -> tuple[InvalidParam, ...]:
        """The parameters that the API refused and why, in its order: `.name` and `.reason` of each."""
        return self.invalid_params

    def has_reason(self, reason: str, *, name: str | None = None) -> bool:
        """Return whether the server gave this reason code, for the parameter `name` if one is given."""
        return any(p.reason == reason and (name is None or p.name == name) for p in self.invalid_params)


class BadRequestError(ApiError):
    """400: the server rejected the parameters; see `.reasons`."""

    fix: Fix | None = fixes.VALUES


class AuthenticationError(ApiError):
    """401 after a fresh login, or a login that was refused."""

    fix: Fix | None = fixes.CREDENTIALS

    @property
    def login_refused(self) -> bool:
        """Whether a customer's login was refused: a wrong e-mail, password or token of a social network.

        `False` if the application's own credentials were refused (its id, its API user): the customer cannot help.
        """
        start, end = _CUSTOMER_LOGIN
        return self.path.startswith(start) and self.path.endswith(end)


class SessionExpiredError(AuthenticationError):
    """The customer's session is over and cannot be renewed: ask the customer to log in again."""

    fix: Fix | None = None

    @property
    def login_refused(self) -> bool:
        """`False`: a session ended, whether or not another login was tried."""
        return False


class PermissionDeniedError(ApiError):
    """403: this identity may not do that."""

    fix: Fix | None = fixes.PERMISSION


class NotFoundError(ApiError):
    """404: no such record or path."""

    fix: Fix | None = fixes.IDS


class MethodNotAllowedError(ApiError):
    """405: the path exists, the method does not."""


class RateLimitError(ApiError):
    """429: too many requests; `.retry_after` says when to come back, if the server does.

    Also raised, with nothing sent, when the wait at the client's own rate limiter is longer than `Timeout.limiter`.
    """

    is_retryable = True
    fix: Fix | None = fixes.SLOW_DOWN


class ServerError(ApiError):
    """5xx: the server failed."""

    is_retryable = True
    fix: Fix | None = fixes.TRY_LATER
