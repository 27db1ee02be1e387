"""A fuzzer of answers: a server draws from a seed what it answers to each request, and calls are cancelled anywhere.

Each request has a number, and each good answer tells it: a wrong answer is one with another number.
"""

import asyncio
import contextlib
import gc
import gzip
import os
import random
import socket
import struct
from collections import Counter
from typing import NamedTuple

import anyio
import anyio.abc
import anyio.lowlevel
import sniffio
import trio
from kit import KnownUser

from carecloud_async import CareCloud, CareCloudError, RetryPolicy, Timeout

#: The largest answer that the client takes.
LIMIT = 300_000
WORKERS, CONNECTIONS = 20, 7
STRAYS = (
    b"rubbish", b"\r\n", b"\0", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\n",
    b'HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\n{"data":{"number":-1}}', b"0\r\n\r\n", b"HTTP/1.1 408 Late\r\n\r\n",
)  # fmt: skip
OK, NO_CONTENT = b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 204 No Content\r\n"
BOMB = gzip.compress(bytes(20 * LIMIT))


def with_length(body, *headers, start=OK):
    return start + b"".join(header + b"\r\n" for header in headers) + b"Content-Length: %d\r\n\r\n" % len(body) + body


def in_chunks(chance, body, *headers):
    out, rest = OK + b"".join(header + b"\r\n" for header in headers) + b"Transfer-Encoding: chunked\r\n\r\n", body
    while rest:
        most = chance.choice((1, 7, 1000, 30_000))
        chunk, rest = rest[:most], rest[most:]
        out += b"%x" % len(chunk) + chance.choice((b"", b"", b";a=b", b"  ")) + b"\r\n" + chunk + b"\r\n"
    return out + b"0\r\n" + chance.choice((b"", b"X-Trailer: 1\r\n")) + b"\r\n"


def packed(body):
    return gzip.compress(body, mtime=0)


INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
OFFER = (b"Upgrade: h2,h2c", b"Connection: Upgrade, Keep-Alive")
#: Answers that are to be understood, and whether the server hangs up behind them.
GOOD_ANSWERS = (
    *[(lambda _, body: with_length(body), False)] * 4,
    *[(in_chunks, False)] * 2,
    (lambda _, body: with_length(packed(body), b"Content-Encoding: gzip"), False),
    (lambda chance, body: in_chunks(chance, packed(body), b"content-encoding: gzip"), False),
    (lambda _, body: OK + b"\r\n" + body, True),
    (lambda _, body: b"HTTP/1.0 200 OK\r\n\r\n" + body, True),
    (lambda _, body: INTERIM + with_length(body), False),
    *[(lambda _, body: with_length(body, b"Connection: close"), ends) for ends in (False, True)],
    (lambda _, body: with_length(body, b"X-Long: " + b"x" * 20_000, b"X-Empty:"), False),
    (lambda _, body: with_length(body, *OFFER).replace(b"\r\n", b"\n"), False),
)


def good_answer(chance, body):
    make, ends = chance.choice(GOOD_ANSWERS)
    return make(chance, body), ends


def empty_answer(chance):
    """Return a 204, of which many announce a body."""
    announced = (b"", b"Content-Length: 2\r\n\r\n{}", b"Transfer-Encoding: chunked\r\n\r\n0\r\n")
    return NO_CONTENT + chance.choice(announced) + b"\r\n"


def mutated_answer(chance, body):
    """Return an answer of whose head a byte is another. It says that the server will hang up."""
    whole = chance.choice((with_length(body, b"X-Note: 1"), in_chunks(chance, body, b"X-Note: 1")))
    head, _, rest = whole.partition(b"\r\n\r\n")
    at = chance.randrange(len(head))
    return head[:at] + bytes([chance.randrange(256)]) + head[at + 1 :] + b"\r\nConnection: close\r\n\r\n" + rest


def unreadable_answer(chance, body):
    """Return an answer that is whole, and whose body cannot be unpacked or is too large."""
    match chance.randrange(3):
        case 0:
            return with_length(BOMB, b"Content-Encoding: gzip")
        case 1:
            return in_chunks(chance, b" " * 2 * LIMIT)
        case _:
            packing = chance.choice((b"gzip", b"br", b"gzip, gzip, gzip, gzip"))
            return with_length(body[:-1], b"Content-Encoding: " + packing)


