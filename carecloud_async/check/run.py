"""`run_check`: the probes of a check, in order."""

from __future__ import annotations

from typing import Final

from carecloud_async._calls.call.events import watched
from carecloud_async.check import clock, filters, lists, server
from carecloud_async.check.look import Look
from carecloud_async.check.report import CheckFinding, CheckStatus, ProjectCheck

_FIRST: Final = (server.settings, server.tls, server.proxy, server.login)
#: The probes that need a list that can be read.
_LISTS: Final = (
    server.second_login,
    *(lists.page_cap, lists.offset, lists.end, lists.order, lists.id_sort, lists.change_sort),
    *(filters.filters, filters.empty_list, lists.totals, filters.notes),
    *(clock.change_forms, clock.change_zone, lists.page_size),
    *(filters.unknown_fields, filters.unknown_values, server.compression),
)
#: The probes that need a token, and those that need none; nothing more is asked.
_LOGGED_IN: Final = (clock.timezone, server.token_life, server.answers)
_LAST: Final = (clock.clock, server.rate_limit, server.failures, server.latency)


async def run_check(look: Look) -> ProjectCheck:
    """Look at a project; see `CareCloud.check`."""
    with watched(look.context, look.traffic):
        findings = [await probe.run(look) for probe in _FIRST]
        if look.logged_in is not None:
            findings.append(await lists.families.run(look))
            look.end = look.end if look.read else look.end or "no list can be read"
            findings += [await probe.run(look) for probe in (*(_LISTS if look.read else ()), *_LOGGED_IN)]
        findings += [await probe.run(look) for probe in _LAST]
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
