"""A server that limits calls, as small as can be: a line in is a call, a line out is whether it was served."""

import asyncio
import time
from collections import Counter
from contextlib import asynccontextmanager, suppress

import fleet_child
from forked_processes import start


class LimitedServer:
    """Admits calls as `limit` says, and notes what it did.

    Attributes:
        calls: for each call the seconds since the start, who called, and whether it was served.
    """

    def __init__(self, limit):
        self.limit = limit
        self.calls = []
        self._start = time.monotonic()

    def now(self):
        return time.monotonic() - self._start

    async def answer(self, reader, writer):
        name = (await reader.readline()).decode().strip()
        with suppress(ConnectionError):  # of a process that was killed
            while await reader.readline():
                now = self.now()
                admitted = self.limit.admit(now)
                self.calls.append((now, name, admitted))
                writer.write(b"1\n" if admitted else b"0\n")
        writer.close()

    def refused(self, since, until):
        """Return the part of the calls that was refused."""
        got = [served for at, _, served in self.calls if since <= at < until]
        return 1 - sum(got) / max(len(got), 1)

    def names(self, since, until):
        return Counter(name for at, name, served in self.calls if served and since <= at < until)


@asynccontextmanager
async def fleet(server, redis_url, *, size, callers=2, configured=None, latency=0.0):
    """Processes that call as fast as their shared limit lets them; yields them."""
    listener = await asyncio.start_server(server.answer, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    processes = [
        start(fleet_child.run, *map(str, (port, redis_url, number, callers, configured or 0, latency)))
        for number in range(size)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.join()
        listener.close()
        await asyncio.sleep(0.05)  # the connections of the processes end
