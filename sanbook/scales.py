r"""A SAN with scales: few mother kernels, drawn at many lengths, found by a greedy pursuit.

Beyond the paper, along its outlook: transformations other than amplitude. A kernel of a SAN has one
size, and matches that overlap are not corrected for each other. Here every mother is drawn at a
ladder of lengths, and all lengths share its weights; `sanbook.pursuit` finds the activations, and
their amplitudes are fitted together.

The metric is the paper's, so phi can be compared. An activation costs 2 numbers by the paper's
count (amplitude and place; which map it lies on is free, as it is for the kernels of a SAN), or 3
with the length paid too.

Axes as in `san_core` (B examples, n samples), and

- ``q``: mothers; ``m``: weights of one mother; ``J``: lengths; ``I = q * J``: maps
- ``K``: activations of one example, in the order in which the pursuit took them
"""

import copy
import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from torch import Tensor, nn

from san_core import inverse_compression_ratio_from_counts, normalized_loss, phi
from sanbook import pursuit

# --- the network ----------------------------------------------------------------------------------


class ScaleSAN(nn.Module):
    r"""Mothers drawn at every length; activations found by orthogonal matching pursuit.

    .. math:: w_{ij} = \frac{R_j \, v_i}{\|R_j \, v_i\|}, \quad
              \hat{x} = \sum_{i, j} a_{ij} * w_{ij}

    ``v_i`` is a mother, ``R_j`` the fixed linear map that resamples it to the length ``j``. Decoding
    is that of `san_core.SAN`: cross-correlation, zeros beyond the borders, an even kernel reaching
    one sample further ahead. So ``a`` is ``(B, I, n)`` and the metric takes it as it is. Map
    ``i * J + j`` belongs to mother ``i`` at the ``j``-th length.

    Args:
        mothers: ``(q, m)``, finite; their norms do not matter.
        lengths: of the kernels, in samples, each at least 1 and none twice.
        cost: numbers that an activation costs where `encode` stops; 2, or 3 with the length paid.

    Raises:
        ValueError: an argument is none of those above.

    >>> model = ScaleSAN(torch.tensor([[1.0, 2.0, 1.0]]), lengths=[3, 7, 15])
    >>> x = torch.zeros(1, 60)
    >>> x[0, 20:35] = 5 * model.kernels()[2]
    >>> a = model.encode(x)  # (B, I, n)
    >>> a.nonzero().tolist(), a.sum().item(), model.num_weights
    ([[0, 2, 27]], 5.0, 3)
    """

    def __init__(self, mothers: Tensor, lengths: Sequence[int], cost: int = 2) -> None:
        super().__init__()
        if mothers.ndim != 2 or not mothers.numel() or not mothers.isfinite().all():
            raise ValueError(
                "mothers must be finite and (q, m), with at least one weight, but are "
                f"{tuple(mothers.shape)}:\n{mothers}"
            )
        lengths = [int(length) for length in lengths]
        if not lengths or min(lengths) < 1 or len(set(lengths)) < len(lengths):
            raise ValueError(
                f"lengths must be one or more different ones of at least 1 sample, but are {lengths}"
            )
        if cost not in (2, 3):
            raise ValueError(
                f"cost must be 2 (amplitude and place) or 3 (the length paid too), but is {cost}"
            )
        self.mothers = nn.Parameter(mothers.clone())
        self.lengths, self.cost = lengths, cost
        self._resamplings = [resampling(mothers.shape[1], length) for length in lengths]

    @property
    def num_weights(self) -> int:
        """``W = q * m``: all lengths share the weights of a mother."""
        return self.mothers.numel()

    def kernels(self) -> list[Tensor]:
        """The kernel ``(length,)`` of each map, of unit norm.

        Zeros where a mother vanishes at a length, such as an odd one at a single sample.
        """
        return self._kernels(self.mothers)

    def _kernels(self, mothers: Tensor) -> list[Tensor]:
        by_length = [
            F.normalize(mothers @ resample.to(mothers).T, dim=1) for resample in self._resamplings
        ]
        return [kernels[i] for i in range(len(mothers)) for kernels in by_length]

    def pursue(self, x: Tensor) -> list["Pursuit"]:
        """The pursuit of each example, ``(B, n)``; see `sanbook.pursuit.pursue`.

        ValueError if ``x`` has other axes, an example is shorter than the longest kernel, not
        finite, or zero everywhere.
        """
        self._check(x)
        n = x.shape[1]
        kernels = self._kernels(self.mothers.detach().double())
        atoms = pursuit.prepare([kernel.flip(0).numpy() for kernel in kernels], n)
        found = []
        for example in x.detach().double().numpy():
            path = pursuit.pursue(example, atoms, self.num_weights, self.cost)
            maps, places, losses = map(torch.from_numpy, path)
            counts = torch.arange(len(losses))
            found.append(Pursuit(maps, places, losses, self._phi(counts, losses, n)))
        return found

    def _phi(self, counts: Tensor, losses: Tensor, n: int) -> Tensor:
        inverse_cr = inverse_compression_ratio_from_counts(
            counts, self.num_weights, n, ndim=self.cost - 1
        )
        return phi(inverse_cr.to(losses), losses)

    def _check(self, x: Tensor) -> None:
        if x.ndim != 2 or x.shape[1] < max(self.lengths):
            raise ValueError(
                f"expected examples (B, n) with n at least {max(self.lengths)}, the longest "
                f"kernel, but the shape of x is {tuple(x.shape)}"
            )
        if not x.isfinite().all():
            raise ValueError("x must be finite, but has NaN or infinite samples")
        blank = (x == 0).all(dim=1).nonzero().flatten().tolist()
        if blank:
            raise ValueError(
                "phi, by which the pursuit stops, is undefined for an all-zero example: examples "
                f"{blank} of {len(x)} are zero everywhere; leave them out and say so"
            )

    def atoms(self, maps: Tensor, places: Tensor, n: int) -> Tensor:
        """What an activation of 1 draws on each map at each place, ``(K,), (K,) -> (K, n)``.

        Gradients flow to the mothers.
        """
        taps = torch.cat([kernel.flip(0) for kernel in self.kernels()])
        lengths = torch.tensor(self.lengths).repeat(len(self.mothers))  # (I,)
        first = lengths.cumsum(0) - lengths
        lengths, first = lengths[maps][:, None], first[maps][:, None]  # (K, 1)
        tap = torch.arange(n) - places[:, None] + lengths // 2  # (K, n)
        inside = (tap >= 0) & (tap < lengths)
        return torch.where(inside, taps[torch.where(inside, first + tap, 0)], 0.0)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Activation maps, ``(B, n) -> (B, I, n)``: those of the pursuit where phi is smallest.

        The encoder knows the example, so it may stop where it likes: what it sends is paid for, and
        the decoder need not know why. The amplitudes sent have the smallest absolute error, which
        is what phi counts (`refit`); the stop is chosen with those of the smallest squared error,
        which the pursuit has at every step. phi is never above that of sending nothing.

        An amplitude is that of the whole kernel, even where a border cuts the kernel off: `decode`
        needs no rule for borders, and the pursuit compares atoms by what is left of them.

        Every example is a pursuit of its own, whose time grows faster than its length: cut a long
        recording into windows, as the paper does, and the time is linear.
        """
        a = x.new_zeros(len(x), len(self.lengths) * len(self.mothers), x.shape[-1])
        for example, target, found in zip(a, x.double(), self.pursue(x), strict=True):
            maps, places = found.maps[: found.best], found.places[: found.best]
            drawn = self.atoms(maps, places, x.shape[1]).double()
            example[maps, places] = refit(drawn, target).to(a)
        return a

    def decode(self, a: Tensor) -> Tensor:
        """Sum of what the kernels draw, ``(B, I, n) -> (B, n)``.

        By FFT, since that takes as long for a long kernel as for a short one. ValueError if ``a``
        has other axes or not one map for each kernel.
        """
        kernels = self.kernels()
        if a.ndim != 3 or a.shape[1] != len(kernels):
            raise ValueError(
                f"expected activation maps (B, {len(kernels)}, n), one for each mother and length, "
                f"but the shape of a is {tuple(a.shape)}"
            )
        n = a.shape[2]
        size = next_fast_len(n + max(self.lengths), real=True)
        drawn = torch.stack(
            [F.pad(w.flip(0), (0, size - len(w))).roll(-(len(w) // 2)) for w in kernels]
        )
        spectrum = (torch.fft.rfft(a, size) * torch.fft.rfft(drawn)).sum(dim=1)
        return torch.fft.irfft(spectrum, size)[:, :n]

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruction of examples, ``(B, n) -> (B, n)``."""
        return self.decode(self.encode(x))


