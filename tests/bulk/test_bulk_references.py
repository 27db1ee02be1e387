"""References in notes: points and credits are found again by them."""

import httpx
import pytest
from bulk_tools import connect
from kit import login_answer

from carecloud_async import ConfigurationError
from carecloud_async.bulk.references import find_by_reference, note_with_reference, reference_in, search_text

pytestmark = pytest.mark.anyio


def test_a_note_with_a_reference_can_be_read_by_a_person():
    """The reference stands in front of the note, or alone, and is read from it again."""
    assert note_with_reference("Birthday bonus", "bill-2231") == "[ref: bill-2231] Birthday bonus"
    assert note_with_reference(None, "bill-2231") == search_text("bill-2231") == "[ref: bill-2231]"
    assert reference_in("Manual: [ref: bill-2231] Birthday bonus") == "bill-2231"


@pytest.mark.parametrize("note", [None, "", 5, "B1", "ref: B1", "[ref: ]", "[ref: B 1]"])
def test_a_note_without_a_reference_has_none(note):
    """A missing note, or one in another form, holds no reference."""
    assert reference_in(note) is None


def test_a_part_of_a_reference_is_another_reference():
    """`B1` is neither `B10` nor `b1`."""
    assert reference_in(note_with_reference(None, "B10")) != "B1"
    assert reference_in(note_with_reference("[B1]", "b1")) != "B1"


@pytest.mark.parametrize("reference", ["", "a b", "[x]", "é", "x" * 65, 5, None, "a\n"])
def test_a_reference_that_a_server_may_change_is_refused(reference):
    """Only characters that servers store as they are may be in a reference."""
    with pytest.raises(ConfigurationError, match="a reference is 1 to 64"):
        note_with_reference(None, reference)


def test_a_note_holds_one_reference():
    """A note that holds a reference already is refused."""
    with pytest.raises(ConfigurationError, match="holds a reference already"):
        note_with_reference("see [ref: B2]", "B1")


@pytest.mark.parametrize("ignores_filters", [False, True])
async def test_only_the_whole_reference_is_found(sandbox, ignores_filters):
    """A history that is searched by a part of the note, or not at all, yields the records of the reference alone."""
    history = [{"customer_id": "c", "point_operation_note": note_with_reference("x", one)} for one in ("B1", "B10")]

    def answer(request):
        if "history" not in request.url.path:
            return login_answer()
        wanted = "" if ignores_filters else request.url.params["point_operation_note"]
        found = [one for one in history if wanted in one["point_operation_note"]]
        return httpx.Response(200, json={"data": {"point_history": found, "total_items": len(found)}})

    async with connect(sandbox, transport=httpx.MockTransport(answer)) as client:
        for reference, number in (("B1", 1), ("B10", 1), ("B", 0)):
            listing = client.point_history.list(customer_id="c", point_operation_note=search_text(reference))
            found = await find_by_reference(listing, note_field="point_operation_note", reference=reference)
            assert len(found) == number
