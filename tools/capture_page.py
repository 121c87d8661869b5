"""Writes the figures in docs/capture.md from what the benchmarks wrote: `python tools/capture_page.py`."""

from __future__ import annotations

from page import main, stored


def figures() -> list[str]:
    """A line for each question that has been measured."""
    lines = []
    one = stored("results/capture_session.json")
    if one:
        lines += [
            f"* **Simulated session** ({one['good_pairs']} good pairs; shift to 40 px, 2 degrees, 3 %, one stop, "
            f"colour cast, blur to 12 px, noise): registration "
            f"error {one['registration_median_px']:.2f} px in the median, "
            f"{one['registration_95_px']:.2f} px for 95 %; colour error "
            f"{one['colour_levels_of_255_mean']:.1f} levels of 255 "
            f"in focus (largest of a pair {one['colour_levels_of_255_largest']:.1f}).",
            f"* **The gate**: {one['faulty_with_right_reason_first']} of {one['faulty_pairs']} planted "
            f"faults were refused "
            f"for the right reason, {one['good_rejected']} of {one['good_pairs']} good pairs were refused.",
        ]
    one = stored("results/capture_stacks.json")
    if one:
        told = ", ".join(f"{row['psnr_away_from_edges']:.1f} dB ({row['frames']} frames)" for row in one["stacks"])
        lines.append(f"* **Focus stacks**, simulated, against the truth away from depth edges: {told}.")
    one = stored("results/capture_real.json")
    if one:
        half, tenth, over = one["median"], one["ninth_decile"], one["median_of_photos"]
        lines.append(
            f"* **{one['photos']} real pairs** (DPDD test scenes at 61 %) are "
            f"misaligned by {half['px']:.2f} px in the median "
            f"of {one['windows']} windows (standard error {half['error_px']:.2f} px, from disjoint halves "
            f"of windows), a tenth by more than {tenth['px']:.2f} px ({tenth['error_px']:.2f}); photo by photo "
            f"{over['px']:.2f} px ({over['error_px']:.2f}, from halves of the photos). After registration "
            f"{one['median_after_registration_px']:.2f} px are left. Each of {len(one['planted'])} planted warps is "
            f"found again on every photo, within {one['planted_miss_largest_px']:.2f} px."
        )
    one = stored("results/capture_walk.json")
    if one:
        title, scores = next((title, scores) for title, scores in one["gain"].items() if "psnr_fit_gain" in scores)
        lines.append(
            f"* **The walk-through** with {one['steps']} steps on {one['scenes']['train']} simulated pairs: "
            f"{scores['psnr_fit_gain']:+.2f}{_error(scores)} dB of PSNR-fit over `ifan-fast` "
            f"({title}; {scores['scenes_better']:.0f} better)."
        )
    return lines


def _error(scores: dict[str, float]) -> str:
    return f" ± {scores['psnr_fit_gain_error']:.2f}" if "psnr_fit_gain_error" in scores else ""


if __name__ == "__main__":
    main("docs/capture.md", {"capture": figures}, __doc__)
