"""Where this user's files lie: what can be made again, and what was put there to stay."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """What can be made or fetched again: the variable ALLFOCUS_CACHE, or the platform's cache folder."""
    named = os.environ.get("ALLFOCUS_CACHE")
    if named:
        return Path(named)
    if sys.platform == "win32":
        return _of_windows() / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "allfocus"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "allfocus"


def models_folder() -> Path:
    """The user's own models: the variable ALLFOCUS_MODELS, or the platform's data folder."""
    named = os.environ.get("ALLFOCUS_MODELS")
    if named:
        return Path(named)
    if sys.platform == "win32":
        return _of_windows() / "models"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "allfocus" / "models"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "allfocus" / "models"


def _of_windows() -> Path:
    return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "allfocus"
