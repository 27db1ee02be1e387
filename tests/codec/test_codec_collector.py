"""The garbage collector rests while a page is decoded, and works again afterwards."""

import gc

import pytest
from codec_records import customer, page_of

from carecloud_async import codec
from carecloud_async.codec.collector import uncollected
from carecloud_async.models import Customer


@pytest.fixture(autouse=True)
def _collector():
    gc.enable()
    yield
    gc.enable()


@uncollected
def decoding(error=None):
    if error is not None:
        raise error
    return gc.isenabled()


def test_it_rests_in_between():
    """No collection can begin while the function runs; afterwards the collector is on again."""
    assert decoding() is False
    assert gc.isenabled()


def test_it_works_again_after_an_error():
    """An error leaves the collector on, and comes out as itself."""
    with pytest.raises(KeyError, match="mine"):
        decoding(KeyError("mine"))
    assert gc.isenabled()


def test_one_that_was_off_stays_off():
    """Who has switched the collector off finds it off."""
    gc.disable()
    assert decoding() is False
    assert not gc.isenabled()


@pytest.mark.parametrize("birthdate", ["1985-02-12", "985-02-12"])
def test_a_page_of_many_records_is_not_interrupted(birthdate):
    """However many records a page holds, tidy or not, no collection runs within it."""
    body = page_of([customer(birthdate=birthdate)] * 2000)
    begun = []

    def note(phase, info):
        del info
        begun.append(phase)

    codec.page(body, key="customers", into=Customer)  # whatever is compiled at first use is not meant
    gc.collect()
    gc.callbacks.append(note)
    try:
        page = codec.page(body, key="customers", into=Customer)
        within = len(begun)
    finally:
        gc.callbacks.remove(note)
    assert page.received == 2000
    assert within <= 2  # one that was due just before or right behind it
