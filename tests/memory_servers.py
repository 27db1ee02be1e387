"""Servers in memory, as httpx transports: they check nothing that hides a double, and fail as a test says."""

import itertools
import json
from collections import Counter

import httpx
from kit import RefusedError, data, listed, login_answer_at

from carecloud_async import CareCloud, EnterpriseCredentials, RetryPolicy

#: What a customer that another program made holds, and no row names: one field of it the SDK does not know.
UNNAMED = {"state": 1, "loyalty_level": {"name": "gold", "points": 12}}
UNNAMED_PERSON = {"post_nominals": "PhD", "address": {"city": "Brno", "floor": 3}, "nickname": "Al"}


def client_of(server, clock, *, login="u", host="model.example.com", **more):
    """A client of a server."""
    auth = EnterpriseCredentials(external_application_id="89d1a6111b3fb6e74665d948", login=login, password="p")
    settings = {"transport": server, "clock": clock, "rate_limit": None, "retry": RetryPolicy(attempts=2), **more}
    return CareCloud(host, auth=auth, **settings)


class MemoryServer(httpx.AsyncBaseTransport):
    """A server in memory; a subclass has what is read and written.

    Args:
        clock: the clock, by which late writes are done.

    Attributes:
        faults: faults of the writes to come, one each; `None` is none. `before` and `after` lose the answer, `cut
            before` and `cut` the connection, `garbage` is half an answer, `no connection` and `busy` do nothing, a
            status is the answer, and seconds do the write that much later.
        reads: statuses of the reads to come; 200 is none.
        away: whether nothing can be reached.
        longest: most bytes of a URL; a longer one is a 414.
        arrived: called before each request is worked on.
        requests: the requests that arrived, such as `GET /cards`.
    """

    longest = 8000

    def __init__(self, clock):
        self.faults, self.reads, self.requests, self.away, self.arrived = [], [], [], False, None
        self._clock, self._late = clock, []

    @property
    def sent(self):
        """The verbs of the writes that arrived."""
        verbs = [request.partition(" ")[0] for request in self.requests if "/users/" not in request]
        return [verb for verb in verbs if verb != "GET"]

    async def handle_async_request(self, request):
        """Answer a request."""
        if self.arrived is not None:
            await self.arrived(request)
        self.work_late()
        path = request.url.path.partition("/v1.0")[2]
        self.requests.append(f"{request.method} {path}")
        if self.away:
            raise httpx.ConnectError("no network", request=request)
        if path == "/users/actions/login":
            return login_answer_at(self._clock.now())
        if request.method != "GET":
            body = json.loads(request.content)
            return self._write(request, lambda: self.on_write(request.method, path, body))
        status = self.reads.pop(0) if self.reads else 200
        if status != 200:
            return httpx.Response(status, headers={"Retry-After": "1"})
        if len(str(request.url)) > self.longest:
            return httpx.Response(414)
        try:
            return data(self.on_read(path, request.url.params))
        except RefusedError as error:
            return error.answer

    def work_late(self):
        """Do the late writes that are due."""
        for due, work in [*self._late]:
            if due <= self._clock.time():
                self._late.remove((due, work))
                self._answer_to(work)

    def _write(self, request, work):
        fault = self.faults.pop(0) if self.faults else None
        if fault == "no connection":
            raise httpx.ConnectError("no connection", request=request)
        if fault == "cut before":
            raise httpx.ReadError("cut", request=request)
        if fault == "busy":
            return httpx.Response(429, headers={"Retry-After": "1"})
        if isinstance(fault, float):
            self._late.append((self._clock.time() + fault, work))
        if fault == "before" or isinstance(fault, (int, float)):
            return httpx.Response(fault if isinstance(fault, int) else 504)
        answer = self._answer_to(work)
        if fault == "cut":
            raise httpx.ReadError("cut", request=request)
        if fault == "garbage":
            return httpx.Response(answer.status_code, content=b'{"data": {"cus')
        return httpx.Response(503) if fault == "after" else answer

    def _answer_to(self, work):
        try:
            made = work()
        except RefusedError as error:
            return error.answer
        return httpx.Response(204) if made is None else data(made)

    def _now(self):
        return f"{self._clock.now():%Y-%m-%d %H:%M:%S}"


