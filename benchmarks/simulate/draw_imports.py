"""Draw bulk writes of customers, products and brands: the rows, what the server knows, and who writes them."""

from __future__ import annotations

from random import Random

from benchmarks.simulate.drawn import Drawn, Employ, draw_size
from benchmarks.simulate.foreign import OtherProgram, person
from benchmarks.simulate.imports import Import
from benchmarks.simulate.kinds import KINDS, NEW_PRODUCT, SOURCE, Row
from benchmarks.simulate.network import Internet
from benchmarks.simulate.server import FAILS, REFUSED
from benchmarks.simulate.troubles import Troubles

__all__ = ["draw_imports", "draw_row", "draw_two_keys", "make_known", "put_card"]


def draw_imports(theme: str, dice: Random, internet: Internet, employ: Employ) -> Drawn:
    kind = KINDS[theme]
    world = internet.world
    number = draw_size(dice, 40)
    rows = [draw_row(theme, one, dice) for one in range(number)]
    if theme == "by card":
        colours = Random(f"{internet.seed} colours")
        has_some = colours.random() < 0.5
        rows = [{**row, "property.p1": colours.choice(["red", "blue", ""]) if has_some else ""} for row in rows]
    make_known(theme, rows, internet, dice)
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


def put_card(internet: Internet, number: str, customer_id: str) -> None:
    """Let a customer have a card from the beginning."""
    card = {"card_number": number, "card_type_id": "type", "state": 1, "customer_id": customer_id}
    internet.world.put("cards", card, by="beginning")


def draw_two_keys(theme: str, dice: Random, internet: Internet, employ: Employ) -> Drawn:
    """Let runs write the same customers by different keys, each run a field of its own."""
    number, world = draw_size(dice, 20), internet.world
    for one in range(number):
        customer = person(f"k{one}@x.cz", first_name="Old", last_name="Old")
        customer_id = world.put("customers", customer, by="beginning")
        put_card(internet, f"c{one}", customer_id)
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


def draw_row(theme: str, number: int, dice: Random) -> Row:
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


def make_known(
    theme: str, rows: list[Row], internet: Internet, dice: Random, *, part: float | None = None, values: str = "Old"
) -> None:
    """Let the server know some of the records of rows, and others.

    Args:
        part: the part of them that it knows; drawn if left out.
        values: what it has in their fields: this, or the values of the rows (`same`).
    """
    world = internet.world
    for name in ("p1", "p2"):
        world.put("customer_properties", {"property_id": name, "name": name}, by="beginning")
    known = dice.choice([0.0, 0.3, 1.0]) if part is None else part
    for row in rows:
        if dice.random() >= known:
            continue
        if "name" in row:
            key = KINDS[theme].match or ""
            family = KINDS[theme].family
            more = NEW_PRODUCT if family == "products" else {}
            name = row["name"] if values == "same" else values
            world.put(family, {key: row[key], "name": name, **more}, by="beginning")
            continue
        if theme == "without a key":
            continue
        if theme == "by card" and dice.random() < 0.3 and (cards := [*world.records["cards"].values()]):
            # Two cards of one customer: two rows lead to one record.
            put_card(internet, row["card_number"], cards[-1]["customer_id"])
            continue
        names = {one: row[one] if values == "same" else values for one in ("first_name", "last_name")}
        customer = person(row.get("email", f"{row['last_name'][:6]}@y.cz"), **names)
        customer_id = world.put("customers", customer, by="beginning")
        if row.get("external_id"):
            record = {"customer_source_id": SOURCE, "external_id": row["external_id"], "customer_id": customer_id}
            world.put("customer_source_records", record, by="beginning")
        if row.get("card_number") and (theme == "by card" or dice.random() < 0.2):
            put_card(internet, row["card_number"], customer_id)
