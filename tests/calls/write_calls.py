"""Every operation that writes: its call with made-up arguments, and the answer that makes it a success."""

import json

from kit import KnownUser

from carecloud_async import CareCloud
from carecloud_async.resources import OPERATIONS
from tests.contract import manifest
from tests.contract.arguments import call_of
from tests.sandbox.contract_shapes import body_of, query_of, sample

FACTS = manifest.load().operations
WRITES = [operation.operation_id for operation in OPERATIONS.values() if operation.outcome_matters]
#: Three of four, which differ from the others in their paths and bodies.
MORE_WRITES = [operation for index, operation in enumerate(WRITES) if index % 4]
#: Bodies that need more than the values of required fields.
BODIES = {
    "postBulkDeleteProductReservationPrices": {"product_reservation_prices": [{"product_reservation_price_id": "id"}]}
}
HTML = b"<html><body>Down for maintenance</body></html>"
ERROR = b'{"error": {"exception": "maintenance_exception"}}'


def connect(address, operation_id, **options):
    """Return a client that may call an operation."""
    interface = "customer" if FACTS[operation_id].interface == "customer" else "enterprise"
    return CareCloud(address, auth=KnownUser(interface), rate_limit=None, **options)


async def write(client, operation_id):
    """Call an operation."""
    facts = FACTS[operation_id]
    ids = {name: f"id{place}" for place, name in enumerate(facts.path_names)}
    values = {**body_of(facts), **query_of(facts), **BODIES.get(operation_id, {})}
    call = call_of(client, operation_id, ids=ids, values=values)
    await call.method(**call.arguments)


def success(operation_id):
    """Return status and body of an operation's success."""
    answer = FACTS[operation_id].answer
    if answer.kind == "nothing":
        return 204, b""
    return 200, json.dumps({"data": {field.name: sample(field) for field in answer.fields}}).encode()
