"""Writes the numbers in docs/speed.md from what benchmarks wrote: `python tools/speed_page.py`."""

from __future__ import annotations

import statistics
from typing import Any

from page import main, stored


def network(found: dict[str, Any]) -> list[str]:
    """One picture of 1280x720 through the network alone."""
    lines = [
        f"The network alone at {found['size']}:",
        "",
        "| engine | seconds | times plain torch `ifan` |",
        "|---|---|---|",
    ]
    for name, row in found["engines"].items():
        lines.append(f"| {name} | {row['median_seconds']:.3f} | {row['times_plain_torch']:.1f} |")
    chosen = ", ".join(f"`{name}` {precision}" for name, precision in found["chosen"].items())
    return [*lines, "", f"`auto` takes {chosen}."]


def large(rows: list[dict[str, Any]]) -> list[str]:
    """24 megapixels from start to file."""
    lines = ["24-megapixel JPEGs (simulated scenes), start to file:", ""]
    lines += ["| scene | 0.1.0 (s) | now (s) | times faster | peak memory (MB) |", "|---|---|---|---|---|"]
    for row in rows:
        before, after = (statistics.median(row[name]["seconds"]) for name in ("before", "after"))
        lines.append(
            f"| {row['scene']} | {before:.1f} | {after:.1f} | {row['times_faster']:.1f} | {row['after']['peak_mb']} |"
        )
    return lines


def megapixel(found: dict[str, Any]) -> list[str]:
    """One megapixel from start to exit."""
    return [
        f"One megapixel ({found['size']} JPEG), warm cache, start to exit: {found['median_seconds']:.2f} s; "
        f"`allfocus --version` {found['median_version_seconds']:.2f} s."
    ]


def share(found: dict[str, Any]) -> list[str]:
    """Work that is left out."""
    told = ", ".join(
        f"{100 * value:.0f} % on {kind.replace('_', ' ')}" for kind, value in found["mean_left_out"].items()
    )
    return [
        f"Left out of the network's work: {told}; largest change by it {found['largest_change_levels']:.2f} levels."
    ]


def gate(found: dict[str, Any]) -> list[str]:
    """int8 against float32."""
    heads = ("set", "PSNR-fit float32", "int8", "LPIPS float32", "int8", "agreement, mean and lowest (dB)")
    lines = ["int8 against float32, through the pipeline:", "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name in ("real-val", "lytro-val"):
        row = found[name]
        exact, tried = row["float32"], row[found["precision"]]
        lines.append(
            f"| {name} ({row['photos']}) | {exact['psnr_fit']:.3f} | {tried['psnr_fit']:.3f} | {exact['lpips']:.4f} "
            f"| {tried['lpips']:.4f} | {row['agreement_db']['mean']:.1f}, {row['agreement_db']['lowest']:.1f} |"
        )
    kept = found["sharp"]
    lines += [
        "",
        f"{kept['photos']} sharp photos against the input: float32 {kept['float32_db']} dB, int8 {kept['int8_db']} dB.",
    ]
    return lines


def choices(found: dict[str, Any]) -> list[str]:
    """What each `--speed` costs and brings."""
    scene = found["scene"]
    lines = [
        f"`--speed` on real-val, and on the 24-megapixel scene {scene['name']} (`benchmarks/speed_choices.json`):",
        "",
        "| choice | precision | PSNR-fit | LPIPS | s a megapixel | 24 megapixels: PSNR | s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in found["real-val"].items():
        precision = found["precision"].get(name, "")
        seconds = f"{row['seconds_per_megapixel']:.2f}" if precision else ""
        large = scene[name]
        lines.append(
            f"| {name} | {precision} | {row['psnr_fit']:.3f} | {row['lpips']:.4f} | {seconds} "
            f"| {large['psnr']:.2f} | {large.get('seconds', '')} |"
        )
    return lines


def measured() -> list[str]:
    """What benchmarks/speed.py and benchmarks/int8.py found."""
    parts: list[list[str]] = []
    if found := stored("benchmarks/speed.json"):
        processor, load = found["processor"], found["load_average_before"][0]
        told = (
            f"{processor['name']} ({', '.join(processor['features'])}), {found['threads']} threads, load {load} before"
        )
        parts.append([f"{told} (`benchmarks/speed.json`)."])
        writers = {"network": network, "large": large, "megapixel": megapixel, "share": share}
        parts += [writer(found[name]) for name, writer in writers.items() if found.get(name)]
    if int8 := stored("benchmarks/int8.json"):
        parts.append(gate(int8))
    if speeds := stored("benchmarks/speed_choices.json"):
        parts.append(choices(speeds))
    return "\n\n".join("\n".join(lines) for lines in parts).splitlines()


SECTIONS = {"speed": measured}


if __name__ == "__main__":
    main("docs/speed.md", SECTIONS, __doc__)
