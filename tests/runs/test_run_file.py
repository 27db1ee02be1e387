"""Run files: exclusive, bound, durable, and never another program's."""

import contextlib
import errno
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap

import pytest

from carecloud_async._base.runs import Earlier, RunFile, RunKind
from carecloud_async.errors import ExportError
from carecloud_async.fixes import Fix

KIND = RunKind(
    name="work",
    file="a run of work",
    each="list",
    own="a file",
    version=1,
    tables=("CREATE TABLE rows (id INTEGER PRIMARY KEY, text TEXT)",),
    error=ExportError,
    begin_again=Fix("remove it to begin again"),
)
BINDING = {"project": "a", "filters": "b", "identity": "c"}
with contextlib.suppress(ImportError):  # Windows
    import fcntl

posix = pytest.mark.skipif(os.name != "posix", reason="this system has no owners and links")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.db"


def open_run(path, *, binding=BINDING, resume=True):
    return RunFile.open(path, kind=KIND, binding=binding, resume=resume)


def begun(path, *texts):
    """An open run with rows."""
    run = open_run(path)
    run.begin()
    with run.transaction() as db:
        db.execute_many("INSERT INTO rows (text) VALUES (?)", [(text,) for text in texts])
    return run


def rows(run):
    return [text for (text,) in run.db.execute("SELECT text FROM rows ORDER BY id")]


def test_a_statement_that_sqlite_does_not_know_damages_nothing(path):
    """The error names the SQLite that is needed and the one that is there; the rows stay, and the run goes on."""
    begun(path, "one").close()
    with open_run(path) as run:
        with pytest.raises(
            ExportError, match=rf"SQLite 3\.26 or newer is needed, this is {sqlite3.sqlite_version}: near"
        ):
            run.db.execute("UPDATE rows SET text = 'two' YIELDING 1")
        assert rows(run) == ["one"]
    with open_run(path) as run:
        assert (run.earlier, rows(run)) == (Earlier.UNFINISHED, ["one"])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="has no fork")
def test_a_forked_child_that_ends_takes_no_commit_from_its_parent(path):
    """However a child closes what it inherited, what its parent commits afterwards survives the parent's kill."""
    script = f"""
        import os, signal, sys
        from pathlib import Path
        from carecloud_async._base.runs import RunFile, RunKind
        from carecloud_async.errors import ExportError
        from carecloud_async.fixes import Fix
        kind = RunKind(
            name="work", file="", each="", own="", version=1, tables={KIND.tables!r}, error=ExportError,
            begin_again=Fix("")
        )
        run = RunFile.open(Path({str(path)!r}), kind=kind, binding={BINDING!r}, resume=False)
        run.begin()
        with run.transaction() as db:
            db.execute("INSERT INTO rows (text) VALUES ('one')")
        for ends in (run.close, lambda: run.db.close(), lambda: None):
            child = os.fork()
            if child == 0:
                ends()
                sys.exit()  # which closes all objects
            assert os.waitpid(child, 0)[1] == 0
        with run.transaction() as db:
            db.execute("INSERT INTO rows (text) VALUES ('two')")
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], stderr=subprocess.PIPE, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with open_run(path) as run:
        assert rows(run) == ["one", "two"]


def test_an_empty_file_of_the_user_is_taken_and_kept(path):
    """`mktemp` makes one; it is not removed when the run fails at once."""
    path.touch(mode=0o600)
    open_run(path).close()
    assert path.exists()
    begun(path, "one").close()
    with open_run(path) as run:
        assert rows(run) == ["one"]


def test_a_finished_run_returns_its_report_until_it_begins_again(path):
    """Nothing but the report is left; another binding has none."""
    begun(path, *["a row" * 100] * 1000).close()
    size = path.stat().st_size
    with open_run(path) as run:
        with run.transaction():
            run.set("page", 7)
        run.finish({"rows": 1000})
        assert run.get("page") is None
    assert path.stat().st_size < size / 10
    with open_run(path) as run:
        assert (run.earlier, run.report, run.continues) == (Earlier.FINISHED, {"rows": 1000}, False)
    with open_run(path, binding={**BINDING, "filters": "x"}) as run:
        assert (run.earlier, run.report) == (Earlier.FINISHED, None)
        run.begin()
        assert rows(run) == []


@posix
def test_a_file_that_its_last_run_removes_while_this_one_opens_it(path, monkeypatch):
    """A run that locks a file which has just been removed makes another one, which has its name and is its own."""
    lock = fcntl.fcntl

    def remove_first(*arguments):
        monkeypatch.undo()
        path.unlink()
        return lock(*arguments)

    path.touch(mode=0o600)
    monkeypatch.setattr("fcntl.fcntl", remove_first)
    with begun(path, "one") as run:
        assert run.has_its_name()
        with pytest.raises(ExportError, match="another run is using it"):
            open_run(path)
    with open_run(path) as run:
        assert rows(run) == ["one"]


@pytest.mark.parametrize("page", range(4))
def test_a_damaged_file_of_a_killed_run_is_reported_as_damaged(path, page):
    """Damage in the unsealed file of a killed run is found by SQLite; a run that does not resume may begin again."""
    begun(path, *["text" * 50] * 200).close()
    content = bytearray(path.read_bytes())
    content[60:64] = bytes(4)
    content[page * 4096 + 8 : (page + 1) * 4096] = b"\xff" * 4088
    path.write_bytes(content)

    def read():
        with open_run(path) as run:
            rows(run)

    with pytest.raises(ExportError, match=r"is damaged: remove it|is not a run of work"):
        read()
    if page:
        with open_run(path, resume=False) as run:
            run.begin()
            assert rows(run) == []


PLACE, ROOM = ": choose another place, or make this one writable", ": free some space and go on with resume=True"


@pytest.mark.parametrize(
    ("code", "number", "fix"),
    [
        (sqlite3.SQLITE_READONLY, errno.EACCES, PLACE),
        (sqlite3.SQLITE_CANTOPEN, errno.EROFS, PLACE),
        (sqlite3.SQLITE_FULL, errno.ENOSPC, ROOM),
    ],
)
def test_a_refusal_of_the_disk_names_the_way_out(path, code, number, fix):
    """The system's error and SQLite's, whose own sentence says less, both end with what to do."""
    refused = sqlite3.OperationalError("as SQLite says it")
    refused.sqlite_errorcode = code
    for told in (KIND.of_sqlite(path, refused), KIND.of_system(path, OSError(number, os.strerror(number)))):
        assert str(told).endswith(fix)


@posix
@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_a_journal_of_another_user_is_not_taken(path, tmp_path, suffix):
    """In a folder that others may write to, SQLite would read it, or write into it. A run that begins removes it."""
    journal, victim = path.with_name(path.name + suffix), tmp_path / "victim"
    victim.write_bytes(b"precious")
    journal.symlink_to(victim)
    begun(path, "one").close()
    assert not journal.is_symlink()
    journal.symlink_to(victim)
    with pytest.raises(ExportError, match="is a link, which is not followed"):
        open_run(path)
    assert victim.read_bytes() == b"precious"
