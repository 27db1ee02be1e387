"""Findings about the server's clock, and about the time zone of its timestamps.

Nothing in the API says the zone. What shows it is a timestamp whose true moment is known: a change of a few minutes
ago, the login that the check made itself, and, where tokens live the usual seven hours, the end of a token.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from attrs import frozen

from carecloud_async._calls.auth.token import DEFAULT_LIFETIME
from carecloud_async._lists.export.reading.times import CLOCK_SLACK, FRESH, ZoneFit
from carecloud_async.check.change_times import DECIDE
from carecloud_async.check.probe import Probe, ServerTime
from carecloud_async.check.report import CheckFinding, good, not_known, problem, warning

__all__ = ["ZoneEvidence", "clock_findings", "server_now"]

#: Differences that a slow answer and whole seconds explain.
_NOISE: Final = 30.0
#: A clock that is off by more is set wrong.
_WRONG: Final = 300.0
#: Zones differ by whole steps of this length; the few that differ by quarters cannot be recognised.
_STEP: Final = timedelta(minutes=30)
_NO_TIME: Final = timedelta()
_USUAL_LIFE: Final = timedelta(seconds=DEFAULT_LIFETIME)
#: Settings of the life of a token that are as usual as a zone that is set wrong (hours).
_OTHER_LIVES: Final = frozenset({1, 2, 4, 8, 12, 24})

_ZONE_MEANS: Final = (
    "every timestamp is read in this zone: changed_since, marks of exports and the end of tokens shift with it"
)
_ZONE_FIX: Final = "ask the administrator for the project's zone, and set timezone= (CARECLOUD_TIMEZONE) to it"


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


@frozen(kw_only=True)
class ZoneEvidence:
    """What timestamps show of the project's zone.

    Attributes:
        zone: the zone that the client was given.
        now: the server's clock, in UTC.
        newest: the latest change of a record, read in that zone, in UTC.
        fit: what the latest changes show.
        login: the time of a login that the check made a moment ago, read in that zone.
        valid_to: the end of the token, read in that zone.
        date: the server's clock at the login.
    """

    zone: ZoneInfo
    now: datetime
    newest: datetime | None
    fit: ZoneFit
    login: datetime | None = None
    valid_to: datetime | None = None
    date: datetime | None = None

    def finding(self) -> CheckFinding:
        """Return whether the server's timestamps fit the zone."""
        name, life = self.zone.key, self._life()
        if self.fit is ZoneFit.AHEAD and self.newest is not None:
            return self._ahead(f"records changed {_hours(self.newest - self.now)} after the server's now")
        if life is not None and life <= _NO_TIME:
            return self._wrong("the token ends before it begins")
        login_shift = None if self.login is None else self._shift(self.login - self.now, within=CLOCK_SLACK)
        if login_shift:
            return self._wrong(
                f"the login of a moment ago is {_hours(abs(login_shift))} away", ahead=login_shift > _NO_TIME
            )
        if self.login is not None and abs(self.login - self.now) <= CLOCK_SLACK:
            return good("timezone", f"the time of the login fits {name} and the server's clock", _ZONE_MEANS)
        if self.fit is ZoneFit.SHOWN:
            return good("timezone", f"the latest change fits {name} and the server's clock", _ZONE_MEANS)
        shift = None if life is None else self._shift(life - _USUAL_LIFE, within=CLOCK_SLACK)
        if life is None or shift is None:
            return not_known(
                "timezone",
                f"nothing seen speaks against {name}, and nothing shows it",
                _ZONE_MEANS,
                f"{_ZONE_FIX}; {DECIDE}",
            )
        if not shift:
            return good("timezone", f"the end of the token fits {name} and the server's clock", _ZONE_MEANS)
        return self._by_token(life, shift)

    def _ahead(self, seen: str) -> CheckFinding:
        """Return the finding on changes in the future: a wrong zone, or single records, if the end of a token fits."""
        life = self._life()
        if life is None or abs(life - _USUAL_LIFE) > CLOCK_SLACK:
            return self._wrong(seen, ahead=True)
        return warning(
            "timezone",
            f"{seen}, read as {self.zone.key}, though the end of the token fits it",
            "changes are written in another zone than tokens, or some records have a wrong time: exports by change "
            "hand out more records than have changed",
            f"ask the administrator in which zone changes are written; {DECIDE}",
        )

    def _by_token(self, life: timedelta, shift: timedelta) -> CheckFinding:
        """Return the finding on a token that lives 7 hours in another zone than this one."""
        seen = (
            f"read as {self.zone.key} a token lives {_hours(life)}; if it lives the usual 7 hours, the project's zone "
            f"is {_hours(abs(shift))} {'ahead of' if shift > _NO_TIME else 'behind'} {self.zone.key}"
        )
        gap = None if self.newest is None else self.now - self.newest + shift
        if gap is not None and _NO_TIME <= gap + CLOCK_SLACK <= FRESH + CLOCK_SLACK:
            return problem(
                "timezone", f"{seen}, where the latest change would be of a moment ago", _ZONE_MEANS, _ZONE_FIX
            )
        level = warning if (_USUAL_LIFE + shift) / timedelta(hours=1) in _OTHER_LIVES else problem
        return level(
            "timezone", seen, _ZONE_MEANS, f"{_ZONE_FIX}; if tokens live that long here, the zone is right; {DECIDE}"
        )

    def _life(self) -> timedelta | None:
        return None if self.valid_to is None or self.date is None else self.valid_to - self.date

    def _shift(self, difference: timedelta, *, within: timedelta) -> timedelta | None:
        """Return the difference as one between this zone and another; `None` if no zone explains it."""
        steps = round(difference / _STEP)
        if abs(difference - steps * _STEP) > within:
            return None
        there = (self.now.astimezone(self.zone).utcoffset() or timedelta()) + steps * _STEP
        return steps * _STEP if timedelta(hours=-12) <= there <= timedelta(hours=14) else None

    def _wrong(self, seen: str, *, ahead: bool | None = None) -> CheckFinding:
        which = "" if ahead is None else f": the project's clock is {'ahead of' if ahead else 'behind'} this zone's"
        return problem("timezone", f"{seen}, read as {self.zone.key}{which}", _ZONE_MEANS, _ZONE_FIX)


def _hours(time: timedelta) -> str:
    return f"{time / timedelta(hours=1):.1f} hours"
