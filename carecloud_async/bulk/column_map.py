"""`columns=`: the field of each column, and what its words mean: a mapping, or a file of TOML or JSON.

"E-mail" = "email"
"Note" = ""                                     # passed over

["Gender"]
field = "gender"
words = { "muž" = "MALE", "žena" = "FEMALE" }
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs
from attrs import frozen

from carecloud_async.bulk.errors import BadSourceError

__all__ = ["Target", "column_map"]

_READERS: Final = {".toml": tomllib.loads, ".json": json.loads}
_KEYS: Final = {"field", "words"}


@frozen(kw_only=True)
class Target:
    """The field that a column leads to.

    Attributes:
        field: the field; empty for a column that is passed over.
        words: word → the value that it stands for; words are compared without their case.
    """

    field: str
    words: Mapping[str, Any] = attrs.field(factory=dict)


def column_map(given: Mapping[str, Any] | str | os.PathLike[str] | None) -> Mapping[str, Target]:
    """Return what `columns=` says of each column; reads the file that it names.

    Raises:
        BadSourceError: the file cannot be read, or holds no such mapping.
    """
    label, columns = "columns", given or {}
    if isinstance(columns, (str, os.PathLike)):
        label, columns = os.fspath(columns), _read(Path(columns))
    if not isinstance(columns, Mapping):
        raise BadSourceError(f"{label}: it is no mapping of columns to fields")
    return {str(name): _target(label, str(name), target) for name, target in columns.items()}


def _read(path: Path) -> Any:
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise BadSourceError(f"{path}: columns= takes a mapping, or a file that ends with .toml or .json")
    try:
        return reader(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise BadSourceError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        from carecloud_async.bulk.sources.encodings import likely_encoding  # only needed for this error

        raise BadSourceError(
            f"{path}: it is not UTF-8, but probably {likely_encoding(error.object)}: save it as UTF-8"
        ) from None
    except (ValueError, RecursionError) as error:
        raise BadSourceError(f"{path}: it cannot be read: {error}") from None


def _target(label: str, column: str, given: Any) -> Target:
    if isinstance(given, Target):
        return given
    if isinstance(given, str):
        return Target(field=given)
    words = given.get("words", {}) if isinstance(given, Mapping) else None
    if not isinstance(given, Mapping) or not given.keys() <= _KEYS or not isinstance(words, Mapping):
        raise BadSourceError(
            f"{label}: {column!r} takes the name of a field, or field and words, such as "
            '{field = "gender", words = {F = "FEMALE"}} in TOML'
        )
    return Target(
        field=str(given.get("field", column)),
        words={str(word).strip().casefold(): value for word, value in words.items()},
    )
