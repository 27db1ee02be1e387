"""The way to the simulated server and back, as a transport for httpx, with troubles that are drawn for each request.

What is drawn depends on the seed, the process, the request and how often that process sent it, and on nothing else: a
run replays the same even if the package sends its requests in another order.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from contextvars import Context, copy_context
from email.utils import formatdate
from random import Random
from typing import Any, Final
from urllib.parse import parse_qs

import httpx
from attrs import define, field, frozen

from benchmarks.simulate.loop import SimulatedLoop
from benchmarks.simulate.machine import EPOCH, Process
from benchmarks.simulate.server import Answer, Server
from benchmarks.simulate.troubles import Troubles, is_within
from benchmarks.simulate.world import Entry, World

__all__ = ["Internet", "Sight", "Wire"]

#: For how long a client waits for an answer (seconds).
READ_TIMEOUT: Final = 30.0

_WRITE_TROUBLES: Final = {
    "busy": 3, "unavailable": 3, "unreachable": 2, "lost before": 3, "lost after": 5, "cut after": 3, "late": 6,
    "slow": 3, "page instead": 1, "page instead, done": 2, "garbage, done": 2,
    "answered late": 2,
}  # fmt: skip
_READ_TROUBLES: Final = {
    "busy": 3, "unavailable": 3, "unreachable": 2, "lost before": 2, "cut after": 2, "slow": 1, "page instead": 1,
    "garbage, done": 2, "answered late": 3,
}  # fmt: skip
_HTML: Final = b"<html><body><h1>It works!</h1></body></html>"


@frozen(kw_only=True)
class Sight:
    """A page that a process was shown: the answer arrived.

    Attributes:
        at: when the server looked.
        by: the process.
        path: the list.
        ids: the records on it.
        offset: where in the list it begins.
        is_emptied: whether it said that the list is empty, though it is not.
    """

    at: float
    by: str
    path: str
    ids: list[str]
    offset: int
    is_emptied: bool


@define(kw_only=True)
class Internet:
    """The server as processes reach it.

    Attributes:
        loop: the loop.
        server: the server.
        seed: the seed.
        troubles: what goes wrong; nothing once the calm has begun.
        way: the longest way to the server, and back (seconds).
        tokens: identity by token.
        sights: the pages that were shown.
        wrong_identities: requests with the token of another identity than their process's.
        follower: is called with each page that the server makes.
        reports: the number of reports of readings, by whether they are exact.
        tallies: what else is counted, by what it is.
    """

    loop: SimulatedLoop
    server: Server
    seed: str
    troubles: Troubles
    calm: bool = False
    way: float = 0.1
    tokens: dict[str, tuple[str, float]] = field(factory=dict)
    sights: list[Sight] = field(factory=list)
    wrong_identities: list[str] = field(factory=list)
    context: Context = field(factory=copy_context)
    requests: int = 0
    reports: Counter[bool] = field(factory=Counter)
    tallies: Counter[str] = field(factory=Counter)
    follower: Callable[[Sight], None] = field(default=lambda _: None)
    _forgotten_at: float = -1.0

    @property
    def world(self) -> World:
        """The server's records."""
        return self.server.world

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        """Do something of the server's, whatever becomes of the client."""
        self.loop.call_later(seconds, work, context=self.context)

    def log_in(self, identity: str) -> str:
        """Return a new token."""
        token = f"{len(self.tokens):04d}-{identity}".ljust(40, "0")
        self.tokens[token] = (identity, self.loop.now)
        return token

    def is_valid(self, token: str) -> bool:
        """Return whether a token is known."""
        if token not in self.tokens:
            return False
        made = self.tokens[token][1]
        return made > self._forgotten_at and not any(made < one <= self.loop.now for one in self.troubles.restarts)

    def forget_tokens(self) -> None:
        """Forget all tokens, as a restart does."""
        self._forgotten_at = self.loop.now

    def is_denied(self) -> bool:
        """Return whether rights are missing now."""
        return not self.calm and is_within(self.troubles.denials, self.loop.now)


