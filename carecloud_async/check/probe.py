"""Run a probe: the question whether one assumption about a project holds; what no answer shows is "not known"."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from attrs import frozen

from carecloud_async.check.look import Look, NotSeen
from carecloud_async.check.report import CheckFinding, CheckStatus
from carecloud_async.check.texts import FIXES, MEANS


@frozen
class Fault:
    """What shows that an assumption does not hold.

    Attributes:
        status: `warning` or `problem`.
        seen: what was seen.
        fix: what to do, in place of what the finding's name says.
    """

    status: CheckStatus
    seen: str
    fix: str = ""


#: What shows that an assumption holds, what shows that it does not, or `None`.
Verdict: TypeAlias = str | Fault | None
#: Asks the project and judges its answers; it may raise `NotSeen`.
Probe: TypeAlias = Callable[[Look], Awaitable[Verdict]]


def bad(seen: str, fix: str = "") -> Fault:
    """Return a fault by which results are wrong or missing."""
    return Fault(CheckStatus.PROBLEM, seen, fix)


def warn(seen: str, fix: str = "") -> Fault:
    """Return a fault with which something works at a cost, or a doubt."""
    return Fault(CheckStatus.WARNING, seen, fix)


async def finding(look: Look, name: str, probe: Probe, *, once: bool) -> CheckFinding:
    """Return what a probe finds; nothing that a server sends raises.

    Args:
        look: what was seen so far.
        name: the name of the finding.
        probe: the probe.
        once: whether a fault is believed at once. Others are looked for again: records come and go, and answers fail,
            while a check runs.
    """
    status, seen, fix = CheckStatus.NOT_KNOWN, "", FIXES[name]
    try:
        verdict = await _ask(look, probe)
        if isinstance(verdict, Fault) and not once:
            verdict = await _ask_again(look, probe, verdict)
        if isinstance(verdict, Fault):
            status, seen, fix = verdict.status, verdict.seen, verdict.fix or fix
        else:
            status, seen, fix = CheckStatus.OK, verdict, ""
    except NotSeen as reason:
        seen = str(reason)
    except Exception as error:  # noqa: BLE001  (the other probes run even if a strange server breaks this one)
        seen = f"it could not be examined: {type(error).__name__}"
    return CheckFinding(name=name, status=status, seen=seen, meaning=MEANS[name], fix=fix)


async def _ask(look: Look, probe: Probe) -> str | Fault:
    """Return the verdict of a probe; if it has none, the first answer that is no page says why."""
    look.touched = []
    verdict = await probe(look)
    if verdict is None:
        failed = (f"{reply.name}: {reply}" for reply in look.touched if not reply.is_page)
        raise NotSeen(next(failed, "no answer shows it"))
    return verdict


async def _ask_again(look: Look, probe: Probe, first: Fault) -> str | Fault:
    """Return the verdict of a second look. A refusal counts only while the plain list still comes."""
    was_refused = any(reply.is_refused for reply in look.touched)
    list_comes = not was_refused or await look.still_comes()
    try:
        with look.again():
            verdict = await _ask(look, probe)
    except NotSeen:
        if not look.end:
            raise
        verdict = first  # no second look was possible
    if not list_comes:
        raise NotSeen("refused, and the list itself does not come any more")
    return verdict
