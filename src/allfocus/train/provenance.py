"""The provenance of shipped weights: numbered training stages that one command repeats.

`weights/NAME.provenance.yaml` lies beside the weights that it explains: the simulated samples, the settings of each
stage and why there was another one, and how the last was released.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from allfocus.atomic_file import make_folder, write_text
from allfocus.errors import OptionError, TrainingError
from allfocus.train.config import TrainConfig
from allfocus.weights.store import SHIPPED

SUFFIX = ".provenance.yaml"
HELD_OUT = SHIPPED / "held_out.txt"
"""Names of the photos that no shipped weights have seen."""


@dataclass(frozen=True)
class Samples:
    """What `allfocus prepare` renders; `simulator` holds what differs from the simulator's defaults."""

    count: int
    seed: int = 0
    side_px: int = 256
    views: bool = False
    grid_px: int = 8
    simulator: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingStage:
    """One run of `allfocus train`.

    Attributes:
        number: from 1.
        settings: of `TrainConfig`, other than its defaults.
        samples: names of the samples that it draws from, evenly.
        why: what was found before it, or what it changes.
        stop_at: step that it was stopped at; None for its last.
        after: number of the stage that it starts from, or several, from whose mean it does (one that is named twice
            counts twice); None for the one before it.
    """

    number: int
    settings: Mapping[str, Any]
    samples: tuple[str, ...]
    why: str = ""
    stop_at: int | None = None
    after: int | list[int] | None = None

    @property
    def starts(self) -> tuple[int, ...]:
        """The stages of `after`; none for the one before."""
        if isinstance(self.after, int):
            return (self.after,)
        return tuple(self.after or ())


@dataclass(frozen=True)
class Command:
    """One step of a replay: the words after `allfocus`, files that it reads with their text, and what it is for."""

    words: tuple[str, ...]
    files: Mapping[Path, str] = field(default_factory=dict)
    why: str = ""

    @property
    def line(self) -> str:
        """The command line."""
        return f"allfocus {shlex.join(self.words)}"


