"""Every benchmark runs, at its smallest, and writes what those who read its file look for."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from allfocus.engine.openvino import unavailable
from allfocus.weights.store import find

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {path.stem for path in (ROOT / "benchmarks").glob("*.py") if "__main__" in path.read_text(encoding="utf-8")}


@dataclass(frozen=True)
class Run:
    """A benchmark at its smallest.

    Attributes:
        line: its arguments; PHOTOS is the folder of the fixture, OUT the one to write to, REPOSITORY this checkout.
        writes: names of files in OUT, each built as the file of that name in results/ or benchmarks/.
        part: of a JSON file that several runs fill.
        status: which exit status counts as well as 0: of benchmarks that end with 1 where figures are not good enough.
        leaves: what of a file it does not write, as `lacking` says it.
        needs: packages, programs and precisions without which it is skipped.
    """

    line: str
    writes: tuple[str, ...]
    part: str = ""
    status: int = 0
    leaves: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


TRAINING = "--side 64 --patch 32 --batch 1 --steps 2 --workers 1 --threads 1"
RUNS = {
    "ablation": Run(
        "--photos PHOTOS/sharp --real PHOTOS/real-val --syndp PHOTOS/syndp -o OUT/run --results OUT --samples 2 "
        f"--only ablation-fd ablation-f --width 4 --iterations 2 {TRAINING}",
        ("ablation.csv", "ablation.json"),
    ),
    "adaptive_conv_memory": Run("--share 0.25 -o OUT/adaptive_conv_memory.json", ("adaptive_conv_memory.json",)),
    "allocator": Run("--rounds 1 --batch 1 --patch 64 --threads 1 -o OUT/allocator.json", ("allocator.json",)),
    "averaged_weights": Run(
        "PHOTOS/real-val --gains 0.7 0.85 --every 2 -o OUT/averaged_weights.json", ("averaged_weights.json",)
    ),
    "baselines": Run("--side 128 --photos 1 -o OUT/baselines.json", ("baselines.json",)),
    "batch_forecast": Run(
        "--data PHOTOS --sets mixed --rounds 1 --share 0.25 -o OUT/batch.json", ("batch.json",), part="forecast"
    ),
    "batch_kills": Run(
        "--data PHOTOS --photos 5 --megapixels 1 --kills 1 -o OUT/batch.json",
        ("batch.json",),
        part="kills",
        leaves=("/ray worker killed/kills",),  # where the batch ends before its first moment
        needs=("ray",),
    ),
    "batch_memory": Run("--photos 20 -o OUT/batch.json", ("batch.json",), part="memory"),
    "batch_memory --one-size": Run("--photos 20 -o OUT/batch.json", ("batch.json",), part="memory_of_one_size"),
    "batch_pixels": Run(
        "--data PHOTOS --count 1 --rounds 1 --share 0.2 -o OUT/batch.json", ("batch.json",), part="pixels"
    ),
    "batch_ray": Run(
        "--data PHOTOS --count 3 --rounds 1 -o OUT/batch.json", ("batch.json",), part="ray", needs=("ray",)
    ),
    "batch_ray --part ray_nodes": Run(
        "--data PHOTOS --count 3 --rounds 1 -o OUT/batch.json", ("batch.json",), part="ray_nodes", needs=("ray",)
    ),
    "batch_s3": Run(
        "--data PHOTOS --photos 6 --megapixels 1 -o OUT/batch.json", ("batch.json",), "s3", needs=("moto",)
    ),
    "batch_throughput": Run(
        "--data PHOTOS --sets mixed --rounds 1 --share 0.1 -o OUT/batch.json", ("batch.json",), part="throughput"
    ),
    "capture session": Run("--good 1 --each-fault 1 -o OUT/capture_session.json", ("capture_session.json",)),
    "capture stacks": Run("--every 5 -o OUT/capture_stacks.json", ("capture_stacks.json",)),
    "capture real": Run("PHOTOS/real-val --every 2 -o OUT/capture_real.json", ("capture_real.json",)),
    "capture_walk": Run("--good 5 --steps 2 -o OUT/capture_walk.json", ("capture_walk.json",)),
    "carry_over": Run("PHOTOS/real-val --most 1 -o OUT/carry_over.json", ("carry_over.json",)),
    "cluster_simulation": Run("--share 0.001 -o OUT/cluster_simulation.json", ("cluster_simulation.json",)),
    "engine_agreement": Run(
        "--photos PHOTOS/photos -o OUT/engine_agreement.ifan-fast.json",
        ("engine_agreement.ifan-fast.json",),
        needs=("bfloat16", "int8"),
    ),
    "fitted_filter": Run("--syndp PHOTOS/syndp -o OUT/fitted_filter.json", ("fitted_filter.json",)),
    "full_size": Run(
        "--scenes PHOTOS/scenes --pairs PHOTOS/real-val -o OUT/full_size.ifan-fast.json", ("full_size.ifan-fast.json",)
    ),
    "gain_by_radius": Run(
        "--photos PHOTOS/sharp --only PHOTOS/sharp.txt --scenes 2 -o OUT/gain_by_radius.ifan-fast.json",
        ("gain_by_radius.ifan-fast.json",),
    ),
    "in_focus": Run(
        "--scenes PHOTOS/scenes --photos PHOTOS/sharp --only PHOTOS/sharp.txt --size 640 384 "
        "-o OUT/in_focus.ifan-fast.json",
        ("in_focus.ifan-fast.json",),
    ),
    "int8": Run(
        "--data PHOTOS --sharp PHOTOS/sharp --only PHOTOS/sharp.txt -o OUT/int8.json",
        ("int8.json",),
        status=1,
        needs=("int8",),
    ),
    "large_photos": Run(
        "--photos PHOTOS/sharp --scratch OUT/scenes --size 384 256 -o OUT/large_photos.ifan-fast.json",
        ("large_photos.ifan-fast.json",),
    ),
    "local_kernels": Run("PHOTOS/real-val --photos astronaut -o OUT/local_kernels.json", ("local_kernels.json",)),
    "map_accuracy": Run("--every 96 -o OUT/map_accuracy.ifan-fast.json", ("map_accuracy.ifan-fast.json",)),
    "one_megapixel": Run("PHOTOS/photos/rocket.jpg --repeats 1 -o OUT/one_megapixel.json", ("one_megapixel.json",)),
    "photo_memory": Run("--megapixels 1 --folder OUT -o OUT/photo_memory.json", ("photo_memory.json",)),
    "promise": Run("--cases 3 -o OUT/promise.json", ("promise.json",)),
    "race": Run(
        "--cache PHOTOS/samples --pairs PHOTOS/real-val --runs OUT/runs --budget 0.01 --only 'that, gated blocks' "
        "--batch 1 --patch 32 -o OUT/race.json",
        ("race.json",),
    ),
    "real_photos": Run(
        "--pairs PHOTOS/real-val --sharp PHOTOS/sharp --only PHOTOS/sharp.txt -o OUT",
        ("real-val/ifan-fast@command.json", "sharp_photos.ifan-fast.json"),
    ),
    "residual_gain": Run("PHOTOS/real-val PHOTOS/lytro-val -o OUT/residual_gain.json", ("residual_gain.json",)),
    "roundtrip": Run("-o OUT/roundtrip.csv", ("roundtrip.csv",)),
    "scales": Run(
        "--syndp PHOTOS/syndp --pairs PHOTOS/real-val -o OUT", ("scales.ifan-fast.csv", "scales.ifan-fast.json")
    ),
    "service": Run(
        "--only start progress trial load crowd abuse crash --seconds 2 --mutated 5 -o OUT/service.json",
        ("service.json",),
        status=1,
        leaves=("/fuzz",),  # minutes, and schemathesis
    ),
    "short_runs": Run(
        "--photos PHOTOS/sharp --pairs PHOTOS/real-val PHOTOS/lytro-val --scratch OUT/scratch --only base --samples 2 "
        "--steps 2 --batch 1 --patch 32 -o OUT/short_runs.json",
        ("short_runs.json",),
    ),
    "simulate": Run("--repeats 1 -o OUT/simulate.json", ("simulate.json",)),
    "simulator_ablation": Run(
        "--photos PHOTOS/sharp --real PHOTOS/real-val -o OUT/run --results OUT/simulator_ablation.csv --only full "
        f"--twice full --samples 2 {TRAINING}",
        ("simulator_ablation.csv", "simulator_ablation.json"),
    ),
    "simulator_calibration": Run(
        "--photos PHOTOS/sharp --real PHOTOS/real-val --samples 2 -o OUT/simulator_calibration.json",
        ("simulator_calibration.json",),
    ),
    "speed": Run(
        "--photos PHOTOS/photos --scenes PHOTOS/scenes --before REPOSITORY --rounds 1 --size 320 192 -o OUT/speed.json",
        ("speed.json",),
    ),
    "speed_choices": Run(
        "--data PHOTOS/real-val --lpips PHOTOS/lpips --scene PHOTOS/scenes/table -o OUT/speed_choices.json",
        ("speed_choices.json",),
    ),
    "strength": Run(
        "PHOTOS/real-val --sharp PHOTOS/sharp --only PHOTOS/sharp.txt --lpips PHOTOS/lpips -o OUT/strength.json",
        ("strength.json",),
    ),
    "tiles": Run(
        "--photos PHOTOS/photos --size 700 520 --side 1000 -o OUT/tiles.ifan-fast.json",
        ("tiles.ifan-fast.json",),
        needs=("bfloat16",),
    ),
    "training_step": Run(
        "--batch 1 --patch 32 --rounds 1 -o OUT/training_step.json", ("training_step.json",), needs=("g++",)
    ),
    "transfer_function": Run("PHOTOS/real-val -o OUT/transfer_function.json", ("transfer_function.json",)),
}
"""Of "NAME WORD", the word is the first argument of benchmarks/NAME.py."""
EXCEPTED = {"race_blocks": "race runs it"}
"""Commands in benchmarks/ that no test runs, and why."""
PRECISIONS = ("bfloat16", "int8")
CHOSEN = re.compile(
    "/(sets|pairs|gains|strata|by_radius|seconds|cases_with|promises|mutated_statuses|engines|steps|trials)$"
    "|/(maps|operators)/[^/]+$|/rows/-/scores$"
)
"""Objects whose keys are sets, ranges, commands or other things that the arguments or the photos choose."""


def test_every_benchmark_is_run_or_excepted_for_a_reason() -> None:
    run = {name.split()[0] for name in RUNS}
    assert run | EXCEPTED.keys() == COMMANDS
    assert not run & EXCEPTED.keys() and all(EXCEPTED.values())


@pytest.mark.parametrize("name", RUNS)
def test_options_are_those_of_the_benchmark(name: str) -> None:
    scripts = [ROOT / "benchmarks" / f"{script}.py" for script in (name.split()[0], "batch_record")]
    source = "".join(path.read_text(encoding="utf-8") for path in scripts)
    assert [word for word in shlex.split(RUNS[name].line) if word.startswith("-") and f'"{word}"' not in source] == []


def test_what_a_record_lacks_is_found() -> None:
    stored = {"a": 1, "rows": [{"x": 1, "y": 2}], "sets": {"one": {"z": 1}}, "b": {"c": 1}}
    found = {"a": 2, "rows": [{"x": 3}], "sets": {"two": {}}, "b": 1}
    assert lacking(stored, found) == ["/rows/-/y", "/sets/-", "/b"]
    assert lacking(stored, stored | {"sets": {"two": {"z": 3}}, "rows": [*stored["rows"], {}]}) == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="some benchmarks read /proc")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", RUNS)
def test_benchmark_runs_and_writes_what_is_read(
    name: str, photos: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = RUNS[name]
    for need in run.needs:
        if why := obstacle(need):
            pytest.skip(why)
    script, *words = name.split()
    line = run.line.replace("REPOSITORY", str(ROOT)).replace("PHOTOS", str(photos)).replace("OUT", str(tmp_path))
    words += shlex.split(line)
    cache = tmp_path_factory.getbasetemp() / "compiled networks"
    variables = {"ALLFOCUS_CACHE": str(cache), "ALLFOCUS_LPIPS": str(photos / "lpips")}
    variables["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    before = stored_files()
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / f"{script}.py"), *words],
        env={**os.environ, **variables}, capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode in (0, run.status) and "Traceback" not in done.stderr, done.stderr[-3000:]
    assert stored_files() == before
    for file in run.writes:
        place = next(folder / file for folder in (ROOT / "results", ROOT / "benchmarks") if (folder / file).is_file())
        stored, found = (read(one, run.part) for one in (place, tmp_path / file))
        assert [one for one in lacking(stored, found) if one not in run.leaves] == [], file


def obstacle(need: str) -> str | None:
    """Why a package, a program or a precision cannot be used here; None where it can."""
    if need in PRECISIONS:
        return unavailable(need, find("ifan-fast"))
    return None if find_spec(need) or shutil.which(need) else f"{need} is not installed"


def stored_files() -> dict[Path, int]:
    """Every file of results/ and benchmarks/, and when it was changed."""
    paths = [path for folder in ("results", "benchmarks") for path in (ROOT / folder).rglob("*")]
    return {path: path.stat().st_mtime_ns for path in paths if path.is_file() and path.suffix != ".pyc"}


def read(path: Path, part: str) -> Any:
    """A JSON file or a part of it; of a CSV file the columns."""
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            return dict.fromkeys(next(csv.reader(file)), "")
    record = json.loads(path.read_text(encoding="utf-8"))
    return record[part] if part else record


def lacking(stored: Any, found: Any, place: str = "") -> list[str]:
    """What a stored record has and one made now has not.

    Of lists the first elements are compared. Of objects without a key in common, whose keys are names of photos or
    sets, the first values are.
    """
    if isinstance(stored, dict) and isinstance(found, dict):
        if stored.keys() & found.keys() and not CHOSEN.search(place):
            without = [f"{place}/{key}" for key in stored if key not in found]
            return without + [
                one for key in stored if key in found for one in lacking(stored[key], found[key], f"{place}/{key}")
            ]
        stored, found = list(stored.values()), list(found.values())
    if isinstance(stored, list) and isinstance(found, list):
        if not stored or not found:
            return [place] if stored else []
        return lacking(stored[0], found[0], f"{place}/-")
    kinds = {type(one) for one in (stored, found) if isinstance(one, dict | list)}
    return [place] if kinds and None not in (stored, found) else []
