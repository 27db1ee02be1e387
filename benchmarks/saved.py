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
        outcomes = self.outcomes.get(work.name)
        if outcomes is None or set(outcomes) != set(work.contestants):
            return None
        return Result(work=work, outcomes={label: list(rounds) for label, rounds in outcomes.items()}, ceiling=None)


def save(results: Sequence[Result], path: Path) -> None:
    """Write every single outcome of a run to a file."""
    works = {
        result.work.name: {
            label: [asdict(outcome) for outcome in outcomes] for label, outcomes in result.outcomes.items()
        }
        for result in results
    }
    about = {"python": platform.python_version(), "machine": machine.machine(), "versions": machine.versions()}
    path.write_text(json.dumps({**about, "works": works}, indent=1))


def read(path: Path) -> SavedRun:
    """Read what `save` wrote.

    Raises:
        ValueError: the file holds something else.
    """
    try:
        saved = json.loads(path.read_text())
        outcomes = {
            name: {label: [_outcome(outcome) for outcome in rounds] for label, rounds in labels.items()}
            for name, labels in saved["works"].items()
        }
        return SavedRun(python=saved["python"], outcomes=outcomes)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{path} holds no outcomes: give a file that --json wrote") from None


def _outcome(outcome: Mapping[str, Any]) -> Outcome:
    return Failed(**outcome) if "reason" in outcome else Measured(**outcome)
