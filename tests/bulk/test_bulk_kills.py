"""kill -9 at any moment, with lost and late answers: every keyed row is there once, and every outcome is right."""

import random
import threading
from collections import Counter

import bulk_child
import pytest
from bulk_tools import outcomes, read
from forked_processes import start
from thorough import variants

from carecloud_async.sandbox import Sandbox


def run_with_kills(tmp_path, *, kills, seed, match):
    """Write 300 rows to a server with every kind of fault, killed several times; return the sandbox and the rows."""
    draw = random.Random(seed)
    sandbox = Sandbox(customers=20, seed=1)
    for after in range(10, 3000, 40):
        sandbox.faults.add("POST /customers", after=after + draw.randrange(30), **draw.choice(FAULTS))
    source, results = tmp_path / "c.csv", tmp_path / "r.csv"
    rows = [f"n{number}@example.com,N{number},en,{'no phone' if number % 50 == 7 else ''}" for number in range(300)]
    rows = [row if number % 50 != 9 else f",N{number},en," for number, row in enumerate(rows)]
    source.write_text("\n".join(["email,last_name,language_id,phone", *rows, ""]))
    due, seen, limit = threading.Event(), [0], [0]

    def on_request(_request):
        seen[0] += 1
        if seen[0] >= limit[0]:
            due.set()

    sandbox.on_request = on_request
    with sandbox.running() as url:
        arguments = (url, str(source), str(results), match)
        for _ in range(kills):
            limit[0] = seen[0] + draw.randrange(2, 60)
            due.clear()
            child = start(bulk_child.run, *arguments)
            while not due.wait(0.02) and child.is_alive():
                pass
            child.kill()
            child.join()
            if results.exists():
                break
        if not results.exists():
            child = start(bulk_child.run, *arguments)
            child.join()
            assert child.exitcode == 0
    return sandbox, read(source), results


FAULTS = [
    {"status": 504, "worked": True},
    {"status": 503},
    {"status": 504, "late": 0.1},
    {"cut": "after"},
    {"cut": True},
    {"cut": "half"},
    {"garbage": True},
    {"html": True},
]


def check(sandbox, rows, results):
    """Each keyed row is in the server once, and its outcome says so."""
    there = Counter(
        (record.get("personal_information") or {}).get("email")
        for record in map(sandbox.customers.get, sandbox.customers.ids())
    )
    for row, result in zip(rows, read(results), strict=True):
        assert result["email"] == row["email"]
        if not row["email"]:
            assert result["outcome"] == "refused"
            continue
        assert there[row["email"]] == (0 if result["outcome"] == "refused" else 1), list(result.items())[-5:]
        assert result["outcome"] in {"created", "refused"}, result
        assert (result["outcome"] == "refused") == bool(row["phone"]), result


@pytest.mark.parametrize("seed", [1, *variants(*range(2, 14))])
def test_killed_at_random_moments(tmp_path, seed):
    """A run that is killed several times among lost and late answers ends with each keyed row in the server once."""
    check(*run_with_kills(tmp_path, kills=2 if seed == 1 else 4, seed=seed, match="email"))


@pytest.mark.parametrize("seed", variants(*range(1, 6)))
def test_keyless_rows_are_never_sent_twice(tmp_path, seed):
    """Rows without a key are in the server once or not at all after kills; those in doubt are unknown."""
    sandbox, rows, results = run_with_kills(tmp_path, kills=3, seed=seed, match="none")
    there = Counter(
        (record.get("personal_information") or {}).get("last_name")
        for record in map(sandbox.customers.get, sandbox.customers.ids())
    )
    found = outcomes(results)
    for row, outcome in zip(rows, found, strict=True):
        assert there[row["last_name"]] <= 1
        if outcome == "created":
            assert there[row["last_name"]] == 1
    assert found.count("unknown") <= 3 * 20 + 20  # what was under way at each kill, and lost answers


def run_several(tmp_path, *, runs, kills, seed):
    """Write the same rows from several processes at once, each killed several times; return sandbox and results."""
    draw, sandbox, numbers = random.Random(seed), Sandbox(customers=20, seed=1), range(120)
    for after in range(10, 2000, 40):
        sandbox.faults.add("POST /customers", after=after + draw.randrange(30), **draw.choice(FAULTS))
    text = "".join(f"E{number},N{number},en\n" for number in numbers)
    files = [(tmp_path / f"c{run}.csv", tmp_path / f"r{run}.csv") for run in range(runs)]
    for source, _ in files:
        source.write_text(f"external_id,last_name,language_id\n{text}")
    killed = 0
    with sandbox.running() as url:
        left = dict(enumerate(files))
        for _ in range(kills + 10):  # a process that fails each time is not started for ever
            children = {run: start(bulk_child.run, url, *map(str, names), "external_id") for run, names in left.items()}
            for child in children.values():
                if killed < kills:
                    child.join(draw.uniform(0.1, 2.5))
                    if child.is_alive():
                        child.kill()
                        killed += 1
            for run, child in children.items():
                child.join()
                if child.exitcode == 0:
                    del left[run]
            if not left:
                break
    assert not left
    return sandbox, [results for _, results in files]


@pytest.mark.parametrize(
    ("runs", "kills", "seed"),
    [
        *variants((2, 3, 1)),
        *(pytest.param(runs, 6, seed, marks=pytest.mark.thorough) for runs in (2, 3) for seed in range(2, 6)),
    ],
)
def test_several_processes_that_are_killed(tmp_path, runs, kills, seed):
    """Several imports of the same rows at once, killed among lost and late answers: each key is made once."""
    sandbox, results = run_several(tmp_path, runs=runs, kills=kills, seed=seed)
    there = Counter(
        (record.get("personal_information") or {}).get("last_name")
        for record in map(sandbox.customers.get, sandbox.customers.ids())
    )
    assert {there[f"N{number}"] for number in range(120)} == {1}
    told = [outcomes(path) for path in results]
    assert {outcome for run in told for outcome in run} <= {"created", "updated", "unchanged"}
    for row in zip(*told, strict=True):
        assert row.count("created") <= 1
