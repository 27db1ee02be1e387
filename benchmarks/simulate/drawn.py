"""`Drawn`: a simulation before it begins; how many rows or records it has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeAlias

from attrs import field, frozen

from benchmarks.simulate.actor import Actor
from benchmarks.simulate.foreign import OtherProgram
from benchmarks.simulate.network import Internet
from benchmarks.simulate.segments import OtherClerk

__all__ = ["Drawn", "Employ", "draw_size"]

#: Makes an actor, by its class and its name.
Employ: TypeAlias = "Callable[[type[Actor], str], Actor]"


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
    actors: list[Actor]
    others: Sequence[OtherProgram | OtherClerk] = field(factory=tuple)


def draw_size(dice: Random, most: int) -> int:
    """Return a number of rows or records: mostly a few, since that finds most in a second, and now and then many."""
    return min(int(2 * dice.paretovariate(1.3)), most) if dice.random() < 0.7 else 1
