"""The cards of shipped models hold what tools/card.py finds in results/."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import card as tool
from allfocus.weights.store import SHIPPED


@pytest.mark.parametrize("model", sorted(path.stem for path in SHIPPED.glob("*.json")))
def test_scores_of_a_shipped_card_are_those_of_the_results(
    model: str, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in SHIPPED.glob(f"{model}.*"):
        shutil.copyfile(path, tmp_path / path.name)
    copy, shipped = tmp_path / f"{model}.json", json.loads((SHIPPED / f"{model}.json").read_text())
    copy.write_text(json.dumps({**shipped, "scores": {}}))
    monkeypatch.setattr("sys.argv", ["card.py", str(copy), "--results", str(repository / "results")])
    tool.main()
    assert json.loads(copy.read_text()) == shipped
    assert json.loads(capsys.readouterr().out) == shipped["scores"]


def test_results_of_other_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "sharp_photos.mine.json").write_text(json.dumps({"sha256": "a" * 64, "mean": 60.0}))
    assert tool.collect("mine", "a" * 64, tmp_path) == {"sharp photos, output against input": {"psnr": 60.0}}
    with pytest.raises(SystemExit, match="measure again"):
        tool.collect("mine", "b" * 64, tmp_path)
