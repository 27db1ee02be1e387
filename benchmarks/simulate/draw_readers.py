"""Draw exports and changes of a list: its records, what its pages leave out, and who reads it."""

from __future__ import annotations

from random import Random
from typing import Final

from attrs import evolve

from benchmarks.simulate.actor import Actor
from benchmarks.simulate.drawn import Drawn, Employ, draw_size
from benchmarks.simulate.foreign import OtherProgram, person
from benchmarks.simulate.network import Internet
from benchmarks.simulate.nights import Export, Night, StateExport

__all__ = ["draw_readers"]

_READERS: Final = {"exports": Export, "exports since": StateExport}


def draw_readers(theme: str, dice: Random, internet: Internet, employ: Employ) -> Drawn:
    family = "customers" if theme == "exports since" else dice.choice(["customers", "customers", "purchases"])
    internet.server.odd_style = dice.choice(["null", "zero", "text", "iso"])
    internet.server.odd_times = dice.choice([0.0, 0.0, 1.0 if internet.server.odd_style == "iso" else 0.2])
    for number in range(draw_size(dice, 60) + dice.choice([0, 0, 6])):
        record = person(f"b{number}@x.cz", first_name="A", last_name=f"No {number}")
        if family == "purchases":
            record = {
                "purchase_id": str(1000 - number * 7 % 61),
                "external_purchase_id": f"x{number}",
                "payment_time": "2026-01-01 10:00:00",
            }
        internet.world.put(family, record, by="beginning")
    if dice.random() < 0.15:
        # An export takes seconds, nights take hours.
        internet.server.numbers_from = dice.uniform(0, 9000) % (30 if theme == "exports" else 9000)
    internet.troubles = evolve(internet.troubles, lags=_draw_lags(internet))
    if internet.troubles.lags:
        _add_many(family, internet)
    actors: list[Actor] = []
    for number in range(dice.choice([1, 1, 2])):
        actor = employ(_READERS.get(theme, Night), f"reader{number + 1}")
        assert isinstance(actor, Night | Export | StateExport)
        actor.family = family
        pages = dice.choice([2, 3, 6, 12])
        actor.count = dice.choice([None, max(2, len(internet.world.records[family]) // pages)])
        actor.concurrency = dice.choice([1, 1, 3, 8])
        if isinstance(actor, StateExport):
            actor.overwrites = dice.random() < 0.5
            actor.resumes = Random(f"{internet.seed} {actor.name} resumes").random() < 0.5
        if isinstance(actor, Night):
            actor.as_file = theme == "changes as files"
            actor.has_rival = dice.random() < 0.3
            actor.may_clash = dice.random() < 0.5
            actor.nights = dice.choice([2, 2, 2, 3, 5])
        actors.append(actor)
    busy, longest = dice.choice([0, 5, 30]), dice.choice([3.0, 60.0, 9000.0])
    if internet.troubles.lags:
        busy = 0  # other writes would explain what the answers of an index that lags leave out: class C of the model
    other = OtherProgram(
        internet.world, seed=internet.seed, family=family, keys=[], busy=busy, longest=longest, deletes=True
    )
    return Drawn(theme=theme, internet=internet, actors=actors, others=[other])


def _draw_lags(internet: Internet) -> tuple[tuple[float, float], ...]:
    """Return the times in which pages lack some records that the total counts."""
    dice = Random(f"{internet.seed} lags")
    if dice.random() < 0.8:
        return ()
    begins = [dice.uniform(0, dice.choice([1, 100, 8000])) for _ in range(3)]
    return tuple((begin, begin + dice.choice([3, 200, 2000])) for begin in begins)


def _add_many(family: str, internet: Internet) -> None:
    """Let a list be longer now and then: only of many records does the order of a few pages tell that they are all."""
    dice = Random(f"{internet.seed} many")
    if dice.random() < 0.5:
        return
    for number in range(dice.randint(12, 40)):
        record = person(f"many{number}@x.cz", first_name="A", last_name=f"Many {number}")
        if family == "purchases":
            record = {"purchase_id": f"{5000 + number}", "external_purchase_id": f"many{number}"}
            record["payment_time"] = "2026-01-01 10:00:00"
        internet.world.put(family, record, by="beginning")
