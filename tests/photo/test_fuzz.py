"""A short run of the fuzzer for each decoder, and all that longer runs have found."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from photo import fuzz

DECODERS = sorted({path.name.split("-")[0] for path in fuzz.corpus()})


@pytest.mark.parametrize("path", fuzz.corpus(), ids=lambda path: path.name)
def test_the_corpus_itself_is_restored(path: Path) -> None:
    assert fuzz.verdict(path.read_bytes(), allow_damaged=False) == "restored"


@pytest.mark.parametrize("decoder", DECODERS)
def test_damaged_files_are_restored_or_refused(decoder: str) -> None:
    outcomes = [
        fuzz.verdict(data, allow_damaged=number % 2 == 1)
        for number, (_, data) in enumerate(itertools.islice(fuzz.mutants(7, decoder), 120))
    ]
    assert set(outcomes) == {"restored", "refused"}


@pytest.mark.parametrize("path", sorted(fuzz.FINDINGS.glob("*-*")), ids=lambda path: path.name)
def test_what_was_found_once_stays_mended(path: Path) -> None:
    for allow_damaged in (False, True):
        assert fuzz.verdict(path.read_bytes(), allow_damaged) in ("restored", "refused")
