"""A day of three tills with the same customers: kills, held writes in the night, a right revoked, a file restored."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random
from typing import Final

import anyio

from benchmarks.simulate.drawn import Drawn, Employ
from benchmarks.simulate.machine import Process
from benchmarks.simulate.network import Internet
from benchmarks.simulate.tills import Till
from benchmarks.simulate.troubles import Troubles

__all__ = ["DAY", "draw_day"]

DAY: Final = "a day of tills"
_HOUR: Final = 3600.0
#: From when to when the server holds all writes, and a right is missing.
_LOCKED: Final = (14 * _HOUR, 18 * _HOUR)
_REVOKED: Final = (20 * _HOUR, 21 * _HOUR)
#: When the file of the first till is copied, and when the copy is put back.
_COPIED: Final = 8 * _HOUR
_RESTORED: Final = 11 * _HOUR
_SALES: Final = 120
_CUSTOMERS: Final = 20
#: For how long a till lives, at most (seconds): some 500 kills a day, of three tills.
_LIVES: Final = 1400.0
_MOST_ATTEMPTS: Final = 2000


class DayTill(Till):
    """A till that sells all day, and is started again after each kill.

    Attributes:
        is_restored: whether an older copy of its file is put back. Its person puts the sales since then again.
    """

    is_restored: bool = False
    disturbed: int = _MOST_ATTEMPTS

    async def live(self) -> None:
        """Sell until the day is over and everything was sent."""
        self.stored = []
        copied: int | None = None
        for _ in range(_MOST_ATTEMPTS):
            ending = await self.attempt(self._sell, what="to sell")
            if ending.result is not None:
                return
            self.internet.tallies["kills and other ends"] += 1
            now = self.machine.loop.now
            if self.is_restored and copied is None and now > _COPIED:
                copied = len(self.stored)
                _copy(self.folder, self.folder / "copy")
            elif self.is_restored and copied is not None and now > _RESTORED:
                self.story.tell(self.name, f"puts back the copy of its file, from before {self.stored[copied:][:1]}")
                _copy(self.folder / "copy", self.folder)
                self.internet.tallies["sales put again after the file was restored"] += len(self.stored) - copied
                del self.stored[copied:]
                self.is_restored = False
            await self.pause(20.0)
        self.violations.add(f"{self.name} is stuck: it never ends")

    async def _wait_for_customer(self) -> None:
        due = len(self.stored) * 24 * _HOUR / len(self.sales)
        await anyio.sleep(max(due - self.machine.loop.now, 0.0))

    def _plan_harm(self, process: Process) -> None:
        loop = self.machine.loop
        if loop.now > 24 * _HOUR:
            return
        if self.dice.random() < 0.3:
            process.plans[int(2 ** self.dice.uniform(0, 6))] = process.kill
        else:
            loop.call_later(self.dice.uniform(0, _LIVES), process.kill)


def _copy(folder: Path, target: Path) -> None:
    """Copy the file of an outbox that no process has open, with its log."""
    target.mkdir(exist_ok=True)
    for one in target.glob("till.db*"):
        one.unlink()
    for one in folder.glob("till.db*"):
        shutil.copy2(one, target / one.name)


def draw_day(theme: str, dice: Random, internet: Internet, employ: Employ) -> Drawn:
    """Let three tills sell to the same customers for a day."""
    internet.troubles = Troubles(writes=0.05, reads=0.02, held=(_LOCKED,), denials=(_REVOKED,))
    tills = []
    for number in range(3):
        till = employ(DayTill, f"till{number + 1}")
        assert isinstance(till, DayTill)
        till.harm, till.rate, till.machine.full = 1.0, None, ()
        till.is_restored = number == 0
        till.sales = [
            (dice.choice(["bill", "points"]), f"t{number + 1}-{one}", f"c{dice.randrange(_CUSTOMERS)}")
            for one in range(_SALES)
        ]
        tills.append(till)
    return Drawn(theme=theme, internet=internet, actors=tills)
