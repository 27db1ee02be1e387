"""Publishing: a finished file gets its name whole, replaces nothing unasked, and is known again after a kill."""

import errno
import os
import stat
import tempfile
from pathlib import Path

import pytest

from carecloud_async._base.runs import Publication, partial_path, publish

posix = pytest.mark.skipif(os.name != "posix", reason="this system has no links and modes")


def without_links(number):
    def link(*_):
        raise OSError(number, os.strerror(number))

    return link


LINKS = [os.link, *map(without_links, [errno.EPERM, errno.ENOTSUP, errno.EXDEV, errno.ENOSYS, errno.EMLINK])]


@pytest.fixture
def target(tmp_path):
    return tmp_path / "target.csv"


@pytest.fixture
def partial(target):
    path = partial_path(target, owner=target.with_name("run"))
    path.write_bytes(b"new")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("link", LINKS)
def test_a_file_gets_its_name(partial, target, link):
    """With hard links and on file systems without them; nothing lies beside it."""
    publish(partial, target, overwrite=False, link=link)
    assert [(item.name, item.read_bytes()) for item in target.parent.iterdir()] == [(target.name, b"new")]


@pytest.mark.parametrize("link", LINKS)
def test_a_name_that_is_taken_is_refused(partial, target, link):
    """A taken name is an error, and both files stay as they are."""
    target.write_bytes(b"old")
    with pytest.raises(FileExistsError, match=r"target\.csv exists already"):
        publish(partial, target, overwrite=False, link=link)
    assert (target.read_bytes(), partial.read_bytes()) == (b"old", b"new")


@posix
def test_a_file_keeps_its_first_name_until_the_second_one_is_on_the_disk(partial, target, monkeypatch):
    """A power cut may undo the new name, and not the removal of the old one: the file would have none."""
    fsync, has_both = os.fsync, []

    def note(descriptor):
        has_both.append((partial.exists(), target.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    publish(partial, target, overwrite=False)
    assert has_both == [(True, True)]
    assert not partial.exists()


def test_a_file_is_replaced_where_the_caller_says_so(partial, target):
    """The old content is gone, and so is the partial file."""
    target.write_bytes(b"old")
    publish(partial, target, overwrite=True)
    assert [(file.name, file.read_bytes()) for file in target.parent.iterdir()] == [(target.name, b"new")]


@posix
@pytest.mark.parametrize("overwrite", [True, False])
def test_a_target_that_is_a_link_is_written_through(tmp_path, target, overwrite):
    """The link stays; the file is prepared beside what it names, which may be on another disk."""
    (tmp_path / "disk").mkdir()
    real = tmp_path / "disk" / "real.csv"
    if overwrite:
        real.write_bytes(b"old")
    target.symlink_to(real)
    partial = partial_path(target, owner=target.with_name("run"))
    assert partial.parent == real.parent
    partial.write_bytes(b"new")
    publish(partial, target, overwrite=overwrite)
    assert (target.is_symlink(), real.read_bytes()) == (True, b"new")


@posix
def test_the_mode_is_that_of_the_finished_file(partial, target):
    """The finished file has the mode that was asked for."""
    publish(partial, target, overwrite=False, mode=0o640)
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_an_error_of_the_disk_is_passed_on(partial, target):
    """A full disk is an error of `publish`, which does not try another way."""
    with pytest.raises(OSError, match="No space left"):
        publish(partial, target, overwrite=False, link=without_links(errno.ENOSPC))
    assert not target.exists()


@pytest.mark.parametrize("link", LINKS[:2])
def test_a_publication_tells_whether_its_file_has_its_name(partial, target, link):
    """A note shows whether its file waits, has its name, or was changed by another program since."""
    noted = Publication.of(partial, target, report={"rows": 1})
    assert (noted.is_waiting, noted.is_published_as(target)) == (True, False)
    publish(partial, target, overwrite=False, mode=0o640, link=link)
    assert (noted.is_waiting, noted.is_published_as(target)) == (False, True)
    assert not noted.is_published_as(target.with_name("other.csv"))
    target.write_bytes(b"odd")  # as long, and written a second later
    os.utime(target, ns=(noted.modified + 10**9, noted.modified + 10**9))
    assert not noted.is_published_as(target)


def test_two_runs_prepare_a_file_of_one_name_apart(target):
    """Two runs that prepare a file of one name use two paths in its folder."""
    one, other = (partial_path(target, owner=target.with_name(name)) for name in ("one", "other"))
    assert one != other
    assert {one.parent, other.parent} == {target.parent}


@posix
@pytest.mark.parametrize("overwrite", [True, False])
def test_a_file_is_published_on_another_file_system(partial, overwrite):
    """A file for another file system is copied, gets its name whole, and is recognized by its note."""
    here = partial.stat().st_dev
    others = [value for value in ("/dev/shm", "/var/tmp") if os.path.isdir(value) and os.stat(value).st_dev != here]
    if not others:
        pytest.skip("this system has no second file system here")
    with tempfile.TemporaryDirectory(dir=others[0]) as folder:
        target = Path(folder, "target.csv")
        if overwrite:
            target.write_bytes(b"old")
        else:
            target.write_bytes(b"of another program")
            with pytest.raises(FileExistsError):
                publish(partial, target, overwrite=False)
            assert [item.name for item in Path(folder).iterdir()] == ["target.csv"]
            target.unlink()
        noted = Publication.of(partial, target)
        publish(partial, target, overwrite=overwrite)
        assert [(item.name, item.read_bytes()) for item in Path(folder).iterdir()] == [("target.csv", b"new")]
        assert noted.is_published_as(target)
    assert not partial.exists()
