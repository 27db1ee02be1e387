"""Changes of any list: what was created, updated and deleted since the last run."""

import sqlite3
from contextlib import closing
from datetime import timedelta

import anyio
import pytest
from attrs import evolve
from disks import file_of, watch_databases
from kit import connect
from lying import lie

from carecloud_async import ConfigurationError, EnterpriseCredentials, ExportError
from carecloud_async._lists.changes.reader import Changes, open_state
from carecloud_async._lists.changes.state_file import NewRecord, StateFile
from carecloud_async._lists.changes.values import ChangesOptions
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio


@pytest.fixture
def sandbox():
    return Sandbox(customers=300, seed=1, records=40)


@pytest.fixture
def state(tmp_path):
    return tmp_path / "list.state"


async def take(listing, state, **options):
    async with listing.changes(state=state, **options) as changes:
        found = [change async for change in changes]
    return found, changes.report


async def test_a_state_is_where_the_run_began(sandbox, tmp_path, monkeypatch):
    """A relative path of a state means the folder in which the run began, also if the process moves to another one."""
    folders = tmp_path / "first", tmp_path / "second"
    for folder in folders:
        folder.mkdir()
        (folder / "list.state-pending").write_bytes(b"of another run")
    async with connect(sandbox) as client:
        monkeypatch.chdir(folders[0])
        async with client.customers.list(count=100).changes(state="list.state") as changes:
            assert [change async for change in changes]
            monkeypatch.chdir(folders[1])
    assert [one.name for one in folders[0].iterdir()] == ["list.state"]
    assert [one.name for one in folders[1].iterdir()] == ["list.state-pending"]


async def test_a_run_brings_what_was_created_updated_and_deleted(sandbox, state):
    """The first run creates everything, a calm one brings nothing, a later one each change once."""
    async with connect(sandbox) as client:
        listing = client.customers.list(count=100)
        first, report = await take(listing, state)
        assert {change.kind for change in first} == {"created"}
        assert (len(first), report.created, report.exact) == (300, 300, True)
        assert (await take(listing, state))[0] == []
        updated, deleted = (sandbox.customers.id_at(index) for index in (3, 7))
        sandbox.customers.update(updated, {"personal_information": {"first_name": "New"}})
        sandbox.customers.delete(deleted)
        created = sandbox.customers.insert()
        found, report = await take(listing, state)
    assert {(change.kind, change.id) for change in found} == {
        ("created", created),
        ("updated", updated),
        ("deleted", deleted),
    }
    by_kind = {change.kind: change for change in found}
    assert by_kind["updated"].record.personal_information.first_name == "New"
    assert by_kind["deleted"].record is None
    assert report.counts == {"created": 1, "updated": 1, "deleted": 1}
    assert report.unchanged == 298


async def test_lists_without_last_change_are_compared_too(sandbox, state):
    """Countries say nothing of when they changed."""
    async with connect(sandbox) as client:
        await take(client.countries.list(), state)
        countries = sandbox.records("countries")
        gone = countries.ids()[0]
        countries.delete(gone)
        found, _ = await take(client.countries.list(), state)
    assert [(change.kind, change.id) for change in found] == [("deleted", gone)]


async def test_changed_fields_are_named_where_records_are_kept(sandbox, state):
    """`keep="records"` names the dotted fields that differ; digests alone name none."""
    async with connect(sandbox) as client:
        listing = client.customers.list()
        for keep, fields in (("digests", ()), ("records", ("last_change", "personal_information.first_name"))):
            await take(listing, state, keep=keep)
            one = sandbox.customers.id_at(5)
            sandbox.advance(60)
            sandbox.customers.update(one, {"personal_information": {"first_name": keep}})
            found, _ = await take(listing, state, keep=keep)
            assert [(change.id, tuple(sorted(change.fields))) for change in found] == [(one, fields)]


async def test_the_state_moves_when_the_block_ends(sandbox, state):
    """After an error in the block, and after one that was left early, the next run returns the same changes."""
    async with connect(sandbox) as client:
        listing = client.customers.list()
        with pytest.raises(LookupError):
            async with listing.changes(state=state) as changes:
                async for _ in changes:
                    raise LookupError
        async with listing.changes(state=state) as changes:
            async for _ in changes:
                break
        assert len((await take(listing, state))[0]) == 300
        assert (await take(listing, state))[0] == []


