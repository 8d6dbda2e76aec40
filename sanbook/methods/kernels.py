"""Kernels that others have proposed, at any place and length: relatives of a multiscale SAN.

A shape comes at several lengths, `pursuit` finds where it describes a signal. None of the kernels
is learned: a receiver makes them too, so W is 0. Signals only. Axes as in `san_core`: B examples,
J kernels, n samples, m kernel size.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pywt
import torch
from torch import Tensor

from sanbook.methods.base import Method
from sanbook.scales.pursuit import Atoms, pursue


@dataclasses.dataclass(frozen=True)
class KernelPursuit(Method):
    """Kernels where a pursuit finds them, as many as each example needs.

    ``refit``: whether the pursuit is orthogonal. An entry costs its value, its place and, with
    ``scale_paid``, its kernel.
    """

    refit: bool = True
    scale_paid: bool = False

    def kernels(self, n: int) -> list[Tensor]:
        """The kernels ``(m,)`` for signals of n samples, of unit norm."""
        raise NotImplementedError

    def encode(self, x: Tensor) -> Tensor:
        """See `Method`; ``(B, J, n)``."""
        atoms = Atoms(self.kernels(x.shape[1]), x.shape[1])
        return pursue(atoms, x, cost=2 + self.scale_paid, refit=self.refit)

    def decode(self, code: Tensor, spatial: torch.Size) -> Tensor:
        """See `Method`."""
        return Atoms(self.kernels(*spatial), *spatial).decode(code).to(code.dtype)


@dataclasses.dataclass(frozen=True)
class ShiftInvariantWavelets(KernelPursuit):
    """A discrete wavelet at every level and the scaling function of the last, at any place.

    The kernels are what the coefficients of a stationary (undecimated) transform draw. PyWavelets.
    """

    wavelet: str = "haar"

    def kernels(self, n: int) -> list[Tensor]:
        """See `KernelPursuit`."""
        deepest = max(1, pywt.dwt_max_level(n, self.wavelet))
        shapes = [("d", level) for level in range(1, deepest + 1)] + [("a", deepest)]
        return [_unit(pywt.upcoef(part, [1.0], self.wavelet, level)) for part, level in shapes]


@dataclasses.dataclass(frozen=True)
class Gabor(KernelPursuit):
    """Gaussian windows, alone and with up to ``cycles`` of a cosine and of a sine inside.

    The window has the length of the kernel, 2.5 standard deviations to either side. What has more
    than half a cycle a sample is left out.
    """

    cycles: int = 1

    def kernels(self, n: int) -> list[Tensor]:
        """See `KernelPursuit`."""
        kernels = []
        for length in ladder(n):
            time = (np.arange(length) + 0.5) / length - 0.5  # -1/2 to 1/2
            window = np.exp(-0.5 * (5 * time) ** 2)
            kernels.append(_unit(window))
            for count in range(1, min(self.cycles, length // 2) + 1):
                phase = 2 * np.pi * count * time
                kernels += [_unit(window * np.cos(phase)), _unit(window * np.sin(phase))]
        return kernels


@dataclasses.dataclass(frozen=True)
class RandomKernels(KernelPursuit):
    """``shapes`` of 9 normal weights, each with straight lines between them at every length."""

    shapes: int = 2
    seed: int = 0

    def kernels(self, n: int) -> list[Tensor]:
        """See `KernelPursuit`."""
        weights = np.random.default_rng(self.seed).normal(size=(self.shapes, 9))
        return [
            _unit(np.interp(np.linspace(0, 8, length), np.arange(9), shape))
            for shape in weights
            for length in ladder(n)
        ]


def ladder(n: int) -> list[int]:
    """Lengths of 3 samples and more, all shorter than n, six an octave as in a multiscale SAN.

    >>> ladder(30)
    [3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 15, 17, 19, 21, 24, 27]
    """
    lengths = {round(3 * 2 ** (step / 6)) for step in range(6 * n.bit_length())}
    return sorted(length for length in lengths if length < n)


def _unit(kernel: np.ndarray) -> Tensor:
    """A kernel with norm 1, in single precision."""
    return torch.from_numpy(kernel / np.linalg.norm(kernel)).float()


# --- candidates -----------------------------------------------------------------------------------


def wavelet_pursuits(train: Tensor, seed: int, **options) -> Iterator[ShiftInvariantWavelets]:
    """Candidates of shift-invariant wavelets; nothing for images, as below."""
    if train.ndim == 2:
        for wavelet in ("db2", "sym4", "sym8", "bior2.2", "bior4.4"):
            yield ShiftInvariantWavelets(wavelet=wavelet, **options)


def gabor_pursuits(train: Tensor, seed: int, **options) -> Iterator[Gabor]:
    """Candidates of Gabor atoms."""
    if train.ndim == 2:
        for cycles in (1, 4):
            yield Gabor(cycles=cycles, **options)


def random_pursuits(train: Tensor, seed: int, **options) -> Iterator[RandomKernels]:
    """Random kernels."""
    if train.ndim == 2:
        yield RandomKernels(seed=seed, **options)
