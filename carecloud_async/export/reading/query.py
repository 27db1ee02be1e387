"""`Query`: what an export needs to know of a listing, handed over as a value."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
from attrs import frozen

from carecloud_async.calls.caller import Caller
from carecloud_async.calls.operation import Operation

__all__ = ["Query"]


@frozen(kw_only=True)
class Query:
    """A list operation with its filters.

    Attributes:
        caller: makes the calls.
        operation: the list operation.
        key: the name of the list in its answer.
        into: the model of a record.
        path_params: values of the path's placeholders.
        params: filters and sort.
        count: records per page.
        offset: records to skip.
    """

    caller: Caller
    operation: Operation
    key: str
    into: Any
    path_params: Mapping[str, Any]
    params: Mapping[str, Any]
    count: int
    offset: int

    @property
    def name(self) -> str:
        """How logs and errors call the list."""
        return self.operation.call or self.operation.path

    def marks(self, **more: Any) -> dict[str, str]:
        """Return digests of everything that decides what is exported: what a checkpoint is bound to."""
        caller = self.caller
        parts = {
            "project": (caller.context.project.origin, str(caller.interface)),
            "list": (self.operation.method, self.operation.path, sorted(self.path_params.items())),
            "filters": sorted((name, value) for name, value in self.params.items() if value is not None),
            "language": caller.options.language,
            **more,
        }
        return {name: _digest(value) for name, value in parts.items()}


def _digest(value: Any) -> str:
    text = msgspec.json.encode(value, enc_hook=str)
    return hashlib.sha256(text).hexdigest()[:32]
