"""Whether the histories of points and credits are searched by a part of the note, as bulk writes need it."""

import pytest
from check_tools import check, make
from kit import page, through

from carecloud_async.check.report import CheckStatus

pytestmark = pytest.mark.anyio


def histories(sandbox, notes, search):
    """A transport that answers the histories itself: `search` says which records a note finds."""

    def after(request, answer):
        name = request.url.path.rpartition("/")[2].replace("-", "_")
        if name in {"point_history", "credit_history"}:
            field = name.replace("history", "operation_note")
            wanted = request.url.params.get(field)
            found = [{field: note} for note in notes if wanted is None or search(wanted, note)]
            return page(name, found, headers={"date": answer.headers["date"]})
        return None

    return through(sandbox, after=after)


SERVERS = {
    "a part of the note": (["Birthday bonus"], lambda wanted, note: wanted in note, CheckStatus.OK),
    "the whole note only": (["Birthday bonus"], lambda wanted, note: wanted == note, CheckStatus.PROBLEM),
    "everything": (["Birthday bonus", "Christmas"], lambda wanted, note: True, CheckStatus.WARNING),
    "no notes": ([], lambda wanted, note: True, CheckStatus.NOT_KNOWN),
}


@pytest.mark.parametrize(("notes", "search", "status"), SERVERS.values(), ids=SERVERS)
async def test_how_histories_are_searched(notes, search, status):
    """A server that does not find a note by its part is a problem, and one that ignores the filter a warning."""
    sandbox = make()
    found = await check(sandbox, transport=histories(sandbox, notes, search))
    assert {one.status for one in found.named("notes")} == {status}
    assert "Birthday" not in str([one.seen for one in found.findings])
