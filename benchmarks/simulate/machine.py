"""Machines and the processes on them: a disk, clocks, and the ways in which a process ends."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextvars import copy_context
from pathlib import Path
from random import Random
from typing import Any

import anyio
from attrs import frozen

from benchmarks.simulate.loop import PROCESS, SimulatedLoop
from benchmarks.simulate.story import Story
from benchmarks.simulate.troubles import is_within

__all__ = ["EPOCH", "Ending", "KilledError", "Machine", "Process"]

#: The time of day at which a simulation begins, in seconds since 1970.
EPOCH = 1_772_000_000.0
#: A process that waits this long (seconds) waits until the outcome of lost requests is certain.
LONG_WAIT = 20.0
#: The part of the names, and of the databases, that were not synced and that a power cut takes.
_LOST = 0.5


@frozen(kw_only=True)
class Ending:
    """How a process ended; neither a result nor an error if it was killed.

    Attributes:
        result: what it returned.
        error: what it raised.
    """

    result: Any = None
    error: BaseException | None = None


class KilledError(BaseException):
    """Ends the code of a process that is killed in a step; it is no `Exception`, so that none hides it."""


class Machine:
    """A computer with a disk of its own, and one user.

    Args:
        name: what the story calls it.
        folder: its disk, a real folder.
        loop: the loop.
        skews: from when its time of day is ahead by how many seconds; each step is one more.
        uptime: seconds since it started, when the simulation begins.
        has_links: whether its file system has hard links.
        full: the times, from and to, in which its disk takes nothing.

    Attributes:
        processes: those that run.
        was_any_stopped: whether a process was killed or stopped, or ended with an error.
        boot: the number of its boots.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        loop: SimulatedLoop,
        *,
        skews: Sequence[tuple[float, float]],
        uptime: float,
        has_links: bool,
        full: Sequence[tuple[float, float]] = (),
    ) -> None:
        self.name = name
        self.folder = folder
        self.loop = loop
        self.skews = skews
        self.uptime = uptime
        self.has_links = has_links
        self.full = full
        self.processes: list[Process] = []
        self.was_any_stopped = False
        self.boot = 1
        #: Bytes of files that are on the disk for certain, by inode, and the files of folders, by the folder's inode.
        self.synced: dict[int, int] = {}
        self.names: dict[int, dict[str, int]] = {}
        #: The process that locked a run file last, by device and inode.
        self.holders: dict[tuple[int, int], Process] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def monotonic(self) -> float:
        """Return the seconds since the machine started; see `carecloud_async._base.runtime.clock.Clock`."""
        return self.loop.now + self.uptime + 1.0  # no process runs at 0, which stands for no time

    def time(self) -> float:
        """Return the time of day, as this machine has it."""
        return EPOCH + self.loop.now + [skew for since, skew in self.skews if since <= self.loop.now][-1]

    def is_full(self) -> bool:
        """Return whether its disk takes nothing now."""
        return is_within(self.full, self.loop.now)

    async def sleep(self, seconds: float) -> None:
        """Wait, at least for as long as the clock of a machine that is up for days can tell."""
        await anyio.sleep(max(seconds, 1e-6) if seconds > 0 else 0)
        process = PROCESS.get()
        if process is not None and seconds >= LONG_WAIT:
            process.end_wait()

    def cut_power(self, dice: Random) -> None:
        """End all processes at once, and boot again, perhaps on another host.

        Files keep what was synced, and any part of the rest; names that no synced folder had may be lost, and a file
        that was renamed has its old name then.
        """
        kept = self.folder.with_name(f"{self.folder.name}.kept")
        shutil.copytree(self.folder, kept, symlinks=True)
        inodes = {path.relative_to(self.folder): path.lstat().st_ino for path in (self.folder, *self.folder.rglob("*"))}
        for process in [*self.processes]:
            process.kill("the power is cut")
        fates: dict[Path, float] = {}
        for name, inode in inodes.items():
            path = kept / name
            if not path.is_file():
                continue
            # SQLite makes the files beside a database after it: they are not there without it.
            base = name.with_name(name.name.removesuffix("-wal").removesuffix("-shm").removesuffix("-journal"))
            names = self.names.get(inodes[name.parent], {})
            if base.name not in names and fates.setdefault(base, dice.random()) < _LOST:
                old = next((other for other, of in names.items() if of == inode), None)
                if old is None or (kept / name).with_name(old).exists():
                    path.unlink()
                    continue
                path = path.rename(path.with_name(old))
            size, synced = path.stat().st_size, self.synced.get(inode)
            if _is_database(path):
                if synced is None and not path.name.endswith(("-shm", "-journal")) and dice.random() < _LOST:
                    os.truncate(path, 0)
            elif size > (synced or 0):
                os.truncate(path, dice.randint(synced or 0, size))
        shutil.rmtree(self.folder)
        kept.rename(self.folder)
        self.note_synced()
        self.boot += 1
        self.uptime = dice.choice([0.0, 0.0, 1e6]) - self.loop.now

    def note_synced(self) -> None:
        """Note that all that is on the disk is there for certain."""
        self.synced = {path.stat().st_ino: path.stat().st_size for path in self.folder.rglob("*") if path.is_file()}
        for path in (self.folder, *self.folder.rglob("*")):
            if path.is_dir():
                self.note_names(path)

    def note_names(self, folder: str | Path | int) -> None:
        """Note that a folder was synced."""
        entries = {entry.name: entry.inode() for entry in os.scandir(folder)}
        self.names[os.stat(folder).st_ino] = entries


