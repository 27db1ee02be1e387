"""Play one seed: draw a world and its actors, let them live, and check what must hold."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Final

from attrs import frozen

from benchmarks.simulate.actor import Violations
from benchmarks.simulate.disk import caught_system
from benchmarks.simulate.draw import draw
from benchmarks.simulate.drawn import Drawn
from benchmarks.simulate.invariants import check_end
from benchmarks.simulate.loop import SimulatedLoop, StalledError
from benchmarks.simulate.machine import EPOCH, Machine
from benchmarks.simulate.network import Internet
from benchmarks.simulate.server import Server
from benchmarks.simulate.story import Story
from benchmarks.simulate.world import World

__all__ = ["Played", "play"]

#: Virtual seconds, and steps within a virtual hour, after which a simulation counts as hanging.
_END: Final = 4 * 86400.0
_MOST_PASSES: Final = 400_000
#: Seconds after the last actor's end, in which late writes take effect.
_SETTLES: Final = 60.0
#: Simulations between two collections of garbage.
_COLLECTS: Final = 20

_plays = [0]


@frozen(kw_only=True)
class Played:
    """What became of a seed.

    Attributes:
        seed: the seed.
        theme: what its actors did.
        violations: what did not hold: sentences.
        story: the story, if something did not hold.
        requests: requests that were sent.
        reports: the number of reports of readings, by whether they are exact.
        tallies: what else was counted, by what it is.
        virtual: virtual seconds.
        seconds: seconds that it took.
        digest: a number that is another one if anything happened otherwise.
    """

    seed: int
    theme: str
    violations: list[str]
    story: str
    requests: int
    reports: Counter[bool]
    tallies: Counter[str]
    virtual: float
    seconds: float
    digest: int


def play(seed: int, *, theme: str | None = None) -> Played:
    """Play a seed."""
    began = time.perf_counter()
    logging.disable(logging.CRITICAL)
    root = "/dev/shm" if os.path.isdir("/dev/shm") else None
    folder = Path(tempfile.mkdtemp(prefix="simulate-", dir=root))
    before = os.environ.get("XDG_STATE_HOME")
    unraisable = sys.unraisablehook
    gc.disable()
    try:
        with caught_system():
            one = _Play(seed, folder, theme=theme)
            os.environ["XDG_STATE_HOME"] = str(folder / "disk" / "state")
            result = one.run(began)
            sys.unraisablehook = lambda _: None
            one.close()
            del one
            _collect()
        return result
    finally:
        sys.unraisablehook = unraisable
        if before is None:
            os.environ.pop("XDG_STATE_HOME", None)
        else:
            os.environ["XDG_STATE_HOME"] = before
        shutil.rmtree(folder, ignore_errors=True)
        logging.disable(logging.NOTSET)
        gc.enable()


def _collect() -> None:
    """Collect what killed processes left, now and then: it takes as long as a small simulation."""
    _plays[0] += 1
    if _plays[0] % _COLLECTS == 0:
        gc.collect()


class _Play:
    def __init__(self, seed: int, folder: Path, *, theme: str | None) -> None:
        self.seed = seed
        self.loop = SimulatedLoop(end=_END, most_passes=_MOST_PASSES)
        loop = self.loop
        self.story = Story(loop.time, folder=str(folder))
        self.violations = Violations()
        world = World(
            now=loop.time,
            story=self.story,
            today=lambda: f"{datetime.fromtimestamp(EPOCH + loop.now + 3600, UTC):%Y-%m-%d %H:%M:%S}",
        )
        dice = Random(f"seed {seed}")
        machine = Machine(
            "disk",
            folder / "disk",
            loop,
            skews=_draw_skews(dice.choice([0.0, 0.0, -40.0, 3600.0, dice.uniform(-5, 5)]), seed),
            uptime=dice.choice([0.0, 50.0, 1e6]),
            has_links=dice.random() < 0.7,
            full=_draw_full(seed),
        )
        self.machine = machine
        self.drawn: Drawn = draw(
            seed, dice, theme=theme, server=Server(world=world), machine=machine, loop=loop, violations=self.violations
        )
        self.internet: Internet = self.drawn.internet

    def run(self, began: float) -> Played:
        """Let all live, and check."""
        try:
            self.loop.run_until_complete(self._live())
        except StalledError as error:
            self.violations.add(f"it hangs: {error}")
        check_end(self.internet, self.violations)
        story = ""
        if self.violations.found:
            story = self._story()
        return Played(
            seed=self.seed,
            theme=self.drawn.theme,
            violations=[what for what, _ in self.violations.found],
            story=story,
            requests=self.internet.requests,
            reports=self.internet.reports,
            tallies=self.internet.tallies,
            virtual=self.loop.now,
            seconds=time.perf_counter() - began,
            digest=hash(tuple(map(str, self.story.events))),
        )

    async def _live(self) -> None:
        actors = [one.live() for one in self.drawn.actors]
        await asyncio.gather(*actors, *(one.live() for one in self.drawn.others))
        troubles = self.internet.troubles
        await asyncio.sleep(max(_SETTLES, troubles.latest, *(end for _, end in troubles.held)))
        self.internet.calm = True
        for actor in self.drawn.actors:
            await actor.end_calmly()

    def _story(self) -> str:
        _, about = self.violations.found[0]
        about |= {part for one in about for part in (one.lower(), *one.split("/"))}
        lines = [f"seed {self.seed} ({self.drawn.theme}): {len(self.violations.found)} violations", ""]
        lines += [f"- {one}" for one, _ in self.violations.found[:8]]
        lines += ["", f"What happened, as far as it is about the first one ({', '.join(sorted(about)) or 'all'}):"]
        lines += [self.story.page(about), "", "The ledger's writes of it:"]
        entries = [
            one
            for one in self.internet.world.ledger
            if not about or about & {*one.ids, *_texts(one.body), *one.path.split("/")}
        ]
        lines += [str(one)[:240] for one in entries[:25]]
        lines += ["", f"Again: python -m benchmarks.simulate --seed {self.seed}"]
        return "\n".join(lines)

    def close(self) -> None:
        """Let go of everything; nothing of it runs any more."""
        for process in [*self.machine.processes]:
            process.kill("the end")
        self.loop._ready.clear()  # type: ignore[attr-defined]
        self.loop._scheduled.clear()  # type: ignore[attr-defined]
        self.loop.close()


def _draw_skews(first: float, seed: int) -> list[tuple[float, float]]:
    """Return from when the time of day is ahead by how much: now and then it is set."""
    dice = Random(f"time of day {seed}")
    times = sorted(dice.uniform(0, 100) for _ in range(dice.choice([0, 0, 0, 1, 3])))
    return [(0.0, first), *((at, dice.choice([-1, 1]) * dice.choice([5.0, 3600.0, 1e5])) for at in times)]


def _draw_full(seed: int) -> list[tuple[float, float]]:
    """Return when the disk takes nothing."""
    dice = Random(f"full {seed}")
    begin = dice.uniform(0, 40)
    return [(begin, begin + dice.uniform(1, 60))] if dice.random() < 0.1 else []


def _texts(body: object) -> set[str]:
    if isinstance(body, dict):
        return set().union(*map(_texts, body.values())) if body else set()
    if isinstance(body, list):
        return set().union(*map(_texts, body)) if body else set()
    return {str(body).strip().lower()}
