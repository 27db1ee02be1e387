"""What a process holds, measured at quiet points of a soak, and whether it grows."""

import asyncio
import gc
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from attrs import asdict, frozen

__all__ = ["PARTS", "Growth", "Sample", "growth", "sample"]

#: The number of parts of a run: the first one warms up, the second is compared with the last.
PARTS = 4
#: Samples that a part must have for a judgement.
ENOUGH = 3


@frozen(kw_only=True)
class Sample:
    """What a process holds while it does nothing.

    Attributes:
        memory_mb: resident memory.
        sockets: sockets.
        files: file descriptors, sockets among them.
        tasks: tasks of asyncio.
        threads: threads.
        objects: objects that the garbage collector knows.
    """

    memory_mb: float
    sockets: int
    files: int
    tasks: int
    threads: int
    objects: int

    def to_dict(self) -> dict[str, float]:
        """Return the figures by name."""
        return asdict(self)


#: What may be added, in absolute numbers and as a part, before it counts as growth: allocators keep some memory.
_SLACK = {
    "memory_mb": (4.0, 0.08),
    "sockets": (2, 0.0),
    "files": (2, 0.0),
    "tasks": (0, 0.0),
    "threads": (0, 0.0),
    "objects": (500, 0.02),
}


def sample() -> Sample:
    """Measure this process; the garbage is collected first."""
    gc.collect()
    gc.collect()
    open_files = _open_files()
    status = Path("/proc/self/status").read_text(encoding="ascii")
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return Sample(
        memory_mb=int(resident.split()[1]) / 1024,
        sockets=sum(name.startswith("socket:") for name in open_files),
        files=len(open_files),
        tasks=_tasks(),
        threads=threading.active_count(),
        objects=len(gc.get_objects()),
    )


def _tasks() -> int:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:  # no event loop runs yet
        return 0


def _open_files() -> list[str]:
    targets = []
    for name in os.listdir("/proc/self/fd"):
        try:
            targets.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:  # the one that lists the folder
            continue
    return targets


@frozen(kw_only=True)
class Growth:
    """One figure of one process over the run.

    Attributes:
        name: the figure.
        first: the median of the second part of the run.
        last: the median of its last part.
        leaks: whether it grew; `None` if the run was too short to say.
    """

    name: str
    first: float
    last: float
    leaks: bool | None


def growth(samples: Sequence[dict[str, float]]) -> list[Growth]:
    """Compare the second part of a run with the last.

    A figure leaks if every sample of the last part is above every sample of the second by more than the slack: a pool
    that was fuller at one quiet point than at another does not count, a leak that goes on does.
    """
    if not samples:
        return []
    size = len(samples) // PARTS
    first, last = samples[size : 2 * size], samples[len(samples) - size :]
    growths = []
    for name, (absolute, part) in _SLACK.items():
        begin, end = [sample[name] for sample in first or samples], [sample[name] for sample in last or samples]
        limit = max(begin) * (1 + part) + absolute
        leaks = min(end) > limit if size >= ENOUGH else None
        growths.append(Growth(name=name, first=median(begin), last=median(end), leaks=leaks))
    return growths
