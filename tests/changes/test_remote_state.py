"""States in storage services: fetched when a run begins, stored only if no other run has stored one meanwhile."""

import json
import os
import threading
import time
import uuid

import fsspec
import pytest
from kit import connect

from carecloud_async import ExportError
from carecloud_async._lists.export.storage.remote_state import RemoteState
from carecloud_async._lists.export.storage.urls import storage_errors
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio


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
    before = dict(os.environ)
    os.environ.update(
        AWS_ACCESS_KEY_ID="key",
        AWS_SECRET_ACCESS_KEY="secret",
        AWS_DEFAULT_REGION="us-east-1",
        AWS_ENDPOINT_URL=f"http://{host}:{port}",
    )
    try:
        system = fsspec.filesystem("s3", skip_instance_cache=True)
        system.mkdir("nights")
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        fsspec.filesystem("s3").clear_instance_cache()
        server.stop()


@pytest.fixture(params=["memory", "s3"])
def state(request, temporary):
    """The URL of a state that is not there."""
    if request.param == "s3":
        request.getfixturevalue("s3")
    return f"{request.param}://nights/{uuid.uuid4().hex}.state"


@pytest.fixture
def sandbox():
    return Sandbox(customers=30, seed=1, untidy=False)


def rename(sandbox, number):
    """Update a record; return its id."""
    updated = sandbox.customers.id_at(number)
    sandbox.customers.update(updated, {"personal_information": {"first_name": f"New {number}"}})
    return updated


def write(client, path, state, **options):
    """Write a night of changes to a file."""
    return client.customers.list().changes(state=state, **options).to_file(path)


def exists(url):
    system, path = fsspec.core.url_to_fs(url)
    system.invalidate_cache()
    return system.exists(path)


async def test_nights_of_an_export(sandbox, state, temporary, tmp_path):
    """The first night exports everything, the next one what changed; nothing of the state stays on the machine."""
    async with connect(sandbox) as client:
        first = await client.customers.list().export(tmp_path / "1.jsonl", state=state)
        rename(sandbox, 3)
        second = await client.customers.list().export(tmp_path / "2.jsonl", state=state)
    assert first.records == 30
    assert 1 <= second.records < 30
    assert exists(state)
    assert not exists(f"{state}.lock")
    assert list(temporary.iterdir()) == []


async def test_nights_of_changes(sandbox, state, temporary, tmp_path):
    """Files of changes, and changes that a program takes, go on from the state of the last night."""
    async with connect(sandbox) as client:
        assert (await write(client, tmp_path / "1.jsonl", state)).counts["created"] == 30
        updated = rename(sandbox, 3)
        report = await write(client, tmp_path / "2.jsonl", state)
        assert report.counts == {"created": 0, "updated": 1, "deleted": 0}
        assert json.loads((tmp_path / "2.jsonl").read_text())["id"] == updated
        again = rename(sandbox, 4)
        async with client.customers.list().changes(state=state) as changes:
            assert [change.id async for change in changes] == [again]
        assert sum((await write(client, tmp_path / "3.jsonl", state)).counts.values()) == 0
    assert list(temporary.iterdir()) == []


async def test_a_run_that_is_killed_before_the_state_is_stored(sandbox, state, tmp_path, monkeypatch):
    """The file is there and the state is the old one: the next run brings the same changes again."""
    async with connect(sandbox) as client:
        await write(client, tmp_path / "1.jsonl", state)
        updated = rename(sandbox, 3)
        link = os.link

        def die(path, name):
            link(path, name)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(os, "link", die)
            await write(client, tmp_path / "2.jsonl", state)
        assert json.loads((tmp_path / "2.jsonl").read_text())["id"] == updated
        report = await write(client, tmp_path / "3.jsonl", state)
    assert report.counts["updated"] == 1
    assert (tmp_path / "3.jsonl").read_bytes() == (tmp_path / "2.jsonl").read_bytes()


async def test_a_program_that_is_stopped_in_the_middle_of_its_changes(sandbox, state, temporary, tmp_path):
    """The next run, on another machine, returns the same changes, and then what changed since."""
    async with connect(sandbox) as client:
        await write(client, tmp_path / "1.jsonl", state)
        ids = {rename(sandbox, number) for number in (3, 4, 5)}
        with pytest.raises(RuntimeError, match="stopped"):
            async with client.customers.list().changes(state=state) as changes:
                async for _ in changes:
                    raise RuntimeError("stopped")
        assert list(temporary.iterdir()) == []
        gone = next(iter(ids))
        sandbox.customers.delete(gone)
        async with client.customers.list().changes(state=state) as changes:
            found = [(change.kind, change.id) async for change in changes]
    assert sorted(found[:-1]) == [("updated", one) for one in sorted(ids)]
    assert found[-1] == ("deleted", gone)


