"""The static site: its plan and measures against Python's, and its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from allfocus.defocus.measure import measure_blur
from allfocus.errors import InputError, OutputError
from allfocus.need import Need
from allfocus.photo.codecs import decode
from allfocus.photo.tiling import Box, plan
from allfocus.residual import Residual
from allfocus.scales import GRID_PX, needs_scale
from allfocus.web.site import RUNTIME_FILES, build, smallest_graph
from allfocus.weights import store
from blurred import blurred_texture
from web.conftest import blurred
from web.node import in_node, needs_node


@needs_node
def test_tiles_are_those_of_python() -> None:
    sizes = [(1, 1), (7, 13), (640, 640), (641, 640), (1600, 1067), (4000, 3000), (300, 9000), (5472, 3648)]
    settings = [(640, 80, 16), (1024, 80, 16), (512, 48, 8)]
    cases = [(width, height, *setting) for width, height in sizes for setting in settings]
    found = in_node(
        """return given.cases.map(([width, height, side, halo, multiple]) =>
            tiling.plan(width, height, {side, halo, overlap: 32, multiple}));""",
        cases=cases,
    )
    assert isinstance(found, list)
    for (width, height, side, halo, multiple), planned in zip(cases, found, strict=True):
        here = plan(width, height, side=side, halo=halo, overlap=32, multiple=multiple)
        assert (planned["width"], planned["height"]) == (here.width, here.height)
        there = [
            [*tile["columns"]["source"], *tile["rows"]["source"], *tile["columns"]["target"], *tile["rows"]["target"]]
            for tile in planned["tiles"]
        ]
        assert there == [
            [*tile.columns.source, *tile.rows.source, *tile.columns.target, *tile.rows.target] for tile in here.tiles
        ]


@needs_node
def test_blur_is_measured_as_in_python() -> None:
    pixels = blurred(200, 300)
    photo = {"width": 300, "height": 200, "bands": 3, "peak": 255, "pixels": pixels.ravel().tolist()}
    found = in_node(
        """const photo = given.photo;
        const read = (box, shrink) => pipeline.read(photo, box, shrink);
        const whole = pipeline.read(photo, {x: 0, y: 0, width: 300, height: 200}, 1);
        return {blur: measure.measureBlur(300, 200, read), share: [...measure.needsScale(whole, true)],
                quarter: [...pipeline.read(photo, {x: -2, y: 40, width: 8, height: 12}, 4).data]};""",
        photo=photo,
    )
    assert isinstance(found, dict)
    decoded = decode(pixels)
    blur = measure_blur(decoded)
    # the page measures at every pixel
    assert found["blur"]["typical"] == pytest.approx(blur.typical_px, rel=0.03)
    assert found["blur"]["large"] == pytest.approx(blur.large_px, rel=0.03)
    share = needs_scale(decoded.unit().read(Box(0, 0, 300, 200)), finest=True)[..., 0]
    assert np.abs(np.reshape(found["share"], share.shape) - share).max() < 2e-3
    quarter = decoded.unit(4).read(Box(-2, 40, 8, 12))
    assert np.abs(np.reshape(found["quarter"], quarter.shape) - quarter).max() < 1e-6


@needs_node
def test_what_is_left_for_full_size_is_told_as_in_python() -> None:
    rng = np.random.default_rng(3)
    pixels = np.where(np.arange(320)[None, :, None] < 160, rng.integers(0, 256, (192, 320, 3)), 0).astype(np.uint8)
    pixels[:, 160:] = blurred_texture(24, 320)[:192, 160:]
    photo = {"width": 320, "height": 192, "bands": 3, "peak": 255, "pixels": pixels.ravel().tolist()}
    found = in_node(
        "return [...pipeline.leftFor(given.photo, {x: 0, y: 0, width: 320, height: 192}, [4, 2, 1])];", photo=photo
    )
    assert isinstance(found, list)
    coarser, decoded = None, decode(pixels)
    for scale in (4, 2):
        reader = decoded.unit(scale)
        coarser = Need(reader, reader.width, reader.height, finest=False, coarser=coarser, rest=True)
    assert coarser is not None
    here = coarser.left_for(Box(0, 0, 320 // GRID_PX, 192 // GRID_PX))
    assert here is not None
    there = np.reshape(found, (192 // GRID_PX, GRID_PX, 320 // GRID_PX, GRID_PX)).mean(axis=(1, 3))
    difference = np.abs(there - here)
    assert difference.max() < 0.15  # the page measures at every pixel
    assert difference.mean() < 0.01
    assert here.min() < 0.2 < 0.8 < here.max()


@needs_node
def test_a_coarse_residual_is_enlarged_as_in_python() -> None:
    values = np.random.default_rng(2).uniform(-0.3, 0.3, (13, 17, 3)).astype(np.float32)
    here = Residual(17, 13)
    here.add(Box(0, 0, 17, 13), values.transpose(2, 0, 1))  # the page has channels last
    boxes = [(0, 0, 34, 26, 2), (-5, 7, 20, 12, 2), (6, -3, 40, 41, 4), (0, 0, 17, 13, 1)]
    found = in_node(
        """const one = new residual.Residual(17, 13);
        one.add({x: 0, y: 0, width: 17, height: 13}, given.values);
        return given.boxes.map(([x, y, width, height, factor]) => [...one.enlarged({x, y, width, height}, factor)]);""",
        values=values.ravel().tolist(),
        boxes=boxes,
    )
    assert isinstance(found, list)
    for (x, y, width, height, factor), there in zip(boxes, found, strict=True):
        wanted = here.enlarged(Box(x, y, width, height), factor).transpose(1, 2, 0)
        assert np.abs(np.reshape(there, wanted.shape) - wanted).max() < 1e-4


def test_the_smallest_graph_computes_the_same() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    model = store.find()
    small = smallest_graph(model)
    assert len(small) < 0.56 * model.weights.stat().st_size
    picture = np.ascontiguousarray((blurred(96, 128) / np.float32(255)).transpose(2, 0, 1)[None])
    found = [
        onnxruntime.InferenceSession(graph).run(["residual"], {"photo": picture})[0]
        for graph in (str(model.graph), small)
    ]
    assert 10 * np.log10(1 / ((found[0] - found[1]) ** 2).mean()) > 55


def test_what_a_site_needs_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"without ort\.wasm\.min\.mjs"):
        build(tmp_path / "site", runtime=tmp_path)
    assert not (tmp_path / "site").exists()
    with pytest.raises(OutputError, match="already exists"):
        build(tmp_path, runtime=tmp_path)


def test_a_site_holds_what_it_needs(tmp_path: Path) -> None:
    runtime = tmp_path / "dist"
    runtime.mkdir()
    for name in RUNTIME_FILES:
        (runtime / name).write_bytes(b"a stand-in")
    size = build(tmp_path / "site", runtime=runtime)
    files = {str(file.relative_to(tmp_path / "site")) for file in (tmp_path / "site").rglob("*") if file.is_file()}
    assert {"index.html", "offline.js", "model/network.onnx", "model/card.json", "ort/ort.wasm.min.mjs"} <= files
    assert "js/service.js" not in files
    assert "browser.js" in (tmp_path / "site/js/engine.js").read_text()
    assert "VERSION" not in (tmp_path / "site/offline.js").read_text()
    assert 5e6 < size < 15e6
    for file in files:
        if file.endswith((".js", ".html", ".css")):
            text = (tmp_path / "site" / file).read_text().replace("http://www.w3.org/", "")
            assert "://" not in text, file  # nothing comes from elsewhere
