"""What a work is: who takes part, against which server, and who is compared with whom."""

from dataclasses import dataclass, field
from enum import Enum

from benchmarks.hosting import Host
from benchmarks.task import Task

#: The sign behind a ratio.
TIMES = "\N{MULTIPLICATION SIGN}"


class Measure(Enum):
    """How two contestants are compared, pair by pair: `who` against `against`.

    `DELAY_P99_MS` is not a difference: it is the whole delay of the neighbour of `who`.
    """

    TIMES_FASTER = TIMES
    EXTRA_MS = "ms more"
    EXTRA_US_EACH = "µs more each"
    EXTRA_MB = "MB more"
    DELAY_P99_MS = "p99 ms"

    @property
    def higher_is_better(self) -> bool:
        """Tell which way is up."""
        return self is Measure.TIMES_FASTER


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One line of the table.

    Attributes:
        who: a contestant's label.
        against: the label of the one it is measured by.
        measure: how.
        target: what is promised: at least, or at most where less is better; `None` for what is shown only.
        aim: what is hoped for.
    """

    who: str
    against: str
    measure: Measure = Measure.TIMES_FASTER
    target: float | None = None
    aim: float | None = None


@dataclass(frozen=True, kw_only=True)
class Work:
    """One thing to be done by several contestants.

    Attributes:
        name: what `--only` takes.
        title: what the table says.
        unit: what is counted.
        host: the server for it.
        contestants: who does it: label → task.
        comparisons: the lines of the table.
        paths: what the bare socket asks for to find the server's own speed; empty for not at all.
        rounds: how many rounds, if it needs its own number.
        own_hosts: servers of their own for some contestants: label → server.
    """

    name: str
    title: str
    unit: str
    host: Host
    contestants: dict[str, Task]
    comparisons: tuple[Comparison, ...]
    paths: tuple[str, ...] = ()
    rounds: int | None = None
    own_hosts: dict[str, Host] = field(default_factory=dict)
