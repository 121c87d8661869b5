"""SynDP: a benchmark of simulated dual-pixel defocus, made on demand from photos that come with scikit-image.

160 scenes of 512 x 512 px from photos that come with scikit-image and from drawn charts: six strata by blur radius,
and eight probe sets that each leave the model of training in one way. Every scene has a fixed seed and is compared
with stored values when it is made. Photos are sharp everywhere, for what makes an unsharp place of them sharper would
count as an error: they are used at half their size, and scikit-image's astronaut and cat, whose backgrounds were out of
focus, are not used (version 1 did neither).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from allfocus.atomic_file import write_json, write_text
from allfocus.data.dpdd import load_layout
from allfocus.data.pairs import GROUPS_FILE, PairSet
from allfocus.errors import DataError, MissingExtraError, OutputError

if TYPE_CHECKING:
    from allfocus.simulate.simulator import Quadruples, Shot, Simulator

VERSION = 2
SPLIT = "test"
STAMP = "syndp.json"
SIDE_PX, MARGIN_PX = 512, 32
SEED = 20210
PHOTO_SCALE = 0.5
STRATA: dict[str, tuple[float, float]] = {
    "S0": (0.0, 0.45),
    "S1": (1.0, 3.0),
    "S2": (3.0, 6.0),
    "S3": (6.0, 10.0),
    "S4": (10.0, 16.0),
    "S5": (16.0, 24.0),
}
"""Range of the 90th percentile of the blur radius in px; of the largest radius in S0."""
KINDS = ("objects", "objects", "ramp", "plane", "photo", "objects", "ramp", "plane")
"""What the scenes of a stratum are, in turn: cut-outs, a receding photo, one plane, a photo with measured depth."""
PROBES = ("front", "thin", "highlights", "lens", "gaussian", "srgb", "iso", "jpeg")
PER_STRATUM, PER_PROBE = 16, 8
PROBE_RADIUS_PX = (4.0, 10.0)

_SHOT, _HIGH_SHOT = 3e-4, 6e-3
_JPEG_QUALITY = 80
_LEAST_SHARE = 0.6
_NEXT_ATTEMPT = 100_003
_SIGNATURE_CELLS = 4
_SIGNATURE_TOLERANCE = 2e-3
_DEPTH_PHOTO, _DEPTH_FILE = "motorcycle_left.png", "motorcycle_disp.npz"
_PHOTOS = {
    "brick.png": "7966caf324f6ba84",
    "camera.png": "b0793d2adda0fa6a",
    "coffee.png": "cc02f8ca188b167c",
    "coins.png": "f8d773fc9cfa6f4d",
    "grass.png": "b6b6022426b38936",
    "gravel.png": "c48615b451bf1e60",
    "hubble_deep_field.jpg": "3a19c5dd8a927a93",
    "ihc.png": "f8dd1aa387ddd1f4",
    "motorcycle_left.png": "db18e9c415761740",
    "rocket.jpg": "c2dd0de7c538df8d",
    "motorcycle_disp.npz": "2e49c8cebff3fa20",
}
"""Files of scikit-image with the first digits of their SHA-256."""


@dataclass(frozen=True)
class SynDPScene:
    """One scene of the benchmark.

    Attributes:
        name: "S3-07" or "probe-thin-2".
        kind: of `KINDS`.
        seed: of the simulator.
        radius_px: range from which its blur is drawn, see `STRATA`.
        noisy: whether the sensor adds noise (shot 3e-4).
        probe: of `PROBES`, or "".
    """

    name: str
    kind: str
    seed: int
    radius_px: tuple[float, float]
    noisy: bool
    probe: str = ""

    @property
    def groups(self) -> tuple[str, ...]:
        """The subsets it belongs to: its stratum, kind and noise, or its probe set."""
        if self.probe:
            return (f"probe-{self.probe}",)
        return ("strata", self.name[:2], self.kind, "noisy" if self.noisy else "clean")


def items() -> tuple[SynDPScene, ...]:
    """All scenes in order."""
    strata = [
        SynDPScene(f"{stratum}-{index:02d}", KINDS[index % 8], SEED + number * PER_STRATUM + index, radius, index >= 8)
        for number, (stratum, radius) in enumerate(STRATA.items())
        for index in range(PER_STRATUM)
    ]
    first = SEED + len(strata)
    probes = [
        SynDPScene(f"probe-{probe}-{i}", "objects", first + number * PER_PROBE + i, PROBE_RADIUS_PX, False, probe)
        for number, probe in enumerate(PROBES)
        for i in range(PER_PROBE)
    ]
    return (*strata, *probes)


def load(root: Path, split: str = SPLIT, bits: int | None = None) -> PairSet:
    """SynDP below `root`, made there if the folder is new (1 GB, some minutes, once); stopped making continues.

    Any other set that `allfocus simulate --split test` wrote is read in the same way.

    Args:
        root: where it is, or is to be made.
        split: "test" for the benchmark; another one reads that split of a simulated set.
        bits: 8 to round the 16-bit files to 8 bits.
    Raises:
        MissingExtraError: torch or scikit-image is not installed. DataError: photos of another scikit-image, scenes
            that came out differently from the stored values, another version's scenes, a set that lacks maps.
            OutputError: no room.
    """
    root = Path(root)
    benchmark = split == SPLIT and ((root / STAMP).is_file() or not (root / f"{SPLIT}_c").exists())
    if benchmark:
        make(root)
    found = load_layout(root, "syndp", "SynDP", split, bits)
    found = dataclasses.replace(found, edition=str(VERSION) if benchmark else "")
    maps = {pair.name: found.root / f"{split}_coc" / f"{pair.source.stem}.npz" for pair in found}
    lacking = [path.name for path in maps.values() if not path.is_file()]
    if lacking:
        raise DataError(
            f"{found.root / f'{split}_coc'} lacks {lacking[0]} ({len(lacking)} of {len(found)})",
            "a map of the circle of confusion for each photo",
            "make the set again with `allfocus simulate`",
        )
    return dataclasses.replace(found, pairs=tuple(dataclasses.replace(pair, coc=maps[pair.name]) for pair in found))


def make(root: Path, progress: Callable[[int, int], None] | None = None) -> None:
    """Render what is missing of the benchmark; errors as `load`.

    `progress` is called with (finished, all) after each scene; by default a line goes to standard error now and then.
    """
    from allfocus.simulate.dataset import finished, make_folders, write_sample

    _check_version(root)
    wanted = items()
    missing = [item for item in wanted if not finished(root, SPLIT, item.name).is_file()]
    if not missing:
        return
    make_folders(root, SPLIT)
    _write_notes(root, wanted)
    for number, item in enumerate(missing, start=len(wanted) - len(missing) + 1):
        sample = render(item)
        check(item, sample)
        write_sample(sample, root, SPLIT, item.name)
        (progress or _tell)(number, len(wanted))


def _tell(done: int, total: int) -> None:
    if done % PER_STRATUM == 0 or done == total:
        print(f"SynDP: {done} of {total} scenes made", file=sys.stderr, flush=True)


def render(item: SynDPScene) -> Quadruples:
    """Render one scene: a batch of one, 512 x 512 px; errors as `load`, without the comparison."""
    simulator = _simulator("measured" if item.kind == "photo" else item.kind, item.probe)
    return simulator.develop([_shot(item, simulator)])


def check(item: SynDPScene, sample: Quadruples) -> None:
    """Compare a scene with the stored values: what was drawn exactly, mean brightness of its parts closely.

    Raises:
        DataError: it differs.
    """
    pinned = pins().get(item.name)
    found = signature(sample)
    if pinned is None or found["recipe"] != pinned["recipe"]:
        raise DataError(
            f"SynDP scene {item.name} differs from version {VERSION}",
            "identical scenes on every machine",
            "the allfocus release of the scores to compare with",
        )
    difference = float(np.abs(np.subtract(found["means"], pinned["means"])).max())
    if difference > _SIGNATURE_TOLERANCE:
        raise DataError(
            f"SynDP scene {item.name} is off by {difference:.4f} in mean brightness",
            f"at most {_SIGNATURE_TOLERANCE}",
            "report it with the versions of torch and pyvips",
        )


def signature(sample: Quadruples) -> dict[str, Any]:
    """What is pinned of a scene: a digest of everything drawn, and brightness means of 4 x 4 parts of C and sharp."""
    recipe = json.dumps(_rounded(sample.parameters[0]), sort_keys=True)
    means = []
    for picture in (sample.centre, sample.sharp):
        side = picture.shape[-1] // _SIGNATURE_CELLS
        parts = picture[0].mean(dim=0).reshape(_SIGNATURE_CELLS, side, _SIGNATURE_CELLS, side).mean(dim=(1, 3))
        means += [round(float(value), 5) for value in parts.flatten()]
    return {"recipe": hashlib.sha256(recipe.encode()).hexdigest()[:16], "means": means}


@lru_cache(maxsize=1)
def pins() -> dict[str, dict[str, Any]]:
    """The stored values by scene name."""
    return json.loads(files("allfocus.data").joinpath("syndp_pins.json").read_text(encoding="utf-8"))


def _check_version(root: Path) -> None:
    """DataError if the folder holds the scenes of another version."""
    stamp = root / STAMP
    try:
        found = json.loads(stamp.read_text(encoding="utf-8"))["version"] if stamp.is_file() else VERSION
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{stamp} cannot be read ({error})", "the record of a whole set", "another --root") from error
    if found != VERSION:
        raise DataError(f"{root} holds version {found} of SynDP", f"version {VERSION}", "--root with a new folder")


def _write_notes(root: Path, wanted: tuple[SynDPScene, ...]) -> None:
    """The groups, and the stamp that marks a folder as this benchmark's."""
    lines = ["name,group", *(f"{item.name},{group}" for item in wanted for group in item.groups)]
    try:
        write_text(root / GROUPS_FILE, "\n".join(lines) + "\n")
        write_json(root / STAMP, {"name": "SynDP", "version": VERSION})
    except OSError as error:
        raise OutputError(f"{root} cannot be written ({error.strerror})", "free space", "--root DIR") from error


