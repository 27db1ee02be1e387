"""The table of operations against the manifest: 322 of 322, and each with the same facts."""

import pytest
from every import every

from carecloud_async.resources import OPERATIONS
from tests.contract import manifest
from tests.contract.deviations import SEVERAL

KNOWN = manifest.load().operations
INTERFACES = {"both": {"enterprise", "customer"}, "enterprise": {"enterprise"}, "customer": {"customer"}}


def pair(operation_id):
    """What the manifest says of an operation, and its row."""
    if operation_id not in OPERATIONS:
        pytest.fail(f"no method declares {operation_id}", pytrace=False)
    return KNOWN[operation_id], OPERATIONS[operation_id]


def test_no_row_is_made_up():
    """Every row of the table is an operation of the manifest."""
    assert OPERATIONS.keys() - KNOWN.keys() == set()


def test_deviations_are_of_use():
    """A deviation names a query parameter that is there, and a list no longer needs one."""
    for operation_id, names in SEVERAL.items():
        single = {value.name for value in KNOWN[operation_id].query if not value.many}
        assert names <= single, operation_id


@every("operation_id", KNOWN)
def test_a_row_says_what_the_manifest_says(operation_id):
    """Verb, path, query, interfaces, the need of a token and the form of a list are the manifest's."""
    known, row = pair(operation_id)
    assert (row.method, row.path) == (known.verb, known.path)
    assert set(row.parameters) == {value.name for value in known.query}
    several = {value.name for value in known.query if value.many} | SEVERAL.get(known.operation_id, set())
    assert set(row.multi_value_parameters) == several
    assert {interface.name.lower() for interface in row.interfaces} == INTERFACES[known.interface]
    assert row.authorized == known.authorized
    assert row.paged == known.paged
    assert row.result_key == (known.answer.key or None)
