"""The service's own files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from allfocus.web.limits import Limits
from allfocus.web.service import Service

STARTED = """
import time
from allfocus.web.limits import Limits
from allfocus.web.service import Service
service = Service(Limits())
print(service.folder, flush=True)
time.sleep(60)
"""


def test_the_next_service_removes_the_uploads_of_a_killed_one_and_leaves_those_of_a_living_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def started() -> tuple[subprocess.Popen[str], Path]:
        process = subprocess.Popen(
            [sys.executable, "-c", STARTED],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        (folder / "photo.jpg").write_bytes(b"an upload")
        return process, folder

    (dying, left), (living, kept) = started(), started()
    dying.send_signal(signal.SIGKILL)
    dying.communicate()
    assert (left / "photo.jpg").is_file()
    third = Service(Limits())
    try:
        assert not left.parent.exists() and (kept / "photo.jpg").is_file() and third.folder.is_dir()
    finally:
        living.kill()
        living.communicate()
    third.scratch.close()
    assert list(tmp_path.iterdir()) == [kept.parent]
