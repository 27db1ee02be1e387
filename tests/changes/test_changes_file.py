"""Files of changes and their state: formats, kills between them, and names that come late, elsewhere or twice."""

import asyncio
import csv
import errno
import json
import os
import shutil
import signal

import anyio
import changes_child
import pytest
from disks import FullFile, WatchedDisk, make_files_of
from forked_processes import start_piped
from kit import connect
from thorough import variants

from carecloud_async import CareCloud, ExportError
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio


@pytest.fixture
def sandbox():
    return Sandbox(customers=30, seed=1)


async def write(sandbox, path, state, **options):
    async with connect(sandbox) as client:
        return await client.customers.list().changes(state=state).to_file(path, **options)


def change(sandbox):
    """Update one record and delete another; return their ids."""
    updated, deleted = sandbox.customers.id_at(1), sandbox.customers.id_at(2)
    sandbox.customers.update(updated, {"personal_information": {"first_name": "New"}})
    sandbox.customers.delete(deleted)
    return updated, deleted


def lines(path):
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


async def test_lines_hold_the_change_the_id_and_the_record(sandbox, tmp_path):
    """JSON Lines of a second night: an updated record as the server sends it, a deleted one without a record."""
    await write(sandbox, tmp_path / "1.jsonl", tmp_path / "s")
    updated, deleted = change(sandbox)
    report = await write(sandbox, tmp_path / "2.jsonl", tmp_path / "s")
    assert len(lines(tmp_path / "1.jsonl")) == 30
    by_id = {line["id"]: line for line in lines(tmp_path / "2.jsonl")}
    assert by_id[updated]["change"] == "updated"
    assert by_id[updated]["record"]["personal_information"]["first_name"] == "New"
    assert by_id[deleted] == {"change": "deleted", "id": deleted, "record": None}
    assert report.counts == {"created": 0, "updated": 1, "deleted": 1}
    assert (tmp_path / "2.jsonl").stat().st_mode & 0o777 == 0o600


