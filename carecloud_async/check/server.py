"""Probes of the way to the server, of the login, and of its token beside a second one."""

from __future__ import annotations

from statistics import median
from typing import Final

from carecloud_async._base.project import Interface, is_loopback
from carecloud_async._calls.auth.customer import DeviceToken
from carecloud_async._calls.auth.enterprise import EnterpriseCredentials
from carecloud_async.check.look import LARGE, Came, Look, NotSeen
from carecloud_async.check.probe import Verdict, bad, warn
from carecloud_async.errors import ApiError, CareCloudError, ResponseError

#: A median above it makes an export of a hundred thousand records take minutes, in seconds.
_SLOW: Final = 2.0
#: This many failures, if they are more than half of the requests, are no coincidence.
_MANY: Final = 10


async def settings(look: Look) -> Verdict:
    """The settings can work."""
    http, zone = look.context.http, look.client.project.timezone.key
    library = http.http_library.__name__
    return f"{look.interface} interface, time zone {zone}, {library}, {http.max_connections} connections"


async def tls(look: Look) -> Verdict:
    """Certificates are checked."""
    project, verified = look.client.project, look.context.http.verified
    if not project.origin.startswith("https://"):
        is_here = is_loopback(project.host.rpartition(":")[0] or project.host) or is_loopback(project.host)
        return "plain HTTP on this machine" if is_here else bad("plain HTTP to another machine")
    if verified is None:
        raise NotSeen("HTTPS over a transport or HTTP client of your own, whose certificate checks are not known here")
    return "HTTPS, and certificates are checked" if verified else bad("certificates are not checked (verify=False)")


async def proxy(look: Look) -> Verdict:
    """No proxy answers in place of CareCloud."""
    used = look.context.http.proxy
    if used is None:
        raise NotSeen("the HTTP client or transport is your own: its proxy is not known here")
    return "requests go through a proxy" if used else "requests go to the server directly"


async def answers(look: Look) -> Verdict:
    """CareCloud itself answers."""
    strange = [reply.name for reply in look.families if reply.came in {Came.FOREIGN, Came.OTHER}]
    if strange:
        return bad(f"{', '.join(strange)}: a page of a proxy, a firewall or a login, or not the API's list")
    foreign = sum(reply.came is Came.FOREIGN for reply in look.replies)
    if foreign:
        return warn(f"{foreign} of {len(look.replies)} answers were not CareCloud's, but of something in front of it")
    return "CareCloud itself gave every answer" if look.replies else None


async def rate_limit(look: Look) -> Verdict:
    """The limit lets a check pass."""
    refused, requests = look.traffic.statuses.count(429), look.traffic.requests
    seen = f"{refused or 'none'} of {requests} requests were refused with 429"
    return warn(seen) if refused else seen


async def failures(look: Look) -> Verdict:
    """Every request is answered."""
    statuses = look.traffic.statuses
    failed = sum(status is None or status >= 500 for status in statuses)
    seen = f"{failed or 'none'} of {len(statuses)} requests had no answer or a status from 500 up"
    if failed >= _MANY and 2 * failed > len(statuses):
        return bad(seen)
    return warn(seen) if failed else seen


async def latency(look: Look) -> Verdict:
    """Answers are quick."""
    times = look.traffic.seconds
    if not times:
        return None
    seen = f"half of the answers came within {median(times) * 1000:,.0f} ms, all within {max(times) * 1000:,.0f} ms"
    return warn(seen) if median(times) > _SLOW else seen


async def compression(look: Look) -> Verdict:
    """Large answers are compressed."""
    large = next((reply for reply in look.replies if reply.is_page and reply.params.get("count") == LARGE), None)
    if large is None:
        return None
    used = large.headers.get("content-encoding", "")
    name = next((coding for coding in ("gzip", "br", "zstd", "deflate") if coding in used), None)
    return f"large answers are compressed ({name})" if name else "no compression of large answers was seen"


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
    if look.traffic.dates and look.logged_in.valid_to is not None:
        look.token_life = look.logged_in.valid_to - look.traffic.dates[-1][0]
    if isinstance(look.provider, DeviceToken):
        # A 401 that is about the customer must not make a new device token, which would end the one in use.
        look.device_token = look.logged_in.token_id
    return f"the {look.interface} login was accepted"


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
    return f"a token lives {seconds / 3600:.1f} hours"


async def second_login(look: Look) -> Verdict:
    """A second login leaves the first token valid."""
    first = look.logged_in
    if not isinstance(look.provider, EnterpriseCredentials) or first is None:
        raise NotSeen("not tried: a second login of such an identity could end the token in use")
    plain = look.read[0].name, {"count": 1}
    if (await look.afresh(*plain, token=first.token_id)).came is Came.DEAD_TOKEN:
        fix = "ask the administrator how long tokens live, and which other program logs in as this user"
        return warn("the token of the first login ended while the check ran", fix)
    try:
        with look.bounds():
            look.second_login = second = await look.view().login()
    except CareCloudError as error:
        raise NotSeen(f"the second login failed ({type(error).__name__})") from None
    if first.token_id == second.token_id:
        return "a second login gets the same token"
    reply = await look.afresh(*plain, token=first.token_id)
    if reply.came is Came.DEAD_TOKEN:
        return warn("a second login ends the token of the first")
    return "a second login leaves the first token valid" if reply.is_page else None
