"""Run files: exclusive, bound, durable, and never another program's."""

import contextlib
import errno
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap

import pytest
from attrs import evolve
from disks import full_database, watch_databases

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


@posix
def test_a_run_is_private_and_leaves_one_file(path):
    """A run file can be opened by its user alone, and no other file is left beside it when it is closed."""
    begun(path, "one").close()
    assert [(item.name, stat.S_IMODE(item.stat().st_mode)) for item in path.parent.iterdir()] == [("run.db", 0o600)]


def test_a_run_without_resume_tells_what_was_there_and_keeps_it(path):
    """The caller decides; until it begins, nothing is lost."""
    begun(path, "one").close()
    with open_run(path, resume=False) as run:
        assert (run.earlier, run.continues) == (Earlier.UNFINISHED, False)
    with open_run(path, resume=False) as run:
        run.begin()
        assert rows(run) == []


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


def test_a_failed_block_changes_nothing_and_its_error_passes_through(path):
    """The user's own error of SQLite is not blamed on the file."""
    own = sqlite3.DatabaseError("of the caller's rows")
    with begun(path, "one") as run:
        with pytest.raises(sqlite3.DatabaseError) as raised, run.transaction() as db:
            db.execute("INSERT INTO rows (text) VALUES ('two')")
            raise own
        assert raised.value is own
        assert rows(run) == ["one"]


def test_a_run_that_fails_before_its_first_transaction_binds_nothing(path):
    """A first try with wrong credentials leaves no file that refuses the right ones."""
    run = open_run(path)
    run.begin()
    run.close()
    assert not path.exists()


def test_an_empty_file_of_the_user_is_taken_and_kept(path):
    """`mktemp` makes one; it is not removed when the run fails at once."""
    path.touch(mode=0o600)
    open_run(path).close()
    assert path.exists()
    begun(path, "one").close()
    with open_run(path) as run:
        assert rows(run) == ["one"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"filters": "x"}, "its filters differ"),
        ({"filters": "x", "project": "y"}, "its project and filters differ"),
        ({"identity": "x"}, "belongs to another identity"),
        ({"more": "x"}, "its more differs"),
    ],
)
def test_a_run_of_something_else_is_refused_by_name(path, change, said):
    """The error says what differs, and the file stays as it is."""
    begun(path, "one").close()
    before = path.read_bytes()
    with pytest.raises(ExportError, match=said):
        open_run(path, binding=BINDING | change)
    assert path.read_bytes() == before


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


def test_a_file_is_used_by_one_run_of_a_process(path):
    """A second run of a file in one process is refused until the first is closed, also after that begins again."""
    with begun(path, "one") as run:
        for _ in range(2):
            with pytest.raises(ExportError, match="another run is using it"):
                open_run(path)
            run.begin()
    open_run(path).close()


CHILD = """
import sys
sys.path[:0] = {tests!r}
from pathlib import Path
from test_run_file import begun, open_run, rows
from carecloud_async.errors import ExportError

path = Path(sys.argv[1])
"""


