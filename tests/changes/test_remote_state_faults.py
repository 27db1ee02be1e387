"""States in storage services that fail at a bad moment, or hold something else."""

import io
import json
import random
import threading
import uuid
import zipfile

import fsspec
import pytest
from every import every
from fsspec.implementations.memory import MemoryFileSystem
from kit import connect

from carecloud_async import ExportError
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio
MEMORY = fsspec.filesystem("memory")


@pytest.fixture
def sandbox():
    return Sandbox(customers=30, seed=1, untidy=False)


@pytest.fixture
def anyio_backend():
    """These tests wait for threads, which are the same on both event loops."""
    return "asyncio"


@pytest.fixture
def url(temporary):
    """The URL of a state that is not there."""
    return f"memory://{uuid.uuid4().hex}/state"


class Storage:
    """An object store of a test, whose puts and looks can be made to fail.

    Attributes:
        put: stores an object, as the storage really does.
        down: how many looks at an object fail from now on.
        late: an object that appears with the last of these looks.
    """

    def __init__(self, monkeypatch):
        self._monkeypatch = monkeypatch
        self._put, self._info = MemoryFileSystem.put_file, MemoryFileSystem.info
        self.down, self.late = 0, None
        monkeypatch.setattr(MemoryFileSystem, "protocol", "gs")
        monkeypatch.setattr(MemoryFileSystem, "info", lambda _, path, **options: self._look(path))

    def put(self, file, path):
        self._put(MEMORY, file, path)

    def on_put(self, put):
        """Let a function store objects: `put(file, path)`."""
        self._monkeypatch.setattr(MemoryFileSystem, "put_file", lambda _, file, path, **options: put(file, path))

    def _look(self, path):
        if self.down:
            self.down -= 1
            if not self.down and self.late is not None:
                MEMORY.pipe_file(*self.late)
            if self.late is None:
                raise ConnectionError("no network")
        return self._info(MEMORY, path)


@pytest.fixture
def storage(monkeypatch):
    return Storage(monkeypatch)


def archive(entries):
    """A zip file with these entries."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, value in entries.items():
            made.writestr(name, value)
    return file.getvalue()


async def test_a_slow_storage_holds_up_no_event_loop(sandbox, url, storage, tmp_path, night):
    """A file of changes, and an export, store their state in worker threads."""
    threads = []

    def put(file, path):
        threads.append(threading.get_ident())
        storage.put(file, path)

    storage.on_put(put)
    await night("1.jsonl", url)
    async with connect(sandbox) as client:
        await client.customers.list().export(tmp_path / "2.jsonl", state=f"{url}-of-export")
    assert len(threads) == 2
    assert threading.get_ident() not in threads


@pytest.mark.parametrize("fails", [True, False], ids=["put without an answer", "put with one"])
@pytest.mark.parametrize("down", [0, 5])
async def test_a_network_that_fails_after_a_put(url, storage, waits, fails, down, tmp_path, rename, night, temporary):
    """The run looks for its own state until the network is back, and ends well, so that no scheduler repeats it."""

    def put(file, path):
        storage.put(file, path)
        storage.down = down
        if fails:
            raise TimeoutError("no answer")

    await night("1.jsonl", url)
    changed = rename(3)
    storage.on_put(put)
    assert (await night("2.jsonl", url)).updated == 1
    assert waits.seconds == down
    assert json.loads((tmp_path / "2.jsonl").read_text())["id"] == changed
    assert (await night("3.jsonl", url)).unchanged == 30
    assert list(temporary.iterdir()) == []


async def test_a_put_that_takes_effect_after_its_timeout(url, storage, waits, night):
    """The state is found once it is there."""

    def put(file, path):
        with open(file, "rb") as content:
            storage.late = path, content.read()
        storage.down = 8
        raise TimeoutError("no answer")

    storage.on_put(put)
    await night("1.jsonl", url)
    assert 0 < waits.seconds < 10
    storage.on_put(storage.put)
    assert (await night("2.jsonl", url)).unchanged == 30


async def test_a_put_that_is_refused(url, storage, waits, rename, night):
    """After half a minute without the state the run fails with the storage's error, and the old state is there."""

    def put(file, path):
        raise PermissionError("read-only")

    await night("1.jsonl", url)
    old = MEMORY.cat_file(url)
    rename(3)
    storage.on_put(put)
    with pytest.raises(ExportError, match="PermissionError: read-only: check the credentials of the storage"):
        await night("2.jsonl", url)
    assert waits.seconds == 30
    assert MEMORY.cat_file(url) == old
    assert not MEMORY.exists(f"{url}.lock")


async def test_a_put_without_an_answer_that_another_run_has_replaced(url, storage, waits, night):
    """A state of another run is not taken for the own one."""

    def put(file, path):
        MEMORY.pipe_file(path, archive({"state": b"of another run"}))
        raise TimeoutError("no answer")

    storage.on_put(put)
    with pytest.raises(ExportError, match="TimeoutError: no answer"):
        await night("1.jsonl", url)


async def test_a_lock_object_of_a_killed_run(url, waits, night):
    """A lock object that does not change for a minute is removed, and the state is stored a second later."""
    MEMORY.pipe_file(f"{url}.lock", b"of a killed run")
    await night("1.jsonl", url)
    assert waits.seconds == 61
    assert MEMORY.exists(url)
    assert not MEMORY.exists(f"{url}.lock")


