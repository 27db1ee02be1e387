"""Findings about the settings and the way to the server, which need no request."""

from __future__ import annotations

from collections.abc import Iterator

from carecloud_async._base.project import Project, is_loopback
from carecloud_async._calls.call.caller import Caller
from carecloud_async.check.report import CheckFinding, good, not_known, problem

__all__ = ["connection_findings"]


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
