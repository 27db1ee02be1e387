"""`run_check`: the probes of a check, in order."""

from __future__ import annotations

from typing import Final

from carecloud_async._calls.call.events import watched
from carecloud_async.check import clock, connection, filters, lists, login, schema
from carecloud_async.check.families import families
from carecloud_async.check.look import Look
from carecloud_async.check.report import CheckFinding, CheckStatus, ProjectCheck

__all__ = ["run_check"]

_FIRST: Final = (connection.settings, connection.tls, connection.proxy, login.login)
#: The probes that need a list that can be read.
_LISTS: Final = (
    login.dead_token,
    login.second_login,
    lists.page_cap,
    lists.totals,
    lists.offset,
    lists.end,
    lists.order,
    lists.id_sort,
    lists.change_sort,
    filters.filters,
    filters.empty_list,
    filters.notes,
    clock.change_forms,
    clock.change_zone,
    lists.page_size,
    schema.text,
    schema.unknown_fields,
    schema.unknown_values,
    connection.compression,
)
#: The probes that need a token, and those that need none; nothing more is asked.
_LOGGED_IN: Final = (clock.timezone, login.token_life, connection.answers)
_LAST: Final = (
    clock.clock,
    connection.rate_limit,
    connection.failures,
    connection.latency,
)


async def run_check(look: Look) -> ProjectCheck:
    """Look at a project; see `CareCloud.check`."""
    with watched(look.context, look.traffic):
        findings = [await probe.run(look) for probe in _FIRST]
        if look.logged_in is not None:
            findings.append(await families.run(look))
            is_read = any(one.is_page for one in look.families)
            look.end = look.end if is_read else look.end or "no list can be read"
            findings += [await probe.run(look) for probe in (*(_LISTS if is_read else ()), *_LOGGED_IN)]
        findings += [await probe.run(look) for probe in _LAST]
    if look.end:
        findings.append(_ended(look.end))
    return ProjectCheck(findings=tuple(findings), requests=look.traffic.requests, seconds=look.elapsed)


def _ended(why: str) -> CheckFinding:
    return CheckFinding(
        name="unexamined",
        status=CheckStatus.NOT_KNOWN,
        seen=f"the check ended early: {why}",
        meaning="what is not known above was not examined, or not twice",
        fix="run it again when the server is quiet, or with more time (check(seconds=…), --seconds)",
    )
