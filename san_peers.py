"""What people would use instead of a SAN, and what each method costs by the paper's own metric.

Fixed transforms (DCT, wavelets), learned ones (PCA, dictionary learning, convolutional dictionary
learning, a k-sparse autoencoder) and a naive floor (down-sampling, piecewise-linear approximation)
behind one interface, so that `san_core`'s CR^-1, normalized loss and phi can be said of all.

A `Peer` turns examples ``(B, *spatial)`` into a code ``(B, q, *places)`` and back. The shape of the
code says what an entry costs, by the convention of the paper (Sec. II):

- a code with ``places`` is sparse: each entry that is not zero costs its value and one coordinate
  for every axis of ``places`` (1 for signals, 2 for images). Which of the ``q`` maps it lies on is
  free, as it is for the kernels of a SAN. Whatever works in blocks has the blocks' grid, or the
  whole plane that they tile, as its places.
- a code ``(B, q)`` is sent in order: each of its ``q`` values costs just itself, zero or not.

``num_weights``, W, counts what a receiver needs besides the code and cannot know from the method's
name and its hyperparameters: 0 for a fixed transform, the dictionary for a learned one. The paper
charges W to every example. ``shared_by`` shares it between as many examples as it serves.

Signals and images are cut into blocks whose size need not divide the side; the last block is filled
with the border's value, as JPEG does.

Axes as in `san_core`: B examples, q maps, n samples of an example.
"""

import dataclasses
import itertools
import struct
from collections.abc import Iterable, Iterator

import constriction
import numpy as np
import pandas as pd
import pywt
import scipy.fft
import torch
import torch.nn.functional as F
from scipy.interpolate import RegularGridInterpolator
from sklearn.decomposition import PCA, MiniBatchDictionaryLearning, sparse_encode
from sporco.admm.cbpdn import ConvBPDN
from sporco.dictlrn.cbpdndl import ConvBPDNDictLearn
from torch import Tensor

import san_core

# --- the interface --------------------------------------------------------------------------------


class Peer:
    """A method with its hyperparameters, fitted; subclasses are frozen dataclasses.

    ``weights`` are the tensors a receiver must be sent.
    """

    weights: tuple[Tensor, ...] = ()

    def encode(self, x: Tensor) -> Tensor:
        """Code of examples, ``(B, *spatial) -> (B, q, *places)`` or ``(B, q)``."""
        raise NotImplementedError

    def decode(self, code: Tensor, spatial: torch.Size) -> Tensor:
        """Reconstruction of examples of the size ``spatial``, ``-> (B, *spatial)``."""
        raise NotImplementedError

    def with_weights(self, weights: tuple[Tensor, ...]) -> "Peer":
        """The same method with other weights, such as those that were sent."""
        return dataclasses.replace(self, weights=weights)

    @property
    def num_weights(self) -> int:
        """``W``, the numbers in all weights together."""
        return sum(weight.numel() for weight in self.weights)


def entries(code: Tensor) -> Tensor:
    """``A``, the entries of each code that are paid for, ``(B, q, *places) -> (B,)``.

    >>> entries(torch.tensor([[[0.0, 3.0, 0.0]]])), entries(torch.tensor([[0.0, 3.0, 0.0]]))
    (tensor([1]), tensor([3]))
    """
    paid = torch.ones_like(code) if code.ndim == 2 else code
    return paid.flatten(1).count_nonzero(dim=1)


def inverse_compression_ratio(
    peer: Peer, code: Tensor, spatial: torch.Size, shared_by: int = 1
) -> Tensor:
    """CR^-1 of codes of examples of the size ``spatial``, ``(B, q, *places) -> (B,)``.

    `san_core.inverse_compression_ratio`, relative to the samples of the example and not to the
    places of the code, of which there may be more or fewer.
    """
    paid = torch.ones_like(code) if code.ndim == 2 else code
    weights = peer.num_weights / shared_by
    per_place = san_core.inverse_compression_ratio(paid, weights, code.ndim - 2)
    return per_place * code[0, 0].numel() / spatial.numel()


def evaluate(peer: Peer, x: Tensor, shared_by: int = 1) -> Tensor:
    """CR^-1, normalized loss and phi of each example, ``(B, *spatial) -> (B, 3)``."""
    code = peer.encode(x)
    inverse_cr = inverse_compression_ratio(peer, code, x.shape[1:], shared_by)
    loss = san_core.normalized_loss(x, peer.decode(code, x.shape[1:]))
    return torch.stack([inverse_cr, loss, san_core.phi(inverse_cr, loss)], dim=-1)


def choose(candidates: Iterable[Peer], x: Tensor, shared_by: int) -> tuple[Peer, Peer]:
    """The candidates with the smallest mean phi on (validation) examples, the first of equals.

    The first of the two has W in every example, as the paper counts; for the second ``shared_by``
    examples share it.
    """
    best: list[Peer | None] = [None, None]
    smallest = [float("inf")] * 2
    for candidate in candidates:
        inverse_cr, loss, _ = evaluate(candidate, x).unbind(dim=1)
        saved = candidate.num_weights * (1 - 1 / shared_by) / x[0].numel()
        for i, counted in enumerate([inverse_cr, inverse_cr - saved]):
            mean_phi = san_core.phi(counted, loss).mean().item()
            if mean_phi < smallest[i]:
                best[i], smallest[i] = candidate, mean_phi
    if None in best:
        raise ValueError("expected at least one candidate with a finite phi, but there is none")
    return tuple(best)


