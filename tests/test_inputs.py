"""From what a user typed to jobs."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allfocus.errors import InputError, OptionError, OutputError
from allfocus.inputs import PhotoJob, Plan, collect
from allfocus.ledger import Ledger


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_one_photo_goes_beside_itself_or_where_it_is_told(tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    touch(photo)
    assert collect([str(photo)], None).jobs == (PhotoJob(photo, tmp_path / "a.sharp.jpg"),)
    assert collect([str(photo)], tmp_path / "b.png").jobs == (PhotoJob(photo, tmp_path / "b.png"),)
    assert collect([str(photo)], tmp_path / "new").jobs == (PhotoJob(photo, tmp_path / "new" / "a.jpg"),)


def test_a_folder_keeps_its_shape_and_leaves_results_and_other_files_alone(tmp_path: Path) -> None:
    names = ("in/b/two.TIF", "in/one.png", "in/one.sharp.png", "in/one.compare.jpg", "in/notes.txt", "in/.hidden.png")
    touch(*(tmp_path / name for name in names))
    jobs = collect([str(tmp_path / "in")], tmp_path / "out").jobs
    assert [job.target.relative_to(tmp_path).as_posix() for job in jobs] == ["out/b/two.TIF", "out/one.png"]


def test_globs_and_repeats(tmp_path: Path) -> None:
    touch(tmp_path / "1.png", tmp_path / "2.png")
    pattern = str(tmp_path / "*.png")
    assert len(collect([pattern, pattern, str(tmp_path / "1.png")], None).jobs) == 2


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
    plan = collect(inputs, tmp_path / "out")
    assert not plan.jobs
    assert [refused.source for refused in plan.refused] == [Path(text) for text in inputs]
    assert all("two photos for" in str(refused.error) for refused in plan.refused)


def names(plan: Plan, folder: Path) -> list[list[str]]:
    return [[path.relative_to(folder).as_posix() for path in job.writes] for job in plan.jobs]


def test_a_photo_is_never_its_own_target_under_any_name(tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    touch(photo)
    (tmp_path / "soft.jpg").symlink_to(photo)
    (tmp_path / "hard.jpg").hardlink_to(photo)
    for name in ("a.jpg", "soft.jpg", "hard.jpg", "../" + tmp_path.name + "/a.jpg"):
        with pytest.raises(OutputError, match=r"the input itself|the same file as the input"):
            collect([str(photo)], tmp_path / name)


def test_an_output_folder_that_is_the_input_folder_refuses_every_photo(tmp_path: Path) -> None:
    touch(tmp_path / "in" / "a.jpg", tmp_path / "in" / "deep" / "b.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    for output in ("in", "link"):
        plan = collect([str(tmp_path / "in")], tmp_path / output)
        assert not plan.jobs
        assert len(plan.refused) == 2


def test_a_target_that_is_another_input_of_the_run_is_refused_and_the_rest_goes_on(tmp_path: Path) -> None:
    touch(tmp_path / "in" / "a.jpg", tmp_path / "in" / "sub" / "a.jpg")
    plan = collect([str(tmp_path / "in")], tmp_path / "in" / "sub")
    assert names(plan, tmp_path) == [["in/sub/sub/a.jpg"]]
    assert [refused.source.relative_to(tmp_path).as_posix() for refused in plan.refused] == ["in/a.jpg"]


def test_photos_that_differ_in_their_ending_have_side_files_of_their_own(tmp_path: Path) -> None:
    touch(tmp_path / "one.jpg", tmp_path / "one.png", tmp_path / "two.png")
    plan = collect([str(tmp_path)], tmp_path / "out", map=True, compare=True)
    assert names(plan, tmp_path / "out") == [
        ["one.jpg", "one.jpg.map.tiff", "one.jpg.map.png", "one.jpg.compare.jpg"],
        ["one.png", "one.png.map.tiff", "one.png.map.png", "one.png.compare.jpg"],
        ["two.png", "two.map.tiff", "two.map.png", "two.compare.jpg"],
    ]
    alone = collect([str(tmp_path / "one.png")], None, compare=True)  # the names do not depend on the run
    assert names(alone, tmp_path) == [["one.sharp.png", "one.png.compare.jpg"]]


def test_side_files_of_photos_from_two_folders_do_not_meet(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "one.jpg", tmp_path / "b" / "one.png")
    plan = collect([str(tmp_path / "a"), str(tmp_path / "b")], tmp_path / "out", compare=True)
    assert names(plan, tmp_path / "out") == [["one.jpg", "one.jpg.compare.jpg"], ["one.png", "one.png.compare.jpg"]]


def test_formats_that_are_not_written_keep_their_ending_beside_a_namesake(tmp_path: Path) -> None:
    touch(tmp_path / "a.heic", tmp_path / "a.jpg", tmp_path / "b.heic", tmp_path / "c.nef", tmp_path / "c.tif")
    plan = collect([str(tmp_path)], tmp_path / "out")
    assert names(plan, tmp_path / "out") == [["a.heic.jpg"], ["a.jpg"], ["b.jpg"], ["c.nef.tif"], ["c.tif"]]
    assert names(collect([str(tmp_path)], None), tmp_path)[0] == ["a.heic.sharp.jpg"]


def test_results_in_an_output_folder_inside_are_passed_over_and_said(tmp_path: Path) -> None:
    touch(tmp_path / "in" / "a.jpg", tmp_path / "in" / "out" / "a.jpg", tmp_path / "in" / "out" / "own.jpg")
    Ledger(tmp_path / "in" / "out").add("a.jpg")
    plan = collect([str(tmp_path / "in")], tmp_path / "in" / "out")
    assert [job.source.name for job in plan.jobs] == ["a.jpg", "own.jpg"]
    assert plan.passed_over == (f"passed over 1 result of allfocus, such as {tmp_path / 'in' / 'out' / 'a.jpg'}",)
    elsewhere = collect([str(tmp_path / "in")], None)
    assert [job.source.name for job in elsewhere.jobs] == ["a.jpg", "own.jpg"]


def test_pictures_of_formats_that_are_not_read_are_said(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg", tmp_path / "b.GIF", tmp_path / "c.txt", tmp_path / ".d.gif")
    plan = collect([str(tmp_path)], None)
    assert plan.passed_over[0].endswith(f"1 picture of a format that is not read, such as {tmp_path / 'b.GIF'}")


def test_what_a_shell_names_in_a_second_run_leaves_results_alone(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg", tmp_path / "a.sharp.jpg", tmp_path / "b.sharp.jpg")
    plan = collect([str(path) for path in sorted(tmp_path.iterdir())], None)
    assert [job.source.name for job in plan.jobs] == ["a.jpg", "b.sharp.jpg"]
    assert "a.sharp.jpg" in plan.passed_over[0]
    assert len(collect([str(tmp_path / "a.sharp.jpg")], None).jobs) == 1  # asked for by name


def test_hidden_folders_are_passed_over_unless_they_are_named(tmp_path: Path) -> None:
    touch(tmp_path / "in" / "a.jpg", tmp_path / "in" / ".trash" / "b.jpg")
    plan = collect([str(tmp_path / "in")], None)
    assert [job.source.name for job in plan.jobs] == ["a.jpg"]
    assert "1 hidden folders" in plan.passed_over[0]
    assert [job.source.name for job in collect([str(tmp_path / "in" / ".trash")], None).jobs] == ["b.jpg"]


def test_a_folder_that_cannot_be_entered_is_one_refusal_among_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "in" / "a.jpg", tmp_path / "in" / "closed" / "b.jpg")
    scandir = os.scandir

    def closed(path: Any) -> Any:
        if Path(path).name == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    plan = collect([str(tmp_path / "in")], None)
    assert [job.source.name for job in plan.jobs] == ["a.jpg"]
    assert "closed cannot be read (Permission denied)" in str(plan.refused[0].error)


def test_one_bad_argument_does_not_stop_the_others(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg")
    (tmp_path / "empty").mkdir()
    bad = ["x" * 5000, str(tmp_path / "gone.jpg"), "", str(tmp_path / "empty")]
    plan = collect([*bad, str(tmp_path / "a.jpg")], None)
    assert [job.source.name for job in plan.jobs] == ["a.jpg"]
    said = [str(refused.error) for refused in plan.refused]
    assert "cannot be read (File name too long)" in said[0]
    assert "gone.jpg does not exist" in said[1]
    assert "an empty name" in said[2]
    assert "no photo in the folder" in said[3]


def test_an_empty_name_is_not_the_folder_one_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    touch(tmp_path / "a.jpg")
    with pytest.raises(InputError, match="an empty name"):
        collect([""], None)


@pytest.mark.parametrize("output", ["q.bmp", "q.gif", "q.foo", ""])
def test_an_output_with_an_ending_that_is_not_written_is_refused(tmp_path: Path, output: str) -> None:
    touch(tmp_path / "a.jpg")
    with pytest.raises(OptionError, match=r"-o"):
        collect([str(tmp_path / "a.jpg")], f"{tmp_path}/{output}" if output else output)


def test_a_slash_at_the_end_or_a_folder_that_is_there_is_a_folder(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg")
    (tmp_path / "there.jpg").mkdir()
    for output in ("q.bmp/", "v1.5", "there.jpg", "plain"):
        plan = collect([str(tmp_path / "a.jpg")], f"{tmp_path}/{output}")
        assert plan.jobs[0].target == tmp_path / output.rstrip("/") / "a.jpg"


def test_names_that_are_not_unicode_are_names(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.jpg"))
    touch(path)
    assert collect([str(tmp_path)], None).jobs[0].source == path


photo_names = st.tuples(
    st.sampled_from(["a", "A", "b", "a.heic", "a.jpg", "é", "e\u0301"]),
    st.sampled_from([".jpg", ".JPG", ".png", ".heic", ".nef", ".tif"]),
).map("".join)


@given(
    tree=st.sets(st.tuples(st.sampled_from(["", "x", "x/y", "out"]), photo_names), min_size=1, max_size=8),
    inputs=st.lists(st.sampled_from(["", "x", "out"]), min_size=1, max_size=2),
    output=st.sampled_from([None, "out", "", "x", "new"]),
    map=st.booleans(),
    compare=st.booleans(),
)
@settings(max_examples=40)
def test_no_plan_writes_over_an_input_or_twice(
    tmp_path_factory: pytest.TempPathFactory,
    tree: set[tuple[str, str]],
    inputs: list[str],
    output: str | None,
    map: bool,
    compare: bool,
) -> None:
    root = tmp_path_factory.mktemp("tree")
    touch(*(root / folder / name for folder, name in tree))
    try:
        plan = collect(
            [str(root / one) for one in inputs], None if output is None else root / output, map=map, compare=compare
        )
    except (InputError, OptionError):
        return
    writes = [path.resolve() for job in plan.jobs for path in job.writes]
    assert len(set(writes)) == len(writes)
    read = {path for one in inputs for path in (root / one).rglob("*") if path.is_file()}
    assert not set(writes) & {path.resolve() for path in read}
    assert read <= {job.source for job in plan.jobs} | {refused.source for refused in plan.refused}
