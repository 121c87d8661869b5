"""Records of a run: lines with the time left, losses.csv, validation.csv, TensorBoard with pictures."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from allfocus.atomic_file import AtomicFile
from allfocus.data.batch import Batch
from allfocus.errors import needs
from allfocus.train.config import TrainConfig

if TYPE_CHECKING:
    from lightning.fabric import Fabric

    from allfocus.train.state import TrainState

SHOWN = 4


class Record:
    """Collects losses and scores; only the first process writes.

    Args:
        folder: of the run.
        fabric: joins what the processes saw.
        config: the run.
        first: step that it starts or continues from; lines of later steps, which a killed run wrote, are dropped.
        last: step that it ends at.
        board: write for TensorBoard.
        report: receives lines for a person.
    """

    def __init__(
        self, folder: Path, fabric: Fabric, config: TrainConfig, first: int, last: int, board: bool,
        report: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._fabric, self._config, self._first, self._last = fabric, config, first, last
        self._report = report if fabric.is_global_zero else _silent
        self._started = time.monotonic()
        self._away = 0.0
        self._sums: dict[str, Tensor] = {}
        self._count = 0
        self._losses = self._scores = None
        self._board = _board(folder) if board and fabric.is_global_zero else None
        if fabric.is_global_zero:
            self._losses = StepTable(folder / "losses.csv", first)
            self._scores = StepTable(folder / "validation.csv", first)

    def losses(self, state: TrainState, terms: Mapping[str, Tensor]) -> None:
        """Add the losses of a step that was not skipped; writes their means every `log_every` steps."""
        if not state.skipped_in_a_row:
            for name, term in terms.items():
                self._sums[name] = self._sums.get(name, 0.0) + term.float()
            self._count += 1
        if (state.step % self._config.log_every and state.step != self._last) or not self._count:
            return
        means = torch.stack(list(self._sums.values())) / self._count
        means = self._fabric.all_reduce(means, reduce_op="mean") if self._fabric.world_size > 1 else means
        values = dict(zip(self._sums, means.tolist(), strict=True))  # type: ignore[union-attr]
        self._sums, self._count = {}, 0
        if self._losses is None:
            return
        self._losses.add({"step": state.step, **values})
        self._show("loss", state.step, values)
        seconds = (time.monotonic() - self._started - self._away) / (state.step - self._first)
        left = _duration(seconds * (self._last - state.step))
        losses = " ".join(f"{name} {value:.5f}" for name, value in values.items())
        skipped = f"  {state.skipped} steps skipped" if state.skipped else ""
        self._report(f"step {state.step}/{self._config.steps}  {losses}  {seconds:.2f} s/step  {left} left{skipped}")

    def scores(self, state: TrainState, validate: Callable[[TrainState], dict[str, float]], batch: Batch) -> None:
        """Validate in the first process while the others wait; the time for it is not counted as steps."""
        started = time.monotonic()
        if self._scores is not None:
            values = validate(state)
            self._scores.add({"step": state.step, **values})
            self._show("validation", state.step, values)
            self._pictures(state, batch)
            scores = " ".join(f"{name} {value:.4f}" for name, value in values.items())
            self._report(f"validation at {state.step}: {scores}")
        self._fabric.barrier()
        self._away += time.monotonic() - started

    def close(self) -> None:
        """Finish what TensorBoard reads."""
        if self._board is not None:
            self._board.close()

    def _show(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(f"{kind}/{name}", value, step)

    def _pictures(self, state: TrainState, batch: Batch) -> None:
        """Photo, result and truth of the first samples of the batch, beside each other."""
        if self._board is None:
            return
        first = Batch(*(None if part is None else part[:SHOWN] for part in batch))  # type: ignore[arg-type]
        with torch.no_grad():
            rows = [first.centre, state.task.picture(state.averaged, first), first.sharp]
        sheet = torch.cat([torch.cat(list(row), dim=-1) for row in rows], dim=-2)  # (3, 3 H, shown W)
        self._board.add_image("photo, result, truth", sheet.clamp(0, 1).cpu(), state.step)


class StepTable:
    """A CSV file that grows line by line; its columns are those of its first line.

    Args:
        path: continued if it is there.
        step: lines of later steps are dropped first.
    """

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        if not path.exists():
            return
        with path.open(newline="", encoding="utf-8") as file:
            kept = [row for row in csv.DictReader(file) if int(row["step"]) <= step]
        if not kept:
            path.unlink()
            return
        with AtomicFile(path, overwrite=True) as whole, whole.temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(kept[0]))
            writer.writeheader()
            writer.writerows(kept)

    def add(self, row: Mapping[str, float]) -> None:
        """Append a line."""
        new = not self.path.exists()
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)


def _board(folder: Path) -> Any:
    with needs("TensorBoard", "train", "tensorboard"):
        from torch.utils.tensorboard import SummaryWriter
    return SummaryWriter(str(folder / "board"))


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"


def _silent(_: str) -> None:
    return None
