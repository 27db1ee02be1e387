"""States in storage services that fail at a bad moment, or hold something else."""

import io
import json
import random
import threading
import uuid
import zipfile

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from kit import connect

from carecloud_async import ExportError
from carecloud_async._lists.export.storage.remote_state import RemoteState
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio
MEMORY = fsspec.filesystem("memory")


@pytest.fixture
def anyio_backend():
    """These tests wait for threads, which are the same on both event loops."""
    return "asyncio"


@pytest.fixture
def url():
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
        self.put, self._info = MemoryFileSystem.put_file, MemoryFileSystem.info
        self.down, self.late = 0, None
        monkeypatch.setattr(MemoryFileSystem, "protocol", "gs")
        monkeypatch.setattr(MemoryFileSystem, "info", lambda _, path, **options: self._look(path))

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


def fetched(url, wait=lambda _: None):
    """A run that has fetched the state."""
    remote = RemoteState(url, wait=wait)
    remote.fetch()
    return remote


def archive(entries):
    """A zip file with these entries."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, value in entries.items():
            made.writestr(name, value)
    return file.getvalue()


async def test_a_slow_storage_holds_up_no_event_loop(url, storage, tmp_path):
    """A file of changes, and an export, store their state in worker threads."""
    loop, threads = threading.get_ident(), []

    def put(file, path):
        threads.append(threading.get_ident())
        storage.put(MEMORY, file, path)

    storage.on_put(put)
    async with connect(Sandbox(customers=5, seed=1, untidy=False)) as client:
        await client.customers.list().changes(state=url).to_file(tmp_path / "1.jsonl")
        await client.customers.list().export(tmp_path / "2.jsonl", state=f"{url}-of-export")
    assert len(threads) == 2
    assert loop not in threads


async def test_a_night_whose_put_has_no_answer(temporary, url, storage, tmp_path):
    """The run finds its own state in the storage and ends well, so that no scheduler repeats it from the new state."""

    def put(file, path):
        storage.put(MEMORY, file, path)
        raise TimeoutError("no answer")

    sandbox = Sandbox(customers=5, seed=1, untidy=False)
    async with connect(sandbox) as client:

        async def night(path):
            return (await client.customers.list().changes(state=url).to_file(path)).counts

        await night(tmp_path / "1.jsonl")
        changed = sandbox.customers.id_at(3)
        sandbox.customers.update(changed, {"personal_information": {"first_name": "New"}})
        storage.on_put(put)
        assert (await night(tmp_path / "2.jsonl"))["updated"] == 1
        assert json.loads((tmp_path / "2.jsonl").read_text())["id"] == changed
        assert sum((await night(tmp_path / "3.jsonl")).values()) == 0
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("fails", [True, False], ids=["put without an answer", "put with one"])
def test_a_network_that_fails_after_a_put(temporary, database, url, storage, waits, fails):
    """The state is looked for until the network is back."""

    def put(file, path):
        storage.put(MEMORY, file, path)
        storage.down = 5
        if fails:
            raise TimeoutError("no answer")

    remote = fetched(url, waits)
    storage.on_put(put)
    remote.store(database)
    assert waits.seconds == 5
    remote.store(database)  # the version is known: another one can be stored
    remote.close()


def test_a_put_that_takes_effect_after_its_timeout(temporary, database, url, storage, waits):
    """The state is found once it is there."""

    def put(file, path):
        with open(file, "rb") as content:
            storage.late = path, content.read()
        storage.down = 8
        raise TimeoutError("no answer")

    remote = fetched(url, waits)
    storage.on_put(put)
    remote.store(database)
    remote.close()
    assert 0 < waits.seconds < 10
    fetched(url).close()


def test_a_put_that_is_refused(temporary, database, url, storage, waits):
    """After half a minute without the state the run fails with the storage's error, and the old state is there."""
    first = fetched(url)
    first.store(database)
    old = MEMORY.cat_file(url)

    def put(file, path):
        raise PermissionError("read-only")

    storage.on_put(put)
    second = fetched(url, waits)
    with pytest.raises(ExportError, match="PermissionError: read-only"):
        second.store(database)
    assert waits.seconds == 30
    assert MEMORY.cat_file(url) == old
    assert not MEMORY.exists(f"{url}.lock")


def test_a_put_without_an_answer_that_another_run_has_replaced(temporary, database, url, storage):
    """A state of another run is not taken for the own one."""

    def put(file, path):
        MEMORY.pipe_file(path, archive({"state": b"of another run"}))
        raise TimeoutError("no answer")

    remote = fetched(url)
    storage.on_put(put)
    with pytest.raises(ExportError, match="TimeoutError: no answer"):
        remote.store(database)
    remote.close()


