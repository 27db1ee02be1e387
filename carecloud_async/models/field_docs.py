"""The docstring of a record with the meaning of its fields, for `help()`.

The meaning of a field is a literal below it, as editors show it. Python does not keep that literal, so it is read from
the source when `__doc__` is read. A field that means the same in every record, such as `valid_from` or `state`, has no
literal.
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

#: The fields that need no literal, with their meaning; `{}` is the record.
_CLEAR_BY_NAME: Final = {
    "additional_properties": "Values of the project's own properties.",
    "amount": "The quantity.",
    "bill_item_id": "Id of the line of the bill.",
    "code": "Code of the {}.",
    "created_at": "When the {} was created, in project-local time.",
    "description": "Description of the {}.",
    "email": "E-mail address.",
    "image_urls": "Addresses of the images.",
    "last_change": "When the record last changed, in project-local time.",
    "name": "Name of the {}.",
    "note": "Free text.",
    "plu_ids": "The product's codes in the product lists.",
    "property_records": "Values of the project's own properties.",
    "state": "State: 0 deleted, 1 active, 2 inactive (`RecordState`).",
    "tags": "Its tags.",
    "text": "The text.",
    "text_id": "Fixed text id of the {}, the same in all languages.",
    "utm": "Where the visit came from.",
    "valid_from": "When the {} begins to be valid.",
    "valid_to": "When the {} stops being valid.",
    "vat_rate": "VAT rate in percent.",
}
#: The same for the end of a name, where `{}` is its beginning.
_CLEAR_BY_ENDING: Final = {"_id": "Id of the {}.", "_name": "Name of the {}."}


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
    """Add the meaning of its fields to the docstring of a frozen class that is not a record, such as a report."""
    if cls.__doc__ is not None:
        cls.__doc__ = RecordDoc(cls.__doc__)  # type: ignore[assignment]  # (`type` asks a descriptor)
    return cls


def documented_fields(cls: type) -> dict[str, str]:
    """Return the meaning of each field that has one: from its literal, if there is one, else from its name.

    A literal of the class comes before those of its bases, and those before the literals of the record that an input
    becomes.
    """
    record = getattr(cls, "reads", None)
    documented = documented_fields(record) if record is not None else {}
    for base in reversed(cls.__mro__):
        by_name = {field: meaning_of(field, base.__name__) for field in inspect.get_annotations(base)}
        literals = _literals_of_module(base.__module__).get(base.__qualname__, {})
        documented = {name: text for name, text in by_name.items() if text} | documented | literals
    return documented


def meaning_of(field: str, owner: str) -> str:
    """Return the meaning that the names of a field and its class say; empty if they do not say everything."""
    if field in _CLEAR_BY_NAME:
        words = re.sub(r"(?<!^)(?=[A-Z])", " ", owner).lower()  # `CreditType` becomes `credit type`
        return _CLEAR_BY_NAME[field].format(words)
    for ending, meaning in _CLEAR_BY_ENDING.items():
        if field.endswith(ending):
            return meaning.format(field.removesuffix(ending).replace("_", " "))
    return ""


@cache
def _literals_of_module(name: str) -> Mapping[str, dict[str, str]]:
    """Return the literals below the fields of a module, by class and field; none if its source is not there."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[name]))
    except (OSError, TypeError, KeyError, SyntaxError):
        return {}
    return {node.name: _literals_of_class(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _literals_of_class(node: ast.ClassDef) -> dict[str, str]:
    return {
        field.target.id: " ".join(below.value.value.split())
        for field, below in pairwise(node.body)
        if isinstance(field, ast.AnnAssign)  # name: type = default
        and isinstance(field.target, ast.Name)
        and isinstance(below, ast.Expr)  # a literal alone
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }
