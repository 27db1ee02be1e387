"""A token as plain JSON values, and back; what does not look like one of ours is no token."""

from __future__ import annotations

import math
from typing import Any

from carecloud_async.auth.stores.base import StoredToken


def to_record(token: StoredToken) -> dict[str, Any]:
    """Return everything of `token` but its life, which each store counts in its own way."""
    fields = {"value": token.value, "customer_id": token.customer_id, "proof": token.proof}
    return {name: value for name, value in fields.items() if value is not None}


def from_record(record: object, *, expires_in: float | None) -> StoredToken | None:
    """Return the token that `record` holds, or `None` if it is none of ours."""
    if not isinstance(record, dict):
        return None
    value, customer_id, proof = (record.get(name) for name in ("value", "customer_id", "proof"))
    if not isinstance(value, str) or not _is_text(customer_id) or not _is_text(proof):
        return None
    return StoredToken(value=value, expires_in=expires_in, customer_id=customer_id, proof=proof)


def life_of(token: StoredToken) -> float | None:
    """Return the seconds that `token` still has, never negative; `None` if it does not end by time."""
    life = token.expires_in
    if life is None or life == math.inf:
        return None
    # Written this way round, a NaN is a token that has ended: it fails every comparison.
    return life if life > 0 else 0.0


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)
