"""S3 in and out through s3fs, against moto's server on loopback; the server goes away once in the middle."""

from __future__ import annotations

import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from allfocus.batch.journal import NAME, Journal
from allfocus.batch.local import Event, LocalRun
from allfocus.batch.snapshot import Snapshot
from allfocus.batch.store import Store
from allfocus.batch.survey import photos_at, tasks
from batches import WEIGHTS, SlowOrder, StandInOrder, contents

pytest.importorskip("s3fs")
moto = pytest.importorskip("moto.server")


class Server:
    """Moto's server; its objects live in this process, so they are there again when it listens again."""

    def __init__(self) -> None:
        self._server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        self.port = self._server.get_host_and_port()[1]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def go_away(self) -> None:
        """The port closes; calls that are under way break off."""
        self._server.stop()

    def come_back(self) -> None:
        """On the same port."""
        self._server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        self._server.start()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    running = Server()
    for name, value in {
        "AWS_ENDPOINT_URL": running.address,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "ALLFOCUS_CACHE": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(name, value)
    yield running
    running.go_away()


@pytest.fixture
def client(server: Server, folder: Path) -> Any:
    """A client, and the photos of `folder` in the bucket lab below in/, and nothing else."""
    import boto3

    reset = urllib.request.Request(f"{server.address}/moto-api/reset", method="POST")
    urllib.request.urlopen(reset).close()  # what tests before have stored outlives their server
    client = boto3.client("s3", endpoint_url=server.address)
    client.create_bucket(Bucket="lab")
    for name, data in contents(folder).items():
        client.put_object(Bucket="lab", Key=f"in/{name}", Body=data)
    return client


def run(order: StandInOrder, tell: Callable[[Event], None] | None = None) -> list[Event]:
    events: list[Event] = []
    store = Store(patience_s=30)
    snapshot = Snapshot("s3://lab/out", store)
    snapshot.pull()
    with Journal("s3://lab/out", file=snapshot.file, store=store) as journal:
        journal.start(order.key(), {}, "test")
        planned = journal.plan(list(tasks(photos_at("s3://lab/in", store), store)), order.key(), WEIGHTS)

        def note(event: Event) -> None:
            events.append(event)
            if tell:
                tell(event)

        LocalRun(journal, [order.deblurrer()], order, WEIGHTS, in_flight=2).run(
            planned.megapixels, note, planned.queued
        )
        snapshot.push(journal, now=True)
    return events


def objects(client: Any) -> dict[str, bytes]:
    listed = client.list_objects_v2(Bucket="lab", Prefix="out/")["Contents"]
    names = [entry["Key"].removeprefix("out/") for entry in listed]
    return {name: client.get_object(Bucket="lab", Key=f"out/{name}")["Body"].read() for name in names if name != NAME}


def test_results_have_the_bytes_of_a_local_run_and_are_known_on_another_machine(
    client: Any, folder: Path, tmp_path: Path, batch: Callable[..., list[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch(folder, tmp_path / "plain", order=StandInOrder())
    events = run(StandInOrder())
    assert [str(event.error) for event in events if event.error] == []
    assert objects(client) == contents(tmp_path / "plain")
    assert run(StandInOrder()) == []
    monkeypatch.setenv("ALLFOCUS_CACHE", str(tmp_path / "another machine"))
    assert run(StandInOrder()) == []
    assert client.list_multipart_uploads(Bucket="lab").get("Uploads", []) == []


def test_a_server_that_goes_away_in_the_middle_loses_nothing(
    client: Any, server: Server, folder: Path, tmp_path: Path, batch: Callable[..., list[Event]]
) -> None:
    batch(folder, tmp_path / "plain", order=StandInOrder())
    away: list[threading.Thread] = []

    def go(event: Event) -> None:
        def absence() -> None:
            server.go_away()
            time.sleep(2)
            server.come_back()

        if not away:
            away.append(threading.Thread(target=absence))
            away[0].start()

    events = run(SlowOrder(), go)
    away[0].join()
    assert [str(event.error) for event in events if event.error] == []
    assert len(events) == 5
    assert objects(client) == contents(tmp_path / "plain")
