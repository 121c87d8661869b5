"""What capture is measured against: simulated focus stacks, and how sure a quantile of shifts is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from allfocus.capture.frame import Frame, Image
from allfocus.capture.opencv import cv2
from allfocus.capture.scene import disc_blur
from allfocus.metrics.registration import warped

STACK_STEP_PX = 1.4
"""Blur radius, from one frame of a stack to the next, of what the first one had in focus."""
SPLITS = 200


def simulated_stack(
    sharp: Image, generator: np.random.Generator, frames: int, noise: float = 0.006
) -> tuple[list[Frame], NDArray[np.float32]]:
    """A focus stack of a scene, and its depth in frames: float32 (H, W), 0 where the first is in focus.

    From frame to frame the picture grows by 0.2 % (focus breathing), shifts by up to 1 px and changes its light by up
    to 3 %. A background whose depth grows from side to side, and two things before it.

    Args:
        sharp: linear light (H, W, 3).
        generator: of everything random.
        frames: how many.
        noise: standard deviation at white.
    """
    height, width = sharp.shape[:2]
    depth = np.linspace(0, frames - 1, width, dtype=np.float32)[None].repeat(height, 0)
    things = []
    for _ in range(2):
        mask = np.zeros((height, width), np.float32)
        centre = (int(generator.uniform(0.25, 0.75) * width), int(generator.uniform(0.25, 0.75) * height))
        cv2.ellipse(mask, centre, (width // 7, height // 7), float(generator.uniform(0, 180)), 0, 360, 1.0, -1)
        things.append((mask, float(generator.integers(0, frames))))
    taken_frames = []
    for number in range(frames):
        radius = np.abs(depth - number) * STACK_STEP_PX
        stops = np.linspace(0, max(float(radius.max()), 1), 2 * frames)
        picture = np.zeros_like(sharp)
        for index, stop in enumerate(stops):
            weight = np.interp(radius, stops, np.eye(len(stops))[index]).astype(np.float32)
            picture += weight[..., None] * disc_blur(sharp, float(stop))
        for mask, place in things:
            own = abs(place - number) * STACK_STEP_PX
            picture = picture * (1 - disc_blur(mask, own)[..., None]) + disc_blur(sharp * mask[..., None], own)
        move = generator.uniform(-1, 1, 2) if number else np.zeros(2)
        scale = 1 + 0.002 * number
        middle = np.array([(width - 1) / 2, (height - 1) / 2])
        warp = np.eye(3)
        warp[:2, :2] *= scale
        warp[:2, 2] = middle * (1 - scale) + move
        seen = warped(picture, np.linalg.inv(warp), order=3) * generator.uniform(0.97, 1.03)
        seen += noise * np.sqrt(np.clip(seen, 0, 1) + 0.04) * generator.normal(size=seen.shape)
        linear = np.clip(seen, 0, 1).astype(np.float32)
        taken_frames.append(Frame(linear, linear.max(axis=2) > 0.985))
    for mask, place in things:
        depth = np.where(mask > 0.5, np.float32(place), depth)
    return taken_frames, depth


def quantile_error(lengths_px: NDArray[np.float64], share: float) -> float | None:
    """The standard error of a quantile: from its difference between two disjoint halves of the windows.

    The root mean square over `SPLITS` random halvings, halved; one halving alone may agree by chance. None below four
    windows.
    """
    count = len(lengths_px)
    if count < 4:
        return None
    generator = np.random.default_rng(0)
    apart = []
    for _ in range(SPLITS):
        order = generator.permutation(count)
        halves = lengths_px[order[: count // 2]], lengths_px[order[count // 2 :]]
        apart.append(float(np.quantile(halves[0], share) - np.quantile(halves[1], share)))
    return float(np.sqrt(np.mean(np.square(apart)))) / 2
