"""`run_check`: the stages of a check, in order, each with the findings of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

import anyio
from attrs import define, field

from carecloud_async.auth.device import DeviceToken
from carecloud_async.calls.caller import Caller
from carecloud_async.calls.events import watched
from carecloud_async.check.clock import clock_findings, newest_change, server_now, zone_finding
from carecloud_async.check.connection import connection_findings
from carecloud_async.check.families import FamilyList, ask_families, family_findings
from carecloud_async.check.filters import filter_findings
from carecloud_async.check.login import Login, LoginResult, log_in, login_unfinished, token_life
from carecloud_async.check.order import order_findings
from carecloud_async.check.paging import LargePage, choose_list, page_cap, totals
from carecloud_async.check.probe import MAX_REQUESTS, Probe
from carecloud_async.check.report import CheckFinding, ProjectCheck, good, problem
from carecloud_async.check.schema import Schema
from carecloud_async.check.traffic import traffic_findings
from carecloud_async.runtime.secret_text import secret_text

__all__ = ["run_check"]

_CHANGED: Final = "last_change"


async def run_check(client: Any, caller: Caller, login: Login, *, seconds: float) -> ProjectCheck:
    """Look at a project; see `CareCloud.check`.

    Args:
        client: the client, for the models of its lists.
        caller: makes the calls.
        login: logs in.
        seconds: the longest time.
    """
    context = caller.context
    began = context.clock.monotonic()
    probe = Probe(caller)
    survey = _Survey(client=client, probe=probe, login=login)
    probe.scope = scope = anyio.CancelScope(deadline=anyio.current_time() + seconds)
    with watched(context, probe), scope:
        await survey.look()
    if scope.cancelled_caught:
        if survey.logged_in is None:
            survey.findings.append(login_unfinished(probe))
        if not any(one.name == "rate_limit" for one in survey.findings):
            survey.findings += traffic_findings(probe, None)
        survey.findings.append(_ended(probe, seconds))
    return ProjectCheck(
        findings=tuple(survey.findings), requests=probe.requests, seconds=max(context.clock.monotonic() - began, 0.0)
    )


def _ended(probe: Probe, seconds: float) -> CheckFinding:
    used_up = probe.requests >= MAX_REQUESTS
    why = f"its {MAX_REQUESTS} requests were used up" if used_up else f"its {seconds:g} seconds were over"
    return problem(
        "unexamined",
        f"the check ended early: {why}",
        "what is not named above was not examined",
        "run it again when the server is quiet, or with more time (check(seconds=…), --seconds)",
    )


@define
class _Survey:
    """A check under way, and its findings so far."""

    client: Any
    probe: Probe
    login: Login
    findings: list[CheckFinding] = field(factory=list)
    logged_in: bool | None = None
    families: list[FamilyList] = field(factory=list)
    target: FamilyList | None = None
    large: LargePage | None = None

    async def look(self) -> None:
        """Run the stages; if one fails, the others still run."""
        self.findings += connection_findings(self.probe.caller)
        result = await log_in(self.probe.caller, self.login)
        self.findings.append(result.finding)
        self.logged_in = result.worked
        if not result.worked:
            self.findings += clock_findings(self.probe) if self.probe.times else ()
            self.findings += traffic_findings(self.probe, None)
            return
        manager = self.probe.caller.manager
        if manager is not None and isinstance(manager.provider, DeviceToken):
            # A 401 that is about the customer must not make a new device token, which would end the one in use.
            self.probe.bearer = secret_text((await manager.get()).value)
        await self._stage("families", self._families)
        await self._stage("pages", self._pages)
        await self._stage("order", self._order)
        await self._stage("filters", self._filters)
        await self._stage("clock", lambda: self._clock(result))
        await self._stage("schema", self._schema)
        await self._stage("traffic", self._traffic)

    async def _stage(self, name: str, work: Callable[[], Awaitable[Iterable[CheckFinding]]]) -> None:
        try:
            self.findings += await work()
        except Exception as error:  # noqa: BLE001  (the other stages run even if a strange server breaks this one)
            self.findings.append(
                problem(
                    "unexamined",
                    f"{name} could not be examined: {type(error).__name__}",
                    "the server sent something that the check does not expect",
                    "report this line",
                )
            )

    async def _families(self) -> list[CheckFinding]:
        self.families += await ask_families(self.client, self.probe)
        self.target = choose_list(self.families)
        return family_findings(self.families)

    async def _pages(self) -> list[CheckFinding]:
        if self.target is None:
            empty = "no list with records can be read: pages, order and filters cannot be seen"
            is_readable = any(one.reply.is_page for one in self.families)
            return [good("pages", empty, "run it again when there are records")] if is_readable else []
        self.large = await page_cap(self.target)
        if not self.large.reply.is_page:
            return []
        return [*self.large.findings, await totals(self.target, self.large)]

    async def _order(self) -> list[CheckFinding]:
        if self.target is None or self.large is None or not self.large.reply.is_page:
            return []
        return await order_findings(self.target, self.large)

    async def _filters(self) -> list[CheckFinding]:
        return await filter_findings(self.families, self.target, self.probe.caller.context.random)

    async def _clock(self, result: LoginResult) -> list[CheckFinding]:
        probe = self.probe
        zone = probe.caller.context.project.timezone
        date = None if probe.login_time is None else probe.login_time.date
        pages = [one.reply.records for one in self.families]
        for one in self.families:
            if one.name in {"customers", "purchases"} and one.reply.records:
                latest = await one.ask(count=5, sort_field=_CHANGED, sort_direction="DESC")
                pages.append(latest.records)
        now = server_now(probe)
        zoned = zone_finding(
            zone=zone,
            now=now,
            newest=newest_change(pages, zone=zone, now=now),
            valid_to=result.valid_to if result.ends else None,
            date=date,
        )
        life = token_life(result, date)
        return [*clock_findings(probe), zoned, *([life] if life else [])]

    async def _schema(self) -> list[CheckFinding]:
        schema = Schema()
        for one in self.families:
            schema.look(one.name, one.reply.records, one.into)
        if self.target is not None and self.large is not None:
            schema.look(self.target.name, self.large.reply.records, self.target.into)
        return schema.findings()

    async def _traffic(self) -> list[CheckFinding]:
        return list(traffic_findings(self.probe, None if self.large is None else self.large.reply))
