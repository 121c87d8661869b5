"""Is anything lost when the object store is killed in the middle of a batch and comes back?

    python benchmarks/batch_s3.py --data ../shared/data

Photos from and to S3 (moto's server). Writes the part `s3` of results/batch.json. A busy machine does no harm.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from allfocus.batch.journal import NAME
from batch_photos import DATA, command, hashes, make_photos
from batch_record import arguments, record

AWAY_S = 5.0
FORWARD = """
import asyncio, sys
async def serve(reader, writer):
    there, back = await asyncio.open_connection("127.0.0.1", int(sys.argv[2]))
    async def copy(source, target):
        try:
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        except ConnectionError:
            pass
        target.close()
    await asyncio.gather(copy(reader, back), copy(there, writer))
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


class Front:
    """The process through which moto's server is reached; it can be killed, and what is stored stays."""

    def __init__(self, behind: int) -> None:
        self.behind, self.port = behind, 0
        self.start()

    def start(self) -> None:
        """On the same port as before."""
        line = [sys.executable, "-c", FORWARD, str(self.port), str(self.behind)]
        self.process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def kill(self) -> None:
        """Every connection breaks off."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def s3(data: Path, megapixels: float, photos: int) -> dict[str, Any]:
    """Photos from and to S3 (moto's server); what answers is killed when a third is done, and away for five seconds."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    front = Front(server.get_host_and_port()[1])
    keys = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{front.port}", "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1",
    }  # fmt: skip
    os.environ.update(keys)
    with tempfile.TemporaryDirectory() as scratch:
        source, straight = make_photos(data, Path(scratch) / "in", megapixels, photos), Path(scratch) / "straight"
        subprocess.run(command(source, straight), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        expected = hashes(straight)
        client = boto3.client("s3")
        client.create_bucket(Bucket="lab")
        for path in source.rglob("*"):
            if path.is_file():
                client.upload_file(str(path), "lab", f"in/{path.relative_to(source)}")
        line = [sys.executable, "-m", "allfocus", "deblur", "s3://lab/in", "-o", "s3://lab/out"]
        variables = {**os.environ, "ALLFOCUS_CACHE": str(Path(scratch) / "cache")}
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=variables)
        assert process.stdout is not None
        for _ in range(len(expected) // 3):
            process.stdout.readline()
        front.kill()
        time.sleep(AWAY_S)
        front.start()
        process.communicate()
        listed = client.list_objects_v2(Bucket="lab", Prefix="out/")["Contents"]
        found = {
            name: hashlib.sha256(client.get_object(Bucket="lab", Key=entry["Key"])["Body"].read()).hexdigest()
            for entry in listed
            if (name := entry["Key"].removeprefix("out/")) != NAME
        }
        uploads = client.list_multipart_uploads(Bucket="lab").get("Uploads", [])
    front.kill()
    server.stop()
    return {
        "server": "moto", "photos": len(expected), "killed_after_photos": len(expected) // 3, "away_s": AWAY_S,
        "exit_status": process.returncode, "identical": found == expected,
        "missing": len(expected.keys() - found.keys()),
        "uploads_left_open": len(uploads),
    }  # fmt: skip


def main() -> None:
    """Measure."""
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--megapixels", type=float, default=100.0, help="leave out photos larger than a third of this")
    parser.add_argument("--photos", type=int, default=30)
    chosen = parser.parse_args()
    record("s3", lambda: s3(chosen.data, chosen.megapixels, chosen.photos), chosen.output)


if __name__ == "__main__":
    main()