async def test_tables_begin_with_the_change(sandbox, tmp_path):
    """CSV and Parquet have a first column `_change`; of a deleted record its id is there."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    for suffix in ("csv", "parquet"):
        await write(sandbox, tmp_path / f"1.{suffix}", tmp_path / suffix)
    updated, deleted = change(sandbox)
    for suffix in ("csv", "parquet"):
        await write(sandbox, tmp_path / f"2.{suffix}", tmp_path / suffix)
    with (tmp_path / "2.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    tables = [parquet.read_table(tmp_path / f"{night}.parquet") for night in (1, 2)]
    assert tables[0].schema == tables[1].schema
    assert [next(iter(rows[0])), tables[1].column_names[0]] == ["_change"] * 2
    for by_id in (rows, tables[1].to_pylist()):
        assert {(row["_change"], row["customer_id"]) for row in by_id} == {("updated", updated), ("deleted", deleted)}


async def test_a_file_that_exists_is_not_replaced_unasked(sandbox, tmp_path):
    """Without `overwrite` a target that exists is an error, and the state stays."""
    await write(sandbox, tmp_path / "c.jsonl", tmp_path / "s")
    change(sandbox)
    with pytest.raises(ExportError, match="exists already"):
        await write(sandbox, tmp_path / "c.jsonl", tmp_path / "s")
    report = await write(sandbox, tmp_path / "c.jsonl", tmp_path / "s", overwrite=True)
    assert report.updated == 1
    assert sorted(item.name for item in tmp_path.iterdir()) == ["c.jsonl", "s"]


async def test_a_pipe_is_refused(sandbox, tmp_path):
    """A pipe is refused as a target, since a file in it cannot appear whole."""
    with pytest.raises(ExportError, match="written to a local file"):
        await write(sandbox, "/dev/stdout", tmp_path / "s", format="jsonl")
    assert sandbox.count() == 0


STEPS = [
    *variants("before the file", "after the file"),
    "before the commit",
    *variants("after the commit"),
    "after the rename",
    *variants("before the end"),
]


def run_child(target, state, step, url):
    """Start the process; return it, and the pipe of what it says."""
    return start_piped(changes_child.run, url, str(target), str(state), step)


def kill_at(step, url, target, state):
    child, _ = run_child(target, state, step, url)
    child.join(240)
    assert child.exitcode == -signal.SIGKILL


def run(url, sandbox, target, state, **options):
    async def write_changes():
        async with CareCloud(url, auth=sandbox.credentials()) as client:
            return await client.customers.list().changes(state=state).to_file(target, **options)

    return anyio.run(write_changes)


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_between_the_file_and_the_state_loses_and_doubles_nothing(sandbox, tmp_path, step):
    """After kill -9 at any step the next run delivers the changes once, and the run after it finds no changes."""
    target, state = tmp_path / "c.jsonl", tmp_path / "s"
    with sandbox.running() as url:
        assert run(url, sandbox, target, state).created == 30
        updated, deleted = change(sandbox)
        kill_at(step, url, target, state)
        assert run(url, sandbox, target, state, overwrite=True).counts == {"created": 0, "updated": 1, "deleted": 1}
        assert {(line["change"], line["id"]) for line in lines(target)} == {("updated", updated), ("deleted", deleted)}
        again = run(url, sandbox, target, state, overwrite=True)
    assert (again.counts, again.finished_before) == ({"created": 0, "updated": 0, "deleted": 0}, False)
    assert lines(target) == []


async def test_a_full_disk_leaves_the_state_and_the_target(sandbox, tmp_path, monkeypatch):
    """A full disk is an error with its fix; state and target stay, and the next run brings the same changes."""
    await write(sandbox, tmp_path / "c.jsonl", tmp_path / "s")
    before = (tmp_path / "c.jsonl").read_bytes()
    change(sandbox)
    with monkeypatch.context() as patch:
        patch.setattr(FullFile, "room", 0)
        make_files_of(FullFile, patch)
        with pytest.raises(ExportError, match="disk is full"):
            await write(sandbox, tmp_path / "c.jsonl", tmp_path / "s", overwrite=True)
    assert (tmp_path / "c.jsonl").read_bytes() == before
    report = await write(sandbox, tmp_path / "c.jsonl", tmp_path / "s", overwrite=True)
    assert report.counts == {"created": 0, "updated": 1, "deleted": 1}


def kinds(path):
    return sorted(json.loads(line)["change"] for line in path.read_bytes().splitlines())


async def test_without_hard_links_each_night_gets_its_file(sandbox, tmp_path, monkeypatch):
    """A file system such as FAT has none: a new file is renamed, and one that exists is refused by its name."""

    def refuse(*_):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    assert (await write(sandbox, tmp_path / "1.jsonl", tmp_path / "s")).created == 30
    sandbox.customers.delete(sandbox.customers.id_at(2))
    with pytest.raises(ExportError, match=r"1\.jsonl exists already"):
        await write(sandbox, tmp_path / "1.jsonl", tmp_path / "s")
    assert (await write(sandbox, tmp_path / "2.jsonl", tmp_path / "s")).deleted == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == ["1.jsonl", "2.jsonl", "s"]


async def write_too_late(sandbox, target, state, monkeypatch):
    """Write changes to a file whose name another program takes at the last moment."""
    link = os.link

    def too_late(path, name):
        target.write_bytes(b"of another program\n")
        link(path, name)

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", too_late)
        with pytest.raises(ExportError, match=r"c\.jsonl exists already: pass overwrite=True"):
            await write(sandbox, target, state)


@pytest.mark.parametrize("then", ["overwrite", "other name", "other disk", "removed", "other format"])
async def test_a_name_that_was_taken_at_the_last_moment_costs_no_night(
    sandbox, tmp_path, other_disk, monkeypatch, then
):
    """The error names the file that is in the way; what the next run says counts, and it writes the same changes."""
    target, state, other = tmp_path / "c.jsonl", tmp_path / "s", tmp_path / "other.jsonl"
    await write_too_late(sandbox, target, state, monkeypatch)
    with pytest.raises(ExportError, match=r"c\.jsonl exists already: pass overwrite=True"):
        await write(sandbox, target, state)
    assert target.read_bytes() == b"of another program\n"
    if then == "other disk":
        other = other_disk / "other.jsonl"
    if then == "removed":
        target.unlink()
    if then == "other format":
        with pytest.raises(ExportError, match=r"c\.jsonl exists already"):
            await write(sandbox, tmp_path / "c.csv", state)
        target.unlink()
        report = await write(sandbox, tmp_path / "c.csv", state)
        assert (report.unchanged, report.finished_before) == (30, False)
    else:
        written = target if then in {"overwrite", "removed"} else other
        report = await write(sandbox, written, state, overwrite=then == "overwrite")
        assert (report.created, report.finished_before) == (30, True)
        target = written
    assert kinds(target) == ["created"] * 30
    assert (await write(sandbox, tmp_path / "calm.jsonl", state)).unchanged == 30
    assert not list(tmp_path.glob(".*")) + list(other_disk.glob(".*"))


async def test_a_file_that_is_gone_before_anyone_can_know_that_it_was_used(sandbox, tmp_path, monkeypatch, caplog):
    """A run is killed while the file gets its name, and the file is removed: the next run warns, and goes on."""
    target, state = tmp_path / "c.jsonl", tmp_path / "s"

    def die(path, _):
        os.unlink(path)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", die)
        with pytest.raises(KeyboardInterrupt):
            await write(sandbox, target, state)
    assert (await write(sandbox, target, state)).unchanged == 30
    (warning,) = [record.getMessage() for record in caplog.records if record.name == "carecloud_async.changes"]
    assert f"if no program has used it, delete {state}" in warning
    caplog.clear()
    assert (await write(sandbox, tmp_path / "2.jsonl", state)).unchanged == 30
    assert caplog.text == ""


async def test_a_program_does_not_pass_over_a_file_without_its_name(sandbox, tmp_path, monkeypatch):
    """Changes that stand in a file which did not get its name are no program's yet: `changes` refuses to go on."""
    target, state = tmp_path / "c.jsonl", tmp_path / "s"
    await write_too_late(sandbox, target, state, monkeypatch)
    async with connect(sandbox) as client:
        with pytest.raises(ExportError, match=r"changes whose file did not get its name, .*c\.jsonl"):
            await client.customers.list().changes(state=state).__aenter__()
        assert (await write(sandbox, tmp_path / "2.jsonl", state)).created == 30
        async with client.customers.list().changes(state=state) as changes:
            assert [change async for change in changes] == []


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_cancellation_after_the_file_has_its_name_does_not_lose_it(sandbox, tmp_path, monkeypatch):
    """A scheduler repeats the interrupted command with `overwrite`: it gets the same file, and not an empty one."""
    target, state = tmp_path / "c.jsonl", tmp_path / "s"
    replace, loop = os.replace, asyncio.get_running_loop()

    def cancel_after(path, name):
        replace(path, name)
        if name == target:
            loop.call_soon_threadsafe(running.cancel)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", cancel_after)
        running = asyncio.create_task(write(sandbox, target, state, overwrite=True))
        with pytest.raises(asyncio.CancelledError):
            await running
    assert kinds(target) == ["created"] * 30
    report = await write(sandbox, target, state, overwrite=True)
    assert (report.created, report.finished_before) == (30, True)
    assert kinds(target) == ["created"] * 30
    assert (await write(sandbox, target, state, overwrite=True)).unchanged == 30