async def test_a_list_that_is_half_gone_is_refused(sandbox, state):
    """More than half of the records gone is an error that leaves the state; `allow_shrink=True` takes it."""
    async with connect(sandbox) as client:
        listing = client.customers.list()
        await take(listing, state)
        before = state.read_bytes()
        for one in list(sandbox.customers.ids())[:151]:
            sandbox.customers.delete(one)
        with pytest.raises(ExportError, match="allow_shrink"):
            await take(listing, state)
        assert state.read_bytes() == before
        found, report = await take(listing, state, allow_shrink=True)
    assert report.deleted == len(found) == 151


async def test_the_state_belongs_to_a_list_its_filters_and_an_identity(sandbox, state):
    """Another list, filter or identity is refused before anything is sent, and the state stays."""
    other = EnterpriseCredentials(external_application_id="b" * 24, login="other@example.com", password="secret")
    async with connect(sandbox) as client:
        await take(client.customers.list(), state)
        sandbox.forget_requests()
        for listing in (
            client.cards.list(),
            client.customers.list(last_name="Smith"),
            client.acting_as(other).customers.list(),
        ):
            with pytest.raises(ExportError, match="belongs to another") as caught:
                await take(listing, state)
            assert "other@example.com" not in str(caught.value)
        assert sandbox.count() == 0
        assert (await take(client.customers.list(), state))[0] == []


async def test_order_of_fields_and_whitespace_are_no_change(sandbox, state):
    """A record whose JSON is written in another way is unchanged."""
    lie(sandbox)
    async with connect(sandbox) as client:
        await take(client.customers.list(), state)
        lie(sandbox, pretty=True)
        found, report = await take(client.customers.list(), state)
    assert found == []
    assert report.unchanged == 300


async def test_between_two_comparisons_only_changes_are_read(sandbox, state):
    """`compare_every`: six days ask for what changed and find no deletion; the seventh compares the whole list."""
    now = [0.0]
    async with connect(sandbox) as client:
        listing = client.customers.list(count=50)
        client_clock = listing.export_source().clock

        class Clock(type(client_clock)):
            def time(self):
                return super().time() + now[0]

        source = evolve(listing.export_source(), clock=Clock())

        async def day():
            now[0] += 86_400
            sandbox.advance(86_400)
            sandbox.forget_requests()
            options = ChangesOptions(compare_every=timedelta(days=7))
            async with Changes(source, state, options) as changes:
                found = [(change.kind, change.id) async for change in changes]
            return found, changes.report.compared, sandbox.count("GET /customers")

        assert len((await day())[0]) == 300
        gone, changed = sandbox.customers.id_at(0), sandbox.customers.id_at(9)
        sandbox.customers.delete(gone)
        found, compared, requests = await day()
        assert (found, compared) == ([], False)
        assert requests <= 5
        sandbox.customers.update(changed, {"state": 0})
        found, compared, requests = await day()
        assert (found, compared) == ([("updated", changed)], False)
        assert requests <= 5
        for _ in range(4):
            assert not (await day())[1]
        assert (await day())[:2] == ([("deleted", gone)], True)


async def test_a_list_that_does_not_say_when_it_changed_is_compared_each_time(sandbox, state):
    """`compare_every` needs `last_change`: without it the option is refused before anything is sent."""
    async with connect(sandbox) as client:
        with pytest.raises(ExportError, match="last_change"):
            client.countries.list().changes(state=state, compare_every=timedelta(days=7))
    assert sandbox.count() == 0


async def test_two_runs_with_one_state_are_refused(sandbox, state):
    """The second fails, because another run uses the file; the first continues."""
    async with connect(sandbox) as client:
        listing = client.customers.list()
        async with listing.changes(state=state) as changes:
            with pytest.raises(ExportError, match="another run"):
                await take(listing, state)
            assert len([change async for change in changes]) == 300


@pytest.mark.parametrize("kind", ["text", "other database", "damaged"])
async def test_a_file_that_is_no_state_is_refused_and_left_alone(sandbox, state, kind):
    """A text, another program's database and a damaged state are errors that name the file."""
    async with connect(sandbox) as client:
        if kind == "text":
            state.write_text("my notes" * 1000)
            state.chmod(0o600)
        elif kind == "other database":
            with closing(sqlite3.connect(state)) as database:
                database.execute("CREATE TABLE mine (id)")
            state.chmod(0o600)
        else:
            await take(client.customers.list(), state)
            data = bytearray(state.read_bytes())
            data[4096:] = b"x" * (len(data) - 4096)
            state.write_bytes(data)
        before = state.read_bytes()
        with pytest.raises(ExportError, match=r"list\.state"):
            await take(client.customers.list(), state)
    assert state.read_bytes() == before


