"""The actions on purchases: payment with benefits, the final bill, the customer of a purchase."""

from __future__ import annotations

from carecloud_async.sandbox.api.arguments import arguments
from carecloud_async.sandbox.api.calls import Call
from carecloud_async.sandbox.api.cards import holders_of_card
from carecloud_async.sandbox.api.problems import invalid
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.draw import hex_id
from carecloud_async.sandbox.state.tables import Tables


def send_purchase(call: Call) -> JsonObject:
    """`POST /purchases/actions/send-purchase`: record a final bill with its items.

    A bill that is sent twice makes two purchases, as in a real project: the API has no idempotency key. A cancellation
    is a purchase of its own, with the id that its bill has.
    """
    body = arguments(call)
    bill, purchases = body["bill"], call.state.tables.table("/purchases")
    customer_id = body.get("customer_id") or _holder(call, body.get("card_number"))
    purchase: JsonObject = {
        "customer_id": customer_id,
        "store_id": body["store_id"],
        "external_purchase_id": bill["bill_id"],
        "payment_time": bill["payment_time"],
        "items_count": len(bill["bill_items"]),
        "purchase_items": [_item(bill["bill_id"], number, item) for number, item in enumerate(bill["bill_items"])],
        "type_id": bill["purchase_type_id"],
        "total_price": bill["total_price"],
        "currency_id": bill["currency_id"],
        **({"card_number": body["card_number"]} if body.get("card_number") else {}),
        "cashdesk_number": str(body["cashdesk_number"]),
        "last_change": call.state.now(),
        "property_records": bill.get("property_records") or [],
    }
    return {"purchase_id": purchases.insert(purchase)}


def assign_customer(call: Call) -> None:
    """`POST /purchases/actions/assign-customer`: set the customer of a purchase, found by its store and external id.

    Raises:
        RefusalError: 400 if there is no such purchase or no such card.
    """
    body, purchases = arguments(call), call.state.tables.table("/purchases")
    customer_id = body.get("customer_id") or _holder(call, body.get("card_number"))
    if not customer_id:
        reason = "not_found" if body.get("card_number") else "required"
        raise invalid("card_number", reason)
    same = purchases.matching("external_purchase_id", body["external_purchase_id"])
    found = [one for one, purchase in same if purchase.get("store_id") == body["store_id"]]
    if not found:
        raise invalid("external_purchase_id", "not_found", value=str(body["external_purchase_id"]))
    purchases.update(found[0], {"customer_id": customer_id})


def accept_payment(call: Call) -> JsonObject:
    """`POST /purchases/actions/accept-payment`: the vouchers, points and credits that were asked for.

    Vouchers count first, then points, then credits; together they never exceed the price. Every customer has enough
    points and credits, each worth one unit of the bill's currency. Codes of no voucher are left out.
    """
    body, tables = arguments(call), call.state.tables
    bill = body["bill"]
    left = float(bill["total_price"])
    vouchers = []
    for voucher in _vouchers(tables, body.get("benefit_codes") or ()):
        discount = min(left, float(voucher.get("value") or 0))
        left -= discount
        name = (voucher.get("reward") or {}).get("name")
        item = bill["bill_items"][0]["bill_item_id"] if bill["bill_items"] else ""
        vouchers.append(
            {"code": voucher["code"], "name": name, "discount_value": round(discount, 2), "bill_item_id": item}
        )
    points = min(left, float(body.get("max_points") or 0))
    credit = min(left - points, float(body.get("max_credit") or 0))
    place = f"{call.api.template}:{body.get('customer_id', '')}"
    return {
        **tables.maker.answer(call.api.result, call.api.fields, given=body, place=place),
        "recommended_discounts": [],
        "vouchers": vouchers,
        "credit_points": round(points, 2),
        "price_of_credit_points": round(points, 2),
        "credit": round(credit, 2),
        "messages": [],
    }


def _holder(call: Call, card_number: str | None) -> str:
    """The customer who holds a card, or an empty text."""
    if not card_number:
        return ""
    return next(iter(holders_of_card(call.state, card_number)), "")


def _item(bill_id: str, number: int, item: JsonObject) -> JsonObject:
    """The item of a purchase, made from an item of its bill."""
    return {
        "purchase_item_id": hex_id(f"{bill_id}:{number}"),
        "product_id": item["plu_ids"][0]["code"] if item["plu_ids"] else "",
        "product_name": item["plu_name"],
        "external_id": item["bill_item_id"],
        "purchase_item_type_id": item["purchase_item_type_id"],
        "price": item["price"],
        "amount": item["quantity"],
        "vat_rate": item["vat_rate"],
        "additional_properties": item.get("purchase_item_property_records") or [],
    }


def _vouchers(tables: Tables, codes: list[str] | tuple[str, ...]) -> list[JsonObject]:
    vouchers = tables.table("/vouchers")
    return [voucher for code in codes for _, voucher in vouchers.matching("code", code)]