@lru_cache(maxsize=4)
def _simulator(kind: str, probe: str) -> Simulator:
    from allfocus.simulate.depth import DepthMaps
    from allfocus.simulate.lens import LensConfig
    from allfocus.simulate.photos import PhotoPool
    from allfocus.simulate.scene import SceneConfig
    from allfocus.simulate.simulator import Simulator, SimulatorConfig

    # Every distribution that matters is written out: the benchmark must not follow the simulator's defaults.
    scene = SceneConfig(
        composite=1.0 if kind in ("objects", "ramp") else 0.0,
        single=1.0 if kind == "measured" else 0.0,
        plane=1.0 if kind == "plane" else 0.0,
        identity=0.0,
        objects=(0.0, 0.4, 0.4, 0.2) if kind == "objects" else (1.0, 0.0, 0.0, 0.0),
        radius_median_px=10.0,
        radius_spread=0.0,
        radius_px=(10.0, 10.0),
        tail_chance=0.0,
        focus_nearest=0.40,
        focus_other=0.30,
        focus_beyond=0.20,
        ramp_chance=1.0 if kind == "ramp" else 0.6,
        ramp=(0.3, 0.9) if kind == "ramp" else (0.1, 0.8),
        slant_chance=0.3,
        segment_chance=0.0 if probe == "thin" else 0.4,
        outlines=(0.0, 1.0, 0.0, 0.0) if probe == "thin" else (0.4, 0.2, 0.15, 0.25),
        rescale=(PHOTO_SCALE, PHOTO_SCALE),
        detail_chance=0.0,
        print_chance=0.0,
        grey_chance=0.0,
        permute_chance=0.0,
        highlight_gain=4.0,
    )
    config = SimulatorConfig(
        crop_px=SIDE_PX,
        margin_px=MARGIN_PX,
        resolution_scale=(1.0, 1.0),
        reductions=(1.0, 0.0, 0.0),
        levels=6,
        object_levels=3,
        linear_light=probe != "srgb",
        scene=scene,
        lens=LensConfig(field_curvature_px=1.0),
    )
    folder = _photos()
    if kind == "measured":
        with np.load(folder / _DEPTH_FILE) as stored:
            maps = DepthMaps({_DEPTH_PHOTO: stored["arr_0"]}, "disparity")
        return Simulator(config, PhotoPool([folder / _DEPTH_PHOTO], depth=maps))
    photos = [folder / name for name in _PHOTOS if name != _DEPTH_FILE]
    return Simulator(config, PhotoPool([*photos, *_charts()]))  # type: ignore[list-item]


