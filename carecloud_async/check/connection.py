"""Findings about the way to the server: settings, TLS and proxy; rate limit, failures, latency, compression."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Final

from carecloud_async._base.project import Project, is_loopback
from carecloud_async._calls.call.caller import Caller
from carecloud_async.check.probe import Probe
from carecloud_async.check.replies import Reply
from carecloud_async.check.report import CheckFinding, good, not_known, problem, warning

__all__ = ["connection_findings", "in_front_finding", "traffic_findings"]

#: A median above it makes an export of a hundred thousand records take minutes, in seconds.
_SLOW: Final = 2.0
#: This many failures, if they are more than half of the requests, are no coincidence.
_MANY: Final = 10


def connection_findings(caller: Caller) -> Iterator[CheckFinding]:
    """Yield the findings on settings, TLS and proxy."""
    context = caller.context
    project, http = context.project, context.http
    yield good(
        "settings",
        f"{caller.interface} interface, time zone {project.timezone.key}, {http.http_library.__name__}, "
        f"{http.max_connections} connections",
        "the settings can work; whether they fit this project is below",
    )
    yield _tls(project, verified=http.verified)
    if http.proxy is None:
        yield not_known(
            "proxy",
            "the HTTP client or transport is the caller's own: its proxy is not known here",
            "a proxy can answer in place of CareCloud, and cut large answers",
            "look at the settings of that client",
        )
    elif http.proxy:
        yield good(
            "proxy", "requests go through a proxy", "exports need one that lets large answers pass; see latency below"
        )
    else:
        yield good("proxy", "requests go to the server directly", "nothing stands between")


def _tls(project: Project, *, verified: bool | None) -> CheckFinding:
    if not project.origin.startswith("https://"):
        host = project.host.rpartition(":")[0] or project.host
        if is_loopback(host) or is_loopback(project.host):
            return good("tls", "plain HTTP on this machine", "nothing leaves the machine")
        return problem(
            "tls",
            "plain HTTP to another machine",
            "tokens, passwords and records can be read on the way",
            "give the project's https:// address; http:// is for a sandbox in a private network",
        )
    if verified is False:
        return problem(
            "tls",
            "certificates are not checked (verify=False)",
            "another server can pose as the project, and gets the password, tokens and records",
            "remove verify=False; for a private CA set verify= to its file",
        )
    if verified is None:
        return not_known(
            "tls",
            "HTTPS over the caller's own transport or HTTP client, whose certificate checks are not known here",
            "without such checks another server could pose as the project",
            "make sure that it makes them",
        )
    return good("tls", "HTTPS, and certificates are checked", "tokens and records cannot be read on the way")


def traffic_findings(probe: Probe, large: Reply | None) -> Iterator[CheckFinding]:
    """Yield what the requests of the whole check showed.

    Args:
        probe: which sent them.
        large: the largest page.
    """
    yield _rate_limit(probe)
    failed = sum(one.status is None or one.status >= 500 for one in probe.sent)
    if failed:
        level = problem if failed >= _MANY and 2 * failed > len(probe.sent) else warning
        yield level(
            "failures",
            f"{failed} of {len(probe.sent)} requests had no answer or a status from 500 up",
            "reads are repeated; a write whose answer is lost ends in OutcomeUnknownError, in a bulk write as a row "
            "whose outcome is unknown",
            "look at the network and the proxy; tell the project's administrator",
        )
    answered = [one.seconds for one in probe.sent if one.status is not None]
    if answered:
        yield _latency(median(answered), max(answered))
    if large is not None and large.is_page:
        yield _compression(large)


def in_front_finding(probe: Probe) -> CheckFinding:
    """Return the finding on a proxy or gateway in front of CareCloud, which answered at least once."""
    return warning(
        "answers",
        f"{probe.in_front} of {len(probe.sent)} answers were not CareCloud's: a page of HTML, a redirect, or a refusal "
        "in other words than the API's",
        "such an answer is an error, and after a write it is not known whether it happened",
        "look at the proxy or firewall in front of the project, and at its limits",
    )


def _rate_limit(probe: Probe) -> CheckFinding:
    bare, with_wait = probe.throttled_bare, probe.throttled_with_wait
    if not bare + with_wait:
        return good(
            "rate_limit",
            f"none of {probe.requests} requests was refused with 429",
            "the limit is higher than this check asks; exports and bulk writes find it by themselves",
        )
    how = "without Retry-After" if bare else "with Retry-After"
    return warning(
        "rate_limit",
        f"{bare + with_wait} of {probe.requests} requests were refused with 429, {bare} of them without Retry-After",
        f"429 come {how}: exports and bulk writes slow down until they fit; several processes share the limit",
        "give RateLimit(requests_per_second=…) if the administrator knows the limit, and RedisRateLimit where several "
        "processes call the project",
    )


def _latency(middle: float, longest: float) -> CheckFinding:
    seen = f"half of the answers came within {_milliseconds(middle)}, all within {_milliseconds(longest)}"
    if middle > _SLOW:
        return warning(
            "latency",
            seen,
            "exports and bulk writes take long; calls of a user interface are felt",
            "run near the project, use the client's cache for reference data, and export at night",
        )
    return good("latency", seen, "exports and calls are not held up")


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"


def _compression(large: Reply) -> CheckFinding:
    encoding = {name.lower(): value for name, value in large.headers.items()}.get("content-encoding", "").lower()
    names = [one for one in ("gzip", "br", "zstd", "deflate") if one in encoding]
    if names:
        return good("compression", f"large answers are compressed ({names[0]})", "exports save most of the traffic")
    return good(
        "compression",
        "no compression of large answers was seen",
        "exports transfer several times as much; the administrator can turn gzip on",
    )
