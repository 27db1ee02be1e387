"""Changes of any list: what was created, updated and deleted since the last run."""

import asyncio
import errno
import json
import re
import sqlite3
import threading
from contextlib import closing, suppress
from datetime import timedelta

import anyio
import attrs
import pytest
from changes_help import take
from clocks import SlowClock, WrongClock
from disks import file_of, watch_databases
from kit import connect
from lists import sending

from carecloud_async import ConfigurationError, EnterpriseCredentials, ExportError, ResponseError

pytestmark = pytest.mark.anyio

WEEK = timedelta(days=7)


class _StopError(Exception):
    """The test takes no more changes."""


async def test_a_run_brings_what_was_created_updated_and_deleted(sandbox, state):
    """The first run creates everything, a calm one brings nothing, a later one each change once."""
    async with connect(sandbox) as client:
        listing = client.customers.list(count=20)
        first, report = await take(listing, state)
        assert {change.kind for change in first} == {"created"}
        assert (len(first), report.created, report.exact) == (60, 60, True)
        assert (await take(listing, state))[0] == []
        updated, deleted = (sandbox.customers.id_at(index) for index in (3, 7))
        sandbox.customers.update(updated, {"personal_information": {"first_name": "New"}})
        sandbox.customers.delete(deleted)
        created = sandbox.customers.insert()
        taken, report = await take(listing, state)
    by_kind = {change.kind: change for change in taken}
    assert {kind: change.id for kind, change in by_kind.items()} == {
        "created": created,
        "updated": updated,
        "deleted": deleted,
    }
    assert by_kind["updated"].record.personal_information.first_name == "New"
    assert by_kind["deleted"].record is None
    assert (report.counts, report.unchanged) == ({"created": 1, "updated": 1, "deleted": 1}, 58)
    assert [item.name for item in state.parent.iterdir()] == ["list.state"]
    assert state.stat().st_mode & 0o777 == 0o600


async def test_changes_that_were_taken_leave_no_personal_data(sandbox, state):
    """What was taken is overwritten in the file, also if many nights had brought it."""
    async with connect(sandbox) as client:
        await take(client.customers.list(), state)
        for night in range(25):
            address = f"private{night}@example.com"
            sandbox.customers.update(sandbox.customers.id_at(night), {"personal_information": {"email": address}})
            with suppress(_StopError):
                async with client.customers.list().changes(state=state) as changes:
                    async for _ in changes:
                        if night < 24:
                            raise _StopError
    assert b"private" not in state.read_bytes()


async def test_lists_without_times_or_pages_are_compared_too(sandbox, state, tmp_path):
    """Countries say nothing of when they changed, and languages come in one answer."""
    async with connect(sandbox) as client:
        taken, report = await take(client.languages.list(), tmp_path / "languages.state")
        assert (len(taken), report.exact) == (report.created, True)
        await take(client.countries.list(), state)
        gone = sandbox.records("countries").ids()[0]
        sandbox.records("countries").delete(gone)
        taken, _ = await take(client.countries.list(), state)
    assert [(change.kind, change.id) for change in taken] == [("deleted", gone)]


async def test_changed_fields_are_named_where_records_are_kept(sandbox, state):
    """`keep="records"` names the dotted fields that differ; digests alone name none."""
    async with connect(sandbox) as client:
        listing = client.customers.list()
        for keep, fields in (("digests", ()), ("records", ("last_change", "personal_information.first_name"))):
            await take(listing, state, keep=keep)
            changed = sandbox.customers.id_at(5)
            sandbox.advance(60)
            sandbox.customers.update(changed, {"personal_information": {"first_name": keep}})
            taken, _ = await take(listing, state, keep=keep)
            assert [(change.id, tuple(sorted(change.fields))) for change in taken] == [(changed, fields)]


async def test_the_last_digit_of_a_number_is_a_change(state):
    """Numbers that are the same float are different; the same number in another order of fields is no change."""
    first, second = "0.12345678901234567890", "0.12345678901234567891"
    for record, kinds, fields in (
        (f'{{"customer_id":"a","x":{first},"y":1.5}}', ["created"], []),
        (f'{{"customer_id":"a","y":1.50,"x":{first}}}', [], []),
        (f'{{"customer_id":"a","y":1.5,"x":{second}}}', ["updated"], [("x",)]),
        (f'{{"customer_id":"a","y":1e{"9" * 20},"x":{second}}}', ["updated"], [("y",)]),
    ):
        async with sending(record) as client:
            taken, report = await take(client.customers.list(), state, keep="records")
        assert [change.kind for change in taken] == kinds
        assert [change.fields for change in taken if change.kind == "updated"] == fields
        assert report.unchanged == (not kinds)


