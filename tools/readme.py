"""Writes the numbers in README.md from the files that commands of the project wrote: `python tools/readme.py`."""

from __future__ import annotations

import csv
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
    if bench := stored("results/engine.json"):
        lines += [line for network in bench["networks"] if (line := speed(network, bench["conditions"]))]
    return lines


def speed(network: dict[str, Any], conditions: dict[str, Any]) -> str:
    """The fastest engine against plain torch, in one run."""
    best = max(network["engines"], key=lambda row: row["speed_up_over_torch"] or 0)
    if best["engine"] == "torch" or not best["speed_up_over_torch"]:
        return ""
    processor = conditions["processor"]
    return (
        f"* `{network['name']}` at {conditions['width']}x{conditions['height']}: "
        f"{best['engine']} in {best['precision']} is {best['speed_up_over_torch']:.1f} times as fast as plain torch "
        f"float32 in the same run ({processor['name']}, {processor['threads']} threads)."
    )


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
