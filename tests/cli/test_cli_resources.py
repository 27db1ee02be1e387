"""Resources by name, ids of parents, and filters, as `list`, `get`, `total` and `export` read them."""

import json

import pytest

from carecloud_async import CareCloud, EnterpriseCredentials
from carecloud_async._calls.call.filters import Kind
from carecloud_async._calls.call.operation import CUSTOMER_ONLY, Operation
from carecloud_async.cli import resources
from carecloud_async.cli.failures import UsageError
from carecloud_async.cli.filters import read_filters, read_value
from carecloud_async.cli.resources import find_list, find_record, list_path_values, readable
from carecloud_async.cli.resources import record_path_values as path_of_record
from carecloud_async.resources import OPERATIONS
from carecloud_async.resources.lookup.by_name import enterprise_lists, listable
from carecloud_async.sandbox import FIRST_CUSTOMER_ID

TIME_SLOTS = "booking_tickets.time_slots"

#: Lists that the API gives only for one customer.
OWNED = {"credit_history", "point_history", "rewards.reward_recommendations"}


def test_every_list_and_record_of_the_enterprise_interface_has_a_name():
    """What can be listed and read follows from the table of operations, and no two share a name."""
    reads = [one for one in OPERATIONS.values() if one.method == "GET" and one.interfaces != CUSTOMER_ONLY]
    assert sorted(one.operation_id for one in reads) == sorted(
        one.operation_id for one in (*listable().values(), *readable().values())
    )


@pytest.mark.parametrize("name", [TIME_SLOTS, "booking-tickets.time-slots", "booking-tickets/time-slots"])
def test_names_with_hyphens_and_slashes(name):
    """A name is found as the client calls it and as the API's paths do."""
    assert find_list(name).call == "booking_tickets.time_slots.list"


@pytest.mark.parametrize(
    ("find", "name", "words"),
    [
        (find_record, "point_history", "the API has no call to get point_history: carecloud list point_history reads"),
        (find_list, "wallet", "the API has no call to list wallet"),
    ],
)
def test_a_family_without_such_a_call(find, name, words):
    """A family that exists is never answered with another name."""
    with pytest.raises(UsageError, match=words):
        find(name)


def test_a_list_for_customers_alone_is_not_offered():
    """A list that only customers may ask for is not offered."""
    own = Operation(
        operation_id="x", method="GET", path="/mine", call="mine.list", result_key="mine", interfaces=CUSTOMER_ONLY
    )
    assert enterprise_lists([own, OPERATIONS["getCards"]]) == {"cards": OPERATIONS["getCards"]}


OF = {
    "missing": ([], "booking_tickets.time_slots belong to a parent: give its id with --of BOOKING_TICKET_ID"),
    "too many": (["a", "b"], "booking_tickets.time_slots belong to no parent: leave --of b out"),
    "blank": ([" "], "booking_tickets.time_slots: an id is empty"),
}


@pytest.mark.parametrize(("of", "text"), OF.values(), ids=OF)
def test_ids_of_parents_that_do_not_fit(of, text):
    """Too few, too many and blank ids of parents are refused with the option to change."""
    with pytest.raises(UsageError) as refused:
        list_path_values(find_list(TIME_SLOTS), of)
    assert str(refused.value) == text


def test_an_id_of_a_parent_for_a_list_without_one():
    """The list that was probably meant is named."""
    with pytest.raises(UsageError, match=r"leave --of a out$"):
        list_path_values(find_list("customers"), ["a"])
    owned = Operation(operation_id="y", method="GET", path="/time-slots", call="time_slots.list", result_key="y")
    with pytest.raises(UsageError, match=r"or name the list of a parent: booking_tickets\.time_slots$"):
        list_path_values(owned, ["a"])


