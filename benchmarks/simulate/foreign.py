"""Another program, which writes to the same server without asking anybody."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from random import Random

import anyio
from attrs import frozen

from benchmarks.simulate.world import FAMILIES, World, at_path

__all__ = ["Follower", "Mood", "OtherProgram", "person"]


class OtherProgram:
    """Creates, changes and deletes records at random times.

    Args:
        world: the records.
        seed: the seed.
        family: what it writes.
        keys: e-mail addresses that it may create.
        busy: its writes, about.
        longest: until when it works (seconds).
        deletes: whether it deletes too.
    """

    def __init__(
        self,
        world: World,
        *,
        seed: str,
        keys: list[str],
        busy: int,
        longest: float,
        deletes: bool,
        family: str = "customers",
    ) -> None:
        self._world = world
        self._dice = Random(f"{seed} other program")
        self._family = family
        self._keys = keys
        self._count = 0
        self._busy = busy
        self._longest = longest
        self._deletes = deletes

    async def live(self) -> None:
        """Write now and then."""
        times = sorted(self._dice.uniform(0, self._longest) for _ in range(self._busy))
        for at in times:
            await anyio.sleep(max(at - self._world.now(), 0))
            self._write()

    def _write(self) -> None:
        dice, world, family = self._dice, self._world, self._family
        records = world.records[family]
        kinds = ["create", "change", "change", "named", *(["delete"] if self._deletes else [])]
        kind = dice.choice(kinds)
        if kind == "create" or not records:
            self._create()
            return
        record = copy.deepcopy(records[dice.choice([*records])])
        if kind == "delete":
            world.delete(family, record[FAMILIES[family].id_field], by="another program")
            return
        name = dice.choice(["phone", "post_nominals", "nickname"]) if kind == "change" else "first_name"
        record.get("personal_information", record)[name] = f"{name} {dice.randrange(1000)}"
        world.put(family, record, by="another program")

    def _create(self) -> None:
        dice, world, family = self._dice, self._world, self._family
        self._count += 1
        if family == "purchases":
            bill: dict[str, object] = {"external_purchase_id": f"y{self._count}"}
            if self._keys and dice.random() < 0.6:
                bill = {"external_purchase_id": dice.choice(self._keys), "store_id": "store", "total_price": 10.0}
            if all(
                one["external_purchase_id"] != bill["external_purchase_id"] for one in world.records[family].values()
            ):
                world.put(family, bill, by="another program")
            return
        email = dice.choice(self._keys) if self._keys and dice.random() < 0.6 else f"o{self._count}@x.cz"
        taken = any(at_path(one, "personal_information.email") == email for one in world.records[family].values())
        if not taken:
            world.put(family, person(email, first_name="Other", last_name="Other"), by="another program")


def person(email: str, *, first_name: str, last_name: str) -> dict[str, object]:
    """Return a customer of another program; some of its fields no row names, and one the package does not know."""
    return {
        "personal_information": {
            "email": email, "first_name": first_name, "last_name": last_name, "language_id": "en",
            "post_nominals": "PhD", "phone": "420123456789", "nickname": "Al", "address": {"city": "Brno"},
        },
        "state": 1,
        "loyalty": {"points": 12},
    }  # fmt: skip


@frozen(kw_only=True)
class Mood:
    """What another program does right after pages are shown.

    Attributes:
        kind: "create", "delete", or "delete shown": a record of that page.
        part: the part of the pages after which it does so.
        pages: for how many pages.
    """

    kind: str
    part: float
    pages: int


class Follower:
    """Another program that writes just after a page was shown: what a reader of pages is troubled by most.

    Args:
        world: the records.
        seed: the seed.
        family: what it writes.
        moods: what it does, one after the other.
    """

    def __init__(self, world: World, *, seed: str, family: str, moods: Sequence[Mood]) -> None:
        self._world = world
        self._dice = Random(f"{seed} follower")
        self._family = family
        self._moods = [one for one in moods for _ in range(one.pages)]
        self._count = 0

    def see(self, shown: Sequence[str]) -> None:
        """Take note of a page with these ids."""
        if len(shown) < 2 or not self._moods:
            return
        mood, dice, world = self._moods.pop(0), self._dice, self._world
        if dice.random() >= mood.part:
            return
        if mood.kind == "create":
            self._count += 1
            customer = person(f"f{self._count}@x.cz", first_name="New", last_name="New")
            world.put(self._family, customer, by="another program")
            return
        records = world.records[self._family]
        living = [one for one in shown if one in records] if mood.kind == "delete shown" else [*records]
        if living:
            world.delete(self._family, dice.choice(living), by="another program")
