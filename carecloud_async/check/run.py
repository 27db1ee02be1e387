"""`run_check`: the probes of a check, in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from carecloud_async._calls.call.events import watched
from carecloud_async.check import clock, lists, schema, server
from carecloud_async.check.look import Look
from carecloud_async.check.probe import Probe, finding
from carecloud_async.check.report import CheckFinding, CheckStatus, ProjectCheck

_FIRST: Final = (server.settings, server.tls, server.proxy, server.login)
#: The probes that need a list that can be read.
_LISTS: Final = (
    server.second_login,
    *(lists.page_cap, lists.offset, lists.end, lists.order, lists.id_sort, lists.change_sort),
    *(lists.filters, lists.empty_list, lists.totals, lists.notes),
    *(clock.change_times, lists.page_size),
    *(schema.unknown_fields, schema.unknown_values, server.compression),
)
#: The probes that need a token, and those that need none; nothing more is asked.
_LOGGED_IN: Final = (clock.timezone, server.token_life, server.answers)
_LAST: Final = (clock.clock, server.rate_limit, server.failures, server.latency)
#: Probes whose name is not that of their finding.
_NAMES: Final[Mapping[object, str]] = {lists.id_sort: "sort", lists.change_sort: "sort"}
#: Probes whose faults are believed at once.
_AT_ONCE: Final = {server.login, server.second_login, lists.families, lists.page_size}


async def run_check(look: Look) -> ProjectCheck:
    """Look at a project; see `CareCloud.check`."""
    with watched(look.context, look.traffic):
        findings = await _findings(look, *_FIRST)
        if look.logged_in is not None:
            findings += await _findings(look, lists.families)
            look.end = look.end if look.read else look.end or "no list can be read"
            findings += await _findings(look, *(_LISTS if look.read else ()), *_LOGGED_IN)
        findings += await _findings(look, *_LAST)
    if look.end:
        unexamined = CheckFinding(
            name="unexamined",
            status=CheckStatus.NOT_KNOWN,
            seen=f"the check ended early: {look.end}",
            meaning="what is not known above was not examined, or not twice",
            fix="run it again when the server is quiet, or with more time (check(seconds=…), --seconds)",
        )
        findings.append(unexamined)
    return ProjectCheck(findings=tuple(findings), requests=look.traffic.requests, seconds=look.elapsed)


async def _findings(look: Look, *probes: Probe) -> list[CheckFinding]:
    named = [(_NAMES.get(probe, probe.__name__), probe) for probe in probes]
    return [await finding(look, name, probe, once=probe in _AT_ONCE) for name, probe in named]
