"""Probes of the server's clock, and of the zone and the form of its timestamps.

Nothing in the API says the zone. A timestamp shows it if its true moment is known: that of the login that the check
made itself, of a change of a few minutes ago, and of the end of a token, if tokens live the usual seven hours.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Final

from carecloud_async._base.codec.fields import api_names
from carecloud_async._calls.auth.token import DEFAULT_LIFETIME, valid_to_utc
from carecloud_async._lists.export.reading.times import FIELD, NoTime, parse_time
from carecloud_async.check.look import Look, NotSeen
from carecloud_async.check.probe import Verdict, bad, warn
from carecloud_async.resources.lookup.by_name import list_model

#: Seconds by which two clocks seem to differ because answers are slow and `Date` has whole seconds.
_NOISE: Final = 30.0
#: A clock that differs by more seconds is set wrong.
_WRONG: Final = 300.0
#: The most by which the clocks of one installation differ.
_SLACK: Final = timedelta(minutes=2)
#: A change shows the zone if it is not older than this.
_FRESH: Final = timedelta(minutes=10)
#: All zones differ by a multiple of this, such as Nepal's from Prague's by 4:45.
_ZONE_STEP: Final = timedelta(minutes=15)
#: Nearly all differ by a multiple of this. A token may live for any time: a smaller step would explain too many.
_USUAL_ZONE_STEP: Final = timedelta(minutes=30)
#: The most by which a wrong zone is taken to shift the time of a login or the end of a token.
_MOST_SHIFT: Final = timedelta(hours=14)
#: The most by which two zones differ. A change that is further in the future is a mistake in its record.
_FARTHEST_ZONES: Final = timedelta(hours=26)
_ZERO: Final = timedelta()
_USUAL_LIFE: Final = timedelta(seconds=DEFAULT_LIFETIME)
#: Hours that projects may well have set as the life of tokens: a token that seems to live so long proves no wrong zone.
_OTHER_LIVES: Final = {0.5, 1, 2, 4, 8, 12, 24}
#: The lists that change most often in a project that is in use.
_OFTEN_CHANGED: Final = ("customers", "purchases")
#: What a list has in place of times, if it has none.
_NO_TIMES: Final = "none, null or a zero date in every record"


async def clock(look: Look) -> Verdict:
    """`Date` is there and right."""
    dates, undated = look.traffic.dates, look.traffic.undated
    if not dates:
        return warn("no answer has a usable Date header: tokens are taken to live 7 hours") if undated else None
    offset = median((date - host.replace(microsecond=0)).total_seconds() for date, host in dates)
    amount = f"{abs(offset):.0f} seconds" if abs(offset) < _WRONG else f"{abs(offset) / 60:.0f} minutes"
    seen = f"the server's Date is {amount} {'ahead of' if offset > 0 else 'behind'} this host's clock"
    if abs(offset) > _NOISE:
        return bad(seen) if abs(offset) > _WRONG else warn(seen)
    if undated:
        return warn(f"{undated} answers have no usable Date header")
    return "the server's Date and this host's clock agree"


async def timezone(look: Look) -> Verdict:
    """`timezone=` is the project's zone."""
    now, name = look.traffic.now, look.client.project.timezone.key
    login, life, change = _second_login(look), look.token_life, _latest_change(look)
    # How far a wrong zone shifts each: zero if the zone is right, `None` if it is not known or no zone explains it.
    login_shift = None if login is None else _zone_shift(login - now, step=_ZONE_STEP)
    token_shift = None if life is None else _zone_shift(life - _USUAL_LIFE, step=_USUAL_ZONE_STEP)
    # The check made the second login itself: its time is certain.
    if login_shift:
        return bad(f"read as {name}, the login of a moment ago is {_hours(login_shift)}")
    # A change in the future shows a wrong zone; if the end of the token fits, it may be a mistake in one record.
    if change > now + _SLACK:
        seen = f"read as {name}, records changed {_hours(change - now)}"
        return bad(seen) if token_shift != _ZERO else warn(f"{seen}, though the end of the token fits")
    if login_shift == _ZERO or change > now - _FRESH or token_shift == _ZERO:
        return f"the latest login, change or end of a token fits {name} and the server's clock"
    if token_shift is None:
        return None
    # Only the end of the token contradicts the zone. But the project may have set another life of its tokens.
    seen = f"read as {name}, the end of the token is {_hours(token_shift)} if tokens live the usual 7 hours"
    if now - _FRESH <= change - token_shift <= now + _SLACK:
        return bad(f"{seen}; so is the latest change if it is of a moment ago")
    return warn(seen) if (_USUAL_LIFE + token_shift) / timedelta(hours=1) in _OTHER_LIVES else bad(seen)