def _is_database(path: Path) -> bool:
    """Return whether SQLite keeps this file: it syncs what its settings ask for, which no hook sees."""
    if path.name.endswith("-wal"):
        return False  # of the log, each commit tells
    if path.name.endswith(("-shm", "-journal")):
        return True
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\0"


def _do_nothing() -> None:
    pass


def release_held(files: set[tuple[int, int]]) -> None:
    """Forget the run files of a killed process: all simulated processes are one process to the package."""
    module = sys.modules.get("carecloud_async._base.runs.locked_file")
    if module is not None:
        module._held.difference_update(files)


class Process:
    """A process on a machine: what it has open, and when it is to be killed.

    Args:
        machine: where it runs.
        name: what the story calls it.
        dice: draws its secrets and the waits of its threads.
        story: what happens.

    Attributes:
        dead: whether it was killed.
        steps: its steps so far: requests, and changes of the disk.
        plans: what happens at a step, by its number.
        after_wait: what happens when it has waited for long, once.
        ended: how it ended, once it has.
        tasks: all its tasks, which stay where they are when it is killed.
        connections, locks: what the system closes when it is killed.
    """

    def __init__(self, machine: Machine, name: str, *, dice: Random, story: Story) -> None:
        self.machine = machine
        self.name = name
        self.dice = dice
        self.story = story
        self.dead = False
        self.steps = 0
        self.plans: dict[int, Callable[[], None]] = {}
        self.after_wait: Callable[[], None] = _do_nothing
        self.ended: asyncio.Future[Ending] = machine.loop.create_future()
        self.tasks: list[asyncio.Task[Any]] = []
        self.connections: list[sqlite3.Connection] = []
        self.locks: set[int] = set()
        machine.processes.append(self)

    def step(self, what: str) -> None:
        """Count a step, which happens now unless the process is killed at it.

        Raises:
            KilledError: the process is dead.
        """
        if not self.dead:
            self.steps += 1
            plan = self.plans.pop(self.steps, None)
            if plan is not None:
                self.story.tell(self.name, f"step {self.steps}, before {what}")
                plan()
        if self.dead:
            raise KilledError

    def end_wait(self) -> None:
        """Note that it has waited for long."""
        work, self.after_wait = self.after_wait, _do_nothing
        work()

    def kill(self, how: str = "kill -9") -> None:
        """End the process where it is: nothing of it runs any more, and the system closes what it had open."""
        if self.dead:
            return
        self.dead = self.machine.was_any_stopped = True
        self.story.tell(self.name, f"{how}, after {self.steps} steps")
        self.machine.loop.drop(self)
        for one in self.connections:
            with contextlib.suppress(sqlite3.Error):
                sqlite3.Connection.close(one)
        for descriptor in [*self.locks]:
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        release_held({key for key, holder in self.machine.holders.items() if holder is self})
        self._end(Ending())

    def start(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Begin to run a coroutine as this process."""
        outside, inside = copy_context(), copy_context()
        inside.run(PROCESS.set, self)
        task = self.machine.loop.create_task(work(), context=inside)
        task.add_done_callback(self._note_end, context=outside)

    def cancel(self) -> None:
        """Cancel it, as Ctrl-C does: what it has open is closed in its own way."""
        if not self.ended.done():
            self.story.tell(self.name, "cancelled")
            self.tasks[0].cancel()

    def _note_end(self, task: asyncio.Task[Any]) -> None:
        self.machine.was_any_stopped |= task.cancelled() or task.exception() is not None
        if task.cancelled():
            self._end(Ending(error=asyncio.CancelledError()))
        elif (error := task.exception()) is not None:
            self._end(Ending(error=error))
        else:
            self._end(Ending(result=task.result()))

    def _end(self, ending: Ending) -> None:
        if self in self.machine.processes:
            self.machine.processes.remove(self)
        if not self.ended.done():
            self.ended.set_result(ending)
