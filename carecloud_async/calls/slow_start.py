"""How many calls may be under way before anything is known of the server's limit.

All that are under way at the first refusal may be refused too. So a cold client begins with a few, and lets one more go
for each second answer, then for each thirtieth: a job of 600 calls has about a twentieth of them refused, whatever the
limit is. Where nothing is refused this costs a client that wants 8 calls at a time nothing to speak of, and one that
wants 100 the time of some dozen round trips. After two thousand answers it is over.
"""

from __future__ import annotations

from math import inf

#: Calls under way at first, and those after which one more is let go for each thirtieth answer only.
FIRST_CALLS = 6
CALLS = 14
SECOND_ANSWER = 2
THIRTIETH_ANSWER = 30
#: Answers after which any number of calls may be under way.
ANSWERS = 2000
#: A call that has no answer after this counts no more (seconds): answers may be slow, and never come.
UNANSWERED_SECONDS = 0.25
#: How often to look whether there is room again (seconds).
_POLL_SECONDS = 0.01


def room(answers: int) -> float:
    """Return the number of calls that may be under way after so many answers."""
    if answers >= ANSWERS:
        return inf
    return min(FIRST_CALLS + answers / SECOND_ANSWER, CALLS + answers / THIRTIETH_ANSWER)


class SlowStart:
    """The calls under way from a cold start; times are readings of one monotonic clock."""

    def __init__(self) -> None:
        self._answers = 0
        self._under_way: dict[int, float] = {}

    def delay(self, now: float) -> float:
        """Return the seconds after which to look again; zero if a call may leave now."""
        under_way = self._under_way
        if len(under_way) < FIRST_CALLS or self._answers >= ANSWERS:
            return 0.0
        while under_way and now - (oldest := next(iter(under_way.items())))[1] >= UNANSWERED_SECONDS:
            del under_way[oldest[0]]
        return 0.0 if len(under_way) < room(self._answers) else _POLL_SECONDS

    def on_sent(self, ticket: int, now: float) -> None:
        """Note that a call leaves."""
        if self._answers < ANSWERS:
            self._under_way[ticket] = now

    def on_answer(self, ticket: int) -> None:
        """Note that a call was answered, and not with 429."""
        if self._answers < ANSWERS:
            self._answers += 1
            self._under_way.pop(ticket, None)
