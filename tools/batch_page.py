"""Writes the measured numbers in docs/batch.md from what benchmarks wrote: `python tools/batch_page.py`."""

from __future__ import annotations

from typing import Any

from page import main, number, stored, table

NAMES = {
    "large": "3 JPEGs of 12 and 24 megapixels",
    "mixed": "13 photos of four formats, 1 to 12 megapixels",
    "small": "40 JPEGs of 0.4 megapixels",
    "long": "12 JPEGs of 12 and 24 megapixels",
}


def throughput() -> list[str]:
    """Megapixels a second of engines alone and of batches."""
    parts = [part for part in map(_part, ("throughput", "steady")) if part is not None]
    if not parts:
        return []
    rows = []
    sets = [one for part in parts for one in part["sets"].items()]
    for name, found in sets:
        for kind, batch in found["batch"].items():
            alone, pipeline = found["engines_alone"][kind], found["pipeline_in_memory"][kind]
            cells = [number(values["megapixels_per_s"], 2) for values in (alone, pipeline, batch)]
            cells += [number(values["cpu_s_per_megapixel"], 3) for values in (alone, pipeline, batch)]
            shares = batch["share_of_fastest_engines"], pipeline["share_of_fastest_engines"]
            shares += batch["share_of_pipeline_in_memory"], batch["share_by_processor_time"]
            cells += [f"{share:.0%}" for share in shares]
            rows.append((NAMES[name], kind, *cells, f"{batch['engines_idle']:.0%}" if "engines_idle" in batch else "-"))
    heads = (
        "photos", "engines", "engines alone, MP/s", "pipeline in memory, MP/s", "batch, MP/s",
        "engines alone, CPU s/MP", "pipeline, CPU s/MP", "batch, CPU s/MP",
        "batch of the fastest engines' rate", "pipeline of the fastest engines' rate", "batch of the pipeline's rate",
        "batch by CPU time", "engines idle",
    )  # fmt: skip
    *formats, last = (f"{found['most_that_the_formats_allow']:.0%}" for _, found in sets)
    measured = "; the long batch: ".join(map(_conditions, parts))
    left = f"Reading and writing the formats alone would leave {', '.join(formats)} and {last}."
    return [*table(heads, rows, words=2), "", f"{measured}. {left}"]


def forecast() -> list[str]:
    """How near the expected end was to the real one."""
    part = _part("forecast")
    if part is None:
        return []
    rows = []
    for name, found in part["sets"].items():
        photos = NAMES.get(name, f"{found['photos']} photos of five formats, 0.2 to 24 megapixels")
        tenths = found["at_each_tenth_of_the_work"]
        looks = (", ".join(number(run[tenth], 2) for run in tenths) for tenth in (0, 4))
        after = found["after_a_tenth"]
        rows.append((photos, *looks, f"{after['least']:.2f} to {after['most']:.2f}", f"{after['within_a_fifth']:.0%}"))
    heads = ("photos", "after a tenth", "after half", "from a tenth on", "within 20 %")
    return [*table(heads, rows), "", f"{_conditions(part)}. Of each batch one value for each of {part['rounds']} runs."]


def pixels() -> list[str]:
    """What is left beside the network."""
    part = _part("pixels")
    if part is None:
        return []
    steps = ("decode", "restore", "encode", "together")
    rows = [(kind, *(number(found[step], 1) for step in steps)) for kind, found in part["cpu_ms_per_megapixel"].items()]
    told = f"CPU milliseconds a megapixel of JPEGs of {part['megapixels_each']:.0f} megapixels, on one core"
    return [*table(("loops over pixels", *steps), rows), "", f"{told}. {_conditions(part)}."]


def _part(name: str) -> dict[str, Any] | None:
    found = stored("results/batch.json")
    return None if found is None else found.get(name)


def _conditions(part: dict[str, Any]) -> str:
    known = part["conditions"]
    cores = f"{known['threads']} core{'s' * (known['threads'] > 1)}"
    return f"{known['processor']}, {cores}, load {known['load_before']} before the run, {known['day']}"


if __name__ == "__main__":
    main("docs/batch.md", {"throughput": throughput, "pixels": pixels, "forecast": forecast}, __doc__)
