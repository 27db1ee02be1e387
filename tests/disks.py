"""Disks of tests: the package makes files of a class of the test's own."""

from __future__ import annotations

import errno
import io
import os


class FullFile(io.FileIO):
    """A file on a disk that becomes full after a number of bytes."""

    room = 10_000

    def write(self, data):
        if self.tell() + len(data) > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


def make_files_of(kind, monkeypatch):
    """From now on new files are of this kind of `io.FileIO`."""
    monkeypatch.setattr(
        os, "fdopen", lambda descriptor, mode: io.BufferedRandom(kind(descriptor, mode.replace("b", "")))
    )
