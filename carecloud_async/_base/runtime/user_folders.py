"""The user's own folders: for state that programs keep, and for configuration that people write."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["config_folder", "state_folder"]

_NAME = "carecloud-async"


def state_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of state: `$XDG_STATE_HOME` or `~/.local/state`, on Windows `%LOCALAPPDATA%`."""
    if sys.platform == "win32":
        root = Path(environ.get("LOCALAPPDATA") or Path.home())
    else:
        root = Path(environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return root / _NAME


def config_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of configuration: `$XDG_CONFIG_HOME` or `~/.config`, on Windows `%APPDATA%`."""
    if sys.platform == "win32":
        root = Path(environ.get("APPDATA") or Path.home())
    else:
        root = Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return root / _NAME
