"""Tests that the quick suite leaves out and `--thorough` runs; and a test that hangs."""

import subprocess
import sys

import pytest
from project_files import ROOT

TESTS = """
import pytest
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

def test_counts():
    print("examples", len(seen), examples(50))
"""


@pytest.mark.parametrize(("options", "passed", "drawn"), [([], 4, (10, 5)), (["--thorough"], 6, (150, 50))])
def test_what_is_marked_thorough_waits_for_the_option(tmp_path, options, passed, drawn):
    """By default marked tests and trio are left out and few examples are drawn; `--thorough` changes all three."""
    for name in ("conftest.py", "thorough.py"):
        (tmp_path / name).write_bytes((ROOT / "tests" / name).read_bytes())
    (tmp_path / "test_some.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", *options, tmp_path]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert f"{passed} passed" in done.stdout, done.stdout
    assert f"examples {drawn[0]} {drawn[1]}" in done.stdout
    assert ("2 deselected" in done.stdout) is (not options)


KINDS = """
import pytest
from every import every
from hypothesis import given, strategies as st

def test_once():
    pass

@pytest.mark.thorough
def test_again():
    pass

@given(number=st.integers())
def test_property(number):
    pass

@every("case", [1, 2], thorough=[2])
def test_matrix(case):
    pass
"""


@pytest.mark.thorough
def test_what_is_more_leaves_out_what_the_quick_suite_ran_as_well(tmp_path):
    """`--more` runs marked tests, properties, and what tries more cases; tests that would do the same are left out."""
    for name in ("conftest.py", "thorough.py", "every.py"):
        (tmp_path / name).write_bytes((ROOT / "tests" / name).read_bytes())
    (tmp_path / "test_kinds.py").write_text(KINDS)
    (tmp_path / "test_seeds.py").write_text("from thorough import examples\n\ndef test_seeds():\n    examples(50)\n")
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--more", tmp_path]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert "4 passed, 1 deselected" in done.stdout, done.stdout
    assert "test_once" not in done.stdout


@pytest.mark.thorough
def test_durations_show_what_folders_files_and_tests_cost(tmp_path):
    """`--seconds` prints the processor time of tests, with that of their child processes, also from several workers."""
    for name in ("conftest.py", "durations.py"):
        (tmp_path / name).write_bytes((ROOT / "tests" / name).read_bytes())
    (tmp_path / "some").mkdir()
    busy = "import time\nwhile time.process_time() < 0.2: pass"
    (tmp_path / "some" / "test_child.py").write_text(
        f"import subprocess, sys\n\ndef test_child():\n    subprocess.run([sys.executable, '-c', {busy!r}])\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", "1", "--seconds", tmp_path]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    lines = {
        line.split()[-1]: float(line.split()[0])
        for line in done.stdout.splitlines()
        if line[:11].strip(" .0123456789") == "" and len(line.split()) == 4
    }
    assert {name for name, seconds in lines.items() if seconds >= 0.15} == {
        "some",
        "some/test_child.py",
        "some/test_child.py::test_child",
        "together",
    }, done.stdout


HANGS = """
import threading

def test_before():
    pass

def test_hangs():
    threading.Event().wait()

def test_after():
    pass
"""


@pytest.mark.thorough
def test_a_test_that_hangs_is_one_failure(tmp_path):
    """A test that hangs ends as a failure with its name, is started once, and the tests of its file go on."""
    (tmp_path / "conftest.py").write_bytes((ROOT / "tests" / "conftest.py").read_bytes())
    (tmp_path / "test_some.py").write_text(HANGS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nfaulthandler_timeout = 2\nfaulthandler_exit_on_timeout = true\n")
    options = ["-n", "1", "--dist", "loadfile", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, tmp_path]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert "1 failed, 2 passed" in done.stdout, done.stdout
    assert "crashed while running 'test_some.py::test_hangs'" in done.stdout
    assert "in test_hangs" in done.stderr
