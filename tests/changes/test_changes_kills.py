"""Random nights of real processes: a server that changes and fails, and a reader that is killed at any step."""

import json
import os
import random
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from thorough import is_thorough

HERE = Path(__file__).parent


class Process:
    """A process that answers a line of JSON with another."""

    def __init__(self, name, *arguments):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, HERE / name, *map(str, arguments)]
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def receive(self):
        return json.loads(self._process.stdout.readline())

    def ask(self, value):
        self._process.stdin.write(json.dumps(value) + "\n")
        self._process.stdin.flush()
        return self.receive()

    def close(self):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@contextmanager
def processes(size):
    with ExitStack() as stack:
        server, reader = Process("night_server.py", size), Process("night_reader.py")
        stack.callback(server.close)
        stack.callback(reader.close)
        yield server, reader, f"http://127.0.0.1:{server.receive()}"


class Nights:
    """Nights of one list with one state and one mirror."""

    def __init__(self, server, reader, url, folder, seed):
        self.server, self.reader, self.url, self.folder = server, reader, url, folder
        self.dice = random.Random(seed)
        self.options = {
            "as_file": self.dice.random() < 0.5,
            "page": self.dice.choice([2, 5, 20, 50]),
            "concurrency": self.dice.choice([1, 4]),
        }
        self.list = {
            "order": self.dice.choice(["text", "text", "shuffled", "dealt"]),
            "cap": self.dice.choice([None, None, 3, 7]),
            "total": self.dice.choice(["true", "true", "none"]),
        }
        self.killed = self.exact = 0
        self.seen, self.left = set(), set()

    def night(self, *, calm):
        """Read one night; return whether it was exact, or `None` if it was killed."""
        dice, mirror = self.dice, self.folder / "mirror"
        churn, fails = (0, 0.0) if calm else (dice.choice([0, 2]), dice.choice([0.0, 0.1]))
        night = {"seed": dice.randrange(2**32), "churn": churn, "fails": fails, **self.list}
        before = set(self.server.ask({"begin": night}))
        old = mirror.stat().st_size if mirror.exists() else 0
        kind = "none" if calm else dice.choice(["none", "steps", "steps", "lines", "time"])
        outcome = self.reader.ask(
            {
                "url": self.url,
                "folder": str(self.folder),
                "options": self.options,
                "steps": dice.randint(1, 100_000) if kind == "steps" else 0,
                "lines": dice.randint(0, 20) if kind == "lines" else None,
                "milliseconds": dice.uniform(5, 300) if kind == "time" else 0,
            }
        )
        end = self.server.ask({"end": True})
        self.killed += outcome is None
        lines = self._lines(mirror)[:-1] if mirror.exists() else []
        mirror.write_bytes(b"".join(line + b"\n" for line in lines))  # without a torn line
        changes = self._changes(mirror, old)
        own = next((index for index, change in enumerate(changes) if change[0] == "night"), len(changes))
        deleted = {item for change, item, _ in changes[own:] if change == "deleted"}
        # Deletions since the last finished night may be returned again, even if the record is back.
        self.left |= (self.seen - before) | set(end["gone"])
        self.seen = {item for item, _ in end["list"]}
        assert not deleted & (before - self.left)
        if outcome:
            self.left = set()
        if calm:
            assert outcome is not None
            if outcome:
                self.exact += 1
                assert self._content(mirror) == dict(map(tuple, end["list"]))
        return outcome

    @staticmethod
    def _lines(mirror):
        return mirror.read_bytes().split(b"\n")

    def _changes(self, mirror, begin=0):
        with mirror.open("rb") as file:
            file.seek(begin)
            return [line.decode().split() for line in file.read().splitlines()]

    def _content(self, mirror):
        content = {}
        for kind, change, number in self._changes(mirror):
            if kind == "deleted":
                content.pop(change, None)
            elif kind != "night":
                content[change] = int(number)
        return content


def run_nights(seed, server, reader, url, folder, nights):
    played = Nights(server, reader, url, folder, seed)
    for number in range(nights):
        played.night(calm=number % 4 == 3)
    return played


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a night is forked, which this system cannot")
def test_a_mirror_equals_the_list_whenever_its_reader_is_killed(tmp_path):
    """Nights with changes and failures, killed at any step: the mirror is the list after an exact calm one."""
    killed = exact = 0
    with processes(60) as (server, reader, url):
        for seed in range(4 if is_thorough() else 1):
            folder = tmp_path / str(seed)
            folder.mkdir()
            played = run_nights(seed, server, reader, url, folder, 8)
            killed, exact = killed + played.killed, exact + played.exact
    assert killed
    assert exact
