"""Which targets mean a file that is read, or each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from allfocus import targets
from allfocus.errors import OutputError
from allfocus.targets import Claims, check, check_unread, clashes, identity


def test_links_and_detours_mean_the_file(tmp_path: Path) -> None:
    real = tmp_path / "a.jpg"
    real.write_bytes(b"x")
    (tmp_path / "soft").symlink_to(real)
    (tmp_path / "hard").hardlink_to(real)
    (tmp_path / "copy").write_bytes(b"x")
    (tmp_path / "folder").symlink_to(tmp_path)
    for same in ("soft", "hard", "folder/a.jpg", "folder/../" + tmp_path.name + "/a.jpg"):
        assert identity(tmp_path / same) == identity(real), same
    assert identity(tmp_path / "copy") != identity(real)


def test_files_that_are_not_there_are_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").symlink_to(tmp_path)
    (tmp_path / "dangling").symlink_to(tmp_path / "new" / "b.jpg")
    assert identity(tmp_path / "folder" / "new" / "b.jpg") == identity(tmp_path / "new" / "b.jpg")
    assert identity(tmp_path / "dangling") == identity(tmp_path / "new" / "b.jpg")
    assert identity(tmp_path / "new" / "e\u0301.jpg") == identity(tmp_path / "new" / "\u00e9.jpg")
    assert identity(tmp_path / "new" / "B.jpg") != identity(tmp_path / "new" / "b.jpg")
    monkeypatch.setattr(targets, "_ignores_case", lambda folder: True)
    assert identity(tmp_path / "new" / "B.jpg") == identity(tmp_path / "new" / "b.jpg")
    assert identity("\0") == identity("\0") != identity(tmp_path / "b.jpg")
    assert identity("x" * 5000) != identity("y" * 5000)


def test_a_target_that_is_read_is_refused_whatever_it_is_called(tmp_path: Path) -> None:
    photo, link = tmp_path / "a.jpg", tmp_path / "link.jpg"
    photo.write_bytes(b"x")
    link.symlink_to(photo)
    with pytest.raises(OutputError, match=r"a\.jpg is the input itself; expected a target that is not an input"):
        check([photo], [photo])
    with pytest.raises(OutputError, match=r"link\.jpg is the same file as the input .*a\.jpg"):
        check([tmp_path / "b.jpg", link], [photo])
    check([tmp_path / "b.jpg", tmp_path / "c.jpg"], [photo])


def test_all_targets_of_a_photo_are_taken_or_none(tmp_path: Path) -> None:
    claims = Claims([])
    claims.take([tmp_path / "a"])
    with pytest.raises(OutputError, match="are the same file"):
        claims.take([tmp_path / "b", tmp_path / "a"])
    claims.take([tmp_path / "b"])
    with pytest.raises(OutputError, match="are the same file"):
        claims.take([tmp_path / "c", tmp_path / "c"])


def test_a_name_that_turns_out_to_be_an_earlier_result_is_refused(tmp_path: Path) -> None:
    """As on a disk that ignores case, which nothing tells beforehand."""
    claims = Claims([])
    claims.take([tmp_path / "A.jpg"])
    (tmp_path / "A.jpg").write_bytes(b"result")
    (tmp_path / "a.jpg").hardlink_to(tmp_path / "A.jpg")
    claims.add_written([tmp_path / "A.jpg"])
    with pytest.raises(OutputError, match="are the same file"):
        claims.take([tmp_path / "a.jpg"])


def test_clashes_tell_every_photo_that_is_concerned(tmp_path: Path) -> None:
    a, b, c = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    found = clashes([(a, [tmp_path / "x"]), (b, [tmp_path / "y"]), (c, [tmp_path / "z", tmp_path / "x"])])
    assert sorted(found) == [0, 2]
    assert f"{a} and {c}" in str(found[0])
    assert sorted(clashes([(a, [b]), (b, [tmp_path / "y"])])) == [0]
    assert sorted(clashes([(a, [tmp_path / "x", tmp_path / "x"])])) == [0]
    assert not clashes([(a, [tmp_path / "x"]), (b, [tmp_path / "y"])])


def test_names_of_one_result_are_allowed_where_asked_but_never_a_photo(tmp_path: Path) -> None:
    photo, one, two = (tmp_path / name for name in ("photo.png", "one.png", "two.png"))
    photo.write_bytes(b"photo")
    one.write_bytes(b"result")
    two.hardlink_to(one)
    check_unread([one, two], [photo])
    other = tmp_path / "other.png"
    other.hardlink_to(photo)
    with pytest.raises(OutputError, match="the same file as the input"):
        check_unread([one, other], [photo])
