"""Points, credits and statuses in bulk: each operation has a key of its own, and is done once."""

import pytest
from bulk_tools import counts, read
from memory_servers import LoyaltyServer, client_of

from carecloud_async.bulk.references import reference_in

pytestmark = pytest.mark.anyio

ADA, BOB = "8ea6abece4cd0a4ded0a29f093", "874291b94fad827c7700000001"
GOLD, SILVER = "86e05affc7a7abefcd513ab400", "86e05affc7a7abefcd513ab401"
KINDS = {"points": "point_operation_note", "credits": "credit_operation_note"}
AMOUNT = {"points": "point_amount", "credits": "amount"}
PARTNER = {"partner_id": "86e05affc7a7abefcd513ab4aa"}


@pytest.fixture
def server(clock):
    return LoyaltyServer(clock)


async def write(server, clock, kind, rows, match="reference", **options):
    """Write rows in bulk."""
    async with client_of(server, clock) as client:
        return await getattr(client, kind).bulk_write(rows, match=match, **options)


def given(server, kind):
    """What the history has: the reference and the amount of each operation."""
    return sorted((reference_in(item[KINDS[kind]]), item[AMOUNT[kind]]) for item in getattr(server, kind))


@pytest.mark.parametrize("kind", KINDS)
async def test_amounts_are_given_and_taken_once(server, clock, kind):
    """A positive amount is given, a negative one taken; the note says why, behind the reference."""
    rows = [
        {"customer_id": ADA, "reference": "B1", "amount": 100, "note": "Birthday"},
        {"customer_id": ADA, "reference": "B10", "amount": -30.5},
        {"customer_id": BOB, "reference": "B1", "amount": "7"},
    ]
    report = await write(server, clock, kind, rows, values=PARTNER)
    assert counts(report) == {"created": 3}
    assert given(server, kind) == [("B1", 7), ("B1", 100), ("B10", -30.5)]
    assert "[ref: B1] Birthday" in [item[KINDS[kind]] for item in getattr(server, kind)]
    assert counts(await write(server, clock, kind, rows, values=PARTNER)) == {"unchanged": 3}
    assert len(server.sent) == 3


@pytest.mark.parametrize("fault", ["before", "after", 20.0])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_lost_answer_gives_nothing_twice(server, clock, kind, fault):
    """An operation whose answer is lost is looked up by its reference, and is done once."""
    server.faults = [fault] * 4
    rows = [
        {"customer_id": ADA if number % 2 else BOB, "reference": f"B{number}", "amount": number + 1}
        for number in range(12)
    ]
    report = await write(server, clock, kind, rows, values=PARTNER)
    assert counts(report) == {"created": 12}
    assert given(server, kind) == sorted((f"B{number}", number + 1) for number in range(12))


async def test_a_reference_that_is_part_of_another(server, clock):
    """`B1` is found neither for `B10` nor for `B`, and not for another customer."""
    await write(server, clock, "points", [{"customer_id": ADA, "reference": "B10", "amount": 5}])
    rows = [
        {"customer_id": customer, "reference": value, "amount": 5} for customer, value in ((ADA, "B1"), (BOB, "B10"))
    ]
    assert counts(await write(server, clock, "points", rows)) == {"created": 2}


async def test_rows_of_amounts_that_cannot_be_written(server, clock, results):
    """No amount, no reference, odd references, a second reference in the note, and another amount are refused."""
    await write(server, clock, "points", [{"customer_id": ADA, "reference": "known", "amount": 5}])
    rows = [
        {"customer_id": ADA, "reference": "zero", "amount": 0},
        {"customer_id": ADA, "reference": "", "amount": 5},
        {"customer_id": ADA, "reference": "with blanks", "amount": 5},
        {"customer_id": ADA, "reference": "note", "amount": 5, "note": "[ref: other]"},
        {"customer_id": ADA, "reference": "known", "amount": -5},
        {"customer_id": ADA, "reference": "nothing"},
    ]
    report = await write(server, clock, "points", rows, results=results)
    assert counts(report) == {"refused": 6}
    reasons = [row["reasons"][0] for row in read(results)]
    expected = [
        "amount: it is zero",
        "reference: the row has no key",
        "reference: a reference is",
        "note: the note holds",
    ]
    assert all(reason.startswith(item) for reason, item in zip(reasons, expected, strict=False))
    assert reasons[4:] == ["amount: the history has another amount with this reference", "amount: required"]
    assert len(server.sent) == 1


async def test_an_operation_that_is_there_twice(server, clock):
    """A reference that two records of the history have is a conflict, and nothing is sent."""
    note = "[ref: B1]"
    server.points += [{"customer_id": ADA, "point_amount": -50, "point_operation_note": note} for _ in range(2)]
    rows = [{"customer_id": ADA, "reference": "B1", "amount": -50}]
    assert counts(await write(server, clock, "points", rows)) == {"conflict": 1}
    assert server.sent == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_history_of_two_decimals_and_without_signs(server, clock, kind, tmp_path):
    """Amounts cut to cents and shown without signs are unchanged; the other operation, or another cent, is refused."""
    rows = [{"customer_id": ADA, "reference": f"B{value}", "amount": value} for value in (-30, 33.339, -0.125)]
    await write(server, clock, kind, rows, values=PARTNER)
    for record in getattr(server, kind):
        record[AMOUNT[kind]] = int(abs(record[AMOUNT[kind]]) * 100) / 100
    assert counts(await write(server, clock, kind, rows, values=PARTNER)) == {"unchanged": 3}
    others = [{**rows[0], "amount": 30}, {**rows[1], "amount": -33.339}, {**rows[2], "amount": -0.13}]
    assert counts(await write(server, clock, kind, others, values=PARTNER)) == {"refused": 3}
    assert len(server.sent) == 3


