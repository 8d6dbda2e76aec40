r"""A multiscale SAN: few prototype kernels, drawn at many lengths, found by a greedy pursuit.

Beyond the paper, along its outlook: transformations other than amplitude. A kernel of a SAN has one
size, and matches that overlap are not corrected for each other. Here every prototype is drawn at a
ladder of lengths, forwards and backwards, and all these kernels share its weights;
`sanbook.scales.pursuit` finds the activations, and their amplitudes are fitted together.

The metric is the paper's, so phi can be compared. An activation costs 2 numbers by the paper's
count (amplitude and place; which map it lies on is free, as it is for the kernels of a SAN), or 3
with the scale paid, that is the number of its map.

Axes as in `san_core` (B examples, n samples), and

- ``q``: prototypes; ``m``: weights of one prototype; ``J``: lengths; ``2 * q * J``: maps
"""

import copy
import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence

import pandas as pd
import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from torch import Tensor, nn

from san_core import inverse_compression_ratio_from_counts, normalized_loss, phi
from sanbook.scales.pursuit import Hats, Path, code_of, follow, pursue
from sanbook.training.cache import cached
from sanbook.training.files import KINDS

# --- the network ----------------------------------------------------------------------------------


class MultiscaleSAN(nn.Module):
    r"""Prototypes drawn at every length; activations found by orthogonal matching pursuit.

    .. math:: w_{ij} = \frac{R_j \, v_i}{\|R_j \, v_i\|}, \quad
              \hat{x} = \sum_{i, j} a_{ij} * w_{ij} + a'_{ij} * w'_{ij}

    ``v_i`` is a prototype, ``R_j`` the fixed linear map that resamples it to the length ``j``
    (`resampling`), ``w'`` is ``w`` backwards. Decoding is that of `san_core.SAN`:
    cross-correlation, zeros beyond the borders, an even kernel reaching one sample further ahead.
    So ``a`` is ``(B, maps, n)`` and the metric takes it as it is. The maps of the first prototype
    come first, its J lengths forwards and then backwards.

    Args:
        prototypes: ``(q, m)``, finite; their norms do not matter.
        lengths: of the kernels, in samples, each at least 1 and none twice. Those of which one more
            is a multiple of m + 1 take the least time.
        cost: numbers that an activation costs where `encode` stops: 2, or 3 with the scale paid.

    Raises:
        ValueError: an argument is none of those above.

    >>> model = MultiscaleSAN(torch.tensor([[1.0, 2.0, 1.0]]), lengths=[3, 7, 15])
    >>> x = torch.zeros(1, 60)
    >>> x[0, 20:35] = 5 * model.kernels()[2]
    >>> a = model.encode(x)  # (B, maps, n)
    >>> a.nonzero().tolist(), round(a.sum().item(), 4), model.num_weights
    ([[0, 2, 27]], 5.0, 3)
    """

    def __init__(self, prototypes: Tensor, lengths: Sequence[int], cost: int = 2) -> None:
        super().__init__()
        if prototypes.ndim != 2 or not prototypes.numel() or not prototypes.isfinite().all():
            raise ValueError(
                f"prototypes: {tuple(prototypes.shape)} {prototypes.tolist()} are not finite "
                "numbers (q, m). Give at least one weight."
            )
        lengths = [int(length) for length in lengths]
        if not lengths or min(lengths) < 1 or len(set(lengths)) < len(lengths):
            raise ValueError(
                f"lengths: {lengths} are not different numbers of samples. Give at least one, each "
                "at least 1."
            )
        if cost not in (2, 3):
            raise ValueError(
                f"cost: {cost} is none of 2 and 3. Choose 2 (amplitude and place) or 3 (the scale "
                "paid too)."
            )
        self.prototypes = nn.Parameter(prototypes.detach().clone())
        self.lengths, self.cost, self._atoms = lengths, cost, (None, None)

    @property
    def num_weights(self) -> int:
        """``W = q * m``: all kernels of a prototype share its weights."""
        return self.prototypes.numel()

    def kernels(self) -> list[Tensor]:
        """The kernel ``(length,)`` of each map, of unit norm; gradients flow to the prototypes.

        Zeros where a prototype vanishes at a length, such as an odd one at a single sample.
        """
        return [
            F.normalize(resampling(len(prototype), length).to(prototype) @ prototype, dim=0)
            for forwards in self.prototypes
            for prototype in (forwards, forwards.flip(0))
            for length in self.lengths
        ]

    def atoms(self, n: int) -> Hats:
        """The kernels at every place of a signal of n samples; ValueError if one is longer.

        The atoms are made again only when n, the lengths or the prototypes have changed.
        """
        made_of = n, tuple(self.lengths), self.prototypes.dtype, self.prototypes.tolist()
        if self._atoms[0] != made_of:
            self._atoms = made_of, self._make_atoms(n)
        return self._atoms[1]

    @torch.no_grad()
    def _make_atoms(self, n: int) -> Hats:
        if n < max(self.lengths):
            raise ValueError(
                f"x: examples have {n} samples, the longest kernel {max(self.lengths)}. Take "
                "longer examples or shorter kernels."
            )
        kernels, weights, spacing = self.kernels(), [], []
        for kernel in kernels:
            apart, rest = divmod(len(kernel) + 1, self.prototypes.shape[1] + 1)
            spacing.append(1 if rest else apart)
            weights.append(kernel if rest else kernel[apart - 1 :: apart])
        half = len(self.lengths)
        maps = torch.arange(len(kernels)).view(-1, 2, half)  # forwards and backwards
        return Hats(kernels, weights, spacing, maps.flip(1).flatten().tolist(), n)

    def follow(self, x: Tensor) -> list[Path]:
        """The pursuit of each example ``(B, n)``, of unit atoms numbered ``map * n + place``.

        ValueError if ``x`` has other axes, an example is shorter than the longest kernel, not
        finite, or zero everywhere.
        """
        _check(x)
        return follow(self.atoms(x.shape[1]), x, self.cost, self.num_weights)

    def encode(self, x: Tensor) -> Tensor:
        """Activation maps, ``(B, n) -> (B, maps, n)``: those of the pursuit where phi is smallest.

        The encoder knows the example, so it may stop where it likes: what it sends is paid for, and
        the decoder need not know why. phi is never above that of sending nothing. ValueError as in
        `follow`.

        Each example is a pursuit of its own, whose time grows faster than its length. A long
        recording is cut into windows, as in the paper, and its time is linear.
        """
        _check(x)
        with torch.no_grad():
            return pursue(self.atoms(x.shape[1]), x, self.cost, self.num_weights)

    def decode(self, a: Tensor) -> Tensor:
        """Sum of what the kernels draw, ``(B, maps, n) -> (B, n)``.

        By FFT, which takes as long for a long kernel as for a short one. ValueError if ``a`` has
        other axes or not one map for each kernel.
        """
        kernels = self.kernels()
        if a.ndim != 3 or a.shape[1] != len(kernels):
            raise ValueError(
                f"a: the shape {tuple(a.shape)} is not (B, {len(kernels)}, n). Give one activation "
                "map for each prototype and length."
            )
        n = a.shape[2]
        size = next_fast_len(n + max(self.lengths), real=True)
        drawn = torch.stack(
            [F.pad(w.flip(0), (0, size - len(w))).roll(-(len(w) // 2)) for w in kernels]
        )
        spectra = torch.fft.rfft(drawn)
        # One by one, as the spectra of many maps are many times as large as the examples.
        spectrum = torch.stack([(torch.fft.rfft(maps, size) * spectra).sum(dim=0) for maps in a])
        return torch.fft.irfft(spectrum, size)[:, :n]

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruction of examples, ``(B, n) -> (B, n)``."""
        return self.decode(self.encode(x))

    def metrics(self, x: Tensor, a: Tensor) -> Tensor:
        """CR^-1 by this network's cost, normalized loss and phi, ``(B, 3)``, of activation maps."""
        inverse_cr = inverse_compression_ratio_from_counts(
            a.flatten(1).count_nonzero(dim=1), self.num_weights, x.shape[1], self.cost - 1
        )
        loss = normalized_loss(x, self.decode(a))
        return torch.stack([inverse_cr.to(loss), loss, phi(inverse_cr, loss)], dim=-1)


def _check(x: Tensor) -> None:
    """Complain unless ``x`` are examples ``(B, n)`` of which phi is defined."""
    if x.ndim != 2:
        raise ValueError(f"x: the shape {tuple(x.shape)} is not (B, n). Give a set of examples.")
    if not x.isfinite().all():
        bad = int((~x.isfinite()).sum())
        raise ValueError(f"x: {bad} samples are NaN or infinite. Leave their examples out.")
    if blank := (x == 0).all(dim=1).nonzero().flatten().tolist():
        raise ValueError(
            f"x: examples {blank} of {len(x)} are zero everywhere, where phi, by which the pursuit "
            "stops, is undefined. Leave them out and say so."
        )


@functools.cache  # as all networks of m weights share them
def resampling(m: int, length: int) -> Tensor:
    """The linear map from a prototype to a kernel, ``(length, m)``, double precision.

    The weights stand ``(length + 1) / (m + 1)`` samples apart, with straight lines between them and
    down to zero one weight beyond each end. Where they are closer than samples, each sample is a
    sum of those around it, with factors that fall in a straight line to zero one sample away.

    >>> resampling(1, 3).T
    tensor([[0.5000, 1.0000, 0.5000]], dtype=torch.float64)
    """
    step = (length + 1) / (m + 1)
    samples = torch.arange(1, length + 1, dtype=torch.float64) / step - 1  # in units of weights
    distance = (samples[:, None] - torch.arange(m)).abs()
    return (1 - distance / max(1, 1 / step)).clamp(min=0)


def ladder(m: int, longest: int) -> list[int]:
    """Lengths from 2 samples to the longest, six of them each time they double.

    Those longer than a prototype of m weights are rounded to where its weights fall on samples.

    >>> ladder(7, longest=40)
    [2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 23, 31, 39]
    """
    lengths = set()
    for step in range(6 * longest.bit_length()):
        length = 2 * 2 ** (step / 6)
        whole = round((length + 1) / (m + 1)) * (m + 1) - 1
        lengths.add(whole if length > 1.5 * m else round(length))
    return sorted(length for length in lengths if length <= longest)


# --- learning -------------------------------------------------------------------------------------

#: Prototypes and weights of each, ``(q, m)``, that `fit_scales` compares.
CANDIDATES = ((1, 5), (1, 9), (2, 5), (2, 7), (3, 5), (3, 7))
ROUNDS = (1, 2, 3, 9)  # epochs that are left to the candidates; after each the better half goes on
STEPS = 3  # of the gradient for each pursuit
LEARNING_RATE = 0.05


@dataclasses.dataclass(frozen=True)
class Fitted:
    """What `compare_scales` returns.

    ``initial`` are the prototypes ``(q, m)`` from which training started. ``history`` has a row for
    each epoch of each candidate: prototypes (q), weights (m), epoch, train_phi (before the epoch's
    steps) and validation_phi (after them; epoch 0 is before the first).
    """

    model: MultiscaleSAN
    initial: Tensor
    history: pd.DataFrame


def fit_scales(train: Tensor, validation: Tensor, *, seed: int = 0) -> MultiscaleSAN:
    """A multiscale SAN for signals ``(B, n)``: the best of `compare_scales`.

    >>> time = torch.arange(200.0)
    >>> beats = torch.stack([torch.exp(-((time - 60 - i) / 9) ** 2) for i in range(4)])
    >>> model = fit_scales(beats[:2], beats[2:])
    >>> bool((model.metrics(beats, model.encode(beats))[:, 2] < 0.2).all())
    True
    """
    return compare_scales(train, validation, seed=seed).model


@cached
def compare_scales(
    train: Tensor,
    validation: Tensor,
    *,
    seed: int = 0,
    candidates: Sequence[tuple[int, int]] = CANDIDATES,
    rounds: Sequence[int] = ROUNDS,
) -> Fitted:
    """Learn prototypes of each of the ``candidates`` ``(q, m)``; after each round half go on.

    Everything is chosen by the mean phi on validation, also the epoch of a candidate. After the
    epochs of the last of the ``rounds`` the best is returned. ``seed`` draws the noise with which
    the prototypes start. ValueError as in `MultiscaleSAN.follow`.
    """
    for x in (train, validation):
        _check(x)
    learners = [_Learner(q, m, train, validation, seed) for q, m in candidates]
    everyone = list(learners)
    for epochs in rounds:
        for learner in learners:
            for _ in range(epochs):
                learner.learn()
        learners.sort(key=lambda learner: learner.smallest)
        learners = learners[: -(-len(learners) // 2)]
    history = pd.concat([learner.history() for learner in everyone], ignore_index=True)
    return Fitted(learners[0].best, learners[0].initial, history)


class _Learner:
    """One candidate of `compare_scales` on its way."""

    def __init__(self, q: int, m: int, train: Tensor, validation: Tensor, seed: int) -> None:
        self.train, self.validation = train.double(), validation
        self.initial = initial_prototypes(q, m, seed)
        longest = min(train.shape[1], validation.shape[1]) - 1
        self.model = MultiscaleSAN(self.initial, ladder(m, longest)).double()
        self.adam = Adam(self.model.prototypes, LEARNING_RATE)
        self.best, self.smallest, self.rows = self.model, float("inf"), []
        self._validate(train_phi=float("nan"))

    def learn(self) -> None:
        """One epoch: pursue, then improve the prototypes where the activations are.

        The amplitudes are solved anew after every step of the gradient; where they are best for
        the prototypes, its part through them is zero.
        """
        model, x = self.model, self.train
        paths = model.follow(x)
        for _ in range(STEPS):
            a = code_of(model.atoms(x.shape[1]), [path.chosen[: path.steps] for path in paths], x)
            mean_phi = model.metrics(x, a)[:, 2].mean()
            self.adam.step(*torch.autograd.grad(mean_phi, model.prototypes))
        with torch.no_grad():  # of norm 1 again, so that the step stays as large as it was
            model.prototypes.copy_(F.normalize(model.prototypes, dim=1))
        self._validate(sum(float(path.phis.min()) for path in paths) / len(paths))

    def _validate(self, train_phi: float) -> None:
        with torch.no_grad():
            a = self.model.encode(self.validation)
            mean_phi = self.model.metrics(self.validation, a)[:, 2].mean().item()
        self.rows.append((len(self.rows), train_phi, mean_phi))
        if mean_phi < self.smallest:
            self.smallest, self.best = mean_phi, copy.deepcopy(self.model).float()

    def history(self) -> pd.DataFrame:
        """See `Fitted`."""
        table = pd.DataFrame(self.rows, columns=["epoch", "train_phi", "validation_phi"])
        q, m = self.initial.shape
        return table.assign(prototypes=q, weights=m)


class Adam:
    """Steps of Adam (Kingma and Ba 2015) for one tensor, with the settings of the paper.

    Those of `torch.optim`, which would load torch's compiler first: seconds, to fit 15 numbers.
    """

    def __init__(self, parameter: Tensor, learning_rate: float) -> None:
        self.parameter, self.learning_rate, self.steps = parameter, learning_rate, 0
        self.mean, self.square = torch.zeros_like(parameter), torch.zeros_like(parameter)

    @torch.no_grad()
    def step(self, gradient: Tensor) -> None:
        """One step down the gradient, which has the shape of the parameter."""
        self.steps += 1
        self.mean.lerp_(gradient, 1 - 0.9)
        self.square.lerp_(gradient**2, 1 - 0.999)
        mean, square = self.mean / (1 - 0.9**self.steps), self.square / (1 - 0.999**self.steps)
        self.parameter -= self.learning_rate * mean / (square.sqrt() + 1e-8)


def initial_prototypes(q: int, m: int, seed: int) -> Tensor:
    """Sums of two derivatives of a Gaussian and a little noise, of unit norm, ``(q, m)``.

    One of each pair is even and the other odd, so that forwards and backwards together span both.
    """
    time = torch.linspace(-2.2, 2.2, m) if m > 1 else torch.zeros(1)
    polynomials = [torch.ones_like(time), time]  # Hermite's
    for order in range(1, 2 * q - 1):
        polynomials.append(time * polynomials[-1] - order * polynomials[-2])
    derivatives = F.normalize(torch.stack(polynomials) * torch.exp(-(time**2) / 2), dim=1)
    noise = torch.randn(q, m, generator=torch.Generator().manual_seed(seed))
    return F.normalize(derivatives.view(q, 2, m).sum(dim=1) + 0.05 * noise, dim=1)


# --- files ----------------------------------------------------------------------------------------


def _describe(model: MultiscaleSAN) -> tuple[dict[str, str], dict[str, Tensor]]:
    settings = {"lengths": json.dumps(model.lengths), "cost": str(model.cost)}
    return settings, {"prototypes": model.prototypes}


def _build(settings: Mapping[str, str], tensors: Mapping[str, Tensor]) -> MultiscaleSAN:
    lengths, cost = json.loads(settings["lengths"]), int(settings["cost"])
    return MultiscaleSAN(tensors["prototypes"], lengths, cost)


KINDS["multiscale SAN"] = MultiscaleSAN, _describe, _build
