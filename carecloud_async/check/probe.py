"""Runs a probe, which asks whether an assumption about a project holds. What no answer shows is "not known"."""

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
    """Return a problem: results are wrong or missing."""
    return Fault(CheckStatus.PROBLEM, seen, fix)


def warn(seen: str, fix: str = "") -> Fault:
    """Return a warning: something works, but at a cost or not for certain."""
    return Fault(CheckStatus.WARNING, seen, fix)


async def finding(look: Look, name: str, probe: Probe, *, once: bool) -> CheckFinding:
    """Return what a probe finds; nothing that a server sends raises.

    Args:
        look: what was seen so far.
        name: the name of the finding.
        probe: the probe.
        once: whether one look is enough for a fault. Otherwise a second look must confirm it: records come and go, and
            answers fail, while a check runs.
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
    """Return the verdict of a probe.

    Raises:
        NotSeen: it has none; the text is that of the first answer that is not a page, which may be the cause.
    """
    look.touched = []
    verdict = await probe(look)
    if verdict is None:
        failed = (f"{reply.name}: {reply}" for reply in look.touched if not reply.is_page)
        raise NotSeen(next(failed, "no answer shows it"))
    return verdict


async def _ask_again(look: Look, probe: Probe, first: Fault) -> str | Fault:
    """Return the verdict of a second look; the first one if the check has come to its end meanwhile.

    Raises:
        NotSeen: the second look has no verdict. Or an answer of the first one was a refusal, and a list that could be
            read before is refused now too: then the refusal tells of the token or the server, not of the assumption.
    """
    was_refused = any(reply.is_refused for reply in look.touched)
    refusal_counts = not was_refused or await look.still_comes()
    try:
        with look.again():
            verdict = await _ask(look, probe)
    except NotSeen:
        if not look.end:
            raise
        verdict = first
    if not refusal_counts:
        raise NotSeen("refused, and the list itself does not come any more")
    return verdict
