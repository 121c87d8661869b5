"""Locations: what is read by ranges, written whole, asked again, and refused."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from allfocus.batch.store import Store, content_hash, is_url, join, plain
from allfocus.batch.survey import megapixels, photos_at
from allfocus.errors import InputError, MissingExtraError, OptionError, OutputError, StoreError
from batches import write_photo

fsspec = pytest.importorskip("fsspec")


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """An http server on loopback and its folder."""
    place = tmp_path / "web"
    place.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(place)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", place
    server.shutdown()
    server.server_close()


@pytest.fixture
def memory() -> Iterator[str]:
    """An empty object store in this process."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield "memory://bucket"
    system.store.clear()


def test_locations_are_paths_or_urls() -> None:
    assert plain("file:///a%20b/c.jpg") == "/a b/c.jpg" and plain("s3://bucket/photos/") == "s3://bucket/photos"
    assert join("s3://bucket/out", "below/a.jpg") == "s3://bucket/out/below/a.jpg"
    assert not is_url("C:\\photos") and not is_url("a/b://c")


def test_a_path_is_read_where_it_lies(tmp_path: Path) -> None:
    photo, store = write_photo(tmp_path / "a.png"), Store()
    assert store.fetch(str(photo), tmp_path / "scratch") == photo
    before = store.item(str(photo))
    write_photo(photo, seed=4)
    after = store.item(str(photo))
    assert before is not None and after is not None and before.stamp != after.stamp
    assert store.item(str(tmp_path)) is None and store.item(str(tmp_path / "none")) is None


def test_a_result_appears_whole_and_never_over_another(tmp_path: Path) -> None:
    store, staged = Store(), tmp_path / "staged"
    staged.write_bytes(b"sharp")
    store.publish(staged, str(tmp_path / "out" / "below" / "a.png"), replace=False)
    assert (tmp_path / "out" / "below" / "a.png").read_bytes() == b"sharp" and not staged.exists()
    staged.write_bytes(b"other")
    with pytest.raises(OutputError, match="already exists"):
        store.publish(staged, str(tmp_path / "out" / "below" / "a.png"), replace=False)
    store.publish(staged, str(tmp_path / "out" / "below" / "a.png"), replace=True)
    staged.write_bytes(b"third")
    with pytest.raises(OutputError, match="cannot be created"):
        store.publish(staged, str(tmp_path / "out" / "below" / "a.png" / "b.png"), replace=True)


def test_objects_are_listed_fetched_and_written(memory: str, tmp_path: Path) -> None:
    store = Store()
    photo = write_photo(tmp_path / "a.png")
    for name in ("a.png", "below/b.png", "below/notes.txt", ".hidden/c.png", "a.sharp.png"):
        store.publish(photo, f"{memory}/in/{name}", replace=False)
    assert [(asked.source, asked.name) for asked in photos_at(f"{memory}/in/", store)] == [
        (f"{memory}/in/a.png", "a.png"),
        (f"{memory}/in/below/b.png", "below/b.png"),
    ]
    (single,) = photos_at(f"{memory}/in/a.png", store)
    assert single.item is not None and single.item.bytes == photo.stat().st_size
    (tmp_path / "scratch").mkdir()
    copy = store.fetch(single.source, tmp_path / "scratch")
    assert content_hash(copy) == content_hash(photo)
    for missing in ("in/none.png", "nothing"):
        with pytest.raises(InputError):
            photos_at(f"{memory}/{missing}", store)


def test_http_is_read_by_ranges_and_not_written(web: tuple[str, Path], tmp_path: Path) -> None:
    address, place = web
    photo, store = write_photo(place / "a.tif", 90, 60), Store()
    assert megapixels(f"{address}/a.tif", store) == pytest.approx(0.0054)
    assert [asked.name for asked in photos_at(f"{address}/a.tif", store)] == ["a.tif"]
    (tmp_path / "scratch").mkdir()
    assert content_hash(store.fetch(f"{address}/a.tif", tmp_path / "scratch")) == content_hash(photo)
    with pytest.raises(InputError, match="does not exist"):
        photos_at(f"{address}/none.jpg", store)
    with pytest.raises(OptionError, match="as output"):
        store.check_writable(f"{address}/out")


def test_the_header_of_a_remote_photo_takes_a_part_of_it(memory: str, tmp_path: Path) -> None:
    store = Store()
    photo = write_photo(tmp_path / "a.png", 900, 700)
    store.publish(photo, f"{memory}/a.png", replace=False)
    read = [0]

    class Counting:
        def __init__(self, file) -> None:
            self.file = file

        def read(self, size: int = -1) -> bytes:
            data = self.file.read(size)
            read[0] += len(data)
            return data

        def seek(self, *where: int) -> int:
            return self.file.seek(*where)

        def __enter__(self) -> Counting:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

    whole = store.open
    store.open = lambda location: Counting(whole(location))  # type: ignore[method-assign, return-value]
    assert megapixels(f"{memory}/a.png", store) == pytest.approx(0.63)
    assert 0 < read[0] < photo.stat().st_size / 4


def test_a_store_that_is_away_is_asked_again_and_then_named(tmp_path: Path) -> None:
    closed = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    address = f"http://127.0.0.1:{closed.server_address[1]}"
    closed.server_close()
    with pytest.raises(StoreError, match="does not respond"):
        Store(patience_s=0.5).fetch(f"{address}/a.jpg", tmp_path)


def test_a_call_that_fails_twice_and_then_works_is_no_failure(memory: str, tmp_path: Path) -> None:
    store, calls = Store(), [0]
    photo = write_photo(tmp_path / "a.png")

    def moody() -> str:
        calls[0] += 1
        if calls[0] < 3:
            raise ConnectionResetError
        return "here"

    assert store._ask(memory, moody) == "here" and calls == [3]
    with pytest.raises(PermissionError):
        store._ask(memory, lambda: (_ for _ in ()).throw(PermissionError("no")))
    assert photo.exists()


def test_what_cannot_be_reached_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionError, match="an unknown kind of address"):
        Store().item("gopher+x://place/a.jpg")

    def missing(*_: object, **__: object) -> None:
        raise ImportError("no gcsfs")

    monkeypatch.setattr(fsspec, "filesystem", missing)
    with pytest.raises(MissingExtraError, match=r"allfocus\[cloud\]"):
        Store().item("gs://bucket/a.jpg")


def test_a_store_travels_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(Store(3.0))).patience_s == 3.0
