"""Ids of records, as servers spell them."""

import pytest

from carecloud_async.models.ids import same_id


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [("8EA2", "8ea2", True), (17, "17", True), ("17", 18, False), (None, "17", False), (None, None, False)],
)
def test_ids_are_compared_in_any_spelling(one, other, is_same):
    """Upper and lower case are one id, and so are a number and its text; a missing id is no id."""
    assert same_id(one, other) is is_same
