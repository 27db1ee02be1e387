"""Results as JSON: every single outcome of a run, to be read again beside those of another Python."""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.runner import Result
from benchmarks.task import Failed, Measured, Outcome
from benchmarks.work import Work


@dataclass(frozen=True, kw_only=True)
class SavedRun:
    """A run that was saved.

    Attributes:
        python: the version of Python that it ran on.
        outcomes: name of the work → label → one outcome a round.
    """

    python: str
    outcomes: Mapping[str, Mapping[str, Sequence[Outcome]]]

    def result(self, work: Work) -> Result | None:
        """Return what a work brought then; `None` if it was not run, or with other contestants."""
        found = self.outcomes.get(work.name)
        if found is None or set(found) != set(work.contestants):
            return None
        return Result(work=work, outcomes={label: list(rounds) for label, rounds in found.items()}, ceiling=None)


def save(results: Sequence[Result], path: Path) -> None:
    """Write every single outcome of a run to a file."""
    found = {
        result.work.name: {label: [asdict(one) for one in outcomes] for label, outcomes in result.outcomes.items()}
        for result in results
    }
    about = {"python": platform.python_version(), "machine": machine.machine(), "versions": machine.versions()}
    path.write_text(json.dumps({**about, "works": found}, indent=1))


def read(path: Path) -> SavedRun:
    """Read what `save` wrote.

    Raises:
        ValueError: the file holds something else.
    """
    try:
        found = json.loads(path.read_text())
        outcomes = {
            name: {label: [_outcome(one) for one in rounds] for label, rounds in labels.items()}
            for name, labels in found["works"].items()
        }
        return SavedRun(python=found["python"], outcomes=outcomes)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{path} holds no outcomes: give a file that --json wrote") from None


def _outcome(found: Mapping[str, Any]) -> Outcome:
    return Failed(**found) if "reason" in found else Measured(**found)
