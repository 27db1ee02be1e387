"""The table of operations against the vendor's OpenAPI description, where that is at hand."""

import re
from pathlib import Path

import pytest

from carecloud_async.calls.operation import BOTH, CUSTOMER_ONLY, ENTERPRISE_ONLY
from carecloud_async.resources import OPERATIONS

DESCRIPTION = Path(__file__).parents[2].parent / "shared/api/openapi.yaml"
_ONLY = re.compile(r"⚠️[^\n]*available only in (Enterprise|Customer) API")
_INTERFACES = {"Enterprise": ENTERPRISE_ONLY, "Customer": CUSTOMER_ONLY, None: BOTH}


@pytest.fixture(scope="module")
def description():
    if not DESCRIPTION.exists():
        pytest.skip("the vendor's description is not beside the project")
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    return yaml.load(DESCRIPTION.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def resolved(description, thing):
    """Follow a reference to what it stands for."""
    while "$ref" in thing:
        target = description
        for part in thing["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        thing = target
    return thing


def found(description, operation_id):
    """The verb, the path and the vendor's words of one operation."""
    return next(
        (verb.upper(), path, one)
        for path, verbs in description["paths"].items()
        for verb, one in verbs.items()
        if isinstance(one, dict) and one.get("operationId") == operation_id
    )


def query_names(description, one):
    parameters = [resolved(description, parameter) for parameter in one.get("parameters", ())]
    return {parameter["name"].removesuffix("[]") for parameter in parameters if parameter["in"] == "query"}


def list_key(description, one):
    """The one list beside `total_items` in a successful answer, if it is a list."""
    responses = one["responses"]
    answer = resolved(description, responses.get("200") or responses.get(200) or {})
    schema = resolved(description, answer.get("content", {}).get("application/json", {}).get("schema", {}))
    data = resolved(description, schema.get("properties", {}).get("data", {}))
    properties = data.get("properties", {})
    if "total_items" not in properties:
        return None
    (key,) = properties.keys() - {"total_items"}
    return key


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda one: one.operation_id)
def test_a_row_says_what_the_vendor_says(description, operation):
    """Verb, path, query names, paging, result key, interfaces and the need of a token are the vendor's."""
    verb, path, one = found(description, operation.operation_id)
    assert (operation.method, operation.path) == (verb, path)
    assert set(operation.parameters) == query_names(description, one)
    assert operation.paged == ({"count", "offset"} <= query_names(description, one))
    assert operation.result_key == list_key(description, one)
    only = _ONLY.search(one.get("description", ""))
    assert operation.interfaces == _INTERFACES[only and only[1]]
    assert operation.authorized == (one.get("security") != [])


@pytest.mark.parametrize("family", ["customers", "tokens", "users"])
def test_families_are_whole_but_for_their_subresources(description, family):
    """Each operation on the family's own records has its row."""
    wanted = {
        one["operationId"]
        for path, verbs in description["paths"].items()
        for one in verbs.values()
        if isinstance(one, dict)
        and "operationId" in one
        and re.fullmatch(rf"/{family}(/\{{\w+\}})?" + (r"(/actions/[\w-]+)?" if family != "customers" else ""), path)
    }
    assert wanted - OPERATIONS.keys() == set()
