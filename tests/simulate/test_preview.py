"""The contact sheet of rendered samples."""

from __future__ import annotations

import numpy as np

from allfocus.simulate.preview import Exhibit, blur_colours, contact_sheet


def test_contact_sheet() -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.random((40, 40, 3)) for _ in range(4)]
    coc_px = np.linspace(-9.0, 9.0, 40)[None].repeat(40, axis=0)
    exhibit = Exhibit(*pictures, coc_px=coc_px, valid=np.ones((40, 40), bool), caption="SEED 1")
    sheet = contact_sheet([exhibit] * 3)
    assert sheet.shape[1] > 2 * 160 and sheet.shape[0] > 2 * 40
    colours = blur_colours(coc_px, exhibit.valid).astype(int)
    assert colours[0, -1, 0] > colours[0, -1, 2] and colours[0, 0, 2] > colours[0, 0, 0]
    assert colours[0, 20].max() < 40
