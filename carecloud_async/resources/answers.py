"""What a declared method returns, made of an answer's body."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from carecloud_async._base import codec
from carecloud_async._base.codec.fields import core_type
from carecloud_async.models.base import Updatable

__all__ = ["decoder_of", "no_content"]

R = TypeVar("R", bound=Updatable)


def decoder_of(result: Any, unwrap: str | None) -> Callable[[bytes], Any]:
    """Return the function that makes the result of a body.

    Args:
        result: the type of the result; `None` for an answer that says nothing.
        unwrap: the name under `data` that alone is returned.
    """
    if result is None:
        return no_content
    if unwrap is None:
        keeps_source = isinstance(result, type) and issubclass(result, Updatable)
        return partial(_updatable if keeps_source else codec.record, into=result)
    core = core_type(result)
    return partial(codec.member, name=unwrap, into=core, required=not _may_be_missing(result))


def no_content(body: bytes) -> None:
    """Read the answer of an operation that returns nothing: it is empty, or the API's envelope without an error.

    Raises:
        Malformed: it is something else, such as an error or a maintenance page that comes with status 200.
    """
    if body:
        codec.require_no_error(body)


def _updatable(body: bytes, into: type[R]) -> R:
    record = codec.record(body, into)
    object.__setattr__(record, "_source", body)  # the class is frozen
    return record


def _may_be_missing(result: Any) -> bool:
    is_union = typing.get_origin(result) in {typing.Union, types.UnionType}
    return is_union and type(None) in typing.get_args(result)
