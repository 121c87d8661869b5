from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from allfocus.cli import bench, bench_photos
from allfocus.cli.main import main
from allfocus.engine.base import EngineInfo, Estimate
from allfocus.errors import EngineError
from allfocus.nets import registry
from allfocus.weights import store


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small network in the registry, no installed weights, and a cache of its own."""
    monkeypatch.setattr(store, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setenv("ALLFOCUS_MODELS", str(tmp_path / "own"))
    monkeypatch.setenv("ALLFOCUS_CACHE", str(tmp_path / "cache"))
    entry = registry.NamedNetwork(registry.Architecture(iterations=2, unshuffle=2, width=4), "small")
    monkeypatch.setitem(registry.ENTRIES, "small", entry)


def test_it_times_every_engine_against_torch(
    small: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)  # of the whole test run
    output = tmp_path / "new" / "speed.json"
    shared = tmp_path / "shared" / "mine.json"
    arguments = ["--models", "small", "--width", "64", "--height", "32", "--repeats", "3", "-o", str(output)]
    arguments += ["--share", str(shared)]
    with pytest.raises(SystemExit) as ended:
        main(["bench", *arguments])
    assert ended.value.code == 0
    report = json.loads(output.read_text())
    assert report["conditions"]["width"] == 64
    assert report["conditions"]["torch"] == torch.__version__
    (network,) = report["networks"]
    assert (network["name"], network["weights"]) == ("small", "random")
    rows = {(row["engine"], row["precision"]): row for row in network["engines"]}
    assert rows["torch", "float32"]["speed_up_over_torch"] == 1
    assert rows["openvino", "float32"]["difference"]["largest"] < 1e-4
    for row in rows.values():
        assert len(row["rounds"]) == 3
        assert min(row["rounds"]) <= row["median_seconds"] <= max(row["rounds"])
    assert "openvino     float32" in capsys.readouterr().out
    told = shared.read_text()
    assert json.loads(told)["networks"][0]["engines"][0]["speed_up_over_torch_ifan"] is None  # ifan was not timed
    assert platform.node() not in told
    assert not {"system", "when", "python"} & json.loads(told)["conditions"].keys()
    assert [path.name for path in output.parent.iterdir()] == ["speed.json"]


@pytest.mark.parametrize(("size", "told"), [("65", "multiples of 16"), ("8", "greater than or equal to 16")])
def test_a_size_that_no_network_takes_is_refused(size: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", "--width", size])
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("megapixels", ["big", "0", "1,-2", "1e6"])
def test_sizes_that_are_none_are_refused(megapixels: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", "--megapixels", megapixels])
    assert ended.value.code == 2
    assert "--megapixels" in capsys.readouterr().err


def test_precisions_that_are_none_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", "--megapixels", "1", "--photo-precisions", "int8,float16"])
    assert ended.value.code == 2
    assert "--photo-precisions int8,float16; expected some of float32, bfloat16, int8" in capsys.readouterr().err


@pytest.mark.slow
def test_whole_photos_are_timed_with_a_cold_and_a_warm_cache() -> None:
    rows = bench_photos.time_photos([store.find()], [0.02], 2, ["float32", "int8"])
    assert {"float32"} <= {row["precision"] for row in rows if row["engine"] == "openvino"}
    for row in rows:
        assert len(row["warm_seconds"]) == 2
        assert row["peak_mb"] is None or row["peak_mb"] > 50
        assert row["psnr_db"] is None or row["psnr_db"] > 45
    assert rows[0]["psnr_db"] is None


def test_psnr_of_photos_is_none_for_equal_ones() -> None:
    photo = np.full((300, 4, 3), 100, np.uint8)
    assert bench_photos._psnr_db(photo, photo) is None
    assert bench_photos._psnr_db(photo, photo + np.uint8(1)) == round(20 * np.log10(255), 2)


class Wrong:
    """An engine that is a little off."""

    redone = 0

    def __init__(self, precision: str) -> None:
        self.info = EngineInfo("openvino", "CPU", precision, "small")

    def run(self, batch: np.ndarray, pair: np.ndarray | None = None) -> Estimate:
        return Estimate(np.zeros_like(batch), None)


@pytest.mark.parametrize(("precision", "error"), [("float32", 2e-4), ("bfloat16", 5e-3)])
def test_the_speed_of_a_wrong_result_is_not_reported(precision: str, error: float) -> None:
    wanted = np.zeros((1, 3, 8, 8), np.float32)
    bench._agreement("one", Wrong(precision), wanted, wanted)
    with pytest.raises(EngineError, match="away from plain float32"):
        bench._agreement("one", Wrong(precision), wanted + np.float32(error), wanted)


def test_everything_is_compared_with_plain_ifan_where_that_was_timed() -> None:
    def network(name: str, *seconds: float) -> dict[str, Any]:
        rows = zip(("torch", "openvino"), ("float32", "int8"), seconds, strict=True)
        return {
            "name": name,
            "engines": [{"engine": e, "precision": p, "median_seconds": s} for e, p, s in rows],
        }

    networks = [network("ifan", 8.0, 2.0), network("ifan-fast", 1.0, 0.25)]
    bench._compare_with_ifan(networks)
    assert [row["speed_up_over_torch_ifan"] for one in networks for row in one["engines"]] == [1.0, 4.0, 8.0, 32.0]
