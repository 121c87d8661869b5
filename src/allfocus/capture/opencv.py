"""OpenCV, or an error that says how to install it."""

from __future__ import annotations

from types import ModuleType

from allfocus.errors import needs


def opencv() -> ModuleType:
    """The module `cv2`, on one thread. MissingExtraError where the extra `capture` is not installed."""
    with needs("allfocus capture", "capture", "opencv-python-headless"):
        import cv2
    cv2.setNumThreads(1)
    cv2.setRNGSeed(0)
    return cv2
