"""Rights, filters, totals and ids that changed look like deletions: none of them is taken for one."""

import json
import random
from datetime import timedelta

import pytest
from changes_help import read, take
from kit import connect
from lists import ChangeServer, ListServer, hexes, numbered, old_times
from lying import lie

from carecloud_async import ExportError, PermissionDeniedError

pytestmark = pytest.mark.anyio


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


async def test_a_list_that_is_half_gone_is_refused(machine, state):
    """More than half of the records gone is an error that leaves the state, each night; `allow_shrink` accepts it."""
    await read(machine, state)
    before = state.read_bytes()
    hidden = machine.records[100:]
    del machine.records[100:]
    for _ in range(2):
        with pytest.raises(ExportError, match=r"200 of 300 records are gone.*allow_shrink"):
            await read(machine, state)
        assert state.read_bytes() == before
    machine.records += hidden[:-60]
    taken, _ = await read(machine, state)
    assert sorted(taken) == [("deleted", record_id) for record_id, _ in hidden[-60:]]
    del machine.records[100:]
    taken, report = await read(machine, state, allow_shrink=True)
    assert report.deleted == len(taken) == 140
    del machine.records[40:]
    async with machine.client() as client:
        file = state.with_name("changes.jsonl")
        with pytest.raises(ExportError, match="allow_shrink"):
            await client.customers.list().changes(state=state).to_file(file)
        report = await client.customers.list().changes(state=state).to_file(file, allow_shrink=True)
    assert report.deleted == len(file.read_text().splitlines()) == 60


async def test_a_reading_that_is_not_exact_leaves_deletions_to_the_next_run(machine, state):
    """A record that a reading lacks is not deleted while the reading disagrees with its totals."""
    await read(machine, state)
    deleted = machine.records.pop(50)
    machine.total = "high"
    taken, report = await read(machine, state)
    assert (taken, report.exact) == ([], False)
    machine.total = "true"
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


async def test_a_filter_that_the_server_drops_deletes_nothing(sandbox, state):
    """Without its filter the list is longer: records are created. With it again more than half is gone: refused."""
    names = [
        sandbox.customers.get(record_id)["personal_information"]["last_name"] for record_id in sandbox.customers.ids()
    ]
    lie(sandbox)
    async with connect(sandbox) as client:
        listing = client.customers.list(last_name=max(names, key=names.count))
        first, _ = await take(listing, state)
        lie(sandbox, filters=False)
        taken, _ = await take(listing, state)
        assert {change.kind for change in taken} == {"created"}
        assert len(first) + len(taken) == 60
        lie(sandbox)
        with pytest.raises(ExportError, match="allow_shrink"):
            await take(listing, state)


async def test_a_record_that_is_null_for_a_night_is_not_deleted(state, caplog):
    """A null in a list may stand for any record: such a night deletes nothing, and is not exact."""
    machine = numbered([f"{index:03}" for index in range(40)])
    for null in (None, "011", None):
        machine.null = null
        taken, report = await read(machine, state)
        assert report.exact == (null is None)
        assert "deleted" not in dict(taken)
    assert taken == []
    assert "null" in caplog.text


async def test_a_list_whose_pages_lack_records_deletes_none_of_them(state):
    """Nothing is deleted in the nights of an unchanged list whose answers lack what their totals count."""
    dice, machine = random.Random(1), numbered(hexes(300))
    await read(machine, state)
    machine.lacks = lambda _, listed: dice.sample(listed, 3)
    for _ in range(2):
        assert (await read(machine, state))[0] == []


@pytest.mark.parametrize("ids", ["twice", "none"])
async def test_records_without_an_id_of_their_own_are_deleted_and_created(state, ids):
    """A changed record without an id is deleted and created; if several have one id, one of them is updated."""
    names = [None] * 20 if ids == "none" else [f"{index // 2:02}" for index in range(20)]
    machine = ListServer(records=[(name, index) for index, name in enumerate(names)], order="shuffled")
    assert len((await read(machine, state))[0]) == 20
    assert (await read(machine, state))[0] == []
    machine.records[4] = (machine.records[4][0], 99)
    async with machine.client() as client:
        taken, report = await take(client.customers.list(), state)
    assert sorted(change.kind for change in taken) == (["created", "deleted"] if ids == "none" else ["updated"])
    assert [json.loads(change.raw)["n"] for change in taken if change.raw] == [99]
    assert report.unchanged == 19


@pytest.mark.parametrize("others", [[], [("008", 98)]], ids=["one pair", "two pairs"])
async def test_a_record_whose_twin_stays_is_not_deleted(state, others):
    """Of two records with one id, one goes, and then the other: the id is deleted once none of them is left."""
    records = [(f"{index:03}", index) for index in range(10)]
    machine = ListServer(records=[*records, ("007", 99), *others], order="shuffled")
    await read(machine, state)
    for gone in (("007", 7), ("007", 99)):
        machine.records.remove(gone)
        taken, report = await read(machine, state)
        assert report.exact
        assert [record_id for kind, record_id in taken if kind == "deleted"] == ["007"] * (gone[1] == 99)
    assert (await read(machine, state))[0] == []


async def test_ids_that_turn_out_to_be_no_ids_are_created_once(state):
    """A list whose last page shows two records of one id begins again: what was read before does not count twice."""
    records = [(f"{index:04}", index) for index in range(300)]
    machine = ListServer(records=[*records, ("0299", 300)])
    taken, report = await read(machine, state)
    assert len(taken) == len({*taken}) + 1 == report.created == 301
    assert (await read(machine, state))[1].unchanged == 301


async def test_a_reading_of_changes_that_is_not_exact_moves_no_mark(state):
    """A change that a night's answers lack, and their totals count, is brought by the night after."""
    names = hexes(400)
    server = ChangeServer(old_times(names))
    async with server.client() as client:
        nights = []
        for lagging in (set(), {names[5]}, set()):
            server.lagging = lagging
            taken, report = await take(client.customers.list(count=100), state, compare_every=timedelta(days=7))
            nights.append(([(change.kind, change.id) for change in taken], report.exact, report.compared))
            server.now += timedelta(hours=5)
            if len(nights) == 1:
                server.change(names[5])
                server.now += timedelta(hours=5)
    assert nights[1:] == [([], False, False), ([("updated", names[5])], True, False)]


@pytest.mark.parametrize("strange", [("007", 99), (7.5, 99)], ids=["twice", "decimal"])
async def test_a_strange_id_does_not_hide_what_is_deleted(state, strange):
    """Beside two records of one id, or an id with decimals, deleted records are named by their ids."""
    machine = ListServer(records=[*((f"{index:03}", index) for index in range(40)), strange], order="shuffled")
    await read(machine, state)
    del machine.records[3]
    taken, report = await read(machine, state)
    assert (taken, report.exact, report.unchanged) == ([("deleted", "003")], True, 40)


@pytest.mark.parametrize("keep", ["digests", "records"])
async def test_ids_that_become_numbers_name_the_same_records(state, keep):
    """Ids that are sent as numbers from now on, or as texts again, are updated, and deleted only if they are gone."""
    machine = ListServer(records=[(str(1000 + index), index) for index in range(100)])
    texts, numbers = machine.records, [(1000 + index, index) for index in range(100)]
    for records, kind in ((texts, "created"), (numbers, "updated"), (numbers, None), (texts, "updated")):
        machine.records = list(records)
        taken, _ = await read(machine, state, keep=keep)
        assert sorted(taken) == sorted((kind, str(number)) for number, _ in records if kind)
    del machine.records[7]
    assert (await read(machine, state, keep=keep))[0] == [("deleted", "1007")]
