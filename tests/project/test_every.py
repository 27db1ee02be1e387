"""The matrices of tests: all cases in one test."""

import pytest
from every import every


def test_every_case_is_tried_and_each_failure_named():
    """A case that fails does not stop the others; the failure names all that fail."""
    tried = []

    @every("one, two", [(1, 2), (3, 3), (5, 6)])
    def check(one, two, fixture):
        tried.append((one, two, fixture))
        assert one == two

    with pytest.raises(ExceptionGroup) as caught:
        check(fixture="same")
    assert tried == [(1, 2, "same"), (3, 3, "same"), (5, 6, "same")]
    assert [error.__notes__ for error in caught.value.exceptions] == [["case: 1, 2"], ["case: 5, 6"]]


@pytest.mark.anyio
async def test_coroutines_are_tried_too():
    """Of a coroutine function each case is awaited."""

    @every("number", [1, 0])
    async def check(number):
        assert number

    with pytest.raises(ExceptionGroup) as caught:
        await check()
    assert [error.__notes__ for error in caught.value.exceptions] == [["case: 0"]]
