"""Files that a run holds: copied meanwhile, and inherited by a forked child."""

import errno
import os
import shutil
import sys

import pytest
from forked_processes import forks, start

from carecloud_async._base.runs.locked_file import LockedFile


def open_once(path):
    """Open a file; the exit code of the process is 3 if another one has it."""
    try:
        LockedFile(path)
    except BlockingIOError:
        sys.exit(3)


def is_held(path):
    """Whether a file is in use for another process."""
    child = start(open_once, path)
    child.join()
    return child.exitcode == 3


@pytest.mark.skipif(sys.platform != "linux", reason="other systems drop the lock")
def test_a_file_that_its_own_process_copies_stays_locked(tmp_path):
    """A program that copies its open file, as a backup, still holds it."""
    file = LockedFile(tmp_path / "run.db")
    shutil.copy(tmp_path / "run.db", tmp_path / "backup.db")
    assert is_held(tmp_path / "run.db")
    file.close()
    assert not is_held(tmp_path / "run.db")


def test_a_system_without_locks_of_open_files_locks_all_the_same(tmp_path, monkeypatch):
    """If the system has no locks of open files, the process holds the lock."""

    def refuse(*_):
        raise OSError(errno.EINVAL, "not supported")

    monkeypatch.setattr("fcntl.fcntl", refuse)
    file = LockedFile(tmp_path / "run.db")
    monkeypatch.undo()
    assert is_held(tmp_path / "run.db")
    file.close()


@forks
def test_a_forked_child_holds_nothing_of_its_parent(tmp_path):
    """A child cannot open its parent's file, does not keep it locked by living on, and opens it after its parent."""
    path, go, tried = tmp_path / "run.db", os.pipe(), os.pipe()
    file = LockedFile(path)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            LockedFile(path)
        except BlockingIOError:
            os.write(tried[1], b"x")
            os.read(go[0], 1)
            LockedFile(path).close()
            code = 0
        finally:
            os._exit(code)
    os.read(tried[0], 1)
    file.close()
    assert not is_held(path)
    os.write(go[1], b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
