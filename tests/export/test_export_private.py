"""Exports into shared folders, and URLs with passwords: nothing is redirected, shown or left for others to read."""

import contextlib
import logging
import os
import stat
import traceback

import anyio
import fsspec
import pytest
from export_help import every_page, ids
from fsspec.implementations.memory import MemoryFileSystem
from kit import connect

from carecloud_async import ExportError
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files to other users"
)
OTHER_USER = 12345
SECRET = "p@s:s-wörd"  # as it is typed, not escaped


async def export(path, **more):
    async with connect(Sandbox(customers=120, seed=1), clock=every_page()) as client:
        return await client.customers.list(count=20).export(path, **more)


def permissions(path):
    return stat.S_IMODE(path.stat().st_mode)


async def stop_early(path):
    """Export a part, so that a working folder stays."""
    with anyio.CancelScope() as scope:
        await export(path, on_progress=lambda progress: progress.pages > 2 and scope.cancel())
    assert (path.parent / f".{path.name}.run" / "run.db").exists()


@pytest.mark.parametrize("name", ["run.db", "run.db-wal", "records", "output"])
async def test_a_link_in_the_working_folder_is_not_followed(tmp_path, name):
    """A link in place of a file of the export is refused; its target is unchanged."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    work = tmp_path / ".c.csv.run"
    work.mkdir(mode=0o777)
    (work / name).symlink_to(victim)
    with pytest.raises(ExportError, match="is a link or belongs to another user: remove it"):
        await export(tmp_path / "c.csv")
    assert victim.read_text() == "mine"


async def test_a_link_in_place_of_the_working_folder_is_refused(tmp_path):
    """The folder that it points to stays empty."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".c.jsonl.run").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ExportError, match="is not a folder"):
        await export(tmp_path / "c.jsonl")
    assert not list((tmp_path / "elsewhere").iterdir())


@needs_root
async def test_a_working_folder_of_another_user_is_refused(tmp_path):
    """A working folder of another user is refused: its owner could exchange the records in it."""
    (tmp_path / ".c.jsonl.run").mkdir()
    os.chown(tmp_path / ".c.jsonl.run", OTHER_USER, OTHER_USER)
    with pytest.raises(ExportError, match="belongs to another user"):
        await export(tmp_path / "c.jsonl")


@needs_root
@pytest.mark.parametrize("name", ["records", "run.db"])
async def test_a_file_of_another_user_is_not_gone_on_from(tmp_path, name):
    """A resume takes only what its own user wrote."""
    path = tmp_path / "c.jsonl"
    await stop_early(path)
    os.chown(tmp_path / ".c.jsonl.run" / name, OTHER_USER, OTHER_USER)
    with pytest.raises(ExportError, match="belongs to another user"):
        await export(path, resume=True)


@needs_root
async def test_a_forged_note_of_an_end_is_not_believed(tmp_path):
    """The note that says an export is done counts only if its own user wrote it."""
    path = tmp_path / "c.jsonl"
    await export(path, resume=True)
    assert (await export(path, resume=True)).finished_before
    os.chown(tmp_path / ".c.jsonl.run" / "run.db", OTHER_USER, OTHER_USER)
    with pytest.raises(ExportError, match="belongs to another user"):
        await export(path, resume=True)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no permission bits on this system")
@pytest.mark.parametrize("name", ["c.jsonl", "c.csv", "c.parquet"])
async def test_personal_data_is_private(tmp_path, name):
    """While an export runs and afterwards, only its user can read the records; a working folder becomes private."""
    seen = []

    def look(_):
        work = tmp_path / f".{name}.run"
        modes = set()
        for item in work.iterdir():
            with contextlib.suppress(FileNotFoundError):  # a thread may have removed it meanwhile
                modes.add(permissions(item))
        seen.append((permissions(work), modes))

    (tmp_path / f".{name}.run").mkdir(mode=0o777)
    before = os.umask(0o022)
    try:
        await export(tmp_path / name, on_progress=look, resume=True)
    finally:
        os.umask(before)
    assert {folder for folder, _ in seen} == {0o700}
    assert set().union(*(files for _, files in seen)) <= {0o600}
    assert permissions(tmp_path / name) == 0o600
    assert permissions(tmp_path / f".{name}.run" / "run.db") == 0o600


@pytest.mark.parametrize("place", [100, 0.4, 0.7, -1])
async def test_a_tampered_checkpoint_is_refused(tmp_path, place):
    """Any change in it is an ExportError that says how to start over."""
    path = tmp_path / "c.jsonl"
    await stop_early(path)
    run = tmp_path / ".c.jsonl.run" / "run.db"
    changed = bytearray(run.read_bytes())
    changed[int(place * len(changed)) if isinstance(place, float) else place] ^= 1
    run.write_bytes(changed)
    with pytest.raises(ExportError, match=r"is damaged: export with resume=False"):
        await export(path, resume=True)
    assert (await export(path)).records == 120


