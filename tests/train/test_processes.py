"""Runs as processes: killed in the middle, and two that share a batch."""

from __future__ import annotations

import contextlib
import csv
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from allfocus.data.cache import SampleCache
from allfocus.train.config import load_config
from allfocus.train.launch import open_fabric
from allfocus.train.loop import train
from train.conftest import write_cache

TINY = "net.width=4 net.iterations=2 batch=4 patch_px=32 warmup=2 precision=32-true threads=1 log_every=1 save_every=4"
ALL_TERMS = "loss.warp=0.1 loss.reblur=0.1 loss.reblurring_iterations=2"


def settings(steps: int) -> list[str]:
    return [*TINY.split(), *ALL_TERMS.split(), f"steps={steps}"]


def command(cache: Path, run: Path, steps: int) -> list[str]:
    """`allfocus train` on the tiny network."""
    changes = [part for one in settings(steps) for part in ("--set", one)]
    return [sys.executable, "-m", "allfocus", "train", "--cache", str(cache), "-o", str(run), "--accelerator", "cpu",
            *changes]  # fmt: skip


def run_here(cache: SampleCache, run: Path, steps: int, stop_at: int | None = None) -> None:
    """The same in this process."""
    config = load_config(None, settings(steps))
    train(config, cache, run, fabric=open_fabric(config, "cpu"), stop_at=stop_at, report=lambda _: None)


def environment(repository: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(repository / "src"), "OMP_NUM_THREADS": "1", **more}


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def losses(run: Path) -> list[dict[str, str]]:
    with (run / "losses.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def wait_for(done, process: subprocess.Popen, seconds: float = 250) -> None:
    limit = time.monotonic() + seconds
    while not done():
        assert process.poll() is None, "the run ended too early"
        assert time.monotonic() < limit
        time.sleep(0.01)


def test_a_run_killed_in_the_middle_ends_as_if_it_had_not_been(tmp_path: Path, repository: Path) -> None:
    cache, killed, straight = write_cache(tmp_path / "cache"), tmp_path / "killed", tmp_path / "straight"
    process = subprocess.Popen(
        command(cache.folder, killed, 1000), env=environment(repository), stdout=subprocess.DEVNULL
    )
    try:
        wait_for((killed / "last.pt").is_file, process)
        wait_for(lambda: len(losses(killed)) > 10, process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    written = losses(killed)
    last = len(written) + 4
    assert 10 < last < 1000
    run_here(cache, killed, 1000, last)
    run_here(cache, straight, 1000, last)
    assert losses(killed) == losses(straight)
    assert losses(killed)[: len(written)] == written


def two_processes(words: list[str], repository: Path, output: int = subprocess.DEVNULL) -> list[subprocess.Popen]:
    """A command as two processes of one group, as torchrun starts them on one machine."""
    torchrun = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "0", "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": free_port(), "TORCHELASTIC_RUN_ID": "test"}  # fmt: skip
    return [
        subprocess.Popen(
            words, env=environment(repository, RANK=str(rank), LOCAL_RANK=str(rank), **torchrun), stdout=output
        )
        for rank in (0, 1)
    ]


LEAVES = """
import atexit, torch.distributed
atexit.register(lambda: print("still a member:", torch.distributed.is_initialized()))  # runs last
from allfocus.train.config import load_config
from allfocus.train.launch import open_fabric
open_fabric(load_config(None, []), "cpu").barrier()
print("was a member:", torch.distributed.is_initialized())
"""


def test_a_process_leaves_its_group_before_python_shuts_down(repository: Path) -> None:
    processes = two_processes([sys.executable, "-c", LEAVES], repository, subprocess.PIPE)
    try:
        said = [process.communicate(timeout=250)[0].decode() for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0]
    for words in said:
        assert words.splitlines()[-2:] == ["was a member: True", "still a member: False"]


def test_two_processes_that_share_a_batch_do_what_one_does(tmp_path: Path, repository: Path) -> None:
    cache, one, two = write_cache(tmp_path / "cache"), tmp_path / "one", tmp_path / "two"
    processes = two_processes(command(cache.folder, two, 6), repository)
    try:
        run_here(cache, one, 6)
        assert [process.wait(timeout=250) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
    alone, shared = losses(one), losses(two)
    assert len(alone) == len(shared) == 6
    for ours, theirs in zip(alone, shared, strict=True):
        for name, value in ours.items():
            assert float(theirs[name]) == pytest.approx(float(value), rel=2e-5), name


def nodes(cache: Path, run: Path, steps: int, repository: Path) -> list[subprocess.Popen]:
    """The documented torchrun command on two "nodes" of one process each, both on loopback."""
    port = free_port()
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1",
                "--master-addr", "127.0.0.1", "--master-port", port]  # fmt: skip
    return [
        subprocess.Popen(
            [*torchrun, "--node-rank", str(rank), *command(cache, run, steps)[1:]],
            env=environment(repository, GLOO_SOCKET_IFNAME="lo"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a node ends with all of its processes
        )
        for rank in (0, 1)
    ]


def end(node: subprocess.Popen) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(node.pid, signal.SIGKILL)
    node.wait()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_nodes_go_on_after_one_was_killed_and_give_the_losses_of_one_process(
    tmp_path: Path, repository: Path
) -> None:
    cache, one, two, steps = write_cache(tmp_path / "cache"), tmp_path / "one", tmp_path / "two", 24
    running = nodes(cache.folder, two, steps, repository)
    try:
        wait_for(lambda: (two / "losses.csv").is_file() and len(losses(two)) > 8, running[0], 400)
        end(running[1])
    finally:
        for node in running:
            end(node)
    before = len(losses(two))
    assert 8 < before < steps
    running = nodes(cache.folder, two, steps, repository)
    try:
        run_here(cache, one, steps)
        assert [node.wait(timeout=400) for node in running] == [0, 0]
    finally:
        for node in running:
            end(node)
    alone, shared = losses(one), losses(two)
    assert len(alone) == len(shared) == steps
    for ours, theirs in zip(alone, shared, strict=True):
        for name, value in ours.items():
            assert float(theirs[name]) == pytest.approx(float(value), rel=2e-4), (ours["step"], name)
