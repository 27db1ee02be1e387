"""Run files where locks are Windows', which refuse a byte that is locked already, also to its holder."""

import errno
import os
import struct
import sys
import types

import kit
import pytest

from carecloud_async._base.runs import Earlier, RunFile, RunKind
from carecloud_async.errors import ExportError
from carecloud_async.fixes import Fix
from carecloud_async.sandbox import Sandbox

fcntl = pytest.importorskip("fcntl", reason="the stand-in is made of this system's locks")

KIND = RunKind(
    name="work", file="a run", each="list", own="a file", version=1, tables=(), error=ExportError, begin_again=Fix("go")
)


SOURCE = {"customer_source_id": "86e05affc7a7abefcd513ab400"}


class Msvcrt(types.ModuleType):
    """A stand-in for Python's module of this name."""

    LK_NBLCK = 2

    def locking(self, descriptor, _, size):
        """Lock bytes from the descriptor's position on, until it is closed."""
        lock = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, os.lseek(descriptor, 0, os.SEEK_CUR), size, 0)
        try:
            with open(f"/proc/self/fd/{descriptor}", "r+b") as other:  # for which those of this one count too
                fcntl.fcntl(other, fcntl.F_OFD_SETLK, lock)
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, lock)
        except BlockingIOError:
            raise PermissionError(errno.EACCES, "Permission denied") from None


@pytest.fixture
def windows(monkeypatch):
    if not hasattr(fcntl, "F_OFD_SETLK"):
        pytest.skip("this system has no locks of open files")
    monkeypatch.setitem(sys.modules, "msvcrt", Msvcrt("msvcrt"))
    monkeypatch.setattr(sys, "platform", "win32")


@pytest.mark.usefixtures("windows")
def test_a_file_is_held_sealed_and_removed(tmp_path):
    """A second run is refused while the first one has the file; at its end the file is sealed, or removed."""
    path = tmp_path / "run.db"
    with RunFile.open(path, kind=KIND, binding={}, resume=False) as run:
        run.begin()
        with run.transaction():
            run.set("page", 7)
        with pytest.raises(ExportError, match="another run is using it"):
            RunFile.open(path, kind=KIND, binding={}, resume=True)
    assert path.read_bytes()[60:64] != bytes(4)  # the seal
    with RunFile.open(path, kind=KIND, binding={}, resume=True) as run:
        assert (run.earlier, run.get("page")) == (Earlier.UNFINISHED, 7)
        run.remove()
    assert [*tmp_path.iterdir()] == []


@pytest.mark.asyncio  # trio itself asks for the platform while it runs
@pytest.mark.usefixtures("windows")
async def test_an_import_leaves_nothing_of_a_run_behind(tmp_path):
    """The same file is imported a second time, as after any run that has ended."""
    source = tmp_path / "c.csv"
    source.write_text("email,language_id\nann@example.com,cs\n", encoding="utf-8")
    async with kit.connect(Sandbox(customers=3)) as client:
        done = [await client.customers.bulk_write(source, match="email", defaults=SOURCE) for _ in range(2)]
    assert [(item.created, item.unchanged) for item in done] == [(1, 0), (0, 1)]
    assert [*tmp_path.iterdir()] == [source]
