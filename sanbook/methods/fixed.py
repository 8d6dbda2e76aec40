"""Fixed methods, which learn nothing: DCT, wavelets, down-sampling and straight lines.

Where the number of entries is the only hyperparameter left, `Stepwise` tries all of them at once,
and each example can take its own. Axes as in `san_core`: B examples, n samples.
"""

import dataclasses
import functools
import warnings
from collections.abc import Callable, Iterable, Iterator

import numba
import numpy as np
import pywt
import scipy.fft
import scipy.sparse
import torch
import torch.nn.functional as F
from torch import Tensor

from sanbook.methods.base import EachCount, Method, Stepwise, kept_counts

# --- blocks: the last one is filled with the value at the border, as in JPEG ----------------------


def cut(x: Tensor, block: int) -> Tensor:
    """Blocks of examples, ``(B, *spatial) -> (B, *grid, *(block,) * ndim)``.

    >>> cut(torch.tensor([[1.0, 2.0, 3.0]]), block=2)
    tensor([[[1., 2.],
             [3., 3.]]])
    """
    ndim = x.ndim - 1
    room = [k for side in reversed(x.shape[1:]) for k in (0, -side % block)]
    blocks = F.pad(x[:, None], room, mode="replicate")[:, 0]
    for axis in range(1, 1 + ndim):
        blocks = blocks.unfold(axis, block, block)
    return blocks


def join(blocks: Tensor, spatial: torch.Size | None = None) -> Tensor:
    """Examples of blocks, the inverse of `cut`; all that the blocks cover if ``spatial`` is None.

    >>> join(torch.tensor([[[1.0, 2.0], [3.0, 3.0]]]), spatial=torch.Size([3]))
    tensor([[1., 2., 3.]])
    """
    ndim = (blocks.ndim - 1) // 2
    order = [0, *[axis for i in range(1, 1 + ndim) for axis in (i, i + ndim)]]
    sides = [blocks.shape[1 + i] * blocks.shape[1 + ndim + i] for i in range(ndim)]
    x = blocks.permute(order).reshape(len(blocks), *sides)
    return x[(slice(None), *[slice(side) for side in spatial or sides])]


# --- the largest coefficients of a linear transform -----------------------------------------------


@dataclasses.dataclass(frozen=True)
class LargestCoefficients(Stepwise):
    """The coefficients of largest magnitude of a linear transform, ties to the lower index."""

    def transform(self, x: Tensor) -> Tensor:
        """All coefficients of examples, ``(B, *spatial) -> (B, *places)``."""
        raise NotImplementedError

    def take(self, x: Tensor, steps: Tensor) -> Tensor:
        """See `Stepwise`; ``(B, 1, *places)``."""
        coefficients = self.transform(x)
        rank = _strongest_first(coefficients).argsort(dim=1)
        kept = (rank < steps[:, None]).view_as(coefficients)
        return torch.where(kept, coefficients, 0.0)[:, None]

    def path(self, x: Tensor, most: int) -> tuple[Tensor, Tensor]:
        """See `Stepwise`; the loss follows each coefficient's own drawing."""
        coefficients = self.transform(x)
        order = _strongest_first(coefficients)[:, :most]
        values = coefficients.flatten(1).gather(1, order)
        drawings = _drawings(dataclasses.replace(self, k=None, scale_paid=False), x.shape[1:])
        loss = _losses_along(
            x.flatten(1).double().numpy(), order.numpy(), values.double().numpy(),
            drawings.indptr, drawings.indices, drawings.data,
        )  # fmt: skip
        counts = F.pad((values != 0).cumsum(dim=1), (1, 0))
        return counts, torch.from_numpy(loss)


def _strongest_first(coefficients: Tensor) -> Tensor:
    """Places by decreasing magnitude, ``(B, *places) -> (B, P)``."""
    return coefficients.flatten(1).abs().argsort(dim=1, descending=True, stable=True)


@functools.cache
def _drawings(method: LargestCoefficients, spatial: torch.Size) -> scipy.sparse.csr_array:
    """What a coefficient of 1 draws at each place, ``(P, n)``: most of a wavelet is 0."""
    places = method.transform(torch.zeros(1, *spatial)).shape[1:]
    each = torch.eye(places.numel()).view(-1, 1, *places)
    return scipy.sparse.csr_array(method.decode(each, spatial).flatten(1).numpy())


