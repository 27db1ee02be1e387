"""Processes of tests that have the package imported when they begin, which takes others half a second each.

`--durations` does not count their time: another process waits for them.
"""

import functools
import multiprocessing
import os

import pytest


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


def forks(test):
    """Mark a test that forks this process, which has threads and may have loops."""
    test = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning", "ignore:This process")(test)
    return pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")(test)


def in_fork(work):
    """Call a function in a forked child; return the text that it returns there, or nothing where it raises."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, work().encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return text


def start_piped(function, *arguments):
    """Start a process that calls a function with an end of a pipe and arguments; return it and the other end."""
    here, there = multiprocessing.Pipe()
    process = start(function, there, *arguments)
    there.close()  # so that the pipe ends with the process
    return process, here
