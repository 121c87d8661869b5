"""Photos for benchmarks at their smallest: examples of this repository, drawn charts, and what the simulator makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import pyvips

WIDTH, HEIGHT = 320, 288
SHARP_PX = 512
EXAMPLES = ("astronaut", "coffee")
SCENES = ("S1-00", "S2-00", "S3-00")


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """A folder that has what benchmarks ask for.

    real-val/ and lytro-val/ (two pairs each), photos/ (one photo), sharp/ (two charts, named in sharp.txt), scenes/
    (one scene with its sharp picture and what is in focus), syndp/ (three simulated scenes, named as those of SynDP),
    samples/ (two samples for training), lpips/ (random weights).
    """
    pytest.importorskip("torch")
    from allfocus.data.cache import CacheSpec, render_cache
    from allfocus.data.pairs import GROUPS_FILE
    from allfocus.simulate import PhotoPool, Simulator, SimulatorConfig
    from allfocus.simulate.dataset import make_folders, write_sample
    from allfocus.simulate.drawings import natural_noise, text_chart
    from lpips_files import write_lpips_files

    folder, examples = tmp_path_factory.mktemp("photos"), repository / "examples"
    for name in ("real-val/source", "real-val/target", "lytro-val/source", "lytro-val/target", "photos", "sharp",
                 "scenes", "lpips"):  # fmt: skip
        (folder / name).mkdir(parents=True)
    for left, pairs in ((60, "real-val"), (140, "lytro-val")):
        for name in EXAMPLES:
            for side, path in (("source", f"photos/{name}-simulated.jpg"), ("target", f"truth/{name}.png")):
                cut = pyvips.Image.new_from_file(str(examples / path)).crop(left, 60, WIDTH, HEIGHT)
                cut.write_to_file(str(folder / pairs / side / f"{name}.png"))
    rocket = pyvips.Image.new_from_file(str(examples / "photos" / "rocket-simulated.jpg"))
    rocket.crop(0, 0, WIDTH, HEIGHT).write_to_file(str(folder / "photos" / "rocket.jpg"))
    noise = (natural_noise(np.random.default_rng(1), SHARP_PX) * 255).astype(np.uint8)
    sharp = {"text": text_chart(np.random.default_rng(0), SHARP_PX), "noise": noise}
    for name, pixels in sharp.items():
        image = pyvips.Image.new_from_array(np.ascontiguousarray(pixels), interpretation="srgb")
        image.write_to_file(str(folder / "sharp" / f"{name}.avif"), Q=95)
    (folder / "sharp.txt").write_text("".join(f"{name}.avif\n" for name in sharp))
    photo, truth = (
        pyvips.Image.new_from_file(str(examples / path)) for path in ("photos/coffee-simulated.jpg", "truth/coffee.png")
    )
    focus = np.zeros((photo.height, photo.width), np.uint8)
    focus[:, : photo.width // 3] = 255
    for kind, image in (("photo", photo), ("sharp", truth), ("focus", pyvips.Image.new_from_array(focus))):
        image.write_to_file(str(folder / "scenes" / f"table.{kind}.png"))
    simulator = Simulator(SimulatorConfig(crop_px=192), PhotoPool(folder / "sharp"))
    make_folders(folder / "syndp", "test")
    for seed, name in enumerate(SCENES):
        write_sample(simulator.sample([seed]), folder / "syndp", "test", name)
    lines = [f"{name},{group}" for name in SCENES for group in ("strata", name[:2])]
    (folder / "syndp" / GROUPS_FILE).write_text("\n".join(["name,group", *lines]) + "\n")
    settings = SimulatorConfig(crop_px=64).to_dict()
    render_cache(CacheSpec(2, 64, 0, str(folder / "sharp"), [], settings), folder / "samples", workers=1)
    write_lpips_files(folder / "lpips")
    return folder
