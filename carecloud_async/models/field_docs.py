"""The docstring of a record with the meaning of its fields, for `help()`.

Python does not keep the literal below a field, which editors show. It is read from the source when `__doc__` is. A
field whose name says all has no literal.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from textwrap import indent
from typing import Any, Final, TypeVar

import attrs

C = TypeVar("C", bound=type)

#: Names of fields that say all, with what they say of a record of a class.
_NAMES_SAY: Final = {
    "code": "Code of the {}.",
    "created_at": "When the {} was created, in project-local time.",
    "description": "Description of the {}.",
    "last_change": "When the record last changed, in project-local time.",
    "name": "Name of the {}.",
    "text_id": "Fixed text id of the {}, the same in all languages.",
    "valid_from": "When the {} begins to be valid.",
    "valid_to": "When the {} stops being valid.",
}


class RecordDoc:
    """A class's `__doc__`, which ends with a line for each field.

    Args:
        text: the docstring as it was written.
    """

    def __init__(self, text: str) -> None:
        self.text: str = text

    def __get__(self, _: object, owner: type) -> str:
        fields: Any = attrs.fields(owner) if attrs.has(owner) else ()
        documented = documented_fields(owner)
        lines = [
            f"{field.name}: {documented[field.name]}{' Read-only.' if field.metadata.get('read_only') else ''}"
            for field in fields
            if field.name in documented
        ]
        return f"{self.text}\n\nAttributes:\n{indent(chr(10).join(lines), '    ')}" if lines else self.text


def with_field_docs(cls: C) -> C:
    """Add the meaning of its fields to the docstring of a frozen class that is no record: a report, say."""
    if cls.__doc__ is not None:
        cls.__doc__ = RecordDoc(cls.__doc__)  # type: ignore[assignment]  # (`type` asks a descriptor)
    return cls


def documented_fields(cls: type) -> dict[str, str]:
    """Return the meaning of each field; an input's is that of the record that it becomes."""
    reads = getattr(cls, "reads", None)
    documented = documented_fields(reads) if reads is not None else {}
    for base in reversed(cls.__mro__):
        named = {field: meaning_of(field, base.__name__) for field in inspect.get_annotations(base)}
        written = _of_module(base.__module__).get(base.__qualname__, {})
        documented = {name: text for name, text in named.items() if text} | documented | written
    return documented


def meaning_of(field: str, owner: str) -> str:
    """Return what the name of a field says, given the name of its class; empty if it does not say all."""
    if field in _NAMES_SAY:
        return _NAMES_SAY[field].format(re.sub(r"(?<!^)(?=[A-Z])", " ", owner).lower())
    return f"Id of the {field.removesuffix('_id').replace('_', ' ')}." if field.endswith("_id") else ""


@cache
def _of_module(name: str) -> Mapping[str, dict[str, str]]:
    """Return the literals below fields, by class and field, of a module's source; none where there is no source."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[name]))
    except (OSError, TypeError, KeyError, SyntaxError):
        return {}
    return {node.name: _of_class(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _of_class(node: ast.ClassDef) -> dict[str, str]:
    return {
        field.target.id: " ".join(below.value.value.split())
        for field, below in pairwise(node.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }
