"""The walk of docs/capture.md from a simulated session to a model that is better on its held-out scenes.

    python benchmarks/capture_walk.py -o results/capture_walk.json [--work DIR]

The commands are read from the page. With --work a walk that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from allfocus.evaluate.measure import machine

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "capture.md"
TITLE = "## A walk-through with a simulated session"


def commands(instead: dict[str, int | None]) -> list[list[str]]:
    """The walk's command lines, as docs/capture.md has them: all of its first block after the title.

    `instead` gives options of these lines another value, where it is not None.
    """
    text = DOCUMENT.read_text(encoding="utf-8").partition(TITLE)[2]
    block = text.partition("```bash\n")[2].partition("```")[0].replace("\\\n", " ")
    for option, value in instead.items():
        if value is not None:
            block, replaced = re.subn(rf"({option}) \d+", rf"\1 {value}", block)
            assert replaced, f"no line of {DOCUMENT.name} has {option}"
    return [shlex.split(line)[1:] for line in block.splitlines()]


def main() -> None:
    """Run the walk and store what it gained."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--work", type=Path, help="folder to keep; a temporary one otherwise")
    parser.add_argument("--good", type=int, help="good pairs of the session, instead of the page's")
    parser.add_argument("--steps", type=int, help="of the training, instead of the page's")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        work = (arguments.work or Path(scratch)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        found = walk(work, commands({"--good": arguments.good, "--steps": arguments.steps}))
    arguments.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found["gain"], indent=1))


def walk(work: Path, lines: list[list[str]]) -> dict[str, Any]:
    """Run every command that has not been run in this folder; the comparison as the card holds it, and the times."""
    done_path = work / "done.json"
    done: dict[str, float] = json.loads(done_path.read_text()) if done_path.is_file() else {}
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
    training = (work / "runs" / "mine" / "losses.csv").read_text().splitlines()
    manifest = json.loads((work / "pairs" / "manifest.json").read_text())
    return {
        "question": "does fine-tuning on a captured session help on scenes of it that were held out",
        "gain": card["scores"],
        "scenes": manifest["scenes"],
        "pairs_rejected": sum(pair["verdict"] == "reject" for pair in manifest["pairs"]),
        "steps": int(training[-1].split(",")[0]),
        "seconds": done,
        "machine": machine(),
    }


if __name__ == "__main__":
    main()