async def test_a_calm_run_reads_the_state_by_ranges_and_writes_no_record(sandbox, state, monkeypatch):
    """A record whose text is known is unchanged without being looked up by its id, or written."""
    statements = []

    def watch(database, statement):
        if " records" in statement and file_of(database) == state.name:
            statements.append(statement)

    async with connect(sandbox) as client:
        listing = client.customers.list(count=20)
        await take(listing, state)
        watch_databases(monkeypatch, watch)
        taken, report = await take(listing, state)
    assert (taken, report.unchanged) == ([], 60)
    assert 3 <= len(statements) < 20
    assert all(statement.startswith("SELECT") and " IN " not in statement for statement in statements), statements


async def test_the_state_is_as_small_as_before_its_first_run(state):
    """The changes of a first run, which are in the state until they are taken, leave no room in it."""
    async with sending(
        *(f'{{"customer_id":"{number:03}","note":"{"x" * 20_000}"}}' for number in range(400))
    ) as client:
        await take(client.customers.list(), state)
    assert state.stat().st_size < 100_000


async def test_the_state_moves_when_the_block_ends(sandbox, state, caplog):
    """After an error in a block, and after one that was left early, the next run returns the same changes."""
    async with connect(sandbox) as client:
        changes = client.customers.list().changes(state=state)
        with pytest.raises(LookupError):
            async with changes:
                async for _ in changes:
                    raise LookupError
        async with changes:
            async for _ in changes:
                break
        assert "not all changes were taken: the next run returns them again" in caplog.text
        with pytest.raises(ExportError, match="use changes in a block"):
            await anext(changes)
        async with changes:
            assert len([change async for change in changes]) == changes.report.created == 60
        async with changes:
            assert [change async for change in changes] == []


async def mirror_changes(machine, state, mirror, *, fails=False):
    """Apply the changes to a mirror; fail when all were applied."""
    async with machine.client() as client, client.customers.list(count=20).changes(state=state) as changes:
        async for change in changes:
            if change.kind == "deleted":
                mirror.pop(change.id, None)
            else:
                mirror[change.id] = json.loads(change.raw)["n"]
        if fails:
            raise LookupError
    return changes.report


async def test_what_was_taken_back_meanwhile_leaves_the_copy(machine, state):
    """If a run fails after its changes were applied, and the server then undoes them, the copy still ends up right."""
    del machine.records[30:]
    mirror = {}
    await mirror_changes(machine, state, mirror)
    calm = list(machine.records)
    machine.records += [("0030", 30)]
    machine.records[3] = ("0003", 99)
    del machine.records[7]
    with pytest.raises(LookupError):
        await mirror_changes(machine, state, mirror, fails=True)
    assert mirror == dict(machine.records)
    machine.records = [*calm, ("0031", 31)]
    with pytest.raises(LookupError):
        await mirror_changes(machine, state, mirror, fails=True)
    machine.records = []
    with pytest.raises(ExportError, match="allow_shrink"):  # a run that fails loses nothing of the earlier ones
        await mirror_changes(machine, state, mirror)
    machine.records = calm
    report = await mirror_changes(machine, state, mirror)
    assert mirror == dict(calm)
    assert report.counts == {"created": 3, "updated": 2, "deleted": 3}
    assert (await mirror_changes(machine, state, mirror)).counts == {"created": 0, "updated": 0, "deleted": 0}


async def test_a_file_does_not_take_over_what_a_program_left(sandbox, state, tmp_path):
    """A file has one line for a record at most: unfinished changes are left to the program that took them."""
    async with connect(sandbox) as client:
        changes = client.customers.list().changes(state=state)
        with pytest.raises(LookupError):
            async with changes:
                async for _ in changes:
                    raise LookupError
        with pytest.raises(ExportError, match="run that program again"):
            await changes.to_file(tmp_path / "c.jsonl")
        async with changes:
            assert len([change async for change in changes]) == 60
        assert (await changes.to_file(tmp_path / "c.jsonl")).unchanged == 60


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_no_change_is_lost_when_the_wait_for_it_is_cancelled(state, monkeypatch, anyio_backend):
    """A wait for the next change that is cancelled while a thread reads it loses none: the next wait gets it."""
    began, may_end = threading.Event(), threading.Event()

    def wait(database, statement):
        if "FROM pending WHERE" in statement:
            began.set()
            may_end.wait(60)

    async with sending(*(f'{{"customer_id":"{number:03}"}}' for number in range(60))) as client:
        changes = client.customers.list().changes(state=state)
        watch_databases(monkeypatch, lambda *arguments: is_open and wait(*arguments))
        is_open = False
        async with changes:
            is_open = True
            waiting = asyncio.create_task(anext(changes))
            await asyncio.to_thread(began.wait, 60)
            waiting.cancel()
            may_end.set()
            with suppress(asyncio.CancelledError):
                await waiting
            assert waiting.cancelled()
            assert len([change async for change in changes]) == 60


