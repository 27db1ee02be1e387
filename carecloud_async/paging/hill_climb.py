"""The search for the fastest setting: one number is changed at a time, as long as that pays.

The page size goes first: larger pages cost the server fewer requests. Then the width. A step that does not pay is
taken back, and then nothing moves any more, so that a server that stays as it is sees no swinging. Where the rate
limiter bounds, requests are what is scarce: the page size grows fast and the width not at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator

from attrs import evolve, frozen

from carecloud_async.paging.delivery_rate import Outcome

__all__ = ["Bounds", "Search", "Setting", "Try", "search"]

#: A larger page pays if it brings so much more, and is kept if it does not bring so much less.
_GAIN, _LOSS = 1.05, 0.97
#: More requests at once must bring so much more: they cost the server more.
_WIDTH_GAIN = 1.05
#: The step of the page size, and that where the rate limiter bounds, or where a step brought nearly all that it could.
_COUNT_STEP, _LONG_STEP = 2, 4
_LARGE_GAIN = 1.5
_WIDTH_STEP = 2.5
#: A step up that brings less than this asks for steps down.
_COUNT_BAD, _WIDTH_BAD = 0.78, 0.9
#: A step by less is not worth a trial.
_LEAST_STEP = 1.25
#: While calls are held back, a record may take so much longer in a larger page.
_SAME_PACE = 1.1


@frozen(kw_only=True)
class Setting:
    """A width and a page size."""

    width: int
    count: int


@frozen(kw_only=True)
class Try:
    """A setting to be measured.

    Attributes:
        setting: the setting.
        slowest: the seconds a record of a page that make it slower for certain.
        clean: whether only what begins behind the first flight counts.
    """

    setting: Setting
    slowest: float = math.inf
    clean: bool = False


@frozen(kw_only=True)
class Bounds:
    """The bounds of a search, which are learnt meanwhile.

    Attributes:
        most_records: returns the largest page for a width and the seconds a record; 0 for a page size that is fixed.
        most_requests: returns the largest width for a page size; 0 for a width that is fixed.
    """

    most_records: Callable[[int, float], int]
    most_requests: Callable[[int], int]


Search = Generator[Try, Outcome, Setting]

_Measured = tuple[Setting, Outcome]


def search(start: Setting, bounds: Bounds, seen: Outcome | None = None) -> Search:
    """Search from a setting: yields settings to be measured, takes their outcomes, returns the best.

    Args:
        start: the setting.
        bounds: the bounds.
        seen: its outcome, if it is known.
    """
    best: _Measured = start, ((yield Try(setting=start, clean=True)) if seen is None else seen)
    best = yield from _climb_count(best, bounds)
    if not best[1].held:
        best = yield from _climb_width(best, bounds)
    return best[0]


def _climb_count(best: _Measured, bounds: Bounds) -> Generator[Try, Outcome, _Measured]:
    first, gain = True, 0.0
    while True:
        setting, seen = best
        step = _LONG_STEP if seen.held or gain >= _LARGE_GAIN else _COUNT_STEP
        count = min(setting.count * step, bounds.most_records(setting.width, seen.pace))
        if count < setting.count * _LEAST_STEP:
            return best
        tried = evolve(setting, count=count)
        got = yield Try(setting=tried, slowest=seen.slowest)
        gain = _held_gain(got, seen) if seen.held or got.held else _gain(got, seen)
        if gain >= _LOSS:
            best = tried, got
        if gain < _GAIN:
            break
        first = False
    if first and gain < _COUNT_BAD and not got.held:
        return (yield from _descend(best, "count"))
    return best


def _climb_width(best: _Measured, bounds: Bounds) -> Generator[Try, Outcome, _Measured]:
    first = True
    while True:
        setting, seen = best
        width = min(math.ceil(setting.width * _WIDTH_STEP), bounds.most_requests(setting.count))
        if width <= setting.width:
            return best
        tried = evolve(setting, width=width)
        got = yield Try(setting=tried)
        if got.held:
            return best
        gain = _gain(got, seen)
        if gain < _WIDTH_GAIN:
            break
        best, first = (tried, got), False
    if first and gain < _WIDTH_BAD:
        return (yield from _descend(best, "width"))
    return best


def _descend(best: _Measured, name: str) -> Generator[Try, Outcome, _Measured]:
    while True:
        setting, seen = best
        value = getattr(setting, name) // 2
        if not value:
            return best
        tried = evolve(setting, **{name: value})
        got = yield Try(setting=tried, clean=True)
        if got.held or _gain(got, seen) < _GAIN:
            return best
        best = tried, got


def _held_gain(got: Outcome, seen: Outcome) -> float:
    return math.inf if got.pace <= seen.pace * _SAME_PACE else 0.0


def _gain(got: Outcome, seen: Outcome) -> float:
    return seen.slowest / got.slowest if got.slower else got.rate / seen.rate