NO_CHUNKS = (b"zz\r\n", b"\0", b"-1\r\n", b"5\r\nabcdeX")
NO_HTTP = (
    b"SSH-2.0-OpenSSH\r\n", bytes(range(256)), OK + b"Content-Length: x\r\n\r\n", b"HTTP/1.1 banana\r\n\r\n",
)  # fmt: skip


def bad_answer(chance, body):
    """Return an answer that breaks off, or is not HTTP."""
    whole = chance.choice(
        (with_length(body), in_chunks(chance, body), with_length(packed(body), b"Content-Encoding: gzip"))
    )
    match chance.randrange(8):
        case 0 | 1 | 2 | 3 | 4:
            return whole[: chance.randrange(len(whole) - 7)]  # before the last chunk's size
        case 5:
            return OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n" + chance.choice(NO_CHUNKS)
        case 6:
            return chance.choice((b"HTTP/1.1 200 ", OK, OK + b"X-Long: ")) + b"a" * 200_000
        case _:
            return chance.choice(NO_HTTP)


class Answer(NamedTuple):
    """What the server answers to a number.

    Attributes:
        pieces: what it writes, one after another; `None` if it never answers.
        ends: whether it hangs up then.
        expected: the outcomes that the call may have: "right", "none", "error".
    """

    pieces: list[bytes] | None
    ends: bool
    expected: set[str]
    chance: random.Random


class Answers:
    """The server. What it answers to a number depends on the seed and the number alone.

    Args:
        seed: the seed.
        strays: whether bytes may follow an answer that belong to none.
    """

    def __init__(self, seed, *, strays):
        self.seed = seed
        self.strays = strays

    def draw(self, number):
        chance = random.Random(f"{self.seed} {number}")
        body = b'{"data":{"number":%d,"pad":"%b"}}' % (number, b"p" * chance.choice((0, 10, 1000, 20_000)))
        kind = chance.random()
        stray = b""
        if kind < 0.6:
            answer, ends = good_answer(chance, body)
            expected = {"right"}
            stray = chance.choice(STRAYS) if chance.random() < 0.1 and not ends else b""
        elif kind < 0.7:
            answer, ends, expected = empty_answer(chance), False, {"none"}
            stray = chance.choice((b"", b"<p>Deleted</p>"))
        elif kind < 0.75:
            answer, ends, expected = mutated_answer(chance, body), True, {"right", "none", "error"}
        elif kind < 0.8:
            answer, ends, expected = unreadable_answer(chance, body), False, {"error"}
        elif kind < 0.998:
            answer, ends, expected = bad_answer(chance, body), True, {"error"}
        else:
            answer, ends, expected = None, True, {"error"}
        if not self.strays:
            answer, stray = (NO_CONTENT + b"\r\n" if expected == {"none"} else answer), b""
        # Stray bytes come together with the end of the answer: later they could not be told from the next one.
        cut = None if answer is None else [*pieces(chance, answer)]
        if stray:
            cut[-1] += stray
        return Answer(cut, ends, expected, chance)

    async def serve(self, stream):
        with contextlib.suppress(anyio.BrokenResourceError, anyio.EndOfStream, anyio.ClosedResourceError):
            async with stream:
                raw = stream.extra(anyio.abc.SocketAttribute.raw_socket)
                while True:
                    head = b""
                    while not head.endswith(b"\r\n\r\n"):
                        head += await stream.receive()
                    answer = self.draw(int(head.split(b" ", 2)[1].rpartition(b"/")[2]))
                    while answer.pieces is None:
                        await stream.receive()  # it never answers
                    for piece in answer.pieces:
                        await stream.send(piece)
                        for _ in range(answer.chance.choice((0, 0, 1, 3))):
                            await anyio.lowlevel.checkpoint()
                    if answer.ends:
                        if answer.expected == {"error"} and answer.chance.random() < 0.2:
                            reset(raw)
                        return


