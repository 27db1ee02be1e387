"""Files that a run holds: copied meanwhile, and inherited by a forked child."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from carecloud_async._base.runs.locked_file import LockedFile

OPEN = """
import sys
from pathlib import Path
from carecloud_async._base.runs.locked_file import LockedFile
try:
    LockedFile(Path(sys.argv[1]))
except BlockingIOError:
    print("held")
else:
    print("opened")
"""


def elsewhere(path):
    """Open a file in another process; return `held` if it is in use there, else `opened`."""
    command = [sys.executable, "-c", OPEN, str(path)]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, capture_output=True, text=True, env=variables, check=True).stdout.strip()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems drop the lock")
def test_a_file_that_its_own_process_copies_stays_locked(tmp_path):
    """A program that copies its open file, as a backup, still holds it."""
    file = LockedFile(tmp_path / "run.db")
    shutil.copy(tmp_path / "run.db", tmp_path / "backup.db")
    assert elsewhere(tmp_path / "run.db") == "held"
    file.close()
    assert elsewhere(tmp_path / "run.db") == "opened"


def test_a_system_without_locks_of_open_files_locks_all_the_same(tmp_path, monkeypatch):
    """If the system has no locks of open files, the process holds the lock."""

    def refuse(*_):
        raise OSError(errno.EINVAL, "not supported")

    monkeypatch.setattr("fcntl.fcntl", refuse)
    file = LockedFile(tmp_path / "run.db")
    monkeypatch.undo()
    assert elsewhere(tmp_path / "run.db") == "held"
    file.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows moves no open file")
def test_a_file_that_was_moved_or_replaced_lacks_its_name(tmp_path, monkeypatch):
    """An open file has its name, also from another folder, until it is moved; another file there does not count."""
    monkeypatch.chdir(tmp_path)
    file = LockedFile(Path("run.db"))
    monkeypatch.chdir("/")
    assert file.has_its_name()
    (tmp_path / "run.db").rename(tmp_path / "moved.db")
    assert not file.has_its_name()
    shutil.copy(tmp_path / "moved.db", tmp_path / "run.db")
    assert not file.has_its_name()
    (tmp_path / "moved.db").replace(tmp_path / "run.db")
    assert file.has_its_name()
    file.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
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
    assert elsewhere(path) == "opened"
    os.write(go[1], b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
