"""`run_check`: the stages of a check, in order, each with the findings of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import anyio

from carecloud_async._base.runtime.secret_text import secret_text
from carecloud_async._calls.auth.device import DeviceToken
from carecloud_async._calls.auth.token import valid_to_utc
from carecloud_async._calls.call.caller import Caller
from carecloud_async._calls.call.events import watched
from carecloud_async._lists.export.reading.times import FIELD, judge_zone, latest_moment, read_time
from carecloud_async.check.change_times import TimeSpellings, says_when_changed, zone_findings
from carecloud_async.check.clock import ZoneEvidence, clock_findings, server_now
from carecloud_async.check.connection import connection_findings, in_front_finding, traffic_findings
from carecloud_async.check.families import FamilyList, ask_families, family_findings
from carecloud_async.check.filters import filter_findings, note_findings
from carecloud_async.check.login import Login, LoginResult, log_in, login_unfinished, token_life
from carecloud_async.check.order import change_order, order_findings
from carecloud_async.check.paging import LARGE, LargePage, choose_list, end_findings, page_cap, short_pages, totals
from carecloud_async.check.probe import MAX_REQUESTS, Probe
from carecloud_async.check.replies import Reply
from carecloud_async.check.report import CheckFinding, ProjectCheck, not_known
from carecloud_async.check.schema import Schema
from carecloud_async.check.tokens import SecondLogin, ask_with_dead_token, dead_token_finding, log_in_again

__all__ = ["run_check"]

#: The lists that change most often in a project that is in use.
_OFTEN_CHANGED: Final = frozenset({"customers", "purchases"})


async def run_check(caller: Caller, login: Login, *, seconds: float) -> ProjectCheck:
    """Look at a project; see `CareCloud.check`.

    Args:
        caller: makes the calls.
        login: logs in.
        seconds: the longest time.
    """
    context = caller.context
    began = context.clock.monotonic()
    probe = Probe(caller)
    survey = _Survey(probe=probe, login=login)
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
    return not_known(
        "unexamined",
        f"the check ended early: {why}",
        "what is not named above was not examined",
        "run it again when the server is quiet, or with more time (check(seconds=…), --seconds)",
    )


class _Survey:
    """A check under way, and its findings so far.

    Args:
        probe: sends the requests.
        login: logs in.

    Attributes:
        logged_in: the first login.
        families: the lists of this user, with their first pages.
        target: the list that is looked at closely; `None` if none will do.
        large: its largest page.
        latest: pages of the latest changes.
        second: the second login.
    """

    def __init__(self, *, probe: Probe, login: Login) -> None:
        self.probe = probe
        self.login = login
        self.findings: list[CheckFinding] = []
        self.logged_in: LoginResult | None = None
        self.families: Sequence[FamilyList] = ()
        self.target: FamilyList | None = None
        self.large: LargePage | None = None
        self.latest: list[tuple[FamilyList, Reply]] = []
        self.second: SecondLogin | None = None

    async def look(self) -> None:
        """Run the stages; if one fails, the others still run."""
        self.findings += connection_findings(self.probe.caller)
        self.logged_in = await log_in(self.probe, self.login)
        self.findings.append(self.logged_in.finding)
        if not self.logged_in.worked:
            self.findings += clock_findings(self.probe) if self.probe.times else ()
            self.findings += traffic_findings(self.probe, None)
            return
        tokens = self.probe.caller.tokens
        if tokens is not None and isinstance(tokens.provider, DeviceToken):
            # A 401 that is about the customer must not make a new device token, which would end the one in use.
            self.probe.bearer = secret_text((await tokens.get()).value)
        for stage in (
            self._ask_families,
            self._ask_pages,
            self._ask_order,
            self._ask_filters,
            self._ask_notes,
            self._ask_changes,
            self._ask_tokens,
            self._compare_clocks,
            self._compare_schema,
            self._measure_traffic,
        ):
            await self._run(stage)

    async def _run(self, stage: Callable[[], Awaitable[Iterable[CheckFinding]]]) -> None:
        try:
            self.findings += await stage()
        except Exception as error:  # noqa: BLE001  (the other stages run even if a strange server breaks this one)
            name = stage.__name__.rpartition("_")[2]
            self.findings.append(
                not_known(
                    "unexamined",
                    f"{name} could not be examined: {type(error).__name__}",
                    "the server sent something that the check does not expect",
                    "report this line",
                )
            )

    async def _ask_families(self) -> list[CheckFinding]:
        self.families = await ask_families(self.probe)
        self.target = choose_list(self.families)
        return family_findings(self.families, of_device=self.probe.bearer is not None)

    async def _ask_pages(self) -> list[CheckFinding]:
        if self.target is None:
            return [_no_list(self.families)]
        self.large = await page_cap(self.target)
        found = [self.large.finding]
        if self.large.reply.is_page:
            found.append(await totals(self.target, self.large))
            found += await end_findings(self.target, self.large)
        return found

    async def _ask_order(self) -> list[CheckFinding]:
        if self.target is None or self.large is None or not self.large.reply.is_page:
            return []
        return await order_findings(self.target, self.large)

    async def _ask_filters(self) -> list[CheckFinding]:
        return await filter_findings(self.families, self.target, self.probe.caller.context.random)

    async def _ask_notes(self) -> list[CheckFinding]:
        return await note_findings(self.families)

    async def _ask_changes(self) -> list[CheckFinding]:
        """Ask for the latest changes of the list that is looked at, and of the two that change most."""
        found = []
        if self.target is not None and self.large is not None:
            reply, finding = await change_order(self.target, self.large)
            self.latest.append((self.target, reply))
            found += [] if finding is None else [finding]
        for one in self.families:
            if one.name in _OFTEN_CHANGED and one is not self.target and one.reply.records:
                self.latest.append((one, await one.ask(count=5, sort_field=FIELD, sort_direction="DESC")))
        times = TimeSpellings(self.probe.caller.context.project.timezone)
        for family, reply in self._all_pages():
            if says_when_changed(family.into):
                times.look(family.name, reply.records)
        return [*found, *times.findings()]

    async def _ask_tokens(self) -> list[CheckFinding]:
        probe = self.probe
        family = next((one for one in self.families if one.reply.is_page), None)
        dead = None if family is None else await ask_with_dead_token(family, probe, probe.caller.context.random)
        self.second = await log_in_again(probe, family)
        return [dead_token_finding(dead), self.second.finding]

    async def _compare_clocks(self) -> list[CheckFinding]:
        login, zone, now = self.logged_in, self.probe.caller.context.project.timezone, server_now(self.probe)
        if login is None:
            return []
        times = [read_time(record.get(FIELD), zone) for _, reply in self._all_pages() for record in reply.records]
        fit = judge_zone(times, date=now, zone=zone)
        evidence = ZoneEvidence(
            zone=zone,
            now=now,
            newest=latest_moment(times, date=now, zone=zone),
            fit=fit,
            login=self._second_login_time(zone),
            valid_to=login.valid_to if login.ends else None,
            date=login.date,
        )
        return [*clock_findings(self.probe), evidence.finding(), *zone_findings(fit, zone), token_life(login)]

    def _second_login_time(self, zone: ZoneInfo) -> datetime | None:
        """Return the last login that the second login's answer says; `None` if the server does not keep it up to date.

        It is the first or the second login of the check if the first login's answer says another one.
        """
        first = None if self.logged_in is None else self.logged_in.last_login
        second = None if self.second is None else self.second.last_login
        return None if second is None or first == second else valid_to_utc(second, zone=zone, after=None)

    async def _compare_schema(self) -> list[CheckFinding]:
        schema = Schema()
        for family, reply in self._all_pages():
            schema.look(family.name, reply, family.into)
        return schema.findings()

    async def _measure_traffic(self) -> list[CheckFinding]:
        short = await short_pages(self.probe, LARGE if self.large is None else self.large.cap)
        found = [*short, *traffic_findings(self.probe, None if self.large is None else self.large.reply)]
        if self.probe.in_front and not any(one.name == "answers" for one in self.findings):
            found.append(in_front_finding(self.probe))
        return found

    def _all_pages(self) -> Iterator[tuple[FamilyList, Reply]]:
        """Yield the pages with records of each list: the first ones, the large one, and those of the latest changes."""
        yield from ((one, one.reply) for one in self.families)
        if self.target is not None and self.large is not None:
            yield self.target, self.large.reply
        yield from self.latest


def _no_list(families: Sequence[FamilyList]) -> CheckFinding:
    if any(one.reply.is_page for one in families):
        seen = "no list that can be read has records"
    else:
        seen = "no list can be read"
    return not_known(
        "pages",
        f"{seen}: pages, order, sorts, filters and times of change cannot be seen",
        "whether exports can be exact is not known",
        "run it again when there are records that this user may read",
    )
