"""Records: a token as plain JSON values, and back; those of files have the clock reading of their save."""

from __future__ import annotations

import math
from typing import Any, TypeGuard

from attrs import frozen

from carecloud_async._base.runtime.secret_text import secret_text
from carecloud_async._calls.auth.stores.base import StoredToken


def to_record(token: StoredToken) -> dict[str, Any]:
    """Return the fields of `token` except its lifetime, which each store counts in its own way."""
    fields = {
        "value": secret_text(token.value),  # it must not be in a frame if writing fails
        "customer_id": token.customer_id,
        "secret_hash": token.secret_hash,
        "keep_for": keep_for(token),
    }
    return {name: value for name, value in fields.items() if value is not None}


def from_record(record: object, *, expires_in: float | None) -> StoredToken | None:
    """Return the token that `record` holds; `None` if it is not a record of this package."""
    if not isinstance(record, dict):
        return None
    value, customer_id, secret_hash = (record.get(name) for name in ("value", "customer_id", "secret_hash"))
    if not isinstance(value, str) or not _is_optional_text(customer_id) or not _is_optional_text(secret_hash):
        return None
    keep = record.get("keep_for")
    return StoredToken(
        value=value,
        expires_in=expires_in,
        customer_id=customer_id,
        secret_hash=secret_hash,
        keep_for=float(keep) if is_finite(keep) else None,
    )


def lifetime_of(token: StoredToken) -> float | None:
    """Return the seconds that `token` may still be used, never negative; `None` if it does not end by time."""
    seconds = token.expires_in
    if seconds is None or seconds == math.inf:
        return None
    # In this form, a NaN counts as ended, since it fails every comparison.
    return seconds if seconds > 0 else 0.0


def keep_for(token: StoredToken) -> float | None:
    """Return the seconds that the record of a token without an end is kept unused; `None` if there is no limit."""
    if lifetime_of(token) is not None or not is_finite(token.keep_for) or token.keep_for <= 0:
        return None
    return float(token.keep_for)


def seconds_to_live(token: StoredToken) -> float | None:
    """Return the seconds until the record of `token` ends unless it is loaded before; `None` if it never does."""
    lifetime = lifetime_of(token)
    return keep_for(token) if lifetime is None else lifetime


@frozen(kw_only=True)
class ClockReading:
    """One instant on the clocks of this host.

    Attributes:
        wall: seconds since 1970 by the host's clock; may be wrong and may jump.
        monotonic: seconds since a zero that all processes of one boot share, where `boot` is known.
        boot: an id of this boot of the host; `None` where the system has none.
    """

    wall: float
    monotonic: float
    boot: str | None = None


def seconds_between(earlier: ClockReading, later: ClockReading) -> float:
    """Return the seconds from `earlier` to `later`, never negative.

    The monotonic clock decides when both readings belong to one boot, so that wrong wall clocks and their jumps do not
    matter; else the wall clock does. A wall clock that went backwards counts as no time at all.
    """
    # Going backwards within one boot means that the two readings come from different time namespaces (containers).
    if earlier.boot is not None and earlier.boot == later.boot and later.monotonic >= earlier.monotonic:
        return later.monotonic - earlier.monotonic
    return max(0.0, later.wall - earlier.wall)


def dated_record(token: StoredToken, *, now: ClockReading) -> dict[str, Any]:
    """Return the record of a token for a store that counts the time itself."""
    lifetime, keep = lifetime_of(token), keep_for(token)
    record = to_record(token)
    if lifetime is not None:
        record["expires_in"] = lifetime
    if lifetime is not None or keep is not None:
        record["saved"] = {"wall": now.wall, "monotonic": now.monotonic, "boot": now.boot}
    return record


def lifetime_left(record: object, *, now: ClockReading) -> float | None:
    """Return the seconds for which the token of a dated record may be used.

    Infinity if it does not end by time; 0 also for a record that was not used for its `keep_for`; `None` if the record
    makes no sense.
    """
    if not isinstance(record, dict):
        return None
    lifetime, keep = record.get("expires_in"), record.get("keep_for")
    if lifetime is None and keep is None:
        return math.inf
    unused = seconds_unused(record, now=now)
    if unused is None:
        return None
    if lifetime is not None:
        return max(0.0, float(lifetime) - unused) if is_finite(lifetime) else None
    if not is_finite(keep):
        return None
    return math.inf if unused < keep else 0.0


def seconds_unused(record: dict[str, Any], *, now: ClockReading) -> float | None:
    """Return the seconds since a dated record was written; `None` if it does not say."""
    saved = record.get("saved")
    if not isinstance(saved, dict):
        return None
    wall, monotonic, boot = (saved.get(name) for name in ("wall", "monotonic", "boot"))
    if not is_finite(wall) or not is_finite(monotonic) or not _is_optional_text(boot):
        return None
    return seconds_between(ClockReading(wall=float(wall), monotonic=float(monotonic), boot=boot), now)


def is_finite(value: object) -> TypeGuard[float]:
    """Return whether `value` is a number that a float can hold; a boolean is not."""
    # NaN fails the comparison, and an integer beyond every float is compared without being converted.
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e18 < value < 1e18


def _is_optional_text(value: object) -> TypeGuard[str | None]:
    return value is None or isinstance(value, str)