def _photos() -> Path:
    """The folder of scikit-image's photos, checked."""
    if find_spec("torch") is None:
        raise MissingExtraError("making SynDP", "eval", "torch")
    found = find_spec("skimage")
    if found is None or found.origin is None:
        raise MissingExtraError("making SynDP", "eval", "scikit-image")
    folder = Path(found.origin).parent / "data"
    for name, digest in _PHOTOS.items():
        path = folder / name
        if not path.is_file() or not hashlib.sha256(path.read_bytes()).hexdigest().startswith(digest):
            state = "differs" if path.is_file() else "is missing"
            raise DataError(f"scikit-image's {name} {state}", "the photo that SynDP is made from", "scikit-image 0.26")
    return folder


def _charts() -> list[np.ndarray]:
    from allfocus.simulate.drawings import edge_chart, grating_chart, text_chart

    drawers = (text_chart, text_chart, edge_chart, grating_chart)
    charts = [draw(np.random.default_rng([SEED, number]), 640) for number, draw in enumerate(drawers)]
    enlarged = round(1 / PHOTO_SCALE)
    return [chart.repeat(enlarged, axis=0).repeat(enlarged, axis=1) for chart in charts]


def _shot(item: SynDPScene, simulator: Simulator) -> Shot:
    """Plan a scene, bring its blur to the wanted size, and put the benchmark's lens and sensor before it."""
    import torch

    from allfocus.simulate.surface import visible_coc

    inside = slice(MARGIN_PX, MARGIN_PX + SIDE_PX)
    rng = np.random.default_rng([SEED, item.seed])
    target_px = float(rng.uniform(*item.radius_px))
    while True:
        shot = simulator.plan(item.seed)
        surfaces = shot.surfaces
        if item.probe == "front":
            farthest = max(float(one.coc_px[inside, inside].max()) for one in surfaces)
            surfaces = tuple(dataclasses.replace(one, coc_px=one.coc_px - farthest) for one in surfaces)
        radius = visible_coc(surfaces)[inside, inside].abs().flatten()
        largest = float(radius.max())
        wanted = largest if item.name.startswith("S0") else float(torch.quantile(radius[::7], 0.9))
        if wanted >= _LEAST_SHARE * largest > 0.0:
            break
        item = dataclasses.replace(item, seed=item.seed + _NEXT_ATTEMPT)
    limit = MARGIN_PX - 2.0
    surfaces = tuple(
        dataclasses.replace(one, coc_px=(one.coc_px * (target_px / wanted)).clamp(-limit, limit)) for one in surfaces
    )
    if item.probe == "highlights":
        surfaces = (_lit(rng, surfaces[0]), *surfaces[1:])
    lens, sensor = _lens(rng, item), _sensor(item)
    parameters = {
        "syndp": VERSION,
        "seed": item.seed,
        "radius_px": target_px,
        "scene": shot.parameters["scene"],
        "lens": lens.parameters(),
        "sensor": sensor.parameters(),
    }
    return dataclasses.replace(shot, surfaces=surfaces, lens=lens, sensor=sensor, parameters=parameters)


