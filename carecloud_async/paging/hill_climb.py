"""The search for the fastest setting: by what the first pages show, then one number at a time, as long as that pays.

The first page comes alone, larger ones follow. One of three things is seen then. A record takes less time, and the
pages do not wait for each other: latency is what is paid for, and the next pages are large and many. A record takes
less time, but pages wait: larger ones are tried, with the same width. A record takes no less: it has its price, and
more pages at once are tried, and smaller ones.

From there the page size goes first: larger pages cost the server fewer requests. Then the width. A step that does
not pay is taken back, and then nothing moves any more, so that a server that stays as it is sees no swinging. Where the
rate limiter bounds, requests are what is scarce: the page size grows fast and the width not at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import TypeAlias

from attrs import evolve, frozen

from carecloud_async.paging.delivery_rate import Outcome

__all__ = [
    "LARGE",
    "Outcomes",
    "Search",
    "SearchBounds",
    "Setting",
    "Try",
    "search",
    "search_behind_one_page",
    "search_while_held",
]

#: The records of a large page, where nothing but latency is known.
LARGE = 1000

#: A step pays if it brings so much more, and a larger page is kept if it does not bring so much less.
_GAIN, _LOSS = 1.05, 0.97
#: The step of the page size, and that where the rate limiter bounds, or where a step brought nearly all that it could.
_COUNT_STEP, _LONG_STEP = 2, 4
_LARGE_GAIN = 1.5
#: A step that brought less than this power of its factor leaves less than `_GAIN` to the next one, if a page takes its
#: latency and each record its time.
_REST = 0.1
_WIDTH_STEP = 2.5
#: A step up that costs more than this power of its factor asks for steps down.
_BAD = 0.35
#: More requests at once that bring less than this ask for fewer.
_WIDTH_BAD = 0.9
#: A step by less is not worth a trial.
_LEAST_STEP = 1.25
#: While calls are held back a larger page is better for certain if its records take no more than so much longer.
_SAME_PACE = 1.1


@frozen(kw_only=True)
class Setting:
    """A width and a page size."""

    width: int
    count: int


#: What a setting brings, as far as it is known when it is asked for.
Outcomes: TypeAlias = Callable[[], Outcome]


@frozen(kw_only=True)
class Try:
    """A setting to be measured.

    Attributes:
        setting: the setting.
        before: what the setting before brings; pages that are all slower are slower for certain.
        beats: the seconds a record that its pages must beat to be faster; 0 for none.
        clean: whether only what begins behind the first flight counts.
    """

    setting: Setting
    before: Outcomes | None = None
    beats: float = 0.0
    clean: bool = False


@frozen(kw_only=True)
class SearchBounds:
    """The bounds of a search, which are learnt meanwhile.

    Attributes:
        most_records: returns the largest page for a width and the seconds a record; 0 for a page size that is fixed.
        most_requests: returns the largest width for a page size; 0 for a width that is fixed.
        requests_per_second: returns what the rate limiter lets pass; `None` while it holds none back.
    """

    most_records: Callable[[int, float], int]
    most_requests: Callable[[int], int]
    requests_per_second: Callable[[], float | None] = lambda: None


Search: TypeAlias = Generator[Try, Outcomes, Setting]

_Measured: TypeAlias = tuple[Setting, Outcomes]
_Seen: TypeAlias = tuple[Setting, Outcome]
_Steps: TypeAlias = Generator[Try, Outcomes, _Measured]


def search(start: Setting, bounds: SearchBounds, *, clean: bool = True) -> Search:
    """Search from a setting: yields settings to be measured, returns the best.

    Args:
        start: the setting.
        bounds: the bounds.
        clean: whether requests of another setting are under way.
    """
    best: _Measured = start, (yield Try(setting=start, clean=clean))
    return (yield from _climb(best, bounds))


def search_behind_one_page(start: Setting, bounds: SearchBounds, *, pace: float) -> Search:
    """Search from a setting whose pages are larger than a single one that came before them.

    Args:
        start: the setting.
        bounds: the bounds.
        pace: the seconds that a record of the single page took.
    """
    best: _Measured = start, (yield Try(setting=start, beats=pace))
    first = best[1]()
    if first.apart:
        return (yield from _leap(best, bounds))
    if first.faster or first.held:
        return (yield from _climb(best, bounds, gain=pace / first.fastest))
    wider = Setting(width=_wider(start, bounds), count=max(start.count // 2, 1))
    outcome = yield Try(setting=wider, clean=True)
    if outcome().held or _gain(outcome(), first) < _GAIN:
        return (yield from _climb(best, bounds))
    best = yield from _descend((wider, outcome), "count")
    return (yield from _climb_width(best, bounds))[0]


def search_while_held(start: Setting, bounds: SearchBounds, *, pace: float) -> Search:
    """Search from a single page where the rate limiter bounds; see `search_behind_one_page`."""
    seen = Outcome(rate=1 / pace, pace=pace, slowest=pace, fastest=pace, held=True)
    return (yield from _climb((start, lambda: seen), bounds))


def _leap(best: _Measured, bounds: SearchBounds) -> Search:
    """Go on with large pages, and more of them at once; then as they show."""
    setting, before = best
    width = _wider(setting, bounds)
    count = max(min(LARGE, bounds.most_records(width, before().pace)), setting.count)
    tried = Setting(width=width, count=count)
    outcome = yield Try(setting=tried)
    if outcome().held or _gain(outcome(), before()) < _GAIN:
        return (yield from _climb(best, bounds))
    # The width may be all that it is the better for: of the page size, the fastest page tells.
    best, gain = (tried, outcome), before().fastest / outcome().fastest
    if _costs(gain, count / setting.count):
        best = yield from _descend(best, "count")
    elif _leaves_more(gain, count / setting.count):
        best = yield from _climb_count(best, bounds, gain)
    return (yield from _climb_width(best, bounds))[0]


def _climb(best: _Measured, bounds: SearchBounds, gain: float = 0.0) -> Search:
    best = yield from _climb_count(best, bounds, gain)
    if not best[1]().held:
        best = yield from _climb_width(best, bounds)
    return best[0]


def _climb_count(best: _Measured, bounds: SearchBounds, gain: float) -> _Steps:
    first = not gain
    while True:
        setting, outcome = best
        seen = outcome()
        step = _LONG_STEP if seen.held or gain >= _LARGE_GAIN else _COUNT_STEP
        count = min(setting.count * step, bounds.most_records(setting.width, seen.pace))
        if count < setting.count * _LEAST_STEP:
            return best
        tried = evolve(setting, count=count)
        outcome = yield Try(setting=tried, before=outcome)
        got, seen = outcome(), best[1]()
        if seen.held or got.held:
            gain = _held_gain((tried, got), (setting, seen), bounds.requests_per_second())
        else:
            gain = _gain(got, seen)
        if gain >= _LOSS:
            best = tried, outcome
        if not _leaves_more(gain, count / setting.count):
            break
        first = False
    if first and _costs(gain, count / setting.count) and not got.held:
        return (yield from _descend(best, "count"))
    return best


def _climb_width(best: _Measured, bounds: SearchBounds) -> _Steps:
    first = True
    while True:
        setting, seen = best
        width = _wider(setting, bounds)
        if width == setting.width:
            return best
        tried = evolve(setting, width=width)
        outcome = yield Try(setting=tried)
        got = outcome()
        if got.held:
            return best
        gain = _gain(got, seen())
        if gain < _GAIN:
            break
        best, first = (tried, outcome), False
    if first and gain < _WIDTH_BAD:
        return (yield from _descend(best, "width"))
    return best


def _descend(best: _Measured, name: str) -> _Steps:
    while True:
        setting, seen = best
        value = getattr(setting, name) // 2
        if not value:
            return best
        tried = evolve(setting, **{name: value})
        outcome = yield Try(setting=tried, clean=True)
        got, before = outcome(), seen()
        # Pages that wait for a larger one ahead of them hold the others up: the rate is no measure of smaller ones.
        gain = before.pace / got.pace if name == "count" else got.rate / before.rate
        if got.held or gain < _GAIN:
            return best
        best = tried, outcome


def _wider(setting: Setting, bounds: SearchBounds) -> int:
    return max(min(math.ceil(setting.width * _WIDTH_STEP), bounds.most_requests(setting.count)), setting.width)


def _leaves_more(gain: float, step: float) -> bool:
    """Return whether a larger step is likely to pay again."""
    return gain >= max(math.pow(step, _REST), _GAIN)


def _costs(gain: float, step: float) -> bool:
    """Return whether smaller pages are likely to be faster."""
    return gain < math.pow(step, -_BAD)


def _held_gain(got: _Seen, seen: _Seen, rate: float | None) -> float:
    """Compare two page sizes behind a rate limiter, whose bursts make the records that were measured no guide."""
    if got[1].pace <= seen[1].pace * _SAME_PACE:
        return math.inf
    return _held_records(got, rate) / _held_records(seen, rate) if rate is not None else 0.0


def _held_records(seen: _Seen, rate: float) -> float:
    """Return the records a second that are certain: those of each request, if the server makes one after the other."""
    setting, outcome = seen
    return min(rate * setting.count, 1 / outcome.pace)


def _gain(got: Outcome, seen: Outcome) -> float:
    return seen.slowest / got.slowest if got.slower else got.rate / seen.rate
