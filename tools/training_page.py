"""Writes the numbers in docs/training.md from files that commands wrote: `python tools/training_page.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import getitem
from typing import Any

from allfocus.train.provenance import Provenance, TrainingStage
from page import main, number, stored, table

SETS = ("real-val", "lytro-val")
RUNS = (
    ("stage 6", "ifan-fast-stage6", 0.0, "0.7"),
    ("stage 6", "ifan-fast-stage6", 0.0, "0.85"),
    (
        "`broad`: 2,350 of 8,000 steps at rate 3e-4, sharp cores on 35 % and strange detail on 50 % of the samples",
        "broad", 1.0, "0.7",
    ),
    ("half of it, half stage 6", "broad", 0.5, "0.7"),
    ("`crisp1`: 900 steps at 1.5e-4, LPIPS x 0.1, grain up to .006 on 60 %", "crisp1", 1.0, "0.7"),
    ("half and half", "crisp1", 0.5, "0.7"),
    (
        "`crisp3`: 1,500 steps more at 1.5e-4, LPIPS x 0.05, grain up to .010 on 70 %, following texture",
        "crisp3", 1.0, "0.7",
    ),
    ("half and half", "crisp3", 0.5, "0.75"),
    ("`grain4`: 500 steps at 1e-4 from stage 6, that grain, no LPIPS", "grain4", 1.0, "0.7"),
    ("half and half", "grain4", 0.5, "0.7"),
    ("half and half", "grain4", 0.5, "0.85"),
    ("`crisp5`: 3,500 steps at 1e-4 from `crisp3`, LPIPS x 0.03, grain up to .008 on 50 %", "crisp5", 1.0, "0.7"),
    ("half and half", "crisp5", 0.5, "0.7"),
    (
        "`oblique6`: 1,000 steps at 1e-4 from `crisp5` on other samples: coma and astigmatism on 70 % of 1,216, "
        "Gaussian blur on 320 of them", "oblique6", 1.0, "0.7",
    ),
    ("half and half", "oblique6", 0.5, "0.7"),
    ("`plain6`: the same on the samples of `crisp5`, stopped after 900 steps", "plain6", 1.0, "0.7"),
    ("half and half", "plain6", 0.5, "0.7"),
    ("`muon10`: 2,000 steps of Muon at 5e-4 from `plain6`, on the same samples", "muon10", 1.0, "0.7"),
    ("half and half", "muon10", 0.5, "0.7"),
    ("three tenths of it, seven tenths stage 6", "muon10", 0.3, "0.7"),
    (
        "`long24`: width 24, from scratch: the race's 1,937 steps of Muon and 16,000 more at 5e-4, grain, no LPIPS",
        "long24", 1.0, "0.7",
    ),
    ("the same", "long24", 1.0, "0.85"),
    ("`late24`: 2,500 steps at 2.5e-4 from `long24`, LPIPS x 0.03", "late24", 1.0, "0.7"),
    ("`mix24`: the same but 2,200 steps, with 1,800 samples `b` of `ifan-fast` besides", "mix24", 1.0, "0.7"),
    ("`b24`: the same but 1,500 steps, on samples `b` alone", "b24", 1.0, "0.7"),
    (
        "`mean24`: two fifths `b24`, a fifth each `mix24`, 1,400 more steps of it, and `long24`", "mean24", 1.0, "0.7",
    ),
    ("`c24a`: 1,800 steps at 3e-4 from `mean24`, on 4,200 samples like `b`", "c24a", 1.0, "0.7"),
    ("`c24b`: the same but 900 steps, another seed", "c24b", 1.0, "0.7"),
    ("two fifths each `c24a` and `mean24`, a fifth `c24b`", "ifan-fast", 0.0, "0.7"),
    ("the same: what is shipped", "ifan-fast", 0.0, "0.77"),
    ("`d24a`: 940 steps from that, on the samples of `c24a`, without grain", "d24a", 1.0, "0.77"),
    ("`d24b`: the same, with 600 oblique and 600 hard samples besides (see below), another seed", "d24b", 1.0, "0.77"),
    ("a third each `c24a`, `d24a` and `d24b`", "mean25", 1.0, "0.77"),
    (
        "`e26a`: 2,800 steps at 3e-4 from that, LPIPS x 0.025, half the grain of `c24a`, on 900 samples `a` and 4,200 "
        "`b`", "e26a", 1.0, "0.7",
    ),
    ("the same", "e26a", 1.0, "0.77"),
    ("half of it, half `ifan-fast`", "mean26", 1.0, "0.77"),
)  # fmt: skip
"""Rows of the table of runs: what was done, the run's name in results/averaged_weights.json, its share, the gain."""