async def test_a_lock_object_that_cannot_be_removed(url, waits, monkeypatch, night):
    """The state is stored, so the run ends well; the next one waits for a minute."""

    def refuse(self, path):
        raise ConnectionError("no network")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "rm_file", refuse)
        await night("1.jsonl", url)
    assert MEMORY.exists(f"{url}.lock")
    await night("2.jsonl", url)
    assert waits.seconds == 61
    assert not MEMORY.exists(f"{url}.lock")


@pytest.mark.parametrize("other", [None, b"of another run"], ids=["removed", "taken"])
async def test_a_lock_object_that_another_run_removes(url, storage, night, other):
    """A run whose put took longer than a minute ends well, and leaves the lock object of the other run alone."""

    def put(file, path):
        storage.put(file, path)
        MEMORY.rm_file(f"{url}.lock")
        if other is not None:
            MEMORY.pipe_file(f"{url}.lock", other)

    storage.on_put(put)
    await night("1.jsonl", url)
    assert MEMORY.exists(f"{url}.lock") is (other is not None)


@pytest.mark.parametrize("renames_over", [True, False], ids=["renames over a file", "refuses to"])
async def test_a_put_that_is_killed(url, monkeypatch, rename, night, renames_over):
    """Where files appear piece by piece, the old state is there until the new one is complete."""
    whole_mv = MemoryFileSystem.mv

    def put(self, file, path, **options):
        MEMORY.pipe_file(path, b"PK")
        raise KeyboardInterrupt

    def mv(self, old, new, **options):
        if not renames_over and MEMORY.exists(new):
            raise FileExistsError(new)
        whole_mv(self, old, new, **options)

    monkeypatch.setattr(MemoryFileSystem, "mv", mv)
    await night("1.jsonl", url)
    old = MEMORY.cat_file(url)
    rename(3)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(MemoryFileSystem, "put_file", put)
        await night("2.jsonl", url)
    assert MEMORY.cat_file(url) == old
    assert (await night("3.jsonl", url)).updated == 1
    assert MEMORY.cat_file(url) != old
    assert not MEMORY.exists(f"{url}.partial")


async def test_a_run_that_is_killed_between_two_names(url, night):
    """A state that is prepared and has no name does not pass for none at all."""
    await night("1.jsonl", url)
    MEMORY.mv(url, f"{url}.partial")
    with pytest.raises(ExportError, match=rf"^{url} is gone, .* delete {url}\.partial to begin again$"):
        await night("2.jsonl", url)
    MEMORY.mv(f"{url}.partial", url)
    assert (await night("3.jsonl", url)).unchanged == 30


async def test_an_object_that_arrives_in_part(url, monkeypatch, night):
    """A state that arrives only in part is not reported as damaged: the object in the storage is whole."""
    await night("1.jsonl", url)

    def get(self, path, file, **options):
        with open(file, "wb") as made:
            made.write(MEMORY.cat_file(path)[:-100])

    monkeypatch.setattr(MemoryFileSystem, "get_file", get)
    with pytest.raises(ExportError, match=r"^memory://\w+/state: only [\d,]+ of its [\d,]+ bytes arrived: run again$"):
        await night("2.jsonl", url)


@every("entries", [{}, {"report.csv": b"1"}, {"state-pending": b"1"}, {"folder/state": b"1"}])
async def test_an_archive_of_something_else(url, night, entries):
    """An archive without a state is an error, and not an empty state, which would be stored in its place."""
    MEMORY.pipe_file(url, archive(entries))
    with pytest.raises(ExportError, match=rf"^{url} is an archive without a state: name another URL$"):
        await night("1.jsonl", url)


async def test_damaged_archives(sandbox, url, night):
    """Whatever bytes of the object are wrong, it is taken as it was stored, or the error names the URL."""
    await night("1.jsonl", url)
    whole, dice, problems = MEMORY.cat_file(url), random.Random(1), set()
    async with connect(sandbox) as client:
        for _ in range(200):
            data = bytearray(whole)
            for _ in range(dice.choice((1, 2, 8))):
                # In the content, and in what stands before and after it.
                place = dice.choice((dice.randrange(len(data)), dice.randrange(60), -1 - dice.randrange(100)))
                data[place] = dice.randrange(256)
            MEMORY.pipe_file(url, bytes(data))
            try:
                async with client.customers.list().changes(state=url) as changes:
                    assert [change async for change in changes] == []
            except ExportError as error:
                problems.add(str(error))
    assert problems == {
        f"{url} is no state, or is damaged: delete it to begin again",
        f"{url} is an archive without a state: name another URL",
    }


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("s4://bucket/state", r"^s4://bucket/state: "),
        ("sftp://user:hidden@127.0.0.1:1/state", r"^sftp://user:\*\*\*@127"),
    ],
)
async def test_a_storage_that_refuses(night, temporary, state, said):
    """An exception of a storage library becomes an ExportError without the password of the URL."""
    with pytest.raises(ExportError, match=said) as caught:
        await night("1.jsonl", state)
    assert "hidden" not in str(caught.value)


async def test_a_missing_bucket_is_explained(url, night, monkeypatch):
    """A storage without the bucket or folder says nothing more: it is put into words."""

    def missing(self, path, **options):
        raise FileNotFoundError

    monkeypatch.setattr(MemoryFileSystem, "exists", missing)
    with pytest.raises(ExportError, match=rf"^{url}: there is no such bucket or folder"):
        await night("1.jsonl", url)
