"""`--filter name=value` and `--fields`, read by what the operation and the model say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from carecloud_async._calls.call.filters import Kind
from carecloud_async._calls.call.operation import PAGING, Operation
from carecloud_async.cli.failures import UsageError, nearest
from carecloud_async.errors import ConfigurationError

__all__ = ["filter_names", "read_filters", "read_pairs", "read_value", "split_fields"]

_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def filter_names(operation: Operation) -> list[str]:
    """Return the names of an operation's filters."""
    return [name for name in operation.parameters if name not in PAGING]


def read_filters(operation: Operation, filters: Iterable[str], *, allow_unknown: bool = False) -> dict[str, Any]:
    """Read `name=value` pairs; a filter that takes several values may be repeated, or hold commas.

    Args:
        filters: the pairs.
        allow_unknown: whether a name may be none of the operation's filters; its values are then sent as text.

    Raises:
        UsageError: a pair is not readable, its name is unknown, or its value is of the wrong kind.
    """
    known = filter_names(operation)
    values: dict[str, Any] = {}
    for name, texts in read_pairs(filters, option="--filter", example="last_name=Smith").items():
        if name not in known and allow_unknown:
            values[name] = texts if len(texts) > 1 else texts[0]
            continue
        if name not in known:
            call = operation.call.removesuffix(".list")
            if not known:
                raise UsageError(f"{call} has no filter {name!r}, and no other either")
            raise UsageError(f"{call} has no filter {name!r}: {nearest(name, known)}")
        values[name] = read_value(f"--filter {name}", texts, operation.kinds[name])
    return values


def split_fields(fields: str) -> list[str]:
    """Return the names in the value of `--fields`.

    Raises:
        UsageError: one is empty.
    """
    names = [name.strip() for name in fields.split(",")]
    if not all(names):
        raise UsageError("--fields has an empty name: write them as customer_id,last_change")
    return names


def read_pairs(pairs: Iterable[str], *, option: str, example: str) -> dict[str, list[str]]:
    """Read `name=value` pairs into the texts given for each name; `name[]` means `name`.

    Raises:
        UsageError: a pair is not `name=value`.
    """
    found: dict[str, list[str]] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        name = name.strip().removesuffix("[]")
        if not equals or not name:
            raise UsageError(f"{option} {pair!r} is not name=value, such as {example}")
        found.setdefault(name, []).append(text)
    return found


def read_value(option: str, texts: list[str], kind: Kind) -> Any:
    """Return the value that texts on the command line mean.

    Args:
        option: the option, for messages.
        texts: what was given for one name.
        kind: what the name takes.

    Raises:
        UsageError: it takes another kind of value.
    """
    if kind.several and (not kind.single or len(texts) > 1):
        parts = [part.strip() for text in texts for part in text.split(",") if part.strip()]
        if not parts:
            raise UsageError(f"{option}= is empty, which the API would read as no filter at all: leave it out")
        value: Any = [_one(option, part, kind) for part in parts]
    elif len(texts) > 1:
        raise UsageError(f"{option} is given twice, and takes one value")
    else:
        value = _one(option, texts[0], kind)
    try:
        kind.check(option, value)
    except ConfigurationError as error:
        raise UsageError(str(error)) from None
    return value


def _one(option: str, text: str, kind: Kind) -> Any:
    if kind.of != "bool":
        return text
    if text.lower() not in _TRUTH:
        raise UsageError(f"{option} is true or false, not {text!r}")
    return _TRUTH[text.lower()]
