"""The user's own folders: for state that programs keep, configuration that people write, and temporary files."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["cache_folder", "config_folder", "state_folder"]

_NAME = "carecloud-async"


def state_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of state: `$XDG_STATE_HOME` or `~/.local/state`, on Windows `%LOCALAPPDATA%`."""
    return _folder(environ, "XDG_STATE_HOME", ".local/state", on_windows="LOCALAPPDATA")


def config_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of configuration: `$XDG_CONFIG_HOME` or `~/.config`, on Windows `%APPDATA%`."""
    return _folder(environ, "XDG_CONFIG_HOME", ".config", on_windows="APPDATA")


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of temporary files: `$XDG_CACHE_HOME` or `~/.cache`, on Windows `%LOCALAPPDATA%`."""
    return _folder(environ, "XDG_CACHE_HOME", ".cache", on_windows="LOCALAPPDATA")


def _folder(environ: Mapping[str, str], variable: str, default: str, *, on_windows: str) -> Path:
    if sys.platform == "win32":
        return Path(environ.get(on_windows) or _home()) / _NAME
    return Path(environ.get(variable) or _home() / default) / _NAME


def _home() -> Path:
    """Return the user's home; the root folder for a user id that has none, as container runtimes do."""
    try:
        return Path.home()
    except RuntimeError:
        return Path(os.path.abspath(os.sep))
