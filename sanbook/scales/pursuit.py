"""Matching pursuit: an example as a sum of few atoms, found one after the other.

Mallat and Zhang 1993; with a refit after every step orthogonal matching pursuit, Pati, Rezaiifar
and Krishnaprasad 1993. Axes as in `san_core` (B examples, n samples, m kernel size), and also

- ``P``: atoms; ``K``: steps; ``J``: kernels, each an atom at every place
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence

import numba
import numpy as np
import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from torch import Tensor

import san_core

_compiled = numba.njit(
    cache=True,
    nogil=True,
    error_model="numpy",
    # The bits of a sum do not depend on who compiles: see `sanbook.training.loops`.
    forceinline=True,
    # Sums may be fused and reordered, so that several are added at once.
    fastmath={"contract", "reassoc", "nnan", "nsz"},
)

FIRST_STEPS = 16  # for which a pursuit has memory at first; it doubles as needed

# --- steps ----------------------------------------------------------------------------------------


class Pursuit:
    """A pursuit of examples ``(B, n)``, all together, one atom each at every `step`.

    Args:
        x: the examples; what follows is in their precision.
        strongest: the atom of largest correlation with each residual, ``(B, n) -> (B,)``.
        draw: atoms by their numbers, ``(B,) -> (B, n)``.
        most: the number of steps that may follow, K.
        refit: whether all amplitudes are those of least squares after every step. Without, the new
            atom, which must have unit norm, is subtracted as far as it correlates.

    ``chosen`` ``(B, K)`` are the atoms in the order of the steps, ``residual`` ``(B, n)`` is what
    they leave. ``errors`` and ``entries`` ``(B, K + 1)`` are its absolute sum and the number of
    different atoms, after 0, 1, ... steps. ``going`` are the examples that `step` goes on with, at
    first all; whoever has enough of some takes them out.
    """

    def __init__(
        self,
        x: Tensor,
        strongest: Callable[[Tensor], Tensor],
        draw: Callable[[Tensor], Tensor],
        most: int,
        refit: bool = True,
    ) -> None:
        self.strongest, self.draw, self.refit = strongest, draw, refit
        self.residual, self.steps, self.going = x.clone(), 0, torch.arange(len(x))
        self.chosen = torch.zeros(len(x), most, dtype=torch.long)
        self.errors = F.pad(x.abs().sum(dim=1, keepdim=True), (0, most))
        self.entries = torch.zeros(len(x), most + 1, dtype=torch.long)
        # The atoms are triangle times directions, which are orthonormal; or the atoms themselves.
        # Both grow with the steps, as most pursuits end after few of them.
        self._directions = x.new_zeros(len(x), 0, x.shape[1])
        self._triangle = x.new_zeros(len(x), 0, 0)
        self._along = x.new_zeros(len(x), most)  # how far the examples go along the directions

    def step(self) -> None:
        """Add an atom to each example that goes on."""
        if self.steps == self._directions.shape[1]:
            further = min(max(self.steps, FIRST_STEPS), self.chosen.shape[1] - self.steps)
            self._directions = F.pad(self._directions, (0, 0, 0, further))
            self._triangle = F.pad(self._triangle, (0, further, 0, further))
        atoms = self.strongest(self.residual[self.going])
        tensors = (
            self.going, atoms, self.draw(atoms), self.chosen, self.residual, self.errors,
            self.entries, self._directions, self._triangle, self._along,
        )  # fmt: skip
        _advance(self.steps, self.refit, *(tensor.numpy() for tensor in tensors))
        self.steps += 1

    def amplitudes(self, steps: Tensor) -> Tensor:
        """Amplitude of each chosen atom after so many steps ``(B,)``, 0 of later ones.

        ``(B, k)`` for the k steps that were made.
        """
        k = self.steps
        taken = torch.arange(k) < steps[:, None]
        along = self._along[:, :k].where(taken, 0.0)
        triangle = self._triangle[:, :k, :k].where(taken[:, None], 0.0)
        triangle.diagonal(dim1=1, dim2=2).masked_fill_(~taken, 1.0)  # not yet, or it had ended
        return torch.linalg.solve_triangular(triangle, along[..., None], upper=True)[..., 0]

    def code(self, steps: Tensor, atoms: int) -> Tensor:
        """Amplitudes of all P atoms after so many steps ``(B,)``, ``(B, P)``."""
        code = self._along.new_zeros(len(self.chosen), atoms)
        return code.scatter_add_(1, self.chosen[:, : self.steps], self.amplitudes(steps))


@_compiled
def _advance(
    k, refit, going, atoms, drawn, chosen, residual, errors, entries, directions, triangle, along
):  # pragma: no cover
    """Step number k of `Pursuit`: the ``atoms``, as they are ``drawn``, become directions."""
    for b, atom, shape in zip(going, atoms, drawn):  # noqa: B905
        chosen[b, k] = atom
        direction = directions[b, k]
        direction[:] = shape
        triangle[b, k, k] = 1
        if refit:
            length = norm = math.sqrt((direction * direction).sum())
            for _ in range(2):  # twice is enough, and once where less than a digit is cancelled
                norm_before = norm
                for i in range(k):
                    before, overlap = directions[b, i], 0.0
                    for t in range(len(direction)):
                        overlap += before[t] * direction[t]
                    for t in range(len(direction)):
                        direction[t] -= overlap * before[t]
                    triangle[b, i, k] += overlap
                norm = math.sqrt((direction * direction).sum())
                if norm > 0.1 * norm_before:
                    break
            if norm > 1e-7 * length:
                triangle[b, k, k] = norm
                direction /= norm
            else:  # it depends on those before
                direction[:] = 0
        for t in range(len(direction)):
            along[b, k] += residual[b, t] * direction[t]
        for t in range(len(direction)):
            residual[b, t] -= along[b, k] * direction[t]
            errors[b, k + 1] += abs(residual[b, t])
        entries[b, k + 1] = entries[b, k] + (not (chosen[b, :k] == chosen[b, k]).any())


# --- kernels at any place -------------------------------------------------------------------------


class Atoms:
    """Kernels at every place of a signal of n samples, J * n atoms in the order of the kernels.

    The convention is that of `san_core.SAN`: a kernel is drawn mirrored, and an even one reaches a
    sample further back. ``norms`` ``(J, n)`` are the norms of what lies inside the signal; where
    less than a thousandth of a kernel does, it is no atom, and its norm infinite.
    """

    def __init__(self, kernels: Sequence[Tensor], n: int) -> None:
        self.n, self.lengths = n, torch.tensor([len(kernel) for kernel in kernels])
        longest = int(self.lengths.max())
        drawn = [F.pad(kernel.double().flip(0), (0, longest - len(kernel))) for kernel in kernels]
        self.drawn = torch.stack(drawn)  # (J, longest)
        energy = F.pad((self.drawn**2).cumsum(dim=1), (1, 0))  # (J, longest + 1)
        first = torch.arange(n) - self.lengths[:, None] // 2  # sample, (J, n)
        begin, end = (-first).clamp(min=0), torch.minimum(self.lengths[:, None], n - first)
        inside = energy.gather(1, end.clamp(min=0)) - energy.gather(1, begin.clamp(max=longest))
        norms = inside.clamp(min=0).sqrt()
        self.norms = torch.where(norms > 1e-3 * energy[:, -1:].sqrt(), norms, torch.inf)
        self._scale = 1 / self.norms.float()

    @functools.cached_property
    def _spectra(self) -> tuple[Tensor, int]:
        """The kernels on a circle with room for the longest, centres at the origin, and its size.

        Only `strongest` needs them.
        """
        size = next_fast_len(self.n + self.drawn.shape[1] // 2, real=True)
        centred = F.pad(self.drawn.float(), (0, size - self.drawn.shape[1]))
        for row, length in zip(centred, self.lengths.tolist(), strict=True):
            row.copy_(row.roll(-(length // 2)))
        return torch.fft.rfft(centred).conj(), size

    def strongest(self, residual: Tensor) -> Tensor:
        """The atom of largest correlation with each signal, ``(B, n) -> (B,)``.

        Correlations have single precision; of those that are equal in it any may be found.
        """
        spectra, size = self._spectra
        residual_f = torch.fft.rfft(residual.float(), size)
        products = torch.fft.irfft(residual_f[:, None] * spectra, size)
        found = np.empty(len(residual), np.int64)
        _strongest_of(products.numpy(), self._scale.numpy(), found)
        return torch.from_numpy(found)

    def draw(self, number: Tensor) -> Tensor:
        """What the kernels draw inside the signal, ``(N,) -> (N, n)``."""
        drawn = np.zeros((len(number), self.n))
        _draw(number.numpy(), self.drawn.numpy(), self.lengths.numpy(), drawn)
        return torch.from_numpy(drawn)

    def draw_unit(self, number: Tensor) -> Tensor:
        """The atoms, of unit norm, ``(N,) -> (N, n)``."""
        return self.draw(number).div_(self.norms.view(-1)[number, None])

    def decode(self, code: Tensor) -> Tensor:
        """Signals of codes, ``(B, J, n) -> (B, n)``; only entries are drawn."""
        example, number = code.flatten(1).nonzero(as_tuple=True)
        drawn = self.draw(number) * code.flatten(1)[example, number, None]
        return torch.zeros(len(code), self.n, dtype=drawn.dtype).index_add_(0, example, drawn)


@_compiled
def _keep_larger(products, scale, j, largest, kernel):  # pragma: no cover
    """Where a product of kernel number j is the largest so far, note it and the kernel.

    Place by place: the largest of all places would have to be looked for one after the other.
    """
    for t in range(len(largest)):
        product = abs(products[t] * scale[t])
        larger = product > largest[t]
        largest[t] = product if larger else largest[t]
        kernel[t] = j if larger else kernel[t]


@_compiled
def _strongest_of(products, scale, found):  # pragma: no cover
    """The atoms with the largest of the products ``(B, J, at least n)``, found ``(B,)``."""
    n = scale.shape[1]
    largest, kernel = np.empty(n, np.float32), np.empty(n, np.int32)
    for b in range(len(products)):
        largest[:], kernel[:] = -1, 0
        for j in range(len(scale)):
            _keep_larger(products[b, j], scale[j], j, largest, kernel)
        place = largest.argmax()
        found[b] = kernel[place] * n + place


@_compiled
def _draw(number, drawn, lengths, out):  # pragma: no cover
    """`Atoms.draw`."""
    n = out.shape[1]
    for i in range(len(out)):
        kernel, place = divmod(number[i], n)
        first = place - lengths[kernel] // 2
        for t in range(max(0, first), min(n, first + lengths[kernel])):
            out[i, t] = drawn[kernel, t - first]


class Hats(Atoms):
    """The same of kernels that are few straight lines, whose correlations are much less work.

    Kernel ``j`` is a sum of hats: triangles of the weights ``weights[j]`` ``(m,)``, ``spacing[j]``
    samples apart and as wide to either side, so that there are straight lines between the weights,
    and down to zero one spacing beyond them. The residual is correlated once with the hat of each
    spacing, by its second sums, and then with m weights, however long the kernel is.

    Kernel ``backwards[j]`` is kernel ``j`` backwards.
    """

    def __init__(
        self,
        kernels: Sequence[Tensor],
        weights: Sequence[Tensor],
        spacing: Sequence[int],
        backwards: Sequence[int],
        n: int,
    ) -> None:
        super().__init__(kernels, n)
        mirrored = [weight.flip(0).numpy() for weight in weights]
        even = [(weight + weight[::-1]) / 2 for weight in mirrored]
        for weight in even:
            weight[len(weight) // 2] /= 1 + len(weight) % 2  # the one in the middle is its own pair
        odd = [(weight - weight[::-1]) / 2 for weight in mirrored]
        self._weights = np.stack([np.concatenate(part) for part in (mirrored, even, odd)])
        self._weights = self._weights.astype(np.float32)
        self._starts = np.cumsum([0, *map(len, weights)])
        self._spacing, self._backwards = np.array(spacing), np.array(backwards)
        # Kernels of the same spacing follow each other, and the longest is the first.
        self._order = np.lexsort((-self.lengths.numpy(), self._spacing))

    def strongest(self, residual: Tensor) -> Tensor:
        """See `Atoms`."""
        found = np.empty(len(residual), np.int64)
        _strongest_hats(
            residual.numpy(), self._weights, self._starts, self._spacing, self._backwards,
            self._order, self.lengths.numpy(), self._scale.numpy(), found,
        )  # fmt: skip
        return torch.from_numpy(found)


# The share of the largest product, below which a kernel is not looked at again.
CLOSE = np.float32(0.999)


@_compiled
def _strongest_hats(
    residual, weights, starts, spacing, backwards, order, lengths, scale, found
):  # pragma: no cover
    """`Hats.strongest`. The hats and what follows have single precision, the sums double.

    A kernel and the same kernel backwards have the products ``even + odd`` and ``even - odd``: sums
    and differences of hats times the even and the odd part of the weights. These products take
    half the time, but round otherwise than one weight after the other. So they only find the few
    kernels that come `CLOSE` to the largest product, which are then multiplied one by one.
    """
    n = residual.shape[1]
    reach = lengths.max() // 2 + 2 * spacing.max() + 2  # samples beyond the borders
    sums = np.zeros(n + 2 * reach)  # second sums of the residual; sample t is at reach + t
    hats = np.empty(n + 2 * reach, np.float32)  # the same
    even, odd = np.empty(n, np.float32), np.empty(n, np.float32)
    tops, products = np.empty(len(order), np.float32), np.empty(n, np.float32)
    bits = tops.view(np.int32)
    largest, kernel = np.empty(n, np.float32), np.empty(n, np.int32)
    for b in range(len(residual)):
        first = second = 0.0
        for t in range(n):
            first += residual[b, t]
            second += first
            sums[reach + t] = second
        for t in range(n, n + reach):
            second += first
            sums[reach + t] = second
        apart = 0
        for j in order:
            if backwards[j] < j:
                tops[j] = tops[backwards[j]]
                continue
            weight = weights[:, starts[j] : starts[j + 1]]
            begin = reach + spacing[j] - 1 - lengths[j] // 2  # of the first weight
            if spacing[j] != apart:
                apart = spacing[j]
                _hats_of(sums, begin, n + (weight.shape[1] - 1) * apart, apart, hats)
            scales = scale[j], scale[backwards[j]]
            bits[j] = _largest_of(weight, hats[begin:], apart, *scales, even, odd)
        close = CLOSE * tops.max()
        largest[:], kernel[:] = -1, 0
        apart = 0
        for j in order:
            if tops[j] < close:
                continue
            weight = weights[0, starts[j] : starts[j + 1]]
            begin = reach + spacing[j] - 1 - lengths[j] // 2
            if spacing[j] != apart:
                apart = spacing[j]
                _hats_of(sums, begin, n + (len(weight) - 1) * apart, apart, hats)
            products[:] = 0
            for i in range(len(weight)):
                w, hat = weight[i], hats[begin + i * apart :]
                for t in range(n):
                    products[t] += w * hat[t]
            _keep_larger(products, scale[j], j, largest, kernel)
        place = largest.argmax()
        found[b] = kernel[place] * n + place


@_compiled
def _hats_of(sums, begin, count, apart, hats):  # pragma: no cover
    """Correlations with the hat of a spacing, at ``count`` places from ``begin`` on."""
    behind, middle, ahead = sums[begin - 1 - apart :], sums[begin - 1 :], sums[begin - 1 + apart :]
    hat = hats[begin:]
    for t in range(count):
        hat[t] = (behind[t] - 2 * middle[t] + ahead[t]) / apart


@_compiled
def _largest_of(weight, hat, apart, scale, scale_backwards, even, odd):  # pragma: no cover
    """The bits of the largest product of a kernel, forwards or backwards, at any place.

    Row 1 of ``weight`` is its even part, row 2 its odd part; only their first halves are used.
    """
    n, last = len(even), weight.shape[1] - 1
    pairs = last // 2 + 1
    even[:], odd[:] = 0, 0
    for i in range(pairs % 2):
        s, d = weight[1, i], weight[2, i]
        left, right = hat[i * apart :], hat[(last - i) * apart :]
        for t in range(n):
            even[t] += s * (left[t] + right[t])
            odd[t] += d * (left[t] - right[t])
    for i in range(pairs % 2, pairs, 2):
        s0, d0, s1, d1 = weight[1, i], weight[2, i], weight[1, i + 1], weight[2, i + 1]
        left0, right0 = hat[i * apart :], hat[(last - i) * apart :]
        left1, right1 = left0[apart:], hat[(last - i - 1) * apart :]
        for t in range(n):
            even[t] += s0 * (left0[t] + right0[t]) + s1 * (left1[t] + right1[t])
            odd[t] += d0 * (left0[t] - right0[t]) + d1 * (left1[t] - right1[t])
    for t in range(n):
        forwards = abs(even[t] + odd[t]) * scale[t]
        backwards = abs(even[t] - odd[t]) * scale_backwards[t]
        even[t] = forwards if forwards > backwards else backwards
    largest, bits = np.int32(0), even.view(np.int32)  # of the same order, and compared faster
    for t in range(n):
        largest = bits[t] if bits[t] > largest else largest
    return largest


# --- as many atoms as each example needs ----------------------------------------------------------

# Examples that are pursued together, and samples of them: a cache holds their directions.
TOGETHER, SAMPLES = 8, 8192
AHEAD = 8  # steps until phi is looked at again


@dataclasses.dataclass(frozen=True)
class Path:
    """How the pursuit of one example went: ``chosen`` ``(K,)`` are the atoms, the first first.

    ``losses`` and ``phis`` ``(K + 1,)`` are those after 0, 1, ... steps. phi is smallest after
    ``steps``, and ``amplitudes`` ``(steps,)`` are those at this point.
    """

    chosen: Tensor
    losses: Tensor
    phis: Tensor
    steps: int
    amplitudes: Tensor


def follow(
    atoms: Atoms, x: Tensor, cost: int, num_weights: int = 0, refit: bool = True
) -> list[Path]:
    """Pursue signals ``(B, n)`` until phi can get no smaller.

    An entry costs ``cost`` numbers, the kernels ``num_weights``. Later steps cost at least as much:
    where that alone is more than the smallest phi, the pursuit of an example ends.
    """
    together = max(1, min(TOGETHER, SAMPLES // x.shape[1]))
    parts = x.double().split(together)
    return [path for part in parts for path in _follow(atoms, part, cost, num_weights, refit)]


def _follow(atoms: Atoms, x: Tensor, cost: int, num_weights: int, refit: bool) -> list[Path]:
    n = x.shape[1]
    most = max(0, math.ceil((n - num_weights) / cost))
    pursuit = Pursuit(x, atoms.strongest, atoms.draw_unit, most, refit)
    while len(pursuit.going):
        for _ in range(min(AHEAD, most - pursuit.steps)):
            pursuit.step()
        so_far = slice(pursuit.steps + 1)
        losses = pursuit.errors[:, so_far] / pursuit.errors[:, :1]
        entries = pursuit.entries[:, so_far]
        inverse_cr = san_core.inverse_compression_ratio_from_counts(
            entries, num_weights, n, ndim=cost - 1
        )
        phis = san_core.phi(inverse_cr.double(), losses)
        dearer = (num_weights + cost * (entries + refit)) / n
        over = dearer >= phis.cummin(dim=1).values
        over[:, most:] = True
        pursuit.going = (~over.any(dim=1)).nonzero().flatten()
    last = over.long().argmax(dim=1)  # the first step after which it is over
    steps = phis.where(torch.arange(phis.shape[1]) <= last[:, None], torch.inf).argmin(dim=1)
    amplitudes = pursuit.amplitudes(steps)
    return [
        Path(
            pursuit.chosen[i, :end].clone(), losses[i, : end + 1], phis[i, : end + 1], best,
            amplitudes[i, :best],
        )
        for i, (end, best) in enumerate(zip(last.tolist(), steps.tolist(), strict=True))
    ]  # fmt: skip


def pursue(atoms: Atoms, x: Tensor, cost: int, num_weights: int = 0, refit: bool = True) -> Tensor:
    """Code of signals ``(B, n)``, each with the number of entries of its own smallest phi.

    (That is no cheating: who encodes knows the example.) `follow` says what an entry costs.

    With ``refit`` the pursuit is orthogonal and the amplitudes are those of `code_of`; else it is
    plain matching pursuit. Returns ``(B, J, n)``.
    """
    paths = follow(atoms, x, cost, num_weights, refit)
    if refit:
        return code_of(atoms, [path.chosen[: path.steps] for path in paths], x)
    code = torch.zeros(len(x), atoms.norms.numel(), dtype=torch.float64)
    for entries, path in zip(code, paths, strict=True):
        entries.index_add_(0, path.chosen[: path.steps], path.amplitudes)
    return (code / atoms.norms.flatten()).view(len(x), -1, atoms.n).to(x.dtype)


def code_of(atoms: Atoms, chosen: Sequence[Tensor], x: Tensor) -> Tensor:
    """Code of signals ``(B, n)`` whose atoms are known, the different ``chosen`` of each.

    The amplitudes are those of `least_absolute_error`, since phi counts absolute errors. They
    belong to whole kernels, even where a border cuts one off. Returns ``(B, J, n)``.
    """
    code = x.new_zeros(len(x), atoms.norms.numel())
    for entries, example, numbers in zip(code, x.double(), chosen, strict=True):
        entries[numbers] = least_absolute_error(atoms.draw(numbers), example).to(x.dtype)
    return code.view(len(x), -1, atoms.n)


def least_absolute_error(drawn: Tensor, x: Tensor, rounds: int = 8) -> Tensor:
    """Amplitudes of what is drawn ``(K, n)`` whose sum is close to a signal ``(n,)``, ``(K,)``.

    Iteratively reweighted least squares: a squared error divided by the error before is an absolute
    one. It starts from least squares and is never worse; after 8 rounds the absolute error is
    within a few tenths of a percent of the smallest.
    """
    return torch.from_numpy(_least_absolute(drawn.numpy(), x.numpy(), rounds))


@_compiled
def _least_absolute(drawn, x, rounds):  # pragma: no cover
    """`least_absolute_error`; products are summed where both factors are drawn."""
    count, n = drawn.shape
    begin, end = np.zeros(count, np.int64), np.zeros(count, np.int64)
    for i in range(count):
        inside = np.flatnonzero(drawn[i])
        if len(inside):
            begin[i], end[i] = inside[0], inside[-1] + 1
    floor = 1e-3 * np.abs(x).mean()
    weight, error, weighted = np.ones(n), np.empty(n), np.empty(n)
    best, smallest = np.zeros(count), np.abs(x).sum()
    gram, target = np.empty((count, count)), np.empty(count)
    for _ in range(rounds + 1):
        for i in range(count):
            target[i] = 0
            for t in range(begin[i], end[i]):
                weighted[t] = weight[t] * drawn[i, t]
                target[i] += weighted[t] * x[t]
            for j in range(i + 1):
                product = 0.0
                for t in range(max(begin[i], begin[j]), min(end[i], end[j])):
                    product += weighted[t] * drawn[j, t]
                gram[i, j] = gram[j, i] = product
            gram[i, i] *= 1 + 1e-9  # near-duplicates
        amplitudes = np.linalg.solve(gram, target)
        error[:] = x
        for i in range(count):
            for t in range(begin[i], end[i]):
                error[t] -= amplitudes[i] * drawn[i, t]
        total = 0.0
        for t in range(n):
            error[t] = abs(error[t])
            total += error[t]
        if total < smallest:
            best, smallest = amplitudes, total
        for t in range(n):
            weight[t] = 1 / max(error[t], floor)
    return best
