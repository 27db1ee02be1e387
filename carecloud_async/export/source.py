"""`ExportSource`: what an export needs of a listing and its client, handed over as a value."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from attrs import frozen

from carecloud_async.calls.operation import Operation
from carecloud_async.project import Project
from carecloud_async.runtime.clock import Clock

if TYPE_CHECKING:
    from carecloud_async.calls.caller import Answer
    from carecloud_async.codec import DecodedPage

__all__ = ["ExportSource"]


@frozen(kw_only=True)
class ExportSource:
    """A list operation with its filters, and the means to read it.

    Attributes:
        operation: the list operation.
        key: the name of the list in its answer.
        into: the model of a record.
        params: filters and sort.
        count: records per page.
        offset: records to skip.
        scope: everything that decides which records the list holds, by what it is called in messages.
        fetch: sends the operation with query parameters and returns the records of the page, each as it was sent; a
            page that is cut off on its way is asked for again.
        project: the project; its time zone is that of the records.
        clock: the clock.
    """

    operation: Operation
    key: str
    into: Any
    params: Mapping[str, Any]
    count: int
    offset: int
    scope: Mapping[str, Any]
    fetch: Callable[[Mapping[str, Any]], Awaitable[Answer[DecodedPage[bytes]]]]
    project: Project
    clock: Clock

    @property
    def name(self) -> str:
        """The name of the list in logs and errors."""
        return self.operation.call or self.operation.path

    def fingerprints(self, **more: Any) -> dict[str, str]:
        """Return digests of everything that decides what is exported: a checkpoint is bound to them."""
        return {name: _digest(value) for name, value in {**self.scope, **more}.items()}


def _digest(value: Any) -> str:
    text = msgspec.json.encode(value, enc_hook=str)
    return hashlib.sha256(text).hexdigest()[:32]