def test_a_lock_object_that_cannot_be_removed(temporary, database, url, waits, monkeypatch):
    """The state is stored, so the run ends well; the next one waits for a minute."""

    def refuse(self, path):
        raise ConnectionError("no network")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "rm_file", refuse)
        fetched(url).store(database)
    assert MEMORY.exists(f"{url}.lock")
    fetched(url, waits).store(database)
    assert waits.seconds == 61
    assert not MEMORY.exists(f"{url}.lock")


@pytest.mark.parametrize("renames_over", [True, False], ids=["renames over a file", "refuses to"])
def test_a_put_that_is_killed(temporary, database, url, monkeypatch, renames_over):
    """Where files appear piece by piece, the old state is there until the new one is complete."""
    whole_put, whole_mv = MemoryFileSystem.put_file, MemoryFileSystem.mv

    def put(self, file, path, **options):
        MEMORY.pipe_file(path, b"PK")
        raise KeyboardInterrupt

    def mv(self, old, new, **options):
        if not renames_over and MEMORY.exists(new):
            raise FileExistsError(new)
        whole_mv(self, old, new, **options)

    monkeypatch.setattr(MemoryFileSystem, "mv", mv)
    fetched(url).store(database)
    old, remote = MEMORY.cat_file(url), fetched(url)
    monkeypatch.setattr(MemoryFileSystem, "put_file", put)
    with pytest.raises(KeyboardInterrupt):
        remote.store(database)
    assert MEMORY.cat_file(url) == old
    monkeypatch.setattr(MemoryFileSystem, "put_file", whole_put)
    database.execute("INSERT INTO one VALUES (1)")
    remote.store(database)
    remote.close()
    assert MEMORY.cat_file(url) != old
    assert not MEMORY.exists(f"{url}.partial")


def test_a_run_that_is_killed_between_two_names(temporary, database, url):
    """A state that is prepared and has no name does not pass for none at all."""
    fetched(url).store(database)
    MEMORY.mv(url, f"{url}.partial")
    remote = RemoteState(url)
    with pytest.raises(ExportError, match=rf"^{url} is gone, .* delete {url}\.partial to begin again$"):
        remote.fetch()
    remote.close()
    MEMORY.mv(f"{url}.partial", url)
    fetched(url).close()


@pytest.mark.parametrize("other", [None, b"of another run"], ids=["removed", "taken"])
def test_a_lock_object_that_another_run_removes(temporary, database, url, storage, other):
    """A run whose put took longer than a minute ends well, and leaves the lock object of the other run alone."""

    def put(file, path):
        storage.put(MEMORY, file, path)
        MEMORY.rm_file(f"{url}.lock")
        if other is not None:
            MEMORY.pipe_file(f"{url}.lock", other)

    remote = fetched(url)
    storage.on_put(put)
    remote.store(database)
    remote.close()
    assert MEMORY.exists(f"{url}.lock") is (other is not None)


def test_an_object_that_arrives_in_part(temporary, database, url, monkeypatch):
    """A state that arrives only in part is not reported as damaged: the object in the storage is whole."""
    fetched(url).store(database)

    def get(self, path, file, **options):
        with open(file, "wb") as made:
            made.write(MEMORY.cat_file(path)[:-100])

    monkeypatch.setattr(MemoryFileSystem, "get_file", get)
    remote = RemoteState(url)
    with pytest.raises(ExportError, match=r"^memory://\w+/state: only [\d,]+ of its [\d,]+ bytes arrived: run again$"):
        remote.fetch()
    remote.close()


@pytest.mark.parametrize("entries", [{}, {"report.csv": b"1"}, {"state-pending": b"1"}, {"folder/state": b"1"}])
def test_an_archive_of_something_else(temporary, url, entries):
    """An archive without a state is an error, and not an empty state, which would be stored in its place."""
    MEMORY.pipe_file(url, archive(entries))
    remote = RemoteState(url)
    with pytest.raises(ExportError, match=rf"^{url} is an archive without a state: name another URL$"):
        remote.fetch()
    remote.close()


def test_damaged_archives(temporary, database, url):
    """Whatever bytes of the object are wrong, it is taken as it was stored, or the error names the URL."""
    fetched(url).store(database)
    whole, random_, problems = MEMORY.cat_file(url), random.Random(1), set()
    for _ in range(600):
        data = bytearray(whole)
        for _ in range(random_.choice((1, 2, 8))):
            # In the content, and in what stands before and after it.
            place = random_.choice((random_.randrange(len(data)), random_.randrange(60), -1 - random_.randrange(100)))
            data[place] = random_.randrange(256)
        MEMORY.pipe_file(url, bytes(data))
        remote = RemoteState(url)
        try:
            remote.fetch()
            assert remote.path.read_bytes().startswith(b"SQLite format 3\0")
        except ExportError as error:
            problems.add(str(error))
        finally:
            remote.close()
    assert problems == {
        f"{url} is no state, or is damaged: delete it to begin again",
        f"{url} is an archive without a state: name another URL",
    }
