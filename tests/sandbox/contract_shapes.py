"""Calls with what the manifest asks for, and what it finds wrong with their answers."""

from carecloud_async.sandbox import (
    CUSTOMER_APPLICATION_ID,
    CUSTOMER_PASSWORD,
    CUSTOMER_SOURCE_IDS,
    FIRST_CUSTOMER_EMAIL,
    FIRST_CUSTOMER_ID,
    OTHER_CUSTOMER_APPLICATION_ID,
    SOCIAL_NETWORK_IDS,
    SOCIAL_TOKEN_PREFIX,
    SSO_TOKEN,
    USER_APPLICATION_ID,
    USER_AUTH_TOKEN,
    USER_ID,
    USER_LOGIN,
    USER_PASSWORD,
)
from carecloud_async.sandbox.state.facts import api_plans
from tests.contract import manifest

FACTS = manifest.load()
TYPES = {"object": dict, "string": str, "integer": int, "number": (int, float), "boolean": bool}
SOCIAL = {
    "social_network_id": SOCIAL_NETWORK_IDS[0],
    "social_network_token": SOCIAL_TOKEN_PREFIX + FIRST_CUSTOMER_ID,
}
#: Values that an operation takes no others for, by field.
KNOWN = {
    "customer_id": FIRST_CUSTOMER_ID,
    "original_customer_id": FIRST_CUSTOMER_ID,
    "new_customer_id": FIRST_CUSTOMER_ID,
    "customer_source_id": CUSTOMER_SOURCE_IDS[0],
    "external_application_id": CUSTOMER_APPLICATION_ID,
    "user_external_application_id": USER_APPLICATION_ID,
    "login": USER_LOGIN,
    "password": CUSTOMER_PASSWORD,
    "sso_token": SSO_TOKEN,
    "auth_token": USER_AUTH_TOKEN,
    "login_type": "email",
    "login_value": FIRST_CUSTOMER_EMAIL,
    "social_network_credentials": SOCIAL,
}
#: Bodies that need more than values of the right type.
BODIES = {
    "postUserLogin": {
        "user_external_application_id": USER_APPLICATION_ID,
        "login": USER_LOGIN,
        "password": USER_PASSWORD,
    },
    "postCustomer": {"autologin": False},
    "postCustomersAuthToken": {"external_application_id": OTHER_CUSTOMER_APPLICATION_ID, "token_type": 1},
    "postTokenSendPasswordSetup": {"email": FIRST_CUSTOMER_EMAIL},
}
QUERIES = {"getTokenAuthentication": {"external_application_id": OTHER_CUSTOMER_APPLICATION_ID}}


def refusals(answer):
    """The names and reasons of what a 400 refuses."""
    assert answer.status_code == 400
    return [
        (invalid_param["name"], invalid_param["reason"])
        for invalid_param in answer.json()["error"]["error_data"]["invalid_params"]
    ]


def sample(value, *, everything=False):
    """A value for a field."""
    if value.name in KNOWN:
        return KNOWN[value.name]
    schema = FACTS.schemas.get(value.item)
    if value.many:
        return [sample(type(value)(name="", type=value.item, enum=value.enum), everything=everything)]
    if schema is not None and schema.fields:
        return record(schema, everything=everything)
    known = value.enum or (schema.enum if schema else ())
    texts = {"date": "2024-02-29", "timestamp": "2024-02-29 12:00:00", "time": "12:00:00"}
    scalars = {"string": texts.get(value.format, "text"), "integer": 1, "number": 1.5, "boolean": True, "object": {}}
    return known[0] if known else scalars[value.type.split("|")[0].removesuffix("[]")]


def record(schema, *, everything=False):
    """An object of a schema with what may be written: all fields or only the required ones."""
    fields = [value for value in schema.fields if not value.read_only and (value.required or everything)]
    return {value.name: sample(value) for value in fields if "." not in value.name}


def body_of(operation, **values):
    """A body with all required fields."""
    needed = {value.name: sample(value) for value in operation.body if value.required and "." not in value.name}
    return {**needed, **BODIES.get(operation.operation_id, {}), **values}


def query_of(operation):
    """A query with all required parameters."""
    needed = {value.name: sample(value) for value in operation.query if value.required}
    return needed | QUERIES.get(operation.operation_id, {})


def path_of(sandbox, operation, token=None):
    """The path of an operation with ids that exist: of each collection the oldest."""
    path, parents = "", {}
    for segment in operation.path.strip("/").split("/"):
        if segment.startswith("{"):
            collection = operation.path[: operation.path.index(segment)].rstrip("/")
            parents[segment[1:-1]] = segment = first_id(sandbox, collection, parents, token)
        path += f"/{segment}"
    return path


def first_id(sandbox, collection, parents, token):
    """The oldest id of a collection."""
    known = {"/customers": FIRST_CUSTOMER_ID, "/users": USER_ID, "/tokens": token}
    if collection in known:
        return known[collection]
    plan = api_plans().lists[collection]
    name = collection.replace("{" + str(plan.parent_name) + "}/", "")
    return sandbox.records(name, of=parents[plan.parent_name] if plan.is_parents_table else None).ids()[0]


def wrong_in_answer(operation, answer):
    """What is wrong with the status and the body of a success."""
    declared = operation.answer
    if str(answer.status_code) not in declared.statuses:
        return [f"status {answer.status_code}: {answer.text[:300]}"]
    if declared.kind == "nothing":
        return ["a body"] if answer.content else []
    data = answer.json()["data"]
    if declared.kind == "list":
        if set(data) != {declared.key, "total_items"} or not isinstance(data["total_items"], int):
            return [f"keys {sorted(data)}"]
        first = data[declared.key][:1]
        return [wrong for item in first for wrong in wrong_in_record(FACTS.schemas[declared.type].fields, item, "")]
    fields = declared.fields if declared.kind == "fields" else FACTS.schemas[declared.type].fields
    return list(wrong_in_record(fields, data, ""))


def wrong_in_record(fields, given, place):
    """What is wrong with an object, by the facts of its fields."""
    if not isinstance(given, dict):
        yield f"{place} is not an object"
        return
    names = {value.name for value in fields if "." not in value.name}
    yield from (f"{place}.{name} is unknown" for name in sorted(set(given) - names))
    for value in fields:
        if value.name in given:
            yield from wrong_in_value(value, given[value.name], f"{place}.{value.name}")
        elif value.required:
            yield f"{place}.{value.name} is missing"


def wrong_in_value(value, given, place):
    """What is wrong with one value."""
    if value.many:
        if not isinstance(given, list):
            yield f"{place} is not a list"
            return
        item = type(value)(name=value.name, type=value.item, enum=value.enum)
        for number, entry in enumerate(given):
            yield from wrong_in_value(item, entry, f"{place}[{number}]")
        return
    schema = FACTS.schemas.get(value.type)
    if schema is not None and schema.fields:
        yield from wrong_in_record(schema.fields, given, place)
    elif "|" not in value.type and value.type in TYPES:
        kinds = TYPES[value.type]
        if not isinstance(given, kinds) or (isinstance(given, bool) and value.type != "boolean"):
            yield f"{place} is {given!r}, not {value.type}"
        elif value.enum and given not in value.enum:
            yield f"{place} is {given!r}, not one of {value.enum}"
