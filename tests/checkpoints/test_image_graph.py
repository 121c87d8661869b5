"""A picture in, a picture out: what other programs load."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest

from allfocus.checkpoints.proof import run_graph
from allfocus.cli.main import main
from allfocus.engine.choose import choose
from allfocus.errors import OptionError
from allfocus.weights import store


@pytest.mark.slow
def test_any_size_goes_through_as_the_engine_restores_it(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    target = tmp_path / "deblur.onnx"
    with contextlib.suppress(SystemExit):
        main(["export", "ifan-fast", "-o", str(target), "--image"])
    assert [file.name for file in tmp_path.iterdir()] == ["deblur.onnx"]
    session = onnxruntime.InferenceSession(str(target))
    engine = choose(store.find("ifan-fast"), "onnxruntime", "float32")
    for height, width in ((1, 1), (7, 13), (48, 64), (65, 49)):
        picture = np.random.default_rng(height).random((1, 3, height, width), np.float32)
        padded = np.pad(picture, ((0, 0), (0, 0), (0, -height % 16), (0, -width % 16)), mode="edge")
        wanted = np.clip(picture + engine.run(padded).residual[..., :height, :width], 0, 1)
        (found,) = session.run(None, {"input": picture})
        assert found.shape == picture.shape
        assert np.abs(found - wanted).max() < 1e-4
    assert run_graph(target, [picture])["output"].shape == picture.shape


def test_it_is_onnx_of_any_size(tmp_path: Path) -> None:
    from allfocus.cli.export import export_command

    with pytest.raises(OptionError, match="--image with another format"):
        export_command("ifan-fast", tmp_path / "a.xml", format="openvino", image=True)
