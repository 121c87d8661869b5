"""Who works on a folder: a lock says who lives, and what the dead left is swept."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from allfocus.batch.owner import SCRATCH, Owner, living, sweep


def test_an_owner_lives_until_it_lets_go_and_leaves_nothing(tmp_path: Path) -> None:
    place = tmp_path / SCRATCH
    one, two = Owner(place), Owner(place)
    assert living(place) == {one.token, two.token}
    (one.folder / "half").write_bytes(b"...")
    one.close()
    assert living(place) == {two.token} and not one.folder.exists()
    two.close()
    assert not place.exists()


def test_a_killed_process_is_not_alive_and_its_scratch_is_swept(tmp_path: Path) -> None:
    place = tmp_path / SCRATCH
    code = (
        "import sys, time; from pathlib import Path; from allfocus.batch.owner import Owner\n"
        "print(Owner(Path(sys.argv[1])).token, flush=True); time.sleep(60)"
    )
    # the owner is kept by nobody in that line: keep it, or the lock would go with it
    code = code.replace("print(Owner(Path(sys.argv[1])).token", "owner = Owner(Path(sys.argv[1])); print(owner.token")
    process = subprocess.Popen([sys.executable, "-c", code, str(place)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    token = process.stdout.readline().strip()
    assert living(place) == {token}
    sweep(place)
    assert (place / token).is_dir()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert living(place) == set()
    sweep(place)
    assert not (place / token).exists()
