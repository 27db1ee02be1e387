"""Probes of the login, the life of its token, tokens that are not valid, and a second login."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from carecloud_async._base.project import Interface
from carecloud_async._calls.auth.customer import DeviceToken
from carecloud_async._calls.auth.enterprise import EnterpriseCredentials
from carecloud_async._calls.auth.provider import AuthProvider, Send
from carecloud_async._calls.auth.token import MAX_LIFETIME, Token
from carecloud_async.check.look import HeldToken, Look, NotSeen, Reply
from carecloud_async.check.probe import Verdict, bad, probe, warn
from carecloud_async.errors import ApiError, CareCloudError, ResponseError

__all__ = ["dead_token", "login", "second_login", "token_life"]

#: A token that lives shorter makes a login every few minutes.
_SHORT_LIFE: Final = 300.0


@frozen(kw_only=True)
class _Beside(HeldToken):
    """A login of a user whose token is not kept."""

    provider: AuthProvider

    async def obtain(self, send: Send, previous: Token | None) -> Token:
        del previous
        return await self.provider.obtain(send, None)


@probe(
    "login",
    means="without a login no export, bulk write or call can work",
    fix="call client.login() to see the error; check project_url, the network, the proxy and the credentials",
)
async def login(look: Look) -> Verdict:
    """The credentials are right."""
    try:
        with look.bounds():
            look.logged_in = await look.client.login()
    except Exception as error:  # noqa: BLE001  (a callable password may raise anything: that is a finding too)
        # Never the error's own text: a server, a proxy or a callable password can write anything into it.
        status = f" with status {error.status}" if isinstance(error, ApiError | ResponseError) and error.status else ""
        seen = f"{error} (statuses {look.traffic.statuses})" if isinstance(error, NotSeen) else type(error).__name__
        fix = error.fix if isinstance(error, CareCloudError) else None
        return bad(f"the login failed{status}: {seen}", str(fix or ""))
    if isinstance(look.provider, DeviceToken):
        # A 401 that is about the customer must not make a new device token, which would end the one in use.
        look.device_token = look.logged_in.token_id
    return f"the {look.interface} login was accepted"


@probe(
    "token_life",
    means="a token is renewed before its end, and taken to live 7 hours where that is not known",
    fix="ask how long tokens live; let the proxy pass the Date header; share a token store between processes",
)
async def token_life(look: Look) -> Verdict:
    """A token lives until its `valid_to`."""
    life = look.token_life
    if look.interface == Interface.CUSTOMER:
        return "tokens of this identity do not end by time"
    if look.logged_in is None or look.logged_in.valid_to is None:
        return warn("the login's valid_to is missing or cannot be read")
    if life is None:
        raise NotSeen("the login's answer has no usable Date header, so the life of a token cannot be measured")
    seconds = life.total_seconds()
    if seconds <= 0:
        return bad("the token ended before it began, by timezone= and Date", "set timezone= to the project's zone")
    if seconds > MAX_LIFETIME:
        return warn("the token claims to live for more than a year, which is not believed")
    if seconds < _SHORT_LIFE:
        return warn(f"a token lives {seconds:.0f} seconds")
    return f"a token lives {seconds / 3600:.1f} hours"


@probe(
    "dead_token",
    means="after a 401 the SDK logs in again; where any token gets records, no login is needed, or a cache answers",
    fix="tell the project's administrator: the API describes 401; after a revocation call client.login(), or restart",
)
async def dead_token(look: Look) -> Verdict:
    """A token that ended early is answered with 401."""
    reply = await _ask_with(look, look.nowhere)
    if reply.is_page:
        return bad("a made-up token gets the list")
    return "a token that is not valid is answered with 401" if reply.is_dead_token else None


async def _ask_with(look: Look, token: str) -> Reply:
    """Ask for a record with a token; its refusal counts only while the list comes with the valid one."""
    first = next(one for one in look.families if one.is_page)
    reply = await look.ask(first.name, {"count": 1}, token=token)
    if not reply.is_page and not await look.still_comes():
        raise NotSeen("the list itself does not come any more")
    return reply


@probe(
    "second_login",
    means="processes without a shared token store end each other's tokens if a login ends the token before it",
    fix="share one token store between all processes (RedisTokenStore, FileTokenStore); give each service its own user",
)
async def second_login(look: Look) -> Verdict:
    """A second login leaves the first token valid."""
    first = look.logged_in
    if not isinstance(look.provider, EnterpriseCredentials) or first is None:
        raise NotSeen("not tried: a second login of such an identity could end the token in use")
    beside = _Beside(speaks=look.interface, token="", provider=look.provider)
    try:
        with look.bounds():
            look.second_login = second = await look.patient(look.client.acting_as(beside)).login()
    except CareCloudError as error:
        raise NotSeen(f"the second login failed ({type(error).__name__})") from None
    if first.token_id == second.token_id:
        return "a second login gets the same token"
    reply = await _ask_with(look, first.token_id)
    if reply.is_page:
        return "a second login leaves the first token valid"
    return warn("a second login ends the token of the first") if reply.is_dead_token else None
