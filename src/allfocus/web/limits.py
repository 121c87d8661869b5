"""All limits of the service, each an environment variable."""

from __future__ import annotations

from ipaddress import ip_address

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from allfocus.errors import OptionError

MIB = 2**20


class Limits(BaseSettings):
    """Settings of the service; ALLFOCUS_SERVE_BODY_BYTES and the like override the defaults."""

    model_config = SettingsConfigDict(env_prefix="ALLFOCUS_SERVE_", extra="forbid")

    body_bytes: int = Field(default=256 * MIB, gt=0, description="Largest request body.")
    pixels: int = Field(default=120_000_000, gt=0, description="Largest photo, by its header, before it is decoded.")
    queue: int = Field(default=8, ge=1, description="Photos that may wait, besides the one being processed.")
    upload_seconds: float = Field(default=300, gt=0, description="Time for a whole request body.")
    idle_seconds: float = Field(default=20, gt=0, description="Longest silence of a client inside its request.")
    reader_seconds: float = Field(
        default=60, gt=0, description="A client that reads nothing of its answer for this long is disconnected."
    )
    job_seconds: float = Field(default=900, gt=0, description="Time for one photo, from start to result.")
    silent_seconds: float = Field(default=180, gt=0, description="A worker that is silent for this long is replaced.")
    keep_seconds: float = Field(default=900, gt=0, description="How long a finished job can be fetched.")
    leave_seconds: float = Field(default=15, gt=0, description="How long a job runs on after its listener has left.")
    drain_seconds: float = Field(
        default=60, ge=0, description="After SIGTERM: time for the current photo to finish and be fetched."
    )
    stored_bytes: int = Field(default=4096 * MIB, gt=0, description="Disk for uploads and results, all together.")
    worker_bytes: int = Field(
        default=3072 * MIB, gt=0, description="A worker that holds more memory after a photo is replaced."
    )
    connections: int = Field(default=64, ge=1, description="Connections at a time.")
    token: SecretStr | None = Field(
        default=None, description="Token that clients must send as Authorization: Bearer TOKEN."
    )


LEAST_TOKEN = 16


def check_reach(host: str, token: SecretStr | None) -> None:
    """Refuse to listen beyond this machine without a token, and a token that is easily guessed.

    Raises:
        OptionError: so it is.
    """
    if token is not None and len(token.get_secret_value()) < LEAST_TOKEN:
        raise OptionError(
            f"a token of {len(token.get_secret_value())} characters",
            f"at least {LEAST_TOKEN}",
            'python -c "import secrets; print(secrets.token_urlsafe(24))"',
        )
    if token is None and not is_loopback(host):
        raise OptionError(
            f"listening on {host} without a token",
            "a token, because other machines can reach that address",
            "ALLFOCUS_SERVE_TOKEN=... allfocus serve --host ..., or --host 127.0.0.1",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
