"""Findings about the server's clock and the project's time zone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from carecloud_async.auth.token import DEFAULT_LIFETIME, valid_to_utc
from carecloud_async.check.probe import Probe, ServerTime
from carecloud_async.check.report import CheckFinding, good, problem, warning

__all__ = ["clock_findings", "newest_change", "server_now", "zone_finding"]

#: Differences that a slow answer and whole seconds explain.
_NOISE: Final = 30.0
#: A clock that is off by more is set wrong.
_WRONG: Final = 300.0
#: A change so shortly before the server's now shows that both are read in the right zone.
_FRESH: Final = timedelta(minutes=10)
_SLACK: Final = timedelta(minutes=2)
#: What a wrong zone can shift at most; later times are data, not clocks.
_MOST_SHIFT: Final = timedelta(hours=27)
_STEP: Final = 1800.0


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


def newest_change(pages: Iterable[Sequence[Mapping[str, Any]]], *, zone: ZoneInfo, now: datetime) -> datetime | None:
    """Return the latest `last_change` of the records of some pages, in UTC, without those of no real time."""
    times = (valid_to_utc(_text(record), zone=zone, after=None) for page in pages for record in page)
    return max((one for one in times if one is not None and one < now + _MOST_SHIFT), default=None)


def zone_finding(
    *, zone: ZoneInfo, now: datetime, newest: datetime | None, valid_to: datetime | None, date: datetime | None
) -> CheckFinding:
    """Return whether the server's timestamps fit the project's zone.

    Args:
        zone: the zone that the client was given.
        now: the server's clock, in UTC.
        newest: the latest change of a record, read in that zone.
        valid_to: the end of the token, read in that zone.
        date: the server's clock at the login.
    """
    meaning = (
        "every timestamp is read in this zone: changed_since, marks of exports and the end of tokens shift with it"
    )
    fix = "ask the administrator for the project's zone, and set timezone= (CARECLOUD_TIMEZONE) to it"
    if newest is not None and newest > now + _SLACK:
        return problem(
            "timezone",
            f"records changed {_hours((newest - now).total_seconds())} after the server's now, read as {zone.key}: "
            "the project's clock is ahead of this zone's",
            meaning,
            fix,
        )
    life = None if valid_to is None or date is None else (valid_to - date).total_seconds()
    if life is not None and life <= 0:
        return problem("timezone", f"the token ends before it begins, read as {zone.key}", meaning, fix)
    if newest is not None and newest > now - _FRESH:
        return good("timezone", f"the latest change fits {zone.key} and the server's clock", meaning)
    shift = None if life is None else _zone_shift(life, zone=zone, date=date)
    if shift:
        return warning(
            "timezone",
            f"read as {zone.key} a token lives {_hours(life or 0)}; if they live the usual 7 hours, its zone "
            f"is {_hours(abs(shift))} {'ahead of' if shift > 0 else 'behind'} {zone.key}",
            meaning,
            f"{fix}; if tokens live that long here, the zone is right",
        )
    if life is None:
        return good("timezone", f"nothing seen speaks against {zone.key}, and nothing shows it", meaning)
    return good("timezone", f"the end of the token fits {zone.key} and the server's clock", meaning)


def _zone_shift(life: float, *, zone: ZoneInfo, date: datetime | None) -> float | None:
    """Return by how much another zone would make a token live 7 hours; `None` if none would."""
    shift = life - DEFAULT_LIFETIME
    steps = round(shift / _STEP)
    if not steps or abs(shift - steps * _STEP) > _NOISE or date is None:
        return None
    here = date.astimezone(zone).utcoffset() or timedelta()
    there = here + timedelta(seconds=steps * _STEP)
    return steps * _STEP if timedelta(hours=-12) <= there <= timedelta(hours=14) else None


def _offset(one: ServerTime) -> float:
    return (one.date - one.host.replace(microsecond=0)).total_seconds()


def _text(record: Mapping[str, Any]) -> str | None:
    value = record.get("last_change")
    return value if isinstance(value, str) else None


def _words(offset: float) -> str:
    size = abs(offset)
    amount = f"{size:.0f} seconds" if size < 120 else f"{size / 60:.0f} minutes" if size < 7200 else _hours(size)
    return f"{amount} {'ahead of' if offset > 0 else 'behind'}"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours"


def server_now(probe: Probe) -> datetime:
    """Return the server's clock as the last answer showed it, or this host's."""
    host = datetime.fromtimestamp(probe.caller.context.clock.time(), UTC)
    return probe.times[-1].date if probe.times else host
