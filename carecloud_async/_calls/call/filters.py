"""Checks query parameters: the API ignores a filter that it cannot read, and returns all records.

The kind of a parameter comes from the annotation of the declared method's argument: `str | None` takes one text,
`Sequence[str] | None` several, `date | str | None` a day. A value that is sent as the same text is accepted too: a
number for a text, `"5"` for a number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sized
from datetime import date, datetime
from enum import Enum
from functools import cache
from typing import Any, Final

from attrs import frozen

from carecloud_async._base.runtime.suggestions import did_you_mean
from carecloud_async.errors import ConfigurationError
from carecloud_async.models.input_fields import dotted_day

__all__ = ["MAX_VALUES", "Kind", "check_count", "check_filters", "check_names", "kind_of"]

#: The most values that the API takes in one filter.
MAX_VALUES: Final = 1000

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2})?)?", re.ASCII)
_LITERAL = re.compile(r"Literal\[(.*)\]")
_SEQUENCE = re.compile(r"(?:Sequence|Iterable|list|tuple)\[(\w+).*\]")


def _text(value: Any) -> bool:
    return (isinstance(value, str) and bool(value.strip())) or _whole(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _int(value: Any) -> bool:
    return _whole(value) or (isinstance(value, str) and re.fullmatch(r"-?\d+", value, re.ASCII) is not None)


def _number(value: Any) -> bool:
    if isinstance(value, str):
        return re.fullmatch(r"-?\d+(\.\d+)?", value, re.ASCII) is not None
    return _whole(value) or (isinstance(value, float) and math.isfinite(value))


def _bool(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, str) and value in {"true", "false"})


def _day(value: Any) -> bool:
    return isinstance(value, date) or (
        isinstance(value, str) and (_reads(value, _DAY) or dotted_day(value) is not None)
    )


def _moment(value: Any) -> bool:
    return isinstance(value, date) or (isinstance(value, str) and _reads(value, _TIME))


def _is_several(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | bytearray | Mapping)


def _reads(text: str, pattern: re.Pattern[str]) -> bool:
    if pattern.fullmatch(text) is None:
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


#: For each kind: the function that accepts its values, and its name in errors.
_TAKES: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "str": (_text, "one non-empty text"),
    "int": (_int, "a whole number"),
    "float": (_number, "a number"),
    "bool": (_bool, "True or False"),
    "date": (_day, "a date, or text like 1985-02-12 or 12.02.1985"),
    "datetime": (_moment, "a datetime, or text like 2026-11-01 18:30:00"),
}


@frozen
class Kind:
    """The values that a query parameter takes.

    Attributes:
        of: `str`, `int`, `float`, `bool`, `date` or `datetime`.
        several: whether it takes several values, and is sent as `name[]=…`.
        single: whether it takes one value that is not in a list.
        choices: the only texts that it takes; empty if it takes any.
    """

    of: str
    several: bool = False
    single: bool = True
    choices: tuple[str, ...] = ()

    def check(self, name: str, value: Any) -> None:
        """Raise unless a value is of this kind.

        Raises:
            ConfigurationError: naming the parameter and what it takes; the value is never quoted.
        """
        if isinstance(value, str) and self.of == "str" and self.single and value and not value.isspace():
            if self.choices and self._choice(value) is None:
                raise ConfigurationError(f"{name} takes {' or '.join(self.choices)}")
            return
        if type(value) in {list, tuple} or _is_several(value):
            self._check_several(name, value)
        elif not self.single:
            raise ConfigurationError(f"{name} takes several values: give a list, even of one")
        elif not self._takes(value):
            raise ConfigurationError(f"{name} takes {self.wanted}, not {_described(value)}")

    def _check_several(self, name: str, values: Any) -> None:
        if not self.several:
            raise ConfigurationError(f"{name} takes {self.wanted}, not several: the API would drop the filter")
        if not isinstance(values, (list, tuple, set, frozenset)) and not hasattr(values, "__len__"):
            raise ConfigurationError(f"{name} takes a list, not a {type(values).__name__}, which can be read only once")
        check_count(name, values)
        if not all(map(self._takes, values)):
            raise ConfigurationError(f"each value of {name} must be {self.wanted}")

    def _takes(self, value: Any) -> bool:
        if isinstance(value, Enum):
            value = value.value
        return _TAKES[self.of][0](value) and (not self.choices or self._choice(value) is not None)

    def _choice(self, value: Any) -> str | None:
        """Return the choice that a value names, in capital letters or small ones."""
        text = str(value).casefold()
        return next((choice for choice in self.choices if choice.casefold() == text), None)

    def settled(self, value: Any) -> Any:
        """Return the value to send: the day that a datetime or `DD.MM.YYYY` means, a choice in the API's spelling."""
        if self.of == "date":
            return value.date() if isinstance(value, datetime) else dotted_day(str(value)) or value
        return self._choice(value) if self.choices and isinstance(value, str) else value

    @property
    def wanted(self) -> str:
        """A description of one value for messages."""
        return " or ".join(self.choices) or _TAKES[self.of][1]


