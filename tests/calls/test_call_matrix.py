"""Every write on real connections against every way to lose its answer, carried out by the server or not."""

import asyncio
import re
import socket
import struct
from collections import Counter
from contextlib import asynccontextmanager

import httpx
import httpx2
import pytest
from thorough import variants
from write_calls import ERROR, HTML, WRITES, connect, success, write

from carecloud_async import CareCloudError, OutcomeUnknownError, RetryPolicy, Timeout
from carecloud_async.resources import OPERATIONS

#: One operation of each kind: with data, an upload without, idempotent ones, and a DELETE with a body.
KINDS = [
    "postCustomer",
    "postCustomersUploadPhoto",
    "putCustomer",
    "deleteVoucher",
    "postBulkDeleteProductReservationPrices",
]
STATUSES = {500: ERROR, 502: HTML, 503: b"", 504: HTML}
BODIES = {"unreadable": b'{"data": {"', "a page": HTML, "an error": ERROR}
TWICE = RetryPolicy(attempts=2, base=1e-6)
FAULTS = ["reset", "timeout", "cut", *STATUSES, *BODIES]


def response(status, body, *, length=None):
    head = f"HTTP/1.1 {status} Said\r\nContent-Length: {len(body) if length is None else length}\r\n"
    return head.encode() + b"Content-Type: application/json\r\nRetry-After: 0\r\n\r\n" + body


class Server:
    """A server that answers a cell's first call, and then fails as often as the cell says.

    Attributes:
        requests: the number of requests of each cell, by the name that its client has in `User-Agent`.
        applied: the number of those that were carried out.
    """

    def __init__(self, operation_id):
        self.operation_id = operation_id
        self.requests, self.applied = Counter(), Counter()
        self.cells = {}

    async def handle(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: (\d+)", head)
                await reader.readexactly(int(length[1]) if length else 0)
                if not await self.respond(re.search(rb"cell-\d+", head)[0].decode(), writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def respond(self, name, writer):
        fault, applied, times = self.cells[name]
        self.requests[name] += 1
        if not 1 < self.requests[name] <= 1 + times:
            self.applied[name] += 1
            writer.write(response(*success(self.operation_id)))
            return True
        self.applied[name] += applied
        if fault == "reset":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return False
        if fault == "timeout":
            return True
        if fault == "cut":
            writer.write(response(200, b'{"data": ', length=1000))
            return False
        status = fault if fault in STATUSES else 200
        writer.write(response(status, STATUSES[fault] if fault in STATUSES else BODIES[fault]))
        return True


@asynccontextmanager
async def serving(operation_id):
    server = Server(operation_id)
    listener = await asyncio.start_server(server.handle, "127.0.0.1", 0)
    async with listener:
        server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        yield server


async def check(server, number, options):
    """Make one cell's call, on a connection that served another call before; see the test."""
    name = f"cell-{number}"
    fault = server.cells[name][0]
    operation = OPERATIONS[server.operation_id]
    async with connect(server.url, server.operation_id, app_name=name, retry=TWICE, **options) as client:
        await write(client, server.operation_id)
        before = server.applied[name]
        view = client.with_options(timeout=Timeout(connect=60, read=0.05)) if fault == "timeout" else client
        try:
            await write(view, server.operation_id)
        except CareCloudError as failed:
            error = failed
        else:
            error = None
    sent, applied = server.requests[name] - 1, server.applied[name] - before
    # A whole answer with status 200 is final, whatever it is; all else is repeated where that does no harm.
    attempts = 2 if operation.safe_to_repeat and fault not in {"a page", "an error"} else 1
    # A busy machine may be so late that the server has not read all requests that timed out.
    assert sent == attempts or (fault == "timeout" and sent < attempts)
    if error is None:
        assert applied
        assert operation.safe_to_repeat
    else:
        assert error.may_have_happened
        assert isinstance(error, OutcomeUnknownError) is not operation.safe_to_repeat


@pytest.mark.parametrize("library", [None, *variants(httpx), *variants(httpx2)])
@pytest.mark.parametrize(
    "operation_id",
    [pytest.param(one, marks=() if one in KINDS else pytest.mark.thorough) for one in WRITES],
)
@pytest.mark.asyncio
async def test_a_write_on_a_kept_connection_is_never_doubled_nor_hidden(operation_id, library):
    """A POST is sent once, others twice at most; an error says that it may have happened, and success that it has."""
    async with serving(operation_id) as server:
        most = 2 if OPERATIONS[operation_id].safe_to_repeat else 1
        cells = [
            (fault, applied, times) for fault in FAULTS for applied in (True, False) for times in range(1, most + 1)
        ]
        for number, cell in enumerate(cells):
            server.cells[f"cell-{number}"] = cell
            # Nothing ends by time where that is not the fault, however busy the machine is.
            if library is None:
                await check(server, number, {"timeout": Timeout(connect=60, read=60)})
            else:
                async with library.AsyncClient(timeout=60, verify=False) as http_client:  # no TLS here
                    await check(server, number, {"http_client": http_client})
