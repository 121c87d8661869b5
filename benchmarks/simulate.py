"""How many quadruples a second does the simulator make?

Three figures, each on one CPU thread (or one GPU): the renderer alone on scenes of three objects with blur up to
16 px, the same on scenes of one surface, and the whole pipeline from photos to developed views with the settings that
are the default.
Without --photos the scenes are cut from drawn charts and noise, so the script needs no file.

    python benchmarks/simulate.py -o results/simulate.json
    python benchmarks/simulate.py --processes 2 --device cpu
    python benchmarks/simulate.py --device cuda
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from allfocus.evaluate.measure import machine
from allfocus.simulate import Lens, PhotoPool, Simulator, SimulatorConfig, Surface, render
from allfocus.simulate.drawings import edge_chart, grating_chart, natural_noise, text_chart
from allfocus.simulate.masks import outline

CROP_PX, MARGIN_PX = 256, 32
LEVELS, OBJECT_LEVELS = 6, 3
TARGETS = {"render_three_objects_two_cores": 12.0, "pipeline_per_core": 5.0, "gpu": 300.0}


def main() -> None:
    options = _arguments()
    load = os.getloadavg()[0]
    jobs = [(options, number) for number in range(options.processes)]
    if options.processes == 1:
        found = [measure(jobs[0])]
    else:
        with ProcessPoolExecutor(options.processes, get_context("spawn")) as pool:
            found = list(pool.map(measure, jobs))
    record = {
        "question": "quadruples of 256 x 256 px a second",
        "machine": machine(),
        "torch": torch.__version__,
        "system": platform.platform(terse=True),
        "device": options.device,
        "gpu": torch.cuda.get_device_name() if options.device == "cuda" else None,
        "processes": options.processes,
        "threads_a_process": 1,
        "repeats": options.repeats,
        "conditions": options.conditions,
        "load_average_before": round(load, 2),
        "source": "drawn charts and noise" if options.photos is None else "photos",
        "per_second": {name: round(sum(one[name]["per_second"] for one in found), 2) for name in found[0]},
        "per_cpu_second": {
            name: round(statistics.fmean(one[name]["per_cpu_second"] for one in found), 2) for name in found[0]
        },
        "targets": TARGETS,
    }
    text = json.dumps(record, indent=1) + "\n"
    print(text, end="")
    if options.output is not None:
        options.output.write_text(text, encoding="utf-8")


def measure(job: tuple[argparse.Namespace, int]) -> dict[str, dict[str, float]]:
    """Figures of one process: quadruples by the clock, and by the CPU time of the process (what a free core gives)."""
    options, number = job
    torch.set_num_threads(1)
    pool = _pool(options.photos)
    device = torch.device(options.device)
    simulator = Simulator(SimulatorConfig(), pool, device)
    for index in range(len(pool)):
        pool.photo(index), pool.detail(index)
    three, one = (_scenes(count, device) for count in (3, 1))
    lens = Lens(edge_px=0.35, edge_share=0.05)

    def rendered(scenes: list[tuple[Surface, ...]], step: int) -> None:
        render(scenes[step % len(scenes)], lens, levels=LEVELS, object_levels=OBJECT_LEVELS)

    questions = {
        "render_three_objects": lambda step: rendered(three, step),
        "render_one_object": lambda step: rendered(one, step),
        "pipeline": lambda step: simulator.sample([1_000_000 * number + step]),
    }
    return {name: _rate(run, options.repeats, device) for name, run in questions.items()}


def _rate(run: Any, repeats: int, device: torch.device) -> dict[str, float]:
    for step in range(3):
        run(step)
    _wait(device)
    wall, cpu = time.perf_counter(), time.process_time()
    for step in range(repeats):
        run(step)
    _wait(device)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"per_second": repeats / wall, "per_cpu_second": repeats / cpu}


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _pool(photos: Path | None) -> PhotoPool:
    if photos is not None:
        return PhotoPool(photos)
    drawn = [
        draw(np.random.default_rng(number), 640) for number, draw in enumerate((text_chart, edge_chart, grating_chart))
    ]
    noise = [(natural_noise(np.random.default_rng(number), 768) * 255).astype(np.uint8) for number in range(4)]
    return PhotoPool([*drawn, *noise])


def _scenes(objects: int, device: torch.device) -> list[tuple[Surface, ...]]:
    """Ten scenes over the whole range of radii: a background that recedes, and cut-outs that lean a little."""
    canvas_px = CROP_PX + 2 * MARGIN_PX
    scenes = []
    for seed in range(10):
        rng = np.random.default_rng([objects, seed])
        rows = torch.linspace(0.0, 1.0, canvas_px, device=device)[:, None].expand(-1, canvas_px)
        surfaces = []
        for number in range(objects):
            texture = torch.from_numpy(natural_noise(rng, canvas_px)).permute(2, 0, 1).contiguous().to(device)
            low, high = ((0.0, 16.0), (3.0, 9.0), (-6.0, -1.0))[number]
            coc_px = low + (high - low) * rows
            alpha = None
            if number:
                alpha, _ = outline(rng, "blob", canvas_px, CROP_PX / 2.0, device)
            surfaces.append(Surface(texture, alpha, coc_px.contiguous()))
        scenes.append(tuple(surfaces))
    return scenes


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=None, help="folder of sharp photos")
    parser.add_argument("--processes", type=int, default=1, help="processes at the same time, one thread each")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--repeats", type=int, default=60, help="quadruples of each kind")
    parser.add_argument("--conditions", default="", help="what else the machine was doing, in words")
    parser.add_argument("-o", "--output", type=Path, default=None, help="JSON file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
