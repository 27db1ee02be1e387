"""Draw simulations of some work in a world of its own: writes minutes late, old reads, untidy servers, calm.

The work is drawn as in the simulations of everyday troubles; then the world around it is replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Final, TypeAlias

from attrs import evolve

from benchmarks.simulate.bills import BILLS, POINTS, LoyaltyImport
from benchmarks.simulate.draw_imports import draw_row, make_known
from benchmarks.simulate.drawn import Drawn, Employ
from benchmarks.simulate.foreign import person
from benchmarks.simulate.imports import Import
from benchmarks.simulate.kinds import KINDS, OUT_OF_RANGE
from benchmarks.simulate.network import Internet
from benchmarks.simulate.segments import SEGMENTS
from benchmarks.simulate.server import FAILS, HABITS
from benchmarks.simulate.troubles import LATEST, Troubles

__all__ = [
    "CALM", "HELD", "LATE", "REPLICAS", "STORMS", "THOUSANDS", "UNTIDY", "WORLDS", "Draw", "draw_thousands",
    "draw_world",
]  # fmt: skip

#: A server that holds all writes for up to ten minutes, and answers reads. What is there twice afterwards is told.
HELD: Final = "held writes"
#: Writes that act one to ten minutes late, each by itself, and programs that know it: nothing is there twice.
LATE: Final = "late writes"
#: Reads that show what was there some seconds ago.
REPLICAS: Final = "replicas"
#: A third of the requests fail, what was lost acts late, and reads show it late: the two add up.
STORMS: Final = "storms on replicas"
#: A server that rounds, trims, folds case and refuses duplicates.
UNTIDY: Final = "untidy servers"
#: Files of thousands of rows: many turns side by side, and the whole list instead of look-ups.
THOUSANDS: Final = "thousands of rows"
#: Nothing goes wrong: each outcome is known beforehand.
CALM: Final = "a calm world"
_LATEST: Final = 600.0
#: What is done in these worlds: writes by keys that a look-up shows; in a calm world everything.
_KEYED: Final = (
    "by email", "by external id", "with parts", "products by code", "brands", BILLS, POINTS, "tills", "a queue",
)  # fmt: skip
_WORKS: Final = (*_KEYED, "by card", "without a key", "products by external id", SEGMENTS)

Draw: TypeAlias = Callable[[str, Random, Internet, Employ], Drawn]


def draw_world(theme: str, dice: Random, internet: Internet, employ: Employ, *, draws: Mapping[str, Draw]) -> Drawn:
    """Draw some work, and the world around it.

    Args:
        theme: one of `WORLDS`.
        dice: draws.
        internet: the server.
        employ: makes those who work on it.
        draws: work → what draws it.
    """
    work = dice.choice(_WORKS if theme == CALM else _KEYED)
    drawn = draws[work](work, dice, internet, employ)
    WORLDS[theme](drawn, dice)
    return evolve(drawn, theme=theme, others=() if theme in (CALM, REPLICAS, STORMS) else drawn.others)


def draw_thousands(theme: str, dice: Random, internet: Internet, employ: Employ) -> Drawn:
    """Let one or two runs write thousands of rows, of which the server knows most."""
    kind = dice.choice(["by email", "by email", "products by code", "brands"])
    rows = [draw_row(kind, number, dice) for number in range(dice.choice([1000, 2000]))]
    internet.troubles = Troubles(writes=dice.choice([0.0, 0.01]))
    internet.server.page_cap = dice.choice([1000, 1000, 200])
    make_known(kind, rows, internet, dice, part=dice.choice([0.0, 0.9, 1.0]), values=dice.choice(["Old", "same"]))
    actors = []
    for number in range(1 if kind == "brands" else dice.choice([1, 1, 2])):
        actor = employ(Import, f"import{number + 1}")
        assert isinstance(actor, Import)
        actor.kind, actor.rows, actor.delay = KINDS[kind], rows, dice.uniform(0, 3)
        actors.append(actor)
    return Drawn(theme=theme, internet=internet, actors=actors)


def _hold_writes(drawn: Drawn, dice: Random) -> None:
    begin = dice.choice([0.0, dice.uniform(0, 3), dice.uniform(0, 60)])
    part = dice.choice([0.0, 0.0, 0.03])
    held = ((begin, begin + dice.choice([dice.uniform(10, 120), dice.uniform(60, _LATEST)])),)
    drawn.internet.troubles = Troubles(held=held, writes=part, reads=part)
    _let_wait(drawn, dice, settle=None)


def _let_writes_be_late(drawn: Drawn, dice: Random) -> None:
    # Seldom ten minutes: after three losses a write waits for hours then, and other runs look for it each second.
    latest = dice.choice([60.0, 60.0, 180.0, 180.0, _LATEST])
    drawn.internet.troubles = Troubles(late_writes=dice.choice([0.1, 0.3, 0.6]), latest=latest)
    _let_wait(drawn, dice, settle=latest + 60)
    _let_none_fail(drawn)  # the waits of a row on which the server fails would be hours, with these settle times


def _let_none_fail(drawn: Drawn) -> None:
    for actor in drawn.actors:
        for name in ("rows", "messages"):
            rows = getattr(actor, name, [])
            setattr(actor, name, [{key: one.replace(FAILS, "") for key, one in row.items()} for row in rows])


def _let_wait(drawn: Drawn, dice: Random, *, settle: float | None) -> None:
    harm = dice.choice([0.0, 0.0, 0.4])
    for actor in drawn.actors:
        actor.harm, actor.settle = harm, settle
        if isinstance(actor, Import):
            actor.times = 1


def _let_reads_be_old(drawn: Drawn, dice: Random) -> None:
    for actor in drawn.actors:
        if isinstance(actor, Import) and actor.kind.family == "product_brands":
            del drawn.actors[1:]  # the keys of a list that is read whole are held together
        if isinstance(actor, Import | LoyaltyImport):
            actor.times = 1  # what the run of the day before has written, the next one may not see
    part = dice.choice([0.0, 0.1, 0.3])
    drawn.internet.troubles = Troubles(writes=part, behind=dice.choice([1.0, 5.0, 20.0]))


def _let_storms_blow(drawn: Drawn, dice: Random) -> None:
    _let_reads_be_old(drawn, dice)
    behind, part = dice.choice([3.0, 20.0, 50.0, 60.0]), dice.choice([0.1, 0.33])
    drawn.internet.troubles = Troubles(
        writes=part, reads=part * dice.choice([0.3, 1.0]), late_writes=dice.choice([0.0, 0.1, 0.3]),
        latest=dice.choice([5.0, 12.0, LATEST]), behind=behind, least_behind=behind * dice.choice([0.0, 0.8, 1.0]),
    )  # fmt: skip
    harm = dice.choice([0.0, 0.4])
    for actor in drawn.actors:
        actor.harm = harm


def _be_untidy(drawn: Drawn, dice: Random) -> None:
    drawn.internet.server.habits = frozenset(dice.sample(HABITS, dice.randint(1, len(HABITS))))
    _spell(drawn, dice)


def _be_calm(drawn: Drawn, dice: Random) -> None:
    internet = drawn.internet
    internet.troubles, internet.calm = Troubles(), True
    del drawn.actors[1:]
    _let_none_fail(drawn)
    for actor in drawn.actors:
        actor.harm, actor.machine.full = 0.0, ()
        if isinstance(actor, Import):
            actor.has_decoy = False
            actor.mode = dice.choice(["upsert", "upsert", "create", "update"]) if actor.kind.match else "upsert"
            for row in actor.rows if actor.kind.match == "email" else ():
                if dice.random() < 0.1:  # two records have its key
                    for _ in range(2):
                        internet.world.put("customers", person(row["email"], first_name="A", last_name="B"), by="other")
            actor.rows += [{**row} for row in actor.rows if actor.kind.match and dice.random() < 0.1]
    _be_untidy(drawn, dice) if dice.random() < 0.3 else _spell(drawn, dice)


def _spell(drawn: Drawn, dice: Random) -> None:
    """Let some cells be written with spaces and in capitals, and some values be out of range."""
    for actor in drawn.actors:
        if not isinstance(actor, Import) or actor.kind.family != "customers":
            continue
        for row in actor.rows:
            if dice.random() < 0.2 and "email" in row:
                row["email"] = dice.choice([f" {row['email']}", row["email"].upper()])
            row["birthdate"] = dice.choice(OUT_OF_RANGE) if dice.random() < 0.05 else ""


WORLDS: Final[Mapping[str, Callable[[Drawn, Random], None]]] = {
    HELD: _hold_writes,
    LATE: _let_writes_be_late,
    REPLICAS: _let_reads_be_old,
    STORMS: _let_storms_blow,
    UNTIDY: _be_untidy,
    CALM: _be_calm,
}
