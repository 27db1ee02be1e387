"""The task of one process and its result: JSON between the runner and its children."""

import json
from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True, kw_only=True)
class Task:
    """One measured piece of work.

    Attributes:
        peer: who does it; a module of `benchmarks.peers`.
        kind: what is done; a method of the peer.
        done: how many records or calls that must come to.
        count: how many records are on a page.
        in_flight: how many requests are under way at a time.
        neighbour: whether another task of the same loop sleeps beside it and notes how late it wakes up.
        file: where an export stays; a temporary file if empty.
    """

    peer: str
    kind: str
    done: int
    count: int = 1000
    in_flight: int = 8
    neighbour: bool = False
    file: str = ""

    def to_json(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a process measured about itself.

    Attributes:
        seconds: how long the work took by the clock.
        cpu: how long the process computed for it, in seconds.
        done: how many records or calls it was.
        peak_mb: the process's peak memory in MB, imports and all.
        delay_ms: how late the neighbour woke up in the median, in ms; `None` where there was none.
        delay_p99_ms: the 99th percentile of that.
    """

    seconds: float
    cpu: float
    done: int
    peak_mb: float
    delay_ms: float | None = None
    delay_p99_ms: float | None = None


@dataclass(frozen=True)
class Failed:
    """A task that came to nothing.

    Attributes:
        reason: why, in a line.
    """

    reason: str


Outcome = Measured | Failed
