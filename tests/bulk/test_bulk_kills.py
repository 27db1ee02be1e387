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


def run_with_kills(tmp_path, rows, *, kills, seed, match, runs=1):
    """Write rows from processes to a server with every kind of fault, killed several times; return it and the results.

    The first row is the header; each run has a file of its own.
    """
    draw, sandbox = random.Random(seed), Sandbox(customers=20, seed=1)
    for after in range(10, 3000, 40):
        sandbox.faults.add("POST /customers", after=after + draw.randrange(30), **draw.choice(FAULTS))
    left = {run: (tmp_path / f"c{run}.csv", tmp_path / f"r{run}.csv", match) for run in range(runs)}
    results = [names[1] for names in left.values()]
    for source, *_ in left.values():
        source.write_text("\n".join([*rows, ""]))
    due, seen, limit = threading.Event(), [0], [0]

    def on_request(_request):
        seen[0] += 1
        if seen[0] >= limit[0]:
            due.set()

    sandbox.on_request = on_request
    with sandbox.running() as url:
        for number in range(kills + 10):  # a process that fails each time is not started for ever
            limit[0] = seen[0] + draw.randrange(2, 60)
            due.clear()
            children = {run: start(bulk_child.run, url, *map(str, names)) for run, names in left.items()}
            if number < kills:
                while not due.wait(0.02) and any(child.is_alive() for child in children.values()):
                    pass
                draw.choice([*children.values()]).kill()
            for run, child in children.items():
                child.join()
                if child.exitcode == 0:
                    del left[run]
            if not left or (number >= kills and runs == 1):
                break
    assert not left
    return sandbox, results


def made(sandbox, field):
    """How many customers have each value of a field."""
    customers = map(sandbox.customers.get, sandbox.customers.ids())
    return Counter((record.get("personal_information") or {}).get(field) for record in customers)


ROWS = [
    f"{'' if number % 50 == 9 else f'n{number}@example.com'},N{number},en,{'no phone' if number % 50 == 7 else ''}"
    for number in range(300)
]
ROWS.insert(0, "email,last_name,language_id,phone")


@pytest.mark.parametrize("seed", [1, *variants(*range(2, 14))])
def test_killed_at_random_moments(tmp_path, seed):
    """A run that is killed several times among lost and late answers ends with each keyed row in the server once."""
    sandbox, (results,) = run_with_kills(tmp_path, ROWS, kills=2 if seed == 1 else 4, seed=seed, match="email")
    there, told = made(sandbox, "email"), read(results)
    assert [row["last_name"] for row in told] == [f"N{number}" for number in range(300)]
    for row in told:
        is_wrong = not row["email"] or bool(row["phone"])
        assert row["outcome"] == ("refused" if is_wrong else "created"), row
        assert not row["email"] or there[row["email"]] == (not is_wrong), row


@pytest.mark.parametrize("seed", variants(*range(1, 6)))
def test_keyless_rows_are_never_sent_twice(tmp_path, seed):
    """Rows without a key are in the server once or not at all after kills; those in doubt are unknown."""
    sandbox, (results,) = run_with_kills(tmp_path, ROWS, kills=3, seed=seed, match="none")
    there, told = made(sandbox, "last_name"), outcomes(results)
    for number, outcome in enumerate(told):
        assert there[f"N{number}"] == 1 if outcome == "created" else there[f"N{number}"] <= 1
    assert told.count("unknown") <= 3 * 20 + 20  # what was under way at each kill, and lost answers


@pytest.mark.parametrize(
    ("runs", "kills", "seed"),
    [
        *variants((2, 3, 1)),
        *(pytest.param(runs, 6, seed, marks=pytest.mark.thorough) for runs in (2, 3) for seed in range(2, 6)),
    ],
)
def test_several_processes_that_are_killed(tmp_path, runs, kills, seed):
    """Several imports of the same rows at once, killed among lost and late answers: each key is made once."""
    rows = ["external_id,last_name,language_id", *(f"E{number},N{number},en" for number in range(120))]
    sandbox, results = run_with_kills(tmp_path, rows, kills=kills, seed=seed, match="external_id", runs=runs)
    there = made(sandbox, "last_name")
    assert {there[f"N{number}"] for number in range(120)} == {1}
    told = [outcomes(path) for path in results]
    assert {outcome for run in told for outcome in run} <= {"created", "updated", "unchanged"}
    assert all(row.count("created") <= 1 for row in zip(*told, strict=True))
