"""The soak: what its accounts say, and a few seconds of it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.soak_ledger import Findings, Ledger, compare, entries
from benchmarks.soak_measure import growth
from benchmarks.soak_report import Account, text
from carecloud_async import RequestTimeoutError

ROOT = Path(__file__).parents[2]
HELD = {"memory_mb": 80.0, "sockets": 10, "files": 15, "tasks": 14, "threads": 2, "objects": 90_000}


def server(*customers, comments=(), violations=()):
    return {"customers": list(customers), "comments": dict(comments), "violations": list(violations)}


def create(outcome, **more):
    return {"what": "create", "key": "a@example.com", "outcome": outcome, "id": "c1", **more}


def update(version, outcome):
    return {"what": "update", "id": "c1", "version": version, "outcome": outcome}


@pytest.mark.parametrize(
    ("outcome", "there", "kind"),
    [
        ("done", 1, None),
        ("unknown", 1, None),
        ("unknown", 0, None),
        ("failed", 0, None),
        ("done", 0, "lost"),
        ("unknown", 2, "doubled"),
        ("failed", 1, "wrong"),
    ],
)
def test_a_create_is_compared_with_what_is_there(outcome, there, kind):
    """Writes that were done are there once, failed ones are not there, and unknown ones are there once at most."""
    findings = compare([create(outcome)], server(*[["c1", "a@example.com", "A"]] * there))
    assert {name for name in ("lost", "doubled", "wrong") if getattr(findings, name)} == ({kind} if kind else set())


@pytest.mark.parametrize(
    ("name", "kind"), [("v2", None), ("v3", None), ("v1", "lost"), ("v4", "wrong"), ("other", "lost")]
)
def test_an_update_is_compared_with_the_last_that_was_done(name, kind):
    """The record holds the last update that was done, or a later one whose outcome is unknown."""
    made = [update("v1", "done"), update("v2", "done"), update("v3", "unknown"), update("v4", "failed")]
    findings = compare(made, server(["c1", None, name]))
    assert {item for item in ("lost", "wrong") if getattr(findings, item)} == ({kind} if kind else set())


def test_what_jobs_find_themselves_counts():
    """Jobs note what was lost, doubled or wrong, and the server notes rules that were broken; another id is wrong."""
    assert compare([create("done")], server(["c2", "a@example.com", "A"])).wrong
    made = [{"what": what, "text": what} for what in ("lost", "doubled", "wrong")]
    findings = compare(made, server(violations=["GET /customers: no token"]))
    assert (findings.lost, findings.doubled, len(findings.wrong)) == (["lost"], ["doubled"], 2)


def test_a_ledger_that_was_cut_off_is_read(tmp_path):
    """The entries that were written whole are read; a last line without its end is passed over."""
    ledger = Ledger(tmp_path / "l.jsonl")
    ledger.write("create", key="a")
    ledger.failed("read", RequestTimeoutError("late"))
    ledger.close()
    with (tmp_path / "l.jsonl").open("a") as file:
        file.write('{"what": "cre')
    findings = list(entries([tmp_path / "l.jsonl"]))
    assert findings == [{"what": "create", "key": "a"}, {"what": "counts", "counts": {"read: RequestTimeoutError": 1}}]


@pytest.mark.parametrize(
    ("more", "leaking"),
    [
        ({}, set()),
        ({"tasks": 1}, {"tasks"}),
        ({"sockets": 1, "files": 1}, {"sockets", "files"}),
        ({"memory_mb": 0.1}, set()),
    ],
)
def test_what_grows_all_the_time_leaks(more, leaking):
    """A figure leaks if all of the last part is above all of the second part, by more than the slack."""
    samples = [{name: held + more.get(name, 0) * number for name, held in HELD.items()} for number in range(16)]
    assert {item.name for item in growth(samples) if item.leaks} == leaking


@pytest.mark.parametrize(("left", "good"), [({}, True), ({"sockets": 12}, False)])
def test_what_is_left_after_closing_leaks(left, good):
    """Sockets, files, tasks and threads that stay after the clients were closed are leaks."""
    held = {"before": HELD, "samples": [HELD] * 12, "after": {**HELD, **left}}
    account = Account(
        seconds=1.0,
        seed=1,
        where="here",
        findings=Findings(),
        server={"requests": 1, "logins": 1, "opened": 1, "statuses": {"200": 1}},
        troubles=["faults"],
        samples=[held],
    )
    assert account.good is good
    assert f"leaked: {0 if good else 1}" in text(account)


@pytest.mark.thorough
def test_a_few_seconds_lose_nothing(tmp_path):
    """Ten seconds of two services under troubles end with nothing lost, doubled, wrongly reported or left open."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.soak", "--hours", "0.003", "--pause", "1"],
        cwd=ROOT,
        # Not pytest's tmp_path: a socket's path must be short.
        env={name: value for name, value in os.environ.items() if name != "TMPDIR"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
