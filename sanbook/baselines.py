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

import copy
import dataclasses
import functools
import itertools
import time
import warnings
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pywt
import scipy.fft
import sporco.fft
import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA, MiniBatchDictionaryLearning
from sklearn.linear_model import orthogonal_mp_gram
from sporco.admm.cbpdn import ConvBPDN
from sporco.dictlrn.cbpdndl import ConvBPDNDictLearn
from torch import Tensor

import san_core
from sanbook.coding import choose_step, evaluate_bytes
from sanbook.training import Trained

# FFTW would measure anew which algorithm is fastest, and round differently for each.
sporco.fft.pyfftw_planner_effort = "FFTW_ESTIMATE"
sporco.fft.pyfftw_threads = 1

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
        return dataclasses.replace(self, weights=weights) if weights else self

    @property
    def num_weights(self) -> int:
        """``W``, the numbers in all weights together."""
        return sum(weight.numel() for weight in self.weights)


def entries(code: Tensor) -> Tensor:
    """``A``, the entries of each code that are paid for, ``(B, q, *places) -> (B,)``.

    >>> entries(torch.tensor([[[0.0, 3.0, 0.0]]])), entries(torch.tensor([[0.0, 3.0, 0.0]]))
    (tensor([1]), tensor([3]))
    """
    return _paid(code).flatten(1).count_nonzero(dim=1)


def _paid(code: Tensor) -> Tensor:
    """Not 0 where an entry is paid for: everywhere if the code is sent in order."""
    return torch.ones_like(code) if code.ndim == 2 else code


def inverse_compression_ratio(
    peer: Peer, code: Tensor, spatial: torch.Size, shared_by: int = 1
) -> Tensor:
    """CR^-1 of codes of examples of the size ``spatial``, ``(B, q, *places) -> (B,)``.

    `san_core.inverse_compression_ratio`, relative to the samples of the example and not to the
    places of the code, of which there may be more or fewer.
    """
    weights = peer.num_weights / shared_by
    per_place = san_core.inverse_compression_ratio(_paid(code), weights, code.ndim - 2)
    return per_place * code[0, 0].numel() / spatial.numel()


def evaluate(peer: Peer, x: Tensor, shared_by: int = 1) -> Tensor:
    """CR^-1, normalized loss and phi of each example, ``(B, *spatial) -> (B, 3)``."""
    return evaluate_code(peer, x, peer.encode(x), shared_by)