def email_of(record):
    """The e-mail of a record as servers compare it."""
    return (record["personal_information"].get("email") or "").strip().lower()


class CustomerServer(MemoryServer):
    """Customers in memory; unlike the sandbox it takes two with one e-mail.

    Args:
        most: most records of a page.

    Attributes:
        customers: records by id.
    """

    def __init__(self, clock, *, most=1000):
        super().__init__(clock)
        self.customers, self._most = {}, most
        self._numbers = itertools.count()  # no id is given twice, also after a deletion

    def add(self, email, **person):
        """Add a customer of another program; return the id."""
        return self._create({**UNNAMED, "personal_information": {**UNNAMED_PERSON, "email": email, **person}})

    def emails(self):
        """How many customers have each e-mail, in lower case."""
        return Counter(map(email_of, self.customers.values()))

    def on_read(self, path, query):
        shown = [*self.customers.values()]
        emails = {email.strip().lower() for email in query.get_list("email_list[]")}
        if "!" in "".join(emails):
            raise RefusedError(400, ("email_list", "invalid_value_format"))
        if emails:
            shown = [record for record in shown if email_of(record) in emails]
        if "phone" in query:
            shown = [record for record in shown if record["personal_information"].get("phone") == query["phone"]]
        if ids := {customer_id.lower() for customer_id in query.get_list("customer_ids[]")}:
            shown = [record for record in shown if record["customer_id"] in ids]
        for name in query.get_list("sort_field"):
            shown.sort(key=lambda record: str(record.get(name)), reverse=query.get("sort_direction") == "DESC")
        count, offset = int(query.get("count", 100)), int(query.get("offset", 0))
        return listed("customers", *shown[offset : offset + min(count, self._most)], total=len(shown))

    def on_write(self, method, path, body):
        record = body["customer"]
        if "!" in (record["personal_information"].get("email") or ""):
            raise RefusedError(400, ("customer.personal_information.email", "invalid_value_format"))
        if record["personal_information"].get("last_name") == "Refused":
            raise RefusedError(400, ("customer.personal_information.last_name", "not_allowed_value"))
        if method == "POST":
            return {"customer_id": self._create(record)}
        kept = self.customers[path.rpartition("/")[2]]
        own = {name: kept[name] for name in ("customer_id", "state") if name in kept}
        email = kept["personal_information"].get("email")
        kept.clear()
        kept.update({**record, **own, "last_change": self._now()})
        kept["personal_information"].setdefault("email", email)
        return None

    def _create(self, record):
        made = f"{next(self._numbers):026x}"
        self.customers[made] = {"customer_id": made, **record, "last_change": self._now()}
        self.customers[made]["personal_information"].setdefault("email", "")
        return made


