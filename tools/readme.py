"""Writes the numbers in README.md from the files that commands of the project wrote: `python tools/readme.py`."""

from __future__ import annotations

import csv
from statistics import median
from typing import Any

from page import ROOT, main, number, stored, table

TITLES = {"jpeg": "JPEG", "png": "PNG", "tiff": "TIFF", "webp": "WebP", "avif": "AVIF"}
ITEMS = ("pixels", "transparency", "ICC", "EXIF", "XMP", "orientation")
NAMES = {
    "psnr_fit": "PSNR-fit (dB)",
    "psnr_aligned": "PSNR-aligned (dB)",
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
    "mae": "MAE",
    "lpips": "LPIPS",
}
PHOTOS = {
    "real-val": (
        "DPDD test scenes, reduced to 1024 x 683 px; no weights were trained on them, one factor was chosen on them",
        "deblur",
        {"input": "input", "`ifan-fast`": "ifan-fast@command", "`ifan`": "ifan@command"},
    ),
    "lytro-val": (
        "Lytro light field camera, two focuses of each scene; the targets are their fusion, exactly aligned",
        "eval",
        {"input": "input", "`ifan-fast`": "ifan-fast", "`ifan`": "ifan"},
    ),
}
"""Sets of real pairs: what they are, the command that was scored, and the result file of each row."""
DIGITS = {"psnr_fit": 2, "psnr_aligned": 2, "psnr": 2, "ssim": 4, "mae": 4, "lpips": 4}


def real_photos() -> list[str]:
    """The tables of real pairs."""
    lines = []
    for name, (what, command, files) in PHOTOS.items():
        records = {label: stored(f"results/{name}/{file}.json") for label, file in files.items()}
        lines += [f"**{records['input']['images']} real defocused photos** ({what}), through `allfocus {command}`:", ""]
        rows = [
            [label, *(number(record["scores"][score], DIGITS[score]) for score in NAMES)]
            for label, record in records.items()
        ]
        lines += [*table(("", *NAMES.values()), rows), ""]
    return lines


def facts() -> list[str]:
    """One line a measurement."""
    lines = []
    if sharp := stored("results/sharp_photos.ifan-fast.json"):
        lines.append(
            f"* Sharp photos are left alone: {sharp['mean']:.1f} dB on average between output and input "
            f"({len(sharp['rows'])} photos kept out of training)."
        )
    if large := stored("results/large_photos.ifan-fast.json"):
        lines.append(
            "* 24-megapixel photos with simulated blur radii of up to 60 px: "
            f"{large['mean']['gain_auto_db']:+.2f} dB with `--scale auto`, "
            f"{large['mean']['gain_1_db']:+.2f} dB with `--scale 1`."
        )
    if tiles := stored("results/tiles.ifan-fast.json"):
        worst = max(row["largest_levels"] for row in tiles["seams"])
        memory = tiles["memory"]
        lines.append(
            f"* Tiling changes a photo of 3 megapixels by at most {worst} grey level{'s' * (worst != 1)} of 255. "
            f"A {memory['megapixels']:.0f}-megapixel TIFF needs at most {memory['peak_resident_mb']} MB of memory."
        )
    if measured := stored("benchmarks/speed.json"):
        lines += speed(measured)
    return lines


def speed(measured: dict[str, Any]) -> list[str]:
    """The engine that `auto` takes against plain torch, and whole photos, in one run."""
    network, large = measured["network"], measured["large"]
    times = {
        model: network["engines"][f"openvino {precision} {model}"]["times_plain_torch"]
        for model, precision in network["chosen"].items()
    }
    seconds = [median(row["after"]["seconds"]) for row in large]
    memory = max(row["after"]["peak_mb"] for row in large)
    machine = f"{measured['processor']['name']}, {measured['threads']} threads"
    precisions = ", ".join(sorted(set(network["chosen"].values())))
    return [
        f"* {machine}, {precisions}: at {network['size']}, `ifan-fast` is {times['ifan-fast']:.0f} times and `ifan` "
        f"{times['ifan']:.0f} times as fast as `ifan` in plain torch float32 in the same run. `allfocus deblur` takes "
        f"{measured['megapixel']['median_seconds']:.1f} s for a photo of one megapixel, and {min(seconds):.1f} to "
        f"{max(seconds):.1f} s and {memory / 1000:.1f} GB of memory for 24 megapixels with a blurred background."
    ]


def survival() -> list[str]:
    """What becomes of each item in its own format: one line per format and depth, from the round trips."""
    with (ROOT / "results" / "roundtrip.csv").open(newline="") as file:
        own = [line for line in csv.DictReader(file) if line["source"] == line["target"]]
    lines = ["| format | bits | pixels, untouched | " + " | ".join(ITEMS[1:]) + " | judged by |", "|---" * 9 + "|"]
    for format, title in TITLES.items():
        for depth in sorted({int(line["depth"]) for line in own if line["source"] == format}):
            chosen = [line for line in own if (line["source"], line["depth"]) == (format, str(depth))]
            words = {line["item"]: line["outcome"] for line in chosen}
            cells = [title, "float" if depth == 32 else str(depth), *(words.get(item, "-") for item in ITEMS)]
            lines.append(f"| {' | '.join(cells)} | {chosen[0]['reader']} |")
    return lines


SECTIONS = {"numbers": lambda: [*real_photos(), *facts()], "survival": survival}


if __name__ == "__main__":
    main("README.md", SECTIONS, __doc__)
