"""A response as it is before its data is read."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen


@frozen
class RawResponse:
    """A response with a success status.

    Attributes:
        status: the HTTP status.
        headers: its headers, names in any case.
        body: its bytes, decompressed.
        sent_at: when the attempt began, on the monotonic clock.
        attempts: the number of attempts until it came; see `CallRecord.attempts`.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    sent_at: float
    attempts: int = 1