@numba.njit(cache=True)
def _losses_along(x, order, values, starts, samples, drawn):  # pragma: no cover
    """Loss of each example (B, n) after 0, 1, ... steps, relative to that after none.

    Step k adds ``values[:, k]`` of the drawing ``order[:, k]``, whose rows are CSR.
    """
    loss = np.empty((order.shape[0], order.shape[1] + 1))
    for b in range(order.shape[0]):
        residual = x[b].copy()
        total = scale = np.abs(residual).sum()
        loss[b, 0] = 1.0
        for k in range(order.shape[1]):
            place = order[b, k]
            for entry in range(starts[place], starts[place + 1]):
                t = samples[entry]
                total -= abs(residual[t])
                residual[t] -= values[b, k] * drawn[entry]
                total += abs(residual[t])
            loss[b, k + 1] = total / scale
    return loss


@dataclasses.dataclass(frozen=True)
class DCT(LargestCoefficients):
    """The largest coefficients of the orthonormal DCT-II, of blocks or of the whole example.

    ``block`` is the side of the blocks, 0 for one block of the example's own size. `scipy.fft`.
    """

    block: int = 0

    def transform(self, x: Tensor) -> Tensor:
        """See `LargestCoefficients`; a coefficient lies where its block lies."""
        axes = tuple(range(1 - x.ndim, 0))
        blocks = cut(x, self.block) if self.block else x
        transformed = torch.from_numpy(scipy.fft.dctn(blocks.numpy(), axes=axes, norm="ortho"))
        return join(transformed) if self.block else transformed

    def decode(self, code: Tensor, spatial: torch.Size) -> Tensor:
        """See `Method`."""
        axes = tuple(range(-len(spatial), 0))
        blocks = cut(code[:, 0], self.block) if self.block else code[:, 0]
        x = torch.from_numpy(scipy.fft.idctn(blocks.numpy(), axes=axes, norm="ortho"))
        return join(x, spatial) if self.block else x


@dataclasses.dataclass(frozen=True)
class Wavelets(LargestCoefficients):
    """The largest coefficients of a discrete wavelet transform. PyWavelets.

    Beyond its borders an example begins anew ("periodization"), which needs about as many
    coefficients as there are samples; other continuations need more.
    """

    wavelet: str = "haar"
    level: int = 1

    def transform(self, x: Tensor) -> Tensor:
        """See `LargestCoefficients`; PyWavelets' arrangement of all levels in one array."""
        coefficients, _ = _wavelet_transform(x.numpy(), self.wavelet, self.level)
        return torch.from_numpy(coefficients)

    def decode(self, code: Tensor, spatial: torch.Size) -> Tensor:
        """See `Method`."""
        axes = tuple(range(1, 1 + len(spatial)))
        bands = _wavelet_bands(spatial, self.wavelet, self.level)
        levels = pywt.array_to_coeffs(code[:, 0].numpy(), bands, output_format="wavedecn")
        x = pywt.waverecn(levels, self.wavelet, "periodization", axes)
        return torch.from_numpy(x)[(slice(None), *[slice(side) for side in spatial])]


def _wavelet_transform(x: np.ndarray, wavelet: str, level: int) -> tuple[np.ndarray, list]:
    """All levels in one array, and where in it each band lies."""
    axes = tuple(range(1, x.ndim))
    with warnings.catch_warnings():
        # A band may be shorter than the wavelet: whether that is wise is left to validation.
        warnings.filterwarnings("ignore", "Level value of", UserWarning)
        levels = pywt.wavedecn(x, wavelet, "periodization", level, axes)
    return pywt.coeffs_to_array(levels, axes=axes)


@functools.cache
def _wavelet_bands(spatial: torch.Size, wavelet: str, level: int) -> list:
    """Where each band lies, for any number of examples of a size."""
    approximation, *details = _wavelet_transform(np.zeros((1, *spatial)), wavelet, level)[1]
    return [(slice(None), *approximation[1:]), *details]


WAVELETS = [*(f"db{i}" for i in range(2, 9)), *(f"sym{i}" for i in range(4, 9)),
            "coif1", "coif2", "coif3", "bior2.2", "bior3.3", "bior4.4", "bior6.8"]  # fmt: skip


# --- samples --------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class DownSampling(Method):
    """``count`` samples along each axis, at the centres of equal parts, and straight lines.

    Each is the mean of its part, sent in order; beyond the first and the last it goes on flat.
    `torch.nn.functional.interpolate`.
    """

    count: int

    def encode(self, x: Tensor) -> Tensor:
        """See `Method`."""
        pool = F.adaptive_avg_pool1d if x.ndim == 2 else F.adaptive_avg_pool2d
        return pool(x[:, None], self.count).flatten(1)

    def decode(self, code: Tensor, spatial: torch.Size) -> Tensor:
        """See `Method`."""
        mode = "linear" if len(spatial) == 1 else "bilinear"
        samples = code.view(len(code), 1, *[self.count] * len(spatial))
        return F.interpolate(samples, tuple(spatial), mode=mode, align_corners=False)[:, 0]


