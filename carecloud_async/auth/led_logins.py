"""The logins that one call makes and others wait for, so that observers can connect them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["add_led_login", "led_logins"]

_led: ContextVar[list[object] | None] = ContextVar("carecloud_led_logins", default=None)


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