class LoyaltyServer(MemoryServer):
    """Purchases, points, credits, statuses, events, orders and customers: a record for each write, whatever is there.

    Attributes:
        purchases, points, credits, statuses: what was written, in its order, as the lists show it.
        events, orders, reservations: the same.
        customers: records by id.
        bills: the bodies of the bills that were written.
        done: the paths of what was done, in their order.
        shown: fields that purchases show in another way than they were sent.
        spelled, amounts: how ids of other systems, and amounts of histories, are shown.
        refused: bill ids that are refused.
        strange: entries that end every list.
        failing: customer → the status with which the server answers all reads of that customer.
    """

    def __init__(self, clock):
        super().__init__(clock)
        self.purchases, self.points, self.credits, self.statuses, self.bills = [], [], [], [], []
        self.events, self.orders, self.reservations, self.customers, self.done = [], [], [], {}, []
        self.shown, self.refused, self.strange, self.failing = {}, set(), [], {}
        self.spelled = self.amounts = lambda value: value

    def bill_ids(self, customer=None):
        """The ids of the bills, in their order, of one customer if one is named."""
        return [sent["bill"]["bill_id"] for sent in self.bills if customer in (None, sent.get("customer_id"))]

    def notes(self):
        """The notes of the operations on points, in their order."""
        return [record["point_operation_note"] for record in self.points]

    def on_read(self, path, query):
        first, _, rest = path.strip("/").partition("/")
        customer_id = query.get("customer_id") or rest.partition("/")[0]
        if customer_id in self.failing:
            raise RefusedError(self.failing[customer_id])
        if first == "customers" and rest and "/" not in rest:
            return self.customers[rest]
        name, records = self._list(first, rest)
        if first == "customers" and not rest:
            wanted = {*map(str.lower, query.get_list("email_list[]") + query.get_list("customer_ids[]"))}
            records = [record for record in records if {email_of(record), record["customer_id"]} & wanted]
        for field in ("customer_id", "external_purchase_id", "store_id", "purchase_id", "external_id"):
            if field in query:
                records = [value for value in records if str(value.get(field)).lower() == query[field].lower()]
        for field in ("point_operation_note", "credit_operation_note"):
            if field in query:
                records = [record for record in records if query[field] in record[field]]
        records = [*map(self._spell, records), *self.strange]
        start, count = int(query.get("offset", 0)), int(query.get("count", 100))
        return listed(name, *records[start : start + count], total=len(records))

    def _list(self, first, rest):
        if rest.endswith("/status-records"):
            return "status_records", [
                status for status in self.statuses if status["customer_id"] == rest.partition("/")[0]
            ]
        name = first.replace("-", "_")
        lists = {
            "purchases": [{**record, **self.shown} for record in self.purchases],
            "point_history": self.points,
            "credit_history": self.credits,
            "events": self.events,
            "orders": self.orders,
            "point_reservations": self.reservations,
            "customers": [*self.customers.values()],
        }
        return name, lists[name]

    def _spell(self, record):
        ways = dict.fromkeys(("external_purchase_id", "external_id", "order_number"), self.spelled)
        ways |= dict.fromkeys(("point_amount", "amount"), self.amounts)
        return {name: ways[name](value) if name in ways else value for name, value in record.items()}

    def on_write(self, method, path, body):
        if body.get("bill", {}).get("bill_id") in self.refused:
            raise RefusedError(400, ("bill.payment_recap", "voucher_used"))
        self.done.append(path)
        action = path.rpartition("/")[2]
        if path.startswith("/customers") and "customer" in body:
            customer_id = action if method == "PUT" else f"c{len(self.customers) + 1}"
            self.customers[customer_id] = {"customer_id": customer_id, **body["customer"]}
            return None if method == "PUT" else {"customer_id": customer_id}
        if action == "send-purchase":
            return self._add_purchase(body)
        if action == "set-status-record":
            return self._add(self.statuses, "status_record_id", {"valid_from": self._now(), "state": 1, **body})
        if action == "reserve-points":
            self._add(self.reservations, "points_reservation_id", body)
            return None
        if action in ("events", "orders"):
            return self._add(getattr(self, action), f"{action[:-1]}_id", body[action[:-1]])
        kind, amount = ("point", "point_amount") if "points" in action else ("credit", "amount")
        given = -body["amount"] if action.startswith("reduce") else body["amount"]
        record = {"customer_id": body["customer_id"], amount: given, f"{kind}_operation_note": body.get("note")}
        return self._add(getattr(self, f"{kind}s"), f"{kind}_id", record)

    def _add(self, records, id_field, record):
        made = f"{id_field[0]}{len(records)}"
        records.append({id_field: made, **record})
        return {id_field: made}

    def _add_purchase(self, body):
        self.bills.append(body)
        sent = body["bill"]
        record = {
            "external_purchase_id": sent["bill_id"],
            "type_id": sent["purchase_type_id"],
            **{name: body.get(name) for name in ("store_id", "customer_id", "card_number")},
            **{name: sent[name] for name in ("payment_time", "total_price", "currency_id")},
            "cashdesk_number": str(body["cashdesk_number"]),
            "items_count": len(sent["bill_items"]),
        }
        return self._add(self.purchases, "purchase_id", record)
