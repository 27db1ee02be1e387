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
     |                         lose |  | intend         | |
     |                              v  |                | |
     |                              lost ---------------+ |
     |                              |  ^        end       |
     |                              +--+                  |
     |                              lose                  |
     +----------------------------------------------------+
                             end

    move        from                      to         when
    intend      waiting, lost          -> intended   a request was decided: it is noted, and then it leaves
    take back   intended               -> waiting    the request did nothing: it never left, or got 401, 403 or 429
    lose        intended, lost         -> lost       no answer came, or a 5xx; or a resumed run finds it intended;
                                                     or it was done, and an earlier request of it may do it again
    end         waiting, lost          -> ended      by the look-up nothing has to be sent, or it was tried enough
    end         intended               -> ended      the answer is the outcome; or no answer came, and it has no key
```

Some writes begin elsewhere: a row that is refused when it is read is `ended`, and a call that is put into an outbox
once more after it was dropped is `lost`, if its answer was. An entry of an outbox that failed leaves `ended` when it
is retried: to `lost` if its answer was lost, else to `waiting`.

In one turn, a write in `waiting` or `lost` is claimed, looked up, decided and sent: `after_a_loss` corrects what was
decided, `before_sending` counts how often it was tried, and `after_an_answer` corrects the outcome. While another run
holds its key or its record, or another row of the run writes that record, it keeps its state and has its next turn a
second later, then after twice as long each time, up to half a minute. A write that `gate` does not let leave keeps its
state too: while writes are only lost, one at a time is sent. A write that was lost and then taken back is in `waiting`,
and is still decided as one that may have been sent. Each write ends with one of six outcomes: `created`, `updated`,
`unchanged`, `refused`, `conflict`, `unknown`.

**Claim, look, write, let go.** The keys of a write are claimed (`claims`) before they are looked up, and released when
its outcome is known; a record that is about to be changed is claimed too, since another key may lead to it. So between
the look-up and the outcome no other run of this user of the machine changes the record. Other programs can.

**An intent is durable before its request leaves.** So there is no state for a request that has left: after a kill every
intended write may have been sent, and counts as lost.

**A lost write is looked up soon, and sent again late.** `SettleTimes` knows both times: it is looked up when its
request has nearly always acted, and again with growing waits; it is sent again when its request has acted or never
will, and that wait grows with each loss. If the record has every value, the write is done (`created` if no record
existed before, else `updated`). If not, the write is decided again. If that is a refusal or a conflict, it ends as
`unknown`. So does a create whose key is written after its record: without the key, no look-up finds the record.

**A write that was sent more than once may be done more than once.** When its answer comes, or a look-up shows it, an
earlier request may still act. So it is looked up once more, a settle time later, and keeps its claims until then. If a
create is there twice by then, it ends as `unknown`, with the ids.

**What was read before a loss is old.** An intent keeps what a record had in the fields that it changes. If the record
has something else in one of them after a loss, neither that nor what was sent, another program has changed it: the
update ends as a `conflict`.

**A create that is sent again may meet its own record**, since lists may show a record late. If the server refuses it,
it ends as `unknown`, unless a reason is about a value alone, for which the first request was refused as well.

**A write without a key cannot be looked up.** Without an answer it ends as `unknown`, also when a resumed run finds it
lost, and is never sent again.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Final, Self

import attrs

from carecloud_async._base.runtime.validators import expected
from carecloud_async.bulk.outcome import Outcome, RowResult
from carecloud_async.bulk.rows import Plan, Write
from carecloud_async.errors import ConfigurationError

#: For how long a server may still work on a request after the client stopped waiting, nearly always (seconds).
_WORKS_LONGER: Final = 5.0
#: How late a look-up may show what was written, from a replica or an index (seconds).
SHOWN_SECONDS: Final = 60.0
#: How long a request may act after its answer was lost, unless writes are held, and then not be shown (seconds): a
#: minute for each, since a replica may be late with what acted late.
SETTLE_SECONDS: Final = 60.0 + SHOWN_SECONDS
#: Waits after the first, the second, the third and each later loss of a write, in settle times.
_STEPS: Final = (1, 2.5, 10, 30)
#: The longest wait between two look-ups of a lost write (seconds), unless the read timeout is longer.
_LONGEST_LOOK: Final = 300.0
#: Longer settle times would be longer than claims are kept (seconds).
_LONGEST: Final = 24 * 3600.0
#: Statuses with which the server itself ends a request. After 502 and 504, which a proxy sends, it may still run.
_ENDED: Final = ("500", "503")
#: A proxy answers with these while the server behind it is away, so the write is probably not the cause.
_OF_PROXIES: Final = ("502", "503", "504")
#: Seconds until a record is looked up again that another write has just made.
_LOOK_AGAIN: Final = 5.0
_UNKNOWN: Final = "the answer was lost, and the record does not show what became of the row"
_CHANGED: Final = "another program has changed it since the row was sent, and the answer was lost"
_REFUSED_LATER: Final = "an earlier answer was lost, and the record may have been made then"
#: Reasons of the API that are about a value alone: an earlier request with this value was refused as well.
_OF_VALUES: Final = frozenset({"empty", "required", "not_allowed_value", "invalid_value_format"})


@attrs.frozen(kw_only=True)
class TryLimits:
    """How often a write is sent, or looked up, before it is refused. An equal 5xx counts while it is sent alone.

    Attributes:
        failures: answers in a row with the same 5xx, or with 500 and 503.
        unavailable: the same where the last one is 502, 503 or 504.
        losses: lost answers in all, but those by which the request had ended. A kill counts as a loss, even if nothing
            had left yet.
        attempts: of a request that did nothing; and turns in a row in which nothing could be sent.
        patience: for how long nothing can be sent before a run ends (seconds): as long as a call is repeated by
            default, and more.
    """

    failures: int = 3
    unavailable: int = 6
    losses: int = 6
    attempts: int = 7
    patience: float = 300.0

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
    """A request of it may have acted, or may still act, and its outcome is not known."""
    ENDED = 3
    """It has its outcome."""


@attrs.frozen(kw_only=True)
class Later:
    """A write keeps its state, and has another turn.

    Attributes:
        until: when.
        made: its outcome, if this look-up has shown that it was done, and another one is to confirm it.
    """

    until: float
    made: RowResult | None = None


def after_a_loss(
    write: Write, decided: RowResult | Plan, *, copies: Sequence[str | None] = (), name: str = "it"
) -> RowResult | Plan:
    """Return what a write does that may have been sent before, given what was decided from its record.

    Args:
        write: a write that was sent before, or may have been.
        decided: what it would do if it had not been sent.
        copies: the ids of the records that have its key, `None` for one without an id.
        name: what reasons call it.
    """
    intent = write.intent
    if intent is None:
        return decided
    if intent.was_absent and len(copies) > 1:
        return RowResult(outcome=Outcome.UNKNOWN, reasons=(_times(name, copies),))
    written = Outcome.CREATED if intent.was_absent else Outcome.UPDATED
    if intent.made is not None:  # whatever became of it since
        record_id = decided.record_id or intent.made or None
        return RowResult(outcome=written, record_id=record_id, changed_fields=intent.changed)
    if isinstance(decided, Plan):
        if others := _changed_by_others(write, decided):
            reasons = tuple(f"{other}: {_CHANGED}" for other in others)
            return RowResult(outcome=Outcome.CONFLICT, record_id=decided.record_id, reasons=reasons)
        # The lost request may have changed its fields before.
        return attrs.evolve(decided, changed=tuple(dict.fromkeys((*intent.changed, *decided.changed))))
    if decided.outcome is Outcome.UNCHANGED:  # it has every value
        return attrs.evolve(decided, outcome=written, changed_fields=intent.changed)
    if decided.outcome in {Outcome.CONFLICT, Outcome.REFUSED}:  # neither says what became of the lost request
        return attrs.evolve(decided, outcome=Outcome.UNKNOWN, reasons=(*decided.reasons, _UNKNOWN))
    return decided


def _times(name: str, copies: Sequence[str | None]) -> str:
    ids = [record for record in copies if record is not None]
    named = f": records {', '.join(ids)}" if ids else ""
    return f"{name} is there {len(copies)} times, and was not there before it was sent{named}"


def _changed_by_others(write: Write, plan: Plan) -> list[str]:
    """Return the fields of a record in which it has neither what it had before the lost update, nor what that sent."""
    intent = write.intent
    if intent is None or intent.was_absent or plan.record_id is None or intent.record_id != plan.record_id:
        return []
    return [name for name, value in plan.base.items() if intent.base.get(name) != value]


def when_settled(
    write: Write, decided: RowResult | Plan, *, now: float, times: SettleTimes
) -> RowResult | Plan | Later:
    """Return what a write does now: before its time, a lost one ends only if a look-up shows that it was done.

    Until it ends it keeps its claims, so that a late request overwrites nothing of ours. Nor is a record made whose key
    another write has just made, and a look-up does not show: replicas may show it late.

    Args:
        write: the write.
        decided: what it does when its requests have settled.
        now: the time.
        times: how long lost requests may act.
    """
    if write.made_at is not None and isinstance(decided, Plan) and decided.is_new:
        shown = write.made_at + SHOWN_SECONDS
        if now < shown:
            return Later(until=min(shown, now + _LOOK_AGAIN))
    intent = write.intent
    if write.lost_at is None or intent is None:
        return decided
    done = {Outcome.CREATED, Outcome.UPDATED}
    if isinstance(decided, RowResult) and decided.outcome in done and intent.made is None:
        is_again = write.tries > 1 and may_act(write)
        return Later(until=now + times.settle, made=decided) if is_again else decided
    until = write.lost_at + times.after(write)
    return decided if now >= until else Later(until=min(until, now + times.before_look(now - write.lost_at)))


def is_to_be_confirmed(write: Write, result: RowResult) -> bool:
    """Return whether an answered write is looked up once more: an earlier request may do the same again.

    Args:
        write: the write as it was before it was sent.
        result: the outcome by the answer.
    """
    is_done = result.outcome in {Outcome.CREATED, Outcome.UPDATED}
    return is_done and (may_act(write) or write.is_doubted)


def after_an_answer(write: Write, plan: Plan, result: RowResult) -> RowResult:
    """Return the outcome of a write that was answered: the record of a lost create may be why the next one is refused.

    Args:
        write: the write as it was before its plan was sent.
        result: the outcome by the answer.
    """
    if write.intent is None or not plan.is_new or result.outcome is not Outcome.REFUSED:
        return result
    if not _OF_VALUES.isdisjoint(reason.rpartition(": ")[2] for reason in result.reasons):
        return result
    return attrs.evolve(result, outcome=Outcome.UNKNOWN, reasons=(*result.reasons, _REFUSED_LATER))


def before_sending(write: Write, plan: Plan, limits: TryLimits) -> RowResult | Plan:
    """Return the outcome of a write that was lost too often to be sent again, or else its plan."""
    fault = write.fault
    if fault is not None and write.alone >= limits.of(fault):
        reason = f"the server failed on it {write.alone} times: {fault}"
    elif write.tries - write.ended >= limits.losses:
        reason = f"sent {write.tries} times: each time the answer was lost, and no look-up showed the row's values"
    else:
        return plan
    return RowResult(outcome=Outcome.REFUSED, record_id=plan.record_id, reasons=(reason,))


# how long a lost write waits


@attrs.frozen(kw_only=True)
class SettleTimes:
    """The seconds after which lost writes are looked up and sent again.

    Nearly every request has acted some seconds after the client stopped waiting. Now and then a server holds all writes
    and goes on to answer reads: a backup locks its tables, a table is rebuilt, a disk is full. Then a look-up finds
    nothing, and the request acts minutes later; how long, nothing tells. So a lost write is sent again after two
    minutes: servers give up what is not held in the first one, and replicas show it in the second. If it is lost again,
    it is sent after five, as long as a table is locked; then after twenty, as long as a backup of a shop takes; and
    then after an hour each time. One that the server has ended waits only until replicas show it. Each look-up in
    between may end it sooner. In a simulated day of tills with a lock of four hours, a last step of an hour halves how
    often one sale is made (7 times at most, with twenty minutes 14), and delays none.

    Attributes:
        look: after which a lost write is looked up, and again; later ones have longer waits.
        settle: after which one that was lost once is sent again.
    """

    look: float
    settle: float

    @classmethod
    def of(cls, *, read_timeout: float, settle: float | None = None) -> Self:
        """Return the times of a client.

        Args:
            read_timeout: how long it waits for an answer.
            settle: what its user knows of the server; `None` for the usual two minutes.
        """
        look = read_timeout + _WORKS_LONGER
        return cls(look=look, settle=max(SETTLE_SECONDS if settle is None else settle, look))

    def before_look(self, waited: float) -> float:
        """Return how long a lost write waits until its next look-up: the longer it has waited, the longer."""
        return max(self.look, min(waited / 4, _LONGEST_LOOK))

    def after(self, write: Write) -> float:
        """Return how long a lost write waits until it is sent again, or a created one until it is confirmed."""
        if write.intent is not None and write.intent.made is not None:
            return self.settle
        if not may_act(write):
            return min(max(self.look, SHOWN_SECONDS), self.settle)
        return wait_after(write.tries - write.ended, self.settle)


def wait_after(losses: int, settle: float) -> float:
    """Return how long a write waits after its losses, in seconds."""
    return settle * _STEPS[min(max(losses, 1), len(_STEPS)) - 1]


def has_ended(fault: str | None) -> bool:
    """Return whether the server said with a status that a request has ended, whatever it did."""
    return fault is not None and fault.startswith(_ENDED)


def may_act(write: Write) -> bool:
    """Return whether a lost request of a write may still act."""
    return write.tries > write.ended


def check_settle(settle: object) -> None:
    """Check a settle time that a user gives.

    Raises:
        ConfigurationError: it is no number of seconds.
    """
    is_number = isinstance(settle, (int, float)) and not isinstance(settle, bool)
    if settle is not None and not (is_number and 0 < settle < _LONGEST):  # type: ignore[operator]
        raise ConfigurationError(f"settle: {expected('seconds, more than 0 and less than a day', settle)}")
