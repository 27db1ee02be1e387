"""What all actors have in common: processes that are started again after whatever ended them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from random import Random
from typing import Any, Final

import anyio

from benchmarks.simulate.machine import Ending, Machine, Process
from benchmarks.simulate.network import READ_TIMEOUT, Internet, Wire
from benchmarks.simulate.story import Story
from carecloud_async import CareCloud, EnterpriseCredentials, RateLimit, RetryPolicy, Timeout
from carecloud_async._calls.auth.stores import TokenStore

__all__ = ["Actor", "Violations"]

#: Attempts that are disturbed, and attempts at all: after these an actor that has not finished is stuck.
DISTURBED: Final = 5
ATTEMPTS: Final = 14
#: How long the last attempts wait for the process that has the work's file (seconds).
_LAST_WAIT: Final = 600.0


class Violations:
    """What must hold and did not.

    Attributes:
        found: sentences, each with the keys and ids that it is about.
    """

    def __init__(self) -> None:
        self.found: list[tuple[str, frozenset[str]]] = []

    def add(self, what: str, *about: str) -> None:
        """Add a sentence."""
        self.found.append((what, frozenset(one for one in about if one)))


class Actor(ABC):
    """A person with a piece of work, who starts it again until it is done.

    Args:
        name: what the story calls it.
        machine: where it works.
        internet: the server.
        seed: the seed.
        violations: where it notes what did not hold.
        harm: how often its processes are killed or stopped, from 0 to 1.

    Attributes:
        harms: the ways in which they are, each as often as it stands here.
        settle: the settle time that its programs are given; `None` for the usual one.
        disturbed: how many of its processes may be killed or stopped.
    """

    disturbed: int = DISTURBED

    def __init__(
        self, name: str, machine: Machine, internet: Internet, *, seed: str, violations: Violations, harm: float
    ) -> None:
        self.name = name
        self.machine = machine
        self.internet = internet
        self.dice = Random(f"{seed} {name}")
        self.violations = violations
        self.identity = "shop"
        self.harm = harm
        self.harms: Sequence[str] = ("step", "step", "step", "time", "cancel", "cancel at step", "power")
        self.story: Story = internet.world.story
        self.folder = machine.folder / name
        self.folder.mkdir(exist_ok=True)
        self.settle: float | None = None
        self.tokens: Callable[[], TokenStore] | None = None
        self.rate: float | None = self.dice.choice([None, None, None, 5.0])
        self.attempts = 0

    @abstractmethod
    async def live(self) -> None:
        """Do the work, to its end."""

    async def end_calmly(self) -> None:
        """Do what is checked when nothing goes wrong any more."""
        return

    def client(self, process: Process, *, is_reader: bool = False) -> CareCloud:
        """Return a client of a process."""
        return CareCloud(
            "model.example.com",
            auth=EnterpriseCredentials(external_application_id="a" * 24, login=self.identity, password="p"),
            transport=Wire(self.internet, process, actor=self.name, identity=self.identity, is_reader=is_reader),
            clock=self.machine,
            random=Random(f"{process.name} client"),
            rate_limit=None if self.rate is None else RateLimit(requests_per_second=self.rate),
            retry=RetryPolicy(attempts=3),
            timeout=Timeout(read=READ_TIMEOUT),
            token_store=None if self.tokens is None else self.tokens(),
        )

    async def attempt(self, work: Callable[[Process], Coroutine[Any, Any, Any]], *, what: str) -> Ending:
        """Run work as a process, which may be killed, and wait for its end."""
        self.attempts += 1
        name = f"{self.name}.{self.attempts}"
        process = Process(self.machine, name, dice=Random(f"{name} {self.internet.seed}"), story=self.story)
        self.story.tell(name, f"begins {what}")
        if self.attempts <= self.disturbed and not self.internet.calm and self.dice.random() < self.harm:
            self._plan_harm(process)
        process.start(lambda: work(process))
        ending = await process.ended
        if ending.error is not None:
            self.story.tell(name, f"ends with {type(ending.error).__name__}: {str(ending.error)[:300]}")
        elif not process.dead:
            self.story.tell(name, f"ends: {str(ending.result)[:300]}")
        return ending

    def _plan_harm(self, process: Process) -> None:
        dice, loop = self.dice, self.machine.loop
        step = int(2 ** dice.uniform(0, 8.5))
        at = 2 ** dice.uniform(-3, 6)
        match dice.choice(self.harms):
            case "step":
                process.plans[step] = process.kill
            case "time":
                loop.call_later(at, process.kill)
            case "cancel":
                loop.call_later(at, process.cancel)
            case "cancel at step":
                process.plans[step] = lambda: self._cancel_soon(process)
            case "power":
                loop.call_later(
                    at, lambda: None if process.dead else self.machine.cut_power(Random(f"{process.name} power"))
                )
            case "after a wait":
                process.after_wait = lambda: self._kill_soon(process)

    def _kill_soon(self, process: Process) -> None:
        process.plans[process.steps + self.dice.randint(1, 12)] = process.kill

    def _cancel_soon(self, process: Process) -> None:
        self.machine.loop.call_soon(process.cancel)

    async def pause(self, longest: float = 60.0) -> None:
        """Wait before the next attempt."""
        await anyio.sleep(self.dice.choice([0.1, 1.0, self.dice.uniform(0, longest)]))

    async def until_done(
        self, work: Callable[[Process], Coroutine[Any, Any, Any]], *, what: str, fatal: tuple[type[Exception], ...] = ()
    ) -> Any:
        """Attempt work until it returns; return its result, or `None` if it never does: a violation."""
        error: BaseException | None = None
        for number in range(ATTEMPTS):
            if number >= ATTEMPTS - 3:
                self.internet.calm = True
                await anyio.sleep(_LAST_WAIT)
            ending = await self.attempt(work, what=what)
            if ending.result is not None:
                return ending.result
            error = ending.error or error
            if isinstance(error, fatal):
                return None
            await self.pause()
        self.violations.add(f"{self.name} is stuck: {what} never ends, last with {type(error).__name__}: {error}")
        return None
