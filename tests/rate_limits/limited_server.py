"""A server that limits calls, as small as can be: a line in is a call, a line out is whether it was served."""

import asyncio
import time
from contextlib import asynccontextmanager, suppress

import fleet_child
from forked_processes import start


class LimitedServer:
    """Admits calls as `limit` says, and notes what it did.

    Attributes:
        calls: who called, and whether it was served.
    """

    def __init__(self, limit):
        self.limit = limit
        self.calls = []

    async def answer(self, reader, writer):
        name = (await reader.readline()).decode().strip()
        with suppress(ConnectionError):  # of a process that was killed
            while await reader.readline():
                admitted = self.limit.admit(time.monotonic())
                self.calls.append((name, admitted))
                writer.write(b"1\n" if admitted else b"0\n")
        writer.close()


@asynccontextmanager
async def fleet(server, redis_url, *, size):
    """Processes that call as fast as their shared limit lets them; yields them."""
    listener = await asyncio.start_server(server.answer, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    processes = [start(fleet_child.run, str(port), redis_url, str(number)) for number in range(size)]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.join()
        listener.close()
        await asyncio.sleep(0.05)  # the connections of the processes end
