"""The machine of one write: each arrow of its table, in the journal and in runs, and its drawing."""

import re
from collections import Counter
from contextlib import closing

import attrs
import pytest
from bulk_server import CustomerServer, client_of
from bulk_tools import SOURCE, counts, people
from disks import watch_databases

from carecloud_async import CareCloudError
from carecloud_async.bulk import machine
from carecloud_async.bulk.machine import (
    TRANSITIONS,
    Move,
    State,
    TryLimits,
    after_a_loss,
    after_an_answer,
    before_sending,
)
from carecloud_async.bulk.outcome import Outcome, RowResult, refused
from carecloud_async.bulk.row_journal import RowJournal
from carecloud_async.bulk.rows import CheckedRow, Intent, LoadedRow, Plan, Write
from carecloud_async.bulk.sending import Lost
from carecloud_async.pytest_plugin.clock import FakeClock

pytestmark = pytest.mark.anyio

PLAN = Plan(kind="create", body={})


def state_of(journal):
    """The state of the journal's only write."""
    return State(journal._db.execute("SELECT state FROM writes")[0][0])


def journal_of(key="a"):
    """A journal of one row, and its write."""
    journal = RowJournal(None, keep_rows=False)
    journal.load([LoadedRow(number=1, line=1, key=key, checked=CheckedRow(key=key and (key,)))])
    ((write,), _) = journal.take_turn(now=0.0, after=0, limit=1)
    return journal, write


def take(move, journal, write):
    """Move a write."""
    if move is Move.INTEND:
        journal.intend([(write, PLAN)])
    elif move is Move.TAKE_BACK:
        journal.take_back([write], until=1.0)
    elif move is Move.LOSE:
        journal.lose([(write, Lost())], now=1.0, until=36.0)
    else:
        journal.end([(write, PLAN.result)], parts_of=lambda _write, _result: (), now=1.0)


@pytest.mark.parametrize("before", State)
@pytest.mark.parametrize("move", Move)
def test_an_arrow_leads_where_the_table_says(move, before):
    """A move changes the state of a write from the states of the table, and from no other."""
    journal, write = journal_of()
    with closing(journal):
        journal._db.execute("UPDATE writes SET state = ?", (before,))
        take(move, journal, write)
        sources, target = TRANSITIONS[move]
        assert state_of(journal) == (target if before in sources else before)


@pytest.mark.parametrize("before", [State.WAITING, State.INTENDED, State.LOST])
@pytest.mark.parametrize("move", Move)
def test_a_part_takes_the_same_arrows(move, before):
    """A part of a row moves as the table says; a part that has ended is gone."""
    journal, record = journal_of()
    with closing(journal):
        created = RowResult(outcome=Outcome.CREATED, record_id="r")
        journal.end([(record, created)], parts_of=lambda _write, _result: [("cards", {"number": "1"})], now=1.0)
        ((part,), _) = journal.take_turn(now=1.0, after=None, limit=1)
        journal._db.execute("UPDATE writes SET state = ? WHERE id = ?", (before, part.id))
        take(move, journal, part)
        sources, target = TRANSITIONS[move]
        expected = target if before in sources else before
        left = [State(state) for (state,) in journal._db.execute("SELECT state FROM writes WHERE id = ?", (part.id,))]
        assert left == ([] if expected is State.ENDED else [expected])


@pytest.mark.parametrize("before", State)
def test_a_resumed_run_takes_what_was_intended_for_lost(before):
    """After a kill each intended write is lost, by the arrow of the table; the others keep their state."""
    journal, _ = journal_of()
    with closing(journal):
        journal._db.execute("UPDATE writes SET state = ?", (before,))
        journal.recover(now=1.0, look=35.0)
        sources, target = TRANSITIONS[Move.LOSE]
        assert state_of(journal) == (target if before in sources else before)


def test_a_resumed_run_cannot_look_up_a_row_without_a_key():
    """After a kill an intended row without a key keeps its state, until the run notes that it is unknown."""
    journal, write = journal_of(key=None)
    with closing(journal):
        journal.intend([(write, PLAN)])
        journal.recover(now=1.0, look=35.0)
        assert state_of(journal) == State.INTENDED
        assert [one.id for one in journal.intended_without_key()] == [write.id]


def test_a_write_that_is_taken_back_remembers_an_earlier_loss():
    """A request that did nothing leaves the write as it was: one that was lost before may have been sent still."""
    journal, write = journal_of()
    with closing(journal):
        journal.intend([(write, PLAN)])
        journal.lose([(write, Lost())], now=1.0, until=36.0)
        journal.intend([(write, PLAN)])
        journal.take_back([write], until=40.0)
        ((taken,), _) = journal.take_turn(now=40.0, after=None, limit=1)
        assert taken.intent is not None
        assert after_a_loss(taken, RowResult(outcome=Outcome.UNCHANGED)).outcome is Outcome.CREATED


