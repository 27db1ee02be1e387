"""A tiny server of bills, points, events and customers, as httpx transport: it checks nothing that hides a double."""

import json

import httpx
from kit import login_answer_at

from carecloud_async import CareCloud, EnterpriseCredentials, RetryPolicy
from carecloud_async.models import BillItemInput, FinalBillInput

#: Keys of what was sent are kept for a day.
NEXT_DAY = 25 * 3600
STORE = "8bc1ea2ea78f1ee0f5a8ff4f70"
PLACE = {"store_id": STORE, "cashdesk_number": 1}


def client_of(server, clock, *, login="u", host="model.example.com", **more):
    """A client of a server."""
    auth = EnterpriseCredentials(external_application_id="89d1a6111b3fb6e74665d948", login=login, password="p")
    settings = {"transport": server, "clock": clock, "rate_limit": None, "retry": RetryPolicy(attempts=2), **more}
    return CareCloud(host, auth=auth, **settings)


def bill(number, *, total=10.0, **more):
    """A final bill."""
    item = BillItemInput(
        bill_item_id="1",
        plu_ids=[],
        plu_name="Bread",
        quantity=1.0,
        price=total,
        paid_amount=total,
        vat_rate=21.0,
        loyalty_off=False,
        purchase_item_type_id="t",
    )
    return FinalBillInput(
        **{
            "bill_id": str(number),
            "payment_time": "2026-03-02 10:00:00",
            "currency_id": "czk",
            "total_price": total,
            "bill_items": [item],
            "purchase_type_id": "p",
            "canceled": False,
            "payment_type": "cash",
            **more,
        }
    )


