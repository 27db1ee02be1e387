"""States in storage services: stored only if no other run has stored one meanwhile, also where the storage fails."""

import io
import json
import os
import random
import threading
import uuid
import zipfile
from functools import partial

import anyio
import fsspec
import pytest
from every import every
from fsspec.implementations.memory import MemoryFileSystem
from kit import connect
from thorough import variants

from carecloud_async import ExportError
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

MEANWHILE = "another run has stored this state meanwhile"


@pytest.fixture
def sandbox():
    return Sandbox(customers=30, seed=1, untidy=False)


@pytest.fixture
def anyio_backend():
    """These tests wait for threads, which are the same on both event loops."""
    return "asyncio"


@pytest.fixture(scope="module")
def s3():
    """A server that speaks S3 with an empty bucket; its address is in the environment, as on a real machine."""
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    moto = pytest.importorskip("moto.server", reason="moto with its server is not installed")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "ACCESS_KEY_ID": "key",
            "SECRET_ACCESS_KEY": "secret",
            "DEFAULT_REGION": "us-east-1",
            "ENDPOINT_URL": f"http://{host}:{port}",
        }.items():
            patch.setenv(f"AWS_{name}", value)
        fsspec.filesystem("s3", skip_instance_cache=True).mkdir("nights")
        yield
        fsspec.filesystem("s3").clear_instance_cache()
    server.stop()


class S3Error(Exception):
    """What a server that speaks S3 answers."""

    def __init__(self, code):
        self.response = {"Error": {"Code": code}}


def without_conditions(send, *, IfMatch=None, IfNoneMatch=None, **arguments):  # noqa: N803 (their names in S3)
    """A server that does not implement conditions."""
    if ".lock" not in arguments["Key"] and (IfMatch or IfNoneMatch):
        raise OSError(38, "not implemented") from S3Error("NotImplemented")
    return send(**arguments)


def ignoring_conditions(send, *, IfMatch=None, IfNoneMatch=None, **arguments):  # noqa: N803 (their names in S3)
    """A server that takes conditions and does not look at them."""
    return send(**arguments)


def without_quotes(send, *, IfMatch=None, **arguments):  # noqa: N803 (its name in S3)
    """Ceph's gateway, which refuses a quoted version."""
    if IfMatch is None:
        return send(**arguments)
    if IfMatch.startswith('"'):
        raise OSError(22, "refused") from S3Error("PreconditionFailed")
    return send(IfMatch=f'"{IfMatch}"', **arguments)


async def repeated(send, **arguments):
    """A connection that loses an answer, and repeats the request, which is refused."""
    await send(**arguments)
    raise OSError(22, "refused") from S3Error("PreconditionFailed")


async def unanswered(send, **arguments):
    """A connection that loses an answer."""
    await send(**arguments)
    raise OSError(22, "refused") from TimeoutError("no answer")


#: Servers whose conditions say nothing, and those that are believed like any other.
DEAF, SERVERS = [without_conditions, ignoring_conditions], [without_quotes, repeated, unanswered]


@pytest.fixture(params=["memory", "s3"])
def state(request, monkeypatch, temporary):
    """The URL of a state that is not there: in memory, in S3, or with a server that is like S3."""
    server = request.param
    if server == "memory":
        return f"memory://nights/{uuid.uuid4().hex}.state"
    request.getfixturevalue("s3")
    if callable(server):
        import s3fs

        real = s3fs.S3FileSystem._call_s3

        async def call(self, method, *args, **arguments):
            if method != "put_object":
                return await real(self, method, *args, **arguments)
            return await server(partial(real, self, method, *args), **arguments)

        monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", call)
        monkeypatch.setattr(s3fs.S3FileSystem, "call_s3", fsspec.asyn.sync_wrapper(call))
    return f"s3://nights/{uuid.uuid4().hex}.state"


def exists(url):
    system, path = fsspec.core.url_to_fs(url)
    system.invalidate_cache()
    return system.exists(path)


async def test_nights_of_an_export(sandbox, state, temporary, tmp_path, rename):
    """The first night exports everything, the next one what changed; nothing of the state stays on the machine."""
    async with connect(sandbox) as client:
        first = await client.customers.list().export(tmp_path / "1.jsonl", state=state)
        rename(3)
        second = await client.customers.list().export(tmp_path / "2.jsonl", state=state)
    assert first.records == 30
    assert 1 <= second.records < 30
    assert exists(state)
    assert not exists(f"{state}.lock")
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("state", ["memory", "s3", *DEAF, *SERVERS], indirect=True)
async def test_nights_of_changes(sandbox, state, temporary, tmp_path, rename, night):
    """Files of changes, and changes that a program takes, go on from the state of the last night."""
    assert (await night("1.jsonl", state)).created == 30
    updated = rename(3)
    assert (await night("2.jsonl", state)).counts == {"created": 0, "updated": 1, "deleted": 0}
    assert json.loads((tmp_path / "2.jsonl").read_text())["id"] == updated
    again = rename(4)
    async with connect(sandbox) as client, client.customers.list().changes(state=state) as changes:
        assert [change.id async for change in changes] == [again]
    assert (await night("3.jsonl", state)).unchanged == 30
    assert list(temporary.iterdir()) == []
    assert not exists(f"{state}.lock")