def reset(raw):
    """Let the end of a connection be a reset."""
    with contextlib.suppress(OSError, ValueError):  # the client has closed it; uvloop raises the latter
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def pieces(chance, answer):
    """Cut an answer: at each byte if it is short, or at some, or not at all."""
    match chance.randrange(4):
        case 0 if len(answer) < 400:
            cuts = range(1, len(answer))
        case 1 | 2 if len(answer) > 10:
            cuts = sorted(chance.sample(range(1, len(answer)), chance.randrange(1, 6)))
        case _:
            cuts = ()
    last = 0
    for cut in (*cuts, len(answer)):
        yield answer[last:cut]
        last = cut


def descriptors():
    """The number of open descriptors of this process."""
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def tasks():
    """The number of tasks in the running loop."""
    if sniffio.current_async_library() == "trio":
        return trio.lowlevel.current_statistics().tasks_living
    return len(asyncio.all_tasks())


async def still(count):
    """Return what is left when it is nothing, or does not change any more; the server closes its ends later."""
    for _ in range(2000):
        if (left := count()) <= 0:
            return 0
        await anyio.sleep(0.001)
    return left


class Fuzzer:
    """Makes calls, of which some are cancelled, and counts what becomes of them.

    Attributes:
        outcomes: how many calls ended in each way; "wrong" ones are what must not be.
        leaks: what a run left behind.
        objects: how many objects were alive after a third of the calls, and at the end.
    """

    def __init__(self, seed, calls, *, cancels=0.1, strays=True):
        self.calls, self.cancels = calls, cancels
        self.chance = random.Random(seed)
        self.answers = Answers(seed, strays=strays)
        self.outcomes, self.wrong, self.leaks, self.objects = Counter(), [], {}, []
        self._numbers = iter(range(calls))

    async def run(self):
        """Run all calls; to be run in a loop of its own."""
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with await anyio.connect_tcp("127.0.0.1", port):
            pass  # uvloop keeps a descriptor from its first connection on
        before, tasks_before = descriptors(), tasks()
        url = f"http://127.0.0.1:{port}"
        client = CareCloud(
            url, auth=KnownUser(), rate_limit=None, retry=RetryPolicy(attempts=1), max_connections=CONNECTIONS,
            timeout=Timeout(connect=60, read=60), max_response_bytes=LIMIT,
        )  # fmt: skip
        async with listener, anyio.create_task_group() as serving:
            serving.start_soon(listener.serve, self.answers.serve)
            async with client:
                async with anyio.create_task_group() as group:
                    for _ in range(WORKERS):
                        group.start_soon(self._work, client)
                self.leaks["connections beyond the pool"] = await still(
                    lambda: descriptors() - before - 2 * CONNECTIONS
                )
            self.leaks["descriptors"] = await still(lambda: descriptors() - before)
            serving.cancel_scope.cancel()
        self.leaks["tasks"] = await still(lambda: tasks() - tasks_before)
        return self

    async def _work(self, client):
        hasty = client.with_options(timeout=Timeout(connect=60, read=0.02))
        for number in self._numbers:
            answer = self.answers.draw(number)
            view = hasty if answer.pieces is None else client
            async with anyio.create_task_group() as group:
                group.start_soon(self._call, number, answer, view)
                if self.chance.random() < self.cancels:
                    for _ in range(self.chance.randrange(30)):
                        await anyio.lowlevel.checkpoint()
                    group.cancel_scope.cancel()
            if number in (self.calls // 3, self.calls - 1):
                gc.collect()
                self.objects.append(len(gc.get_objects()))

    async def _call(self, number, answer, view):
        result = None
        try:
            result = await view.request("GET", f"fuzz/{number}")
        except anyio.get_cancelled_exc_class():
            self.outcomes["cancelled"] += 1
            raise
        except CareCloudError:
            outcome = "error"
        else:
            outcome = "none" if result == {} else "right" if result.get("number") == number else "wrong"
        self.outcomes[outcome] += 1
        if outcome not in answer.expected:
            self.wrong.append((number, outcome, result))
