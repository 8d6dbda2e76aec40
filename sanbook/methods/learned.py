"""Methods that learn from the training examples: PCA and dictionaries.

Axes as in `san_core`: B examples, q atoms or hidden units, n samples of an example.
"""

import dataclasses
import itertools
import warnings
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from sanbook.methods.base import Method
from sanbook.methods.fixed import cut, join
from sanbook.scales.pursuit import Pursuit

# scikit-learn and SPORCO are imported where they are used: they take 85 MB, and whoever measures
# other methods does not need them.

PATCHES = 1_000  # of the training examples, that the methods of patches learn from


def patch_sizes(x: Tensor) -> list[int]:
    """Sides of the patches that learned methods try, for examples ``(B, *spatial)``."""
    return [8, 16, 32] if x.ndim == 2 else [4, 7]


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


# --- principal components -------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class PrincipalComponents(Method):
    """The first principal components of each patch, all kept and so sent in order. scikit-learn.

    ``weights`` are the components ``(k, size^ndim)`` and the mean patch ``(size^ndim,)``.
    """

    size: int
    weights: tuple[Tensor, Tensor] = dataclasses.field(repr=False)

    def encode(self, x: Tensor) -> Tensor:
        """See `Method`; component by component for each patch in turn."""
        components, mean = self.weights
        blocks = cut(x, self.size).flatten(x.ndim)  # (B, *grid, size^ndim)
        return ((blocks - mean) @ components.T).flatten(1)

    def decode(self, code: Tensor, spatial: torch.Size) -> Tensor:
        """See `Method`."""
        components, mean = self.weights
        grid = [-(-side // self.size) for side in spatial]
        blocks = code.view(len(code), *grid, len(components)) @ components + mean
        return join(blocks.unflatten(-1, [self.size] * len(spatial)), spatial)


def principal_components(train: Tensor, seed: int) -> Iterator[PrincipalComponents]:
    """Candidates of PCA: size of the patches, up to a whole image, and number of components."""
    from sklearn.decomposition import PCA

    whole = [train.shape[1]] if train.ndim == 3 else []
    for size in [*patch_sizes(train), *whole]:
        learned = PCA(random_state=seed).fit(patches(train, size, PATCHES, seed).numpy())
        mean, directions = map(torch.from_numpy, (learned.mean_, learned.components_))
        for k in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32):
            if k <= len(directions):
                yield PrincipalComponents(size, (directions[:k].contiguous(), mean))


# --- dictionary of patches ------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Dictionary(Method):
    """Few atoms of a learned dictionary for each patch, by orthogonal matching pursuit.

    Atoms are added to a patch until its squared error is at most ``tolerance``. ``weights`` are the
    atoms ``(q, size^ndim)``. Learned by scikit-learn.
    """

    size: int
    tolerance: float
    weights: tuple[Tensor] = dataclasses.field(repr=False)

    def encode(self, x: Tensor) -> Tensor:
        """See `Method`; ``(B, q, *grid of patches)``."""
        blocks = cut(x, self.size).flatten(x.ndim)  # (B, *grid, size^ndim)
        patch, atoms = blocks.flatten(0, -2).double(), self.weights[0].double()
        pursuit = Pursuit(
            patch, strongest=lambda residual: (residual @ atoms.T).abs().argmax(dim=1),
            draw=atoms.__getitem__, most=min(atoms.shape),
        )  # fmt: skip
        steps = torch.zeros(len(patch), dtype=torch.long)
        for _ in range(min(atoms.shape)):
            error = pursuit.residual.square().sum(dim=1)
            pursuit.going = (error > self.tolerance).nonzero().flatten()
            if not len(pursuit.going):
                break
            pursuit.step()
            steps[pursuit.going] += 1
        code = pursuit.code(steps, len(atoms)).to(x.dtype)
        return code.view(*blocks.shape[:-1], len(atoms)).movedim(-1, 1)

    def decode(self, code: Tensor, spatial: torch.Size) -> Tensor:
        """See `Method`."""
        blocks = code.movedim(1, -1) @ self.weights[0]
        return join(blocks.unflatten(-1, [self.size] * len(spatial)), spatial)


def dictionaries(train: Tensor, seed: int) -> Iterator[Dictionary]:
    """Candidates of dictionary learning: size of the patches, number of atoms, tolerated error."""
    from sklearn.decomposition import MiniBatchDictionaryLearning
    from sklearn.exceptions import ConvergenceWarning

    for size in patch_sizes(train):
        examples = patches(train, size, PATCHES, seed).numpy()
        energy = float((examples**2).sum(axis=1).mean())
        for count in (4, 16) if train.ndim == 2 else (4, 16, 64):
            learner = MiniBatchDictionaryLearning(
                count, max_iter=5, batch_size=64, transform_algorithm="omp", random_state=seed
            )
            with warnings.catch_warnings():
                # Atoms that are nearly alike: LARS goes on without one of them, which is harmless.
                message = "Regressors in active set degenerate|Early stopping the lars path"
                warnings.filterwarnings("ignore", message, ConvergenceWarning)
                learner.fit(examples)
            atoms = torch.from_numpy(learner.components_).to(train.dtype)
            for share in (0.01, 0.03, 0.1, 0.3, 0.6, 1.0):
                yield Dictionary(size, share * energy, (atoms,))


# --- convolutional dictionary ---------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class ConvolutionalDictionary(Method):
    """Learned atoms drawn at any place, the code sparse by its l1 norm. SPORCO.

    Convolution is circular, as SPORCO's. ``penalty`` weighs the l1 norm against the squared error;
    ``weights`` are the atoms ``(q, *(size,) * ndim)``.
    """

    penalty: float
    weights: tuple[Tensor] = dataclasses.field(repr=False)

    def encode(self, x: Tensor) -> Tensor:
        """See `Method`; ``(B, q, *spatial)``."""
        cbpdn = _sporco().admm.cbpdn
        atoms, examples = _last_axes_first(self.weights[0]), _last_axes_first(x)
        options = cbpdn.ConvBPDN.Options({"MaxMainIter": 60, "RelStopTol": 2e-3})
        ndim = x.ndim - 1
        solver = cbpdn.ConvBPDN(atoms, examples, self.penalty, options, dimK=1, dimN=ndim)
        code = torch.from_numpy(solver.solve()).squeeze(ndim)  # (*spatial, B, q)
        return code.movedim((-2, -1), (0, 1)).to(x.dtype).contiguous()

    def decode(self, code: Tensor, spatial: torch.Size) -> Tensor:
        """See `Method`."""
        axes = tuple(range(-len(spatial), 0))
        atoms_f = torch.fft.rfftn(self.weights[0], spatial, axes)
        return torch.fft.irfftn((torch.fft.rfftn(code, dim=axes) * atoms_f).sum(1), spatial, axes)


def _sporco():
    """The library, set so that its results depend on no earlier run."""
    try:
        import sporco.admm.cbpdn
        import sporco.dictlrn.cbpdndl
        import sporco.fft
    except ImportError as error:
        raise ImportError(
            "convolutional dictionaries need SPORCO, which is not installed. It has no wheels: "
            "run `pip install sporco` where a C compiler is, or leave this method out."
        ) from error

    # FFTW would measure anew which algorithm is fastest, and round differently for each.
    sporco.fft.pyfftw_planner_effort = "FFTW_ESTIMATE"
    sporco.fft.pyfftw_threads = 1
    return sporco


def _last_axes_first(examples: Tensor) -> np.ndarray:
    """The arrangement of SPORCO, ``(B, *spatial) -> (*spatial, B)``."""
    return examples.movedim(0, -1).double().numpy()


def convolutional_dictionaries(train: Tensor, seed: int) -> Iterator[ConvolutionalDictionary]:
    """Candidates of convolutional dictionary learning: size and number of atoms, penalty."""
    cbpdndl = _sporco().dictlrn.cbpdndl
    ndim = train.ndim - 1
    scale = train.std().item()
    options = {"MaxMainIter": 40, "Verbose": False}
    options = cbpdndl.ConvBPDNDictLearn.Options(options, dmethod="cns")
    for size, count in itertools.product([16, 64] if ndim == 1 else [3, 7], (1, 4)):
        start = np.random.default_rng(seed).normal(size=(*[size] * ndim, count))
        learner = cbpdndl.ConvBPDNDictLearn(
            start, _last_axes_first(train[:50]), scale, options, dmethod="cns", dimK=1, dimN=ndim
        )
        learner.solve()
        atoms = torch.from_numpy(learner.getdict()).reshape(*[size] * ndim, count)
        atoms = atoms.movedim(-1, 0).to(train.dtype).contiguous()
        for share in (0.3, 1.0, 3.0):
            yield ConvolutionalDictionary(share * scale, (atoms,))
