"""FileTokenStore: the store of one host."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import stat
import threading
from contextlib import suppress

import anyio
import pytest
import store_child
from anyio import to_thread
from clocks import FakeClock
from forked_processes import forks, in_fork, start_piped
from kit import connect

from carecloud_async import FileTokenStore, StoredToken
from carecloud_async.errors import TokenStoreError
from carecloud_async.sandbox import Sandbox

#: How many records each save looks at.
SWEPT_PER_SAVE = 16
posix = pytest.mark.skipif(os.name != "posix", reason="this system has no mode bits")
TOKEN = StoredToken(value="tok-secret", expires_in=100.0)
pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path):
    return tmp_path / "private" / "tokens.json"


@pytest.fixture
def store(path, clock):
    return FileTokenStore(path, clock=clock)


def folder_of(path):
    return path.with_name(path.name + ".d")


def record_files(path):
    return sorted(folder_of(path).glob("*.json"))


def record_file(path, value):
    """The file of the record that holds this token."""
    return next(file for file in record_files(path) if json.loads(file.read_bytes())["value"] == value)


@posix
async def test_private(store, path):
    """Folders, records and lock files are for their owner alone under any umask; two empty lock files stay."""
    before = os.umask(0)
    try:
        async with store.lock("secret-key"):
            await store.save("secret-key", TOKEN)
            files = list(folder_of(path).iterdir())
            assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600] * 3
            assert not [file for file in files if "secret-key" in file.name]
    finally:
        os.umask(before)
    locks = [file for file in folder_of(path).iterdir() if file not in record_files(path)]
    assert [(file.suffix, file.stat().st_size) for file in locks] == [(".lock", 0)] * 2
    assert list(path.parent.iterdir()) == [folder_of(path)]
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(folder_of(path).stat().st_mode) == 0o700


@posix
async def test_link_is_followed(tmp_path, clock):
    """A link of one's own stays a link: its target names the folder, and both names share their locks."""
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    link.symlink_to(real)
    await FileTokenStore(link, clock=clock).save("key", TOKEN)
    assert link.is_symlink()
    assert (await FileTokenStore(real, clock=clock).load("key")).value == "tok-secret"
    assert (folder_of(real) / "gate.lock").exists()
    assert not folder_of(link).exists()


@pytest.mark.parametrize(
    "record",
    [
        None, 1, "x", [], {}, {"value": 1}, {"value": "v", "secret_hash": 1}, {"value": "v", "expires_in": "1"},
        {"value": "v", "expires_in": 5}, {"value": "v", "expires_in": 5, "saved": {"wall": "1"}},
        {"value": "v", "expires_in": 10**400, "saved": {"wall": 1}},
    ],
)  # fmt: skip
async def test_damaged_record(store, path, caplog, record):
    """A record that makes no sense is a warning and no token; the others stay."""
    await store.save("bad", StoredToken(value="bad"))
    record_file(path, "bad").write_text(json.dumps(record))
    assert await store.load("bad") is None
    assert [record.name for record in caplog.records if record.levelno >= logging.WARNING] == ["carecloud_async.auth"]
    await store.save("good", TOKEN)
    await store.discard("bad", "v")
    await store.save("bad", TOKEN)
    assert (await store.load("good")).value == (await store.load("bad")).value == "tok-secret"


async def test_ended_records_are_dropped(store, path, clock):
    """Records that have ended, or were not used for their time, leave the folder with the next save."""
    await store.save("old", TOKEN)
    await store.save("unused", StoredToken(value="session", keep_for=90))
    clock.advance(101)
    await store.save("new", StoredToken(value="new"))
    assert record_files(path) == [record_file(path, "new")]


async def lock_once(store):
    async with store.lock("key"):
        pass


@pytest.mark.parametrize(
    "use",
    [lambda s: s.load("key"), lambda s: s.save("key", TOKEN), lambda s: s.discard("key", "v"), lock_once],
    ids=["load", "save", "discard", "lock"],
)
async def test_under_a_file(tmp_path, use):
    """A path that cannot be is a TokenStoreError that names it and the fix, from every method."""
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "tokens.json"
    with pytest.raises(TokenStoreError, match=r"Give the path of a file in a folder") as caught:
        await use(FileTokenStore(path))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("failing", ["fsync", "replace"])
