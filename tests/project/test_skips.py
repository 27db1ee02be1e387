"""In CI no test is skipped for want of a server."""

import os
import signal
import subprocess
import sys

import pytest
from project_files import ROOT
from redis_servers import wait_until

TESTS = """
import pytest

def test_server():
    pytest.skip("redis-server is not installed")

def test_system():
    pytest.skip("this system has no fork")

@pytest.mark.skipif(True, reason="chromium is not installed")
def test_mark():
    pass
"""
MODULE = 'import pytest\npytest.importorskip("no_such_library")\ndef test_one():\n    pass\n'


@pytest.mark.parametrize("required", ["", "1"])
def test_skips_for_want_of_a_server_fail_when_servers_are_required(tmp_path, required):
    """With CARECLOUD_REQUIRE_SERVERS they fail, single tests and whole modules; other skips are let be."""
    (tmp_path / "conftest.py").write_bytes((ROOT / "tests/conftest.py").read_bytes())
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "test_module.py").write_text(MODULE)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--continue-on-collection-errors", tmp_path],
        # Under CI pytest writes every reason twice.
        env={**{k: v for k, v in os.environ.items() if k != "CI"}, "CARECLOUD_REQUIRE_SERVERS": required},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    if required:
        assert done.stdout.count("may not be skipped here") == 3, done.stdout
        assert done.returncode != 0
        assert "chromium is not installed" in done.stdout
    else:
        assert done.returncode == 0, done.stdout
        assert "4 skipped" in done.stdout


def test_a_step_without_its_tool_is_skipped_with_a_reason(monkeypatch):
    """The runner skips what cannot run and says why; in CI that is a failure."""
    monkeypatch.syspath_prepend(str(ROOT))
    from tests.__main__ import Step, run

    step = Step("pyright", ["never", "run"], lambda: "node is not installed")
    monkeypatch.delenv("CARECLOUD_REQUIRE_SERVERS", raising=False)
    assert run([[[step]]]) == [("pyright", "skipped: node is not installed", 0.0)]
    monkeypatch.setenv("CARECLOUD_REQUIRE_SERVERS", "1")
    assert run([[[step]]]) == [("pyright", "FAILED: node is not installed", 0.0)]


def test_a_step_that_fails_is_reported(capfd):
    """The outcome of each step is its exit code."""
    from tests.__main__ import Step, run

    steps = [Step("good", [sys.executable, "-c", ""]), Step("bad", [sys.executable, "-c", "exit(3)"])]
    assert [(name, outcome) for name, outcome, _ in run([[steps]])] == [("good", "ok"), ("bad", "FAILED")]
    assert "== bad" in capfd.readouterr().out


def test_temporary_files_lie_in_memory_where_there_is_room(monkeypatch, tmp_path):
    """A folder is made there, and is gone afterwards; without room, or without such a file system, there is none."""
    from tests import __main__ as command

    monkeypatch.setattr(command, "_MEMORY", str(tmp_path))
    monkeypatch.setattr(command, "_ROOM", 1)
    with command.temporary_folder() as folder:
        (tmp_path / folder / "file").write_text("left")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(command, "_ROOM", 2**80)
    with command.temporary_folder() as folder:
        assert folder is None
    monkeypatch.setattr(command, "_MEMORY", str(tmp_path / "missing"))
    with command.temporary_folder() as folder:
        assert folder is None


def test_what_lanes_print_is_not_mixed(capfd):
    """The first lane is shown as it runs; after it come the steps of the others, in one piece each, stderr too."""
    from tests.__main__ import Step, run

    code = "import sys; [print(sys.argv[1], file=one, flush=True) for one in (sys.stdout, sys.stderr)]"
    lanes = [[Step(name, [sys.executable, "-c", code, name])] for name in ("first", "left", "right")]
    assert [outcome.text for outcome in run([lanes])] == ["ok", "ok", "ok"]
    first, *pieces = capfd.readouterr().out.strip().split("\n\n")
    assert first == "== first\nfirst"
    assert sorted(pieces) == ["== left\nleft\nleft", "== right\nright\nright"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no process groups")
def test_what_a_step_leaves_running_is_ended(tmp_path):
    """A process that a step left running is gone after the step: it would keep the pipe open that CI reads."""
    from tests.__main__ import Step, run

    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    left = f"import time; pipe = open({str(pipe)!r}, 'w'); pipe.write('begun'); pipe.flush(); time.sleep(600)"
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {left!r}]); open({str(pipe)!r}).read(5)"
    assert run([[[Step("leaves", [sys.executable, "-c", code])]]])[0].text == "ok"
    end = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        wait_until(lambda: no_process_writes(end), seconds=60)
    finally:
        os.close(end)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no process groups")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_steps_too(tmp_path, number):
    """Ctrl-C and SIGTERM end the command with the steps that run, though those have process groups of their own."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    wait = f"import time; pipe = open({str(pipe)!r}, 'w'); pipe.write('begun'); pipe.flush(); time.sleep(600)"
    code = f"""if True:
        import signal, sys
        from tests import __main__ as command
        signal.signal(signal.SIGINT, signal.default_int_handler)
        command.QUICK = [[[command.Step("waits", [sys.executable, "-c", {wait!r}])]]]
        command.main([])
    """
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    with pipe.open("rb") as end:
        assert end.read(5) == b"begun"
        process.send_signal(number)
        assert end.read() == b""
    process.communicate(timeout=60)
    assert process.returncode != 0


def no_process_writes(end):
    """Whether a pipe has no writer: reading from one that has would have to wait."""
    try:
        return os.read(end, 1) == b""
    except BlockingIOError:
        return False
