"""`UNSET`: the value of an input field that was not given, as opposed to one that was set to null."""

from __future__ import annotations

import enum
from typing import Final, Literal

__all__ = ["UNSET", "Unset"]


class Unset(enum.Enum):
    """The type of `UNSET`. An enum, so that it stays a singleton after pickling and type checkers narrow `is UNSET`."""

    UNSET = "UNSET"

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "UNSET"

    __str__ = __repr__


UNSET: Final = Unset.UNSET
"""Not given: the field is left out of the request. `None` sends null, `""` sends an empty string."""
