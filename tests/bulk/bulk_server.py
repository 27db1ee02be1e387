"""A tiny server of customers in memory, as httpx transport: it checks nothing that hides a double.

Unlike the sandbox it takes two customers with one e-mail, and it loses answers, writes late and refuses as a test says.
"""

import itertools
import json
from collections import Counter
from urllib.parse import parse_qs

import httpx
from kit import login_answer_at

from carecloud_async import CareCloud, EnterpriseCredentials, RetryPolicy

#: What a customer that another program made holds, and no row names: one field of it the SDK does not know.
UNNAMED = {"state": 1, "loyalty_level": {"name": "gold", "points": 12}}
UNNAMED_PERSON = {"post_nominals": "PhD", "address": {"city": "Brno", "floor": 3}, "nickname": "Al"}


def client_of(server, clock, **more):
    """A client of a server."""
    auth = EnterpriseCredentials(external_application_id="89d1a6111b3fb6e74665d948", login="u", password="p")
    settings = {"transport": server, "clock": clock, "rate_limit": None, "retry": RetryPolicy(attempts=2), **more}
    return CareCloud("model.example.com", auth=auth, **settings)


def email_of(record):
    """The e-mail of a record as servers compare it."""
    return (record["personal_information"]["email"] or "").strip().lower()


class RefusedError(Exception):
    """The server refuses a request."""


class CustomerServer(httpx.AsyncBaseTransport):
    """Customers in memory.

    Args:
        clock: the clock, by which late writes are done.
        lower: whether e-mails are kept in lower case.
        most: most records of a page.
        longest: most bytes of a URL; a longer one is a 414.

    Attributes:
        customers: records by id.
        writes: faults of the writes to come, one each: see `_write`.
        reads: statuses of the reads to come; 200 is none.
        arrived: called before each request is worked on.
        done: how often each last name was written by a POST.
        sent: verbs of the writes that arrived.
    """

    def __init__(self, clock, *, lower=False, most=1000, longest=8000):
        self.customers, self.writes, self.reads, self.sent, self.done = {}, [], [], [], Counter()
        self.arrived = None
        self.requests = 0
        self._clock, self._lower, self._most, self._longest = clock, lower, most, longest
        self._late = []
        self._numbers = itertools.count()  # no id is given twice, also after a deletion

    def add(self, email, **person):
        """Add a customer of another program; return the id."""
        return self._create({**UNNAMED, "personal_information": {**UNNAMED_PERSON, "email": email, **person}})

    def emails(self):
        """How many customers have each e-mail, in lower case."""
        return Counter(map(email_of, self.customers.values()))

    async def handle_async_request(self, request):
        """Answer a request."""
        self.requests += 1
        if self.arrived is not None:
            await self.arrived(request)
        self.work_late()
        path = request.url.path.partition("/v1.0")[2]
        if path == "/users/actions/login":
            return login_answer_at(self._clock.now())
        body = json.loads(request.content) if request.content else None
        if request.method == "GET":
            return self._read(path, request.url.query.decode(), len(str(request.url)))
        self.sent.append(request.method)
        return self._write(request, lambda: self._work(request.method, path, body))

    def work_late(self):
        """Do the late writes that are due."""
        for due, work in [*self._late]:
            if due <= self._clock.time():
                self._late.remove((due, work))
                work()

    def _read(self, path, query, length):
        status = self.reads.pop(0) if self.reads else 200
        if status != 200:
            return httpx.Response(status, headers={"Retry-After": "1"})
        if length > self._longest:
            return httpx.Response(414)
        wanted = parse_qs(query)
        found = [*self.customers.values()]
        if "email_list[]" in wanted:
            emails = {one.strip().lower() for one in wanted["email_list[]"]}
            if any("!" in one for one in emails):
                return _refusal("email_list", "invalid_value_format")
            found = [one for one in found if email_of(one) in emails]
        for phone in wanted.get("phone", []):
            if "!" in phone:
                return _refusal("phone", "invalid_value_format")
            found = [one for one in found if one["personal_information"].get("phone") == phone]
        if "customer_ids[]" in wanted:
            ids = {one.lower() for one in wanted["customer_ids[]"]}
            found = [one for one in found if one["customer_id"] in ids]
        for name in wanted.get("sort_field", []):
            found.sort(key=lambda one: str(one.get(name)), reverse=wanted.get("sort_direction") == ["DESC"])
        count, offset = int(wanted.get("count", ["100"])[0]), int(wanted.get("offset", ["0"])[0])
        page = found[offset : offset + min(count, self._most)]
        return _answer(200, {"customers": page, "total_items": len(found)})

    def _write(self, request, work):
        """Do a write with the next fault: `after` and `before` lose the answer, seconds do it late."""
        fault = self.writes.pop(0) if self.writes else "none"
        if fault == "busy":
            return httpx.Response(429, headers={"Retry-After": "1"})
        if fault == "no connection":
            raise httpx.ConnectError("no connection", request=request)
        if fault == "before":
            return httpx.Response(504)
        if isinstance(fault, int):
            return httpx.Response(fault)
        if fault == "cut before":
            raise httpx.ReadError("cut", request=request)
        if isinstance(fault, float):
            self._late.append((self._clock.time() + fault, lambda: self._try(work)))
            return httpx.Response(504)
        try:
            status, data = work()
        except RefusedError as error:
            return _refusal(*error.args)
        if fault == "after":
            return httpx.Response(503)
        if fault == "cut after":
            raise httpx.ReadError("cut", request=request)
        if fault == "garbage":
            return httpx.Response(status, content=b'{"data": {"cus')
        return _answer(status, data)

    def _try(self, work):
        try:
            work()
        except RefusedError:
            return

    def _work(self, method, path, body):
        record = body["customer"]
        if "!" in (record["personal_information"].get("email") or ""):
            raise RefusedError("customer.personal_information.email", "invalid_value_format")
        if record["personal_information"].get("last_name") == "Refused":
            raise RefusedError("customer.personal_information.last_name", "not_allowed_value")
        if method == "POST":
            self.done[record["personal_information"].get("last_name")] += 1
            return 201, {"customer_id": self._create(record)}
        kept = self.customers[path.rpartition("/")[2]]
        email = kept["personal_information"]["email"]
        own = {name: kept[name] for name in ("customer_id", "state") if name in kept}
        kept.clear()
        kept.update({**record, **own, "last_change": self._now()})
        kept["personal_information"].setdefault("email", email)
        self._spell(kept)
        return 204, None

    def _create(self, record):
        made = f"{next(self._numbers):026x}"
        self.customers[made] = {"customer_id": made, **record, "last_change": self._now()}
        self.customers[made]["personal_information"].setdefault("email", "")
        self._spell(self.customers[made])
        return made

    def _spell(self, record):
        person = record["personal_information"]
        if self._lower and person.get("email"):
            person["email"] = person["email"].strip().lower()

    def _now(self):
        return f"{self._clock.now():%Y-%m-%d %H:%M:%S}"


def _answer(status, data):
    return httpx.Response(status, json={"data": data}) if status != 204 else httpx.Response(204)


def _refusal(name, reason):
    params = [{"name": name, "reason": reason}]
    body = {"type": "x", "exception": "e", "title": "t", "error_data": {"invalid_params": params}}
    return httpx.Response(400, json={"error": body})
