"""Operations that one interface lacks, and those that are off until an administrator turns them on."""

import inspect

import pytest
from every import every
from kit import KnownUser, served

from carecloud_async import InterfaceError
from carecloud_async.resources import OPERATIONS

pytestmark = pytest.mark.anyio

#: What a project does not have until its administrator turns it on (the last one: on the customer interface).
OFF = [
    "getUsers",
    "postCreditDeposit",
    "postCreditReduction",
    "postCreditTransfer",
    "postRewardCreateCustomVoucher",
    "postCustomersCheckRegistrationAbility",
]


@every("interface, lacks, for_whom", [("enterprise", 8, "CustomerSession"), ("customer", 42, "EnterpriseCredentials")])
async def test_an_operation_of_the_other_interface_is_refused_before_the_network(interface, lacks, for_whom):
    """Every operation that this interface lacks raises, says who may call it, and sends nothing, not even a login."""
    others = [
        operation for operation in OPERATIONS.values() if interface not in {each.value for each in operation.interfaces}
    ]
    assert len(others) == lacks
    async with served(lambda request: pytest.fail("sent"), auth=KnownUser(interface)) as client:
        for row in others:
            with pytest.raises(InterfaceError, match=rf"of this identity: only .*{for_whom}"):
                await client.request(row.method, row.path, path_params=dict.fromkeys(row.placeholders, "x"))


@every("operation_id", OFF)
def test_what_is_off_at_first_is_documented(operation_id):
    """The docstring of a method that a new project refuses says who can turn it on."""
    family, method = OPERATIONS[operation_id].call.split(".")
    client = served(lambda request: pytest.fail("sent"))
    said = " ".join(inspect.getdoc(getattr(getattr(client, family), method)).split())
    assert "administrator" in said
    assert "turns it on" in said
