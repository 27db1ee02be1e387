"""The file of an outbox, read while no program has it open."""

from contextlib import closing
from functools import partial

import pytest

from carecloud_async.bulk.outcome import Outcome, RowResult
from carecloud_async.bulk.rows import Plan
from carecloud_async.bulk.sending import Lost
from carecloud_async.outbox.queue import NewEntry, OutboxQueue
from carecloud_async.outbox.sending import QueueJournal
from carecloud_async.pytest_plugin.clock import FakeClock

#: The monotonic time of a new clock.
ZERO = FakeClock().monotonic()


def entry(kind, lane, key):
    return NewEntry(kind=kind, key=key, once=key, lane=lane, label=f"{kind} {key}", body=b"{}")


def lose(queue, number, fault=None):
    """Send an entry whose answer is lost."""
    journal = QueueJournal(queue, [number], on_wait=lambda _: None)
    ((write,), _) = journal.take_turn(now=queue.now, after=0, limit=1)
    journal.intend([(write, Plan(kind="create", body={}))])
    journal.lose([(write, Lost(fault=fault), queue.now + 35)], now=queue.now)


def test_earlier_owners_are_named_until_their_claims_are_adopted(path):
    """A program that is killed before it has the claims of an earlier one leaves both to the next program."""
    with closing(OutboxQueue.open(path, binding={})) as queue:
        begin = partial(queue.begin, settle_seconds=35.0)
        assert begin(owner=1) == []
        assert begin(owner=2) == [1]
        assert begin(owner=3) == [1, 2]
        queue.forget_earlier_owners(3)
        assert begin(owner=4) == [3]


@pytest.mark.parametrize(
    ("before", "now", "lost_at"), [("a", "b", 100_000.0), ("a", "a", 0.0), (None, "b", 0.0), ("a", None, 0.0)]
)
@pytest.mark.parametrize("is_retried", [False, True])
def test_what_was_lost_in_another_boot_is_lost_now(path, clock, before, now, lost_at, is_retried):
    """A time on the clock of another host says nothing; where a boot has no id, the times are taken as they are."""
    lost = RowResult(outcome=Outcome.UNKNOWN, reasons=("lost",))
    with closing(OutboxQueue.open(path, binding={}, clock=clock)) as queue:
        queue.begin(owner=1, settle_seconds=35.0, boot=before)
        queue.put(entry("bill", "c", "1"))
        lose(queue, 1)
        clock.advance(20)
        (waiting,) = queue.waiting_entries(limit=9, boot=now)
        if is_retried:
            queue.end([(1, lost)])
        clock.advance(99_980)
        queue.begin(owner=2, settle_seconds=35.0, boot=now)
        queue.retry(None)
        (taken,) = QueueJournal(queue, [1], on_wait=print).lost()
    assert waiting.due_in == (15.0 if lost_at == 0.0 else None)
    assert taken.lost_at == ZERO + lost_at


@pytest.mark.parametrize(("fault", "due_in"), [("500", 60.0), (None, 1500.0)])
def test_when_a_lost_entry_is_sent_again(path, clock, fault, due_in):
    """An entry whose requests the server has ended is sent again when replicas show it; another one waits longer."""
    with closing(OutboxQueue.open(path, binding={}, clock=clock)) as queue:
        queue.begin(owner=1, settle_seconds=600.0)
        queue.put(entry("bill", "c", "1"))
        for _ in range(2):
            clock.advance(35)
            lose(queue, 1, fault)
        (waiting,) = queue.waiting_entries(limit=9)
    assert waiting.due_in == due_in


def test_what_was_never_lost_is_not_lost_after_a_boot(path, clock):
    """An entry that was refused, and is retried after the machine was started again, is sent at once."""
    with closing(OutboxQueue.open(path, binding={}, clock=clock)) as queue:
        queue.begin(owner=1, settle_seconds=35.0, boot="a")
        queue.put(entry("bill", "c", "1"))
        queue.end([(1, RowResult(outcome=Outcome.REFUSED, reasons=("no",)))])
        queue.begin(owner=2, settle_seconds=35.0, boot="b")
        queue.retry(None)
        assert QueueJournal(queue, [1], on_wait=print).lost() == []