class Wire(httpx.AsyncBaseTransport):
    """The transport of one process.

    Args:
        internet: the server.
        process: the process.
        actor: whose process it is.
        identity: who it logs in as.
        is_reader: whether its pages may lack records.
    """

    def __init__(
        self, internet: Internet, process: Process, *, actor: str, identity: str, is_reader: bool = False
    ) -> None:
        self._internet = internet
        self._process = process
        self._actor = actor
        self._identity = identity
        self._is_reader = is_reader
        self._sent: Counter[str] = Counter()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and wait for what is heard of it."""
        self._process.step(f"sending {request.method}")
        internet = self._internet
        internet.requests += 1
        text = f"{request.method} {request.url.raw_path.decode()} {request.content.decode()}"
        self._sent[text] += 1
        dice = Random(f"{internet.seed} {self._process.name} {self._sent[text]} {text}")
        exchange = _Exchange(
            internet=internet,
            request=request,
            process=self._process,
            actor=self._actor,
            identity=self._identity,
            dice=dice,
            is_reader=self._is_reader,
            heard=internet.loop.create_future(),
            sent_at=internet.loop.now,
        )
        exchange.begin()
        return await exchange.heard


@define(kw_only=True)
class _Exchange:
    """One request on its way."""

    internet: Internet
    request: httpx.Request
    process: Process
    actor: str
    identity: str
    dice: Random
    is_reader: bool
    heard: asyncio.Future[httpx.Response]
    sent_at: float
    trouble: str = ""
    entry: Entry | None = None
    sight: Sight | None = None

    def begin(self) -> None:
        """Draw what happens, and send."""
        internet, is_write = self.internet, self._is_write
        troubles = internet.troubles
        part = 0.0 if internet.calm else troubles.writes if is_write else troubles.reads
        if self.dice.random() < part:
            kinds = _WRITE_TROUBLES if is_write else _READ_TROUBLES
            self.trouble = self.dice.choices([*kinds], [*kinds.values()])[0]
        if is_write and not internet.calm and troubles.late_writes and self.dice.random() < troubles.late_writes:
            self.trouble = "late"
        if not is_write and not internet.calm and troubles.late and self.dice.random() < troubles.late:
            self.trouble = "answered late"
        if self.trouble == "answered late" and "/users/" in self._path:
            self.trouble = ""  # runs of one moment stay so
        if self.trouble == "unreachable":
            self._fail(httpx.ConnectError("no connection", request=self.request), after=0.05)
            return
        internet.later(0.002 + self.dice.random() * internet.way, self._arrive)

    @property
    def _path(self) -> str:
        return self.request.url.path.partition("/v1.0")[2]

    @property
    def _is_write(self) -> bool:
        return self.request.method != "GET" and "/users/" not in self.request.url.path

    def _arrive(self) -> None:
        """The server gets the request."""
        trouble, internet = self.trouble, self.internet
        if self._is_write:
            self.entry = Entry(
                number=len(internet.world.ledger) + 1, by=self.process.name, actor=self.actor, sent_at=self.sent_at,
                verb=self.request.method, path=self._path, body=json.loads(self.request.content), trouble=trouble,
            )  # fmt: skip
            internet.world.ledger.append(self.entry)
        until = max((end for begin, end in internet.troubles.held if begin <= internet.loop.now < end), default=0.0)
        if self.entry is not None and until:
            self._be_held(until - internet.loop.now)
        elif trouble == "busy":
            self._answer(429, b"", headers={"Retry-After": "1"})
        elif trouble == "unavailable":
            self._answer(self.dice.choice([500, 502, 503]), b"")
        elif trouble == "lost before":
            self._lose(self.dice.choice([0.1, READ_TIMEOUT]))
        elif trouble == "page instead":
            self._answer(self.dice.choice([200, 502]), _HTML, html=True)
        elif trouble in ("late", "slow"):
            self._be_late()
        elif "/users/" in self._path and internet.troubles.slow_logins and not internet.calm:
            slowest = internet.troubles.slow_logins
            internet.later(self.dice.uniform(slowest / 2, slowest), self._work_and_answer)
        else:
            self._work_and_answer()

    def _be_held(self, seconds: float) -> None:
        """Do the work when the server goes on; the client may have given up by then."""
        assert self.entry is not None
        self.trouble = self.entry.trouble = "held"
        at = seconds + self.dice.random()
        if at < READ_TIMEOUT - 1:
            self.internet.later(at, self._work_and_answer)
            return
        self.internet.later(at, self._work_unheard)
        if self.dice.random() < 0.3:
            self.internet.later(self.dice.uniform(1, READ_TIMEOUT), lambda: self._answer(504, b""))
        else:
            self._lose(READ_TIMEOUT)

    def _be_late(self) -> None:
        """Do the work when the client has given up, or nearly so."""
        latest = self.internet.troubles.latest - (self.internet.loop.now - self.sent_at)
        at = self.dice.uniform(0.5, latest) if self.trouble == "late" else self.dice.uniform(3, 25)
        if self.trouble == "slow":
            self.internet.later(at, self._work_and_answer)
            return
        self.internet.later(at, self._work_unheard)
        if self.dice.random() < 0.5:
            self.internet.later(0.2, lambda: self._answer(self.dice.choice([502, 504]), b""))
        else:
            self._lose(READ_TIMEOUT)

    def _work_unheard(self) -> None:
        self._work()

    def _work_and_answer(self) -> None:
        answer, trouble = self._work(), self.trouble
        if trouble == "lost after":
            self._answer(self.dice.choice([500, 503, 504]), b"")
        elif trouble == "cut after":
            self._lose(0.1)
        elif trouble == "page instead, done":
            self._answer(200, _HTML, html=True)
        elif trouble == "garbage, done":
            body = answer.body
            self._answer(answer.status, body[: max(len(body) - 5, 0)] or b"{")
        else:
            after = self.dice.uniform(1, 25) if trouble == "answered late" else 0
            self._answer(answer.status, answer.body, after=after, sight=self.sight)

    def _work(self) -> Answer:
        """Work on the request as a server does that knows nothing of the way back."""
        internet, path = self.internet, self._path
        if path == "/users/actions/login":
            data = {"bearer_token": internet.log_in(self.identity), "valid_to": "2099-01-01 00:00:00"}
            return Answer(status=200, data={**data, "user": {"user_id": self.identity}})
        if self.request.method == "PUT" and not internet.calm and self._draws(internet.troubles.refused_puts):
            internet.forget_tokens()
        token = self.request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not internet.is_valid(token):
            return self._refused(401)
        if internet.tokens[token][0] != self.identity:
            internet.wrong_identities.append(f"{self.process.name} as {self.identity}, with the token {token}")
        if internet.is_denied():
            return self._refused(403)
        if self.entry is not None:
            answer = internet.server.write(self.entry)
            self._tell_write(answer)
            return answer
        lies = not internet.calm and self.is_reader
        least, behind = internet.troubles.least_behind, 0.0 if internet.calm else internet.troubles.behind
        internet.server.shows = max(internet.loop.now - self.dice.uniform(least, behind), 0.0) if behind else None
        internet.server.lags = lies and is_within(internet.troubles.lags, internet.loop.now)
        internet.server.is_emptied = lies and is_within(internet.troubles.emptied, internet.loop.now)
        internet.server.is_hollow = lies and self._draws(internet.troubles.hollow)
        answer, seen = internet.server.read(path, parse_qs(self.request.url.query.decode()))
        if seen:
            self.sight = Sight(at=internet.loop.now, by=self.process.name, path=path, **seen)
            self._tell_read(seen)
            if not internet.calm:
                internet.follower(self.sight)
        return answer

    def _refused(self, status: int) -> Answer:
        if self.entry is not None:
            self.entry.status = status
        return Answer(status=status)

    def _draws(self, part: float) -> bool:
        """Return whether something happens that does so in a part of the requests."""
        return part > 0.0 and self.dice.random() < part

    # What is heard of it

    def _answer(
        self,
        status: int,
        body: bytes,
        *,
        headers: dict[str, str] | None = None,
        html: bool = False,
        after: float = 0.0,
        sight: Sight | None = None,
    ) -> None:
        kind = "text/html" if html else "application/json"
        date = formatdate(EPOCH + self.internet.loop.now, usegmt=True)
        response = httpx.Response(
            status, content=body, headers={"Content-Type": kind, "Date": date, **(headers or {})}, request=self.request
        )
        self._note_heard(f"{status}{' (a web page)' if html else ''}")
        on_way = 0.002 + self.dice.random() * self.internet.way
        self.internet.later(after + on_way, lambda: self._resolve(response, sight))

    def _lose(self, after: float) -> None:
        error = httpx.ReadTimeout if after >= READ_TIMEOUT else httpx.ReadError
        self._fail(error("the connection was lost", request=self.request), after=after)

    def _fail(self, error: Exception, *, after: float) -> None:
        self._note_heard(type(error).__name__)

        def fail() -> None:
            if not self.heard.done():
                self.heard.set_exception(error)

        self.internet.later(after, fail)

    def _resolve(self, response: httpx.Response, sight: Sight | None) -> None:
        if not self.heard.done():
            self.heard.set_result(response)
            if sight is not None and not self.process.dead:
                self.internet.sights.append(sight)

    def _note_heard(self, what: str) -> None:
        if self.entry is not None:
            self.entry.heard = what

    # What the story tells

    def _tell_write(self, answer: Answer) -> None:
        entry, world = self.entry, self.internet.world
        assert entry is not None
        text = json.dumps(entry.body).lower()
        ids = f" → {', '.join(entry.ids)}" if entry.ids else ""
        late = f", {world.now() - entry.sent_at:.1f} s after it left" if world.now() - entry.sent_at > 1 else ""
        trouble = f" [{self.trouble}]" if self.trouble else ""
        what = f"does #{entry.number} {entry.verb} {entry.path} of {entry.by}{late}{trouble}: {answer.status}{ids}"
        world.story.tell("server", f"{what}  {text[:160]}", *entry.ids, *_words(text), *entry.path.split("/"))

    def _tell_read(self, seen: dict[str, Any]) -> None:
        query = parse_qs(self.request.url.query.decode())
        asked = {
            value.strip().lower()
            for name, values in query.items()
            if "list" in name or "id" in name
            for value in values
        }
        what = f"shows {self.process.name} {len(seen['ids'])} records of {self._path}, from {seen['offset']} on"
        self.internet.world.story.tell("server", what, *seen["ids"], *asked, self._path)


def _words(text: str) -> set[str]:
    """Return the texts in a body, as the story finds its keys."""
    return {one.strip() for one in text.split('"')[1::2] if one.strip()}