def _lens(rng: np.random.Generator, item: SynDPScene) -> Any:
    from allfocus.simulate.lens import Lens

    if item.probe == "lens":
        blades, rotation = int(rng.integers(5, 8)), float(rng.uniform(0.0, 6.28))
        across, down = (float(value) for value in rng.choice([-0.75, 0.75], 2) * np.array([1.0, 0.6]))
        return Lens(
            edge_px=0.35, blades=blades, blades_curvature=0.4, blades_rotation=rotation, field_x=across, field_y=down,
            cats_eye_shift=0.6, ring=0.3,
        )  # fmt: skip
    return Lens(edge_px=0.35, profile="gaussian" if item.probe == "gaussian" else "disc")


def _sensor(item: SynDPScene) -> Any:
    from allfocus.simulate.sensor import Sensor, read_variance

    shot = _HIGH_SHOT if item.probe == "iso" else _SHOT if item.noisy else 0.0
    read = read_variance(float(np.log(shot))) if shot else 0.0
    if item.probe == "jpeg":
        return Sensor(bits=8, jpeg_quality=_JPEG_QUALITY)
    return Sensor(shot=shot, read_variance=read, bits=16)


def _lit(rng: np.random.Generator, surface: Any) -> Any:
    """Put 60 small lamps, 20 to 200 times as bright as white, before a surface."""
    import torch

    size = surface.rgb_linear.shape[-1]
    axis = torch.arange(size, dtype=torch.float32)
    light = surface.rgb_linear * 0.4
    for _ in range(60):
        row, column = (float(value) for value in rng.uniform(0, size, 2))
        tint = torch.from_numpy(rng.uniform(0.5, 1.0, 3).astype(np.float32))[:, None, None]
        power, radius_px = float(np.exp(rng.uniform(np.log(20.0), np.log(200.0)))), float(rng.uniform(0.6, 1.6))
        spot = torch.exp(-((axis - row)[:, None] ** 2 + (axis - column)[None] ** 2) / (2.0 * radius_px**2))
        light = light + power * tint * spot
    return dataclasses.replace(surface, rgb_linear=light)


def _rounded(value: Any) -> Any:
    """Numbers to six digits, so that a digest does not hang on the last bit of a logarithm."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    return [_rounded(part) for part in value] if isinstance(value, list | tuple) else value
