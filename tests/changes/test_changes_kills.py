"""Random nights of real processes: a list that changes and fails, and a reader that is killed at any step."""

import json
import os
import random
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from thorough import is_thorough

from carecloud_async.sandbox import Sandbox

READER = Path(__file__).with_name("night_reader.py")
FAULTS = [{"status": 503}, {"status": 429}, {"cut": "half"}, {"garbage": True}]


@contextmanager
def reader():
    """Start the process that reads nights; yield a function that gives it a night and returns the outcome."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, READER], env=environment, **pipes) as process:

        def read(night):
            process.stdin.write(json.dumps(night) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield read
        process.stdin.close()


class Nights:
    """Nights of one list with one state and one mirror.

    Attributes:
        killed: how many were killed.
        exact: how many calm ones were exact.
    """

    def __init__(self, sandbox, folder, seed):
        self.sandbox, self.mirror = sandbox, folder / "mirror"
        self.dice = random.Random(seed)
        options = {"page": self.dice.choice([2, 5, 20, 50]), "concurrency": self.dice.choice([1, 4])}
        self.options = {"as_file": self.dice.random() < 0.5, **options}
        sandbox.max_count = self.dice.choice([50, 50, 3, 7])
        self.folder, self.version = folder, 0
        self.killed = self.exact = 0
        self.seen, self.left, self.gone = set(), set(), set()

    def change(self, most):
        customers, dice = self.sandbox.customers, self.dice
        for _ in range(dice.randint(0, most)):
            self.version += 1
            victim = customers.id_at(dice.randrange(len(customers)))
            kind = dice.choice(["create", "update", "update", "delete"])
            if kind == "create":
                customers.insert({"n": self.version})
            elif kind == "update":
                customers.update(victim, {"n": self.version})
            else:
                customers.delete(victim)
                self.gone.add(victim)

    def night(self, url, read, *, calm):
        """Read one night, and hold what the mirror got against the list."""
        dice, sandbox = self.dice, self.sandbox
        self.change(4)
        self.gone, before = set(), set(sandbox.customers.ids())
        sandbox.faults.clear()
        sandbox.on_page = None if calm else lambda _: self.change(dice.choice([0, 2]))
        for _ in range(0 if calm else dice.randint(0, 3)):
            sandbox.faults.add("GET /customers", **dice.choice(FAULTS), after=dice.randint(0, 9))
        old = self.mirror.stat().st_size if self.mirror.exists() else 0
        kill = "none" if calm else dice.choice(["none", "steps", "steps", "lines", "time"])
        outcome = read(
            {
                "url": url,
                "folder": str(self.folder),
                "options": self.options,
                "steps": dice.randint(1, 100_000) if kill == "steps" else 0,
                "lines": dice.randint(0, 20) if kill == "lines" else None,
                "milliseconds": dice.uniform(5, 300) if kill == "time" else 0,
            }
        )
        self.killed += outcome is None
        whole, _, _ = self.mirror.read_bytes().rpartition(b"\n") if self.mirror.exists() else (b"",) * 3
        self.mirror.write_bytes(whole + b"\n" if whole else b"")  # without a torn line
        changes = self.lines(old)
        own = next((index for index, change in enumerate(changes) if change[0] == "night"), len(changes))
        deleted = {name for kind, name, _ in changes[own:] if kind == "deleted"}
        # Deletions since the last finished night may be returned again.
        self.left |= (self.seen - before) | self.gone
        self.seen = set(sandbox.customers.ids())
        assert not deleted & (before - self.left)
        if outcome:
            self.left = set()
        if calm:
            assert outcome is not None
        if calm and outcome:
            self.exact += 1
            assert self.content() == {record["customer_id"]: record.get("n", 0) for record in sandbox.customers}

    def lines(self, begin=0):
        return [line.decode().split() for line in self.mirror.read_bytes()[begin:].splitlines()]

    def content(self):
        content = {}
        for kind, name, number in self.lines():
            if kind == "deleted":
                content.pop(name, None)
            elif kind != "night":
                content[name] = int(number)
        return content


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a night is forked, which this system cannot")
def test_a_mirror_equals_the_list_whenever_its_reader_is_killed(tmp_path):
    """Nights with changes and failures, killed at any step: the mirror is the list after an exact calm one."""
    killed = exact = 0
    with reader() as read:
        for seed in range(4 if is_thorough() else 1):
            folder, sandbox = tmp_path / str(seed), Sandbox(customers=60, seed=seed)
            folder.mkdir()
            with sandbox.running() as url:
                nights = Nights(sandbox, folder, seed)
                for number in range(8):
                    nights.night(url, read, calm=number % 4 == 3)
            killed, exact = killed + nights.killed, exact + nights.exact
    assert killed
    assert exact
