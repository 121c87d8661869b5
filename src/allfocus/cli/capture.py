"""`allfocus capture`: pairs for training from two folders of photos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

capture_app = typer.Typer(help="Make training and evaluation pairs from your own photos.", no_args_is_help=True)


Pairing = Annotated[str, typer.Option(help="How photos are paired: auto, name, time or order.")]
Pattern = Annotated[str | None, typer.Option(help="Regular expression with one group, for --pair name.")]


@capture_app.command("make")
def make_command(
    wide: Annotated[Path, typer.Argument(help="Folder of photos with a wide aperture: the blurred ones.")],
    narrow: Annotated[Path, typer.Argument(help="Folder of photos with a narrow aperture: the sharp ones.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the data set.")],
    pair: Pairing = "auto",
    pattern: Pattern = None,
    mirrored: Annotated[
        bool | None,
        typer.Option("--mirrored/--not-mirrored", help="Whether the sharp view is mirrored; detected if not given."),
    ] = None,
    rig: Annotated[Path | None, typer.Option(help="Rig file made by `allfocus capture calibrate`.")] = None,
    flow: Annotated[float, typer.Option(min=0, help="Also allow a smooth displacement of up to so many px.")] = 0.0,
    layout: Annotated[str, typer.Option(help="dpdd (train, val, test) or realdof (test only).")] = "dpdd",
    val: Annotated[float, typer.Option(help="Share of scenes for validation.")] = 0.15,
    test: Annotated[float, typer.Option(help="Share of scenes for testing.")] = 0.15,
    scene: Annotated[
        str | None, typer.Option(help="Regular expression whose group is the scene in a file name.")
    ] = None,
    bits: Annotated[int, typer.Option(help="Bit depth of the output: 8 or 16.")] = 8,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
) -> None:
    """Align pairs, match their colours, reject bad ones, and write a data set; an interrupted run resumes."""
    from allfocus.capture.calibration import Rig
    from allfocus.capture.dataset import Split
    from allfocus.capture.pair import PairOptions
    from allfocus.capture.pairing import pair_up
    from allfocus.capture.session import Session, run
    from allfocus.targets import check_apart

    for folder in (wide, narrow):
        check_apart(output, folder)
    options = PairOptions(mirrored, flow, rig=None if rig is None else Rig.read(rig))
    session = Session(output, options, layout, Split(val, test, scene), bits, jobs)
    shots = pair_up(wide, narrow, pair, pattern)
    accepted = 0
    for step in run(shots, session):
        reasons = "; ".join(step.record["reasons"])
        accepted += not reasons
        kept = " (kept)" if step.kept else ""
        print(f"{step.done}/{step.total} {step.record['name']}: {reasons or 'good'}{kept}", flush=True)
    print(f"{accepted} of {len(shots)} pairs pass the gate; look at {output / 'report.html'}")


@capture_app.command("demo")
def demo_command(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the session: wide/, narrow/, truth/.")],
    good: Annotated[int, typer.Option(min=0, help="Number of good pairs.")] = 12,
    faults: Annotated[bool, typer.Option("--faults/--no-faults", help="Add one pair with each fault.")] = True,
    photos: Annotated[Path | None, typer.Option(help="Sharp photos for the scenes; drawn if not given.")] = None,
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT of the photos in px.")] = "384x320",
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
) -> None:
    """Simulate a small session of two cameras, with ground truth."""
    from allfocus.capture.demo import FAULTS, make_demo
    from allfocus.errors import OptionError

    width, cross, height = size.partition("x")
    if not cross or not (width.isdigit() and height.isdigit()) or min(int(width), int(height)) < 128:
        raise OptionError(f"--size {size}", "WIDTHxHEIGHT of at least 128 px each", "--size 384x320")
    planted = tuple(FAULTS) if faults else ()
    scenes = make_demo(output, good, planted, (int(height), int(width)), seed, photos)
    print(f"{len(scenes)} scenes, {len(planted)} of them faulty, in {output}; next:")
    print(f"allfocus capture make {output / 'wide'} {output / 'narrow'} -o PAIRS")


@capture_app.command("stack")
def stack_command(
    frames: Annotated[Path, typer.Argument(help="Folder of photos of one still scene at different focus.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The all-in-focus picture: PNG.")],
    first: Annotated[
        Path | None, typer.Option(help="Also write the first frame, cropped alike: the blurred view of a pair.")
    ] = None,
    bits: Annotated[int, typer.Option(help="Bit depth: 8 or 16.")] = 16,
) -> None:
    """Fuse a focus stack into one all-in-focus picture, aligned with its first frame."""
    from allfocus.capture.focus_stack import fuse_files

    fused = fuse_files(frames, output, bits, first)
    print(f"{output}: {len(fused.warps)} frames, largest move {fused.largest_move_px:.1f} px")


@capture_app.command("calibrate")
def calibrate_command(
    wide: Annotated[Path, typer.Argument(help="Photos of the board by the wide-aperture camera.")],
    narrow: Annotated[Path, typer.Argument(help="Photos of the board by the other camera.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Rig file to write (JSON).")],
    board: Annotated[str, typer.Option(help="COLUMNSxROWS inner corners, or charuco:COLUMNSxROWS squares.")] = "9x6",
    mirrored: Annotated[
        bool, typer.Option("--mirrored/--not-mirrored", help="One view is mirrored, as by a beam splitter.")
    ] = True,
    pair: Pairing = "auto",
    pattern: Pattern = None,
) -> None:
    """Calibrate a rig of two cameras: distortion, flip, and the homography between the views."""
    from allfocus.capture.calibration import Board, calibrate
    from allfocus.capture.pairing import pair_up

    rig = calibrate(pair_up(wide, narrow, pair, pattern), Board.parse(board), mirrored)
    rig.write(output)
    print(f"{output}: {rig.shots} boards; corners of the two views differ by {rig.residual_px:.2f} px in the median, "
          f"95 % by less than {rig.residual_95_px:.2f} px")  # fmt: skip
    for name, camera in (("wide", rig.source), ("narrow", rig.target)):
        print(f"{name}: corners fit to {camera.misfit_px:.2f} px, distortion {camera.distortion[0]:+.4f}")


@capture_app.command("compare")
def compare_command(
    results: Annotated[Path, typer.Argument(help="Folder RESULTS/SET of `allfocus eval` with both models.")],
    before: Annotated[str, typer.Option(help="Model before training.")] = "ifan-fast",
    after: Annotated[str, typer.Option(help="Model after training.")] = "mine",
    card: Annotated[Path | None, typer.Option(help="Card (NAME.json) to record the comparison in.")] = None,
) -> None:
    """Compare two models on held-out scenes, and record the gain in the card."""
    from dataclasses import replace

    from allfocus.capture.gain import gain

    found = gain(results, before, after)
    for name, value in found.after.items():
        error = f" +- {found.error[name]:.4f}" if name in found.error else ""
        gained = f"{value - found.before[name]:+.4f}{error}"
        print(f"{name}: {before} {found.before[name]:.4f}, {after} {value:.4f}, gain {gained}")
    print(f"{found.better} of {found.images} held-out scenes are better")
    if card is not None:
        from allfocus.weights.card import Card

        old = Card.read(card)
        replace(old, scores={**old.scores, **found.scores(before)}).write(card)
        print(f"written into {card}")