async def test_runs_walk_each_arrow(monkeypatch, tmp_path):
    """Rows that are unchanged, made, lost, stopped and lost again take every arrow of the table between them."""
    walked, clock = set(), FakeClock()
    server = CustomerServer(clock)

    def watch(database, statement):
        if statement.startswith("BEGIN") and list(database.execute("PRAGMA table_info(writes)")):
            database.create_function("walked", 2, lambda *states: walked.add(tuple(map(State, states))))
            database.execute(
                "CREATE TEMP TRIGGER IF NOT EXISTS watch AFTER UPDATE OF state ON writes WHEN old.state != new.state "
                "BEGIN SELECT walked(old.state, new.state); END"
            )

    watch_databases(monkeypatch, watch)
    rows = people(6)
    known = {name: value for name, value in rows[0].items() if name != "email"}
    server.add(rows[0]["email"], **known)
    server.writes = ["after", "before", "no connection"] + ["busy"] * 2000
    journal = tmp_path / "j.db"
    arguments = {"match": "email", "defaults": SOURCE, "journal": journal, "resume": True, "concurrency": 1}
    async with client_of(server, clock) as client:
        with pytest.raises(CareCloudError):
            await client.customers.bulk_write(rows, **arguments)
        server.writes = []
        report = await client.customers.bulk_write(rows, **arguments)
    assert counts(report) == {"created": 5, "unchanged": 1}
    arrows = {(before, after) for sources, after in TRANSITIONS.values() for before in sources}
    assert walked == {(before, after) for before, after in arrows if before != after}


def test_the_drawing_is_the_table():
    """The drawing at the top of the file has each state once and each arrow of the table; its legend is the table."""
    drawing, _, legend = machine.__doc__.split("```text")[1].partition("    move ")
    words = Counter(re.findall("[a-z]{2,}(?: [a-z]+)*", drawing))
    assert words == {state.name.lower(): 1 for state in State} | {
        move.value: len(sources) for move, (sources, _) in TRANSITIONS.items()
    }
    arrows = [line.split("->") for line in legend.partition("```")[0].splitlines() if "->" in line]
    told = {
        (move, before.strip(), after.split()[0])
        for source, after in arrows
        for move in Move
        if source.strip().startswith(f"{move.value} ")
        for before in source.strip().removeprefix(move.value).split(",")
    }
    assert told == {
        (move, before.name.lower(), target.name.lower())
        for move, (sources, target) in TRANSITIONS.items()
        for before in sources
    }


@pytest.mark.parametrize(
    ("was_absent", "decided", "outcome"),
    [
        (True, Outcome.UNCHANGED, Outcome.CREATED),
        (False, Outcome.UNCHANGED, Outcome.UPDATED),
        (True, Outcome.CONFLICT, Outcome.UNKNOWN),
        (False, Outcome.REFUSED, Outcome.UNKNOWN),
    ],
)
def test_what_a_record_shows_after_a_loss(was_absent, decided, outcome):
    """A record that has every value was written; one that says nothing of it leaves the write unknown."""
    write = Write(id=1, row=1, body=CheckedRow(), intent=Intent(was_absent=was_absent))
    assert after_a_loss(write, RowResult(outcome=decided)).outcome is outcome


@pytest.mark.parametrize(
    ("intent", "is_new", "reason", "outcome"),
    [
        (Intent(was_absent=True), True, "already_exists", Outcome.UNKNOWN),
        (Intent(was_absent=False), True, "already_exists", Outcome.UNKNOWN),
        (Intent(was_absent=True), True, "invalid_value_format", Outcome.REFUSED),
        (Intent(was_absent=False), False, "already_exists", Outcome.REFUSED),
        (None, True, "already_exists", Outcome.REFUSED),
    ],
)
def test_what_a_refusal_shows_after_a_loss(intent, is_new, reason, outcome):
    """A refusal is believed of a write that was never lost, of an update, and if a value is at fault."""
    write = Write(id=1, row=1, body=CheckedRow(), intent=intent)
    plan = attrs.evolve(PLAN, is_new=is_new)
    assert after_an_answer(write, plan, refused(f"email: {reason}")).outcome is outcome


def test_a_write_that_was_never_sent_takes_no_credit():
    """Without an intent, what was decided stands; a plan stands too."""
    decided = RowResult(outcome=Outcome.UNCHANGED)
    assert after_a_loss(Write(id=1, row=1, body=CheckedRow()), decided) is decided
    assert before_sending(Write(id=1, row=1, body=CheckedRow()), PLAN, TryLimits()) is PLAN


@pytest.mark.parametrize(
    ("fault", "alone", "tries", "is_sent"),
    [
        ("500", 2, 2, True),
        ("500", 3, 3, False),
        ("503 Unavailable", 5, 5, True),
        ("503 Unavailable", 6, 6, False),
        (None, 0, 5, True),
        (None, 0, 6, False),
    ],
)
def test_how_often_a_write_is_sent(fault, alone, tries, is_sent):
    """Three equal failures of the server, six of a proxy perhaps, six lost answers: then it is refused."""
    write = Write(id=1, row=1, body=CheckedRow(), fault=fault, alone=alone, tries=tries)
    decided = before_sending(write, PLAN, TryLimits())
    assert decided is PLAN if is_sent else decided.outcome is Outcome.REFUSED


def test_a_write_that_was_lost_too_often_says_what_is_known():
    """The reason names the look-ups, and does not claim that nothing was written: a list may show a record late."""
    decided = before_sending(Write(id=1, row=1, body=CheckedRow(), tries=6), PLAN, TryLimits())
    assert decided.reasons == ("sent 6 times: each time the answer was lost, and no look-up showed the row's values",)
