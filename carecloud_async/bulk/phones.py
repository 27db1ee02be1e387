"""Phone numbers of rows, in the form that the API takes: digits with the international prefix, such as 420603123456."""

from __future__ import annotations

import re
from typing import Any, Final

from carecloud_async._base.codec.fields import core_types, is_model, typed_cache

__all__ = ["PHONES", "phone_number", "phone_paths"]

#: The fields that hold a phone number.
PHONES: Final = frozenset({"phone", "phone_number"})

#: A number may have 15 digits (ITU-T E.164); a national number begins with 0, and its country is not known.
_NUMBER: Final = re.compile(r"(?:\+|00)?([1-9]\d{4,14})", re.ASCII)
#: What people put between digits: any blank, hyphens and dashes, brackets, points and slashes.
_BETWEEN: Final = re.compile("[\\s\u200b\u2010-\u2015()./-]+")


def phone_number(text: str) -> str | None:
    """Return the digits of a phone number; `None` if the text is no phone number or has no international prefix."""
    # `.0` is what a data frame adds to a column of numbers with gaps; (0) is left out by who dials the prefix.
    plain = re.sub(r"(?<=\d)\.0$", "", text.strip()).replace("(0)", "")
    found = _NUMBER.fullmatch(_BETWEEN.sub("", plain))
    return None if found is None else found[1]


@typed_cache
def phone_paths(model: Any) -> tuple[str, ...]:
    """Return the dotted fields of a model that hold phone numbers."""
    found: list[str] = []
    for name, core in ({} if model is None else core_types(model)).items():
        if is_model(core):
            found += [f"{name}.{path}" for path in phone_paths(core)]
        elif name in PHONES:
            found.append(name)
    return tuple(found)