async def test_two_runs_at_once(sandbox, state, tmp_path):
    """If two runs fetched one state, the second to end fails, and the state of the first stays."""
    async with connect(sandbox) as client:
        await write(client, tmp_path / "1.jsonl", state)
        updated = rename(sandbox, 3)
        nights = []

        async def run_another(_):
            if not nights:
                nights.append(await write(client, tmp_path / "3.jsonl", state))

        with pytest.raises(ExportError, match="another run has stored this state meanwhile"):
            await write(client, tmp_path / "2.jsonl", state, on_progress=run_another)
        assert nights[0].counts["updated"] == 1
        assert sum((await write(client, tmp_path / "4.jsonl", state)).counts.values()) == 0
        with pytest.raises(ExportError, match="another run has stored this state meanwhile"):
            async with client.customers.list().changes(state=state) as changes:
                assert [change async for change in changes] == []
                await write(client, tmp_path / "5.jsonl", state)
    assert json.loads((tmp_path / "3.jsonl").read_text())["id"] == updated


async def test_two_first_runs_at_once(sandbox, state, tmp_path):
    """Two runs that found no state: one stores it, the other fails and exports again the next time."""
    async with connect(sandbox) as client:

        async def run_another(_):
            if not (tmp_path / "2.jsonl").exists():
                await write(client, tmp_path / "2.jsonl", state)

        with pytest.raises(ExportError, match="another run has stored this state meanwhile"):
            await write(client, tmp_path / "1.jsonl", state, on_progress=run_another)


async def test_a_state_of_another_list_or_none_at_all(sandbox, state, temporary, tmp_path):
    """Errors name the URL, and what is no state is left alone."""
    async with connect(sandbox) as client:
        await write(client, tmp_path / "1.jsonl", state)
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


def test_a_storage_that_refuses(temporary):
    """An exception of a storage library becomes an ExportError without the password of the URL."""
    for url in ("s4://bucket/state", "sftp://user:hidden@127.0.0.1:1/state"):
        remote = RemoteState(url)
        with pytest.raises(ExportError) as caught:
            remote.fetch()
        remote.close()
        assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileNotFoundError(), "memory://b: there is no such bucket or folder"),
        (PermissionError("Forbidden"), "memory://b: PermissionError: Forbidden: check the credentials of the storage"),
    ],
)
def test_short_errors_of_a_storage_are_explained(error, said):
    """A missing bucket and a refusal are put into words."""
    with pytest.raises(ExportError) as caught, storage_errors("memory://b", frozenset()):
        raise error
    assert str(caught.value).startswith(said)


def test_a_lock_object_of_a_killed_run(temporary, database, waits):
    """A lock object that does not change for a minute is removed, and the state is stored a second later."""
    url = f"memory://{uuid.uuid4().hex}"
    system, path = fsspec.core.url_to_fs(f"{url}.lock")
    system.pipe_file(path, b"of a killed run")
    remote = RemoteState(url, wait=waits)
    remote.fetch()
    remote.store(database)
    remote.close()
    assert waits.seconds == 61
    assert exists(url)
    assert not exists(f"{url}.lock")


def test_many_runs_at_once(temporary, database):
    """Of many runs that fetched one version exactly one stores the next."""
    url = f"memory://{uuid.uuid4().hex}"
    # Without any wait, the lock of a thread that is not given the processor would seem to be that of a killed run.
    remotes = [RemoteState(url, wait=lambda seconds: time.sleep(seconds / 10)) for _ in range(8)]
    for one in remotes:
        one.fetch()
    outcomes = []

    def store(remote):
        try:
            remote.store(database)
            outcomes.append("stored")
        except ExportError:
            outcomes.append("refused")

    threads = [threading.Thread(target=store, args=(one,)) for one in remotes]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    for one in remotes:
        one.close()
    assert sorted(outcomes) == ["refused"] * 7 + ["stored"]


