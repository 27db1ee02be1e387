"""Simulations that concentrate on one trouble, just where it does most harm, again and again.

What is drawn for each request alone rarely meets: a token that is refused with a write under way, a login that takes
long, and another program that changes this very record meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final, TypeAlias

from benchmarks.simulate.draw_imports import draw_row, put_card
from benchmarks.simulate.drawn import Drawn, Employ
from benchmarks.simulate.foreign import Follower, Mood, OtherProgram, person
from benchmarks.simulate.imports import Import
from benchmarks.simulate.kinds import KINDS, Row
from benchmarks.simulate.network import Internet
from benchmarks.simulate.nights import Export, StateExport
from benchmarks.simulate.troubles import Troubles

__all__ = ["FOCUSED", "focus_of"]

#: The part of all simulations that concentrate on something.
_PART: Final = 0.12

_Draw: TypeAlias = Callable[[str, Random, Internet, Employ], Drawn]


def focus_of(seed: int) -> str | None:
    """Return the theme of a simulation that concentrates on something; `None` for the others."""
    dice = Random(f"{seed} focus")
    return dice.choice([*FOCUSED]) if dice.random() < _PART else None


def _employ_imports(kind: str, rows: list[Row], number: int, employ: Employ, dice: Random) -> Sequence[Import]:
    actors = []
    for one in range(number):
        actor = employ(Import, f"import{one + 1}")
        assert isinstance(actor, Import)
        actor.kind, actor.rows = KINDS[kind], rows
        actor.delay = dice.choice([0.0, dice.uniform(0, 1), dice.uniform(0, 30)])
        actors.append(actor)
    return actors


def _put_customer(internet: Internet, row: Row) -> str:
    customer = person(row.get("email") or f"{row['last_name']}@y.cz", first_name="Old", last_name="Old")
    return internet.world.put("customers", customer, by="beginning")


def _put_customers(internet: Internet, number: int) -> None:
    for one in range(number):
        internet.world.put("customers", person(f"b{one}@x.cz", first_name="A", last_name="B"), by="beginning")


def _draw_slow_logins(theme: str, _: Random, internet: Internet, employ: Employ) -> Drawn:
    """Let tokens be refused with a PUT under way, and logins take long, while another program changes the records."""
    dice = Random(f"{internet.seed} {theme}")
    internet.troubles = Troubles(refused_puts=0.4, slow_logins=25.0)
    rows = [draw_row("by email", number, dice) for number in range(dice.randint(1, 5))]
    for row in rows:
        _put_customer(internet, row)
    other = OtherProgram(internet.world, seed=internet.seed, keys=[], busy=30, longest=60.0, deletes=False)
    actors = _employ_imports("by email", rows, 1, employ, dice)
    return Drawn(theme=theme, internet=internet, actors=actors, others=[other])


def _draw_kills_after_waits(theme: str, _: Random, internet: Internet, employ: Employ) -> Drawn:
    """Let two runs write the same rows by card, and each be killed when it learns what became of lost creates."""
    dice = Random(f"{internet.seed} {theme}")
    internet.troubles = Troubles(writes=0.4)
    rows = [draw_row("by card", number, dice) for number in range(dice.randint(1, 4))]
    actors = _employ_imports("by card", rows, 2, employ, dice)
    for actor in actors:
        actor.harm, actor.harms = 0.8, ["after a wait"]
    return Drawn(theme=theme, internet=internet, actors=actors)


def _draw_late_parts(theme: str, _: Random, internet: Internet, employ: Employ) -> Drawn:
    """Let two rows each write a property of one customer, and the first one's request act when its run was killed."""
    dice = Random(f"{internet.seed} {theme}")
    internet.troubles = Troubles(late_writes=0.5)
    internet.world.put("customer_properties", {"property_id": "p1", "name": "p1"}, by="beginning")
    rows: list[Row] = []
    for number in range(dice.randint(1, 3)):
        customer_id = _put_customer(internet, {"last_name": f"No {number}"})
        for letter in "ab":
            put_card(internet, f"{letter}{number}", customer_id)
            value = dice.choice(["red", "blue", "green"])
            rows.append({"card_number": f"{letter}{number}", "last_name": f"No {number}", "property.p1": value})
    rows.sort(key=lambda row: row["card_number"] if dice.random() < 0.5 else "")
    actors = _employ_imports("by card", rows, dice.choice([1, 1, 2]), employ, dice)
    for actor in actors:
        actor.harm, actor.harms = 0.9, ["time", "cancel"]
    return Drawn(theme=theme, internet=internet, actors=actors)


