"""Limits: environment variables, and who may be listened to."""

from __future__ import annotations

import pytest
from pydantic import SecretStr, ValidationError

from allfocus.errors import OptionError
from allfocus.web.limits import Limits, check_reach, is_loopback


def test_variables_override_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLFOCUS_SERVE_QUEUE", "3")
    assert Limits().queue == 3  # type: ignore[call-arg]
    monkeypatch.setenv("ALLFOCUS_SERVE_QUEUE", "0")
    with pytest.raises(ValidationError):
        Limits()  # type: ignore[call-arg]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.8.9.1"])
def test_loopback_needs_no_token(host: str) -> None:
    assert is_loopback(host)
    check_reach(host, None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org", ""])
def test_elsewhere_needs_a_token(host: str) -> None:
    with pytest.raises(OptionError, match="without a token"):
        check_reach(host, None)
    check_reach(host, SecretStr("a" * 16))
    with pytest.raises(OptionError, match="15 characters"):
        check_reach(host, SecretStr("a" * 15))