def test_a_file_that_was_killed_before_its_name_survives_a_remount(sandbox, tmp_path):
    """Device and inode numbers differ after a remount or a restore; the file is still published."""
    folder = tmp_path / "disk"
    folder.mkdir()
    target, state = folder / "c.jsonl", folder / "s"
    with sandbox.running() as url:
        kill_at("after the commit", url, target, state)
        assert not target.exists()
        shutil.copytree(folder, tmp_path / "copy")
        shutil.rmtree(folder)
        (tmp_path / "copy").rename(folder)
        report = run(url, sandbox, target, state, overwrite=True)
    assert (report.created, report.finished_before) == (30, True)
    assert kinds(target) == ["created"] * 30


async def test_a_file_keeps_its_first_name_until_the_second_one_is_on_the_disk(sandbox, tmp_path, monkeypatch):
    """A power cut may undo the new name, and not the removal of the old one: the file would have none."""
    target, fsync, has_first_name = tmp_path / "c.jsonl", os.fsync, []

    def note(descriptor):
        if target.exists():
            has_first_name.append(any(tmp_path.glob(".*.partial")))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    await write(sandbox, target, tmp_path / "s")
    assert has_first_name[0]
    assert not [*tmp_path.glob(".*")]


async def test_a_power_cut_before_the_file_has_its_name_leaves_the_file_that_the_state_rests_on(
    sandbox, tmp_path, monkeypatch
):
    """The first name of the file is on the disk before the state is: the next run publishes the changes."""
    folder, left = tmp_path / "disk", tmp_path / "left"
    folder.mkdir()
    disk = WatchedDisk(monkeypatch)

    def cut_power(*_):
        disk.cut_power(folder, left)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "link", cut_power)
        await write(sandbox, folder / "c.jsonl", folder / "s")
    shutil.rmtree(folder)
    left.rename(folder)
    report = await write(sandbox, folder / "c.jsonl", folder / "s")
    assert (report.created, report.finished_before) == (30, True)
    assert kinds(folder / "c.jsonl") == ["created"] * 30


