"""Writes the numbers in docs/evaluation.md from files that commands wrote: `python tools/evaluation_page.py`."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from card import own_name
from page import ROOT, main, number, stored, table_line

METHODS = (
    "input",
    "ifan-fast",
    "ifan-fast@command",
    "ifan",
    "ifan@command",
    "ifan-dual-fast",
    "ifan-dual-fast@ungated",
    "ebdb",
    "jnb",
    "dmenet-small",
    "dpdnet-s-small",
    "dpdnet-s-small@ungated",
    "dpdnet-d-small",
    "dpdnet-d-small@ungated",
)
SCORES = {
    "psnr": ("PSNR", 2),
    "psnr_fit": ("PSNR-fit", 2),
    "psnr_aligned": ("PSNR-aligned", 2),
    "ssim": ("SSIM", 3),
    "lpips": ("LPIPS", 3),
}
CHECKS = {"ringing": ("ringing x 0.01", 3, 100.0), "reblur": ("re-blurred, dB", 1, 1.0)}


def scores(set_name: str) -> list[str]:
    """One row a method that was run on the set."""
    records = {name: stored(f"results/{set_name}/{name}.json") for name in METHODS}
    records = {name: record for name, record in records.items() if record and record.get("complete")}
    if not records:
        return []
    heads = [head for head, _ in SCORES.values()] + [head for head, *_ in CHECKS.values()]
    lines = [table_line(["", "images", *heads, "s/image"]), "|---|" + "---:|" * (len(heads) + 2)]
    for name, record in records.items():
        found = record["scores"]
        cells = [number(found.get(score), digits) for score, (_, digits) in SCORES.items()]
        cells += [number(found[score], digits, factor) for score, (_, digits, factor) in CHECKS.items()]
        seconds, found_on = record["timing"]["seconds_median"], record["machine"]
        ran = record["conditions"]["kind"] not in ("input", "folder")
        busy = (found_on.get("load_average") or 0) > found_on["cores"] + 1
        images = f"{record['images']} of {record['of']}" if record["images"] != record["of"] else str(record["images"])
        lines.append(
            table_line(
                [f"`{name}`", images, *cells, number(seconds, 1) if ran and not busy else "busy" if ran else "-"]
            )
        )
    return lines


def by_radius() -> list[str]:
    """Gain over the input on SynDP by true blur radius: everywhere, and where the sharp picture is sharp."""
    lines: list[str] = []
    for name in METHODS:
        record = stored(f"results/syndp-test/{name}.json")
        if name == "input" or not record or "by_radius" not in record:
            continue
        bins = [one for one in record["by_radius"] if one["from_px"] < LARGEST_PX]
        if not lines:
            heads = [f"{one['from_px']:g} to {one['to_px']:g}" for one in bins]
            lines = [table_line(["gain in dB at px", "", *heads]), "|---|---|" + "---:|" * len(heads)]
        for key, where in (("gain", "everywhere"), ("gain_sharp", "sharp truth")):
            if any(one.get(key) is not None for one in bins):
                lines.append(table_line([f"`{name}`", where, *(number(one.get(key), 2) for one in bins)]))
    fitted = stored("results/fitted_filter.json")
    if lines and fitted:
        gains = [number(one["gain"], 2) for one in fitted["bins"] if one["from_px"] < LARGEST_PX]
        lines.append(table_line(["a filter fitted on the answer", "everywhere", *gains]))
    return lines


def by_stratum() -> list[str]:
    """Mean gain over the input in the strata of SynDP, and what was in focus."""
    records = {name: stored(f"results/syndp-test/{name}.json") for name in METHODS}
    records = {name: record for name, record in records.items() if record and "S0" in record.get("groups", {})}
    if "input" not in records:
        return []
    strata = [name for name in records["input"]["groups"] if name[0] == "S"]
    lines = [table_line(["mean gain in dB", *strata]), "|---|" + "---:|" * len(strata)]
    for name, record in records.items():
        if name != "input":
            pairs = ((record["groups"][one], records["input"]["groups"][one]) for one in strata)
            lines.append(
                table_line([f"`{name}`", *(f"{mine['psnr'] - before['psnr']:+.2f}" for mine, before in pairs)])
            )
    fitted = stored("results/fitted_filter.json")
    if fitted:
        cells = [f"{fitted['strata'][one]:+.2f}" if one in fitted["strata"] else "-" for one in strata]
        lines.append(table_line(["a filter fitted on the answer", *cells]))
    return lines


def same_photos() -> list[str]:
    """Gain by radius on photos that are otherwise the same."""
    records = {name: stored(f"results/{own_name('gain_by_radius', name)}") for name in ("ifan-fast", "ifan")}
    records = {name: record for name, record in records.items() if record}
    if not records:
        return []
    rows = next(iter(records.values()))["rows"]
    lines = [table_line(["radius in px", *(f"{row['radius_px']:g}" for row in rows)]), "|---|" + "---:|" * len(rows)]
    for name, record in records.items():
        for key, said in (("gain_mean_db", "mean over scenes"), ("gain_pooled_db", "all errors together")):
            lines.append(table_line([f"`{name}`, {said}", *(f"{row[key]:+.2f}" for row in record["rows"])]))
    for key, said in (
        ("fitted_filter_mean_db", "mean over scenes"),
        ("fitted_filter_pooled_db", "all errors together"),
    ):
        lines.append(table_line([f"a filter fitted on the answer, {said}", *(f"{row[key]:+.2f}" for row in rows)]))
    return [*lines, "", f"In dB; {next(iter(records.values()))['what']}."]


def maps() -> list[str]:
    """Radius and side of the focus, as every model tells them."""
    lines = [
        table_line(
            ["", "map from", "error, median px", "9 in 10 within, px", "right side", "mean of before and behind"]
        ),
        "|---|---|" + "---:|" * 4,
    ]
    for name in ("ifan-fast", "ifan", "ifan-dual-fast"):
        record = stored(f"results/{own_name('map_accuracy', name)}")
        for kind, row in (record or {"maps": {}})["maps"].items():
            if kind == "one number for all" and name != "ifan-fast":
                continue
            keys = ("median_error_px", "error_px_of_9_in_10", "right_side_of_focus", "right_side_before_and_behind")
            model = "-" if kind == "one number for all" else f"`{name}`"
            lines.append(table_line([model, kind, *(number(row["all"][key], 2) for key in keys)]))
    return lines


def strengths() -> list[str]:
    """What `--strength` trades on each set."""
    record = stored("results/strength.json")
    if record is None:
        return []
    kinds = {"psnr_fit": ("PSNR-fit", 2), "lpips": ("LPIPS", 3)}
    said = {"test_c": "SynDP"}
    heads = [f"{said.get(name, name)} ({next(iter(found.values()))['photos']}), {kind}"
             for name, found in record["sets"].items() for kind, _ in kinds.values()]  # fmt: skip
    lines = [table_line(["strength", *heads, "sharp photos, dB"]), "|---|" + "---:|" * (len(heads) + 1)]
    for strength in next(iter(record["sets"].values())):
        cells = [number(found[strength][key], digits) for found in record["sets"].values()
                 for key, (_, digits) in kinds.items()]  # fmt: skip
        lines.append(table_line([strength, *cells, number(record["sharp_photos"].get(strength), 1)]))
    return lines


def known_blur() -> list[str]:
    """What EBDB and JNB tell of photos whose blur is known, and how long they take."""
    record = stored("results/baselines.json")
    if record is None:
        return []
    lines = [
        table_line(["", "blur", "Spearman, mean", "least of a photo", "bias, px", "1 megapixel, s", "processor, s"]),
        "|---|---|" + "---:|" * 5,
    ]
    for name, shapes in record["accuracy"].items():
        for shape, found in shapes.items():
            least = min(row["spearman"] for row in found["photos"])
            time = record["speed"][name]
            cells = [f"{found['spearman_mean']:.2f}", f"{least:.2f}", f"{found['bias_px_mean']:+.2f}"]
            busy = time["map_cpu_s"] + time["deconvolution_cpu_s"]
            lines.append(table_line([f"`{name}`", shape, *cells, f"{time['total_s']:.0f}", f"{busy:.0f}"]))
    conditions, gain = record["conditions"], record["deconvolution"]
    photos = len(gain["photos"])
    return [
        *lines,
        "",
        f"Sigma in px over textured areas of {photos} photos blurred from 0 to 4 px. Times: map and deconvolution of "
        f"{conditions['photo'].rpartition(' ')[2]} px on {conditions['processor']}, threads: {conditions['threads']}, "
        f"at a load of {conditions['load_average_before']:.1f}, and processor time over all threads. "
        f"With the true map the deconvolution brings {gain['blurred_db']:.2f} dB to {gain['hard_db']:.2f} dB, and to "
        f"{gain['blend_db']:.2f} dB when levels are blended, as `allfocus deblur --method` does.",
    ]


def ablation() -> list[str]:
    """The differences that the paper's order claims."""
    record = stored("results/ablation.json")
    if record is None:
        return ["Nobody has run it yet."]
    sets = list(dict.fromkeys(row["set"] for row in record["differences"]))
    rows: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in record["differences"]:
        rows.setdefault(row["claim"], {})[row["set"]] = row
    heads = [f"{name}: {score}" for name in sets for score in ("PSNR", "PSNR-fit")]
    lines = [table_line(["difference in dB", "paper", *heads]), "|---|---:|" + "---:|" * len(heads)]
    for claim, by_set in rows.items():
        cells = [spread(by_set[name][score]) for name in sets for score in ("psnr", "psnr_fit")]
        lines.append(table_line([claim, PUBLISHED_DIFFERENCES.get(claim, "-"), *cells]))
    training = record["training"]
    return [
        *lines,
        "",
        *(reading(name, [row for row in record["differences"] if row["set"] == name]) for name in sets),
        "",
        f"{training['steps']} steps of {training['batch']} crops of {training['patch_px']} px, "
        f"{record['samples']['count']} samples, width {training['net']['width']}, "
        f"{len(record['seeds'])} {'seeds; in brackets the seeds one by one' if len(record['seeds']) > 1 else 'seed'}.",
    ]


