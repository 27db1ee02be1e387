"""Private files that are replaced whole, and folders that several processes use at once."""

import os
from pathlib import Path

import pytest

from carecloud_async._base.runtime.durable_files import (
    cache_folder,
    claim_folder,
    config_folder,
    is_private,
    open_own,
    open_private,
    state_folder,
    touch_private,
)

posix = pytest.mark.skipif(os.name != "posix", reason="this system has no owners and links")


@posix
@pytest.mark.parametrize("read", [open_own, open_private])
@pytest.mark.parametrize(("make", "said"), [("symlink_to", "is a link"), ("mkfifo", "is not a regular file")])
def test_path_that_is_not_a_file_is_refused(tmp_path, read, make, said):
    """A link is not followed and a pipe does not hang; the error names the path."""
    path = tmp_path / "file"
    if make == "mkfifo":
        os.mkfifo(path)
    else:
        (tmp_path / "victim").write_bytes(b"precious")
        path.symlink_to(tmp_path / "victim")
    with pytest.raises(PermissionError, match=said) as caught:
        read(path).close()
    assert str(path) in caught.value.strerror


@posix
def test_a_file_with_a_second_name_is_not_one_of_ours(tmp_path):
    """What is written here would change it under the other name too; reading alone does not mind."""
    (tmp_path / "victim").write_bytes(b"precious")
    os.link(tmp_path / "victim", tmp_path / "file")
    with pytest.raises(PermissionError, match="has a second name"):
        open_private(tmp_path / "file")
    with open_own(tmp_path / "file") as file:
        assert file.read() == b"precious"


@posix
def test_touching_keeps_a_private_file_and_follows_no_link(tmp_path):
    """A file that is missing is made for this user alone, one that is there keeps its content, a link is refused."""
    path = tmp_path / "file"
    touch_private(path)
    assert is_private(path.stat())
    path.write_bytes(b"kept")
    touch_private(path)
    assert path.read_bytes() == b"kept"
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(PermissionError):
        touch_private(link)


def test_a_file_that_goes_while_a_folder_is_claimed(tmp_path, monkeypatch):
    """A file that another process removes between being listed and being looked at is no error."""
    folder = tmp_path / "shared"
    claim_folder(folder)
    (folder / "stays").touch(mode=0o600)
    listed = [folder / "gone", folder / "stays"]
    monkeypatch.setattr(Path, "iterdir", lambda _: iter(listed))
    claim_folder(folder)


@pytest.mark.parametrize("folder", [cache_folder, config_folder, state_folder])
def test_a_user_without_a_home(folder, monkeypatch):
    """A user number that the system does not know has the root as home, as in a container."""

    def fail():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", fail)
    assert folder({}).is_relative_to(os.path.abspath(os.sep))
    assert folder({}).name == "carecloud-async"
