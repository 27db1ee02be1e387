"""Untidy records: only the fields at fault are read by the lenient rules, and msgspec reads the rest.

Fields that are known to be at fault are read in one pass (`widening`), others are mended as they show: one field seldom
makes a record untidy, and msgspec names it, `$.consents[0].last_change`. The result is that of the lenient path, at
half its cost. What cannot be mended this way takes the lenient path as a whole.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import msgspec
from attrs import frozen

from carecloud_async.codec import lenient
from carecloud_async.codec.envelope import value_decoder
from carecloud_async.codec.fields import core_type, element_type, field_types, is_model
from carecloud_async.codec.read import REFUSED
from carecloud_async.codec.repair import load
from carecloud_async.codec.widening import known_faults

__all__ = ["read_untidy", "structure_untidy"]

#: Fields at fault in one record; with more of them the lenient path costs less.
_MOST_FAULTS = 6

_PATH = re.compile(r"(?:\.[A-Za-z_]\w*|\[\d+\])+")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")


@frozen
class _Fault:
    """A field at fault in a record.

    Attributes:
        steps: the names and positions that lead to the object which holds the field.
        name: the field.
        read: reads its value by the lenient rules.
    """

    steps: tuple[str | int, ...]
    name: str
    read: Callable[[Any], Any]

    def mend(self, record: Any) -> bool:
        """Replace the field's value by what the lenient rules make of it; return whether it was found."""
        try:
            holder = functools.reduce(lambda value, step: value[step], self.steps, record)
            value = holder[self.name]
        except (LookupError, TypeError):
            return False
        if type(holder) is not dict:
            return False
        holder[self.name] = self.read(value)
        return True


def read_untidy(raw: bytes | msgspec.Raw, into: Any, *, problem: str) -> Any:
    """Read one record that msgspec has refused, with the result of `lenient.structure`.

    Args:
        raw: the record's JSON.
        into: the model class.
        problem: what msgspec says of it; empty if it cannot read that class.

    Raises:
        Malformed: it is nested too deeply.
    """
    known = known_faults(into)
    news = problem
    try:
        found = known.read(raw)
    except REFUSED as error:
        found, news = None, str(error)
    if found is not None:
        return found
    fault = _fault(into, _where(news))
    if fault is not None:
        known.learn((*(step for step in fault.steps if isinstance(step, str)), fault.name))
    return structure_untidy(load(raw), into, problem=problem)


def structure_untidy(value: Any, into: Any, *, problem: str = "") -> Any:
    """Build `into` from plain values with the result of `lenient.structure`; the values may be changed.

    Args:
        value: a record as plain Python values.
        into: the model class.
        problem: what msgspec says of the record's JSON, if it was asked.

    Raises:
        Malformed: a field without a default is missing; the SDK's own read models never raise it.
    """
    if type(value) is dict and value_decoder(into) is not None:
        where = _where(problem)
        for _ in range(_MOST_FAULTS):
            if where:
                fault = _fault(into, where)
                if fault is None or not fault.mend(value):
                    break
            before = where
            try:
                return msgspec.convert(value, into)
            except (ValueError, RecursionError) as error:
                where = _where(str(error))
            if where in {"", before}:
                break
    return lenient.structure(value, into)


def _where(problem: str) -> str:
    """Return the path in a message of msgspec, such as `.address.zip`; empty where there is none."""
    return problem.rpartition(" - at `$")[2].removesuffix("`") if " - at `$" in problem else ""


@functools.lru_cache(maxsize=1024)
def _fault(into: Any, where: str) -> _Fault | None:
    """Return the innermost field of a model that a path leads through, or `None` if there is none."""
    if not _PATH.fullmatch(where):
        return None
    hint = into
    fault: _Fault | None = None
    steps: tuple[str | int, ...] = ()
    for name, position in _STEP.findall(where):
        hint = core_type(hint)
        if name:
            if not is_model(hint) or name not in field_types(hint):
                return fault
            fault = _Fault(steps, name, lenient.field_reader(hint, name))
            hint = field_types(hint)[name]
        else:
            hint = element_type(hint)
            if hint is None:
                return fault
        steps += (name or int(position),)
    return fault