def stages() -> list[str]:
    """How many stages and steps each shipped model took."""
    rows = []
    for name in ("ifan-fast", "ifan-fast-wide", "ifan", "ifan-dual-fast"):
        found = Provenance.read(name)
        parent = found.parent
        start = "" if parent is None else f", from stage {parent.stages[-1].number} of `{parent.model}`"
        if found.average_with:
            others = ", ".join(map(str, sorted(set(found.average_with))))
            start += f"; mean of the weights of stages {others} and {found.stages[-1].number}"
        steps = sum(map(steps_of, found.stages))
        rows.append([f"`{name}`", f"{len(found.stages)}{start}", f"{steps:,}{' more' if found.parent else ''}"])
    return table(("model", "stages", "steps"), rows, words=3)


def steps_of(stage: TrainingStage) -> int:
    """The steps that a stage really took."""
    return stage.stop_at or stage.settings["steps"]


def carried_over() -> list[str]:
    """What the network removes of real blur and of blur that was laid on real photos."""
    found = stored("results/carry_over.json")["sets"]
    rows = [
        [shown, *(number(found[name]["removed_db"][shown], 2) for name in SETS)]
        for shown in found[SETS[0]]["removed_db"]
    ]
    return table(("shown", *(f"{name}, dB" for name in SETS)), rows)


def local_filters() -> list[str]:
    """What the network removes of blur by discs with parts of the filters that were fitted to real photos."""
    found = stored("results/local_kernels.json")["sets"]
    rows = []
    for shown in ("real photo", "disc"):
        row = [shown]
        for name in SETS:
            row += [mean(found[name], "removed_db", shown), "", ""]
        rows.append(row)
    for shown in next(iter(found[SETS[0]].values()))["real"]["removed_db"]:
        row = [shown]
        for name in SETS:
            row += [mean(found[name], source, "removed_db", shown) for source in ("real", "control")]
            row += [mean(found[name], "real", "held_out", shown)]
        rows.append(row)
    heads = [f"{name}{what}" for name in SETS for what in (", dB", ", control, dB", ", held-out error")]
    return table(("shown", *heads), rows)


def mean(photos: Mapping[str, Any], *path: str) -> str:
    """The mean over photos of a number."""
    values = [reduce(getitem, path, one) for one in photos.values()]
    return number(sum(values) / len(values), 2)


def runs() -> list[str]:
    """Runs towards better weights, and their averages with those that they started from."""
    found = stored("results/averaged_weights.json")["rows"]
    rows = []
    for label, run, share, gain in RUNS:
        scores = [weights_of(found, name, run, share)["gains"][gain] for name in SETS]
        rows.append([label, gain, *(f"{one['psnr_fit']:.2f} / {one['lpips']:.3f}" for one in scores)])
    return table(("weights", "gain", *SETS), rows)


def short_runs() -> list[str]:
    """What one other property of samples or training does in a short run."""
    found = stored("results/short_runs.json")
    rows = []
    for name, trial in found["trials"].items():
        scores = (trial["scores"][one] for one in SETS)
        shown = (f"{one['psnr_fit']:.2f} / {one['lpips']:.3f}" for one in scores)
        rows.append([trial.get("what", f"`{name}` as it was shipped"), *shown])
    settings = found["training"]
    return [
        *table(("trial", *SETS), rows),
        "",
        f"{settings['steps']} steps of batch {settings['batch']} at {settings['learning_rate']:g} on "
        f"{found['samples']} samples, gain {found['gain']:g}, {found['machine']['processor']}.",
    ]


