"""The clock of a connection: one timer for many requests, and a read timeout exactly when it is due."""

import heapq

import pytest
from aiohttp import SocketTimeoutError

from carecloud_async.http.connections import handler_class


class _Timer:
    def __init__(self, when, call):
        self._when, self._call, self.cancelled = when, call, False

    def when(self):
        return self._when

    def cancel(self):
        self.cancelled = True

    def run(self):
        if not self.cancelled:
            self._call()


class _Loop:
    """A clock that jumps from timer to timer."""

    def __init__(self):
        self.now = 0.0
        self.made = 0
        self.timers = []

    def time(self):
        return self.now

    def call_at(self, when, call):
        self.made += 1
        timer = _Timer(when, call)
        heapq.heappush(self.timers, (when, self.made, timer))
        return timer

    def pass_until(self, moment):
        while self.timers and self.timers[0][0] <= moment:
            self.now, _, timer = heapq.heappop(self.timers)
            timer.run()
        self.now = moment


@pytest.fixture
def loop():
    return _Loop()


@pytest.fixture
def handler(loop):
    handler = handler_class()(loop)
    handler.read_timeout = 10
    return handler


def request(handler, loop, *, seconds):
    handler.start_timeout()
    loop.pass_until(loop.now + seconds)
    handler._drop_timeout()


def test_many_requests_in_a_row_need_few_timers(handler, loop):
    """A hundred requests of a second each set a timer once in ten seconds, and none runs out."""
    for _ in range(100):
        request(handler, loop, seconds=1)
    assert handler.exception() is None
    assert loop.made <= 12


def test_silence_ends_exactly_in_time(handler, loop):
    """What counts is the last byte that came, not when the timer was set."""
    request(handler, loop, seconds=4)
    handler.start_timeout()
    loop.pass_until(9)
    handler._reschedule_timeout()  # a byte comes
    loop.pass_until(18.999)
    assert handler.exception() is None
    loop.pass_until(19)
    assert isinstance(handler.exception(), SocketTimeoutError)


def test_a_shorter_timeout_of_the_next_request_is_kept(handler, loop):
    """A view with a smaller `read` is not kept waiting by the timer of a call before."""
    request(handler, loop, seconds=1)
    handler.read_timeout = 2
    handler.start_timeout()
    loop.pass_until(2.999)
    assert handler.exception() is None
    loop.pass_until(3)
    assert isinstance(handler.exception(), SocketTimeoutError)


def test_a_request_without_a_timeout_never_runs_out(handler, loop):
    """The timer that an earlier one left behind does nothing."""
    request(handler, loop, seconds=1)
    handler.read_timeout = None
    handler.start_timeout()
    loop.pass_until(1000)
    assert handler.exception() is None
    assert not loop.timers


def test_a_connection_at_rest_is_left_alone(handler, loop):
    """After the response the timer finds nothing to do, and is not set again."""
    request(handler, loop, seconds=1)
    loop.pass_until(1000)
    assert handler.exception() is None
    assert not loop.timers


def test_a_lost_connection_leaves_no_timer(handler, loop):
    """A closed connection is not kept in memory by its clock."""
    handler.start_timeout()
    handler.connection_lost(None)
    assert all(timer.cancelled for _, _, timer in loop.timers)
