"""Resources by name, ids of parents, and filters, as `list`, `get`, `total` and `export` read them."""

import json

import pytest
from every import every

from carecloud_async.resources import OPERATIONS
from carecloud_async.sandbox import FIRST_CUSTOMER_ID

TIME_SLOTS = "booking_tickets.time_slots"
ONE_SLOT = '{"data": {"time_slots": [{"time_slot_id": "s1"}], "total_items": 1}}'


def test_every_list_of_the_enterprise_interface_has_a_name(carecloud):
    """`list` alone prints them, with the option for a parent's id, and needs no settings."""
    printed = carecloud("list")
    assert (printed.code, printed.err) == (0, "")
    names = printed.out.splitlines()
    assert "customers.cards --of CUSTOMER_ID" in names
    listed = [operation for operation in OPERATIONS.values() if operation.method == "GET" and operation.result_key]
    offered = [operation.call.removesuffix(".list") for operation in listed if "enterprise" in operation.interfaces]
    assert sorted(name.split()[0] for name in names) == sorted(offered)


@every("name", [TIME_SLOTS, "booking-tickets.time-slots", "booking-tickets/time-slots"])
def test_the_ids_of_parents_reach_the_path(carecloud, project, name):
    """A list has the client's name or the API's, and `--of` is bound as the client binds it."""
    project.faults.add("GET /booking-tickets/*", status=200, times=None, body=ONE_SLOT)
    done = carecloud("list", name, "--of", "ticket-7")
    assert (done.code, done.err, json.loads(done.out)) == (0, "", {"time_slot_id": "s1"})
    assert project.requests[-1].path.endswith("/booking-tickets/ticket-7/time-slots")
    project.faults.clear()
    refused = carecloud("list", name, "--of", "nobody")
    assert (refused.code, refused.line.endswith(": check the ids")) == (1, True)


OWNER = "can be listed only for one of its owners: add --filter customer_id=…"
#: The words of a command, and how its line on wrong usage begins.
WRONG = [
    ("list point-histry", "there is no resource 'point-histry' to list: did you mean point_history?"),
    ("get point_history", "the API has no call to get point_history: carecloud list point_history reads them all"),
    ("list wallet", "the API has no call to list wallet"),
    ("get custmers 1", "there is no resource 'custmers' to get: did you mean customers?"),
    ("total bookins", "there is no resource 'bookins' to list: did you mean bookings?"),
    ("total booking_tickets.time_slots", f"{TIME_SLOTS} belong to a parent: give its id with --of BOOKING_TICKET_ID"),
    ("total booking_tickets.time_slots --of a --of b", f"{TIME_SLOTS} belong to no parent: leave --of b out"),
    ("total booking_tickets.time_slots --of _", f"{TIME_SLOTS}: an id is empty"),
    ("total cards --of a", "cards belong to no parent: leave --of a out, or name the list of a parent: "),
    ("get customers.addresses 1", "customers.addresses belong to a parent: give its id with --of CUSTOMER_ID"),
    ("get customers", "give the id of the record: carecloud get customers ID"),
    ("get wallet.points_overview x", "wallet.points_overview is read without an id: leave x out"),
    ("total credit_history", f"credit_history {OWNER}"),
    ("total point_history", f"point_history {OWNER}"),
    ("list customers.segment_records --of c --offset 5", "customers.segment_records have no pages: leave --offset out"),
    ("list customers.segment_records --of c --sort-field x", "customers.segment_records cannot be sorted"),
    ("list customers --sort-direction UP", "Invalid value for '--sort-direction': 'UP' is not one of"),
    ("list customers --offset -1", "Invalid value for '--offset'"),
    ("total customers --filter =x", "--filter '=x' is not name=value"),
    ("total customers --filter birthdate=12.2.1985", "--filter birthdate takes a date, or text like 1985-02-12"),
    ("total customers --filter last_name=", "--filter last_name takes one non-empty text"),
    ("total customers --filter email=a --filter email=b", "--filter email is given twice, and takes one value"),
    ("total customers --filter customer_ids=,", "--filter customer_ids= is empty"),
    ("total customers --filter customer_short_salutation=x", "--filter customer_short_salutation is true or false"),
    ("total currencies --filter name=x", "currencies has no filter 'name'"),
]


@every("words, line", WRONG)
def test_what_cannot_be_asked_for(carecloud, words, line):
    """Each mistake is one line with the right name, option or kind of value, before anything is sent."""
    refused = carecloud(*(" " if word == "_" else word for word in words.split()), "--sandbox", 1)
    assert (refused.code, refused.line[: len(line)]) == (2, line)


@every("direction", ["DESC", "desc"])
def test_offsets_and_orders_reach_the_server(carecloud, project, direction):
    """`--offset`, `--sort-field` and `--sort-direction` are sent as the API calls them, in any case."""
    options = ("--offset", 3, "--sort-field", "last_change", "--sort-direction", direction, "--count", 2)
    assert carecloud("list", "customers", *options).code == 0
    wanted = {"offset": "3", "sort_field": "last_change", "sort_direction": "DESC", "count": "2"}
    assert dict(project.requests[-1].query).items() >= wanted.items()


#: A filter as it is written, and as it is sent.
SENT = [
    ("last_name=Smith, John", [("last_name", "Smith, John")]),
    ("customer_ids=a,b", [("customer_ids[]", "a"), ("customer_ids[]", "b")]),
    (f"customer_ids[]={FIRST_CUSTOMER_ID}", [("customer_ids[]", FIRST_CUSTOMER_ID)]),
    ("customer_short_salutation=Yes", [("customer_short_salutation", "true")]),
    ("birthdate=1985-02-12", [("birthdate", "1985-02-12")]),
]


@every("given, sent", SENT)
def test_filters_are_sent_by_their_kind(carecloud, project, given, sent):
    """Lists, truths, days and single texts become what the API takes."""
    assert carecloud("total", "customers", "--filter", given).code == 0
    assert [pair for pair in project.requests[-1].query if pair[0] not in {"count", "offset"}] == sent


@pytest.mark.parametrize("command", ["total customers", "list customers", "export customers -o c.jsonl"])
def test_an_unknown_filter_is_refused_or_sent_on_demand(carecloud, project, command):
    """A filter that the SDK does not know is wrong usage before anything is sent; `--allow-unknown` sends it."""
    filters = ("--filter", "lastname=Smith", "--filter", f"customer_ids={project.customers.id_at(3)}")
    refused = carecloud(*command.split(), *filters)
    assert (refused.code, refused.line) == (2, "customers has no filter 'lastname': did you mean last_name?")
    assert project.count() == 0
    done = carecloud(*command.split(), *filters, "--allow-unknown")
    assert done.code == 0, done.err
    asked = [dict(request.query) for request in project.requests if request.method == "GET"]
    assert asked
    assert all((item["lastname"], item["customer_ids[]"]) == ("Smith", project.customers.id_at(3)) for item in asked)
