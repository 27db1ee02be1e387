"""`Probe`: one assumption about a project, what shows that it holds, and what that it does not; else "not known"."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from attrs import frozen

from carecloud_async.check.look import Look, NotSeen
from carecloud_async.check.report import CheckFinding, CheckStatus


@frozen
class Fault:
    """What shows that an assumption does not hold.

    Attributes:
        status: `warning` or `problem`.
        seen: what was seen.
        fix: what to do, in place of the probe's own fix.
    """

    status: CheckStatus
    seen: str
    fix: str = ""


#: What shows that an assumption holds, what shows that it does not, or `None`.
Verdict: TypeAlias = str | Fault | None


def bad(seen: str, fix: str = "") -> Fault:
    """Return a fault by which results are wrong or missing."""
    return Fault(CheckStatus.PROBLEM, seen, fix)


def warn(seen: str, fix: str = "") -> Fault:
    """Return a fault with which something works at a cost, or a doubt."""
    return Fault(CheckStatus.WARNING, seen, fix)


@frozen
class Probe:
    """A row of the check.

    Attributes:
        name: the name of the finding.
        ask: asks the project and judges its answers; it may raise `NotSeen`.
        means: what the assumption means for exports, bulk writes and tokens.
        fix: what to do if it does not hold, or is not known.
        once: whether a fault is believed at once. Others are looked for again: records come and go, and answers fail,
            while a check runs.
    """

    name: str
    ask: Callable[[Look], Awaitable[Verdict]]
    means: str
    fix: str
    once: bool

    async def run(self, look: Look) -> CheckFinding:
        """Return the finding; nothing that a server sends raises."""
        try:
            verdict = await self._ask(look)
            if not self.once and isinstance(verdict, Fault):
                verdict = await self._ask_again(look, verdict)
        except NotSeen as reason:
            return self._finding(CheckStatus.NOT_KNOWN, str(reason))
        except Exception as error:  # noqa: BLE001  (the other probes run even if a strange server breaks this one)
            return self._finding(CheckStatus.NOT_KNOWN, f"it could not be examined: {type(error).__name__}")
        if isinstance(verdict, Fault):
            return self._finding(verdict.status, verdict.seen, verdict.fix)
        return self._finding(CheckStatus.OK, verdict)

    async def _ask(self, look: Look) -> str | Fault:
        look.touched = []
        verdict = await self.ask(look)
        if verdict is None:
            raise NotSeen(
                next((f"{reply.name}: {reply}" for reply in look.touched if not reply.is_page), "no answer shows it")
            )
        return verdict

    async def _ask_again(self, look: Look, first: Fault) -> str | Fault:
        is_refused = any(reply.is_refused for reply in look.touched)
        comes = not is_refused or await look.still_comes()
        try:
            with look.again():
                second = await self._ask(look)
        except NotSeen:
            if not look.end:
                raise
            second = first  # no second look was possible
        if not comes:
            raise NotSeen("refused, and the list itself does not come any more")
        return second

    def _finding(self, status: CheckStatus, seen: str, fix: str = "") -> CheckFinding:
        fix = "" if status is CheckStatus.OK else fix or self.fix
        return CheckFinding(name=self.name, status=status, seen=seen, meaning=self.means, fix=fix)


def probe(
    name: str, *, means: str, fix: str = "run it again", once: bool = False
) -> Callable[[Callable[[Look], Awaitable[Verdict]]], Probe]:
    """Make a probe of the function that asks; see `Probe`."""
    return lambda ask: Probe(name, ask, means, fix, once)
