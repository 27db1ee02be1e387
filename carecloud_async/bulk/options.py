"""The options of a bulk write, checked.

`columns=` says the field of each column, and what its words mean: a mapping, or a file of TOML or JSON.

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
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypedDict

import attrs
from attrs import field, frozen

from carecloud_async._base.runtime.validators import require_int
from carecloud_async.bulk.errors import BadSourceError
from carecloud_async.bulk.machine import check_settle
from carecloud_async.bulk.report import OnBulkProgress
from carecloud_async.bulk.spellings import day_pattern, phone_prefix
from carecloud_async.errors import ConfigurationError
from carecloud_async.fixes import NAME_DATES, NAME_PREFIX

_READERS: Final[Mapping[str, Callable[[str], Any]]] = {".toml": tomllib.loads, ".json": json.loads}
_KEYS: Final = {"field", "words"}
#: From this row on a part of the rows can be too many refused ones.
FIRST_ROWS = 100


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


class RowOptions(TypedDict, total=False):
    """The options of a bulk write that are about each row; see `bulk_write`."""

    mode: Literal["upsert", "create", "update"]
    columns: Mapping[str, Any] | str | os.PathLike[str] | None
    ignore_columns: Collection[str]
    defaults: Mapping[str, Any] | None
    values: Mapping[str, Any] | None
    blank: Literal["keep", "clear"]
    if_unchanged: bool
    concurrency: int | None
    date_format: str | None
    phone_prefix: str | None
    as_written: Collection[str]
    settle: float | None


def _or_empty(values: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return values or {}


@frozen(kw_only=True)
class BulkWriteOptions:
    """See `bulk_write`, whose arguments these are."""

    match: str | None = None
    mode: Literal["upsert", "create", "update"] = "upsert"
    columns: Mapping[str, Target] = field(factory=dict, converter=column_map)
    ignore_columns: Collection[str] = ()
    defaults: Mapping[str, Any] = field(factory=dict, converter=_or_empty)
    values: Mapping[str, Any] = field(factory=dict, converter=_or_empty)
    blank: Literal["keep", "clear"] = "keep"
    if_unchanged: bool = False
    results: str | os.PathLike[str] | None = None
    rejects: str | os.PathLike[str] | None = None
    journal: str | os.PathLike[str] | None = None
    resume: bool = False
    limit: int | None = None
    dry_run: bool = False
    max_refused: float | None = None
    concurrency: int | None = None
    on_progress: OnBulkProgress | None = None
    encoding: str | None = None
    decimal: Literal[".", ","] | None = None
    date_format: str | None = None
    phone_prefix: str | None = None
    as_written: Collection[str] = ()
    settle: float | None = field(default=None, validator=lambda _, __, value: check_settle(value))

    def __attrs_post_init__(self) -> None:
        for name, allowed in (("mode", ("upsert", "create", "update")), ("blank", ("keep", "clear"))):
            if getattr(self, name) not in allowed:
                raise ConfigurationError(f"{name} is one of {', '.join(allowed)}")
        if self.decimal not in {None, ".", ","}:
            raise ConfigurationError("decimal is '.' or ','")
        try:
            day_pattern("d.m.yyyy" if self.date_format is None else self.date_format)
        except (AttributeError, ValueError):
            raise ConfigurationError("this is no format of dates", fix=NAME_DATES) from None
        given: object = self.phone_prefix
        if given is not None and not (isinstance(given, str) and phone_prefix(given)):
            raise ConfigurationError("this is no international prefix of phone numbers", fix=NAME_PREFIX)
        if self.match is None and self.mode == "update":
            raise ConfigurationError("mode='update' needs match=, the key that names a record")
        if self.match is None and self.if_unchanged:
            raise ConfigurationError("if_unchanged needs match=, the key that names a record")
        for name in ("ignore_columns", "as_written"):
            if isinstance(getattr(self, name), str):
                raise ConfigurationError(f"{name} takes a list of names")
        if self.limit is not None:
            require_int("limit", self.limit, least=1)
        if self.concurrency is not None:
            require_int("concurrency", self.concurrency, least=1)
        if self.max_refused is not None:
            if isinstance(self.max_refused, bool) or not isinstance(self.max_refused, (int, float)):
                raise ConfigurationError("max_refused is a number of rows, or a part of them between 0 and 1")
            if not self.max_refused >= 0:  # NaN is refused too
                raise ConfigurationError("max_refused is at least 0")

    @property
    def prefix_digits(self) -> str:
        """The digits of `phone_prefix`; empty without it."""
        return "" if self.phone_prefix is None else phone_prefix(self.phone_prefix) or ""

    def too_many(self, refused: int, rows: int) -> bool:
        """Return whether this many refused rows, of those seen so far, stop the run."""
        most = self.max_refused
        if most is None:
            return False
        if isinstance(most, float) and 0 < most < 1:
            return rows >= FIRST_ROWS and refused > most * rows
        return refused > most
