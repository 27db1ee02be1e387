"""Where requests may go. The pytest plugin loads this file alone, in every run of pytest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol
from urllib.parse import urlsplit


class DestinationGuard(Protocol):
    """Decides which hosts requests may go to. What its methods raise fails the call."""

    def before_sending(self, host: str) -> None:
        """Take note of a request that leaves by a connection of the SDK's own."""

    def before_handing_over(self, host: str) -> None:
        """Take note of a request that a client or transport of the user's sends, by a connection or without one."""


_guard: DestinationGuard | None = None


@contextmanager
def guarding(guard: DestinationGuard) -> Iterator[None]:
    """Let `guard` decide in the block, in place of an outer one, for all clients of this process."""
    global _guard  # not a context variable: clients are in any thread
    outer, _guard = _guard, guard
    try:
        yield
    finally:
        _guard = outer


def sending_to(url: str, *, proxy: str | None = None) -> None:
    """Say that a request leaves for a URL by a connection of the SDK's own, perhaps to a proxy."""
    if _guard is not None:
        for address in (proxy, url):
            if address is not None:
                _guard.before_sending(urlsplit(address).hostname or "")


def handing_over(url: str) -> None:
    """Say that a request for a URL is handed to a client or transport of the user's."""
    if _guard is not None:
        _guard.before_handing_over(urlsplit(url).hostname or "")