async def test_disk_full(store, path, monkeypatch, failing):
    """When the disk is full the old file stays as it was, nothing is left beside it, and the store goes on after."""
    await store.save("key", TOKEN)
    before = record_files(path)[0].read_bytes()

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, failing, fail)
        with pytest.raises(TokenStoreError, match="Free some space"):
            await store.save("key", StoredToken(value="other"))
    assert record_files(path)[0].read_bytes() == before
    assert sorted(folder_of(path).iterdir()) == [*record_files(path), folder_of(path) / "gate.lock"]
    await store.save("key", StoredToken(value="other"))
    assert (await store.load("key")).value == "other"


async def test_no_locks_on_this_file_system(store, monkeypatch):
    """Where the file system cannot lock, a TokenStoreError says so instead of a lock that outlives its holder."""

    def fail(*_, **__):
        raise NotImplementedError

    monkeypatch.setattr("filelock.FileLock.acquire", fail)
    with pytest.raises(TokenStoreError, match="cannot lock files"):
        await store.load("key")


async def test_a_clock_that_goes_backwards_makes_no_life_longer(path, clock):
    """The wall clock counts, also between two processes; never more is left than was saved."""
    await FileTokenStore(path, clock=clock).save("key", TOKEN)
    for passed, left in [(30, 70), (-5000, 100)]:
        loaded = await FileTokenStore(path, clock=FakeClock(wall=clock.wall + passed)).load("key")
        assert loaded.expires_in == pytest.approx(left)
    assert await FileTokenStore(path, clock=FakeClock(wall=clock.wall + 101)).load("key") is None


async def test_threads_of_the_program_do_not_hold_it_up(store):
    """While all worker threads of the program wait for a login, tokens are saved and passwords hashed."""
    sandbox = Sandbox(1)
    limiter, login = to_thread.current_default_thread_limiter(), threading.Event()
    async with anyio.create_task_group() as tasks:
        for _ in range(int(limiter.total_tokens)):
            tasks.start_soon(to_thread.run_sync, login.wait)
        await anyio.wait_all_tasks_blocked()
        assert not limiter.available_tokens
        try:
            with anyio.fail_after(60):
                for _ in range(2):
                    async with connect(sandbox, token_store=store) as client:
                        await client.ping()
        finally:
            login.set()
    assert sandbox.logins == 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_cancelled_write_ends_first(store, path, monkeypatch):
    """`Task.cancel()` in the middle of a write lets the write end before the lock is free, cancelled once or twice."""
    writing, go_on = threading.Event(), threading.Event()
    replace = os.replace

    def slow(*arguments):
        writing.set()
        assert go_on.wait(60)
        replace(*arguments)

    monkeypatch.setattr(os, "replace", slow)
    task = asyncio.create_task(store.save("key", TOKEN))
    assert await asyncio.to_thread(writing.wait, 60)
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0.01)
        assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await store.load("key")).value == "tok-secret"


def test_killed_writer_has_lost_nothing_that_was_saved(path):
    """Whatever a killed process had saved is there, whole, and nothing older has come back."""
    for number in range(4):
        writer, pipe = start_piped(store_child.run, path)
        for _ in range(5 + number):
            said = pipe.recv()
        writer.kill()
        with suppress(EOFError):
            while True:
                said = pipe.recv()
        writer.join()
        store = FileTokenStore(path)
        loaded = [anyio.run(store.load, f"key{key}").value.partition(":") for key in range(3)]
        assert [rest for _, _, rest in loaded] == ["x" * 5000] * 3
        newest = sorted(int(first) for first, _, _ in loaded)
        assert newest == list(range(newest[-1] - 2, newest[-1] + 1))
        assert newest[-1] in {said, said + 1}


@forks
def test_fork(path):
    """A store used before a fork works in the child."""
    store = FileTokenStore(path)
    anyio.run(store.save, "key", TOKEN)

    async def child():
        with anyio.fail_after(60):
            async with store.lock("key"):
                return (await store.load("key")).value

    assert in_fork(lambda: anyio.run(child)) == "tok-secret"