def kept_counts(n: int, ndim: int) -> list[int]:
    """Numbers of entries to try: 36 in even steps of their logarithm, up to where CR^-1 is 1.

    >>> kept_counts(1000, ndim=1)[:4], kept_counts(1000, ndim=1)[-1]
    ([5, 6, 7, 8], 500)
    """
    most = n // (ndim + 1)
    return sorted({int(count) for count in np.geomspace(max(1, n // 200), most, 36).round()})


# --- blocks ---------------------------------------------------------------------------------------


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
    order = [0, *itertools.chain(*zip(range(1, 1 + ndim), range(1 + ndim, 1 + 2 * ndim)))]
    sides = [blocks.shape[1 + i] * blocks.shape[1 + ndim + i] for i in range(ndim)]
    x = blocks.permute(order).reshape(len(blocks), *sides)
    return x[(slice(None), *[slice(side) for side in spatial or sides])]


def patches(x: Tensor, size: int, count: int, seed: int) -> Tensor:
    """Patches of ``size`` samples along each axis, at random places, ``-> (<= count, size^ndim)``."""
    for axis in range(1, x.ndim):
        x = x.unfold(axis, size, 1)
    ndim = x.ndim // 2
    places = x.flatten(0, ndim).flatten(1)
    chosen = torch.randperm(len(places), generator=torch.Generator().manual_seed(seed))[:count]
    return places[chosen]


def keep_largest(coefficients: Tensor, k: int) -> Tensor:
    """The ``k`` coefficients of largest magnitude of each example as a code.

    ``(B, *places) -> (B, 1, *places)``, the others 0.
    """
    ndim = coefficients.ndim - 1
    return san_core.topk_absolutes(coefficients, k, ndim)[:, None]


# --- fixed transforms -----------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Cosines(Peer):
    """The ``k`` largest coefficients of the orthonormal DCT-II, of blocks or of the whole example.

    ``block`` is the side of the blocks, 0 for one block of the example's own size. `scipy.fft`.
    """

    k: int
    block: int = 0

    def encode(self, x: Tensor) -> Tensor:
        """See `Peer`; a coefficient lies where its block lies."""
        ndim = x.ndim - 1
        axes = tuple(range(-ndim, 0))
        blocks = cut(x, self.block) if self.block else x
        transformed = torch.from_numpy(scipy.fft.dctn(blocks.numpy(), axes=axes, norm="ortho"))
        return keep_largest(join(transformed) if self.block else transformed, self.k)

    def decode(self, code: Tensor, spatial: torch.Size) -> Tensor:
        """See `Peer`."""
        axes = tuple(range(-len(spatial), 0))
        blocks = cut(code[:, 0], self.block) if self.block else code[:, 0]
        x = torch.from_numpy(scipy.fft.idctn(blocks.numpy(), axes=axes, norm="ortho"))
        return join(x, spatial) if self.block else x


def cosines(train: Tensor, seed: int) -> Iterator[Peer]:
    """Candidates of the DCT of whole examples."""
    for k in kept_counts(train[0].numel(), train.ndim - 1):
        yield Cosines(k)


def blockwise_cosines(train: Tensor, seed: int) -> Iterator[Peer]:
    """Candidates of the DCT in blocks."""
    ndim = train.ndim - 1
    blocks = [16, 32, 64, 128, 256] if ndim == 1 else [4, 7, 8, 14]
    for block in blocks:
        if block < min(train.shape[1:]):
            for k in kept_counts(train[0].numel(), ndim):
                yield Cosines(k, block)


WAVELETS = [*(f"db{i}" for i in range(2, 9)), *(f"sym{i}" for i in range(4, 9)),
            "coif1", "coif2", "coif3", "bior2.2", "bior3.3", "bior4.4", "bior6.8"]  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Wavelets(Peer):
    """The ``k`` largest coefficients of a discrete wavelet transform. PyWavelets.

    ``mode`` is how a signal goes on beyond its borders: "symmetric" needs some more coefficients
    than there are samples, "periodization" just as many.
    """

    k: int
    wavelet: str
    level: int
    mode: str = "periodization"

    def encode(self, x: Tensor) -> Tensor:
        """See `Peer`; places are PyWavelets' arrangement of all levels in one array."""
        return keep_largest(torch.from_numpy(self._transform(x.numpy())[0]), self.k)

    def decode(self, code: Tensor, spatial: torch.Size) -> Tensor:
        """See `Peer`."""
        axes = tuple(range(1, 1 + len(spatial)))
        # Where each level lies follows from the size of the example.
        slices = self._transform(np.zeros((1, *spatial), np.float32))[1]
        slices = [self._all_examples(place) for place in slices]
        levels = pywt.array_to_coeffs(code[:, 0].numpy(), slices, output_format="wavedecn")
        x = pywt.waverecn(levels, self.wavelet, self.mode, axes)
        return torch.from_numpy(x)[(slice(None), *[slice(side) for side in spatial])]

    def _transform(self, x: np.ndarray) -> tuple[np.ndarray, list]:
        axes = tuple(range(1, x.ndim))
        levels = pywt.wavedecn(x, self.wavelet, self.mode, self.level, axes)
        return pywt.coeffs_to_array(levels, axes=axes)

    @staticmethod
    def _all_examples(place):
        if isinstance(place, dict):
            return {band: (slice(None), *where[1:]) for band, where in place.items()}
        return (slice(None), *place[1:])


def wavelets(train: Tensor, seed: int) -> Iterator[Peer]:
    """Candidates of the wavelet transform: wavelet, level and number of coefficients."""
    side, ndim = min(train.shape[1:]), train.ndim - 1
    for wavelet in WAVELETS:
        most = pywt.dwt_max_level(side, wavelet)
        for level in sorted({max(1, most - 2), max(1, most - 1), max(1, most)}):
            for k in kept_counts(train[0].numel(), ndim):
                yield Wavelets(k, wavelet, level)