def race(path: str = "results/race.json") -> list[str]:
    """What designs learn for the same processor time."""
    found = stored(path)
    names = {"real-val": "real-val", "lytro-val": "lytro-val", "test_c": "SynDP"}
    rows = []
    for row in found["rows"]:
        scores = (row["scores"][one] for one in names)
        shown = (f"{one['psnr_fit']:.2f} / {one['lpips']:.3f} (x{one['gain']:g})" for one in scores)
        what = row["design"] if row["design"] == row["why"] else f"{row['design']}: {row['why']}"
        rows.append([what, f"{row['steps']:,}", number(row["times_first"], 2), *shown])
    return [
        *table(("design", "steps", "time of a photo", *names.values()), rows),
        "",
        f"{found['budget_processor_seconds']:.0f} processor seconds each on {found['machine']['processor']}, one "
        f"thread, seed {found['settings']['seed']}, batches of {found['settings']['batch']} crops. The time of a photo "
        "is over that of the `ifan-fast` of 0.1.0; the factor in brackets is the gain on the residual.",
    ]


def wanted_gains() -> list[str]:
    """By which factor the residual of stage 6 should have been multiplied, by blur radius."""
    found = stored("results/averaged_weights.json")["rows"]
    factors = {name: weights_of(found, name, "ifan-fast-stage6", 0.0)["wanted_factor_by_radius_px"] for name in SETS}
    heads = ("radius, px", *factors[SETS[0]])
    return table(heads, [[name, *(number(one, 2) for one in factors[name].values())] for name in SETS])


def residual_gains() -> list[str]:
    """What other factors on the residual of stage 6 would give."""
    found = stored("results/residual_gain.json")["sets"]
    rows = [
        [name, *(f"{found[one][name]['psnr_fit']:.2f} / {found[one][name]['lpips']:.3f}" for one in SETS)]
        for name in found[SETS[0]]
    ]
    return table(("factor", *SETS), rows)


def weights_of(rows: Sequence[Mapping[str, Any]], set_name: str, run: str, share: float) -> Mapping[str, Any]:
    """The row of these weights on this set."""
    (row,) = (row for row in rows if (row["set"], row["run"], row["share_of_run"]) == (set_name, run, share))
    return row


def step_time() -> list[str]:
    """How long a training step takes."""
    found = stored("benchmarks/training_step.json")
    automatic, best = found["automatic"], found["arithmetic"]
    rows = [
        [name.replace(f"{automatic}, ", "the last, "), number(row["processor_seconds"], 3)]
        for name, row in found["steps"].items()
    ]
    features = [
        name for name in ("AMX", "AVX512-BF16") if name.replace("-", "_").lower() in found["processor"]["features"]
    ]
    return [
        *table(("precision, adaptive convolution", "s"), rows),
        "",
        f"Median processor seconds of a step of batch {found['batch']} of {found['patch_px']} px, {found['threads']} "
        f"thread, {found['processor']['name']} with {', '.join(features)}. {automatic} is {found['times_faster']:.2f} "
        f"times as fast as 0.1.0 (median of {found['rounds']} pairs), and with today's network and optimiser "
        f"{found['times_faster_today']:.2f} times. Convolutions and matrix products take "
        f"{100 * best['share_of_time']:.0f} % of its time, {best['gigamacs_a_second']:.0f} thousand million "
        "multiply-accumulates a second; a product of two large matrices reaches "
        f"{best['best_gigamacs_a_second']:.0f}. To compile took {found['seconds_to_compile']:.0f} s.",
        *_without_bfloat16(),
    ]


def _without_bfloat16() -> list[str]:
    """The same on a processor that does not compute in it."""
    found = stored("benchmarks/training_step.float32.json")
    if found is None:
        return []
    automatic, steps = found["automatic"], found["steps"]
    first, *_ = steps
    return [
        "",
        f"Where a processor has neither ({found['processor']['name']}, `benchmarks/training_step.float32.json`), 0.1.0 "
        f"computed in bfloat16 all the same: {steps[first]['processor_seconds']:.2f} s. {automatic}, which is what "
        f"`precision: auto` chooses there, takes {steps[automatic]['processor_seconds']:.2f} s: "
        f"{found['times_faster']:.2f} times as fast, and with today's network and optimiser "
        f"{found['times_faster_today']:.2f} times.",
    ]


SECTIONS = {
    "stages": stages,
    "carry-over": carried_over,
    "local-filters": local_filters,
    "runs": runs,
    "short-runs": short_runs,
    "race": race,
    "race-of-blocks": lambda: race("results/race_blocks.json"),
    "wanted-gains": wanted_gains,
    "residual-gains": residual_gains,
    "step-time": step_time,
}


if __name__ == "__main__":
    main("docs/training.md", SECTIONS, __doc__)
