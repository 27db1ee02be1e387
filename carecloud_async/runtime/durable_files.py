"""What it takes for a file's new name to survive a power cut."""

from __future__ import annotations

import contextlib
import os


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Write a folder's entries to the disk, where the system can.

    Not every system can open or sync a folder, and none needs it to be right: a rename is then as durable as it makes
    it.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
