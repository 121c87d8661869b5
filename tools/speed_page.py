"""Writes the numbers in docs/speed.md from what benchmarks wrote: `python tools/speed_page.py`."""

from __future__ import annotations

import json
import statistics
from typing import Any

from allfocus.weights.store import DEFAULT
from page import ROOT, main, stored, table


def network(found: dict[str, Any]) -> list[str]:
    """One picture of 1280x720 through the network alone."""
    rows = [
        (name, f"{row['median_seconds']:.3f}", f"{row['times_plain_torch']:.1f}")
        for name, row in found["engines"].items()
    ]
    chosen = ", ".join(f"`{name}` {precision}" for name, precision in found["chosen"].items())
    lines = table(("engine", "seconds", "times plain torch `ifan`"), rows)
    return [f"The network alone at {found['size']}:", "", *lines, "", f"`auto` takes {chosen}."]


def large(rows: list[dict[str, Any]]) -> list[str]:
    """24 megapixels from start to file."""
    lines = []
    for row in rows:
        before, after = (f"{statistics.median(row[name]['seconds']):.1f}" for name in ("before", "after"))
        lines.append((row["scene"], before, after, f"{row['times_faster']:.1f}", str(row["after"]["peak_mb"])))
    heads = ("scene", "0.1.0 (s)", "now (s)", "times faster", "peak memory (MB)")
    return ["24-megapixel JPEGs (simulated scenes), start to file:", "", *table(heads, lines)]


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
    rows = []
    for name in ("real-val", "lytro-val"):
        row = found[name]
        exact, tried, agreed = row["float32"], row[found["precision"]], row["agreement_db"]
        fits = f"{exact['psnr_fit']:.3f}", f"{tried['psnr_fit']:.3f}", f"{exact['lpips']:.4f}", f"{tried['lpips']:.4f}"
        rows.append((f"{name} ({row['photos']})", *fits, f"{agreed['mean']:.1f}, {agreed['lowest']:.1f}"))
    heads = ("set", "PSNR-fit float32", "int8", "LPIPS float32", "int8", "agreement, mean and lowest (dB)")
    lines = ["int8 against float32, through the pipeline:", "", *table(heads, rows)]
    kept = found["sharp"]
    lines += [
        "",
        f"{kept['photos']} sharp photos against the input: float32 {kept['float32_db']} dB, int8 {kept['int8_db']} dB.",
    ]
    return lines


def choices(found: dict[str, Any]) -> list[str]:
    """What each `--speed` costs and brings."""
    scene = found["scene"]
    rows = []
    for name, row in found["real-val"].items():
        precision, large = found["precision"].get(name, ""), scene[name]
        seconds = f"{row['seconds_per_megapixel']:.2f}" if precision else ""
        quality = f"{row['psnr_fit']:.3f}", f"{row['lpips']:.4f}"
        rows.append((name, precision, *quality, seconds, f"{large['psnr']:.2f}", str(large.get("seconds", ""))))
    heads = ("choice", "precision", "PSNR-fit", "LPIPS", "s a megapixel", "24 megapixels: PSNR", "s")
    title = f"`--speed` on real-val, and on the 24-megapixel scene {scene['name']} (`benchmarks/speed_choices.json`):"
    return [title, "", *table(heads, rows, 2)]


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


def full_size() -> list[str]:
    """What full size adds to half size, by blur radius, and what leaving it out changes."""
    found = stored("results/full_size.ifan-fast.json")
    if found is None:
        return []
    rows = []
    for row in found["scenes"]:
        psnr, seen = row["psnr_db"], row["megapixels_seen"]
        reached = (f"{psnr[one]:.2f}" for one in ("half", "everywhere", "now"))
        looked_at = (f"{seen[one]:.1f}" for one in ("everywhere", "now"))
        rows.append((row["scene"], *reached, *looked_at, f"{100 * row['changed']['by_more_than_a_level']:.0f} %"))
    heads = (
        *("scene", "half size only", "full size everywhere", "now"),
        *("seen: everywhere", "now", "changed by over a level"),
    )
    lines = [
        f"PSNR (dB) on simulated 24-megapixel scenes, `{found['model']}` in {found['precision']}, and megapixels that "
        "the network sees (`results/full_size.ifan-fast.json`):",
        "",
        *table(heads, rows),
    ]
    real = [(name, row) for name, part in found["pairs"].items() for row in part["rows"]]
    photos = sum(part["photos"] for part in found["pairs"].values())
    lines += [
        "",
        f"Of {photos} real photos ({', '.join(found['pairs'])}), {len(real)} are worked on at half size at all",
    ]
    told = [
        f"{row['photo']} {row['psnr_fit_db']['everywhere']:.3f} dB before, {row['psnr_fit_db']['now']:.3f} now"
        for _, row in real
    ]
    lines[-1] += f": {'; '.join(told)} (PSNR-fit)." if told else "; none of them changes."
    return lines