def _draw_records_go(theme: str, _: Random, internet: Internet, employ: Employ) -> Drawn:
    """Let another program delete records that were just shown, while rows are looked up in pages of three."""
    dice = Random(f"{internet.seed} {theme}")
    internet.troubles = Troubles()
    internet.server.page_cap = 3
    rows = [draw_row("by email", number, dice) for number in range(dice.randint(4, 9))]
    for row in rows:
        _put_customer(internet, row)
    _follow(internet, [Mood(kind="delete shown", part=0.3, pages=20)])
    actors = _employ_imports("by email", rows, dice.choice([1, 1, 2]), employ, dice)
    return Drawn(theme=theme, internet=internet, actors=actors)


def _draw_restless_exports(theme: str, _: Random, internet: Internet, employ: Employ) -> Drawn:
    """Let a list grow and shrink while it is read, or its pages lack some of its records."""
    dice = Random(f"{internet.seed} {theme}")
    lags = ((0.0, dice.choice([20.0, 1e5])),) if dice.random() < 0.4 else ()
    internet.troubles = Troubles(lags=lags, hollow=dice.choice([0.0, 0.1]))
    _put_customers(internet, dice.choice([dice.randint(2, 5), *[dice.randint(15, 50)] * 3]))
    grows = Mood(kind="create", part=dice.uniform(0.3, 1), pages=dice.randint(4, 20))
    shrinks = Mood(kind="delete", part=dice.uniform(0, 1), pages=dice.randint(4, 20))
    calm = Mood(kind="create", part=0.0, pages=dice.choice([0, 5]))
    # Other writes would explain what the answers of an index that lags leave out: class C of the model.
    _follow(internet, [] if lags else [calm, grows, shrinks])
    actor = employ(Export, "reader1")
    assert isinstance(actor, Export)
    actor.count, actor.concurrency = dice.choice([1, 2, 3, 5]), dice.choice([1, 1, 3, 8])
    return Drawn(theme=theme, internet=internet, actors=[actor])


def _draw_emptied_exports(theme: str, _: Random, internet: Internet, employ: Employ) -> Drawn:
    """Let a list be empty for a time while it is read: a right is taken away, or the server restarts."""
    dice = Random(f"{internet.seed} {theme}")
    begin = dice.uniform(0.2, 2.0)
    internet.troubles = Troubles(emptied=((begin, begin + dice.choice([0.3, 3.0, 60.0, 1e5])),))
    internet.server.page_cap = dice.choice([3, 7, 1000])
    _put_customers(internet, dice.randint(2, 50))
    actor = employ(Export, "reader1")
    assert isinstance(actor, Export)
    actor.count, actor.concurrency = dice.choice([2, 3, 5]), dice.choice([1, 1, 3, 8])
    return Drawn(theme=theme, internet=internet, actors=[actor])


def _draw_lagging_exports(theme: str, _: Random, internet: Internet, employ: Employ) -> Drawn:
    """Let what changed be exported night after night while the index of the list lags behind."""
    dice = Random(f"{internet.seed} {theme}")
    until = dice.uniform(12_000, 25_000)
    internet.server.ignores_sort, internet.server.page_cap = False, 1000
    internet.troubles = Troubles(lags=((9100.0, until),))
    _put_customers(internet, dice.randint(10, 30))
    other = OtherProgram(internet.world, seed=internet.seed, keys=[], busy=40, longest=until, deletes=False)
    actor = employ(StateExport, "reader1")
    assert isinstance(actor, StateExport)
    actor.delay, actor.nights, actor.count = 9000.0, 4, dice.choice([None, 3, 7])
    return Drawn(theme=theme, internet=internet, actors=[actor], others=[other])


def _follow(internet: Internet, moods: Sequence[Mood]) -> None:
    follower = Follower(internet.world, seed=internet.seed, family="customers", moods=moods)
    internet.follower = lambda sight: follower.see(sight.ids) if sight.path == "/customers" else None


#: Theme → what draws it.
FOCUSED: Final[Mapping[str, _Draw]] = {
    "slow logins": _draw_slow_logins,
    "kills after waits": _draw_kills_after_waits,
    "late parts": _draw_late_parts,
    "records go": _draw_records_go,
    "restless exports": _draw_restless_exports,
    "emptied exports": _draw_emptied_exports,
    "lagging exports": _draw_lagging_exports,
}