@dataclass(frozen=True)
class Provenance:
    """Everything that a model's weights went through.

    Attributes:
        model: its name.
        stages: in order.
        samples: by name; those of the parent may be used as well.
        parent: the model whose last stage the first one starts from, or None; in the file a name, and `parent_stage`
            where it was an earlier stage.
        gain: factor on the residual when it was released.
        average_with: numbers of the stages whose weights the last stage's were averaged with.
        share: the last stage's in that average; the others have equal parts of the rest.
        known_failures: for the card, one sentence each.
    """

    model: str
    stages: tuple[TrainingStage, ...]
    samples: Mapping[str, Samples]
    parent: Provenance | None = None
    gain: float = 1.0
    average_with: tuple[int, ...] = ()
    share: float = 0.5
    known_failures: tuple[str, ...] = ()

    @classmethod
    def read(cls, name: str | Path) -> Provenance:
        """The provenance of a shipped model by its name, or that of a file NAME.provenance.yaml.

        OptionError: there is none, or it holds something else than stages and samples.
        """
        import yaml

        path = Path(name) if str(name).endswith(SUFFIX) else _shipped().get(str(name))
        if path is None or not path.is_file():
            raise OptionError(f"no provenance of {name}", f"one of {', '.join(_shipped())}", "--provenance ifan-fast")
        try:
            stored = yaml.safe_load(path.read_text(encoding="utf-8"))
            samples = {key: Samples(**values) for key, values in (stored.pop("samples", None) or {}).items()}
            stages = tuple(TrainingStage(**{**one, "samples": tuple(one["samples"])}) for one in stored.pop("stages"))
            parent, of_parent = stored.pop("parent", None), stored.pop("parent_stage", None)
            stored |= {key: tuple(stored.get(key, ())) for key in ("known_failures", "average_with")}
            above = path.with_name(f"{parent}{SUFFIX}")
            before = None if parent is None else cls.read(above if above.is_file() else parent)._until(of_parent)
            found = cls(path.name.removesuffix(SUFFIX), stages, samples, before, **stored)
        except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
            names = ", ".join(one.name for one in fields(TrainingStage))
            raise OptionError(f"{path} ({error})", f"samples; stages with {names}", "allfocus train --show") from error
        for stage in found.stages:
            TrainConfig.from_dict(stage.settings)
            unknown = [one for one in stage.samples if one not in found.all_samples()]
            if unknown:
                raise OptionError(f"{path}: stage {stage.number} uses {unknown}", "samples it names", "define them")
        numbers = [stage.number for stage in stages]
        for index, stage in enumerate(stages):
            if not set(stage.starts) <= set(numbers[:index]):
                raise OptionError(f"{path}: after {stage.after}", f"one of {numbers[:index]}", "an earlier stage")
        if not set(found.average_with) <= set(numbers[:-1]):
            asked = list(found.average_with)
            raise OptionError(f"{path}: average_with {asked}", f"some of {numbers[:-1]}", "earlier stages")
        return found

    def _until(self, last: int | None) -> Provenance:
        """With the stages up to that number; all if it is None."""
        if last is None:
            return self
        stages = tuple(stage for stage in self.stages if stage.number <= last)
        if not stages or stages[-1].number != last:
            raise OptionError(f"stage {last} of {self.model}", f"1 to {self.stages[-1].number}", "parent_stage: 1")
        return replace(self, stages=stages, average_with=())

    def all_samples(self) -> dict[str, Samples]:
        """Its own and those of its parents."""
        return {**({} if self.parent is None else self.parent.all_samples()), **self.samples}

    def commands(
        self, photos: Path, output: Path, options: Sequence[str] = (), reach: Path | None = None
    ) -> list[Command]:
        """The command lines that make the model, in order.

        Args:
            photos: folder of sharp photos.
            output: where samples, runs and the model go.
            options: of every `allfocus train` ("--validate", "PAIRS").
            reach: photos out of focus on which the network's reach is measured; without them nothing is released.
        """
        found = self._training(photos, output, options)
        if reach is not None:
            failures, run = output / self.model / "known_failures.txt", self._run(output, self.stages[-1])
            words = ("release", str(run), "--name", self.model, "-o", str(output / "models"))
            words += ("--photos", str(reach), "--gain", f"{self.gain:g}", "--failures", str(failures))
            for number in self.average_with:
                words += ("--average-with", str(self._run(output, self._stage(number))))
            words += ("--share", f"{self.share:g}") if self.average_with else ()
            words += ("--command", f"allfocus train --provenance {self.model}")
            found.append(Command(words, {failures: "\n".join(self.known_failures) + "\n"}))
        return found

    def _training(self, photos: Path, output: Path, options: Sequence[str]) -> list[Command]:
        """Samples and stages, the parent's first."""
        found = [] if self.parent is None else self.parent._training(photos, output, options)
        start = () if self.parent is None else (self.parent._run(output, self.parent.stages[-1]),)
        for stage in self.stages:
            for name in stage.samples:
                command = _prepare(name, self.all_samples()[name], photos, output)
                if command.words not in [known.words for known in found]:
                    found.append(command)
            after = [self._run(output, self._stage(number)) for number in stage.starts]
            found.append(self._train(stage, after or start, output, options))
            start = (self._run(output, stage),)
        return found

    def _train(self, stage: TrainingStage, starts: Sequence[Path], output: Path, options: Sequence[str]) -> Command:
        import yaml

        run = self._run(output, stage)
        settings = run.with_name(f"{run.name}.yaml")
        words = ["train", "-o", str(run), "--config", str(settings)]
        words += [word for name in stage.samples for word in ("--cache", str(output / "samples" / name))]
        words += [word for start in starts for word in ("--start-from", str(start))]
        words += [] if stage.stop_at is None else ["--stop-at", str(stage.stop_at)]
        text = yaml.safe_dump(dict(stage.settings), sort_keys=False, default_flow_style=None)
        return Command((*words, *options), {settings: text}, stage.why)

    def _stage(self, number: int) -> TrainingStage:
        return next(stage for stage in self.stages if stage.number == number)

    def _run(self, output: Path, stage: TrainingStage) -> Path:
        return output / self.model / str(stage.number)


def replay(commands: Sequence[Command], run: Callable[[Sequence[str]], int] | None = None) -> None:
    """Run the commands one after another (by `run`, else as processes); what an earlier replay finished stays.

    TrainingError: one of them failed.
    """
    for number, command in enumerate(commands, start=1):
        print(f"{number} of {len(commands)}: {command.line}", flush=True)
        for path, text in command.files.items():
            make_folder(path.parent)
            write_text(path, text)
        code = (run or _process)(command.words)
        if code:
            raise TrainingError(f"step {number} exited with {code}: {command.line}", "0", "the same; it resumes")


def _prepare(name: str, samples: Samples, photos: Path, output: Path) -> Command:
    import json

    folder = output / "samples" / name
    settings = folder.with_name(f"{name}.json")
    words = ["prepare", "--photos", str(photos), "-o", str(folder), "--count", str(samples.count)]
    words += ["--seed", str(samples.seed), "--side", str(samples.side_px), "--grid", str(samples.grid_px)]
    words += ["--views"] if samples.views else []
    words += ["--leave-out", str(HELD_OUT), "--config", str(settings)]
    return Command(tuple(words), {settings: json.dumps(samples.simulator) + "\n"})


def _process(words: Sequence[str]) -> int:
    return subprocess.run([sys.executable, "-m", "allfocus", *words], check=False).returncode


def _shipped() -> dict[str, Path]:
    return {path.name.removesuffix(SUFFIX): path for path in sorted(SHIPPED.rglob(f"*{SUFFIX}"))}
