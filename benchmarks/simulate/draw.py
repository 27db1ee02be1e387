"""Draw a simulation from its seed: the server's habits, what goes wrong, and who works on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Final

from attrs import evolve, field, frozen

from benchmarks.simulate.actor import Actor, Violations
from benchmarks.simulate.bills import BILLS, POINTS, LoyaltyImport, rows_of
from benchmarks.simulate.foreign import OtherProgram, person
from benchmarks.simulate.imports import Import
from benchmarks.simulate.kinds import KINDS, NEW_PRODUCT, SOURCE, Row
from benchmarks.simulate.loop import SimulatedLoop
from benchmarks.simulate.machine import Machine
from benchmarks.simulate.network import Internet
from benchmarks.simulate.nights import Export, Night, StateExport
from benchmarks.simulate.segments import SEGMENTS, OtherClerk, SegmentSync
from benchmarks.simulate.server import FAILS, REFUSED, Server
from benchmarks.simulate.tills import Till
from benchmarks.simulate.troubles import Troubles
from benchmarks.simulate.writers import QueueWriter
from carecloud_async import FileTokenStore

__all__ = ["THEMES", "Drawn", "draw"]

#: How often each kind of work is drawn.
THEMES: Final = {
    "by email": 4, "by external id": 2, "by card": 2, "with parts": 3, "without a key": 1, "products by code": 2,
    "products by external id": 1, "brands": 1, "changes": 3, "changes as files": 3, "exports": 3,
    "a queue": 3, "exports since": 2, "all at once": 3, "tills": 4, "two keys": 2, BILLS: 2, POINTS: 2, SEGMENTS: 2,
}  # fmt: skip


_READERS: Final = {"exports": Export, "exports since": StateExport}


@frozen(kw_only=True)
class Drawn:
    """A simulation before it begins.

    Attributes:
        theme: what it is about.
        internet: the server.
        actors: those whose work is checked.
        others: other programs.
    """

    theme: str
    internet: Internet
    actors: Sequence[Actor]
    others: Sequence[OtherProgram | OtherClerk] = field(factory=tuple)


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
    theme = theme or chosen
    server.page_cap = dice.choice([1000, 1000, 1000, 40, 7, 3])
    server.ignores_sort = dice.random() < 0.2
    internet = Internet(loop=loop, server=server, seed=str(seed), troubles=_draw_troubles(dice))
    internet.way = dice.choice([0.1, 0.1, 0.1, 2.0])
    harm = dice.choice([0.0, 0.4, 0.8])

    def employ(kind: type[Actor], name: str) -> Actor:
        return kind(name, machine, internet, seed=str(seed), violations=violations, harm=harm)

    if theme in KINDS:
        drawn = _draw_imports(theme, dice, internet, employ)
    elif theme == "a queue":
        drawn = _draw_queue(theme, dice, internet, employ)
    elif theme == "two keys":
        drawn = _draw_two_keys(theme, dice, internet, employ)
    elif theme in (BILLS, POINTS):
        drawn = _draw_loyalty(theme, dice, internet, employ)
    elif theme == SEGMENTS:
        drawn = _draw_segments(theme, dice, internet, employ)
    elif theme == "tills":
        drawn = _draw_tills(theme, dice, internet, employ)
    elif theme == "all at once":
        drawn = _draw_mixture(theme, dice, internet, employ)
    else:
        drawn = _draw_readers(theme, dice, internet, employ)
    _share_tokens(drawn.actors, dice)
    return drawn


def _share_tokens(actors: Sequence[Actor], dice: Random) -> None:
    """Let the processes of a machine share their tokens, those of several identities too."""
    if dice.random() < 0.6:
        return
    for actor in actors:
        path = actor.machine.folder / "tokens"
        jitter = Random(f"{actor.name} jitter")
        actor.tokens = partial(FileTokenStore, path, clock=actor.machine, jitter=jitter.random)
        if dice.random() < 0.4 and not isinstance(actor, Import):
            actor.identity = "office"


def _draw_mixture(theme: str, dice: Random, internet: Internet, employ: Callable[[type[Actor], str], Actor]) -> Drawn:
    """Let writers and readers work on one list."""
    writers = dice.choice(["by email", "with parts", "by external id", "a queue"])
    draw_some = _draw_queue if writers == "a queue" else _draw_imports
    one = draw_some(writers, dice, internet, employ)
    other = _draw_readers(dice.choice(["changes", "changes as files", "exports"]), dice, internet, employ)
    return Drawn(
        theme=theme, internet=internet, actors=[*one.actors, *other.actors], others=[*one.others, *other.others]
    )


def _draw_queue(theme: str, dice: Random, internet: Internet, employ: Callable[[type[Actor], str], Actor]) -> Drawn:
    rows = [_row("by email", number, dice) for number in range(_draw_size(dice, 15))]
    _known("by email", rows, internet, dice)
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


def _draw_size(dice: Random, most: int) -> int:
    """Return a number of rows or records: mostly a few, since that finds most in a second, and now and then many."""
    return min(int(2 * dice.paretovariate(1.3)), most) if dice.random() < 0.7 else 1


def _draw_tills(theme: str, dice: Random, internet: Internet, employ: Callable[[type[Actor], str], Actor]) -> Drawn:
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


def _draw_loyalty(theme: str, dice: Random, internet: Internet, employ: Callable[[type[Actor], str], Actor]) -> Drawn:
    """Let one to three runs write the same bills or points; another program sends some of the bills too."""
    rows = rows_of(theme, _draw_size(dice, 40))
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


def _draw_segments(theme: str, dice: Random, internet: Internet, employ: Callable[[type[Actor], str], Actor]) -> Drawn:
    """Let one program mirror a segment, or two add and remove customers of their own; another program does so too."""
    world, number = internet.world, max(_draw_size(dice, 30), 2)
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


def _draw_readers(theme: str, dice: Random, internet: Internet, employ: Callable[[type[Actor], str], Actor]) -> Drawn:
    family = "customers" if theme == "exports since" else dice.choice(["customers", "customers", "purchases"])
    internet.server.odd_style = dice.choice(["null", "zero", "text", "iso"])
    internet.server.odd_times = dice.choice([0.0, 0.0, 1.0 if internet.server.odd_style == "iso" else 0.2])
    for number in range(_draw_size(dice, 60) + dice.choice([0, 0, 6])):
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
    internet.troubles = evolve(internet.troubles, hides=dice.choice([0.0, 0.0, 0.14]), lags=_draw_lags(internet))
    again = Random(f"{internet.seed} again").choice([0, 0, 1, 2])
    internet.troubles = evolve(internet.troubles, hides_again=again)
    if internet.troubles.hides or internet.troubles.lags:
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
    other = OtherProgram(
        internet.world, seed=internet.seed, family=family, keys=[], busy=dice.choice([0, 5, 30]),
        longest=dice.choice([3.0, 60.0, 9000.0]), deletes=True,
    )  # fmt: skip
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


def _draw_imports(theme: str, dice: Random, internet: Internet, employ: Callable[[type[Actor], str], Actor]) -> Drawn:
    kind = KINDS[theme]
    world = internet.world
    number = _draw_size(dice, 40)
    rows = [_row(theme, one, dice) for one in range(number)]
    if theme == "by card":
        colours = Random(f"{internet.seed} colours")
        has_some = colours.random() < 0.5
        rows = [{**row, "property.p1": colours.choice(["red", "blue", ""]) if has_some else ""} for row in rows]
    _known(theme, rows, internet, dice)
    actors = []
    is_rush = kind.match is not None and dice.random() < 0.1
    if is_rush:
        # Three runs of one moment, which are shown what was true a while ago: nothing else goes wrong.
        internet.troubles = Troubles(late=0.6)
    for one in range(3 if is_rush else dice.choice([1, 1, 2, 3]) if kind.match else 1):
        actor = employ(Import, f"import{one + 1}")
        assert isinstance(actor, Import)
        actor.kind, actor.rows = kind, rows
        actor.delay = dice.choice([0.0, 0.0, dice.uniform(0, 1), dice.uniform(0, 30)])
        actor.times = dice.choice([1, 1, 2])
        actor.has_decoy = dice.random() < 0.03
        if is_rush:
            actor.harm, actor.delay = 0.0, dice.uniform(0, 0.4)
        actors.append(actor)
    emails = [row["email"] for row in rows if row.get("email")]
    other = OtherProgram(
        world,
        seed=internet.seed,
        keys=emails,
        busy=dice.choice([0, 0, 3, 10]) if kind.family == "customers" else 0,
        longest=dice.choice([5.0, 60.0]),
        deletes=dice.random() < 0.2,
    )
    return Drawn(theme=theme, internet=internet, actors=actors, others=[other])


def _draw_two_keys(theme: str, dice: Random, internet: Internet, employ: Callable[[type[Actor], str], Actor]) -> Drawn:
    """Let runs write the same customers by different keys, each run a field of its own."""
    number, world = _draw_size(dice, 20), internet.world
    for one in range(number):
        customer = person(f"k{one}@x.cz", first_name="Old", last_name="Old")
        customer_id = world.put("customers", customer, by="beginning")
        card = {"card_number": f"c{one}", "card_type_id": "type", "state": 1, "customer_id": customer_id}
        world.put("cards", card, by="beginning")
    columns = {"by email": ("email", "k{}@x.cz", "first_name"), "by card": ("card_number", "c{}", "last_name")}
    team = {f"import {theme}": frozenset({column}) for theme, (_, _, column) in columns.items()}
    actors = []
    for kind, (key, value, column) in columns.items():
        actor = employ(Import, f"import {kind}")
        assert isinstance(actor, Import)
        actor.kind, actor.team = KINDS[kind], team
        actor.rows = [{key: value.format(one), column: f"Row {one}"} for one in range(number)]
        actor.delay = dice.uniform(0, dice.choice([0.1, 1.0, 10.0]))
        actors.append(actor)
    other = OtherProgram(world, seed=internet.seed, keys=[], busy=dice.choice([0, 0, 5]), longest=30.0, deletes=False)
    return Drawn(theme=theme, internet=internet, actors=actors, others=[other])


def _row(theme: str, number: int, dice: Random) -> Row:
    name = f"Row {number}"
    if dice.random() < 0.015:
        name += dice.choice([FAILS, REFUSED])
    if theme.startswith("products") or theme == "brands":
        key = KINDS[theme].match or ""
        return {key: f"p{number}", "name": name}
    row = {"first_name": dice.choice(["Ann", "Eva"]), "last_name": name, "language_id": "en"}
    if theme == "by card" and dice.random() < 0.3:
        row[dice.choice(["first_name", "last_name"])] = ""
    if theme in ("by email", "with parts"):
        row["email"] = f"k{number}@x.cz"
    if theme == "by external id":
        row["external_id"] = f"e{number}"
    if theme in ("by card", "with parts"):
        row["card_number"] = f"c{number}" if theme == "by card" or dice.random() < 0.7 else ""
        if theme == "with parts" and dice.random() < 0.04:
            row["card_number"] += dice.choice(["!404", "!405", "!409", "!413", "!422"])
    if theme == "with parts":
        row["property.p1"] = dice.choice(["red", "blue", ""])
        row["property.p2"] = dice.choice(["1", ""])
    return row


def _known(theme: str, rows: list[Row], internet: Internet, dice: Random) -> None:
    """Let the server know some of the records of rows, and others."""
    world = internet.world
    for name in ("p1", "p2"):
        world.put("customer_properties", {"property_id": name, "name": name}, by="beginning")
    known = dice.choice([0.0, 0.3, 1.0])
    for row in rows:
        if dice.random() >= known:
            continue
        if "name" in row:
            key = KINDS[theme].match or ""
            family = KINDS[theme].family
            more = NEW_PRODUCT if family == "products" else {}
            world.put(family, {key: row[key], "name": "Old", **more}, by="beginning")
            continue
        if theme == "without a key":
            continue
        if theme == "by card" and dice.random() < 0.3 and (cards := [*world.records["cards"].values()]):
            # Two cards of one customer: two rows lead to one record.
            card = {"card_number": row["card_number"], "card_type_id": "type", "state": 1}
            world.put("cards", {**card, "customer_id": cards[-1]["customer_id"]}, by="beginning")
            continue
        customer = person(row.get("email", f"{row['last_name'][:6]}@y.cz"), first_name="Old", last_name="Old")
        customer_id = world.put("customers", customer, by="beginning")
        if row.get("external_id"):
            record = {"customer_source_id": SOURCE, "external_id": row["external_id"], "customer_id": customer_id}
            world.put("customer_source_records", record, by="beginning")
        if row.get("card_number") and (theme == "by card" or dice.random() < 0.2):
            card = {"card_number": row["card_number"], "card_type_id": "type", "state": 1, "customer_id": customer_id}
            world.put("cards", card, by="beginning")