def test_a_server_that_knows_no_conditions(s3, temporary, database, monkeypatch):
    """If a server speaks S3 without conditions, the lock object takes their place."""
    import s3fs

    url = f"s3://nights/{uuid.uuid4().hex}"
    real, calls = s3fs.S3FileSystem._call_s3, []

    async def refuse(self, method, *args, **kwargs):
        if {"IfMatch", "IfNoneMatch"} & kwargs.keys() and ".lock" not in kwargs["Key"]:
            calls.append(method)
            raise OSError(38, "not implemented") from NotImplementedByServerError()
        return await real(self, method, *args, **kwargs)

    class NotImplementedByServerError(Exception):
        def __init__(self):
            self.response = {"Error": {"Code": "NotImplemented"}}

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", refuse)
    monkeypatch.setattr(s3fs.S3FileSystem, "call_s3", fsspec.asyn.sync_wrapper(refuse))
    remote = RemoteState(url)
    remote.fetch()
    remote.store(database)
    remote.store(database)
    remote.close()
    assert calls == ["put_object"] * 2
    assert exists(url)
    assert not exists(f"{url}.lock")


def answer_puts_with(monkeypatch, put):
    """Let a coroutine answer the requests that store a state: `await put(real, **arguments)`."""
    import s3fs

    real = s3fs.S3FileSystem._call_s3

    async def call(self, method, *args, **kwargs):
        if method != "put_object":
            return await real(self, method, *args, **kwargs)

        async def send(**arguments):
            return await real(self, method, *args, **arguments)

        return await put(send, **kwargs)

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", call)
    monkeypatch.setattr(s3fs.S3FileSystem, "call_s3", fsspec.asyn.sync_wrapper(call))


class RefusedConditionError(Exception):
    """What S3 answers to a condition that does not hold."""

    def __init__(self):
        self.response = {"Error": {"Code": "PreconditionFailed"}}


def store(remote, database):
    """Store a state with another content than before: versions of S3 are hashes of it."""
    database.execute("INSERT INTO one VALUES (1)")
    remote.store(database)


def two_runs(database):
    """Two runs that fetched the same state of S3."""
    url = f"s3://nights/{uuid.uuid4().hex}"
    first = RemoteState(url)
    first.fetch()
    store(first, database)
    first.close()
    runs = [RemoteState(url), RemoteState(url)]
    for one in runs:
        one.fetch()
    return runs


def refused_then_close(runs, database):
    """The second run is refused."""
    with pytest.raises(ExportError, match="another run has stored this state meanwhile"):
        store(runs[1], database)
    for one in runs:
        one.close()


def test_a_server_that_compares_versions_without_quotes(s3, temporary, database, monkeypatch):
    """Ceph's gateway refuses a quoted version: the condition is sent again without quotes, and still holds."""

    async def put(send, *, IfMatch=None, **arguments):  # noqa: N803 (its name in S3)
        if IfMatch is None:
            return await send(**arguments)
        if IfMatch.startswith('"'):
            raise OSError(22, "refused") from RefusedConditionError()
        return await send(IfMatch=f'"{IfMatch}"', **arguments)

    answer_puts_with(monkeypatch, put)
    runs = two_runs(database)
    store(runs[0], database)
    store(runs[0], database)
    refused_then_close(runs, database)


def test_a_server_that_ignores_conditions(s3, temporary, database, monkeypatch):
    """The version is compared before each write too, so a run that has ended before is not overwritten."""

    async def put(send, *, IfMatch=None, IfNoneMatch=None, **arguments):  # noqa: N803 (their names in S3)
        return await send(**arguments)

    answer_puts_with(monkeypatch, put)
    runs = two_runs(database)
    store(runs[0], database)
    refused_then_close(runs, database)


@pytest.mark.parametrize("error", [RefusedConditionError(), TimeoutError("no answer")], ids=["repeated", "given up"])
def test_a_write_whose_answer_was_lost(s3, temporary, database, monkeypatch, error):
    """The run finds its own write at the server, and goes on."""

    async def put(send, **arguments):
        await send(**arguments)
        raise OSError(22, "refused") from error

    answer_puts_with(monkeypatch, put)
    runs = two_runs(database)
    store(runs[0], database)
    store(runs[0], database)
    refused_then_close(runs, database)


def test_a_network_that_fails_after_a_write_to_s3(s3, temporary, database, waits, monkeypatch):
    """The run looks for its own write until the network is back."""
    import s3fs

    real, down = s3fs.S3FileSystem._call_s3, []

    async def call(self, method, *args, **kwargs):
        if down:
            raise down.pop()
        answer = await real(self, method, *args, **kwargs)
        if method == "put_object":
            down.extend(ConnectionError("no network") for _ in range(5))
            raise TimeoutError("no answer")
        return answer

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", call)
    monkeypatch.setattr(s3fs.S3FileSystem, "call_s3", fsspec.asyn.sync_wrapper(call))
    remote = RemoteState(f"s3://nights/{uuid.uuid4().hex}", wait=waits)
    remote.fetch()
    store(remote, database)
    assert waits.seconds == 5
    store(remote, database)
    remote.close()
