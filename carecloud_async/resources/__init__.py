"""The families of the API, and the one table of all their operations."""

from __future__ import annotations

from carecloud_async.calls.operation import Operation
from carecloud_async.resources import customers, tokens, users

#: Every operation by the vendor's id.
OPERATIONS: dict[str, Operation] = {**customers.OPERATIONS, **tokens.OPERATIONS, **users.OPERATIONS}

__all__ = ["OPERATIONS"]
