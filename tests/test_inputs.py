"""From what a user typed to jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from allfocus.errors import InputError, OptionError
from allfocus.inputs import Job, collect


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_one_photo_goes_beside_itself_or_where_it_is_told(tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    touch(photo)
    assert collect([str(photo)], None) == [Job(photo, tmp_path / "a.sharp.jpg")]
    assert collect([str(photo)], tmp_path / "b.png") == [Job(photo, tmp_path / "b.png")]
    assert collect([str(photo)], tmp_path / "new") == [Job(photo, tmp_path / "new" / "a.jpg")]


def test_a_folder_keeps_its_shape_and_leaves_results_and_other_files_alone(tmp_path: Path) -> None:
    names = ("in/b/two.TIF", "in/one.png", "in/one.sharp.png", "in/one.compare.jpg", "in/notes.txt", "in/.hidden.png")
    touch(*(tmp_path / name for name in names))
    jobs = collect([str(tmp_path / "in")], tmp_path / "out")
    assert [job.target.relative_to(tmp_path).as_posix() for job in jobs] == ["out/b/two.TIF", "out/one.png"]


def test_globs_and_repeats(tmp_path: Path) -> None:
    touch(tmp_path / "1.png", tmp_path / "2.png")
    pattern = str(tmp_path / "*.png")
    assert len(collect([pattern, pattern, str(tmp_path / "1.png")], None)) == 2


@pytest.mark.parametrize(
    ("names", "arguments", "output", "told"),
    [
        ([], ["gone.jpg"], None, "gone.jpg does not exist; expected a photo, a folder or a glob"),
        (["in/a.txt"], ["in"], None, "no photo in the folder in; expected files ending in"),
    ],
)
def test_nothing_to_do_is_an_input_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], arguments: list[str], output: None, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    touch(*(tmp_path / name for name in names))
    with pytest.raises(InputError, match=told):
        collect(arguments, output)


def test_several_photos_into_one_file_or_one_name_are_refused(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "1.png", tmp_path / "b" / "1.png")
    inputs = [str(tmp_path / "a" / "1.png"), str(tmp_path / "b" / "1.png")]
    with pytest.raises(OptionError, match="2 photos for the one file"):
        collect(inputs, tmp_path / "out.png")
    with pytest.raises(OptionError, match="two photos for"):
        collect(inputs, tmp_path / "out")
