"""The walk of docs/capture.md from a simulated session to a model that is better on its held-out scenes.

    python benchmarks/capture_walk.py -o results/capture_walk.json [--work DIR] [--steps 60]

Each step is the documented command. With --work a walk that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from allfocus.evaluate.measure import machine


def commands(good: int, steps: int) -> list[list[str]]:
    """The walk's command lines, relative to its folder."""
    return [
        ["capture", "demo", "-o", "session", "--good", str(good), "--seed", "11"],
        ["capture", "make", "session/wide", "session/narrow", "-o", "pairs", "--val", "0", "--test", "0.25"],
        ["train", "--recipe", "finetune", "--data", "dpdd:pairs", "-o", "runs/mine", "--steps", str(steps),
         "--set", "patch_px=96", "--set", "batch=2", "--set", "learning_rate=0.0003", "--set", "ema=0.9",
         "--set", "warmup=5", "--set", "save_every=20", "--set", "log_every=5",
         "--set", "threads=1"],
        ["release", "runs/mine", "--name", "mine", "--photos", "pairs/train_c/source", "-o", "models"],
        ["eval", "input", "ifan-fast", "models/mine.json", "--data", "dpdd", "--root", "pairs", "--split", "test",
         "-o", "results"],
        ["capture", "compare", "results/dpdd-test", "--before", "ifan-fast", "--after", "mine",
         "--card", "models/mine.json"],
    ]  # fmt: skip


def main() -> None:
    """Run the walk and store what it gained."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--work", type=Path, help="folder to keep; a temporary one otherwise")
    parser.add_argument("--good", type=int, default=16)
    parser.add_argument("--steps", type=int, default=60)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        work = (arguments.work or Path(scratch)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        found = walk(work, arguments.good, arguments.steps)
    arguments.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found["gain"], indent=1))


def walk(work: Path, good: int, steps: int) -> dict[str, Any]:
    """Run every command that has not been run in this folder; the comparison as the card holds it, and the times."""
    done_path = work / "done.json"
    done: dict[str, float] = json.loads(done_path.read_text()) if done_path.is_file() else {}
    lines = commands(good, steps)
    for words in lines:
        line = " ".join(["allfocus", *words])
        if line in done:
            continue
        print(line, flush=True)
        started = time.monotonic()
        subprocess.run([sys.executable, "-m", "allfocus", *words], cwd=work, check=True)
        done[line] = round(time.monotonic() - started, 1)
        done_path.write_text(json.dumps(done, indent=1))
    card = json.loads((work / "models" / "mine.json").read_text())
    manifest = json.loads((work / "pairs" / "manifest.json").read_text())
    return {
        "question": "does fine-tuning on a captured session help on scenes of it that were held out",
        "gain": card["scores"],
        "scenes": manifest["scenes"],
        "pairs_rejected": sum(pair["verdict"] == "reject" for pair in manifest["pairs"]),
        "steps": steps,
        "seconds": done,
        "machine": machine(),
    }


if __name__ == "__main__":
    main()
