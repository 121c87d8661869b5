"""The endpoints, over HTTP: what they give, what they refuse, and that nothing is left behind."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import pyvips

from allfocus.restore import OVERLAP_PX
from allfocus.weights.store import find
from web.conftest import EXIF, Served, blurred, bomb, jpeg, opened, png, served

SRGB = pyvips.Image.black(1, 1).copy(interpretation="srgb").icc_export(output_profile="srgb").get("icc-profile-data")

CARD = find("ifan-fast").card
SMALLEST_TILE = 2 * (CARD.context_px + OVERLAP_PX) + CARD.multiple


def events(text: Iterator[str]) -> Iterator[tuple[str, dict]]:
    """Server-sent events."""
    kind = ""
    for line in text:
        if line.startswith("event: "):
            kind = line[7:]
        elif line.startswith("data: "):
            yield kind, json.loads(line[6:])


def status_line(line: socket.socket) -> bytes:
    """The first line of an answer: it may arrive in several pieces, or with some of what follows."""
    with line.makefile("rb") as answer:
        return answer.readline()


def followed(service: Served, id: str) -> list[tuple[str, dict]]:
    with service.client.stream("GET", f"/v1/jobs/{id}/events") as stream:
        return list(events(stream.iter_lines()))


def refused(answer: httpx.Response, status: int) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["got"] and problem["expected"] and problem["try"]
    return problem


def test_a_16_bit_png_keeps_everything(service: Served) -> None:
    pixels = blurred(dtype=np.uint16)
    answer = service.client.post("/v1/deblur", files={"photo": ("a b.png", png(pixels, icc=SRGB), "image/png")})
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
    sharp = opened(answer.content)
    assert (sharp.width, sharp.height, sharp.format) == (128, 96, "ushort")
    assert sharp.get("icc-profile-data") == SRGB
    assert EXIF in answer.content
    assert "a%20b.sharp.png" in answer.headers["content-disposition"]
    report = json.loads(answer.headers["allfocus-report"])
    assert (report["width"], report["height"], report["scales"]) == (128, 96, [1])
    assert not np.array_equal(sharp.numpy(), pixels)


def test_the_result_is_that_of_the_library(service: Served) -> None:
    import allfocus

    data = png(blurred())
    answer = service.client.post("/v1/deblur?strength=0.5", content=data, headers={"content-type": "image/png"})
    here = allfocus.deblur(data, strength=0.5, engine="openvino", precision="float32")
    assert isinstance(here, bytes)
    assert np.array_equal(opened(answer.content).numpy(), opened(here).numpy())


def test_strength_0_is_the_photo(service: Served) -> None:
    pixels = blurred()
    answer = service.client.post("/v1/deblur", files={"photo": png(pixels)}, data={"strength": "0"})
    assert np.array_equal(opened(answer.content).numpy(), pixels)


@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp", "avif"])
def test_a_format_comes_back_in_itself(service: Served, ending: str) -> None:
    data = pyvips.Image.new_from_array(blurred()).write_to_buffer(f".{ending}")
    answer = service.client.post("/v1/deblur", files={"photo": (f"a.{ending}", data)})
    assert answer.status_code == 200
    kind = {"jpg": "jpeg", "tif": "tiff"}.get(ending, ending)
    assert answer.headers["content-type"] == f"image/{kind}"
    assert answer.headers["cache-control"] == "no-store"
    assert f"a.sharp.{ending}" in answer.headers["content-disposition"]
    assert opened(answer.content).get("vips-loader").startswith({"avif": "heif"}.get(kind, kind))


def test_a_mask_leaves_what_is_black(service: Served) -> None:
    pixels, grey = blurred(), np.zeros((96, 128), np.uint8)
    grey[:, 64:] = 255
    mask = pyvips.Image.new_from_array(grey).pngsave_buffer()
    answer = service.client.post("/v1/deblur", files={"photo": png(pixels), "mask": mask})
    changed = opened(answer.content).numpy() != pixels
    assert not changed[:, :60].any() and changed[:, 70:].any()
    narrow = pyvips.Image.new_from_array(grey[:, :40]).pngsave_buffer()
    refused(service.client.post("/v1/deblur", files={"photo": png(pixels), "mask": narrow}), 422)
    refused(service.client.post("/v1/deblur", files={"photo": png(pixels), "mask": b"no picture"}), 415)


def test_maps(service: Served) -> None:
    for format, kind in (("tiff", "image/tiff"), ("png", "image/png"), ("cells", "application/json")):
        answer = service.client.post(f"/v1/map?format={format}", files={"photo": jpeg(blurred())})
        assert answer.status_code == 200 and answer.headers["content-type"] == kind
    told = answer.json()
    assert (told["width"], told["height"], told["columns"], told["rows"]) == (128, 96, 8, 6)


def test_a_job_tells_its_tiles_and_gives_its_result(service: Served) -> None:
    size = SMALLEST_TILE + 16, SMALLEST_TILE + 96
    answer = service.client.post("/v1/jobs", files={"photo": jpeg(blurred(*size))}, data={"tile": str(SMALLEST_TILE)})
    assert answer.status_code == 202
    id = answer.json()["id"]
    told = followed(service, id)
    kinds = [kind for kind, _ in told]
    assert kinds[0] == "queued" and kinds[-1] == "done" and "started" in kinds
    tiles = [data for kind, data in told if kind == "tile"]
    assert [tile["done"] for tile in tiles] == list(range(1, tiles[0]["total"] + 1))
    assert len(tiles) > 1
    covered = np.zeros(size, bool)
    for tile in tiles:
        x, y, width, height = tile["box"]
        covered[y : y + height, x : x + width] = True
        picture = opened(service.client.get(tile["picture"]).content)
        assert (picture.width, picture.height) == (width, height)
    assert covered.all()
    state = service.client.get(f"/v1/jobs/{id}").json()
    assert state["state"] == "done" and state["facts"]["width"] == size[1]
    assert opened(service.client.get(state["result"]).content).width == size[1]
    assert service.client.get(state["map"] + "?format=cells").json()["columns"] == size[1] // 16
    assert service.client.delete(f"/v1/jobs/{id}").status_code == 204
    refused(service.client.get(f"/v1/jobs/{id}"), 404)


def test_events_go_on_where_they_ended(service: Served) -> None:
    id = service.client.post("/v1/jobs", files={"photo": jpeg(blurred())}).json()["id"]
    every = followed(service, id)
    with service.client.stream("GET", f"/v1/jobs/{id}/events", headers={"Last-Event-ID": "1"}) as stream:
        assert list(events(stream.iter_lines())) == every[1:]


def test_a_preview_of_what_browsers_cannot_show(service: Served) -> None:
    data = pyvips.Image.new_from_array(blurred(dtype=np.uint16)).copy(interpretation="rgb16").tiffsave_buffer()
    answer = service.client.post("/v1/preview", files={"photo": ("a.tif", data)})
    picture = opened(answer.content)
    assert (picture.width, picture.height, picture.format) == (128, 96, "uchar")
    assert json.loads(answer.headers["allfocus-report"])["depth"] == 16


def test_health_models_metrics_and_description(service: Served) -> None:
    assert service.client.get("/healthz").json() == {"status": "ok"}
    models = service.client.get("/v1/models").json()
    assert [model["name"] for model in models if model["default"]] == ["ifan-fast"]
    text = service.client.get("/metrics").text
    assert 'allfocus_requests_total{route="/healthz",status="200"}' in text
    assert "allfocus_worker_resident_bytes" in text
    page = service.client.get("/docs").text
    assert "://" not in page.replace("http://127.0.0.1", "").split("<script>")[0]  # nothing comes from elsewhere


@pytest.mark.parametrize("path", ["/v1/deblur", "/v1/map", "/v1/jobs", "/v1/preview"])
def test_what_is_no_photo_is_refused(service: Served, path: str) -> None:
    def post(**kwargs: object) -> httpx.Response:
        return service.client.post(path, **kwargs)  # type: ignore[arg-type]

    refused(post(content=b"x", headers={"content-type": "text/plain"}), 415)
    refused(post(content=b"hello, this is text", headers={"content-type": "image/png"}), 415)
    refused(post(files={"photo": b""}), 422)
    refused(post(content=b"", headers={"content-type": "image/png"}), 422)
    refused(post(data={"strength": "1"}, files={"other": b"x"}), 422)
    refused(post(content=b"--x\r\nbroken", headers={"content-type": "multipart/form-data; boundary=y"}), 400)
    refused(post(content=b"--x\r\nbroken", headers={"content-type": "multipart/form-data"}), 400)
    refused(post(files=[("photo", png(blurred()))] * 1000), 400)
    refused(post(files={"photo": png(blurred())}, data={f"f{index}": "1" for index in range(1000)}), 400)


def test_who_is_refused_inside_a_body_hears_why(service: Served) -> None:
    for _ in range(20):
        refused(service.client.post("/v1/jobs", files=[("photo", bytes(5000))] * 1000), 400)
    headers = {"content-type": "image/png", "content-length": "50000000"}
    refused(service.client.post("/v1/jobs", content=iter([bytes(1_000_000)] * 50), headers=headers), 413)


def test_damaged_photos_are_refused_in_three_parts(service: Served) -> None:
    whole = png(blurred(200, 300))
    problem = refused(service.client.post("/v1/deblur", files={"photo": ("../my.png", whole[: len(whole) // 2])}), 422)
    assert problem["got"].startswith("my.png is damaged or cut short")
    assert str(service.service.folder) not in json.dumps(problem)


def test_too_much_is_refused_before_it_is_decoded(service: Served) -> None:
    started = time.monotonic()
    problem = refused(service.client.post("/v1/deblur", files={"photo": bomb(20_000, 10_000)}), 413)
    assert "20000x10000" in problem["got"]
    headers = {"content-type": "image/png", "content-length": str(50_000_000)}
    with socket.create_connection(("127.0.0.1", service.port)) as line:
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        line.sendall(f"POST /v1/deblur HTTP/1.1\r\nhost: localhost\r\n{head}\r\n".encode())
        assert status_line(line).startswith(b"HTTP/1.1 413")  # before any of the body

    def endless() -> Iterator[bytes]:
        for _ in range(60):
            yield bytes(1_000_000)

    refused(service.client.post("/v1/jobs", content=endless(), headers={"content-type": "image/png"}), 413)
    assert time.monotonic() - started < 30


def test_options_are_refused_as_on_the_command_line(service: Served) -> None:
    files = {"photo": png(blurred())}
    refused(service.client.post("/v1/deblur?strength=2", files=files), 422)
    refused(service.client.post("/v1/deblur?stength=1", files=files), 422)
    refused(service.client.post("/v1/deblur", files=files, data={"tile": "tiny"}), 422)
    problem = refused(service.client.post("/v1/deblur", files=files, data={"model": "/etc/passwd"}), 422)
    assert problem["expected"].startswith("one of ifan")


def test_speed_and_quality_are_those_of_the_command_line(service: Served) -> None:
    photo = jpeg(blurred())
    sizes = {}
    for quality in (40, 95):
        answer = service.client.post("/v1/deblur", files={"photo": photo}, data={"quality": str(quality)})
        sizes[quality] = len(answer.content)
    assert sizes[40] < sizes[95]
    best, balanced = (
        service.client.post(f"/v1/deblur?speed={speed}", files={"photo": photo}) for speed in ("best", "balanced")
    )
    assert best.status_code == balanced.status_code == 200
    assert best.content != balanced.content  # the mirror image counts as well
    refused(service.client.post("/v1/deblur?speed=fastest", files={"photo": photo}), 422)


def test_a_slow_client_is_cut_off(service: Served) -> None:
    with socket.create_connection(("127.0.0.1", service.port)) as line:
        line.settimeout(10)
        line.sendall(
            b"POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/png\r\ncontent-length: 999\r\n\r\nab"
        )
        assert status_line(line).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("begun", [b"", b"GET /healthz HTTP/1.1\r\nhost: localh"])
def test_headers_that_do_not_end_are_cut_off(service: Served, begun: bytes) -> None:
    with socket.create_connection(("127.0.0.1", service.port)) as line:
        line.settimeout(10)
        line.sendall(begun)
        answer = b"".join(iter(lambda: line.recv(1000), b""))  # to the end: the service closes
    assert answer.startswith(b"HTTP/1.1 408") and b'"try"' in answer


def test_a_pause_between_two_requests_is_no_offence(service: Served) -> None:
    line = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    with contextlib.closing(line):
        line.connect()
        opened = line.sock
        for _ in range(2):
            line.request("GET", "/healthz")
            answer = line.getresponse()
            assert (answer.status, json.loads(answer.read())) == (200, {"status": "ok"})
            assert line.sock is opened  # the service has kept the connection
            time.sleep(1.2)  # longer than the silence that is let pass inside a request


def test_who_takes_nothing_of_the_answer_is_cut_off() -> None:
    with served(reader_seconds=0.3) as service, socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.connect(("127.0.0.1", service.port))
        request = b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n"
        with pytest.raises(OSError):
            for _ in range(2000):  # answers pile up unread
                line.sendall(request)
                time.sleep(0.002)
        assert service.client.get("/readyz").status_code == 200


def test_other_sites_and_other_names_are_refused(service: Served) -> None:
    refused(service.client.get("/v1/models", headers={"origin": "https://evil.example"}), 403)
    refused(service.client.get("/v1/models", headers={"sec-fetch-site": "cross-site"}), 403)
    refused(service.client.get("/v1/models", headers={"host": "evil.example"}), 421)
    assert service.client.get("/v1/models", headers={"origin": service.url}).status_code == 200


def test_the_page_may_reach_nothing_but_its_service(service: Served) -> None:
    for path in ("/", "/js/main.js", "/style.css"):
        answer = service.client.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "connect-src 'self'" in policy and "http" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
    refused(service.client.delete("/v1/models"), 405)
    refused(service.client.get("/v1/nothing"), 404)


def test_a_full_disk_is_said(service: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    id = service.client.post("/v1/jobs", files={"photo": jpeg(blurred())}).json()["id"]
    followed(service, id)
    monkeypatch.setattr(service.service.limits, "stored_bytes", 1)
    answer = service.client.post("/v1/deblur", files={"photo": jpeg(blurred())})
    assert "no disk" in refused(answer, 429)["got"] and int(answer.headers["retry-after"]) > 0


def test_a_body_that_trickles_is_cut_off(service: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.service.limits, "upload_seconds", 0.5)

    def trickle() -> Iterator[bytes]:
        for _ in range(20):
            time.sleep(0.1)
            yield b"x"

    refused(service.client.post("/v1/jobs", content=trickle(), headers={"content-type": "image/png"}), 408)


def test_a_worker_that_hangs_is_replaced(service: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = service.service.worker
    monkeypatch.setattr(worker, "silent_seconds", 0.5)
    os.kill(worker.pid, signal.SIGSTOP)  # type: ignore[arg-type]
    refused(service.client.post("/v1/deblur", files={"photo": jpeg(blurred())}), 500)
    monkeypatch.setattr(worker, "silent_seconds", 60)
    assert service.client.post("/v1/deblur", files={"photo": jpeg(blurred())}).status_code == 200


def test_too_many_connections_are_refused_and_do_not_stay() -> None:
    with served(connections=4) as service:
        lines = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(6)]
        assert httpx.get(f"{service.url}/healthz").status_code == 503
        for line in lines:
            line.close()
        service.wait_for(lambda: httpx.get(f"{service.url}/healthz").status_code == 200)


def test_paths_reach_nothing_else(service: Served) -> None:
    for path in (
        "/../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/app.py",
        "/../limits.py",
        "/v1/jobs/..%2f..%2fx",
    ):
        assert service.client.get(path).status_code == 404
    answer = service.client.post("/v1/deblur", files={"photo": ("../../../tmp/evil\r\nX: y.png", png(blurred()))})
    assert answer.status_code == 200
    assert "/" not in answer.headers["content-disposition"].partition("''")[2]
    assert not Path("/tmp/evil").exists()


def test_a_worker_that_crashes_costs_its_own_job() -> None:
    with served() as service:
        photo = jpeg(blurred(1200, 1600))
        first = service.client.post("/v1/jobs", files={"photo": photo}).json()["id"]
        second = service.client.post("/v1/jobs", files={"photo": jpeg(blurred())}).json()["id"]
        service.wait_for(lambda: service.service.jobs.running is not None and service.service.worker.pid is not None)
        time.sleep(0.2)
        os.kill(service.service.worker.pid, signal.SIGSEGV)  # type: ignore[arg-type]
        kind, data = followed(service, first)[-1]
        assert kind == "failed" and data["problem"]["status"] == 500
        assert followed(service, second)[-1][0] == "done"
        assert "allfocus_worker_deaths 1.0" in service.client.get("/metrics").text


def test_who_leaves_stops_the_job_and_who_cancels_too() -> None:
    with served(leave_seconds=0.1) as service:
        photo, small = jpeg(blurred(1500, 1500)), {"tile": str(SMALLEST_TILE)}
        jobs = service.service.jobs
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{service.url}/v1/deblur", files={"photo": photo}, data=small, timeout=0.5)
        service.wait_for(lambda: not jobs.known and jobs.running is None)
        id = service.client.post("/v1/jobs", files={"photo": photo}, data=small).json()["id"]
        assert service.client.delete(f"/v1/jobs/{id}").status_code == 204
        service.wait_for(lambda: not jobs.known and jobs.running is None)
        id = service.client.post("/v1/jobs", files={"photo": photo}, data=small).json()["id"]
        with service.client.stream("GET", f"/v1/jobs/{id}/events") as stream:
            next(stream.iter_lines())
        service.wait_for(lambda: jobs.known[id].over)
        assert jobs.known[id].state == "cancelled"
        service.wait_for(lambda: not service.files())


def test_a_full_queue_says_when_to_come_again() -> None:
    with served(queue=1, job_seconds=2.0) as service:
        photo = jpeg(blurred(2400, 2400))
        ids = [service.client.post("/v1/jobs", files={"photo": photo}).json()["id"] for _ in range(2)]
        answer = service.client.post("/v1/deblur", files={"photo": photo})
        refused(answer, 429)
        assert int(answer.headers["retry-after"]) >= 1
        kind, data = followed(service, ids[0])[-1]
        assert kind == "done" or data["problem"]["status"] == 504
        refused(service.client.get(f"/v1/jobs/{ids[1]}/result"), 409)


@pytest.mark.slow
def test_a_photo_that_takes_too_long_is_504() -> None:
    with served(job_seconds=0.3) as service:
        refused(service.client.post("/v1/deblur", files={"photo": jpeg(blurred(2000, 2000))}), 504)
        service.wait_for(lambda: not service.files())


def test_jobs_expire() -> None:
    with served(keep_seconds=0.2) as service:
        service.client.post("/v1/jobs", files={"photo": jpeg(blurred())})
        service.wait_for(lambda: bool(service.service.jobs.known))
        service.wait_for(lambda: not service.service.jobs.known)
        service.wait_for(lambda: not service.files())  # a job is forgotten before its folder is gone


def test_a_token_guards_everything_but_page_and_health() -> None:
    with served(token="0123456789abcdef") as service:
        with httpx.Client(base_url=service.url) as stranger:
            for path in ("/v1/models", "/metrics", "/openapi.json", "/docs"):
                refused(stranger.get(path), 401)
            refused(stranger.get("/v1/models", headers={"authorization": "Bearer 0123456789abcdeg"}), 401)
            assert stranger.get("/healthz").status_code == stranger.get("/").status_code == 200
        assert service.client.get("/v1/models").status_code == 200


@pytest.mark.slow
def test_memory_above_the_limit_starts_a_new_worker() -> None:
    with served(worker_bytes=1) as service:
        before = service.service.worker.replaced
        assert service.client.post("/v1/deblur", files={"photo": jpeg(blurred())}).status_code == 200
        service.wait_for(lambda: service.service.worker.replaced == before + 1)
        assert service.client.post("/v1/deblur", files={"photo": jpeg(blurred())}).status_code == 200


def test_eight_at_once_all_get_theirs(service: Served) -> None:
    answers: list[int] = []

    def ask() -> None:
        answers.append(httpx.post(f"{service.url}/v1/deblur", files={"photo": jpeg(blurred())}, timeout=60).status_code)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 8
