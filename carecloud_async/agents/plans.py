"""Writes in two steps: a plan says what will be, and only a plan that was shown can be committed."""

from __future__ import annotations

import base64
import hmac
import secrets
from typing import TYPE_CHECKING, Any, Final

import msgspec

from carecloud_async._base.codec.json_text import JsonObject
from carecloud_async.bulk.references import note_with_reference, reference_in, search_text
from carecloud_async.errors import ConfigurationError, NotFoundError
from carecloud_async.models.input_fields import by_digits

if TYPE_CHECKING:
    from carecloud_async.client import CareCloud
    from carecloud_async.outbox import Outbox

__all__ = ["Plans", "balance"]

_METHODS: Final = {"points": ("assign_points", "reduce_points"), "credits": ("deposit_credits", "reduce_credits")}
_PLANNED: Final = "nothing was sent; show this, and call commit(plan) if it is right"
_HAS_HAPPENED: Final = (
    "nothing was sent, and nothing will be: this reference of the customer has happened already; another operation "
    "needs another reference"
)


class Plans:
    """Makes plans and carries them out through an outbox.

    Args:
        client: the client.
        wait: seconds for which a commit waits for the answer.
    """

    def __init__(self, client: CareCloud, *, wait: float) -> None:
        self._client = client
        self._wait = wait
        self._secret = secrets.token_bytes(32)

    async def make(
        self, family: str, customer_id: str, amount: float, reference: str, note: str, **options: Any
    ) -> JsonObject:
        """Return a plan with what there is now and what will be.

        Args:
            family: `points` or `credits`.
            customer_id: the customer.
            amount: how many; below zero takes them away.
            reference: the key, such as the number of a sale: it happens once for a customer.
            note: a text beside it; empty for none.
            **options: further arguments of the operation; `None` is left out.

        Raises:
            ConfigurationError: the amount is 0, the reference has other characters than references, or there is no such
                customer.
            CareCloudError: the customer's balance or history cannot be read.
        """
        if not amount:
            raise ConfigurationError("amount is 0: give the number to add, or below zero the number to take away")
        note_with_reference(note, reference)  # what is wrong is an error now, not when the plan is committed
        try:
            await self._client.customers.get(customer_id)
        except NotFoundError:
            raise ConfigurationError("there is no customer with this id (404): customer() finds it") from None
        now = await balance(self._client, family, customer_id)
        has_happened = await self._has_happened(family, customer_id, reference)
        method = _METHODS[family][amount < 0]
        given = {name: value for name, value in {"note": note or None, **options}.items() if value is not None}
        call = {"customer_id": customer_id, "amount": abs(amount), **given}
        content = msgspec.json.encode({"family": family, "method": method, "reference": reference, "call": call})
        return {
            "plan": base64.urlsafe_b64encode(self._seal(content) + content).decode(),
            "operation": f"{family}.{method}",
            "customer_id": customer_id,
            "now": now,
            "will_be": now if has_happened else float(by_digits(now) + by_digits(amount)),
            "next": _HAS_HAPPENED if has_happened else _PLANNED,
        }

    async def commit(self, plan: str, outbox: Outbox) -> JsonObject:
        """Put a plan into an outbox of the client, wait some seconds for the answer, and return what became of it.

        Raises:
            ConfigurationError: no plan of this run of the server.
            NotForOutboxError: the operation or its arguments cannot be sent.
        """
        content = self._opened(plan)
        method = getattr(getattr(self._client, content["family"]), content["method"])
        entry = await outbox.put(method, reference=content["reference"], **content["call"])
        state = await outbox.outcome(entry, timeout=self._wait)
        if state == "sent":
            return {"entry": entry, "state": state}
        if state == "failed":
            failed = next((failure for failure in await outbox.failures() if failure.id == entry), None)
            reasons = [] if failed is None else [failed.outcome, *failed.reasons]
            return {"entry": entry, "state": state, "reasons": reasons}
        problem = outbox.problem
        why = "its answer is not known yet" if problem is None else str(problem)
        return {
            "entry": entry,
            "state": state,
            "reason": why,
            "next": "it is stored and will be sent once; do not plan it again under another reference",
        }

    async def _has_happened(self, family: str, customer_id: str, reference: str) -> bool:
        kind = family.removesuffix("s")
        note = f"{kind}_operation_note"
        history = getattr(self._client, f"{kind}_history").list(
            customer_id=customer_id, **{note: search_text(reference)}
        )
        return any([reference_in(getattr(record, note)) == reference async for record in history])

    def _seal(self, content: bytes) -> bytes:
        return hmac.digest(self._secret, content, "sha256")

    def _opened(self, plan: str) -> JsonObject:
        try:
            raw = base64.urlsafe_b64decode(plan)
        except ValueError:
            raw = b""
        if not hmac.compare_digest(self._seal(raw[32:]), raw[:32]):
            raise ConfigurationError(
                "this is no plan of this run of the server: plan again with the same reference, which happens once, "
                "and pass the text under plan unchanged"
            )
        content: JsonObject = msgspec.json.decode(raw[32:])
        return content


async def balance(client: CareCloud, family: str, customer_id: str) -> float:
    """Return the points or credits that a customer can spend: what is left of the active records.

    Raises:
        CareCloudError: they cannot be read.
    """
    records = getattr(client, family).list(customer_id=customer_id)
    left = [getattr(record, f"available_{family}") or 0 async for record in records if record.state in (None, 1)]
    return float(sum(map(by_digits, left)))
