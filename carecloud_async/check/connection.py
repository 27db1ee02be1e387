"""Probes of the way to the server: settings, TLS and proxy; foreign answers, rate limit, latency, compression."""

from __future__ import annotations

from statistics import median
from typing import Final

from carecloud_async._base.project import is_loopback
from carecloud_async.check.look import LARGE, Look, NotSeen
from carecloud_async.check.probe import Verdict, bad, probe, warn

__all__ = ["answers", "compression", "failures", "latency", "proxy", "rate_limit", "settings", "tls"]

#: A median above it makes an export of a hundred thousand records take minutes, in seconds.
_SLOW: Final = 2.0
#: This many failures, if they are more than half of the requests, are no coincidence.
_MANY: Final = 10


@probe("settings", means="the settings can work; whether they fit this project is below")
async def settings(look: Look) -> Verdict:
    """The settings can work."""
    http, zone = look.context.http, look.client.project.timezone.key
    library = http.http_library.__name__
    return f"{look.interface} interface, time zone {zone}, {library}, {http.max_connections} connections"


@probe(
    "tls",
    means="without certificates another server can pose as the project, and get the password, tokens and records",
    fix="give the project's https:// address; remove verify=False, and for a private CA set verify= to its file",
)
async def tls(look: Look) -> Verdict:
    """Certificates are checked."""
    project, verified = look.client.project, look.context.http.verified
    if not project.origin.startswith("https://"):
        is_here = is_loopback(project.host.rpartition(":")[0] or project.host) or is_loopback(project.host)
        return "plain HTTP on this machine" if is_here else bad("plain HTTP to another machine")
    if verified is None:
        raise NotSeen("HTTPS over a transport or HTTP client of your own, whose certificate checks are not known here")
    return "HTTPS, and certificates are checked" if verified else bad("certificates are not checked (verify=False)")


@probe(
    "proxy",
    means="a proxy can answer in place of CareCloud, and cut large answers",
    fix="look at the settings of that client",
)
async def proxy(look: Look) -> Verdict:
    """No proxy answers in place of CareCloud."""
    used = look.context.http.proxy
    if used is None:
        raise NotSeen("the HTTP client or transport is your own: its proxy is not known here")
    return "requests go through a proxy" if used else "requests go to the server directly"


@probe(
    "answers",
    means="such an answer cannot be read, and after a write it is not known whether it happened",
    fix="let the proxy or firewall pass requests (NO_PROXY), and check project_url; else report the names",
)
async def answers(look: Look) -> Verdict:
    """CareCloud itself answers."""
    strange = [one.name for one in look.families if one.is_foreign or (one.is_refused and (one.status or 0) < 400)]
    if strange:
        return bad(f"{', '.join(strange)}: a page of a proxy, a firewall or a login, or not the API's list")
    foreign = sum(one.is_foreign for one in look.replies)
    if foreign:
        return warn(f"{foreign} of {len(look.replies)} answers were not CareCloud's, but of something in front of it")
    return "CareCloud itself gave every answer" if look.replies else None


@probe(
    "rate_limit",
    means="exports and bulk writes find the limit by themselves and slow down; several processes share it",
    fix="give RateLimit(requests_per_second=…) if the limit is known, and RedisRateLimit to several processes",
)
async def rate_limit(look: Look) -> Verdict:
    """The limit lets a check pass."""
    refused, requests = look.traffic.statuses.count(429), look.traffic.requests
    seen = f"{refused or 'none'} of {requests} requests were refused with 429"
    return warn(seen) if refused else seen


@probe(
    "failures",
    means="reads are repeated; a write whose answer is lost ends in OutcomeUnknownError, or as an unknown row",
    fix="look at the network and the proxy; tell the project's administrator",
)
async def failures(look: Look) -> Verdict:
    """Every request is answered."""
    statuses = look.traffic.statuses
    failed = sum(status is None or status >= 500 for status in statuses)
    seen = f"{failed or 'none'} of {len(statuses)} requests had no answer or a status from 500 up"
    if not failed:
        return seen
    return bad(seen) if failed >= _MANY and 2 * failed > len(statuses) else warn(seen)


@probe(
    "latency",
    means="where answers are slow, exports and bulk writes take long, and calls of a user interface are felt",
    fix="run near the project, use the client's cache for reference data, and export at night",
)
async def latency(look: Look) -> Verdict:
    """Answers are quick."""
    times = look.traffic.seconds
    if not times:
        return None
    seen = f"half of the answers came within {median(times) * 1000:,.0f} ms, all within {max(times) * 1000:,.0f} ms"
    return warn(seen) if median(times) > _SLOW else seen


@probe("compression", means="without it exports transfer several times as much; the administrator can turn gzip on")
async def compression(look: Look) -> Verdict:
    """Large answers are compressed."""
    large = next((one for one in look.replies if one.is_page and one.params.get("count") == LARGE), None)
    if large is None:
        return None
    used = large.headers.get("content-encoding", "")
    name = next((one for one in ("gzip", "br", "zstd", "deflate") if one in used), None)
    return f"large answers are compressed ({name})" if name else "no compression of large answers was seen"
