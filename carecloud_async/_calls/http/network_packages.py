"""The packages that a request passes below the SDK."""

from __future__ import annotations

#: Packages whose exceptions say that a connection failed, when a request raises them.
NETWORK_PACKAGES = frozenset({
    "aiohttp", "anyio", "asyncio", "h11", "h2", "httpcore", "httpcore2", "httpx", "httpx2", "httpx_aiohttp",
    "multidict", "ssl", "trio", "yarl",
})  # fmt: skip
