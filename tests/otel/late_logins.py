"""A transport that sends logins late."""

import anyio
import httpx


class LateLogins(httpx.AsyncBaseTransport):
    """Sends a login when every other task waits."""

    def __init__(self, sandbox):
        self._inner = sandbox.transport()

    async def handle_async_request(self, request):
        if request.url.path.endswith("/actions/login"):
            await anyio.wait_all_tasks_blocked()
        return await self._inner.handle_async_request(request)
