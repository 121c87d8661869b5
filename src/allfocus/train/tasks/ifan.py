"""IFAN, its fast and dual members and its ablations, taught by the paper's three losses and some of our own."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from allfocus.data.batch import Batch
from allfocus.errors import OptionError
from allfocus.metrics.lpips import LPIPS
from allfocus.nets.ifan import IFAN, FilterHead
from allfocus.nets.reblur import ReblurringNetwork
from allfocus.nets.registry import Architecture
from allfocus.train.config import LossWeights
from allfocus.train.losses import DISTANCES, fourier, perceptual, reblurred, supervised_disparity, warped_views
from allfocus.train.tasks.deblurring import Deblurring

TAUGHT = {"disparity": "disparity_estimator", "warp": "disparity_estimator", "reblur": "filter_head"}
"""What a network must have to be taught by a term."""
QUIET = 1e-2
CLOSED_BELOW = 0.1
"""Mean size of the centre taps' biases below which 2N passes leave nothing."""


class IFANTask(Deblurring):
    """An IFAN and, if the reblurring loss counts, its reblurring network.

    Args:
        architecture: which member of the family.
        loss: weights of the terms; 0 takes a term and what it needs away.
        residual_gain: scale of the last convolution's initial weights.
        identity_filters: let every predicted filter start as the identity, also in weights that pass nothing on.

    Raises:
        OptionError: a term that this network cannot be taught by.
    """

    net: IFAN

    def __init__(
        self,
        architecture: Architecture,
        loss: LossWeights,
        residual_gain: float = 1.0,
        identity_filters: bool = False,
    ) -> None:
        super().__init__()
        self.net = architecture.build(residual_gain)
        self.identity_filters = identity_filters and hasattr(self.net, "filter_head")
        if self.identity_filters:
            open_filters(self.net.filter_head)
        self.loss, self.views = loss, self.net.views
        self._check()
        self.reblurring = architecture.build_reblurring(loss.reblurring_iterations) if loss.reblur else None
        if self.reblurring is not None and self.identity_filters:
            quieten(self.reblurring)
        views = {"left", "right"} if loss.warp or self.net.views == 2 else set()
        self.needs = frozenset(views | ({"coc"} if loss.disparity else set()))

    def filled(self) -> None:
        """Weights whose filters pass nothing on, as those trained from the paper's start, have them opened."""
        if self.identity_filters and are_closed(self.net.filter_head):
            open_filters(self.net.filter_head)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Task.forward`; the disparity of the right view, not of the photo, warps the views of a one-view net."""
        loss, pair = self.loss, self._pair(batch)
        output = self.net(batch.centre, pair, **({} if self.reblurring is None else {"return_filters": True}))
        terms = {"deblur": DISTANCES[loss.distance](output.sharp.float(), batch.sharp)}
        if loss.fourier:
            terms["fourier"] = fourier(output.sharp.float(), batch.sharp)
        if loss.perceptual:
            terms["perceptual"] = perceptual(self._lpips, output.sharp.float(), batch.sharp)
        of_views = self._of_right_view(batch) if pair is None else output.disparity
        if loss.warp and of_views is not None and batch.right is not None and batch.left is not None:
            terms["warp"] = warped_views(of_views.float(), batch.left, batch.right)
        if loss.disparity and batch.coc is not None:
            of_photo = output.disparity if pair is None else None
            terms["disparity"] = self._supervised(batch.coc, of_photo, of_views)
        if self.reblurring is not None:
            terms["reblur"] = reblurred(self.reblurring, output.filters, batch.sharp, batch.centre)
        return terms

    def sharpen(self, net: IFAN, batch: Batch) -> Tensor:
        """See `Deblurring.sharpen`."""
        return net(batch.centre, self._pair(batch)).sharp

    @functools.cached_property
    def _lpips(self) -> LPIPS:
        """Read at the first step, not where a finished run is released."""
        return LPIPS(device=str(next(self.net.parameters()).device))

    def _of_right_view(self, batch: Batch) -> Tensor | None:
        """As the paper has it for the warp loss; where that is off, views are ignored."""
        return self.net.estimate_disparity(batch.right) if self.loss.warp and batch.right is not None else None

    def _supervised(self, coc_px: Tensor, of_photo: Tensor | None, of_views: Tensor | None) -> Tensor:
        """The mean over what was estimated from the photo and from dual-pixel views."""
        estimates = [(one, sided) for one, sided in ((of_photo, False), (of_views, True)) if one is not None]
        errors = [supervised_disparity(one.float(), coc_px, self.net.multiple, sided=sided) for one, sided in estimates]
        return torch.stack(errors).mean()

    def _pair(self, batch: Batch) -> Tensor | None:
        if self.net.views == 1 or batch.left is None or batch.right is None:
            return None
        return torch.cat([batch.right, batch.left], dim=1)

    def _check(self) -> None:
        for term, module in TAUGHT.items():
            if getattr(self.loss, term) and not hasattr(self.net, module):
                raise OptionError(
                    f"loss.{term} for {type(self.net).__name__}, which has no {module.replace('_', ' ')}",
                    "loss terms that this network supports",
                    f"--set loss.{term}=0",
                )


@torch.no_grad()
def open_filters(head: FilterHead) -> None:
    """Let every predicted filter start as the identity: [0, 1, 0] plus what the fresh weights predict.

    From the paper's initialisation the taps are near 0 and 2N passes multiply the deepest features by nothing: it takes
    many thousand steps until a gradient comes through.
    """
    for taps in _tap_biases(head):
        taps[:, taps.shape[1] // 2] = 1.0


@torch.no_grad()
def quieten(reblurring: ReblurringNetwork) -> None:
    """Let the blurring filters start near 0: seen through open filters they start above 1, and 2N passes explode."""
    reblurring.project.weight.mul_(QUIET)


@torch.no_grad()
def are_closed(head: FilterHead) -> bool:
    """Whether the predicted filters shrink what passes through them to nothing: no centre tap is near 1 by itself."""
    return all(float(taps[:, taps.shape[1] // 2].abs().mean()) < CLOSED_BELOW for taps in _tap_biases(head))


def _tap_biases(head: FilterHead) -> list[Tensor]:
    """Views of the biases of every 1-D filter: 2N of (C, taps)."""
    bias = head.project.bias
    assert bias is not None  # the head is built with one
    layout = head.layout
    rows = [part(n) for n in range(layout.iterations) for part in (layout.vertical, layout.horizontal)]
    return [bias[one].view(layout.channels, -1) for one in rows]