class TillServer(httpx.AsyncBaseTransport):
    """Bills, operations on points, events and customers in memory.

    Args:
        clock: the clock, by which late writes are done.

    Attributes:
        done: what was done, in its order: `(path, body)`.
        faults: faults of the writes to come, one each; `None` is none.
        away: whether nothing can be reached.
        shown: what purchases show in another way than it was sent.
        spelled, amounts: how ids of other systems, and amounts of histories, are shown.
        refused: bill ids that are refused.
        broken: customers on whose lists the server fails.
        arrived: called before each request is worked on.
    """

    def __init__(self, clock):
        self.done, self.faults, self.refused, self.broken = [], [], set(), set()
        self.away = False
        self.shown = {}
        self.spelled = self.amounts = lambda value: value
        self.arrived = None
        self.requests = []
        self.customers = {}
        self._clock, self._late = clock, []

    def bills(self, customer=None):
        """The ids of the bills, in their order, of one customer if one is named."""
        sent = [body for path, body in self.done if path.endswith("send-purchase")]
        return [one["bill"]["bill_id"] for one in sent if customer in (None, one.get("customer_id"))]

    def notes(self):
        """The notes of the operations on points and credits, in their order."""
        return [body["note"] for path, body in self.done if "points" in path or "credits" in path]

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
        if request.method == "GET":
            return self._read(path, request.url.params)
        return self._write(request, path, json.loads(request.content))

    def work_late(self):
        """Do the late writes that are due."""
        for due, path, body in [*self._late]:
            if due <= self._clock.time():
                self._late.remove((due, path, body))
                self._made("POST", path, body)
                self.done.append((path, body))

    def _read(self, path, query):
        if query.get("customer_id") in self.broken:
            return httpx.Response(500)
        key = path.strip("/").replace("-", "_")
        if path.startswith("/customers/"):
            return answer(self.customers[path.rpartition("/")[2]])
        found = getattr(self, f"_{key}")(query)
        return answer({key: found, "total_items": len(found)})

    def _purchases(self, query):
        sent = [body for path, body in self.done if path.endswith("send-purchase")]
        found = [one for one in sent if one["bill"]["bill_id"] == query["external_purchase_id"]]
        return [
            {
                "purchase_id": f"p{one['bill']['bill_id']}{'*' * number}",
                "external_purchase_id": self.spelled(one["bill"]["bill_id"]),
                "store_id": one["store_id"].upper(),
                "total_price": one["bill"]["total_price"],
                "payment_time": one["bill"]["payment_time"],
                "currency_id": one["bill"]["currency_id"],
                "type_id": one["bill"]["purchase_type_id"],
                "customer_id": one.get("customer_id"),
                **self.shown,
            }
            for number, one in enumerate(found)
        ]

    def _history(self, query, kind, amount):
        found = []
        for path, body in self.done:
            is_own = kind in path and body["customer_id"].lower() == query["customer_id"].lower()
            if is_own and "actions" in path:
                sign = -1 if "reduce" in path else 1
                found.append({amount: self.amounts(sign * body["amount"]), f"{kind[:-1]}_operation_note": body["note"]})
        return [one for one in found if query[f"{kind[:-1]}_operation_note"] in one[f"{kind[:-1]}_operation_note"]]

    def _point_history(self, query):
        return self._history(query, "points", "point_amount")

    def _credit_history(self, query):
        return self._history(query, "credits", "amount")

    def _events(self, query):
        events = [body["event"] for path, body in self.done if path == "/events"]
        found = [one for one in events if one["external_id"] == query["external_id"]]
        shown = [{**one, "external_id": self.spelled(one["external_id"])} for one in found]
        return [{"event_id": f"e{number}", **one} for number, one in enumerate(shown)]

    def _orders(self, query):
        orders = [body["order"] for path, body in self.done if path == "/orders"]
        found = [one for one in orders if one["customer_id"] == query["customer_id"]]
        return [{"order_id": "o", **one, "order_number": self.spelled(one["order_number"])} for one in found]

    def _point_reservations(self, query):
        reserved = [body for path, body in self.done if path.endswith("reserve-points")]
        found = [one for one in reserved if one["external_id"] == query["external_id"]]
        return [{"points_reservation_id": "r", **one, "external_id": self.spelled(one["external_id"])} for one in found]

    def _customers(self, query):
        wanted = {*map(str.lower, query.get_list("email_list[]")), *query.get_list("customer_ids[]")}
        found = [(str(one["personal_information"].get("email")).lower(), one) for one in self.customers.values()]
        return [one for email, one in found if {email, one["customer_id"]} & wanted]

    def _write(self, request, path, body):
        fault = self.faults.pop(0) if self.faults else None
        if fault == "no connection":
            raise httpx.ConnectError("no connection", request=request)
        if fault == "before":
            return httpx.Response(504)
        if isinstance(fault, int):
            return httpx.Response(fault)
        if isinstance(fault, float):
            self._late.append((self._clock.time() + fault, path, body))
            return httpx.Response(504)
        if body.get("bill", {}).get("bill_id") in self.refused:
            params = [{"name": "bill.payment_recap", "reason": "voucher_used"}]
            error = {"type": "x", "exception": "e", "title": "t", "error_data": {"invalid_params": params}}
            return httpx.Response(400, json={"error": error})
        self.done.append((path, body))
        made = self._made(request.method, path, body)
        if fault == "after":
            return httpx.Response(503)
        if fault == "cut":
            raise httpx.ReadError("cut", request=request)
        return answer(made) if made is not None else httpx.Response(204)

    def _made(self, method, path, body):
        if path == "/customers":
            customer_id = f"c{len(self.customers) + 1}"
            self.customers[customer_id] = {"customer_id": customer_id, **body["customer"]}
            return {"customer_id": customer_id}
        if method == "PUT":
            customer_id = path.rpartition("/")[2]
            self.customers[customer_id] = {"customer_id": customer_id, **body["customer"]}
            return None
        if path.endswith("reserve-points"):
            return None
        names = {"purchase": "purchase_id", "points": "point_id", "credits": "credit_id", "order": "order_id"}
        return {next((one for name, one in names.items() if name in path), "event_id"): "x"}


def answer(data):
    """An answer with data."""
    return httpx.Response(200, json={"data": data})
