"""Reading query parameters, and refusing those that the API would refuse."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from carecloud_async.sandbox.api.problems import InvalidParam, bad_request

DEFAULT_COUNT: Final = 100
MOST_VALUES: Final = 1000


@attrs.frozen
class Query:
    """The query of a request.

    Attributes:
        pairs: Name and value as they were sent, brackets included, in order.
    """

    pairs: tuple[tuple[str, str], ...]

    def one(self, name: str) -> str | None:
        """The last value of a parameter, as PHP reads it, or `None`."""
        return next((value for key, value in reversed(self.pairs) if key == name), None)

    def many(self, name: str) -> list[str] | None:
        """The values of a list parameter, which is sent as `name[]=a&name[]=b`, or `None`.

        Raises:
            RefusalError: 400 for the form without brackets, and for more values than the API takes.
        """
        if self.one(name) is not None:
            raise bad_request(InvalidParam(name=name, reason="invalid_value_format", message="An array is expected"))
        values = [value for key, value in self.pairs if key == f"{name}[]"]
        if len(values) > MOST_VALUES:
            raise bad_request(InvalidParam(name=name, reason="not_allowed_value", message="Too many values"))
        return values or None

    def integer(self, name: str, *, default: int, minimum: int) -> int:
        """Return an integer of at least `minimum`.

        Raises:
            RefusalError: 400 if it is not one.
        """
        text = self.one(name)
        if text is None:
            return default
        try:
            number = int(text)
        except ValueError:
            raise bad_request(InvalidParam(name=name, reason="invalid_value_format", value=text)) from None
        if number < minimum:
            raise bad_request(InvalidParam(name=name, reason="not_allowed_value", value=text))
        return number

    def boolean(self, name: str) -> bool:
        """Return a boolean; false if absent.

        Raises:
            RefusalError: 400 if it is neither `true`, `false`, `1` nor `0`.
        """
        text = self.one(name)
        if text in (None, "false", "0"):
            return False
        if text in ("true", "1"):
            return True
        raise bad_request(InvalidParam(name=name, reason="invalid_value_format", value=text))


@attrs.frozen(kw_only=True)
class Window:
    """A part of a list, and its order.

    Attributes:
        count: Most records wanted.
        offset: Records to skip.
        sort_field: Field to sort by, or `None` for the order in which the records came.
        descending: Whether the order is turned round.
    """

    count: int
    offset: int
    sort_field: str | None
    descending: bool


def window_of(query: Query, *, sortable: Iterable[str], sorts: bool) -> Window:
    """Read the parameters that every list has: `count`, `offset`, `sort_field`, `sort_direction`.

    Args:
        query: The query.
        sortable: Fields that `sort_field` may name.
        sorts: Whether the order is honoured; if not, the list comes as it is.

    Raises:
        RefusalError: 400 if one of them is not valid.
    """
    field = query.one("sort_field")
    if field is not None and field not in sortable:
        raise bad_request(InvalidParam(name="sort_field", reason="not_allowed_value", value=field))
    direction = query.one("sort_direction")
    if direction not in (None, "ASC", "DESC"):
        raise bad_request(InvalidParam(name="sort_direction", reason="not_allowed_value", value=direction))
    return Window(
        count=query.integer("count", default=DEFAULT_COUNT, minimum=1),
        offset=query.integer("offset", default=0, minimum=0),
        sort_field=field if sorts else None,
        descending=sorts and direction == "DESC",
    )
