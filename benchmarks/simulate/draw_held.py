"""Draw simulations of writes that act minutes late: under a lock that holds all of them, or each by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Final, TypeAlias

from attrs import evolve

from benchmarks.simulate.drawn import Drawn, Employ
from benchmarks.simulate.imports import Import
from benchmarks.simulate.network import Internet
from benchmarks.simulate.server import FAILS
from benchmarks.simulate.troubles import Troubles

__all__ = ["HELD", "LATE", "Draw", "draw_held"]

#: A server that holds all writes for up to ten minutes, and answers reads. What is there twice afterwards is told.
HELD: Final = "held writes"
#: Writes that act up to ten minutes late, each by itself, and programs that know it: nothing is there twice.
LATE: Final = "late writes"
_LATEST: Final = 600.0

Draw: TypeAlias = Callable[[str, Random, Internet, Employ], Drawn]


def draw_held(theme: str, dice: Random, internet: Internet, employ: Employ, *, draws: Mapping[str, Draw]) -> Drawn:
    """Draw some work, and what makes its writes late.

    Args:
        theme: `HELD` or `LATE`.
        dice: draws.
        internet: the server.
        employ: makes those who work on it.
        draws: work → what draws it.
    """
    work = dice.choice([*draws])
    drawn = draws[work](work, dice, internet, employ)
    if theme == HELD:
        begin = dice.choice([0.0, dice.uniform(0, 3), dice.uniform(0, 60)])
        part = dice.choice([0.0, 0.0, 0.03])
        held = ((begin, begin + dice.choice([dice.uniform(10, 120), dice.uniform(60, _LATEST)])),)
        internet.troubles = Troubles(held=held, writes=part, reads=part)
    else:
        internet.troubles = Troubles(late_writes=dice.choice([0.1, 0.3, 0.6]), latest=_LATEST)
    harm = dice.choice([0.0, 0.0, 0.4])
    for actor in drawn.actors:
        actor.harm, actor.settle = harm, None if theme == HELD else _LATEST + 60
        if isinstance(actor, Import):
            actor.times = 1
        if theme == LATE:  # the waits of a row on which the server fails would be hours, with these settle times
            for name in ("rows", "messages"):
                rows = getattr(actor, name, [])
                setattr(actor, name, [{key: one.replace(FAILS, "") for key, one in row.items()} for row in rows])
    return evolve(drawn, theme=theme)