@dataclasses.dataclass(frozen=True)
class PiecewiseLinear(Stepwise):
    """Straight lines between samples, where the error is largest: Ramer, Douglas and Peucker.

    From both ends on, the sample that lies furthest (vertically) from the lines so far becomes the
    next. Signals only.
    """

    def take(self, x: Tensor, steps: Tensor) -> Tensor:
        """See `Stepwise`; a sample that is 0 is sent as the smallest number above."""
        code = torch.zeros_like(x)
        for signal, knots, k in zip(x, code, steps.tolist(), strict=True):
            places, _ = _knots(signal.double().numpy(), k)
            knots[places] = signal[places]
            knots[places] += (knots[places] == 0) * torch.finfo(x.dtype).tiny
        return code[:, None]

    def path(self, x: Tensor, most: int) -> tuple[Tensor, Tensor]:
        """See `Stepwise`; both ends are always sent."""
        counts = torch.arange(most + 1).repeat(len(x), 1)
        loss = torch.empty(len(x), most + 1, dtype=torch.float64)
        for i, signal in enumerate(x.double().numpy()):
            places, errors = _knots(signal, most)
            counts[i].clamp_(2, len(places))
            loss[i] = torch.tensor(errors)[counts[i] - 2] / np.abs(signal).sum()
        return counts, loss

    def decode(self, code: Tensor, spatial: torch.Size) -> Tensor:
        """See `Method`."""
        samples = np.arange(*spatial)
        lines = [
            np.interp(samples, np.flatnonzero(knots), knots[np.flatnonzero(knots)])
            for knots in code[:, 0].numpy()
        ]
        return torch.from_numpy(np.stack(lines)).to(code.dtype)


def _knots(signal: np.ndarray, count: int) -> tuple[list[int], list[float]]:
    """The first ``count`` places of knots, and the summed errors of 2, 3, ... of them.

    Fewer, if lines between fewer lose nothing.
    """
    places, errors, samples = [0, len(signal) - 1], [], np.arange(len(signal))
    while True:
        distance = np.abs(signal - np.interp(samples, places, signal[places]))
        errors.append(distance.sum())
        if len(places) >= count or not distance.any():
            return places, errors
        places = sorted([*places, int(distance.argmax())])


# --- candidates -----------------------------------------------------------------------------------


def dct(train: Tensor) -> Iterator[DCT]:
    """The DCT of whole examples."""
    yield DCT()


def block_dct(train: Tensor) -> Iterator[DCT]:
    """The DCT in blocks of several sides, all shorter than an example."""
    for block in [16, 32, 64, 128, 256] if train.ndim == 2 else [4, 7, 8, 14]:
        if block < min(train.shape[1:]):
            yield DCT(block=block)


def wavelets(train: Tensor) -> Iterator[Wavelets]:
    """Wavelets, each with the three deepest levels that it has on an example."""
    for wavelet in WAVELETS:
        deepest = pywt.dwt_max_level(min(train.shape[1:]), wavelet)
        for level in sorted({max(1, deepest - above) for above in (2, 1, 0)}):
            yield Wavelets(wavelet=wavelet, level=level)


def piecewise_linear(train: Tensor) -> Iterator[PiecewiseLinear]:
    """Piecewise-linear approximation; nothing for images."""
    if train.ndim == 2:
        yield PiecewiseLinear()


def down_sampling(train: Tensor, seed: int) -> Iterator[DownSampling]:
    """Candidates of down-sampling."""
    side, ndim = min(train.shape[1:]), train.ndim - 1
    for count in range(2, side + 1) if ndim == 2 else kept_counts(2 * side, ndim):
        yield DownSampling(count)


def one_count(methods: Callable[[Tensor], Iterable[Stepwise]]) -> Callable:
    """Candidates of stepwise methods: each with many numbers of entries, one for all examples."""

    def candidates(train: Tensor, seed: int) -> Iterator[EachCount]:
        counts = kept_counts(train[0].numel(), train.ndim - 1)
        for method in methods(train):
            yield EachCount(method, counts)

    return candidates


def own_count(methods: Callable[[Tensor], Iterable[Stepwise]]) -> Callable:
    """Candidates of stepwise methods where each example takes the number of entries it needs."""

    def candidates(train: Tensor, seed: int, scale_paid: bool = False) -> Iterator[Stepwise]:
        for method in methods(train):
            yield dataclasses.replace(method, scale_paid=scale_paid)

    return candidates