def in_focus() -> list[str]:
    """What leaving soft texture alone amid what is in focus gains, loses and saves."""
    found = stored("results/in_focus.ifan-fast.json")
    if found is None:
        return []
    rows = []
    for row in found["scenes"]:
        whole, focus, seen = row["psnr_db"], row["in_focus_psnr_db"], row["megapixels_seen"]
        psnr = (f"{part[run]:.2f}" for part in (whole, focus) for run in ("without", "with"))
        rows.append((row["scene"], *psnr, *(f"{seen[run]:.1f}" for run in ("without", "with"))))
    heads = ("scene", "PSNR without (dB)", "with", "in focus: without", "with", "megapixels seen: without", "with")
    lines = [
        f"Without the rule and with it, `{found['model']}` in {found['precision']}, simulated 24-megapixel scenes "
        "(`results/in_focus.ifan-fast.json`):",
        "",
        *table(heads, rows),
    ]
    for scene, title in (
        ("slope", "A surface whose blur radius grows from 0 to 4 px, by radius"),
        ("discs", "Discs blurred by 3 px before a surface in focus, by diameter"),
    ):
        parts = next(row["rows"] for row in found["surfaces"] if row["scene"] == scene)
        rows = []
        for part in parts:
            place = part["radius_px"] if scene == "slope" else part["across_px"]
            told = f"{place[0]:g} to {place[1]:g} px" if scene == "slope" else f"{place} px"
            rows.append((told, *(f"{part['psnr_db'][run]:.2f}" for run in ("photo", "without", "with"))))
        lines += ["", f"{title}, PSNR (dB):", "", *table((scene, "photo", "without", "with"), rows)]
    return lines


def by_processor() -> list[str]:
    """The default model in every file that somebody has shared, one line for each processor and engine."""
    files = sorted((ROOT / "benchmarks/shared").glob("*.json"))
    heads = ("processor", "threads", "engine", f"1280x720 `{DEFAULT}` (s)", "times plain torch `ifan`", "load")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    photos = []
    for file in files:
        found = json.loads(file.read_text(encoding="utf-8"))
        conditions = found["conditions"]
        here = conditions["processor"]
        name, load = f"{here['name']} ({', '.join(here['features'])})", (conditions["load_average_before"] or ["-"])[0]
        for network in found["networks"]:
            for row in network["engines"] if network["name"] == DEFAULT else ():
                ratio = row["speed_up_over_torch_ifan"]
                if ratio is None:  # timed without `ifan`, for its photos
                    continue
                lines.append(
                    f"| {name} | {row['threads']} | {row['engine']} {row['precision']} | {row['median_seconds']:.3f} "
                    f"| {ratio:.1f} | {load} |"
                )
        photos += [
            f"| {here['name']} | {row['megapixels']:g} | {row['engine']} {row['precision']} "
            f"| {row['cold_seconds']:.1f} | {row['median_seconds']:.1f} | {row['seconds_per_megapixel']:.2f} "
            f"| {row['peak_mb']} | {'-' if row['psnr_db'] is None else format(row['psnr_db'], '.1f')} |"
            for row in found.get("photos", {}).get("rows", ())
            if row["model"] == DEFAULT
        ]
    if photos:
        heads = (
            "processor",
            "megapixels",
            "engine",
            "first (s)",
            "then (s)",
            "s a megapixel",
            "peak (MB)",
            "PSNR (dB)",
        )
        lines += ["", "Whole photos, start to exit, all of them blurred, at full size; PSNR against float32:", ""]
        lines += [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|", *photos]
    return lines


SECTIONS = {"speed": measured, "full-size": full_size, "in-focus": in_focus, "processors": by_processor}


if __name__ == "__main__":
    main("docs/speed.md", SECTIONS, __doc__)
