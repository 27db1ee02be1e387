"""Runs a work: every contestant once a round, in turn (A B C, A B C, …), each time in a fresh process."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks import cold
from benchmarks.ceiling import answers_per_second
from benchmarks.generate import FOLDER_VARIABLE
from benchmarks.hosting import serving
from benchmarks.task import Failed, Measured, Outcome, Task
from benchmarks.work import Work

#: A process that takes longer is given up, in seconds.
PATIENCE = 600


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a work brought.

    Attributes:
        work: the work.
        outcomes: label → one outcome a round; a contestant that failed is not run again.
        ceiling: how many answers a second the server gave a bare socket; `None` if not measured.
    """

    work: Work
    outcomes: dict[str, list[Outcome]]
    ceiling: float | None


class Runner:
    """Runs works.

    Args:
        rounds: how often each contestant runs, unless a work needs its own number.
        generated: the folder of the generated client.
        without_generated: why there is none.
        progress: called with what is being done.
    """

    def __init__(
        self, *, rounds: int, generated: Path | None, without_generated: str, progress: Callable[[str], None]
    ) -> None:
        self._rounds = rounds
        self._generated = generated
        self._without_generated = without_generated
        self._progress = progress

    def run(self, work: Work, *, rounds: int | None = None) -> Result:
        """Run a work.

        Args:
            work: what to run.
            rounds: how many rounds, whatever the work itself says.
        """
        rounds = rounds or work.rounds or self._rounds
        outcomes: dict[str, list[Outcome]] = {label: [] for label in work.contestants}
        with ExitStack() as servers:
            port = servers.enter_context(serving(work.host))
            ports = {label: servers.enter_context(serving(host)) for label, host in work.own_hosts.items()}
            ceiling = answers_per_second(port, work.paths) if work.paths else None
            self._warm_up_files(work, port)
            for number in range(1, rounds + 1):
                self._progress(f"{work.name}: round {number} of {rounds}")
                for label, task in work.contestants.items():
                    if not any(isinstance(outcome, Failed) for outcome in outcomes[label]):
                        outcomes[label].append(self._run_one(task, ports.get(label, port)))
        return Result(work=work, outcomes=outcomes, ceiling=ceiling)

    def _warm_up_files(self, work: Work, port: int) -> None:
        """Run cold starts once unmeasured: their files are compiled and in the system's cache from then on."""
        for task in work.contestants.values():
            if cold.program(task, port) is not None:
                self._run_one(task, port)

    def _run_one(self, task: Task, port: int) -> Outcome:
        if task.peer == "generated" and self._generated is None:
            return Failed(self._without_generated)
        program = cold.program(task, port)
        arguments = ["-c", program] if program else ["-m", "benchmarks.child", str(port), task.to_json()]
        # Users start from compiled files. An empty variable cancels an order of the environment to write none.
        environment = os.environ | {FOLDER_VARIABLE: str(self._generated or ""), "PYTHONDONTWRITEBYTECODE": ""}
        try:
            run = subprocess.run(
                [sys.executable, *arguments],
                capture_output=True,
                text=True,
                check=False,
                timeout=PATIENCE,
                env=environment,
            )
        except subprocess.TimeoutExpired:
            return Failed(f"not done after {PATIENCE} s")
        return _outcome(run)


def _outcome(run: subprocess.CompletedProcess[str]) -> Outcome:
    lines = run.stdout.strip().splitlines()
    if run.returncode or not lines:
        errors = run.stderr.strip().splitlines()
        return Failed(errors[-1] if errors else f"exit code {run.returncode}")
    outcome = json.loads(lines[-1])
    return Failed(outcome["reason"]) if "reason" in outcome else Measured(**outcome)