def test_the_path_of_one_record():
    """Ids of parents come first, the record's own last; a record that is alone has none."""
    deep = Operation(operation_id="z", method="GET", path="/a/{a_id}/b/{b_id}/c/{c_id}", call="a.b.c.get")
    assert path_of_record(deep, ["1", "2"], "3") == {"a_id": "1", "b_id": "2", "c_id": "3"}
    with pytest.raises(UsageError, match=r"^a\.b\.c belong to a parent: give its id with --of B_ID$"):
        path_of_record(deep, ["1"], "3")
    with pytest.raises(UsageError, match=r"^give the id of the record: carecloud get customers ID$"):
        path_of_record(find_record("customers"), [], None)
    alone = find_record("wallet.points_overview")
    assert path_of_record(alone, [], None) == {}
    with pytest.raises(UsageError, match=r"^wallet\.points_overview is read without an id: leave x out$"):
        path_of_record(alone, [], "x")


def test_a_resource_that_cannot_be_got(carecloud):
    """The nearest resource is named, for lists and for records."""
    assert carecloud("get", "custmers", "1", "--sandbox", 1).line == (
        "there is no resource 'custmers' to get: did you mean customers?"
    )
    refused = carecloud("total", "bookins", "--sandbox", 1)
    assert (refused.code, refused.line) == (2, "there is no resource 'bookins' to list: did you mean bookings?")


def test_the_ids_of_parents_reach_the_path(carecloud, project):
    """`--of` is bound as the client binds it, and the records are those under the list's name."""
    project.faults.add(
        "GET /booking-tickets/*",
        status=200,
        times=None,
        body='{"data": {"time_slots": [{"time_slot_id": "s1"}], "total_items": 1}}',
    )
    done = carecloud("list", TIME_SLOTS, "--of", "ticket-7")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out) == {"time_slot_id": "s1"}
    assert project.requests[-1].path.endswith("/booking-tickets/ticket-7/time-slots")


def test_a_parent_that_is_not_there(carecloud, project):
    """An unknown id in a path is reported as such."""
    refused = carecloud("list", TIME_SLOTS, "--of", "nobody")
    assert refused.code == 1
    assert refused.line.endswith(": check the ids")


@pytest.mark.parametrize("direction", ["DESC", "desc"])
def test_offsets_and_orders_reach_the_server(carecloud, project, direction):
    """`--offset`, `--sort-field` and `--sort-direction` are sent as the API calls them, in any case."""
    options = ("--offset", 3, "--sort-field", "last_change", "--sort-direction", direction, "--count", 2)
    assert carecloud("list", "customers", *options).code == 0
    query = dict(project.requests[-1].query)
    assert {name: query[name] for name in ("offset", "sort_field", "sort_direction", "count")} == {
        "offset": "3",
        "sort_field": "last_change",
        "sort_direction": "DESC",
        "count": "2",
    }


def test_unknown_sort_direction_is_refused(carecloud):
    """Only ASC and DESC are taken."""
    refused = carecloud("list", "customers", "--sort-direction", "UP", "--sandbox", 1)
    assert (refused.code, "--sort-direction" in refused.line) == (2, True)


def test_every_list_is_reached_by_its_name():
    """Each list opens on a client through the attributes that its name says, with an id for each parent."""
    credentials = EnterpriseCredentials(external_application_id="a", login="b", password="c")
    client = CareCloud("acme.crmcarecloud.com", auth=credentials)
    for name, operation in listable().items():
        owners = ["p"] * operation.path.count("{")
        filters = ["customer_id=c"] if name in OWNED else []
        listing = resources.open_listing(client, operation, of=owners, filters=filters, count=10)
        names = [*operation.placeholders, *(["customer_id"] if name in OWNED else [])]
        assert repr(listing) == f"<Listing {operation.call}({', '.join(f'{one}=…' for one in names)})>"


@pytest.mark.parametrize("name", ["credit_history", "point_history"])
def test_a_filter_that_a_list_needs(carecloud, name):
    """A list that the API gives only for one owner names the filter to add."""
    refused = carecloud("total", name, "--sandbox", 1)
    assert (refused.code, refused.line) == (
        2,
        f"{name} can be listed only for one of its owners: add --filter customer_id=…",
    )


