"""The garbage collector rests while a page is decoded, and works again afterwards."""

import gc
import os

import pytest
from codec_records import customer, page_of

from carecloud_async._base import codec
from carecloud_async._base.codec.gc_pause import gc_paused
from carecloud_async.models import Customer


@pytest.fixture(autouse=True)
def _collector():
    gc.enable()
    yield
    gc.enable()


@gc_paused
def decoding(error=None):
    if error is not None:
        raise error
    return gc.isenabled()


def test_collector_rests_during_a_function():
    """No collection can begin while the function runs; afterwards the collector is on again."""
    assert decoding() is False
    assert gc.isenabled()


def test_collector_is_on_after_an_error():
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
    """However many records a page holds, exact or not, no collection runs within it."""
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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_forked_in_between_has_a_collector_that_works():
    """A fork in the middle of a page, by another thread, leaves the child's collector on."""

    @gc_paused
    def fork():
        return os.fork()

    child = fork()
    if child == 0:
        os._exit(0 if gc.isenabled() else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_of_a_process_without_a_collector_has_none():
    """If the collector is switched off, it is off in child processes too."""
    gc.disable()
    child = os.fork()
    if child == 0:
        os._exit(1 if gc.isenabled() else 0)
    assert os.waitpid(child, 0)[1] == 0