def evaluate_code(peer: Peer, x: Tensor, code: Tensor, shared_by: int = 1) -> Tensor:
    """The same of examples that are encoded already."""
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
    """Numbers of entries to try: at most 36, in even steps of their logarithm, up to CR^-1 = 1.

    >>> kept_counts(1000, ndim=1)[:4], kept_counts(1000, ndim=1)[-1]
    ([5, 6, 7, 8], 500)
    """
    most = n // (ndim + 1)
    return sorted({int(count) for count in np.geomspace(max(1, n // 200), most, 36).round()})


# --- the paper's networks -------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Network(Peer):
    """A trained SAN; `weights` are its kernels."""

    model: san_core.SAN

    @property
    def weights(self) -> tuple[Tensor, ...]:
        """The kernels."""
        return tuple(kernel.detach() for kernel in self.model.kernels)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """See `Peer`; the activation maps."""
        return self.model.encode(x)

    @torch.no_grad()
    def decode(self, code: Tensor, spatial: torch.Size) -> Tensor:
        """See `Peer`."""
        return self.model.decode(code)

    def with_weights(self, weights: tuple[Tensor, ...]) -> "Network":
        """See `Peer`."""
        model = copy.deepcopy(self.model)
        for kernel, other in zip(model.kernels, weights, strict=True):
            kernel.data = other
        return Network(model)


def networks(trained: Trained) -> Iterator[Peer]:
    """Candidates of one activation function: the best epoch of every SAN of a sweep."""
    for kernel_size, seed in trained.best:
        yield Network(trained.model(kernel_size, seed))


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
    order = [0, *[axis for i in range(1, 1 + ndim) for axis in (i, i + ndim)]]
    sides = [blocks.shape[1 + i] * blocks.shape[1 + ndim + i] for i in range(ndim)]
    x = blocks.permute(order).reshape(len(blocks), *sides)
    return x[(slice(None), *[slice(side) for side in spatial or sides])]


def patches(x: Tensor, size: int, count: int, seed: int) -> Tensor:
    """Patches of ``size`` samples along each axis, at random places, ``(count, size^ndim)``.

    Fewer if there are not so many.
    """
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

    Beyond its borders an example begins anew ("periodization"), which needs about as many
    coefficients as there are samples; other continuations need more.
    """

    k: int
    wavelet: str
    level: int

    def encode(self, x: Tensor) -> Tensor:
        """See `Peer`; places are PyWavelets' arrangement of all levels in one array."""
        coefficients, _ = _wavelet_transform(x.numpy(), self.wavelet, self.level)
        return keep_largest(torch.from_numpy(coefficients), self.k)

    def decode(self, code: Tensor, spatial: torch.Size) -> Tensor:
        """See `Peer`."""
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
    every = slice(None)
    return [
        (every, *approximation[1:]),
        *[{band: (every, *where[1:]) for band, where in bands.items()} for bands in details],
    ]


def wavelets(train: Tensor, seed: int) -> Iterator[Peer]:
    """Candidates of the wavelet transform: wavelet, level and number of coefficients."""
    side, ndim = min(train.shape[1:]), train.ndim - 1
    for wavelet in WAVELETS:
        most = pywt.dwt_max_level(side, wavelet)
        for level in sorted({max(1, most - 2), max(1, most - 1), max(1, most)}):
            for k in kept_counts(train[0].numel(), ndim):
                yield Wavelets(k, wavelet, level)


# --- learned transforms ---------------------------------------------------------------------------

PATCHES = 1_000  # of the training examples, that the methods below learn from


def patch_sizes(x: Tensor) -> list[int]:
    """Sides of the patches that learned methods try, for examples ``(B, *spatial)``."""
    return [8, 16, 32] if x.ndim == 2 else [4, 7]


@dataclasses.dataclass(frozen=True)
class Components(Peer):
    """The first principal components of each patch, all kept and so sent in order. scikit-learn.

    ``weights`` are the components ``(k, size^ndim)`` and the mean patch ``(size^ndim,)``.
    """

    size: int
    weights: tuple[Tensor, Tensor] = dataclasses.field(repr=False)

    def encode(self, x: Tensor) -> Tensor:
        """See `Peer`; component by component for each patch in turn."""
        components, mean = self.weights
        blocks = cut(x, self.size).flatten(x.ndim)  # (B, *grid, size^ndim)
        return ((blocks - mean) @ components.T).flatten(1)

    def decode(self, code: Tensor, spatial: torch.Size) -> Tensor:
        """See `Peer`."""
        components, mean = self.weights
        grid = [-(-side // self.size) for side in spatial]
        blocks = code.view(len(code), *grid, len(components)) @ components + mean
        return join(blocks.unflatten(-1, [self.size] * len(spatial)), spatial)


def components(train: Tensor, seed: int) -> Iterator[Peer]:
    """Candidates of PCA: size of the patches, up to a whole image, and number of components."""
    whole = [train.shape[1]] if train.ndim == 3 else []
    for size in [*patch_sizes(train), *whole]:
        learned = PCA(random_state=seed).fit(patches(train, size, PATCHES, seed).numpy())
        mean, directions = map(torch.from_numpy, (learned.mean_, learned.components_))
        for k in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32):
            if k <= len(directions):
                yield Components(size, (directions[:k].contiguous(), mean))


@dataclasses.dataclass(frozen=True)
class Dictionary(Peer):
    """Few atoms of a learned dictionary for each patch, by orthogonal matching pursuit.

    Atoms are added to a patch until its squared error is below ``tolerance``. ``weights`` are the
    atoms ``(q, size^ndim)``. scikit-learn.
    """

    size: int
    tolerance: float
    weights: tuple[Tensor] = dataclasses.field(repr=False)

    def encode(self, x: Tensor) -> Tensor:
        """See `Peer`; ``(B, atoms, *grid of patches)``."""
        blocks = cut(x, self.size).flatten(x.ndim)  # (B, *grid, size^ndim)
        flat, atoms = blocks.flatten(0, -2).double().numpy(), self.weights[0].double().numpy()
        squares = (flat**2).sum(axis=1)
        with warnings.catch_warnings():
            # A patch that the atoms cannot describe well enough keeps its error, which is measured.
            warnings.filterwarnings("ignore", "Orthogonal matching pursuit ended", RuntimeWarning)
            # Not `sparse_encode`, which takes no notice of a tolerance.
            code = orthogonal_mp_gram(
                atoms @ atoms.T, atoms @ flat.T, tol=self.tolerance, norms_squared=squares
            )
        code = code.reshape(len(atoms), -1).T
        # scikit-learn draws one atom even where none is needed.
        code[squares <= self.tolerance] = 0
        code = torch.from_numpy(code).to(x.dtype).view(*blocks.shape[:-1], len(atoms))
        return code.movedim(-1, 1)

    def decode(self, code: Tensor, spatial: torch.Size) -> Tensor:
        """See `Peer`."""
        blocks = code.movedim(1, -1) @ self.weights[0]
        return join(blocks.unflatten(-1, [self.size] * len(spatial)), spatial)


def dictionaries(train: Tensor, seed: int) -> Iterator[Peer]:
    """Candidates of dictionary learning: size of the patches, number of atoms, tolerated error."""
    for size in patch_sizes(train):
        examples = patches(train, size, PATCHES, seed).numpy()
        energy = float((examples**2).sum(axis=1).mean())
        for count in (4, 16) if train.ndim == 2 else (4, 16, 64):
            learner = MiniBatchDictionaryLearning(
                count, max_iter=5, batch_size=64, transform_algorithm="omp", random_state=seed
            )
            atoms = torch.from_numpy(learner.fit(examples).components_)
            for share in (0.01, 0.03, 0.1, 0.3, 0.6, 1.0):
                yield Dictionary(size, share * energy, (atoms.to(train.dtype),))


@dataclasses.dataclass(frozen=True)
class ConvolutionalDictionary(Peer):
    """Learned atoms drawn at any place, the code sparse by its l1 norm. SPORCO.

    Convolution is circular, as SPORCO's. ``penalty`` weighs the l1 norm against the squared error;
    ``weights`` are the atoms ``(q, *(size,) * ndim)``.
    """

    penalty: float
    weights: tuple[Tensor] = dataclasses.field(repr=False)

    def encode(self, x: Tensor) -> Tensor:
        """See `Peer`; ``(B, atoms, *spatial)``."""
        atoms, examples = _last_axes_first(self.weights[0]), _last_axes_first(x)
        options = ConvBPDN.Options({"MaxMainIter": 60, "RelStopTol": 2e-3})
        ndim = x.ndim - 1
        solver = ConvBPDN(atoms, examples, self.penalty, options, dimK=1, dimN=ndim)
        code = torch.from_numpy(solver.solve()).squeeze(ndim)  # (*spatial, B, atoms)
        return code.movedim((-2, -1), (0, 1)).to(x.dtype).contiguous()

    def decode(self, code: Tensor, spatial: torch.Size) -> Tensor:
        """See `Peer`."""
        axes = tuple(range(-len(spatial), 0))
        atoms_f = torch.fft.rfftn(self.weights[0], spatial, axes)
        return torch.fft.irfftn((torch.fft.rfftn(code, dim=axes) * atoms_f).sum(1), spatial, axes)


def _last_axes_first(examples: Tensor) -> np.ndarray:
    """The arrangement of SPORCO, ``(B, *spatial) -> (*spatial, B)``."""
    return examples.movedim(0, -1).double().numpy()


def convolutional_dictionaries(train: Tensor, seed: int) -> Iterator[Peer]:
    """Candidates of convolutional dictionary learning: size and number of atoms, penalty."""
    ndim = train.ndim - 1
    scale = train.std().item()
    options = {"MaxMainIter": 40, "Verbose": False}
    options = ConvBPDNDictLearn.Options(options, dmethod="cns")
    for size, count in itertools.product([16, 64] if ndim == 1 else [3, 7], (1, 4)):
        start = np.random.default_rng(seed).normal(size=(*[size] * ndim, count))
        learner = ConvBPDNDictLearn(
            start, _last_axes_first(train[:50]), scale, options, dmethod="cns", dimK=1, dimN=ndim
        )
        learner.solve()
        atoms = torch.from_numpy(learner.getdict()).reshape(*[size] * ndim, count)
        atoms = atoms.movedim(-1, 0).to(train.dtype).contiguous()
        for share in (0.3, 1.0, 3.0):
            yield ConvolutionalDictionary(share * scale, (atoms,))


@dataclasses.dataclass(frozen=True)
class Autoencoder(Peer):
    """A k-sparse autoencoder of patches with one layer and tied weights (Makhzani and Frey 2013).

    Of the hidden units of a patch the ``k`` of largest magnitude are kept. ``weights`` are the
    layer ``(q, size^ndim)`` and the bias of the output ``(size^ndim,)``. torch.
    """

    size: int
    k: int
    weights: tuple[Tensor, Tensor] = dataclasses.field(repr=False)

    def encode(self, x: Tensor) -> Tensor:
        """See `Peer`; ``(B, hidden units, *grid of patches)``."""
        blocks = cut(x, self.size).flatten(x.ndim)  # (B, *grid, size^ndim)
        return _hidden(blocks, *self.weights, self.k).movedim(-1, 1)

    def decode(self, code: Tensor, spatial: torch.Size) -> Tensor:
        """See `Peer`."""
        layer, bias = self.weights
        blocks = code.movedim(1, -1) @ layer + bias
        return join(blocks.unflatten(-1, [self.size] * len(spatial)), spatial)


def _hidden(patch: Tensor, layer: Tensor, bias: Tensor, k: int) -> Tensor:
    """The ``k`` strongest hidden units, ``(..., size^ndim) -> (..., q)``."""
    return san_core.topk_absolutes((patch - bias) @ layer.T, k)


def autoencoders(train: Tensor, seed: int) -> Iterator[Peer]:
    """Candidates of the k-sparse autoencoder: size of the patches, hidden units, k."""
    counts = (4, 16) if train.ndim == 2 else (4, 16, 64)
    for size in patch_sizes(train):
        examples = patches(train, size, PATCHES, seed)
        for count, k in itertools.product(counts, (1, 2)):
            yield Autoencoder(size, k, _train_autoencoder(examples, count, k, seed))


def _train_autoencoder(
    examples: Tensor, count: int, k: int, seed: int, steps: int = 200
) -> tuple[Tensor, Tensor]:
    """Layer and bias by Adam on the squared error of batches of 64 patches."""
    generator = torch.Generator().manual_seed(seed)
    size = examples.shape[1]
    layer = torch.randn(count, size, generator=generator) / size**0.5
    layer.requires_grad_()
    bias = examples.mean(dim=0).requires_grad_()
    optimizer = torch.optim.Adam([layer, bias], lr=0.01)
    for _ in range(steps):
        patch = examples[torch.randint(len(examples), (64,), generator=generator)]
        optimizer.zero_grad()
        F.mse_loss(_hidden(patch, layer, bias, k) @ layer + bias, patch).backward()
        optimizer.step()
    return layer.detach(), bias.detach()


# --- the naive floor ------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Samples(Peer):
    """``count`` samples along each axis, at the centres of equal parts, and straight lines.

    Each is the mean of its part, sent in order; beyond the first and the last it goes on flat.
    `torch.nn.functional.interpolate`.
    """

    count: int

    def encode(self, x: Tensor) -> Tensor:
        """See `Peer`."""
        pool = F.adaptive_avg_pool1d if x.ndim == 2 else F.adaptive_avg_pool2d
        return pool(x[:, None], self.count).flatten(1)

    def decode(self, code: Tensor, spatial: torch.Size) -> Tensor:
        """See `Peer`."""
        mode = "linear" if len(spatial) == 1 else "bilinear"
        samples = code.view(len(code), 1, *[self.count] * len(spatial))
        return F.interpolate(samples, tuple(spatial), mode=mode, align_corners=False)[:, 0]


def samples(train: Tensor, seed: int) -> Iterator[Peer]:
    """Candidates of down-sampling."""
    side, ndim = min(train.shape[1:]), train.ndim - 1
    counts = range(2, side + 1) if ndim == 2 else kept_counts(2 * side, ndim)
    for count in counts:
        yield Samples(count)


@dataclasses.dataclass(frozen=True)
class Lines(Peer):
    """Straight lines between ``k`` samples, where the error is largest: Ramer, Douglas, Peucker.

    From both ends on, the sample that lies furthest (vertically) from the lines so far becomes the
    next. Signals only.
    """

    k: int

    def encode(self, x: Tensor) -> Tensor:
        """See `Peer`; a sample that is 0 is sent as the smallest number above."""
        code = torch.zeros_like(x)
        for signal, knots in zip(x.double().numpy(), code, strict=True):
            places = [0, len(signal) - 1]
            while len(places) < self.k:
                line = np.interp(np.arange(len(signal)), places, signal[places])
                places = sorted([*places, int(np.abs(signal - line).argmax())])
            knots[places] = torch.from_numpy(signal[places]).to(x.dtype)
            knots[places] += (knots[places] == 0) * torch.finfo(x.dtype).tiny
        return code[:, None]

    def decode(self, code: Tensor, spatial: torch.Size) -> Tensor:
        """See `Peer`."""
        samples = np.arange(*spatial)
        lines = [
            np.interp(samples, np.flatnonzero(knots), knots[np.flatnonzero(knots)])
            for knots in code[:, 0].numpy()
        ]
        return torch.from_numpy(np.stack(lines)).to(code.dtype)


def lines(train: Tensor, seed: int) -> Iterator[Peer]:
    """Candidates of piecewise-linear approximation; none for images."""
    if train.ndim == 2:
        for k in kept_counts(train.shape[1], ndim=1):
            if k >= 2:
                yield Lines(k)


# --- the methods ----------------------------------------------------------------------------------

METHODS = {
    "DCT": cosines,
    "DCT in blocks": blockwise_cosines,
    "wavelets": wavelets,
    "PCA": components,
    "dictionary, OMP": dictionaries,
    "convolutional dictionary": convolutional_dictionaries,
    "k-sparse autoencoder": autoencoders,
    "down-sampling": samples,
    "piecewise linear": lines,
}


# --- all of it ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Measured:
    """What a method gives on the test examples of a data set.

    ``metrics`` (CR^-1, loss, phi) and ``in_bytes`` (bytes, loss, phi; quantized in ``step``) are of
    ``peer``, charged W in every example; ``shared_metrics`` and ``shared_in_bytes`` (with a step of
    its own) of ``shared_peer``, where the test examples share it; all ``(B, 3)``. ``entries`` are
    the A of ``peer``, ``(B,)``. ``seconds_fit`` is fitting and choosing among all candidates,
    ``seconds_encode`` encoding one example.
    """

    peer: Peer
    shared_peer: Peer
    metrics: Tensor
    shared_metrics: Tensor
    step: float
    in_bytes: Tensor
    shared_in_bytes: Tensor
    entries: Tensor
    seconds_fit: float
    seconds_encode: float


def measure(candidates: Callable[[Tensor, int], Iterable[Peer]], data, seed: int) -> Measured:
    """Fit on training examples, choose on validation, measure on test.

    ``candidates`` is one of `METHODS`; ``data`` has ``train``, ``validation`` and ``test``, each
    ``(B, *spatial)``, such as `sanbook.data.DataSet`.
    """
    started = time.perf_counter()
    shared_by = len(data.test)
    peer, shared_peer = choose(candidates(data.train, seed), data.validation, shared_by)
    fitted = time.perf_counter()
    code = peer.encode(data.test)
    encoded = time.perf_counter()
    step = choose_step(peer, data.validation)
    shared_code = code if shared_peer is peer else shared_peer.encode(data.test)
    nothing_shared = shared_peer is peer and peer.num_weights == 0
    shared_step = step if nothing_shared else choose_step(shared_peer, data.validation, shared_by)
    return Measured(
        peer,
        shared_peer,
        evaluate_code(peer, data.test, code),
        evaluate_code(shared_peer, data.test, shared_code, shared_by),
        step,
        evaluate_bytes(peer, data.test, code, step),
        evaluate_bytes(shared_peer, data.test, shared_code, shared_step, shared_by),
        entries(code).float(),
        fitted - started,
        (encoded - fitted) / len(data.test),
    )
