"""The answer to accept-payment: the vouchers, points and credits that were asked for, up to the price of the bill."""

from __future__ import annotations

from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.tables import Tables


def accepted_payment(tables: Tables, arguments: JsonObject) -> JsonObject:
    """Return the fields of the answer that depend on the request.

    Vouchers count first, then points, then credits; together they never exceed the price. Any customer has enough
    points and credits, each worth one unit of the bill's currency. A code of no voucher is left out.

    Args:
        tables: The tables.
        arguments: The body.
    """
    bill = arguments["bill"]
    left = float(bill["total_price"])
    codes = arguments.get("benefit_codes") or ()
    known = [one for _, one in tables.table("/vouchers").items() if one.get("code") in codes] if codes else []
    vouchers = []
    for voucher in known:
        discount = min(left, float(voucher.get("value") or 0))
        left -= discount
        name = (voucher.get("reward") or {}).get("name")
        item = bill["bill_items"][0]["bill_item_id"] if bill["bill_items"] else ""
        vouchers.append(
            {"code": voucher["code"], "name": name, "discount_value": round(discount, 2), "bill_item_id": item}
        )
    points = min(left, float(arguments.get("max_points") or 0))
    credit = min(left - points, float(arguments.get("max_credit") or 0))
    return {
        "recommended_discounts": [],
        "vouchers": vouchers,
        "credit_points": round(points, 2),
        "price_of_credit_points": round(points, 2),
        "credit": round(credit, 2),
        "messages": [],
    }
