"""Writes the numbers in docs/simulator.md from files that commands wrote: `python tools/simulator_page.py`."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from allfocus.simulate import SimulatorConfig
from allfocus.train.provenance import Provenance
from page import ROOT, main, number, stored, table

Statistics = Mapping[str, Any]
POWER = "power_of_the_blurred_over_the_sharp_picture_db"
LEFT = "variance_left_by_the_best_blur"
MEASURES: dict[str, Callable[[Statistics], str]] = {
    "PSNR-fit of the blurred picture, dB": lambda one: number(one["psnr_fit"]["50%"], 1),
    "spectral slope of the sharp picture": lambda one: number(one["spectral_slope_of_the_sharp_picture"]["50%"], 2),
    "power of the blurred over the sharp picture, 0.12 to 0.25 cycles per px, dB": lambda one: number(
        one[POWER]["0.12-0.25"], 1
    ),
    "the same, 0.25 to 0.45 cycles per px": lambda one: number(one[POWER]["0.25-0.45"], 1),
    "noise of the blurred picture, 255ths": lambda one: number(one["noise_of_the_blurred_picture_in_255ths"]["50%"], 2),
    "best blur radius at 1680 px, quantiles 25/50/75/90 %": lambda one: " / ".join(
        number(one["radius_px_at_1680"][share], 1) for share in ("25%", "50%", "75%", "90%")
    ),
    "variance that the best disc leaves, % of all": lambda one: number(one[LEFT]["disc"]["of_all"], 1, 100),
    "the best Gaussian": lambda one: number(one[LEFT]["gaussian"]["of_all"], 1, 100),
    "the best disc over display values": lambda one: number(one[LEFT]["disc_on_display_values"]["of_all"], 1, 100),
}
"""Rows of the table of the calibration."""
VARIANTS = {
    "full": "full",
    "gaussian-psf": "Gaussian blur",
    "srgb-blur": "blur of display values",
    "one-plane": "one plane",
    "no-occlusion": "no occlusion",
    "no-noise": "no noise",
    "first-settings": "first settings",
}
"""Rows of the table of what each part is worth, as `benchmarks/simulator_ablation.py` names them."""


CHANGES = {
    "sensor/sharpen_chance": "sharpened pairs have seams in the target, and the network learns to draw them",
    "scene/highlight_gain": "lamps brighter than white clip in the target; the network darkened around bright edges",
    "sensor/contrast_chance": "developed photos have more contrast than sRGB",
    "resolution_scale": "photos are often reduced before they are deblurred",
    "reductions": "noise and power spectra nearer to those of reduced real photos",
    "scene/print_chance": "text",
}
"""Settings that samples `a` of `ifan-fast-wide` did not have, and why they were changed."""


def first_settings() -> list[str]:
    """What was changed after the first stage of training."""
    first, now = Provenance.read("ifan-fast-wide").samples["a"].simulator, asdict(SimulatorConfig())
    rows = [[path.replace("/", "."), said(first, path), said(now, path), why] for path, why in CHANGES.items()]
    return table(("setting", "first", "now", "why"), rows, words=4)


def said(settings: Mapping[str, Any], path: str) -> str:
    """A setting as the page writes it."""
    value: Any = settings
    for key in path.split("/"):
        value = value[key]
    if path == "reductions":  # weights of full, half and quarter size
        return f"{1 - value[0]:.1g} of all" if value[0] < 1 else "none"
    if isinstance(value, list | tuple):
        return f"{value[0]:g} to {value[1]:g}"
    return f"{value:g}" if value else "none"


def calibration() -> list[str]:
    """Real pairs beside simulated ones."""
    found = stored("results/simulator_calibration.json")
    kinds = {"real": "real", "simulated": "simulated", "simulated_first_settings": "first settings"}
    rows = [[label, *(measure(found[kind]) for kind in kinds)] for label, measure in MEASURES.items()]
    return table(("", *kinds.values()), rows)


def ablation() -> list[str]:
    """Gains of a small network on real pairs, by what it was trained on."""
    with (ROOT / "results" / "simulator_ablation.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    means = {line["variant"]: line for line in lines if line["seed"] == "mean"}
    before = next(line for line in lines if line["variant"] == "input")
    rows = [["(the blurred photos)", "", "", *scores(before), ""]]
    for name, label in VARIANTS.items():
        seeds = sum(line["variant"] == name and line["seed"] != "mean" for line in lines)
        line = means[name]
        gain = f"{float(line['psnr_fit_gain']):+.3f}"
        rows.append([label, str(seeds), gain, *scores(line), f"{float(line['improved']):g}"])
    pairs = stored("results/simulator_ablation.json")["pairs"]
    heads = ("trained on", "seeds", "PSNR-fit, gain in dB", "PSNR, dB", "SSIM", "LPIPS", f"photos improved, of {pairs}")
    return table(heads, rows)


def scores(line: Mapping[str, str]) -> list[str]:
    """PSNR, SSIM and LPIPS of a line."""
    return [f"{float(line[name]):.{digits}f}" for name, digits in (("psnr", 2), ("ssim", 4), ("lpips", 4))]


def speed() -> list[str]:
    """How many samples a second."""
    found = stored("results/simulate.json")
    rate = found["per_second"]
    return [
        f"`python benchmarks/simulate.py` measures the speed: {found['machine']['cores']} cores "
        f"({found['machine']['processor']}, load {found['load_average_before']:.1f} before) render "
        f"{rate['render_three_objects']:.0f} quadruples of 256 x 256 px a second (three objects, radii to 16 px) and "
        f"make {rate['pipeline']:.1f} whole samples. Speed on a GPU has not been measured."
    ]


SECTIONS = {"calibration": calibration, "first-settings": first_settings, "ablation": ablation, "speed": speed}


if __name__ == "__main__":
    main("docs/simulator.md", SECTIONS, __doc__)