async def test_a_full_disk_while_it_is_compared_leaves_the_state(sandbox, state, monkeypatch):
    """If the disk is full, it is an error, the state is unchanged, and the next run returns the same changes."""
    async with connect(sandbox) as client:
        listing = client.customers.list()
        await take(listing, state)
        before = state.read_bytes()
        for _ in range(300):
            sandbox.customers.insert()
        connect_to = sqlite3.connect

        def connect_to_full(*args, **more):
            db = connect_to(*args, **more)
            db.execute(f"PRAGMA max_page_count={len(before) // 4096}")
            return db

        with monkeypatch.context() as patch:
            patch.setattr(sqlite3, "connect", connect_to_full)
            with pytest.raises(ExportError, match="disk is full"):
                await take(listing, state)
        assert state.read_bytes() == before
        found, _ = await take(listing, state)
    assert len(found) == 300


async def test_a_calm_run_reads_the_state_by_ranges_and_writes_no_record(sandbox, state, monkeypatch):
    """A record whose text is known is unchanged without being looked up by its id, or written."""
    statements = []

    def watch(database, statement):
        if " records" in statement and file_of(database) == state.name:
            statements.append(statement)

    async with connect(sandbox) as client:
        listing = client.customers.list(count=100)
        await take(listing, state)
        watch_databases(monkeypatch, watch)
        found, report = await take(listing, state)
    assert (found, report.unchanged) == ([], 300)
    assert 3 <= len(statements) < 30
    assert all(one.startswith("SELECT") and " IN " not in one for one in statements), statements


async def test_numbers_of_deleted_records_do_not_add_up(sandbox, state):
    """A state that is used for years takes memory for the records there are, not for those there were."""
    numbers = []
    async with connect(sandbox) as client:
        listing = client.customers.list()
        for night in range(8):
            if night:
                with closing(open_state(state, listing.export_source(), remote=None)) as opened:
                    opened.set("next_number", opened.next_number + 40_000)  # as after so many new records
                    opened.commit()
            found, report = await take(listing, state)
            assert (len(found), report.unchanged) == ((300, 0) if not numbers else (200, 200))
            with closing(sqlite3.connect(state)) as database:
                numbers.append(
                    database.execute("SELECT max(number) + 1, count(DISTINCT number) FROM records").fetchone()
                )
            for one in sandbox.customers.ids()[:100]:
                sandbox.customers.delete(one)
                sandbox.customers.insert()
    assert all(count == 300 for _, count in numbers)
    assert 80_000 < max(last for last, _ in numbers) <= 2 * 300 + 100_000 + 100
    assert min(last for last, _ in numbers[1:]) < 1000  # the records have new numbers


def test_new_numbers_are_counted_through_a_long_state(state):
    """More records than are numbered at a time get numbers of their own, without a gap."""
    with closing(StateFile(state, {})) as opened:
        records = [NewRecord(f"{one:05}", 3 * one, b"t", b"v", None) for one in range(12_001)]
        opened.put(records)
        opened.renumber()
        numbers = [number for rows in opened.numbers() for _, number in rows]
        assert (numbers, opened.next_number) == ([*range(12_001)], 12_001)


@pytest.mark.parametrize(
    "options", [{"keep": "all"}, {"compare_every": timedelta(0)}, {"compare_every": 7}, {"concurrency": 0}]
)
async def test_options_that_cannot_work_are_refused(sandbox, state, options):
    """A wrong option is a `ConfigurationError` before anything is sent or written."""
    async with connect(sandbox) as client:
        with pytest.raises(ConfigurationError):
            client.customers.list().changes(state=state, **options)
    assert sandbox.count() == 0
    assert not state.exists()


async def test_a_list_that_is_not_paged_is_compared(sandbox, state):
    """Languages come in one answer."""
    async with connect(sandbox) as client:
        found, report = await take(client.languages.list(), state)
    assert len(found) == report.created > 0
    assert report.exact


async def test_a_comparison_can_be_cancelled_at_any_time(sandbox, state):
    """After any kind of cancellation, the state is unchanged and the next run works."""
    async with connect(sandbox) as client:
        listing = client.customers.list(count=20)
        for steps in range(0, 60, 3):
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as group:

                    async def cancel(steps, scope):
                        for _ in range(steps):
                            await anyio.lowlevel.checkpoint()
                        scope.cancel()

                    group.start_soon(cancel, steps, scope)
                    async with listing.changes(state=state) as changes:
                        async for _ in changes:
                            pass
                        raise LookupError  # as if it had failed
                    group.cancel_scope.cancel()
        assert len((await take(listing, state))[0]) == 300