# In places that others can write in.

OTHER_USER = 54321


@pytest.fixture
def folder(path):
    path.parent.mkdir(mode=0o700)
    return folder_of(path)


@pytest.fixture
def victim(tmp_path):
    """A file that a planted link points to."""
    file = tmp_path / "victim"
    file.write_text("precious")
    return file


def somebody_elses(monkeypatch):
    """Make all files belong to another user than the one who runs the tests."""
    owner = os.geteuid() + OTHER_USER
    monkeypatch.setattr(os, "geteuid", lambda: owner)


@posix
async def test_what_is_planted_in_a_records_place_is_not_followed(store, folder, victim):
    """A link in the place of a record, or of a new one, is replaced and never followed; a pipe is refused."""
    await store.save("key", TOKEN)
    (record,) = folder.glob("*.json")
    record.unlink()
    record.symlink_to(victim)
    with pytest.raises(TokenStoreError, match="is a link"):
        await store.load("key")
    record.with_name(record.name + ".new").symlink_to(victim)
    left = folder / "0123.json.new"  # of a killed writer
    left.write_bytes(b"{")
    for _ in range(2):
        await store.save("key", TOKEN)
    assert [file.name for file in folder.iterdir() if file.is_symlink() or file == left] == []
    assert victim.read_text() == "precious"
    assert (await store.load("key")).value == "tok-secret"
    record.unlink()
    os.mkfifo(record)
    with anyio.fail_after(60), pytest.raises(TokenStoreError, match="regular file"):
        await store.load("key")


@posix
async def test_a_link_in_the_folders_place_is_refused(store, folder, tmp_path):
    """Nothing is written into the folder that it points to."""
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TokenStoreError, match="is a link or a file"):
        await store.save("key", TOKEN)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@posix
async def test_a_link_of_another_user_at_the_path_is_not_resolved(path, folder, victim, clock, monkeypatch):
    """The maker of the link does not choose where tokens go."""
    path.symlink_to(victim)
    if os.geteuid() == 0:
        os.chown(path, OTHER_USER, -1, follow_symlinks=False)
        store = FileTokenStore(path, clock=clock)
    else:
        with monkeypatch.context() as patch:
            somebody_elses(patch)
            store = FileTokenStore(path, clock=clock)
    await store.save("key", TOKEN)
    assert len(list(folder.glob("*.json"))) == 1
    assert victim.read_text() == "precious"
    assert not victim.with_name("victim.d").exists()


@posix
async def test_folder_of_another_user_is_refused(store, folder, monkeypatch):
    """A folder that belongs to another user is refused: its owner could read every token."""
    folder.mkdir(0o700)
    somebody_elses(monkeypatch)
    with pytest.raises(TokenStoreError, match="belongs to another user"):
        await store.save("key", TOKEN)
    assert list(folder.iterdir()) == []


@posix
async def test_a_folder_that_is_open_to_others_becomes_private(store, folder):
    """One that was made beforehand with a wide mask is narrowed before anything is written."""
    folder.mkdir()
    folder.chmod(0o777)
    await store.save("key", TOKEN)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@posix
async def test_a_save_writes_one_record_and_looks_at_few(store, folder, clock, monkeypatch):
    """Among hundreds of records a save opens its own and a handful, and in time all that have ended go."""
    number = 300
    for index in range(number):
        await store.save(f"key{index}", StoredToken(value=f"t{index}", expires_in=50.0))
    clock.advance(51)
    opened = []
    open_file = os.open

    def count(path, *more, **options):
        opened.append(str(path))
        return open_file(path, *more, **options)

    monkeypatch.setattr(os, "open", count)
    await store.save("new", TOKEN)
    assert len([path for path in opened if path.endswith((".json", ".new"))]) <= SWEPT_PER_SAVE + 2
    for index in range(number // SWEPT_PER_SAVE + 2):
        await store.save(f"new{index}", TOKEN)
    values = [json.loads(file.read_bytes())["value"] for file in folder.glob("*.json")]
    assert set(values) == {"tok-secret"}
