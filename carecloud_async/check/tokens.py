"""Findings about tokens: how one that is not valid is answered, and whether a second login ends the first token.

No token in use is revoked for it: the first question is asked with a made-up token, the second with the token of the
login before, where a login of this identity ends no other by the vendor's own description.
"""

from __future__ import annotations

from datetime import datetime
from random import Random
from typing import Final

from attrs import evolve, frozen

from carecloud_async._base.project import Interface
from carecloud_async._base.runtime.secret_text import secret_text
from carecloud_async._calls.auth.device import DeviceToken
from carecloud_async._calls.auth.enterprise import EnterpriseCredentials, SsoCredentials
from carecloud_async._calls.auth.provider import AuthProvider
from carecloud_async._calls.auth.token import Token
from carecloud_async._calls.call.caller import Caller
from carecloud_async._calls.call.login import LoginSender
from carecloud_async.check.families import FamilyList
from carecloud_async.check.probe import Probe
from carecloud_async.check.replies import Outcome, Reply
from carecloud_async.check.report import CheckFinding, good, not_known, problem, warning
from carecloud_async.errors import CareCloudError

__all__ = ["SecondLogin", "ask_with_dead_token", "dead_token_finding", "log_in_again"]

_DEAD_MEANS: Final = (
    "the SDK logs in again when a token has ended before its time (an administrator revoked it, the server restarted), "
    "and knows that by status 401; after another answer calls fail until the end that the login announced"
)
_REPORT: Final = (
    "tell the project's administrator: the API describes 401; after a revocation call client.login(), or restart"
)
_NO_GUARD: Final = "records can be read without a valid token, or a cache in front answers regardless of the token"

#: What shows nothing of how a made-up token is answered.
_UNANSWERED: Final = frozenset({Outcome.RATE_LIMITED, Outcome.NO_ANSWER, Outcome.GONE, Outcome.NOT_SENT})

_SECOND_MEANS: Final = (
    "each process and each host without a shared token store logs in by itself: if a login ends the token of the one "
    "before, they end each other's"
)


async def ask_with_dead_token(family: FamilyList, probe: Probe, random: Random) -> Reply:
    """Ask for one record with a made-up token; a refusal counts only while the list comes with the valid one.

    Args:
        family: a list that this user may read.
        probe: sends the request.
        random: where the token comes from.
    """
    reply = await probe.ask_with(secret_text(f"{random.getrandbits(128):032x}"), family.operation, count=1)
    if not (reply.is_page or reply.outcome in _UNANSWERED or await family.still_comes()):
        return evolve(reply, outcome=Outcome.GONE)
    return reply


def dead_token_finding(reply: Reply | None) -> CheckFinding:
    """Return how a token that is not valid is answered.

    Args:
        reply: the answer to a made-up token; `None` if no list can be read with a valid one.
    """
    if reply is None:
        seen = "no list can be read with a valid token, so an invalid one shows nothing"
        return not_known("dead_token", seen, _DEAD_MEANS, "run it again when a list can be read")
    if reply.outcome is Outcome.UNAUTHORIZED:
        return good("dead_token", "a token that is not valid is answered with 401", _DEAD_MEANS)
    if reply.is_page:
        return problem("dead_token", "a made-up token gets the list", _NO_GUARD, "tell the project's administrator")
    if reply.outcome not in _UNANSWERED:
        return warning(
            "dead_token", f"a token that is not valid is not answered with 401: {reply}", _DEAD_MEANS, _REPORT
        )
    return not_known("dead_token", f"a made-up token was not answered by the API: {reply}", _DEAD_MEANS, "run it again")


@frozen(kw_only=True)
class SecondLogin:
    """The result of a second login.

    Attributes:
        finding: whether it ended the first token.
        last_login: the time of the user's last login, project-local, as the second login says it.
    """

    finding: CheckFinding
    last_login: datetime | None = None


async def log_in_again(probe: Probe, family: FamilyList | None) -> SecondLogin:
    """Log in once more without keeping that token, and return whether the token in use is still accepted.

    Args:
        probe: sends the requests.
        family: a list that this user may read, if there is one.
    """
    tokens = probe.caller.tokens
    reason = "this client has no identity" if tokens is None else _not_asked(tokens.provider)
    if tokens is None or reason is not None:
        return _not_seen(f"whether a second login ends the first token was not tried: {reason}")
    if family is None or not probe.has_room():
        return _not_seen("no request can show whether the first token is still valid after a second login")
    try:
        first = await tokens.get()
        second = await _log_in_beside(probe.caller, tokens.provider)
    except CareCloudError as error:
        return _not_seen(f"the second login failed ({type(error).__name__})")
    if first.value == second.value:
        finding = good("second_login", "a second login gets the same token", _SECOND_MEANS)
    else:
        reply = await probe.ask_with(first.value, family.operation, count=1)
        finding = _after_second(reply, comes=reply.is_page or await family.still_comes())
    return SecondLogin(finding=finding, last_login=None if second.user is None else second.user.last_login)


def _after_second(reply: Reply, *, comes: bool) -> CheckFinding:
    """Return what the answer to the first token shows, which was sent after the second login.

    Args:
        reply: the answer.
        comes: whether the list comes with a valid token.
    """
    if reply.is_page:
        return good("second_login", "a second login leaves the first token valid", _SECOND_MEANS)
    if comes and reply.outcome is Outcome.UNAUTHORIZED:
        return warning(
            "second_login",
            "a second login ends the token of the first",
            _SECOND_MEANS,
            "share one token store between all processes (RedisTokenStore, FileTokenStore), and give each service a "
            "user of its own",
        )
    return _not_seen(f"the first token could not be tried after the second login: {reply}").finding


def _not_seen(seen: str) -> SecondLogin:
    fix = "if several processes call the project, share a token store between them"
    return SecondLogin(finding=not_known("second_login", seen, _SECOND_MEANS, fix))


def _not_asked(provider: AuthProvider) -> str | None:
    """Return why a second login of an identity could do harm; `None` if it does none."""
    if isinstance(provider, EnterpriseCredentials):
        return None
    if isinstance(provider, SsoCredentials):
        return "a single sign-on token may be valid only once"
    if isinstance(provider, DeviceToken) or provider.interface == Interface.CUSTOMER:
        return "a new token of a device ends the one in use"
    return "how this identity logs in is the program's own"


async def _log_in_beside(caller: Caller, provider: AuthProvider) -> Token:
    """Log in without the tokens, so that nothing keeps the token."""
    without = Caller(caller.context, interface=caller.interface, options=caller.options)
    return await provider.obtain(LoginSender(without), None)