class Refusing(MemoryFileSystem):
    """A storage that tells its password when it fails."""

    protocol = "refusing"

    def put_file(self, *_, **__):
        raise ValueError(f"cannot log in with {SECRET}") from RuntimeError(SECRET)


@pytest.fixture
def url(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fsspec.register_implementation("refusing", Refusing, clobber=True)
    MemoryFileSystem.store.clear()
    return f"refusing://user:{SECRET}@host/c.jsonl"


async def test_a_password_in_a_url_is_never_shown(url, tmp_path, caplog):
    """The password of a URL is in no error, traceback, log or file at rest."""
    with caplog.at_level(logging.DEBUG), pytest.raises(ExportError) as caught:
        await export(url, resume=True)
    # fsspec's own debugging is not ours to mask.
    ours = [(record.getMessage(), record.exc_text) for record in caplog.records if record.name.startswith("carecloud")]
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + "\n".join(map(str, ours))
    assert "refusing://user:***@host/c.jsonl: ValueError: cannot log in with ***" in told
    at_rest = b"".join(item.read_bytes() for item in (tmp_path / "cache").rglob("*") if item.is_file())
    assert at_rest
    assert SECRET not in told + at_rest.decode("utf-8", "replace")


async def test_a_password_in_a_url_is_not_in_the_report(tmp_path, monkeypatch):
    """`report.target` shows the URL without it, also when an earlier run had finished it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    MemoryFileSystem.store.clear()
    url = f"memory://user:{SECRET}@host/c.jsonl"
    for _ in range(2):
        report = await export(url, resume=True)
        assert report.target == "memory://user:***@host/c.jsonl"
    at_rest = b"".join(item.read_bytes() for item in (tmp_path / "cache").rglob("*") if item.is_file())
    assert b".run" in b" ".join(os.fsencode(item) for item in (tmp_path / "cache").rglob("*"))
    assert SECRET.encode() not in at_rest


async def test_bad_urls_tell_no_password():
    """The error for an unknown suffix or protocol does not contain it."""
    for url in (f"nope://user:{SECRET}@host/c.jsonl", f"ftp://user:{SECRET}@host/c.xlsx"):
        with pytest.raises(ExportError) as caught:
            await export(url)
        assert SECRET not in "".join(traceback.format_exception(caught.value))


async def test_a_storage_that_refuses_is_an_export_error():
    """A refused connection is an error of the export, with its cause."""
    with pytest.raises(ExportError, match=r"ftp://127\.0\.0\.1:1/c\.jsonl: ConnectionRefusedError"):
        await export("ftp://127.0.0.1:1/c.jsonl")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sftp://user:pass@host/a.jsonl", "sftp://user:***@host/a.jsonl"),
        ("sftp://user:p@ss@host:22/a@b.jsonl", "sftp://user:***@host:22/a@b.jsonl"),
        ("sftp://user:pa/ss@host/a.jsonl", "sftp://user:***@host/a.jsonl"),
        ("simplecache::ftp://user:pass@host/a.jsonl", "simplecache::ftp://user:***@host/a.jsonl"),
        ("https://host/a.jsonl?sig=abc&se=2026", "https://host/a.jsonl?sig=***&se=***"),
        ("abfs://box@account.dfs.core.windows.net/a.csv", "abfs://box@account.dfs.core.windows.net/a.csv"),
        ("sftp://host:22/a@b.jsonl", "sftp://host:22/a@b.jsonl"),
        ("s3://bucket/a:b@c.jsonl", "s3://bucket/a:b@c.jsonl"),
    ],
)
async def test_urls_are_shown_without_secrets(monkeypatch, url, shown):
    """Passwords and values of parameters are masked, everything else is as the user wrote it."""

    def lacking(_):
        raise ImportError("install it")

    monkeypatch.setattr("fsspec.core.url_to_fs", lacking)
    with pytest.raises(ExportError) as caught:
        await export(url, format="jsonl")
    assert str(caught.value) == f"{shown}: install it"


async def test_ndjson_is_jsonl(tmp_path):
    """The suffix `.ndjson` names JSON Lines, packed too."""
    await export(tmp_path / "c.jsonl")
    await export(tmp_path / "c.ndjson")
    await export(tmp_path / "c.ndjson.gz")
    assert ids(tmp_path / "c.ndjson") == ids(tmp_path / "c.jsonl")
