"""One write: its states, and what leads from one to the next. Everything else in this package serves this machine.

A row of a bulk write is one write or more: its record, then its parts (a card, an external id, values of properties).
All of them pass through the same four states, each with a key, a body and a state of its own, which the journal keeps.

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
    lose        intended               -> lost       the answer was lost, or the run was killed
    end         waiting, lost          -> ended      the look-up showed that nothing is to be sent, or nothing can be
    end         intended               -> ended      answered: written, refused, in conflict; or lost, without a key
```

In one turn, a write in `waiting` or `lost` is claimed, looked up, decided and sent. It stays in its state and has
another turn a second later while another run holds its key or its record, or another row of the run is writing the same
record. In `lost` it has no turn before the settle time is over. It ends with one of six outcomes: `created`,
`updated`, `unchanged`, `refused`, `conflict`, `unknown`.

**Claim, look, write, let go.** The keys of a write are claimed (`claims`) before they are looked up, and released when
its outcome is known; a record that is about to be changed is claimed too, since another key may lead to it. So what a
look-up shows holds until the write has its outcome, whatever other runs on this machine do, and there is nothing to
remember of writes that are done.

**An intent is durable before its request leaves.** So there is no state for a request that has left: after a kill every
intended write may have been sent, and counts as lost.

**A lost write settles before it is looked up.** Until the settle time is over the request may still take effect. After
it the record shows what happened. If it has every value, the write is done (`created` if no record existed before,
else `updated`). If not, the write is decided again: a refusal or conflict ends as `unknown`. A record without a key
is never `lost`, since it cannot be looked up. It ends as `unknown` at once, and is never sent again.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, IntEnum
from typing import Final

import attrs

from carecloud_async.bulk.outcome import Outcome, RowResult
from carecloud_async.bulk.rows import Plan, Write

__all__ = ["MAX_ALONE", "TRANSITIONS", "Move", "State", "after_a_loss", "before_sending"]

#: A write is refused once the server has answered it, sent alone, with the same 5xx this often in a row.
MAX_ALONE: Final = 3
#: A write whose answer was lost this often is refused too. A kill counts as a loss, even if nothing had left yet.
MAX_TRIES: Final = 20

_UNKNOWN: Final = "the answer was lost, and the record does not show what became of the row"


class State(IntEnum):
    """The state of a write, as the journal stores it."""

    WAITING = 0
    """Nothing of it is under way."""
    INTENDED = 1
    """It is about to be sent, or was sent."""
    LOST = 2
    """It was sent, and its answer was lost."""
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
    if isinstance(decided, Plan):  # what was changed before is a change of this row all the same
        return attrs.evolve(decided, changed=tuple(dict.fromkeys((*intent.changed, *decided.changed))))
    if decided.outcome is Outcome.UNCHANGED:  # it has every value
        outcome = Outcome.CREATED if intent.was_absent else Outcome.UPDATED
        return attrs.evolve(decided, outcome=outcome, changed_fields=intent.changed)
    if decided.outcome in {Outcome.CONFLICT, Outcome.REFUSED}:  # which says nothing of what was sent before
        return attrs.evolve(decided, outcome=Outcome.UNKNOWN, reasons=(*decided.reasons, _UNKNOWN))
    return decided


def before_sending(write: Write, plan: Plan) -> RowResult | Plan:
    """Return the outcome of a write that was lost too often to be sent again, or else its plan."""
    if write.alone >= MAX_ALONE and write.fault is not None:
        reason = f"the server failed on it {write.alone} times: {write.fault}"
    elif write.tries >= MAX_TRIES:
        reason = f"sent {write.tries} times: each time the answer was lost, and nothing was written"
    else:
        return plan
    return RowResult(outcome=Outcome.REFUSED, record_id=plan.record_id, reasons=(reason,))