def test_two_states_that_write_one_file_keep_theirs_apart(sandbox, tmp_path):
    """A run that was killed before its file had its name finds it, though another run wrote to the same name."""
    target = tmp_path / "c.jsonl"
    with sandbox.running() as url:
        kill_at("after the commit", url, target, tmp_path / "one")
        assert run(url, sandbox, target, tmp_path / "other").created == 30
        target.unlink()
        report = run(url, sandbox, target, tmp_path / "one")
    assert (report.created, report.finished_before) == (30, True)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("stride", [911, *variants(101)])
async def test_no_bit_of_a_state_that_changes_tells_a_deletion(sandbox, tmp_path, stride):
    """A damaged state is an error with a fix, at each place: never a change, and never a bare exception."""
    state, target = tmp_path / "s", tmp_path / "c.jsonl"
    await write(sandbox, target, state)
    whole = state.read_bytes()
    for bit in range(0, len(whole) * 8, stride):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        state.write_bytes(damaged)
        with pytest.raises(ExportError, match=r"is damaged: delete it to begin again|is not a state file of changes"):
            await write(sandbox, target, state, overwrite=True)
        assert state.read_bytes() == damaged


@pytest.mark.parametrize("rounds", variants(3, 100))
def test_runs_at_once_do_not_destroy_a_state(sandbox, tmp_path, rounds):
    """Three processes write changes with one state: each takes its turns, and is refused as such in between."""
    target, state = tmp_path / "c.jsonl", tmp_path / "s"
    with sandbox.running() as url:
        children = [run_child(target, state, f"{rounds} times", url) for _ in range(3)]
        told = [pipe.recv() for _, pipe in children]
        assert run(url, sandbox, target, state, overwrite=True).unchanged == 30
    assert {line for lines in told for line in lines} <= {f"{state}: another run is using it: wait for its end", "done"}
    assert [lines.count("done") for lines in told] == [rounds] * 3
