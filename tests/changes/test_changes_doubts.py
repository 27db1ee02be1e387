"""Rights, filters, projects, states and ids that changed look like deletions: none of them is taken for one."""

import json
import random
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from attrs import evolve
from kit import connect
from lying import lie

from carecloud_async import ExportError, PermissionDeniedError
from carecloud_async._lists.changes.comparison import Comparison
from carecloud_async._lists.changes.pending import PendingChanges
from carecloud_async._lists.changes.reader import Changes
from carecloud_async._lists.changes.state_file import StateFile
from carecloud_async._lists.changes.values import ChangesOptions
from carecloud_async._lists.export.reading.pages import RawPageFetcher
from carecloud_async.sandbox import Sandbox

sys.path.append(str(Path(__file__).parents[1] / "export"))
from list_machine import ListMachine

pytestmark = pytest.mark.anyio


@pytest.fixture
def sandbox():
    return Sandbox(customers=60, seed=1)


@pytest.fixture
def state(tmp_path):
    return tmp_path / "list.state"


@pytest.fixture
def machine():
    return ListMachine(records=[(f"{index:04}", index) for index in range(300)], dice=random.Random(1))


async def read(machine, state, **options):
    options = ChangesOptions(concurrency=1, **options)
    async with Changes(machine.source(count=50), state, options) as changes:
        found = [(change.kind, change.id) async for change in changes]
    return found, changes.report


async def take(listing, state, **options):
    async with listing.changes(state=state, **options) as changes:
        found = [(change.kind, change.id) async for change in changes]
    return found, changes.report


@pytest.mark.parametrize("left", [0, 100])
@pytest.mark.parametrize("after", [2, 4, 6])
async def test_a_right_that_is_taken_away_while_a_list_is_read_deletes_nothing(machine, state, after, left):
    """The rest of the list is hidden from some page on: the run is refused, and the next one finds nothing changed."""
    await read(machine, state)
    before, records = state.read_bytes(), list(machine.records)

    def hide(machine):
        if machine.requests == after:
            del machine.records[left:]

    machine.requests, machine.churn = 0, hide
    with pytest.raises(ExportError, match="allow_shrink"):
        await read(machine, state)
    assert state.read_bytes() == before
    machine.records, machine.churn = records, None
    assert (await read(machine, state))[0] == []


async def test_a_deletion_is_reported_after_two_readings(machine, state):
    """Records that the first reading lacks and the second one shows are unchanged; what both lack is deleted."""
    await read(machine, state)
    hidden, deleted = machine.records[200:220], machine.records[50]
    machine.records = [one for one in machine.records if one not in hidden and one != deleted]

    _, calm = await read(ListMachine(records=list(machine.records)), state.with_name("another"))

    def show(machine):
        if machine.requests == calm.requests:  # the last one of the first reading
            machine.records = machine.records + hidden

    machine.requests, machine.churn = 0, show
    found, report = await read(machine, state)
    assert found == [("deleted", deleted[0])]
    assert (report.exact, report.passes, report.unchanged) == (True, 2, 299)
    machine.churn = None
    assert (await read(machine, state))[0] == []


async def test_a_second_reading_that_is_not_exact_leaves_deletions_to_the_next_run(machine, state):
    """A record that the first reading lacks is not deleted while the second reading disagrees with its totals."""
    await read(machine, state)
    deleted = machine.records.pop(50)
    _, calm = await read(ListMachine(records=list(machine.records)), state.with_name("another"))

    def lie(machine):
        if machine.requests == calm.requests:
            machine.total = "high"

    machine.requests, machine.churn = 0, lie
    found, report = await read(machine, state)
    assert (found, report.exact) == ([], False)
    machine.total, machine.churn = "true", None
    assert (await read(machine, state))[0] == [("deleted", deleted[0])]


async def test_a_page_that_is_forbidden_ends_the_run(sandbox, state):
    """403 from the third page on: the error is raised, and the state is unchanged."""
    async with connect(sandbox) as client:
        listing = client.customers.list(count=10)
        await take(listing, state)
        before = state.read_bytes()
        sandbox.faults.add("GET /customers", status=403, after=2, times=99)
        with pytest.raises(PermissionDeniedError):
            await take(listing, state)
    assert state.read_bytes() == before


async def test_a_list_that_stays_small_is_refused_again(machine, state):
    """A refused run leaves the state, so that the same list is no smaller step in the next night."""
    await read(machine, state)
    hidden = machine.records[100:]
    del machine.records[100:]
    for _ in range(2):
        with pytest.raises(ExportError, match="200 of 300"):
            await read(machine, state)
    machine.records += hidden[:-60]
    found, _ = await read(machine, state)
    assert sorted(found) == [("deleted", one) for one, _ in hidden[-60:]]


async def test_another_project_is_refused(sandbox, state):
    """A state is refused for the same list of another project."""
    async with connect(sandbox) as client:
        await take(client.customers.list(), state)
    sandbox.forget_requests()
    async with connect(sandbox, host="other.crmcarecloud.com") as client:
        with pytest.raises(ExportError, match="belongs to another"):
            await take(client.customers.list(), state)
    assert sandbox.count() == 0


