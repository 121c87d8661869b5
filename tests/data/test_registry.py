"""Every registered data set refuses what is not its layout in the same way."""

from __future__ import annotations

from pathlib import Path

import pytest

from allfocus.data.registry import LOADERS, load
from allfocus.errors import DataError, OptionError

MADE_WHEN_MISSING = {"syndp"}


@pytest.mark.parametrize("name", LOADERS.keys() - MADE_WHEN_MISSING)
def test_an_empty_or_missing_folder_is_refused_with_its_name(name: str, tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "missing"):
        with pytest.raises(DataError, match=tmp_path.name) as refused:
            load(name, root)
        assert refused.value.expected and refused.value.hint


def test_an_unknown_set_is_refused() -> None:
    with pytest.raises(OptionError, match="no data set is called 'kodak'; expected one of dpdd, realdof"):
        load("kodak", Path())
