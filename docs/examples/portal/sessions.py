"""The portal's store of customers' logins, in the memory of one process.

With several workers, write the same three methods for a store that they share (Redis: `SET key value EX seconds`,
`GET`, `DEL`). Encrypt the values or protect the host: a token lets its holder act as the customer.
"""

from __future__ import annotations

import time

from carecloud_async import LoggedIn


class Sessions:
    """Logins by the browser's key.

    Args:
        seconds: how long a login is kept.
    """

    def __init__(self, *, seconds: float) -> None:
        self._seconds = seconds
        self._logins: dict[str, tuple[float, LoggedIn]] = {}

    async def put(self, key: str, login: LoggedIn) -> None:
        """Store a login, and remove the expired ones."""
        now = time.monotonic()
        self._logins = {other: kept for other, kept in self._logins.items() if kept[0] > now}
        self._logins[key] = (now + self._seconds, login)

    async def get(self, key: str) -> LoggedIn | None:
        """Return a login that has not expired."""
        until, login = self._logins.get(key, (0.0, None))
        return login if until > time.monotonic() else None

    async def remove(self, key: str) -> None:
        """Remove a login."""
        self._logins.pop(key, None)