async def test_a_filter_that_the_server_drops_deletes_nothing(sandbox, state):
    """Without its filter the list is longer: records are created. With it again more than half is gone: refused."""
    names = [sandbox.customers.get(one)["personal_information"]["last_name"] for one in sandbox.customers.ids()]
    lie(sandbox)
    async with connect(sandbox) as client:
        listing = client.customers.list(last_name=max(names, key=names.count))
        first, _ = await take(listing, state)
        lie(sandbox, filters=False)
        found, _ = await take(listing, state)
        assert {kind for kind, _ in found} == {"created"}
        assert len(first) + len(found) == 60
        lie(sandbox)
        with pytest.raises(ExportError, match="allow_shrink"):
            await take(listing, state)


@pytest.mark.parametrize("ids", ["twice", "none"])
async def test_records_without_an_id_of_their_own_are_deleted_and_created(state, ids):
    """A changed record without an id is deleted and created; if several have one id, the first of them is updated."""
    names = [None] * 20 if ids == "none" else [f"{index // 2:02}" for index in range(20)]
    machine = ListMachine(records=[(one, index) for index, one in enumerate(names)], order=("shuffled",))
    assert len((await read(machine, state))[0]) == 20
    assert (await read(machine, state))[0] == []
    machine.records[4] = (machine.records[4][0], 99)
    async with Changes(machine.source(count=50), state, ChangesOptions()) as changes:
        found = [change async for change in changes]
    assert sorted(change.kind for change in found) == (["created", "deleted"] if ids == "none" else ["updated"])
    assert [json.loads(change.raw)["n"] for change in found if change.raw] == [99]
    assert changes.report.unchanged == 19


async def test_a_record_that_does_not_say_when_it_changed_is_compared_every_time(sandbox, state):
    """Between two comparisons a record without `last_change` is read too, and is a change where it differs."""
    quiet = sandbox.customers.id_at(3)
    async with connect(sandbox) as client:
        listing = client.customers.list()
        sandbox.customers.update(quiet, {"last_change": None})
        await take(listing, state, compare_every=timedelta(days=7))
        sandbox.customers.update(quiet, {"last_change": None, "state": 0})
        found, report = await take(listing, state, compare_every=timedelta(days=7))
        assert (found, report.compared) == ([("updated", quiet)], False)
        found, report = await take(listing, state)
    assert (found, report.compared) == ([], True)


async def test_ids_that_become_numbers_delete_nothing(state):
    """Ids that are sent as numbers from now on name the same records: only those that are gone are deleted."""
    machine = ListMachine(records=[(str(1000 + index), index) for index in range(300)], dice=random.Random(1))
    await read(machine, state)
    machine.records = [(1000 + index, index) for index in range(300)]
    found, report = await read(machine, state)
    assert (sorted(found), report.exact) == ([("updated", str(1000 + index)) for index in range(300)], True)
    del machine.records[7]
    assert (await read(machine, state))[0] == [("deleted", "1007")]


@pytest.mark.parametrize("kind", ["version", "truncated"])
async def test_a_state_that_is_not_whole_is_refused(machine, state, kind):
    """A state of another version and a truncated one are errors with a fix, never deletions."""
    await read(machine, state)
    if kind == "version":
        one = StateFile(state, machine.source(count=50).fingerprints())
        one.set("version", 99)
        one.commit()
        one.close()
    else:
        state.write_bytes(state.read_bytes()[: 4096 * 2 + 100])
    before = state.read_bytes()
    with pytest.raises(ExportError, match="delete it to begin again"):
        await read(machine, state)
    assert state.read_bytes() == before


async def test_six_nights_of_seven_ask_no_more_than_nights_of_changes(tmp_path):
    """`compare_every`: each night between two comparisons asks exactly what an export with `changed_since` asks."""
    counts = {"changes": [], "export": []}
    for kind, found in counts.items():
        sandbox, days = Sandbox(customers=400, seed=1), [0]
        async with connect(sandbox) as client:
            source = client.customers.list(count=50).export_source()

            class Clock(type(source.clock)):
                def time(self, days=days):
                    return super().time() + 86_400 * days[0]

            mark = None
            for _ in range(8):
                sandbox.forget_requests()
                if kind == "changes":
                    options = ChangesOptions(compare_every=timedelta(days=7), concurrency=2)
                    async with Changes(evolve(source, clock=Clock()), tmp_path / "state", options) as changes:
                        changed = [change async for change in changes]
                    assert changes.report.compared == (days[0] in {0, 7})
                    assert changes.report.compared or len(changed) == 70
                else:
                    report = await client.customers.list(count=50).export(
                        tmp_path / "list.jsonl", changed_since=mark, concurrency=2, overwrite=True
                    )
                    mark = report.next_changed_since
                found.append(sandbox.count("GET /customers"))
                days[0] += 1
                sandbox.advance(86_400)
                for index in range(70):
                    sandbox.customers.update(sandbox.customers.id_at(5 * index), {"language_id": f"{days[0]}"})
    assert counts["changes"][1:7] == counts["export"][1:7]
    assert max(counts["changes"][1:7]) < min(counts["changes"][0], counts["changes"][7])


async def test_a_record_that_comes_twice_is_one(state, machine):
    """A comparison that gets a record again, new or known, counts it once more as unchanged and changes nothing."""
    source = machine.source(count=50)
    one = StateFile(state, source.fingerprints())
    pending = PendingChanges(state.with_name("pending"))
    comparison = Comparison(one, pending, keep="digests")
    lines = [b'{"customer_id":"a"}', b'{"customer_id":"b"}']
    for _ in range(2):
        comparison.take(lines, RawPageFetcher(source).identify)
    assert (comparison.created, comparison.unchanged) == (2, 2)
    pending.close(keep=False)
    one.close()
