"""Notifications for a call's observers: waiting for another call's login, and the replay with a new token."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

__all__ = ["TokenWatch", "add_led_login", "led_logins"]

_led: ContextVar[list[object] | None] = ContextVar("carecloud_led_logins", default=None)


class TokenWatch(Protocol):
    """Is notified about one attempt's token, in the task that makes the call."""

    def login_awaited(self, logins: Sequence[object]) -> None:
        """Note that the attempt waited for logins that another call led; see `add_led_login`."""
        ...

    def resent(self, headers: MutableMapping[str, str]) -> None:
        """Note that the request is about to be sent again with a new token, after a 401; headers may be added."""
        ...


@contextmanager
def led_logins(logins: list[object]) -> Iterator[None]:
    """Collect the logins that are sent inside the block."""
    reset = _led.set(logins)
    try:
        yield
    finally:
        _led.reset(reset)


def add_led_login(login: object) -> None:
    """Add a login that is sent now, for the calls that wait for it.

    Args:
        login: the login, as observers know it.
    """
    logins = _led.get()
    if logins is not None:
        logins.append(login)