def reading(set_name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """One sentence: how many of the paper's steps have its sign, how large they are, and what is chance."""
    claimed = [row for row in rows if row["claim"] in PUBLISHED_DIFFERENCES]
    agree = [row["claim"] for row in claimed if row["psnr_fit_mean"] > 0]
    largest = max(abs(row["psnr_fit_mean"]) for row in claimed)
    apart = max(max(row["psnr_fit"]) - min(row["psnr_fit"]) for row in claimed)
    whole = "holds in the mean" if len(agree) == len(claimed) else "does not hold"
    chance = f"; the same difference varies by up to {apart:.2f} dB from seed to seed" if apart else "; one seed only"
    tied = next((row["psnr_fit_mean"] for row in rows if row["claim"] not in PUBLISHED_DIFFERENCES), None)
    tied_said = "" if tied is None else f" Untied against tied filters: {tied:+.2f} dB."
    named = f" ({', '.join(agree)})" if agree else ""
    return (
        f"* {set_name}: the paper's order {whole}: {len(agree)} of {len(claimed)} steps have its sign{named}. "
        f"The largest is {largest:.2f} dB of PSNR-fit{chance}.{tied_said}"
    )


def weights() -> list[str]:
    """Which learnt baselines have weights in the package."""
    cards = sorted((ROOT / "src" / "allfocus" / "weights" / "baselines").glob("*.json"))
    found = [json.loads(card.read_text(encoding="utf-8")) for card in cards]
    if not found:
        return ["No weights of DMENet or DPDNet are in the package yet: without files of your own they say so."]
    lines = [table_line(["in the package", "parameters", "steps"]), "|---|---:|---:|"]
    lines += [table_line([f"`{one['name']}`", f"{one['parameters']:,}", f"{one['steps']:,}"]) for one in found]
    return [
        *lines,
        "",
        "Narrow and trained for minutes on simulated samples: they do not represent the published networks.",
    ]


PUBLISHED_DIFFERENCES = {
    "F helps": "+0.19",
    "D helps without F": "+0.09",
    "D helps beside F": "+0.11",
    "R helps beside F": "+0.21",
    "D helps beside F and R": "+0.09",
    "R helps beside F and D": "+0.19",
}
"""Differences of PSNR between rows of the paper's ablation table (evaluate/published.csv)."""
LARGEST_PX = 14.0
SECTIONS = {
    "radius": by_radius,
    "strata": by_stratum,
    "same-photos": same_photos,
    "maps": maps,
    "real-val": lambda: scores("real-val"),
    "lytro-val": lambda: scores("lytro-val"),
    "syndp": lambda: scores("syndp-test"),
    "weights": weights,
    "strength": strengths,
    "known-blur": known_blur,
    "ablation": ablation,
}


def spread(values: Sequence[float]) -> str:
    """The mean, with the values when there are several."""
    mean = f"{statistics.fmean(values):+.2f}"
    return mean if len(values) == 1 else f"{mean} ({', '.join(f'{value:+.2f}' for value in values)})"


if __name__ == "__main__":
    main("docs/evaluation.md", SECTIONS, __doc__)
