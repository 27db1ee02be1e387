"""The families of the API, and the one table of all their operations, which loads on first use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carecloud_async._calls.call.operation import Operation

__all__ = ["OPERATIONS"]


class _Operations(Mapping[str, "Operation"]):
    def __getitem__(self, operation_id: str) -> Operation:
        return _load()[operation_id]

    def __iter__(self) -> Iterator[str]:
        return iter(_load())

    def __len__(self) -> int:
        return len(_load())

    def __repr__(self) -> str:
        return f"<OPERATIONS: {len(self)} operations>"


@cache
def _load() -> Mapping[str, Operation]:
    from carecloud_async.resources.declare import REGISTRY
    from carecloud_async.resources.families import family_modules

    for module in family_modules():
        import_module(module)
    return dict(sorted(REGISTRY.items()))  # whichever family was imported first


#: Every operation by the vendor's id.
OPERATIONS: Mapping[str, Operation] = _Operations()