async def test_a_comparison_can_be_cancelled_at_any_time(sandbox, state):
    """After any kind of cancellation, the state is unchanged and the next run works."""

    async def cancel(steps, scope):
        for _ in range(steps):
            await anyio.lowlevel.checkpoint()
        scope.cancel()

    async with connect(sandbox) as client:
        listing = client.customers.list(count=20)
        for steps in range(0, 60, 6):
            async with anyio.create_task_group() as group:
                group.start_soon(cancel, steps, group.cancel_scope)
                with suppress(LookupError):
                    async with listing.changes(state=state) as changes:
                        async for _ in changes:
                            pass
                        raise LookupError  # as if it had failed
        assert len((await take(listing, state))[0]) == 60


@attrs.frozen
class Strict:
    customer_id: str
    shoe_size: int


async def test_a_record_that_does_not_fit_a_class_is_an_error(state):
    """As in the list itself; it is never `None`, and the state does not move."""
    async with sending('{"customer_id":"a","shoe_size":43}', '{"customer_id":"b"}') as client:
        listing = client.listing("customers", into=Strict, id_field="customer_id")
        async with listing.changes(state=state) as changes:
            for _ in range(2):
                with pytest.raises(ResponseError, match=r"GET /customers.*does not fit Strict.*shoe_size"):
                    await anext(changes)
        taken, _ = await take(client.listing("customers", id_field="customer_id"), state)
        assert len(taken) == 2


async def test_a_record_that_is_no_object_is_read_as_the_list_reads_it(state):
    """PHP writes an empty record as `[]`: changes bring it as `list` does."""
    async with sending('{"customer_id":"a"}', "[]") as client:
        listing = client.customers.list()
        taken, _ = await take(listing, state)
        assert [change.record for change in taken] == [record async for record in listing]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "mine"), sqlite3.DatabaseError("mine")])
async def test_an_error_of_the_programs_own_is_not_blamed_on_the_state(state, error):
    """An exception of `on_progress` or of the block is raised unchanged, and is not taken for an error of the disk."""

    def fail(*_):
        raise error

    async with sending('{"customer_id":"a"}', clock=SlowClock(0.2)) as client:
        listing = client.customers.list()
        with pytest.raises(type(error), match="mine"):
            async with listing.changes(state=state, on_progress=fail):
                pass
        with pytest.raises(type(error), match="mine"):
            async with listing.changes(state=state) as changes:
                async for _ in changes:
                    fail()


async def test_between_two_comparisons_only_changes_are_read(sandbox, state):
    """`compare_every`: six days ask for what changed and find no deletion; the seventh compares the whole list."""
    days, quiet = 0, sandbox.customers.id_at(3)
    sandbox.customers.update(quiet, {"last_change": None})
    clock = WrongClock(lambda: 1_800_000_000 + 86_400 * days)
    async with connect(sandbox, clock=clock) as client:
        listing = client.customers.list(count=5)
        gone, changed = sandbox.customers.id_at(0), sandbox.customers.id_at(9)
        for days in range(8):
            sandbox.forget_requests()
            taken, report = await take(listing, state, compare_every=WEEK, concurrency=2)
            assert report.compared == (days in {0, 7})
            if 0 < days < 7:
                assert sandbox.count("GET /customers") <= 6
                # A record that does not say when it changed is compared every time.
                assert {(item.kind, item.id) for item in taken} == {("updated", changed), ("updated", quiet)}
            if not days:
                sandbox.customers.delete(gone)
            sandbox.advance(86_400)
            sandbox.customers.update(changed, {"language_id": f"{days}"})
            sandbox.customers.update(quiet, {"language_id": f"{days}", "last_change": None})
    assert {(item.kind, item.id) for item in taken} == {("updated", changed), ("updated", quiet), ("deleted", gone)}


