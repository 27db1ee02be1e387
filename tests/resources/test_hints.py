"""What a method, a field or an argument that does not exist says."""

import copy
import inspect
import pickle

import pytest
from resource_wire import method_of

from carecloud_async.models import CustomerInput, PersonalInformationInput
from carecloud_async.resources import OPERATIONS
from carecloud_async.sandbox import FIRST_CUSTOMER_ID

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("reach", "words"),
    [
        (lambda client: client.customers.delete, "client.customers has no 'delete': the API deletes no customers"),
        (lambda client: client.campaign_products.delete, "the API deletes no campaign products"),
        (lambda client: client.customers.cards("c").delete, "client.customers.cards has no 'delete'"),
        (lambda client: client.customers.updat, "client.customers has no 'updat': did you mean update?"),
        (lambda client: client.messages.bulk_write, "client.messages has no 'bulk_write': a message holds nothing"),
        (lambda client: client.currencies.bulk_writer, "the API only reads currencies"),
        (lambda client: client.customers.zzzzzz, "client.customers has no 'zzzzzz'"),
        (lambda client: client.cards.find, "write client.cards.list(…) with filters, and await its first()"),
        (lambda client: client.customers.search, "carecloud_async.workflows has find_customer (by the id in another"),
        (lambda client: client.purchases.find_one, "carecloud_async.workflows has find_purchase"),
        (lambda client: client.customers.export, "a list has it, write client.customers.list(…).export(…)"),
        (lambda client: client.customers.count, "write client.customers.list(…).total(…)"),
        (lambda client: client.tokens.find, "client.tokens has no 'find'"),
    ],
)
async def test_a_method_that_does_not_exist(client, reach, words):
    """The message says what the API does not do, the nearest method, or what to write to find a record."""
    with pytest.raises(AttributeError) as caught:
        reach(client)
    assert words in str(caught.value)


async def test_a_sub_resource_without_the_id_of_its_parent(client):
    """`client.customers.cards.list()` shows where the customer's id belongs; with it the call works."""
    with pytest.raises(AttributeError, match=r"write client\.customers\.cards\(customer_id\)\.list\(…\)$"):
        client.customers.cards.list()
    with pytest.raises(AttributeError, match=r"write client\.customers\.cards\(customer_id\)$"):
        _ = client.customers.cards.colour
    with pytest.raises(TypeError, match=r"write client\.customers\.cards\(customer_id\)$"):
        client.customers.cards()
    assert [*inspect.signature(client.customers.cards).parameters] == ["customer_id"]
    assert client.customers.cards.__doc__ == "The cards of one customer."
    assert await client.customers.cards(FIRST_CUSTOMER_ID).list().total() >= 0


async def test_families_print_their_names(client):
    """A family prints as it is reached from the client, and a part of a record without the record's id."""
    assert repr(client.customers) == "<client.customers>"
    assert repr(client.customers.cards(FIRST_CUSTOMER_ID)) == "<client.customers.cards(customer_id=…)>"
    assert str(client.customers.list) == "<bound method Customers.list of <client.customers>>"


async def test_a_field_that_is_of_an_inner_object(client):
    """`customer.email` names its place; `hasattr`, copies and pickles work."""
    customer = await client.customers.get(FIRST_CUSTOMER_ID)
    with pytest.raises(AttributeError, match=r"Customer has no 'email': did you mean personal_information\.email\?"):
        _ = customer.email
    assert not hasattr(customer, "email")
    assert copy.copy(customer) == copy.deepcopy(customer) == pickle.loads(pickle.dumps(customer)) == customer


async def test_an_input_with_a_field_of_an_inner_object():
    """The constructor names the place of the field; other mistakes are in Python's own words."""
    with pytest.raises(TypeError, match=r"CustomerInput\(\) has no field 'first_name': did you mean personal_info"):
        CustomerInput(first_name="Jane")
    with pytest.raises(TypeError, match="language_id"):
        PersonalInformationInput()


async def test_an_update_with_fields_as_arguments(client):
    """The message is the call to write."""
    with pytest.raises(TypeError, match=r'update\(record_id, \{"personal_information": \{"first_name": …\}\}\)'):
        await client.customers.update(FIRST_CUSTOMER_ID, first_name="Jane")
    with pytest.raises(TypeError, match=r'Cards\.update\(\) takes .* \{"valid_to": …\}\)'):
        await client.cards.update("c", valid_to="2027-12-31")
    with pytest.raises(TypeError, match="unexpected keyword argument 'nonsense'"):
        await client.cards.update("c", {}, nonsense=1)


async def test_a_client_cannot_be_pickled_or_copied(client):
    """A sentence says so, and what to do."""
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="make one in each process"):
            attempt(client)


async def test_every_list_names_its_arguments(client):
    """`help()` and editors show the docstring as it is written: it names what `**paging` and `**filters` stand for."""
    lists = [operation for operation in OPERATIONS.values() if operation.paged and operation.method == "GET"]
    assert len(lists) > 90
    for operation in lists:
        method = method_of(client, operation)
        unpacked = [name for name in operation.parameters if name not in inspect.signature(method).parameters]
        assert [name for name in unpacked if f"`{name}`" not in method.__doc__] == [], operation.call


async def test_names_after_the_dot_are_those_of_the_api(client):
    """A family shows its operations and sub-families, and nothing of how it is built."""
    built = {"as_family", "bulk", "merge_rules", "module", "name", "operations", "path_ids"}
    assert not [operation for operation in OPERATIONS.values() if built & {*dir(method_of(client, operation).__self__)}]
