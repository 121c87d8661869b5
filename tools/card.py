"""Put what was measured with shipped weights into their card.

    python tools/card.py ifan-fast [--results results] [--failures FILE]

Read are the files that `real_photos.py`, `large_photos.py`, `map_accuracy.py` and `allfocus eval --data syndp` wrote
for this model. A file made with other weights is refused; one that is not there leaves its scores out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from allfocus.evaluate.cost import cost_of_architecture
from allfocus.weights.card import Card
from allfocus.weights.store import find

PICTURE = ("psnr", "psnr_fit", "psnr_aligned", "ssim", "mae", "lpips")
Scores = dict[str, dict[str, float]]


def own_name(name: str, model: str) -> str:
    """The file of a measurement, QUESTION.MODEL.json."""
    return f"{name}.{model}.json"


def pictures(record: Mapping[str, Any]) -> dict[str, float]:
    """Means over the pictures of a set."""
    return {name: record["scores"][name] for name in PICTURE if record["scores"].get(name) is not None}


def of_sharp_photos(record: Mapping[str, Any]) -> Scores:
    """How much sharp photos are changed."""
    return {"sharp photos, output against input": {"psnr": record["mean"]}}


def of_large_photos(record: Mapping[str, Any]) -> Scores:
    """Coarse to fine on 24 megapixels."""
    least = min(row["scale_auto"]["in_focus_psnr_against_input"] for row in record["rows"])
    return {
        "24 megapixels, radii of 20 to 60 px": {
            "gain_coarse_to_fine_db": record["mean"]["gain_auto_db"],
            "gain_at_full_size_alone_db": record["mean"]["gain_1_db"],
            "in_focus_psnr_against_input_least": least,
        }
    }


def of_syndp(record: Mapping[str, Any]) -> Scores:
    """Means, and gain by true blur radius; from 0 to 0.5 px, a negative gain is harm in focus."""
    bins = {f"{one['from_px']:g}": one for one in record["by_radius"]}
    title = f"SynDP {record['edition']}, {record['images']} scenes"
    return {
        title: pictures(record),
        f"{title}: gain in dB by radius from, px": {low: one["gain"] for low, one in bins.items()},
        f"{title}: the same where the sharp picture is sharp": {
            low: one["gain_sharp"] for low, one in bins.items() if one["gain_sharp"] is not None
        },
    }


def of_map(record: Mapping[str, Any]) -> Scores:
    """The defocus map on SynDP."""
    return {
        f"defocus map on SynDP, {kind}": {
            name: row["all"][name] for name in ("median_error_px", "right_side_before_and_behind")
        }
        for kind, row in record["maps"].items()
        if kind in ("coarse to fine", "both views")
    }


def collect(model: str, sha256: str, results: Path) -> Scores:
    """All scores that there are files of."""
    sources: dict[Path, Callable[[Mapping[str, Any]], Scores]] = {
        results / own_name("sharp_photos", model): of_sharp_photos,
        results / own_name("large_photos", model): of_large_photos,
        results / "syndp-test" / f"{model}.json": of_syndp,
        results / own_name("map_accuracy", model): of_map,
    }
    scores: Scores = {}
    for label, name in (("real-val", f"{model}@command"), ("real-val input", "input")):
        path = results / "real-val" / f"{name}.json"
        if path.is_file():
            scores[label] = pictures(json.loads(path.read_text()))
    for path, read in sources.items():
        if path.is_file():
            record = json.loads(path.read_text())
            made_with = record.get("sha256") or record["fingerprint"]["weights_sha256"]
            if made_with != sha256:
                raise SystemExit(f"{path} was made with weights {made_with[:12]}, not {sha256[:12]}: measure again")
            scores |= read(record)
    return {label: {name: round(float(value), 6) for name, value in one.items()} for label, one in scores.items()}


def main() -> None:
    """Read, check, write the card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a model of the package, or a card")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--failures", type=Path, help="known failures, one a line, in place of the card's")
    arguments = parser.parse_args()
    found = find(arguments.model)
    counted = cost_of_architecture(found.card.architecture).macs
    card = replace(
        found.card,
        macs=counted or found.card.macs,
        scores=collect(found.card.name, found.card.sha256, arguments.results),
    )
    if arguments.failures is not None:
        card = replace(card, known_failures=tuple(arguments.failures.read_text(encoding="utf-8").splitlines()))
    path = found.weights.with_suffix(".json")
    assert Card.read(path).sha256 == card.sha256
    card.write(path)
    print(json.dumps(card.scores, indent=2))


if __name__ == "__main__":
    main()