def check_count(name: str, values: Sized) -> None:
    """Raise unless the API takes as many values of one parameter.

    Raises:
        ConfigurationError: there is none, or too many; the message names the parameter.
    """
    if not len(values):  # columns of data frames have no truth value
        raise ConfigurationError(
            f"{name} is empty, which the API would read as no filter at all: leave it out to get all records, or send "
            "nothing"
        )
    if len(values) > MAX_VALUES:
        raise ConfigurationError(
            f"{name} has {len(values)} values, the API takes {MAX_VALUES}: split the list into several requests"
        )


def _described(value: Any) -> str:
    if isinstance(value, str):
        return "an empty one" if not value.strip() else "such text"
    return type(value).__name__


@cache
def kind_of(annotation: str) -> Kind:
    """Return the kind that an argument's annotation stands for.

    Args:
        annotation: the text of the annotation, such as `date | str | None`.

    Raises:
        TypeError: it is not a kind of a query parameter.
    """
    literal = _LITERAL.search(annotation)
    if literal is not None:
        return Kind("str", choices=tuple(part.strip(" \"'") for part in literal[1].split(",")))
    several = _SEQUENCE.search(annotation)
    alone = {word.strip() for word in _SEQUENCE.sub("", annotation).split("|")} - {"None", ""}
    names = alone or ({several[1]} if several is not None else set())
    for name in ("datetime", "date", "bool", "float", "int", "str"):
        if name in names:
            return Kind(name, several=several is not None, single=bool(alone))
    raise TypeError(f"a query parameter cannot be annotated {annotation!r}")


def check_filters(kinds: Mapping[str, Kind], params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Check the query of an operation; `None` values are left out when it is sent.

    A name that the operation does not have is not checked here; see `check_names`. A `[]` after a name is ignored.

    Args:
        kinds: what the operation's query names take; see `Operation.kinds`.
        params: the query.

    Returns:
        the query to send: the same mapping, or a copy with the values that are spelled in another way; see
        `Kind.settled`.

    Raises:
        ConfigurationError: a value is of the wrong kind; the message names the parameter and what it takes.
    """
    if not isinstance(params, Mapping):
        raise ConfigurationError('params must be a dict; a list is written {"name": [1, 2]}')
    settled: dict[str, Any] = {}
    for name, value in params.items():
        if value is None:
            continue
        kind = kinds.get(name) or kinds.get(name.removesuffix("[]"))
        if kind is not None:
            kind.check(name, value)
            to_send = kind.settled(value)
            if to_send is not value:
                settled[name] = to_send
    return {**params, **settled} if settled else params


def check_names(title: str, known: Iterable[str], params: Mapping[str, Any]) -> None:
    """Check that an operation has every given query parameter: the API ignores a name that it does not know.

    Args:
        title: the operation, for the message.
        known: the query names that it takes.
        params: the query; `name[]` means `name`.

    Raises:
        ConfigurationError: a name is unknown; the message has the nearest one.
    """
    names = set(known)
    for name in params:
        if not isinstance(name, str) or name.removesuffix("[]") not in names:
            hint = did_you_mean(str(name), names)
            raise ConfigurationError(
                f"{title} has no parameter {name!r}{hint}; the API would ignore it. allow_unknown=True sends it"
            )