def _second_login(look: Look) -> datetime | None:
    """Return the time of the second login; `None` if its answer has none, or still that of the first login."""
    first, second = (
        login.user.last_login if login and login.user else None for login in (look.logged_in, look.second_login)
    )
    return None if first == second else valid_to_utc(second, zone=look.client.project.timezone, after=None)


def _zone_shift(difference: timedelta, *, step: timedelta) -> timedelta | None:
    """Return the difference between two zones, a multiple of a step, that explains one between two times; or `None`."""
    shift = round(difference / step) * step
    return shift if abs(difference - shift) <= _SLACK and abs(shift) <= _MOST_SHIFT else None


def _hours(shift: timedelta) -> str:
    return f"{abs(shift) / timedelta(hours=1):.1f} hours {'ahead' if shift > _ZERO else 'behind'}"


async def change_times(look: Look) -> Verdict:
    """`last_change` is a time of the project without an offset."""
    for family in look.families:
        if family.name in _OFTEN_CHANGED and family.items and family is not look.target:
            await look.page(family.name, count=5, sort_field=FIELD, sort_direction="DESC")
    timed: set[str] = set()  # the lists that have times
    others: dict[str, set[str]] = {}  # the lists that have anything else, by what it is
    for name, when in _changes(look):
        if isinstance(when, datetime):
            timed.add(name)
        else:
            others.setdefault(when, set()).add(name)
    if not timed and not others:
        raise NotSeen(f"no record with {FIELD} was seen")
    # Records without a time are usual: odd is a list that has nothing else. (server_model.md, A: untidy values)
    odd = {form: names - timed if form == _NO_TIMES else names for form, names in others.items()}
    listed = "; ".join(f"{form} ({', '.join(sorted(names))})" for form, names in odd.items() if names)
    if listed:
        return warn(f"{FIELD} is not a local time such as 2026-11-24 12:00:00: {listed}")
    zone, now, change = look.client.project.timezone, look.traffic.now, _latest_change(look)
    to_utc = now.astimezone(zone).utcoffset() or _ZERO
    if now - _FRESH < change <= now + _SLACK:
        return f"every {FIELD} can be read, and the latest one fits {zone.key} and the server's clock"
    if to_utc > _ZERO and now - _FRESH < change + to_utc <= now + _SLACK:
        return warn(f"the latest change is of a moment ago if {FIELD} is written in UTC, not in {zone.key}")
    raise NotSeen(f"no change of the last minutes was seen that shows the zone of {FIELD}; its form can be read")


def _changes(look: Look) -> Iterator[tuple[str, datetime | str]]:
    """Yield the name of a list and, for each record, when it changed, or in words what it has in place of a time."""
    names = {family.name for family in look.families}
    for reply in look.replies:
        if reply.name in names and FIELD in api_names(list_model(reply.operation)).values():
            yield from ((reply.name, _change_time(look, record.get(FIELD))) for record in reply.items)


def _change_time(look: Look, value: object) -> datetime | str:
    """Return a time in UTC, or in words what the value is."""
    zone, time = look.client.project.timezone, parse_time(value)
    with contextlib.suppress(OverflowError):
        if isinstance(time, datetime):
            aware = time.replace(tzinfo=zone) if time.tzinfo is None else time
            moment = aware.astimezone(UTC)
            is_local = aware.utcoffset() == moment.astimezone(zone).utcoffset()
            return moment if is_local else "times with another offset"
    return _NO_TIMES if time is NoTime.BLANK else "numbers, or texts in another form"


def _latest_change(look: Look) -> datetime:
    """Return the latest change in UTC, which a wrong zone can put into the future; 1970 if no change was seen."""
    moments = [when for _, when in _changes(look) if isinstance(when, datetime)]
    limit = look.traffic.now + _FARTHEST_ZONES
    return max([datetime.fromtimestamp(0, UTC), *(moment for moment in moments if moment <= limit)])
