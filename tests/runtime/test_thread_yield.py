"""Long work in a worker thread rests after a fixed time of computing, and not before."""

from carecloud_async._base.runtime.threads import ThreadYielder


class _Thread:
    """Computes, and notes at which time it slept."""

    def __init__(self):
        self.time = 5.0
        self.naps = []

    def sleep(self, seconds):
        assert seconds > 0
        self.naps.append(round(self.time - 5, 4))

    def yielder(self):
        return ThreadYielder(now=lambda: self.time, sleep=self.sleep)


def test_thread_rests_after_a_third_of_a_millisecond_of_work():
    """Steps of 0.3 ms rest after every third of them."""
    thread = _Thread()
    yielder = thread.yielder()
    for _ in range(9):
        thread.time += 0.0003
        yielder.rest()
    assert thread.naps == [0.0009, 0.0018, 0.0027]


def test_another_thread_begins_with_a_rest():
    """Each thread has a clock of its own: where it shows less than at the last rest, the thread rests at once."""
    thread = _Thread()
    yielder = thread.yielder()
    thread.time = 1.0
    yielder.rest()
    thread.time += 0.0003
    yielder.rest()
    assert thread.naps == [-4.0]
