"""Findings about the server's clock."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from carecloud_async.check.probe import Probe, ServerTime
from carecloud_async.check.report import CheckFinding, good, problem, warning

__all__ = ["clock_findings", "server_now"]

#: Differences that a slow answer and whole seconds explain.
_NOISE: Final = 30.0
#: A clock that is off by more is set wrong.
_WRONG: Final = 300.0


def clock_findings(probe: Probe) -> Iterable[CheckFinding]:
    """Yield what the `Date` of the answers shows."""
    if not probe.times:
        yield warning(
            "clock",
            "no answer has a usable Date header",
            "how long a token lives cannot be measured: 7 hours are assumed; marks of changed-since exports rest on "
            "this host's clock",
            "keep this host's clock right (NTP); let the proxy or web server pass the Date header",
        )
        return
    offsets = sorted(_offset(one) for one in probe.times)
    offset = offsets[len(offsets) // 2]
    seen = f"the server's Date is {_words(offset)} this host's clock"
    meaning = (
        "tokens and marks of exports go by the server's clock, and stay right if it is the host's that is wrong; "
        "timestamps that your code writes (purchases, events) go by the host's"
    )
    fix = "set this host's clock by NTP; if it is right, tell the project's administrator"
    if abs(offset) > _WRONG:
        yield problem("clock", seen, meaning, fix)
    elif abs(offset) > _NOISE:
        yield warning("clock", seen, meaning, fix)
    elif offsets[-1] - offsets[0] > 2 * _NOISE:
        yield warning(
            "clock",
            f"the Date of the answers differs by {offsets[-1] - offsets[0]:.0f} seconds between answers",
            "several servers answer whose clocks differ: changed-since exports may miss changes at the edges",
            "tell the project's administrator; let changed-since runs overlap",
        )
    else:
        yield good("clock", "the server's Date and this host's clock agree", "token lives are measured right")
    if probe.undated:
        yield warning(
            "clock",
            f"{probe.undated} of {probe.undated + len(probe.times)} answers have no usable Date header",
            "where a login's answer has none, its token is taken to live 7 hours",
            "let the proxy or web server pass the Date header",
        )


def _offset(one: ServerTime) -> float:
    return (one.date - one.host.replace(microsecond=0)).total_seconds()


def _words(offset: float) -> str:
    size = abs(offset)
    if size < 120:
        amount = f"{size:.0f} seconds"
    else:
        amount = f"{size / 60:.0f} minutes" if size < 7200 else f"{size / 3600:.1f} hours"
    return f"{amount} {'ahead of' if offset > 0 else 'behind'}"


def server_now(probe: Probe) -> datetime:
    """Return the server's clock as the last answer showed it, or this host's."""
    host = datetime.fromtimestamp(probe.caller.context.clock.time(), UTC)
    return probe.times[-1].date if probe.times else host
