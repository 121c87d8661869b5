"""A process that is killed at random moments, and what the next one makes of it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from allfocus.batch.journal import SCRATCH
from allfocus.batch.local import Event
from batches import StandInOrder, contents, write_photo

KILLS = 10
PROCESS = """
import sys
from pathlib import Path
from batches import WEIGHTS, SlowOrder, tasks_in
from allfocus.batch.journal import Journal
from allfocus.batch.local import LocalRun
order = SlowOrder()
SlowOrder.seconds = 0.1
with Journal(sys.argv[2]) as journal:
    journal.start(order.key(), {}, "test")
    planned = journal.plan(tasks_in(Path(sys.argv[1])), order.key(), WEIGHTS)
    print(planned.queued, flush=True)
    work = LocalRun(journal, [order.deblurrer()], order, WEIGHTS)
    work.run(planned.megapixels, lambda event: None, planned.queued)
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_ten_times_it_ends_with_the_bytes_of_an_undisturbed_run(
    tmp_path: Path, repository: Path, batch: Callable[..., list[Event]]
) -> None:
    source, straight, out = tmp_path / "in", tmp_path / "straight", tmp_path / "out"
    for index in range(48):
        write_photo(source / f"{index}.{('png', 'jpg', 'tif', 'webp')[index % 4]}", 40 + 4 * index, seed=index)
    batch(source, straight, order=StandInOrder())
    expected, rng = contents(straight), random.Random(7)
    paths = os.pathsep.join([str(repository / "src"), str(repository / "tests")])
    line = [sys.executable, "-c", PROCESS, str(source), str(out)]

    def start() -> tuple[subprocess.Popen[str], int]:
        process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": paths})
        assert process.stdout is not None
        return process, int(process.stdout.readline())

    waiting = []
    for _ in range(KILLS):
        process, queued = start()
        waiting.append(queued)
        time.sleep(rng.uniform(0.0, 3.0))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        whole = {name: data for name, data in contents(out).items() if not name.startswith(SCRATCH)}
        assert whole == {name: expected[name] for name in whole}
    assert waiting == sorted(waiting, reverse=True) and waiting[-1] < 48
    process, _ = start()
    process.communicate()
    assert process.returncode == 0
    assert contents(out) == expected
    assert not (out / SCRATCH).exists() and not list(out.rglob("*.part*"))