def child(code, *arguments):
    here = os.path.dirname(__file__)
    source = CHILD.format(tests=[here, os.path.dirname(here)]) + textwrap.dedent(code)
    return subprocess.Popen(
        [sys.executable, "-c", source, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_a_file_is_used_by_one_process(path):
    """Another process cannot open a run file in use, also after its holder has begun again or committed."""
    with begun(path, "one") as run:
        for _ in range(2):
            other = child("try: open_run(path)\nexcept ExportError as error: print(error)", path)
            assert "another run is using it" in other.communicate()[0]
            run.begin()
            with run.transaction() as db:
                db.execute("INSERT INTO rows (text) VALUES ('two')")


def test_a_killed_run_keeps_what_was_committed(path):
    """After a kill the file is not locked, committed rows are there, and the open transaction has done nothing."""
    other = child(
        """
        run = begun(path, "one")
        run.db.start()
        run.db.execute("INSERT INTO rows (text) VALUES ('two')")
        print("ready", flush=True)
        sys.stdin.read()
        """,
        path,
    )
    assert other.stdout.readline() == "ready\n"
    other.kill()
    other.communicate()
    with open_run(path) as run:
        assert (run.continues, rows(run)) == (True, ["one"])


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


@pytest.mark.thorough
def test_three_processes_take_turns_at_one_file(path):
    """Three processes that continue, begin and remove one file in turn lose no row that another process committed."""
    code = """
        import random
        done = 0
        chance = random.Random(int(sys.argv[2]))
        while done < 300:
            try:
                run = open_run(path)
            except ExportError as error:
                assert "another run is using it" in str(error), error
                continue
            done += 1
            if not run.continues:
                run.begin()
            before = rows(run)
            assert before == [str(number) for number in range(len(before))], before
            with run.transaction() as db:
                db.execute("INSERT INTO rows (text) VALUES (?)", [str(len(before))])
            if chance.random() < 0.1:
                run.remove()
            elif chance.random() < 0.1:
                run.begin()
                run.close()
            else:
                run.close()
        print("good")
        """
    others = [child(code, path, number) for number in range(3)]
    assert [item.communicate()[0] for item in others] == ["good\n"] * 3


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize("kind", ["text", "database", "database in WAL mode", "another run"])
def test_the_file_of_another_program_is_left_as_it_is(path, kind, resume):
    """A file of another program is refused; it and its folder are unchanged."""
    if kind == "text":
        path.write_bytes(b"precious")
    elif kind == "another run":
        other = RunFile.open(path, kind=evolve(KIND, name="other"), binding={}, resume=True)
        other.begin()
        with other.transaction():
            pass
        other.close()
    else:
        with sqlite3.connect(path) as database:
            if "WAL" in kind:
                database.execute("PRAGMA journal_mode=WAL")
            database.execute("CREATE TABLE precious (id)")
        if "WAL" in kind:  # as after a kill: rows are in another file
            database.execute("INSERT INTO precious VALUES (1)")
            database.commit()
            for file in list(path.parent.iterdir()):
                shutil.copy(file, file.with_name(f"copy-{file.name}"))
            database.close()
            for file in path.parent.glob("copy-*"):
                file.replace(file.with_name(file.name.removeprefix("copy-")))
        else:
            database.close()
    path.chmod(0o600)
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    with pytest.raises(ExportError, match="is not a run of work: it is left alone; remove it, or name another file"):
        open_run(path, resume=resume)
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


def test_a_run_of_another_version_says_so(path):
    """A file of another version cannot be continued; a run that begins again may replace it."""
    later = evolve(KIND, version=2)
    with RunFile.open(path, kind=later, binding=BINDING, resume=False) as run:
        run.begin()
        with run.transaction():
            pass
    with pytest.raises(ExportError, match=r"another version of this package: go on with that version, or remove it"):
        open_run(path)
    with open_run(path, resume=False) as run:
        assert run.earlier is Earlier.UNREADABLE
        assert "another version" in str(run.problem)
        run.begin()
        assert rows(run) == []


def test_each_bit_that_changes_in_a_closed_file_is_found(path):
    """Each changed bit of a closed file is found, also inside a value, where SQLite itself would not notice it."""
    begun(path, *map(str, range(200))).close()
    whole = path.read_bytes()
    for bit in range(0, len(whole) * 8, 997):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(ExportError, match=r"is damaged: remove it to begin again|is not a run of work"):
            open_run(path)
        assert path.read_bytes() == damaged


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


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    """The folder is at fault, not the file."""
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o500)
    with pytest.raises(ExportError, match="no permission to write there"):
        open_run(folder / "run.db")


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


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    """A folder that does not exist is an error that says what to do."""
    with pytest.raises(ExportError, match="the directory does not exist: make it first"):
        open_run(tmp_path / "missing" / "run.db")


@posix
def test_links_are_not_followed(path, tmp_path):
    """A link that another user made cannot redirect what a run writes."""
    (tmp_path / "victim").touch()
    path.symlink_to(tmp_path / "victim")
    with pytest.raises(ExportError, match="is a link, which is not followed"):
        open_run(path)


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


def test_an_empty_file_on_a_full_disk_is_begun_when_there_is_room(path, monkeypatch):
    """The empty file of a run that was killed at once stays one of ours on a full disk."""
    is_full = True

    def refuse(_database, statement):
        if is_full and statement.startswith("CREATE"):
            raise full_database()

    path.touch(mode=0o600)
    watch_databases(monkeypatch, refuse)
    with open_run(path) as run, pytest.raises(ExportError, match="the disk is full"):
        run.begin()
    is_full = False
    begun(path, "one").close()
    with open_run(path) as run:
        assert rows(run) == ["one"]