@pytest.mark.parametrize("state", ["memory", "s3", *DEAF, *variants(*SERVERS)], indirect=True)
async def test_two_runs_at_once(sandbox, state, tmp_path, rename, night):
    """If two runs fetched one state, the second to end fails, and the state of the first stays."""
    nights, names = [], iter(["first.jsonl", "other.jsonl"])

    async def run_another(_):
        if not nights:
            nights.append(await night(next(names), state))

    with pytest.raises(ExportError, match=MEANWHILE):  # both found no state
        await night("1.jsonl", state, on_progress=run_another)
    updated = rename(3)
    nights.clear()
    with pytest.raises(ExportError, match=MEANWHILE):
        await night("2.jsonl", state, on_progress=run_another)
    assert nights[0].counts["updated"] == 1
    assert json.loads((tmp_path / "other.jsonl").read_text())["id"] == updated
    assert (await night("3.jsonl", state)).unchanged == 30
    async with connect(sandbox) as client:
        with pytest.raises(ExportError, match=MEANWHILE):
            async with client.customers.list().changes(state=state) as changes:
                assert [change async for change in changes] == []
                await night("4.jsonl", state)


@pytest.mark.parametrize("state", ["s3"], indirect=True)  # threads that read one object in memory share its position
async def test_many_runs_at_once(state, rename, night):
    """Of many runs that fetched one version exactly one stores the next."""
    await night("0.jsonl", state)
    rename(3)
    outcomes, reading, fetched = [], set(), anyio.Event()

    async def run(number):
        async def wait(_):
            reading.add(number)
            if len(reading) == 5:
                fetched.set()
            await fetched.wait()

        try:
            await night(f"{number}.jsonl", state, on_progress=wait)
            outcomes.append("stored")
        except ExportError as error:
            outcomes.append(MEANWHILE if MEANWHILE in str(error) else str(error))
            fetched.set()

    async with anyio.create_task_group() as tasks:
        for number in range(1, 6):
            tasks.start_soon(run, number)
    assert sorted(outcomes) == [MEANWHILE] * 4 + ["stored"]


async def test_a_run_that_is_killed_before_the_state_is_stored(state, tmp_path, monkeypatch, rename, night):
    """The file is there and the state is the old one: the next run brings the same changes again."""
    await night("1.jsonl", state)
    updated, link = rename(3), os.link

    def die(path, name):
        link(path, name)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "link", die)
        await night("2.jsonl", state)
    assert json.loads((tmp_path / "2.jsonl").read_text())["id"] == updated
    assert (await night("3.jsonl", state)).counts["updated"] == 1
    assert (tmp_path / "3.jsonl").read_bytes() == (tmp_path / "2.jsonl").read_bytes()


async def test_a_program_that_is_stopped_in_the_middle_of_its_changes(sandbox, state, temporary, rename, night):
    """The next run, on another machine, returns the same changes, and then what changed since."""
    await night("1.jsonl", state)
    updated = {rename(number) for number in (3, 4, 5)}
    async with connect(sandbox) as client:
        changes = client.customers.list().changes(state=state)
        with pytest.raises(RuntimeError, match="stopped"):
            async with changes:
                async for _ in changes:
                    raise RuntimeError("stopped")
        assert list(temporary.iterdir()) == []
        gone = next(iter(updated))
        sandbox.customers.delete(gone)
        async with changes:
            taken = [(change.kind, change.id) async for change in changes]
    assert sorted(taken[:-1]) == [("updated", customer_id) for customer_id in sorted(updated)]
    assert taken[-1] == ("deleted", gone)


async def test_a_state_of_another_list_or_none_at_all(sandbox, state, temporary, tmp_path, night):
    """Errors name the URL, and what is no state is left alone."""
    await night("1.jsonl", state)
    async with connect(sandbox) as client:
        with pytest.raises(ExportError, match=rf"^{state} belongs to another"):
            await client.users.list().changes(state=state).__aenter__()
        with pytest.raises(ExportError, match=rf"^{state} is not a state file of an export"):
            await client.customers.list().export(tmp_path / "2.jsonl", state=state)
        system, path = fsspec.core.url_to_fs(state)
        system.pipe_file(path, b"not a state")
        with pytest.raises(ExportError, match=rf"^{state} is no state, or is damaged: delete it to begin again"):
            await client.customers.list().export(tmp_path / "2.jsonl", state=state)
        assert system.cat_file(path) == b"not a state"
    assert list(temporary.iterdir()) == []


async def test_a_network_that_fails_after_a_write_to_s3(s3, temporary, waits, monkeypatch, rename, night):
    """The run looks for its own write until the network is back."""
    import s3fs

    real, down = s3fs.S3FileSystem._call_s3, []

    async def call(self, method, *args, **arguments):
        if down:
            raise down.pop()
        answer = await real(self, method, *args, **arguments)
        if method == "put_object":
            down.extend(ConnectionError("no network") for _ in range(5))
            raise TimeoutError("no answer")
        return answer

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", call)
    monkeypatch.setattr(s3fs.S3FileSystem, "call_s3", fsspec.asyn.sync_wrapper(call))
    url = f"s3://nights/{uuid.uuid4().hex}"
    await night("1.jsonl", url)
    assert waits.seconds == 5
    rename(3)
    assert (await night("2.jsonl", url)).updated == 1


MEMORY = fsspec.filesystem("memory")


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
