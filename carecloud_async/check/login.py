"""Findings about the login and the life of its token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

from attrs import frozen

from carecloud_async._base.project import Interface
from carecloud_async._calls.auth.token import MAX_LIFETIME, LoggedIn
from carecloud_async.check.probe import Probe
from carecloud_async.check.report import CheckFinding, good, not_known, problem, warning
from carecloud_async.errors import (
    ApiError,
    ConfigurationError,
    ConnectionFailedError,
    RateLimitError,
    RequestTimeoutError,
    ResponseError,
    ServerError,
)

__all__ = ["Login", "LoginResult", "log_in", "login_unfinished", "token_life"]

Login = Callable[[], Awaitable[LoggedIn]]

_NOTHING: Final = "no export, bulk write or call can work"
_CREDENTIALS: Final = "check login, password and external_application_id with the project's administrator"
#: A token that lives shorter makes a login every few minutes.
_SHORT_LIFE: Final = 300.0


@frozen(kw_only=True)
class LoginResult:
    """The result of a login.

    Attributes:
        worked: whether there is a token.
        ends: whether tokens of this identity end by time.
        valid_to: the end of the token, in UTC by the project's time zone, where it could be read.
        date: the server's clock at the login, in UTC, where its answer showed it.
        last_login: the time of the user's last login, project-local, as the answer says it.
    """

    finding: CheckFinding
    worked: bool = False
    ends: bool = False
    valid_to: datetime | None = None
    date: datetime | None = None
    last_login: datetime | None = None


async def log_in(probe: Probe, login: Login) -> LoginResult:
    """Log in, and return the result; a refusal is a finding.

    Args:
        probe: watches the requests.
        login: logs in.
    """
    interface = probe.caller.interface
    try:
        result = await login()
    except Exception as error:  # noqa: BLE001  (a callable password may raise anything: that is a finding too)
        return LoginResult(finding=_failed(error))
    return LoginResult(
        finding=good("login", f"the {interface} login was accepted", "calls can be made"),
        worked=True,
        ends=interface == Interface.ENTERPRISE,
        valid_to=result.valid_to,
        date=None if probe.login_time is None else probe.login_time.date,
        last_login=None if result.user is None else result.user.last_login,
    )


def login_unfinished(probe: Probe) -> CheckFinding:
    """Return the finding on a login that the end of the check's time cut off."""
    statuses = ", ".join(str(one.status) if one.status is not None else "no answer" for one in probe.sent)
    return problem(
        "login",
        f"the login did not succeed in the time of the check (statuses so far: {statuses or 'none'})",
        _NOTHING,
        "check project_url, the network and the proxy; a status from 500 up or 429 passes, or is the administrator's",
    )


def token_life(result: LoginResult) -> CheckFinding:
    """Return the finding on how long a token lives.

    Args:
        result: the login.
    """
    if not result.ends:
        return good("token_life", "tokens of this identity do not end by time", "they are kept until they are refused")
    if result.valid_to is None:
        return warning(
            "token_life",
            "the login's valid_to is missing or cannot be read",
            "tokens are taken to live 7 hours; where they live shorter, each ends with a 401 and one more login",
            "report the form of valid_to (not its value)",
        )
    if result.date is None:
        return not_known(
            "token_life",
            "the login's answer has no usable Date header, so the life of a token cannot be measured",
            "tokens are taken to live 7 hours; where they live shorter, each ends with a 401 and one more login",
            "let the proxy or web server pass the Date header",
        )
    seconds = (result.valid_to - result.date).total_seconds()
    if seconds <= 0:
        return problem(
            "token_life",
            "the token ended before it began, by timezone= and the server's Date",
            "its end cannot be used: tokens are taken to live 7 hours; changed_since and marks are wrong as well",
            "set timezone= to the project's zone; if it is right, the server's Date is wrong",
        )
    life = _duration(seconds)
    if seconds > MAX_LIFETIME:
        return warning(
            "token_life",
            "the token claims to live for more than a year",
            "such an end is not believed: tokens are taken to live 7 hours",
            "ask the administrator how long tokens live",
        )
    if seconds < _SHORT_LIFE:
        return warning(
            "token_life",
            f"a token lives {life}",
            "long exports and bulk writes log in again every few minutes; several processes without a shared store "
            "log in all the more",
            "share a token store (RedisTokenStore, FileTokenStore), or let the administrator set a longer life",
        )
    return good("token_life", f"a token lives {life}", "it is renewed before its end")


def _duration(seconds: float) -> str:
    if seconds < 2 * 3600:
        return f"{round(seconds / 60)} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"
    return f"{seconds / 3600:.1f} hours"


def _failed(error: Exception) -> CheckFinding:
    # Never the error's own text: a server, a proxy or a callable password can write anything into it.
    match error:
        case ConnectionFailedError() if "certificate" in str(error).lower():
            return problem(
                "tls",
                "the server's certificate was not accepted",
                _NOTHING,
                "check project_url and the host's clock; for a private CA or a proxy that opens TLS set verify= to "
                "its file",
            )
        case ConnectionFailedError():
            seen, fix = "the server was not reached, or hung up", "check project_url, the network and the proxy"
        case RequestTimeoutError():
            seen, fix = "the login was not answered in time", "check project_url, the network and the proxy"
        case RateLimitError():
            seen, fix = "the login was refused with 429: too many requests", "try later; share tokens in a token store"
        case ServerError():
            seen = f"the login failed with status {error.status}, of the project or of a proxy before it"
            fix = "try later; if it stays, check project_url and the proxy, and ask the project's administrator"
        case ResponseError(status=407):
            seen, fix = (
                "a proxy asks for a login of its own (status 407)",
                "give the proxy's user and password in proxy=",
            )
        case ApiError(exception="interface_not_allowed_exception"):
            seen = f"this application may not use the interface (status {error.status})"
            fix = "ask the administrator for an application of this interface"
        case ApiError():
            seen, fix = f"the login was refused with status {error.status}", _CREDENTIALS
        case ResponseError():
            seen = "the login's answer is not CareCloud's: a page of a proxy or of another site, or a broken answer"
            fix = "check project_url; let the proxy pass requests to it (NO_PROXY), or log in at the proxy"
        case ConfigurationError():
            seen, fix = "a setting of the login cannot work", f"{_CREDENTIALS}; client.login() says which setting"
        case _:
            seen = f"the login raised {type(error).__name__}"
            fix = "call client.login() to see the error"
    return problem("login", seen, _NOTHING, fix)
