"""Runs that are ended from outside at any moment leave whole files, and the next run goes on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import pyvips

from allfocus import ledger
from allfocus.photo.codecs import decode
from map_files import read_tiff

KILLS = 30
PHOTOS = 4
LONGEST_SECONDS = 6.0


def command(folder: Path, output: Path, *options: str) -> list[str]:
    line = [sys.executable, "-m", "allfocus", "deblur", str(folder), "-o", str(output), "--map", "--compare"]
    return [*line, "--precision", "float32", *options]


JOURNAL = "allfocus-journal.sqlite"


def everything(folder: Path) -> dict[str, bytes]:
    """What a user has in a folder: not the list of results, nor the journal."""
    kept = [path for path in folder.iterdir() if path.name != ledger.NAME and not path.name.startswith(JOURNAL)]
    return {path.name: path.read_bytes() for path in kept if path.is_file()}


def check_whole(folder: Path) -> None:
    """Every file that has a result's name can be read to its end."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name.startswith((".allfocus-", JOURNAL)):
            continue
        if path.name.endswith(".map.tiff"):
            assert read_tiff(path).size
        else:
            decode(path)


@pytest.mark.usefixtures("heeds_ctrl_c")
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_thirty_random_kills_lose_nothing(tmp_path: Path) -> None:
    photos, output, undisturbed = tmp_path / "in", tmp_path / "out", tmp_path / "undisturbed"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for index in range(PHOTOS):
        blocks = np.kron(rng.integers(0, 255, (60, 80, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        ending = (".jpg", ".png", ".tif", ".webp")[index]
        pyvips.Image.new_from_array(blocks).write_to_file(str(photos / f"photo-{index}{ending}"))
    originals = everything(photos)
    subprocess.run(command(photos, undisturbed), check=True, capture_output=True)
    chance = random.Random(14)
    ended = []
    for number in range(KILLS):
        sent = chance.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
        process = subprocess.Popen(
            command(photos, output, *(["--overwrite"] if number % 2 else [])),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            _, told = process.communicate(timeout=chance.uniform(0.1, LONGEST_SECONDS))
        except subprocess.TimeoutExpired:
            process.send_signal(sent)
            _, told = process.communicate(timeout=120)
            ended.append(sent)
            by_itself = -sent if os.name == "posix" else 1
            assert process.returncode in (0, 128 + sent, by_itself), told  # -sent: before the program's own handlers
            if process.returncode == 128 + sent:
                assert f"stopped by {sent.name}".encode() in told
        assert everything(photos) == originals
        check_whole(output)
    assert len(ended) > KILLS // 3, "too few runs were caught at work; a faster machine needs shorter waits"
    subprocess.run(command(photos, output, "--overwrite"), check=True, capture_output=True)
    assert everything(output) == everything(undisturbed)  # complete, and no temporary file is left