def test_a_list_that_cannot_be_sorted(monkeypatch):
    """An order or an offset for a list that takes none is refused, not dropped."""
    plain = Operation(operation_id="p", method="GET", path="/plain", call="plain.list", result_key="p")
    with pytest.raises(UsageError, match=r"^plain cannot be sorted: leave --sort-field out$"):
        resources.open_listing(object(), plain, sort_field="name", count=5)
    with pytest.raises(UsageError, match=r"^plain have no pages: leave --offset out$"):
        resources.open_listing(object(), plain, offset=5, count=5)


KINDS = {
    "one text": (Kind("str"), ["Smith, John"], "Smith, John"),
    "one text of several": (Kind("str", several=True), ["a,b"], "a,b"),
    "several texts": (Kind("str", several=True), ["a,b", "c"], ["a", "b", "c"]),
    "only several": (Kind("int", several=True, single=False), ["1, 2"], ["1", "2"]),
    "truth": (Kind("bool"), ["Yes"], True),
    "a day": (Kind("date"), ["1985-02-12"], "1985-02-12"),
}


@pytest.mark.parametrize(("kind", "texts", "value"), KINDS.values(), ids=KINDS)
def test_values_are_read_by_their_kind(kind, texts, value):
    """Lists, truths and single texts become what the filter takes."""
    assert read_value("--filter x", texts, kind) == value


BAD = {
    "a day as people write it": (Kind("date"), ["12.2.1985"], "--filter x takes a date, or text like 1985-02-12"),
    "a number as text": (Kind("int"), ["many"], "--filter x takes a whole number"),
    "no text": (Kind("str"), [""], "--filter x takes one text that is not empty"),
    "no such choice": (Kind("str", choices=("a", "b")), ["c"], "--filter x takes a or b"),
    "a list of one": (Kind("str"), ["a", "b"], "--filter x is given twice, and takes one value"),
    "an empty list": (Kind("str", several=True, single=False), [","], "--filter x= is empty"),
    "half a truth": (Kind("bool"), ["perhaps"], "--filter x is true or false, not 'perhaps'"),
}


@pytest.mark.parametrize(("kind", "texts", "text"), BAD.values(), ids=BAD)
def test_values_of_the_wrong_kind(kind, texts, text):
    """What the API would drop without a word is refused, naming what is taken."""
    with pytest.raises(UsageError) as refused:
        read_value("--filter x", texts, kind)
    assert str(refused.value).startswith(text)


def test_a_list_without_any_filter():
    """A list that takes no filter says so, and names none."""
    plain = Operation(operation_id="p", method="GET", path="/plain", call="plain.list", result_key="p")
    with pytest.raises(UsageError, match=r"^plain has no filter 'name', and no other either$"):
        read_filters(plain, ["name=x"])


def test_a_filter_without_a_name():
    """A filter without a name, such as `=x`, is refused."""
    with pytest.raises(UsageError, match="is not name=value"):
        read_filters(find_list("customers"), ["=x"])


def test_a_filter_in_bracket_form(carecloud, project):
    """`customer_ids[]=` as in the API's documentation means `customer_ids=`."""
    done = carecloud("total", "customers", "--filter", f"customer_ids[]={FIRST_CUSTOMER_ID}")
    assert (done.code, done.out) == (0, "1\n")


@pytest.mark.parametrize(
    "command", [("total", "customers"), ("list", "customers"), ("export", "customers", "-o", "c.jsonl")], ids=" ".join
)
def test_an_unknown_filter_is_refused_or_sent_on_demand(carecloud, project, command):
    """A filter that the SDK does not know is wrong usage before anything is sent; `--allow-unknown` sends it."""
    filters = ("--filter", "lastname=Smith", "--filter", f"customer_ids={project.customers.id_at(3)}")
    refused = carecloud(*command, *filters)
    assert (refused.code, refused.line) == (2, "customers has no filter 'lastname': did you mean last_name?")
    assert project.count() == 0
    done = carecloud(*command, *filters, "--allow-unknown")
    assert done.code == 0, done.err
    asked = [dict(one.query) for one in project.requests if one.method == "GET"]
    assert asked
    assert all((one["lastname"], one["customer_ids[]"]) == ("Smith", project.customers.id_at(3)) for one in asked)
