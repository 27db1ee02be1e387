"""Processes of tests that have the package imported when they begin, which takes others half a second each.

`--durations` does not count their time: another process waits for them.
"""

import functools
import multiprocessing


@functools.cache
def _context():
    """A way to start processes: another one, which has imported the package and nothing else, forks them."""
    if "forkserver" not in multiprocessing.get_all_start_methods():  # on Windows
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["carecloud_async.bulk", "carecloud_async.sandbox", "redis.asyncio"])
    return context


def start(function, *arguments):
    """Start a process that calls a function of a module; return it."""
    process = _context().Process(target=function, args=arguments)
    process.start()
    return process
