"""Names that clients give to files."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from allfocus.web.upload import NAME_CHARACTERS, harmless


@given(st.text())
@example("../../etc/passwd")
@example("C:\\photos\\a.jpg")
@example("a" * 5000 + ".jpg")
@example("\r\nSet-Cookie: a=b.jpg")
@example("....")
def test_names_are_harmless(name: str) -> None:
    kept = harmless(name)
    assert kept and len(kept) <= NAME_CHARACTERS + 11
    assert kept.isprintable()
    assert not set(kept) & set('/\\<>:"|?*%;')
    assert not kept.startswith(".")


def test_usual_names_are_kept() -> None:
    assert harmless("Été à la mer (1).JPG") == "Été à la mer (1).JPG"