@pytest.mark.parametrize("kind", [*KINDS, "statuses"])
async def test_a_customer_whose_id_is_written_in_another_case(server, clock, kind, results):
    """An id of a customer in capitals is the same customer: the second row repeats the first."""
    row = {"status_id": GOLD} if kind == "statuses" else {"reference": "B1", "amount": 5}
    rows = [{"customer_id": value, **row} for value in (ADA, ADA.upper())]
    match, values = ("customer_id", {}) if kind == "statuses" else ("reference", PARTNER)
    report = await write(server, clock, kind, rows, match=match, values=values, results=results)
    assert counts(report) == {"created": 1, "refused": 1}
    assert f"{match}: repeats line 1" in read(results)[1]["reasons"][0]
    assert len(server.sent) == 1


@pytest.mark.parametrize(("shown", "outcome"), [("50,00", "unchanged"), ("50 points", "refused")])
async def test_an_amount_that_is_shown_as_a_text(server, clock, shown, outcome, results):
    """An amount may be a text with a decimal comma; one that cannot be read is another amount."""
    server.points += [{"customer_id": ADA, "point_amount": shown, "point_operation_note": "[ref: B1]"}]
    rows = [{"customer_id": ADA, "reference": "B1", "amount": 50}]
    report = await write(server, clock, "points", rows, results=results)
    assert counts(report) == {outcome: 1}
    reasons = {"refused": ["amount: the history has another amount with this reference"]}
    assert read(results)[0]["reasons"] == reasons.get(outcome, [])


async def test_a_status_is_given_once(server, clock):
    """A customer who has the status is left alone, another one gets it; a lost answer gives none twice."""
    server.faults = [20.0, "after", "before"]
    rows = [{"customer_id": f"{number:026x}", "status_id": GOLD} for number in range(5)]
    assert counts(await write(server, clock, "statuses", rows, match="customer_id")) == {"created": 5}
    assert len(server.statuses) == 5
    rows[0]["status_id"] = SILVER
    assert counts(await write(server, clock, "statuses", rows, match="customer_id")) == {"created": 1, "unchanged": 4}


async def test_a_status_that_has_ended_is_given_again(server, clock):
    """A record that is over, deleted, or begins much later does not count as the customer's status."""
    past = {"status_id": GOLD, "state": 1, "valid_from": "2020-01-01 00:00:00", "valid_to": "2020-12-31 23:59:59"}
    later = {**past, "valid_from": "2099-01-01 00:00:00", "valid_to": None}
    deleted = {**past, "state": 0, "valid_to": None}
    for number, record in enumerate((past, later, deleted, {**past, "valid_to": "0000-00-00 00:00:00"})):
        server.statuses.append({**record, "customer_id": f"{number:026x}"})
    rows = [{"customer_id": f"{value:026x}", "status_id": GOLD} for value in range(4)]
    assert counts(await write(server, clock, "statuses", rows, match="customer_id")) == {"created": 3, "unchanged": 1}


async def test_a_status_whose_state_is_a_text(server, clock):
    """A server that writes its numbers as texts has an active record all the same: no customer gets it again."""
    record = {"status_id": GOLD, "valid_from": "2020-01-01 00:00:00", "valid_to": None}
    for number, state in enumerate(("1", "0")):
        server.statuses.append({**record, "state": state, "customer_id": f"{number:026x}"})
    rows = [{"customer_id": f"{value:026x}", "status_id": GOLD} for value in range(2)]
    assert counts(await write(server, clock, "statuses", rows, match="customer_id")) == {"created": 1, "unchanged": 1}


@pytest.mark.parametrize("empty", [None, []], ids=["null", "list"])
@pytest.mark.parametrize("kind", ["points", "credits", "statuses"])
async def test_a_list_with_an_entry_that_is_no_record(server, clock, kind, empty, results):
    """An entry that is no record may hold the reference: nothing is written, the row says why, the run goes on."""
    server.strange = [empty]
    row = {"customer_id": ADA, **({"status_id": GOLD} if kind == "statuses" else {"reference": "B1", "amount": 1})}
    match = "customer_id" if kind == "statuses" else "reference"
    values = PARTNER if kind == "credits" else {}
    report = await write(server, clock, kind, [row], match=match, values=values, results=results)
    assert counts(report) == {"refused": 1}
    assert "an entry that is no record" in read(results)[0]["reasons"][0]
    assert not server.sent


async def test_a_status_from_a_time_on(server, clock, results):
    """A row that names the beginning is found by it, and one that names another end is refused."""
    row = {"customer_id": ADA, "status_id": GOLD, "valid_from": "2027-01-01", "valid_to": "2027-12-31 23:59:59"}
    assert counts(await write(server, clock, "statuses", [row], match="customer_id")) == {"created": 1}
    assert counts(await write(server, clock, "statuses", [row], match="customer_id")) == {"unchanged": 1}
    other = {**row, "valid_to": "2028-12-31 23:59:59"}
    report = await write(server, clock, "statuses", [other], match="customer_id", results=results)
    assert counts(report) == {"refused": 1}
    assert "the API has no way to change it" in read(results)[0]["reasons"][0]


@pytest.mark.parametrize("kind", KINDS)
async def test_rows_without_a_reference(server, clock, kind, results):
    """Where no key is named, a row without a reference is refused with that reason, and the run goes on."""
    rows = [{"customer_id": ADA, "amount": 1, **PARTNER}]
    assert counts(await write(server, clock, kind, rows, match=None, results=results)) == {"refused": 1}
    assert read(results)[0]["reasons"] == ["reference: required"]
