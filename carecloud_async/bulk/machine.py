"""One write: its states, and what leads from one to the next. Everything else in this package serves this machine.

A row of a bulk write is one write or more: its record, then its parts (a card, an external id, values of properties).
All of them pass through the same states, each with a key, a body and a state of its own, which the journal keeps. When
a part has ended, the journal keeps its outcome with that of the row, and nothing else of it.

```text
                  intend                    end
    waiting ------------------> intended ------------> ended
     |    ^                      |  |  ^                ^ ^
     |    |      take back       |  |  |                | |
     |    +----------------------+  |  |                | |
     |                              |  |                | |
     |                         lose |  | intend         | |
     |                              v  |                | |
     |                              lost ---------------+ |
     |                                          end       |
     +----------------------------------------------------+
                             end

    move        from                      to         when
    intend      waiting, lost          -> intended   a request was decided: it is noted, and then it leaves
    take back   intended               -> waiting    the request did nothing: it never left, or got 401, 403 or 429
    lose        intended               -> lost       no answer came, or a 5xx; or a resumed run finds it intended
    end         waiting, lost          -> ended      by the look-up nothing has to be sent, or it was tried enough
    end         intended               -> ended      the answer is the outcome; or no answer came, and it has no key
```

In one turn, a write in `waiting` or `lost` is claimed, looked up, decided and sent: `after_a_loss` corrects what was
decided, `before_sending` counts how often it was tried, and `after_an_answer` corrects the outcome. While another run
holds its key or its record, or another row of the run writes that record, it keeps its state and has its next turn a
second later. In `lost` it has no turn before the settle time is over. A write that was lost and then taken back is in
`waiting`, and is still decided as one that may have been sent. Each write ends with one of six outcomes: `created`,
`updated`, `unchanged`, `refused`, `conflict`, `unknown`.

**Claim, look, write, let go.** The keys of a write are claimed (`claims`) before they are looked up, and released when
its outcome is known; a record that is about to be changed is claimed too, since another key may lead to it. So between
the look-up and the outcome no other run of this user of the machine changes the record. Other programs can.

**An intent is durable before its request leaves.** So there is no state for a request that has left: after a kill every
intended write may have been sent, and counts as lost.

**A lost write settles before it is looked up.** Until the settle time is over, the request may still take effect. Then
the record is looked up. If it has every value, the write is done (`created` if no record existed before, else
`updated`). If not, the write is decided again. If that is a refusal or a conflict, it ends as `unknown`. So does a
create whose key is written after its record: without the key, no look-up finds the record.

**A create that is sent again may meet its own record**, since lists may show a record late. If the server refuses it,
it ends as `unknown`, unless a reason is about a value alone, for which the first request was refused as well.

**A write without a key cannot be looked up.** It is never `lost`: without an answer it ends as `unknown`, also when a
resumed run finds it intended, and is never sent again.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, IntEnum
from typing import Final

import attrs

from carecloud_async.bulk.outcome import Outcome, RowResult
from carecloud_async.bulk.rows import Plan, Write

__all__ = ["TRANSITIONS", "Move", "State", "TryLimits", "after_a_loss", "after_an_answer", "before_sending"]

#: A proxy answers with these while the server behind it is away, so the write is probably not the cause.
_OF_PROXIES: Final = ("502", "503", "504")
_UNKNOWN: Final = "the answer was lost, and the record does not show what became of the row"
_REFUSED_LATER: Final = "an earlier answer was lost, and the record may have been made then"
#: Reasons of the API that are about a value alone: an earlier request with this value was refused as well.
_OF_VALUES: Final = frozenset({"empty", "required", "not_allowed_value", "invalid_value_format"})


@attrs.frozen(kw_only=True)
class TryLimits:
    """How often a write is sent, or looked up, before it is refused. An equal 5xx counts while it is sent alone.

    Attributes:
        failures: answers in a row with the same 5xx. Each counts as a lost answer too.
        unavailable: the same for 502, 503 and 504.
        losses: lost answers in all. A kill counts as a loss, even if nothing had left yet.
    """

    failures: int = 3
    unavailable: int = 6
    losses: int = 20

    def of(self, fault: str) -> int:
        """Return how often a fault may repeat: a failure without a status, or one of a proxy, may be nobody's fault."""
        return self.failures if fault.startswith("5") and not fault.startswith(_OF_PROXIES) else self.unavailable


class State(IntEnum):
    """The state of a write, as the journal stores it."""

    WAITING = 0
    """No request of it is under way."""
    INTENDED = 1
    """It is about to be sent, or was sent."""
    LOST = 2
    """It may have been sent, and no answer came."""
    ENDED = 3
    """It has its outcome."""


class Move(Enum):
    """A step from one state to another, named as in the drawing."""

    INTEND = "intend"
    TAKE_BACK = "take back"
    LOSE = "lose"
    END = "end"


#: From which states a move leads, and to which.
TRANSITIONS: Final[Mapping[Move, tuple[frozenset[State], State]]] = {
    Move.INTEND: (frozenset({State.WAITING, State.LOST}), State.INTENDED),
    Move.TAKE_BACK: (frozenset({State.INTENDED}), State.WAITING),
    Move.LOSE: (frozenset({State.INTENDED}), State.LOST),
    Move.END: (frozenset({State.WAITING, State.INTENDED, State.LOST}), State.ENDED),
}


def after_a_loss(write: Write, decided: RowResult | Plan) -> RowResult | Plan:
    """Return what a lost write does, given what was decided from its record after the settle time.

    Args:
        write: a write that was sent before, or may have been.
        decided: what it would do if it had not been sent.
    """
    intent = write.intent
    if intent is None:
        return decided
    if isinstance(decided, Plan):  # the lost request may have changed its fields before
        return attrs.evolve(decided, changed=tuple(dict.fromkeys((*intent.changed, *decided.changed))))
    if decided.outcome is Outcome.UNCHANGED:  # it has every value
        outcome = Outcome.CREATED if intent.was_absent else Outcome.UPDATED
        return attrs.evolve(decided, outcome=outcome, changed_fields=intent.changed)
    if decided.outcome in {Outcome.CONFLICT, Outcome.REFUSED}:  # neither says what became of the lost request
        return attrs.evolve(decided, outcome=Outcome.UNKNOWN, reasons=(*decided.reasons, _UNKNOWN))
    return decided


def after_an_answer(write: Write, plan: Plan, result: RowResult) -> RowResult:
    """Return the outcome of a write that was answered: the record of a lost create may be why the next one is refused.

    Args:
        write: the write as it was before its plan was sent.
        result: the outcome by the answer.
    """
    if write.intent is None or not plan.is_new or result.outcome is not Outcome.REFUSED:
        return result
    if not _OF_VALUES.isdisjoint(one.rpartition(": ")[2] for one in result.reasons):
        return result
    return attrs.evolve(result, outcome=Outcome.UNKNOWN, reasons=(*result.reasons, _REFUSED_LATER))


def before_sending(write: Write, plan: Plan, limits: TryLimits) -> RowResult | Plan:
    """Return the outcome of a write that was lost too often to be sent again, or else its plan."""
    fault = write.fault
    if fault is not None and write.alone >= limits.of(fault):
        reason = f"the server failed on it {write.alone} times: {fault}"
    elif write.tries >= limits.losses:
        reason = f"sent {write.tries} times: each time the answer was lost, and no look-up showed the row's values"
    else:
        return plan
    return RowResult(outcome=Outcome.REFUSED, record_id=plan.record_id, reasons=(reason,))