async def test_the_state_belongs_to_a_list_its_filters_and_an_identity(sandbox, state):
    """Another list, filter, identity or project is refused before anything is sent, and the state stays."""
    other = EnterpriseCredentials(external_application_id="b" * 24, login="other@example.com", password="secret")
    async with connect(sandbox) as client, connect(sandbox, host="other.crmcarecloud.com") as stranger:
        await take(client.customers.list(), state)
        sandbox.forget_requests()
        for listing, differing in (
            (client.cards.list(), "its list differs"),
            (client.customers.list(last_name="Smith"), "its filters differ)"),
            (client.acting_as(other).customers.list(), "identity"),
            (stranger.customers.list(), "its project differs"),
            (stranger.customers.list(last_name="Smith"), "its project and filters differ"),
        ):
            with pytest.raises(ExportError, match=f"belongs to another .*{re.escape(differing)}") as caught:
                await take(listing, state)
            assert "other@example.com" not in str(caught.value)
        assert sandbox.count() == 0
        assert (await take(client.customers.list(), state))[0] == []


async def test_two_runs_with_one_state_are_refused(sandbox, state):
    """The second fails, because another run uses the file; the first continues."""
    async with connect(sandbox) as client:
        listing = client.customers.list()
        async with listing.changes(state=state) as changes:
            with pytest.raises(ExportError, match="another run"):
                await take(listing, state)
            assert len([change async for change in changes]) == 60


async def test_a_state_is_where_the_run_began(sandbox, tmp_path, monkeypatch):
    """A relative path of a state means the folder in which the run began, also if the process moves to another one."""
    folders = tmp_path / "first", tmp_path / "second"
    for folder in folders:
        folder.mkdir()
    async with connect(sandbox) as client:
        monkeypatch.chdir(folders[0])
        async with client.customers.list(count=20).changes(state="list.state") as changes:
            assert [change async for change in changes]
            monkeypatch.chdir(folders[1])
    assert [[item.name for item in folder.iterdir()] for folder in folders] == [["list.state"], []]


@pytest.mark.parametrize("kind", ["text", "other database", "damaged", "truncated"])
async def test_a_file_that_is_no_state_is_refused_and_left_alone(sandbox, state, kind):
    """A text, another program's database, a damaged and a truncated state are errors that name the file."""
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
            data = state.read_bytes()
            state.write_bytes(data[:8292] if kind == "truncated" else data[:4096] + b"x" * (len(data) - 4096))
        before = state.read_bytes()
        with pytest.raises(ExportError, match=r"list\.state"):
            await take(client.customers.list(), state)
    assert state.read_bytes() == before


async def test_a_full_disk_leaves_the_state(sandbox, state, monkeypatch):
    """If the disk is full, it is an error, the state is as it was, and the next run returns the same changes."""
    connect_to = sqlite3.connect

    async def take_on_full_disk(listing, pages):
        def connect_to_full(*args, **more):
            db = connect_to(*args, **more)
            db.execute(f"PRAGMA max_page_count={pages}")
            return db

        with monkeypatch.context() as patch:
            patch.setattr(sqlite3, "connect", connect_to_full)
            with pytest.raises(ExportError, match=r"disk is full: free some space and run it again$"):
                await take(listing, state)

    async with connect(sandbox) as client:
        listing = client.customers.list()
        await take_on_full_disk(listing, 1)
        assert len((await take(listing, state))[0]) == 60
        before = state.read_bytes()
        for _ in range(300):
            sandbox.customers.insert()
        await take_on_full_disk(listing, len(before) // 4096)
        assert state.read_bytes() == before
        taken, _ = await take(listing, state)
    assert len(taken) == 300


@pytest.mark.parametrize(
    "options", [{"keep": "all"}, {"compare_every": timedelta(0)}, {"compare_every": 7}, {"concurrency": 0}]
)
async def test_options_that_cannot_work_are_refused(sandbox, state, options):
    """A wrong option is a `ConfigurationError` before anything is sent or written."""
    async with connect(sandbox) as client:
        with pytest.raises(ConfigurationError):
            client.customers.list().changes(state=state, **options)
        with pytest.raises(ExportError, match="last_change"):
            client.countries.list().changes(state=state, compare_every=WEEK)
    assert sandbox.count() == 0
    assert not state.exists()
