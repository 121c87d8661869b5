"""OpenCV, or a refusal that says how to get it."""

from __future__ import annotations

from types import ModuleType

from allfocus.errors import MissingExtraError


def opencv() -> ModuleType:
    """The module `cv2`, on one thread. MissingExtraError where the extra `capture` is not installed."""
    try:
        import cv2
    except ImportError as error:
        raise MissingExtraError("allfocus capture", "capture", "opencv-python-headless") from error
    cv2.setNumThreads(1)
    cv2.setRNGSeed(0)
    return cv2
