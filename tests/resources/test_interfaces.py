"""Operations that one interface lacks, and those that are off until an administrator turns them on."""

import inspect
from importlib import import_module

import httpx
import pytest
from kit import KnownUser

from carecloud_async import CareCloud, InterfaceError
from carecloud_async._base.project import Interface
from carecloud_async.resources import OPERATIONS
from carecloud_async.resources.families import Families

ONE_SIDED = {
    interface: [one for one in OPERATIONS.values() if one.interfaces == {interface}] for interface in Interface
}

#: What a project does not have until its administrator turns it on (the last one: on the customer interface).
OFF = [
    "getUsers",
    "postCreditDeposit",
    "postCreditReduction",
    "postCreditTransfer",
    "postRewardCreateCustomVoucher",
    "postCustomersCheckRegistrationAbility",
]

pytestmark = pytest.mark.anyio


def test_operations_of_one_interface_are_as_the_manifest_says():
    """As many operations as the manifest says are on one interface only."""
    assert {interface.value: len(rows) for interface, rows in ONE_SIDED.items()} == {"enterprise": 42, "customer": 8}


@pytest.mark.parametrize("interface", Interface)
async def test_an_operation_of_the_other_interface_is_refused_before_the_network(interface):
    """Every operation that this interface lacks raises, and nothing is sent: no request, and no login."""
    (other,) = set(Interface) - {interface}
    sent = []

    async def respond(request):
        sent.append(request)
        return httpx.Response(200, json={"data": {}})

    async with CareCloud(
        "sandbox.example", auth=KnownUser(interface), transport=httpx.MockTransport(respond)
    ) as client:
        for row in ONE_SIDED[other]:
            ids = {part[1:-1]: "x" for part in row.path.split("/") if part.startswith("{")}
            with pytest.raises(InterfaceError):
                await client.request(row.method, row.path, path_params=ids)
    assert not sent


@pytest.mark.parametrize("operation_id", OFF)
def test_what_is_off_at_first_is_documented(operation_id):
    """The docstring of a method that a new project refuses says who can turn it on."""
    row = OPERATIONS[operation_id]
    family, method = row.call.split(".")
    module = next(one for one in vars(Families).values() if getattr(one, "name", "") == family.title().replace("_", ""))
    said = inspect.getdoc(getattr(getattr(import_module(module.module), module.name), method))
    assert "administrator" in said
    assert "turns it on" in " ".join(said.split())
