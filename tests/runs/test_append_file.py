"""Files that are appended beside a run file: what its mark names is there after a kill, and nothing else."""

import os

import pytest
from disks import WatchedDisk

from carecloud_async._base.runs import AppendFile, FileChangedError, Mark


@pytest.fixture
def path(tmp_path):
    return tmp_path / "records"


def test_what_follows_the_mark_goes(path):
    """A killed run may have written more than its last transaction says."""
    file = AppendFile.create(path)
    file.write(b"one\n")
    mark = file.sync()
    file.write(b"two\n")
    file.close()
    again = AppendFile.resume(path, mark)
    again.write(b"three\n")
    assert again.sync().size == 10
    again.close()
    assert path.read_bytes() == b"one\nthree\n"


def test_a_mark_can_be_returned_to(path):
    """A cut to a mark drops the data appended since, and the checksum fits the rest."""
    file = AppendFile.create(path)
    file.write(b"one\n")
    mark = file.sync()
    file.write(b"two\n")
    file.cut(mark)
    assert file.sync() == mark
    file.cut(Mark())
    file.close()
    assert path.read_bytes() == b""


@pytest.mark.parametrize("change", ["missing", "short", "one bit", "a link", "a second name"])
def test_a_file_that_is_not_what_was_written_is_refused(path, change):
    """A file that is not what the run wrote is refused with an error that names it."""
    file = AppendFile.create(path)
    file.write(b"one\n")
    mark = file.sync()
    file.close()
    if change == "missing":
        path.unlink()
    elif change == "short":
        path.write_bytes(b"one")
    elif change == "one bit":
        path.write_bytes(b"ond\n")
    elif change == "a link":
        path.rename(path.with_name("other"))
        path.symlink_to(path.with_name("other"))
    else:
        os.link(path, path.with_name("other"))
    with pytest.raises(FileChangedError, match=r"records (is missing|was changed since|is a link|has a second name)"):
        AppendFile.resume(path, mark)


def test_a_power_cut_leaves_what_was_synced(tmp_path, monkeypatch):
    """A file that was synced has its name on the disk too."""
    disk, work, left = WatchedDisk(monkeypatch), tmp_path / "work", tmp_path / "left"
    work.mkdir()
    file = AppendFile.create(work / "records")
    file.write(b"one\n")
    file.sync()
    disk.cut_power(work, left)
    file.close()
    assert (left / "records").read_bytes() == b"one\n"
