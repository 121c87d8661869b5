"""`allfocus serve`: what it refuses, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")
httpx = pytest.importorskip("httpx")
pyvips = pytest.importorskip("pyvips")


def start(*arguments: str, **variables: str) -> subprocess.Popen[str]:
    environment = {**os.environ, **{f"ALLFOCUS_SERVE_{name}": value for name, value in variables.items()}}
    return subprocess.Popen(
        [sys.executable, "-m", "allfocus", "serve", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


@pytest.mark.parametrize(
    "arguments, variables, words",
    [
        (["--host", "0.0.0.0"], {}, "listening on 0.0.0.0 without a token"),
        (["--host", "0.0.0.0"], {"TOKEN": "short"}, "a token of 5 characters"),
        ([], {"QUEUE": "none"}, "ALLFOCUS_SERVE_QUEUE 'none'"),
        (["--host", "203.0.113.1"], {"TOKEN": "x" * 20}, "is not available"),
        (["--model", "nothing"], {}, "no model is called 'nothing'"),
    ],
)
def test_refusals(arguments: list[str], variables: dict[str, str], words: str) -> None:
    process = start("--port", "0", *arguments, **variables)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 2
    assert words in said and "; expected " in said and "; try: " in said


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_sigterm_finishes_what_runs_and_refuses_what_comes(repository: Path) -> None:
    process = start("--port", "0", "--precision", "float32")
    assert process.stdout is not None
    found = re.search(r"http://\S+:\d+", process.stdout.readline())
    assert found
    photo = (repository / "examples/photos/coffee-simulated.jpg").read_bytes()
    with httpx.Client(base_url=found[0], timeout=60) as client:
        job = client.post("/v1/jobs", files={"photo": photo}).json()
        while client.get(f"/v1/jobs/{job['id']}").json()["state"] == "queued":
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        assert client.post("/v1/jobs", files={"photo": photo}).status_code == 503
        assert client.get("/readyz").status_code == 503
        while (state := client.get(f"/v1/jobs/{job['id']}").json())["state"] == "running":
            time.sleep(0.05)
        assert client.get(state["result"]).status_code == 200
    assert process.wait(20) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_second_signal_ends_at_once(repository: Path) -> None:
    process = start("--port", "0", "--precision", "float32", "--model", "ifan")
    assert process.stdout is not None
    found = re.search(r"http://\S+:\d+", process.stdout.readline())
    assert found
    photo = pyvips.Image.new_from_file(str(repository / "examples/photos/coffee-simulated.jpg")).resize(6)
    with httpx.Client(base_url=found[0], timeout=60) as client:
        job = client.post("/v1/jobs", files={"photo": photo.jpegsave_buffer()}).json()
        while client.get(f"/v1/jobs/{job['id']}").json()["state"] == "queued":
            time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert process.poll() is None  # the photo takes minutes
    process.send_signal(signal.SIGTERM)
    process.wait(15)
