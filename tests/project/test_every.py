"""The matrices of tests: all cases in one test."""

import pytest
from every import every
from thorough import is_thorough


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


def test_variants_are_left_to_the_thorough_run():
    """Cases that are named as variants are tried with `--thorough` only; each must be among the cases."""
    tried = []

    @every("number", [1, 2, 3], thorough=[2])
    def check(number):
        tried.append(number)

    check()
    assert tried == ([1, 2, 3] if is_thorough() else [1, 3])
    with pytest.raises(ValueError, match="no such cases"):
        every("number", [1], thorough=[2])
