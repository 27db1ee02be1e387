"""A tiny server of purchases, points, credits and statuses in memory, as httpx transport.

It checks nothing that hides a double: two bills with one id, or two operations with one note, are two. It loses answers
and writes late as a test says.
"""

import json
from urllib.parse import parse_qs

import httpx
from kit import login_answer_at

STORE, OTHER_STORE = "81eaeea13b8984a169c490a325", "81eaeea13b8984a169c490a326"
ITEM = {
    "plu_ids": [{"list_code": "GLOBAL", "code": "e345"}],
    "plu_name": "Teapot",
    "vat_rate": 21,
    "quantity": 1,
    "paid_amount": 50,
    "price": 50,
    "bill_item_id": "1",
    "loyalty_off": False,
    "purchase_item_type_id": "86e05affc7a7abefcd513ab400",
}
#: What all bills of a file have.
BILL_DEFAULTS = {
    "store_id": STORE,
    "cashdesk_number": 1,
    "purchase_type_id": "86e05affc7a7abefcd513ab400",
    "payment_type": "S",
    "canceled": False,
    "currency_id": "8bed991c68a470e7aaeffbf048",
}


def bill(number, *, items=1, **more):
    """A row of a bill with items."""
    return {
        "external_purchase_id": f"B{number}",
        "payment_time": "2026-03-08 10:00:00",
        "total_price": 50 * items,
        "bill_items": [{**ITEM, "bill_item_id": f"{one}"} for one in range(items)],
        **more,
    }


class LoyaltyServer(httpx.AsyncBaseTransport):
    """Purchases, points, credits and statuses in memory.

    Args:
        clock: the clock, by which late writes are done.

    Attributes:
        purchases, points, credits, statuses: what was written, in its order, as the lists show it.
        bills: the bodies of the bills that were written.
        sent: the paths of the writes that arrived.
        faults: faults of the writes to come, one each: `before` and `after` lose the answer, seconds write late.
        strange: entries that end every list.
        reads: how many reads there were.
        failing: customer → the status with which the server always answers reads of that customer.
    """

    def __init__(self, clock):
        self.purchases, self.points, self.credits, self.statuses, self.bills = [], [], [], [], []
        self.sent, self.faults, self.strange, self.reads = [], [], [], 0
        self.failing = {}
        self._clock, self._late = clock, []

    async def handle_async_request(self, request):
        """Answer a request."""
        self._work_late()
        path = request.url.path.partition("/v1.0")[2]
        if path == "/users/actions/login":
            return login_answer_at(self._clock.now())
        if request.method == "GET":
            self.reads += 1
            wanted = {name: values[0] for name, values in parse_qs(request.url.query.decode()).items()}
            for customer_id in {wanted.get("customer_id"), path.split("/")[2:3][0] if path.count("/") > 2 else None}:
                if customer_id in self.failing:
                    return httpx.Response(self.failing[customer_id])
            return self._read(path, wanted)
        self.sent.append(path)
        body = json.loads(request.content)
        fault = self.faults.pop(0) if self.faults else None
        if fault == "before":
            return httpx.Response(504)
        if isinstance(fault, float):
            self._late.append((self._clock.time() + fault, path, body))
            return httpx.Response(504)
        if fault == "refused":
            params = [{"name": "amount", "reason": "not_allowed_value"}]
            error = {"type": "x", "exception": "e", "title": "t", "error_data": {"invalid_params": params}}
            return httpx.Response(400, json={"error": error})
        data = self._write(path, body)
        return httpx.Response(503) if fault == "after" else httpx.Response(201, json={"data": data})

    def _work_late(self):
        for due, path, body in [*self._late]:
            if due <= self._clock.time():
                self._late.remove((due, path, body))
                self._write(path, body)

    def _read(self, path, wanted):
        name, found = self._list(path)
        for field in ("customer_id", "external_purchase_id", "store_id", "purchase_id"):
            if field in wanted:
                found = [one for one in found if one.get(field) == wanted[field]]
        for field in ("point_operation_note", "credit_operation_note"):
            if field in wanted:
                found = [one for one in found if wanted[field] in one[field]]
        found = [*found, *self.strange]
        page = found[int(wanted.get("offset", 0)) :][: int(wanted.get("count", 100))]
        return httpx.Response(200, json={"data": {name: page, "total_items": len(found)}})

    def _list(self, path):
        if path.endswith("/status-records"):
            customer_id = path.split("/")[2]
            return "status_records", [one for one in self.statuses if one["customer_id"] == customer_id]
        name = path.strip("/").replace("-", "_")
        return name, {"purchases": self.purchases, "point_history": self.points, "credit_history": self.credits}[name]

    def _write(self, path, body):
        action = path.rpartition("/")[2]
        if action == "send-purchase":
            return {"purchase_id": self._add_purchase(body)}
        if action == "set-status-record":
            made = {"status_record_id": f"s{len(self.statuses)}", "valid_from": self._now(), "state": 1, **body}
            self.statuses.append(made)
            return {"status_record_id": made["status_record_id"]}
        kind, history = ("point", self.points) if "points" in action else ("credit", self.credits)
        sign = -1 if action.startswith("reduce") else 1
        amount = {"point": "point_amount", "credit": "amount"}[kind]
        history.append(
            {"customer_id": body["customer_id"], amount: sign * body["amount"], f"{kind}_operation_note": body["note"]}
        )
        return {f"{kind}_id": f"{kind}{len(history)}"}

    def _add_purchase(self, body):
        self.bills.append(body)
        sent = body["bill"]
        shown = {name: sent[name] for name in ("payment_time", "total_price", "currency_id")}
        self.purchases.append(
            {
                "purchase_id": f"{len(self.purchases):026x}",
                "external_purchase_id": sent["bill_id"],
                "type_id": sent["purchase_type_id"],
                **{name: body.get(name) for name in ("store_id", "customer_id", "card_number")},
                **shown,
                "cashdesk_number": str(body["cashdesk_number"]),
                "items_count": len(sent["bill_items"]),
            }
        )
        return self.purchases[-1]["purchase_id"]

    def _now(self):
        return f"{self._clock.now():%Y-%m-%d %H:%M:%S}"
