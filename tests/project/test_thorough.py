"""What the quick suite leaves out, and `--thorough` runs."""

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


@pytest.mark.parametrize(("options", "passed", "drawn"), [([], 4, (20, 5)), (["--thorough"], 6, (150, 50))])
def test_what_is_marked_thorough_waits_for_the_option(tmp_path, options, passed, drawn):
    """By default marked tests and trio are left out and few examples are drawn; `--thorough` changes all three."""
    for name in ("conftest.py", "thorough.py"):
        (tmp_path / name).write_bytes((ROOT / "tests" / name).read_bytes())
    (tmp_path / "test_some.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", *options, tmp_path]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert f"{passed} passed" in done.stdout, done.stdout
    assert f"examples {drawn[0]} {drawn[1]}" in done.stdout
    assert ("2 deselected" in done.stdout) is (not options)
