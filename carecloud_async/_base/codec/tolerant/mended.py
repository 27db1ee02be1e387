"""Records with a few misfits: only these fields are read by the tolerant rules, and msgspec reads the rest.

msgspec reports the path of the first misfit, such as `$.consents[0].last_change`; its value is corrected, and msgspec
decodes again. The result is that of `records`, at half the cost. A record that cannot be corrected in this way is read
by `records`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import msgspec
from attrs import frozen

from carecloud_async._base.codec.envelope import value_decoder
from carecloud_async._base.codec.fields import core_type, element_type, field_types, is_model
from carecloud_async._base.codec.tolerant import records
from carecloud_async._base.codec.tolerant.broken_json import load

__all__ = ["read_record", "structure"]

#: With more misfits in a record than these, cattrs costs less.
_MOST_MISFITS = 6

_PATH = re.compile(r"(?:\.[A-Za-z_]\w*|\[\d+\])+")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")


@frozen
class _Misfit:
    """A field of a record whose value does not fit.

    Attributes:
        steps: the names and positions that lead to the object which holds the field.
        name: the field.
        read: reads its value by the tolerant rules.
    """

    steps: tuple[str | int, ...]
    name: str
    read: Callable[[Any], Any]

    def mend(self, record: Any) -> bool:
        """Replace the field's value by the result of the tolerant rules; return whether the field was found."""
        try:
            holder = functools.reduce(lambda value, step: value[step], self.steps, record)
            value = holder[self.name]
        except (LookupError, TypeError):
            return False
        if type(holder) is not dict:
            return False
        holder[self.name] = self.read(value)
        return True


def read_record(raw: bytes | msgspec.Raw, into: Any, *, problem: str) -> Any:
    """Read one record that msgspec has refused, with the result of `records.structure`.

    Args:
        raw: the record's JSON.
        into: the model class.
        problem: msgspec's message; empty if it cannot read that class.

    Raises:
        Malformed: it is nested too deeply.
    """
    return structure(load(raw), into, problem=problem)


def structure(value: Any, into: Any, *, problem: str = "") -> Any:
    """Build `into` from plain values with the result of `records.structure`; the values may be changed.

    Args:
        value: a record as plain Python values.
        into: the model class.
        problem: msgspec's message about the record's JSON, if there is one.

    Raises:
        Malformed: a field without a default is missing; the SDK's own read models never raise it.
    """
    if type(value) is dict and value_decoder(into) is not None:
        where = _where(problem)
        for _ in range(_MOST_MISFITS):
            if where:
                misfit = _misfit(into, where)
                if misfit is None or not misfit.mend(value):
                    break
            before = where
            try:
                return msgspec.convert(value, into)
            except (ValueError, RecursionError) as error:
                where = _where(str(error))
            if where in {"", before}:
                break
    return records.structure(value, into)


def _where(problem: str) -> str:
    """Return the path in a message of msgspec, such as `.address.zip`; empty if there is none."""
    return problem.rpartition(" - at `$")[2].removesuffix("`") if " - at `$" in problem else ""


@functools.lru_cache(maxsize=1024)
def _misfit(into: Any, where: str) -> _Misfit | None:
    """Return the innermost field of a model that a path leads through, or `None` if there is none."""
    if not _PATH.fullmatch(where):
        return None
    hint = into
    misfit: _Misfit | None = None
    steps: tuple[str | int, ...] = ()
    for name, position in _STEP.findall(where):
        hint = core_type(hint)
        if name:
            if not is_model(hint) or name not in field_types(hint):
                return misfit
            misfit = _Misfit(steps, name, records.field_reader(hint, name))
            hint = field_types(hint)[name]
        else:
            hint = element_type(hint)
            if hint is None:
                return misfit
        steps += (name or int(position),)
    return misfit
