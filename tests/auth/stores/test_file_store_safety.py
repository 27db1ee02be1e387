"""FileTokenStore in places that others can write in."""

from __future__ import annotations

import json
import os
import stat

import pytest

from carecloud_async import FileTokenStore, StoredToken
from carecloud_async._calls.auth.file_store import SWEPT_PER_SAVE
from carecloud_async.errors import TokenStoreError

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(os.name != "posix", reason="this system has no owners and links")]
TOKEN = StoredToken(value="tok-secret", expires_in=100.0)
OTHER_USER = 54321


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tokens.json"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "tokens.json.d"


@pytest.fixture
def store(path, clock):
    return FileTokenStore(path, clock=clock, boot=lambda: "boot")


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


async def test_a_link_in_a_records_place_is_not_followed(store, folder, victim):
    """A record that is a symbolic link is neither read nor written through; a save replaces the link itself."""
    await store.save("key", TOKEN)
    (record,) = folder.glob("*.json")
    record.unlink()
    record.symlink_to(victim)
    with pytest.raises(TokenStoreError, match="is a link"):
        await store.load("key")
    await store.save("key", TOKEN)
    assert not record.is_symlink()
    assert victim.read_text() == "precious"
    assert (await store.load("key")).value == "tok-secret"


async def test_a_link_in_a_new_records_place_is_not_followed(store, folder, victim):
    """The file that a save writes first is created, and replaces what has its name."""
    await store.save("key", TOKEN)
    (record,) = folder.glob("*.json")
    record.with_name(record.name + ".new").symlink_to(victim)
    await store.save("key", TOKEN)
    assert victim.read_text() == "precious"
    assert [file.name for file in folder.iterdir() if file.is_symlink()] == []


async def test_what_a_killed_writer_left_is_swept(store, folder):
    """A new record that never got its name is removed by a later save."""
    await store.save("key", TOKEN)
    left = folder / "0123.json.new"
    left.write_bytes(b"{")
    for _ in range(2):
        await store.save("key", TOKEN)
    assert not left.exists()


async def test_a_link_in_the_folders_place_is_refused(store, folder, tmp_path):
    """Nothing is written into the folder that it points to."""
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TokenStoreError, match="is a link or a file"):
        await store.save("key", TOKEN)
    assert list((tmp_path / "elsewhere").iterdir()) == []


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


async def test_folder_of_another_user_is_refused(store, folder, monkeypatch):
    """A folder that belongs to another user is refused: its owner could read every token."""
    folder.mkdir(0o700)
    somebody_elses(monkeypatch)
    with pytest.raises(TokenStoreError, match="belongs to another user"):
        await store.save("key", TOKEN)
    assert list(folder.iterdir()) == []


async def test_a_folder_that_is_open_to_others_becomes_private(store, folder):
    """One that was made beforehand with a wide mask is narrowed before anything is written."""
    folder.mkdir()
    folder.chmod(0o777)
    await store.save("key", TOKEN)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_a_save_writes_one_record_and_looks_at_few(store, folder, clock, monkeypatch):
    """Among hundreds of records a save opens its own and a handful, and in time all that have ended go."""
    number = 300
    for one in range(number):
        await store.save(f"key{one}", StoredToken(value=f"t{one}", expires_in=50.0))
    clock.advance(51)
    opened = []
    open_file = os.open

    def count(path, *more, **options):
        opened.append(str(path))
        return open_file(path, *more, **options)

    monkeypatch.setattr(os, "open", count)
    await store.save("new", TOKEN)
    assert len([path for path in opened if path.endswith((".json", ".new"))]) <= SWEPT_PER_SAVE + 2
    for one in range(number // SWEPT_PER_SAVE + 2):
        await store.save(f"new{one}", TOKEN)
    values = [json.loads(file.read_bytes())["value"] for file in folder.glob("*.json")]
    assert set(values) == {"tok-secret"}
