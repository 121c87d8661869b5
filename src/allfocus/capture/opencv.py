"""OpenCV, loaded at its first use, or an error that says how to install it."""

from __future__ import annotations

from typing import Any

from allfocus.errors import needs


class _OpenCV:
    """The module `cv2`, on one thread. MissingExtraError where the extra `capture` is not installed."""

    def __getattr__(self, name: str) -> Any:
        with needs("allfocus capture", "capture", "opencv-python-headless"):
            import cv2 as module
        module.setNumThreads(1)
        module.setRNGSeed(0)
        return getattr(module, name)


cv2: Any = _OpenCV()
