"""The names under which the SDK knows the description's schemas, answers and types."""

from __future__ import annotations

import re

from tests.contract.facts import Facts, Operation, Schema, Value

__all__ = ["ANSWERS", "NOT_MODELS", "RENAMES", "class_name", "options", "reachable", "snake", "writable"]

#: Schemas whose class has another name than theirs.
RENAMES = {
    "Consents": "Consent",
    "CustomAgreements": "CustomAgreement",
    "AgreementList": "AgreementDefinition",
    "Flag": "SearchFlag",
    "GPSCoordinates": "GpsCoordinates",
    "Parameter": "MessageParameter",
    "RewardProperties": "RecommendedRewardProperties",
    "UTM": "Utm",
}

#: Answers of several fields without a name, by operation, and their classes.
ANSWERS = {
    "getEntrancesCustomerStats": "EntranceCustomerStats",
    "getEntrancesOverview": "EntrancesOverview",
    "getPurchasePaymentSummary": "PaymentSummary",
    "getWalletCredits": "CreditsOverview",
    "getWalletCreditsExpiration": "ExpirationOverview",
    "getWalletPoints": "PointsOverview",
    "getWalletPointsExpiration": "ExpirationOverview",
    "postBookingBusyTimes": "BookingBusyTimes",
    "postValidateIsicCard": "IsicCardValidation",
    "getTokenAuthentication": "AuthenticationToken",
    "postCustomersAuthToken": "AuthenticationToken",
    "postUserLogin": "UserLogin",
    "postUserSsoLogin": "UserLogin",
}

#: Schemas without a class of their own: failures are exceptions, a list of values is an enum.
NOT_MODELS = frozenset({"BadRequestErrorBody", "BasicError", "Error_processing"})


def class_name(schema: str) -> str:
    """Return the name of a schema's class: `Purchase-type` is `PurchaseType`."""
    parts = re.split(r"[-_]", schema)
    return RENAMES.get(schema) or "".join(part[:1].upper() + part[1:] for part in parts)


def snake(name: str) -> str:
    """Return a name as a variable has it: `PurchaseItemType` is `purchase_item_type`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[-\s]", "_", name).lower()


def options(kind: str) -> tuple[str, ...]:
    """Return the alternatives of a type, without the marks of lists."""
    return tuple(re.sub(r"[()\[\]]", "", option) for option in kind.split("|"))


def writable(facts: Facts, schema: Schema) -> tuple[Value, ...]:
    """Return the fields of a schema that a caller may send: neither they nor their own schemas are read-only."""
    if schema.read_only:
        return ()
    return tuple(
        value
        for value in schema.fields
        if "." not in value.name
        and not value.read_only
        and not (value.item in facts.schemas and facts.schemas[value.item].read_only)
    )


def reachable(facts: Facts, *, written: bool) -> tuple[str, ...]:
    """Return the schemas that bodies (`written`) or answers hold, directly or within another; sorted."""
    queue = [kind for operation in facts.operations.values() for kind in _types(operation, written=written)]
    seen: set[str] = set()
    while queue:
        name = queue.pop()
        schema = facts.schemas.get(name)
        if schema and name not in seen and not (written and schema.read_only):
            seen.add(name)
            queue += _within(schema, written=written)
    return tuple(sorted(seen))


def _types(operation: Operation, *, written: bool) -> list[str]:
    if written:
        return [option for value in operation.body for option in options(value.type)]
    values = operation.answer.fields
    return [*options(operation.answer.type), *(option for value in values for option in options(value.type))]


def _within(schema: Schema, *, written: bool) -> list[str]:
    fields = [value for value in schema.fields if not (written and value.read_only)]
    return [*options(schema.type), *(option for value in fields for option in options(value.type))]
