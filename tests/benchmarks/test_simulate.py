"""The simulation of durable work: it replays the same, finds known faults, and nothing in a slice of its seeds."""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from thorough import variants

from benchmarks.simulate.faults import seeds_until_found
from benchmarks.simulate.known_faults import KNOWN
from benchmarks.simulate.shares import broken_shares
from carecloud_async._base.runs import RunFile, locked_file
from carecloud_async._base.runs.kinds import RunKind
from carecloud_async.errors import CareCloudError
from carecloud_async.fixes import Fix

ROOT = Path(__file__).parents[2]


def simulate(*arguments):
    """Run the simulation as a process; sets of texts have the same order in each one."""
    command = [sys.executable, "-m", "benchmarks.simulate", *arguments]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": paths}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize("seeds", ["0-7", *variants("8-15", "120-300")])
def test_nothing_breaks_a_promise(seeds):
    """Kills, lost answers, other writers and several runs at once: no double, no false outcome, no lost change."""
    ended = simulate("--seeds", seeds)
    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize("theme", variants("a calm world", "by email", "with parts", "replicas", "tills"))
def test_nothing_breaks_a_promise_of_a_theme(theme):
    """Writes under kills, lost answers and old reads keep theirs; in a calm world each outcome is the ledger's."""
    ended = simulate("--theme", theme, "--seeds", "0-40")
    assert ended.returncode == 0, ended.stdout


thorough = pytest.mark.thorough


@pytest.mark.parametrize(
    ("seed", "theme"),
    [
        pytest.param(500495, "restless exports", id="a power cut took both names of a published file"),
        pytest.param(55, "late parts", id="rows that waited for a lost one left it no turn", marks=thorough),
        pytest.param(48005987, "restless exports", id="an older page was taken for a newer one", marks=thorough),
        pytest.param(49040075, "lagging exports", id="an index caught up between the two ends", marks=thorough),
        pytest.param(1, "a day of tills", id="what a lock made twice was not told", marks=thorough),
    ],
)
def test_a_seed_that_broke_a_promise_keeps_it(seed, theme):
    """Exports that ended or lacked a record, and were called exact; writes that waited, or were made twice untold."""
    ended = simulate("--seed", str(seed), "--theme", theme, "--brief")
    assert ended.returncode == 0, ended.stdout


def test_known_faults_can_be_put_back():
    """The line of each known fault stands in the package once, so that the table of faults can be made again."""
    texts = {item: (ROOT / "carecloud_async" / item.file).read_text(encoding="utf-8") for item in KNOWN}
    assert [item.name for item, text in texts.items() if text.count(item.right) != 1] == []


class ForgetfulSet(set):
    """A set that says that it holds nothing."""

    def __contains__(self, _):
        return False


@pytest.mark.parametrize("continues", [True, False], ids=["continued", "new"])
def test_a_fault_that_no_seed_finds_is_covered(tmp_path, monkeypatch, continues):
    """Without the lock of run files, SQLite refuses a second run of a file that the first one has idly open."""
    assert [item.name for item in KNOWN if item.covered_by] == ["two runs have one run file at once"]
    monkeypatch.setattr(locked_file, "_held", ForgetfulSet())
    monkeypatch.setattr(locked_file, "_lock_byte", lambda _: None)
    delete = Fix("delete it")
    kind = RunKind(
        name="test", file="a file", each="test", own="a file", version=1, tables=(), error=CareCloudError,
        begin_again=delete,
    )  # fmt: skip

    def open_run():
        return RunFile.open(tmp_path / "run", kind=kind, binding={}, resume=True)

    def begin(run):
        run.begin()
        with run.transaction():
            run.set("rows", 1)

    with open_run() as first:
        begin(first)
        if not continues:
            with pytest.raises(CareCloudError, match="another run is using it"):
                open_run()
            assert first.get("rows") == 1
    if continues:
        with open_run() as first:
            assert first.continues
            with pytest.raises(CareCloudError, match="another run is using it"):
                open_run()
            assert first.get("rows") == 1


def test_readers_that_are_rarely_exact_are_told():
    """The share of exact reports is one of the promises, by theme; a few reports tell nothing."""
    reports = Counter({("exports", True): 90, ("exports", False): 10})
    assert broken_shares(reports) == []
    assert broken_shares(Counter({("exports", False): 20})) == []
    reports["exports", False] = 200
    assert broken_shares(reports) == ["exports: 0.31 of 290 reports are exact, less than 0.81"]


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "most", "said"),
    [
        ("files are published by hard links alone", 60, "is stuck"),
        ("every reading is exact", 20, "is not in the exact file"),
        ("no reading is exact", 5, "a calm list was not read exactly"),
        ("no reading of a list that changes is exact", 110, "reports are exact, less than"),
    ],
)
def test_a_fault_is_found(name, most, said):
    """With a known fault put back a seed fails, or the share of exact reports, and what is said shows which promise."""
    fault = next(item for item in KNOWN if item.name == name)
    seeds, what = seeds_until_found([fault], most=most, theme=fault.theme)
    assert seeds is not None
    assert said in what


@pytest.mark.thorough
def test_seeds_replay_the_same():
    """Two processes that play the same seeds see the same events, to the last one."""
    digests = {re.search(r"digest (\w+)", simulate("--seeds", "0-6", "--brief").stdout)[1] for _ in range(2)}
    assert len(digests) == 1
