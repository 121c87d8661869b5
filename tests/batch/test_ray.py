"""The journal over a Ray cluster of two nodes on this machine: the bytes of one process, whatever dies."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from allfocus.batch.journal import SCRATCH, Journal
from allfocus.batch.local import Event
from batches import WEIGHTS, SlowOrder, StandInOrder, contents, tasks_in, write_photo

pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

STORE_BYTES = 100 * 2**20


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of moto's server."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    server.stop()


@pytest.fixture(scope="module")
def address(repository: Path, s3: str) -> Iterator[str]:
    """Two nodes of one CPU each; workers find this package and these tests."""
    import ray
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(repository / "src"), str(repository / "tests")]))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_raylet_start_wait_time_s", "200")  # a busy machine takes its time
        for name, value in credentials(s3).items():  # the nodes have them from their start, as in a cluster
            patch.setenv(name, value)
        node = {
            "num_cpus": 1,
            "object_store_memory": STORE_BYTES,
            "include_dashboard": False,
        }
        cluster = Cluster(initialize_head=True, head_node_args=node)
        cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
        cluster.wait_for_nodes()
        yield cluster.address
        ray.shutdown()
        cluster.shutdown()


def run(
    place: Path, out: Path, address: str, order: StandInOrder | None = None, tell: Callable[[Event], None] | None = None
) -> list[Event]:
    from allfocus.batch.ray import Cluster, ClusterRun

    order, events = order or StandInOrder(), []
    with Journal(str(out)) as journal:
        journal.start(order.key(), order.description(), "test")
        planned = journal.plan(tasks_in(place), order.key(), WEIGHTS)
        work = ClusterRun(journal, order, Cluster(address, cpus=1))

        def note(event: Event) -> None:
            events.append(event)
            if tell:
                tell(event)

        work.run(planned.megapixels, note, planned.queued)
    return events


def test_two_nodes_give_the_bytes_of_one_process(
    folder: Path, tmp_path: Path, address: str, batch: Callable[..., list[Event]]
) -> None:
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    batch(folder, tmp_path / "plain", order=StandInOrder())
    events = run(folder, tmp_path / "out", address)
    assert contents(tmp_path / "out") == contents(tmp_path / "plain") != {}
    failed = [event.claim.name for event in events if event.error is not None]
    assert failed == ["broken.jpg"] and len(events) == 6
    assert not (tmp_path / "out" / SCRATCH).exists()
    assert run(folder, tmp_path / "out", address) == []


def test_a_killed_workers_photos_are_done_again_and_none_twice(
    folder: Path, tmp_path: Path, address: str, batch: Callable[..., list[Event]]
) -> None:
    for index in range(6):
        write_photo(folder / f"more{index}.png", seed=50 + index)
    batch(folder, tmp_path / "plain", order=StandInOrder())
    killed: list[int] = []

    def kill_one(event: Event) -> None:
        if not killed:
            killed.append(worker_processes()[0])
            os.kill(killed[0], signal.SIGKILL)

    events = run(folder, tmp_path / "out", address, SlowOrder(), kill_one)
    assert killed
    names = [event.claim.name for event in events]
    assert len(names) == len(set(names)) == 11 and all(event.error is None for event in events)
    assert contents(tmp_path / "out") == contents(tmp_path / "plain")
    assert not (tmp_path / "out" / SCRATCH).exists()


def test_objects_in_and_out_need_no_shared_folder(
    folder: Path, tmp_path: Path, address: str, batch: Callable[..., list[Event]]
) -> None:
    import boto3

    batch(folder, tmp_path / "plain", order=StandInOrder())
    from allfocus.batch.ray import Cluster, ClusterRun
    from allfocus.batch.store import Store
    from allfocus.batch.survey import photos_at, tasks

    client = boto3.client("s3")
    client.create_bucket(Bucket="lab")
    for name, data in contents(folder).items():
        client.put_object(Bucket="lab", Key=f"in/{name}", Body=data)
    order, store = StandInOrder(), Store()
    with Journal("s3://lab/out", file=tmp_path / "journal.sqlite", store=store) as journal:
        journal.start(order.key(), {}, "test")
        planned = journal.plan(list(tasks(photos_at("s3://lab/in", store), store)), order.key(), WEIGHTS)
        events: list[Event] = []
        ClusterRun(journal, order, Cluster(address, cpus=1)).run(planned.megapixels, events.append, planned.queued)
    assert [str(event.error) for event in events if event.error] == []
    found = {
        entry["Key"].removeprefix("out/"): client.get_object(Bucket="lab", Key=entry["Key"])["Body"].read()
        for entry in client.list_objects_v2(Bucket="lab", Prefix="out/")["Contents"]
    }
    assert found == contents(tmp_path / "plain")


def credentials(endpoint: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def worker_processes() -> list[int]:
    """Processes of this machine in which Ray runs our worker."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    line = (entry / "cmdline").read_bytes()
                except OSError:
                    continue
                if b"ray::" in line and (b"MapBatches" in line or b"_Worker" in line):
                    found.append(int(entry.name))
        if found:
            return sorted(found)
        threading.Event().wait(0.1)
    raise AssertionError("no worker of Ray is there")
