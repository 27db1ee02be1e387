"""Draw a simulation from its seed: the server's habits, what goes wrong, and who works on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from random import Random
from typing import Final

from benchmarks.simulate.actor import Actor, Violations
from benchmarks.simulate.bills import BILLS, POINTS, LoyaltyImport, rows_of
from benchmarks.simulate.day import DAY, draw_day
from benchmarks.simulate.draw_imports import draw_imports, draw_row, draw_two_keys, make_known
from benchmarks.simulate.draw_readers import draw_readers
from benchmarks.simulate.draw_worlds import (
    CALM,
    HELD,
    LATE,
    REPLICAS,
    STORMS,
    THOUSANDS,
    UNTIDY,
    WORLDS,
    Draw,
    draw_thousands,
    draw_world,
)
from benchmarks.simulate.drawn import Drawn, Employ, draw_size
from benchmarks.simulate.focus import FOCUSED, focus_of
from benchmarks.simulate.foreign import OtherProgram, person
from benchmarks.simulate.imports import Import
from benchmarks.simulate.kinds import KINDS
from benchmarks.simulate.loop import SimulatedLoop
from benchmarks.simulate.machine import Machine
from benchmarks.simulate.network import Internet
from benchmarks.simulate.segments import SEGMENTS, OtherClerk, SegmentSync
from benchmarks.simulate.server import Server
from benchmarks.simulate.tills import Till
from benchmarks.simulate.troubles import Troubles
from benchmarks.simulate.writers import QueueWriter
from carecloud_async import FileTokenStore

__all__ = ["THEMES", "draw"]

#: How often each kind of work is drawn.
THEMES: Final = {
    "by email": 4, "by external id": 2, "by card": 2, "with parts": 3, "without a key": 1, "products by code": 2,
    "products by external id": 1, "brands": 1, "changes": 3, "changes as files": 3, "exports": 3,
    "a queue": 3, "exports since": 2, "all at once": 3, "tills": 4, "two keys": 2, BILLS: 2, POINTS: 2, SEGMENTS: 2,
    HELD: 3, LATE: 2, REPLICAS: 2, STORMS: 0, UNTIDY: 2, THOUSANDS: 0.2, CALM: 3, DAY: 0,
}  # fmt: skip


def draw(
    seed: int,
    dice: Random,
    *,
    theme: str | None,
    server: Server,
    machine: Machine,
    loop: SimulatedLoop,
    violations: Violations,
) -> Drawn:
    """Draw a simulation."""
    chosen = dice.choices([*THEMES], [*THEMES.values()])[0]
    theme = theme or focus_of(seed) or chosen
    server.page_cap = dice.choice([1000, 1000, 1000, 40, 7, 3])
    server.ignores_sort = dice.random() < 0.2
    internet = Internet(loop=loop, server=server, seed=str(seed), troubles=_draw_troubles(dice))
    internet.way = dice.choice([0.1, 0.1, 0.1, 2.0])
    harm = dice.choice([0.0, 0.4, 0.8])

    def employ(kind: type[Actor], name: str) -> Actor:
        return kind(name, machine, internet, seed=str(seed), violations=violations, harm=harm)

    works = {**_WORKS, **FOCUSED}
    if theme in WORLDS:
        drawn = draw_world(theme, dice, internet, employ, draws=works)
    else:
        drawn = works.get(theme, draw_readers)(theme, dice, internet, employ)
    _share_tokens(drawn.actors, dice)
    return drawn


def _share_tokens(actors: Sequence[Actor], dice: Random) -> None:
    """Let the processes of a machine share their tokens, those of several identities too."""
    if dice.random() < 0.6:
        return
    for actor in actors:
        machine, jitter = actor.machine, Random(f"{actor.name} jitter")
        actor.tokens = partial(FileTokenStore, machine.folder / "tokens", clock=machine, jitter=jitter.random)
        if dice.random() < 0.4 and not isinstance(actor, Import):
            actor.identity = "office"


def _draw_mixture(theme: str, dice: Random, internet: Internet, employ: Employ) -> Drawn:
    """Let writers and readers work on one list."""
    writers = dice.choice(["by email", "with parts", "by external id", "a queue"])
    draw_some = _draw_queue if writers == "a queue" else draw_imports
    one = draw_some(writers, dice, internet, employ)
    other = draw_readers(dice.choice(["changes", "changes as files", "exports"]), dice, internet, employ)
    return Drawn(
        theme=theme, internet=internet, actors=[*one.actors, *other.actors], others=[*one.others, *other.others]
    )


def _draw_queue(theme: str, dice: Random, internet: Internet, employ: Employ) -> Drawn:
    rows = [draw_row("by email", number, dice) for number in range(draw_size(dice, 15))]
    make_known("by email", rows, internet, dice)
    actors = []
    for number in range(dice.choice([1, 1, 2, 3])):
        actor = employ(QueueWriter, f"queue{number + 1}")
        assert isinstance(actor, QueueWriter)
        actor.messages = [
            {**row, "first_name": f"{row['first_name']} {again}"}
            for again in range(dice.choice([1, 2, 3]))
            for row in rows
        ]
        actor.width = dice.choice([1, 3, 10])
        actors.append(actor)
    other = OtherProgram(
        internet.world, seed=internet.seed, keys=[row["email"] for row in rows], busy=dice.choice([0, 0, 5]),
        longest=30.0, deletes=dice.random() < 0.2,
    )  # fmt: skip
    return Drawn(theme=theme, internet=internet, actors=actors, others=[other])


def _draw_tills(theme: str, dice: Random, internet: Internet, employ: Employ) -> Drawn:
    """Let tills sell to the same customers, now and then the same bills; another program sends some bills too."""
    tills, shares = [], dice.random() < 0.3
    for number in range(dice.choice([1, 2, 2, 3])):
        till = employ(Till, f"till{number + 1}")
        assert isinstance(till, Till)
        name = "s" if shares else f"t{number + 1}-"
        till.shared = shares
        till.sales = [
            ("bill" if one % 2 else "points", f"{name}{one}", f"c{one * 7 % 3}")
            for one in range(dice.choice([1, 4, 12]))
        ]
        tills.append(till)
    bills = [number for till in tills for kind, number, _ in till.sales if kind == "bill"]
    other = OtherProgram(
        internet.world, seed=internet.seed, family="purchases", keys=bills, busy=dice.choice([0, 0, 5]),
        longest=60.0, deletes=False,
    )  # fmt: skip
    return Drawn(theme=theme, internet=internet, actors=tills, others=[other])


def _draw_loyalty(theme: str, dice: Random, internet: Internet, employ: Employ) -> Drawn:
    """Let one to three runs write the same bills or points; another program sends some of the bills too."""
    rows = rows_of(theme, draw_size(dice, 40))
    actors = []
    for number in range(dice.choice([1, 1, 2, 3])):
        actor = employ(LoyaltyImport, f"import{number + 1}")
        assert isinstance(actor, LoyaltyImport)
        actor.kind, actor.rows = theme, rows
        actor.delay = dice.choice([0.0, 0.0, dice.uniform(0, 1), dice.uniform(0, 30)])
        actors.append(actor)
    keys = [row["external_purchase_id"] for row in rows if theme == BILLS]
    other = OtherProgram(
        internet.world, seed=internet.seed, family="purchases", keys=keys, busy=dice.choice([0, 0, 5]) if keys else 0,
        longest=30.0, deletes=False,
    )  # fmt: skip
    return Drawn(theme=theme, internet=internet, actors=actors, others=[other])


def _draw_segments(theme: str, dice: Random, internet: Internet, employ: Employ) -> Drawn:
    """Let one program mirror a segment, or two add and remove customers of their own; another program does so too."""
    world, number = internet.world, max(draw_size(dice, 30), 2)
    for one in range(number):
        customer = person(f"k{one}@x.cz", first_name="A", last_name=f"No {one}")
        world.put("customers", {"customer_id": f"c{one}", **customer}, by="beginning")
        if dice.random() < 0.5:
            world.change_member(f"c{one}", by="beginning")
    modes = dice.choice([["mirror"], ["mirror"], ["add"], ["remove"], ["add", "remove"]])
    actors = []
    for place, mode in enumerate(modes):
        actor = employ(SegmentSync, f"sync{place + 1}")
        assert isinstance(actor, SegmentSync)
        actor.mode, actor.match = mode, dice.choice(["customer_id", "email"])
        own = [one for one in range(number) if one % len(modes) == place]
        actor.sources = [frozenset(dice.sample(own, dice.randint(1, len(own)))) for _ in range(dice.choice([1, 2, 3]))]
        actor.delay = dice.choice([0.0, dice.uniform(0, 10)])
        actors.append(actor)
    other = OtherClerk(world, seed=internet.seed, busy=dice.choice([0, 0, 5]), longest=60.0)
    return Drawn(theme=theme, internet=internet, actors=actors, others=[other])


def _draw_troubles(dice: Random) -> Troubles:
    part = dice.choice([0.0, 0.03, 0.1, 0.3])
    denials = [(at := dice.uniform(0, 40), at + dice.uniform(1, 60)) for _ in range(dice.choice([0, 0, 0, 1]))]
    return Troubles(
        writes=part * dice.choice([0.3, 1.0, 1.5]),
        reads=part * dice.choice([0.1, 0.5]),
        denials=tuple(denials),
        restarts=tuple(dice.uniform(0, 60) for _ in range(dice.choice([0, 0, 1]))),
    )


#: Work → what draws it; everything else is read.
_WORKS: Final[Mapping[str, Draw]] = {
    **dict.fromkeys(KINDS, draw_imports),
    **dict.fromkeys((BILLS, POINTS), _draw_loyalty),
    "two keys": draw_two_keys,
    "a queue": _draw_queue,
    "tills": _draw_tills,
    "all at once": _draw_mixture,
    SEGMENTS: _draw_segments,
    THOUSANDS: draw_thousands,
    DAY: draw_day,
}
