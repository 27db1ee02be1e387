"""The command that runs the tests, its options, and what may be skipped."""

import os
import signal
import subprocess
import sys

import pytest
from every import every
from project_files import ROOT
from thorough import is_thorough, variants

from tests import __main__ as command


def pytest_run(folder, text, *options, ini="", **variables):
    """Run pytest on one file of tests beside the project's own plugins; return the ended process."""
    for name in ("conftest.py", "thorough.py", "every.py", "durations.py"):
        (folder / name).write_bytes((ROOT / "tests" / name).read_bytes())
    (folder / "test_some.py").write_text(text)
    (folder / "pytest.ini").write_text(f"[pytest]\n{ini}")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, folder],
        # Under CI pytest writes every reason twice.
        env={**{name: value for name, value in os.environ.items() if name != "CI"}, **variables},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


SKIPS = """
import pytest

def test_server():
    pytest.skip("redis-server is not installed")

def test_system():
    pytest.skip("this system has no fork")

@pytest.mark.skipif(True, reason="chromium is not installed")
def test_mark():
    pass
"""


@pytest.mark.parametrize("required", ["1", *variants("")])
def test_skips_for_want_of_a_server_fail_when_servers_are_required(tmp_path, required):
    """With CARECLOUD_REQUIRE_SERVERS they fail, single tests and whole modules; other skips are let be."""
    module = 'import pytest\npytest.importorskip("no_such_library")\ndef test_one():\n    pass\n'
    (tmp_path / "test_module.py").write_text(module)
    options = ["-q", "--continue-on-collection-errors"]
    done = pytest_run(tmp_path, SKIPS, *options, CARECLOUD_REQUIRE_SERVERS=required)
    assert done.stdout.count("may not be skipped here") == (3 if required else 0), done.stdout
    assert (done.returncode != 0) is bool(required)
    assert ("chromium is not installed" if required else "4 skipped") in done.stdout


KINDS = """
import pytest
from every import every
from hypothesis import given, strategies as st
from thorough import examples

seen = []

def test_once():
    pass

@pytest.mark.thorough
def test_again():
    pass

@pytest.mark.anyio
async def test_loop():
    pass

@given(number=st.integers())
def test_property(number):
    seen.append(number)

@every("case", [1, 2], thorough=[2])
def test_matrix(case):
    pass

def test_counts():
    print("examples", len(seen), examples(50))
"""


@pytest.mark.parametrize(
    ("option", "counts", "drawn"),
    [
        ("", "5 passed, 2 deselected", "examples 10 5"),
        *variants(
            ("--thorough", "7 passed", "examples 150 50"), ("--more", "5 passed, 2 deselected", "examples 150 50")
        ),
    ],
)
def test_what_is_marked_thorough_waits_for_the_option(tmp_path, option, counts, drawn):
    """By default marked tests, trio and many examples are left out; `--thorough` adds them, `--more` has them alone."""
    done = pytest_run(tmp_path, KINDS, "-s", *option.split())
    assert counts in done.stdout, done.stdout
    assert drawn in done.stdout


def test_every_case_is_tried_and_each_failure_named():
    """In a matrix a case that fails does not stop the others; the failure names all that fail."""
    tried = []

    @every("left, right", [(1, 2), (3, 3), (5, 6)])
    def check(left, right, fixture):
        tried.append((left, right, fixture))
        assert left == right

    with pytest.raises(ExceptionGroup) as caught:
        check(fixture="same")
    assert tried == [(1, 2, "same"), (3, 3, "same"), (5, 6, "same")]
    assert [error.__notes__ for error in caught.value.exceptions] == [["case: 1, 2"], ["case: 5, 6"]]


@pytest.mark.anyio
async def test_cases_of_a_coroutine_function_are_awaited():
    """In a matrix of a coroutine function each case is awaited; variants are tried with `--thorough` only."""
    tried = []

    @every("number", [1, 0, 2], thorough=[2])
    async def check(number):
        tried.append(number)
        assert number

    with pytest.raises(ExceptionGroup) as caught:
        await check()
    assert [error.__notes__ for error in caught.value.exceptions] == [["case: 0"]]
    assert tried == ([1, 0, 2] if is_thorough() else [1, 0])
    with pytest.raises(ValueError, match="no such cases"):
        every("number", [1], thorough=[2])


def outcomes(*lanes):
    """The steps of some lanes, by name, with what became of them."""
    return {outcome.name: outcome.text for outcome in command.run([list(lanes)])}


def test_a_step_without_its_tool_is_skipped_with_a_reason(monkeypatch):
    """The runner skips what cannot run and says why; in CI that is a failure."""
    step = command.Step("pyright", ["never", "run"], lambda: "node is not installed")
    monkeypatch.delenv("CARECLOUD_REQUIRE_SERVERS", raising=False)
    assert outcomes([step]) == {"pyright": "skipped: node is not installed"}
    monkeypatch.setenv("CARECLOUD_REQUIRE_SERVERS", "1")
    assert outcomes([step]) == {"pyright": "FAILED: node is not installed"}


def waiting(pipe):
    """A program that opens a pipe, writes into it, and waits for ten minutes."""
    os.mkfifo(pipe)
    return f"import time; pipe = open({str(pipe)!r}, 'w'); pipe.write('begun'); pipe.flush(); time.sleep(600)"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no process groups")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_steps_too(tmp_path, number):
    """Ctrl-C and SIGTERM end the command with the steps that run, though those have process groups of their own."""
    pipe = tmp_path / "pipe"
    code = f"""if True:
        import signal, sys
        from tests import __main__ as command
        signal.signal(signal.SIGINT, signal.default_int_handler)
        command.QUICK = [[[command.Step("waits", [sys.executable, "-c", {waiting(pipe)!r}])]]]
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
