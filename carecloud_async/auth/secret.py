"""Secrets in settings: given as text or fetched by a callable, never shown, and remembered by a digest only."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from carecloud_async.auth.provider import digest
from carecloud_async.errors import ConfigurationError

Secret = str | Callable[[], str | Awaitable[str]]

_revealed: ContextVar[list[str] | None] = ContextVar("carecloud_revealed", default=None)


def require_text(instance: Any, attribute: Any, value: Any) -> None:
    """Refuse empty settings at once, by their name; values are not shown."""
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f"{type(instance).__name__}: {attribute.name} is empty or not text")


def require_secret(instance: Any, attribute: Any, value: Any) -> None:
    """Refuse what is neither text nor a callable that returns it."""
    if not callable(value):
        require_text(instance, attribute, value)


def static_secret(secret: Secret) -> str | None:
    """Return a secret that was given as text; `None` if it is fetched."""
    return secret if isinstance(secret, str) else None


async def resolve_secret(secret: Secret) -> str:
    """Return a secret that may be given as text or as a sync or async callable."""
    value: Any = secret() if callable(secret) else secret
    if inspect.isawaitable(value):
        value = await value
    if not isinstance(value, str) or not value:
        raise ConfigurationError("the callable given for a password must return it as non-empty text")
    seen = _revealed.get()
    if seen is not None and callable(secret):
        seen.append(digest(value))
    return value


@contextmanager
def noting_revealed() -> Iterator[list[str]]:
    """Collect the digests of fetched secrets that are revealed in here.

    A refusal must be remembered for the password that was refused: asked once more, a callable may give another.
    """
    seen: list[str] = []
    mark = _revealed.set(seen)
    try:
        yield seen
    finally:
        _revealed.reset(mark)
