"""The benchmarks run: in small, without judging any time."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import cold
from benchmarks.ceiling import page_paths
from benchmarks.neighbour import beside
from benchmarks.numbers import Spread, compared, verdict
from benchmarks.records import UNTIDY_EVERY, customer_id, record
from benchmarks.report import table
from benchmarks.runner import Result, Runner
from benchmarks.task import Failed, Measured, Task
from benchmarks.work import Comparison, Measure, Work
from benchmarks.works import all_works

ROOT = Path(__file__).parents[2]


@pytest.mark.thorough
def test_one_work_runs_and_prints_its_table(tmp_path):
    """`python -m benchmarks` measures the SDK and the script on httpx, and both finish."""
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--only", "concurrency-10", "--rounds", "1", "--markdown"],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    lines = [line for line in ended.stdout.splitlines() if line.startswith("| small calls, 10 at a time")]
    assert len(lines) == 1
    assert "| carecloud-async |" in lines[0]
    assert "failed" not in lines[0]


def test_unknown_work_is_wrong_usage(capsys):
    """A name that no work begins with lists the works and ends with code 2."""
    assert command.main(["--only", "nothing-of-the-kind"]) == 2
    assert "small-call" in capsys.readouterr().out


def test_list_names_every_work(capsys):
    """`--list` prints each work's name once."""
    assert command.main(["--list"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == [work.name for work in all_works(quick=False)]


@pytest.mark.parametrize("quick", [True, False])
def test_pages_come_out_even(quick):
    """No work asks for half a page, and every comparison names contestants that exist."""
    for work in all_works(quick=quick):
        for task in work.contestants.values():
            assert not task.kind.startswith("pages") or task.done % task.count == 0
        assert {name for comparison in work.comparisons for name in (comparison.who, comparison.against)} <= set(
            work.contestants
        )


def test_records_are_as_described():
    """Records are about 830 bytes, their ids sort as they come, and every tenth is untidy if asked for."""
    sizes = [len(record(index, untidy=False)) for index in range(1000)]
    assert 800 < sum(sizes) / len(sizes) < 860
    assert [customer_id(index) for index in range(300)] == sorted(customer_id(index) for index in range(300))
    differing = [index for index in range(100) if record(index, untidy=True) != record(index, untidy=False)]
    assert differing == list(range(0, 100, UNTIDY_EVERY))
    assert len(page_paths(2000, 100)) == 20


def _result(who, against):
    work = all_works(quick=True)[0]
    return Result(work=work, outcomes={"a": who, "b": against}, ceiling=None)


def _took(seconds):
    return Measured(seconds=seconds, cpu=seconds, done=10, peak_mb=100.0)


def test_comparison_is_the_median_of_pairs():
    """Each round's pair gives one ratio, and a contestant that failed none; extra milliseconds are met from below."""
    comparison, spread = Comparison(who="a", against="b", target=2.0), Spread(middle=2.0, low=1.0, high=4.0)
    result = _result([_took(1.0), _took(1.0), _took(2.0)], [_took(2.0), _took(4.0), _took(2.0)])
    assert (compared(result, comparison), verdict(comparison, spread)) == (spread, "yes")
    assert compared(_result([Failed("why")], [_took(1.0)]), comparison) is None
    comparison = Comparison(who="a", against="b", measure=Measure.EXTRA_MS, target=50.0)
    spread = compared(_result([_took(2.0)], [_took(1.0)]), comparison)
    assert (spread, verdict(comparison, spread)) == (Spread(middle=100.0, low=100.0, high=100.0), "no")


@pytest.mark.asyncio
async def test_neighbour_runs_beside_the_work():
    """The neighbour notes delays as long as the work goes on, the work's result comes back, and its task is gone."""

    async def work():
        for _ in range(3):
            await asyncio.sleep(0.002)
        return "done"

    before = asyncio.all_tasks()
    ended, delays = await beside(work())
    assert ended == "done"
    assert delays
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


def test_delays_are_shown_as_they_are():
    """The neighbour's line shows its 99th percentile, the median beside the speed, and meets its target from below."""
    comparison = Comparison(who="a", against="b", measure=Measure.DELAY_P99_MS, target=10)
    late = Measured(seconds=1.0, cpu=1.0, done=10, peak_mb=1.0, delay_ms=0.5, delay_p99_ms=7.25)
    idle = Measured(seconds=1.0, cpu=1.0, done=0, peak_mb=1.0, delay_ms=0.1, delay_p99_ms=0.2)
    result = _result([late], [idle])
    assert compared(result, comparison) == Spread(middle=7.25, low=7.25, high=7.25)
    work = Work(name="n", title="n", unit="customers", host=result.work.host, contestants={}, comparisons=(comparison,))
    line = table([Result(work=work, outcomes=result.outcomes, ceiling=None)], markdown=True).splitlines()[-1]
    assert "10 customers; median 0.5 ms late" in line
    assert "| 7.2 ms |" in line
    assert "| ≤ 10 p99 ms | yes |" in line
    with pytest.raises(ValueError, match="neighbour=True"):
        compared(_result([_took(1.0)], [idle]), comparison)


def test_contestants_start_from_compiled_files(monkeypatch):
    """Where the benchmarks run under an order to leave no compiled files, their contestants do not."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    tell = "import json, sys; print(json.dumps(dict(reason=str(sys.dont_write_bytecode))))"
    monkeypatch.setattr(cold, "program", lambda task, port: tell)
    task = Task(peer="carecloud", kind="import", done=1)
    work = next(work for work in all_works(quick=True) if work.name == "import")
    work = Work(name="n", title="n", unit="n", host=work.host, contestants={"a": task}, comparisons=())
    runner = Runner(rounds=1, generated=None, without_generated="", progress=lambda line: None)
    assert runner.run(work).outcomes == {"a": [Failed("False")]}
