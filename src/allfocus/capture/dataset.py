"""Accepted pairs in the folders that `train` and `eval` read, split by scene, with a manifest."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from allfocus.atomic_file import AtomicFile, write_json
from allfocus.capture.frame import digest
from allfocus.errors import OptionError, OutputError

LAYOUTS = ("dpdd", "realdof")
MANIFEST = "manifest.json"
ACCEPT, REJECT = "accept", "reject"
SPLITS = ("train", "val", "test")
ROLES = ("source", "target")


@dataclass(frozen=True)
class Split:
    """How scenes are shared out among train, val and test.

    Attributes:
        val, test: their shares; the rest is train. With three scenes or more, none with a share is empty.
        scene: a regular expression with one group that names the scene in a pair's name, so that pairs of one scene
            stay together; None where each pair is a scene of its own.
        seed: another one shares out otherwise.
    """

    val: float = 0.15
    test: float = 0.15
    scene: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not (self.val >= 0 and self.test >= 0 and self.val + self.test < 1):
            raise OptionError(
                f"shares of {self.val} and {self.test}", "shares that leave scenes to train on", "--test 0.15"
            )

    def of(self, names: Sequence[str]) -> dict[str, str]:
        """The split of each name: drawn by a digest of its scene, so that it does not depend on the order."""
        scenes = {name: self._scene(name) for name in names}
        drawn = sorted(set(scenes.values()), key=lambda scene: hashlib.sha256(f"{self.seed} {scene}".encode()).digest())
        counts = {part: _count(share, len(drawn)) for part, share in (("val", self.val), ("test", self.test))}
        parts = ["val"] * counts["val"] + ["test"] * counts["test"]
        parts += ["train"] * (len(drawn) - len(parts))
        place = dict(zip(drawn, parts, strict=True))
        return {name: place[scene] for name, scene in scenes.items()}

    def _scene(self, name: str) -> str:
        match = re.search(self.scene, name) if self.scene else None
        return match.group(1) if match and match.groups() else name


def _count(share: float, scenes: int) -> int:
    return 0 if share == 0 or scenes < 3 else max(1, round(share * scenes))


def verdict(record: Mapping[str, Any], decisions: Mapping[str, str]) -> str:
    """ "accept" or "reject": a person's decision where there is one and there are pictures, else the gate's."""
    if not record["pictures"]:
        return REJECT
    return decisions.get(record["name"]) or (REJECT if record["reasons"] else ACCEPT)


def lay_out(
    records: Sequence[Mapping[str, Any]], decisions: Mapping[str, str], output: Path, layout: str, split: Split
) -> dict[str, str]:
    """Put accepted pairs into the layout's folders and write `manifest.json`.

    Args:
        records: of all pairs, as `session.run` has them; their pictures lie in `output/pairs`.
        decisions: "accept" or "reject" by name, a person's.
        output: folder of the data set. Files that an earlier manifest names and this one does not are removed.
        layout: "dpdd": `train_c/source/NAME.png`, `train_c/target/NAME.png`, val and test alike; "realdof":
            `source/NAME.png` and `target/NAME.png`.
        split: how scenes are shared out.
    Returns:
        The split of each accepted pair by name ("test" throughout for realdof).
    Raises:
        OptionError: an unknown layout. OutputError: the folder cannot be written.
    """
    if layout not in LAYOUTS:
        raise OptionError(f"--layout {layout}", f"one of {', '.join(LAYOUTS)}", "leave it out")
    accepted = [record["name"] for record in records if verdict(record, decisions) == ACCEPT]
    parts = dict.fromkeys(accepted, "test") if layout == "realdof" else split.of(accepted)
    before = _named(output)
    entries = []
    try:
        for record in records:
            entry = {key: value for key, value in record.items() if key != "fingerprint"}
            entry["inputs_sha256"] = record["fingerprint"]["files"]
            entry["decision"] = decisions.get(record["name"], "")
            entry["verdict"] = verdict(record, decisions)
            entry["split"] = parts.get(record["name"], "")
            entry["files"] = {}
            if entry["split"]:
                for role in ROLES:
                    place = place_of(layout, entry["split"], role, record["name"])
                    _put(output / "pairs" / f"{record['name']}.{role}.png", output / place)
                    entry["files"][place.as_posix()] = digest(output / place)
            entries.append(entry)
        now = {name for entry in entries for name in entry["files"]}
        for name in before - now:
            (output / name).unlink(missing_ok=True)
        counts = {part: sum(value == part for value in parts.values()) for part in SPLITS}
        write_json(output / MANIFEST, {"layout": layout, "scenes": counts, "pairs": entries})
    except OSError as error:
        raise OutputError(f"{output} cannot be written ({error})", "a place with free space", "-o DIR") from error
    return parts


def place_of(layout: str, part: str, role: str, name: str) -> Path:
    """Where a layout has the "source" or "target" of a pair that is in a split, inside the data set."""
    return (Path() if layout == "realdof" else Path(f"{part}_c")) / role / f"{name}.png"


def _named(output: Path) -> set[str]:
    """Files that the manifest of an earlier run names, inside the folder."""
    try:
        pairs = json.loads((output / MANIFEST).read_text(encoding="utf-8"))["pairs"]
        names = {name for pair in pairs for name in pair["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return {name for name in names if not Path(name).is_absolute() and ".." not in Path(name).parts}


def _put(picture: Path, place: Path) -> None:
    """A second name for the file where the disk can give one, else a copy; whole or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with AtomicFile(place, overwrite=True) as file:
        file.temporary.unlink()
        try:
            os.link(picture, file.temporary)
        except OSError:
            shutil.copyfile(picture, file.temporary)