@dataclasses.dataclass(frozen=True)
class Pursuit:
    """The activations that a pursuit found, the first taken first.

    ``maps`` and ``places`` are ``(K,)``. ``losses`` and ``phis`` are ``(K + 1,)``: entry ``k`` is
    that of the first ``k`` activations with the amplitudes of the smallest squared error.
    """

    maps: Tensor
    places: Tensor
    losses: Tensor
    phis: Tensor

    @property
    def best(self) -> int:
        """The number of activations with the smallest phi."""
        return int(self.phis.argmin())


def resampling(m: int, length: int) -> Tensor:
    """The linear map from a mother to a kernel, ``(length, m)``, double precision.

    The weights stand ``(length + 1) / (m + 1)`` samples apart, with straight lines between them and
    down to zero one weight beyond each end. Where they are closer than samples, each sample is a
    mean of those around it, with weights that fall in a straight line to zero one sample away.

    >>> resampling(1, 3).T
    tensor([[0.5000, 1.0000, 0.5000]], dtype=torch.float64)
    """
    step = (length + 1) / (m + 1)
    samples = torch.arange(1, length + 1, dtype=torch.float64) / step - 1  # in units of weights
    distance = (samples[:, None] - torch.arange(m)).abs()
    return (1 - distance / max(1, 1 / step)).clamp(min=0)


REFITS = 8  # after which the loss is within a few tenths of a percent of its minimum


def refit(atoms: Tensor, x: Tensor, rounds: int = REFITS) -> Tensor:
    """Amplitudes of atoms whose sum has a small absolute error, ``(K, n), (n,) -> (K,)``.

    Iteratively reweighted least squares: a squared error, divided by the error before, is an
    absolute one. 0 rounds give the amplitudes of the smallest squared error, more never a larger
    absolute error than those. The atoms are linearly independent.
    """
    basis, triangle = torch.linalg.qr(atoms.T)  # (n, K), (K, K)
    parts = basis.T @ x
    best, smallest = parts, math.inf
    floor = 1e-3 * x.abs().mean()
    for last in [False] * rounds + [True]:
        error = (x - basis @ parts).abs()
        if error.sum() < smallest:
            best, smallest = parts, error.sum()
        if not last:
            weighted = basis / error.clamp(min=floor)[:, None]
            parts = torch.linalg.solve(weighted.T @ basis, weighted.T @ x)
    return torch.linalg.solve_triangular(triangle, best[:, None], upper=True)[:, 0]
