"""Calls made from plain values: the tests of requests rest on these."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import date
from typing import TypedDict, Unpack

import attrs
import pytest

from carecloud_async.models import AddressInput
from carecloud_async.resources import OPERATIONS
from tests.contract.arguments import call_of


class Paging(TypedDict, total=False):
    """Options of a list."""

    count: int
    offset: int


def declared(function):
    """Wrap a method as a decorator does, with a signature of its own."""

    @functools.wraps(function)
    def call(self, *args, **kwargs):
        return args, kwargs

    return call


class Oars:
    def __init__(self, boat_id):
        self.boat_id = boat_id

    @declared
    def list(self, *, length: Sequence[str] | None = None, since: date | None = None, **paging: Unpack[Paging]): ...

    @declared
    def replace(self, oar: str, *, address: AddressInput, notes: Sequence[AddressInput] | None = None): ...


class Boats:
    def oars(self, boat_id):
        return Oars(boat_id)

    @declared
    def cancel(self, boat_id: str, *, reason: str | None = None, unknown: NeverImported | None = None): ...  # noqa: F821


class Client:
    boats = Boats()


def call(name, ids, values):
    """Make a call of a made-up operation."""
    operation = attrs.evolve(OPERATIONS["getCustomers"], operation_id="made up", call=name)
    return call_of(Client(), "made up", ids=ids, values=values, operations={"made up": operation})


def test_a_sub_resource_takes_its_parents_id():
    """The ids of the path go to the parent first, and options of a list where they are unpacked."""
    made = call("boats.oars.list", {"boat_id": "b"}, {"count": 1, "length": ["x"], "since": "2020-02-03"})
    assert made.method.__self__.boat_id == "b"
    assert made.arguments == {"count": 1, "length": ["x"], "since": date(2020, 2, 3)}
    assert made.left == frozenset()


def test_inputs_are_built():
    """Objects become inputs, in lists as well, and an id finds its argument under another name."""
    values = {"address": {"city": "Brno"}, "notes": [{"zip": "1"}]}
    made = call("boats.oars.replace", {"boat_id": "b", "oar_id": "o"}, values)
    assert made.arguments == {
        "oar": "o",
        "address": AddressInput(city="Brno"),
        "notes": [AddressInput(zip="1")],
    }


def test_an_id_that_the_body_repeats():
    """The id of the path counts where the body has the same name; a hint that is not imported takes what comes."""
    made = call("boats.cancel", {"boat_id": "b"}, {"boat_id": "other", "unknown": {"a": 1}})
    assert made.arguments == {"boat_id": "b", "unknown": {"a": 1}}


def test_a_value_that_no_argument_takes_is_reported():
    """A name without an argument is left over."""
    assert call("boats.cancel", {"boat_id": "b"}, {"colour": "red"}).left == {"colour"}


def test_a_field_that_an_input_lacks():
    """A field without a place in its input is an error that names it."""
    with pytest.raises(AssertionError, match="AddressInput has no street"):
        call("boats.oars.replace", {"boat_id": "b", "oar_id": "o"}, {"address": {"street": "x"}})
