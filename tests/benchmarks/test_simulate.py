"""The simulation of durable work: it replays the same."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def simulate(*arguments):
    """Run the simulation as a process; sets of texts have the same order in each one."""
    command = [sys.executable, "-m", "benchmarks.simulate", *arguments]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": paths}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)


def test_seeds_replay_the_same():
    """Two processes that play the same seeds see the same events, to the last one."""
    digests = {re.search(r"digest (\w+)", simulate("--seeds", "0-12", "--brief").stdout)[1] for _ in range(2)}
    assert len(digests) == 1
