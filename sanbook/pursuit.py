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
    they leave.
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
        self.residual, self.steps = x.clone(), 0
        self.chosen = torch.zeros(len(x), most, dtype=torch.long)
        # The atoms are triangle times directions, which are orthonormal; or the atoms themselves.
        self._directions = x.new_zeros(len(x), most, x.shape[1])
        self._triangle = torch.eye(most, dtype=x.dtype).repeat(len(x), 1, 1)
        self._along = x.new_zeros(len(x), most)  # how far the examples go along the directions

    def step(self) -> None:
        """Add an atom to each example."""
        k = self.steps
        self.chosen[:, k] = self.strongest(self.residual)
        direction = self.draw(self.chosen[:, k])
        if self.refit:
            direction = self._orthonormal(direction)
        along = (self.residual * direction).sum(dim=1)
        self.residual -= along[:, None] * direction
        self._directions[:, k], self._along[:, k] = direction, along
        self.steps += 1

    def _orthonormal(self, atom: Tensor) -> Tensor:
        """The new direction of each atom ``(B, n)``, 0 where it depends on those before."""
        k = self.steps
        before, direction = self._directions[:, :k], atom[:, None]  # (B, k, n), (B, 1, n)
        for _ in range(2):  # once leaves rounding errors of near-duplicates, twice is enough
            overlap = direction @ before.mT  # (B, 1, k)
            direction = direction - overlap @ before
            self._triangle[:, :k, k] += overlap[:, 0]
        direction = direction[:, 0]
        norm = direction.norm(dim=1)
        independent = norm > 1e-7 * atom.norm(dim=1)
        self._triangle[:, k, k] = torch.where(independent, norm, 1.0)
        return torch.where(independent[:, None], direction / norm[:, None], 0.0)

    def keep(self, examples: Tensor) -> None:
        """Go on with some of the examples only, ``(B,)`` booleans."""
        for name in ("residual", "chosen", "_triangle", "_along"):
            setattr(self, name, getattr(self, name)[examples])
        before = self._directions[examples, : self.steps]  # what is still empty is not copied
        self._directions = before.new_zeros(len(before), *self._directions.shape[1:])
        self._directions[:, : self.steps] = before

    def amplitudes(self, steps: Tensor) -> Tensor:
        """Amplitude of each chosen atom after so many steps ``(B,)``, 0 of later ones, (B, K)."""
        along = torch.where(torch.arange(self._along.shape[1]) < steps[:, None], self._along, 0.0)
        return torch.linalg.solve_triangular(self._triangle, along[..., None], upper=True)[..., 0]

    def code(self, steps: Tensor, atoms: int) -> Tensor:
        """Amplitudes of all P atoms after so many steps ``(B,)``, ``(B, P)``."""
        code = self._along.new_zeros(len(self.chosen), atoms)
        return code.scatter_add_(1, self.chosen, self.amplitudes(steps))


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
        """The atom of largest correlation with each signal, ties to the lower number.

        ``(B, n) -> (B,)``; correlations have single precision.
        """
        spectra, size = self._spectra
        residual_f = torch.fft.rfft(residual.float(), size)
        products = torch.fft.irfft(residual_f[:, None] * spectra, size)
        return (products[..., : self.n] * self._scale).flatten(1).abs().argmax(dim=1)

    def draw(self, number: Tensor) -> Tensor:
        """What the kernels draw inside the signal, ``(N,) -> (N, n)``."""
        kernel, place = number // self.n, number % self.n
        tap = torch.arange(self.n) - (place - self.lengths[kernel] // 2)[:, None]  # (N, n)
        inside = (tap >= 0) & (tap < self.drawn.shape[1])
        taps = self.drawn[kernel].gather(1, tap.clamp(0, self.drawn.shape[1] - 1))
        return torch.where(inside, taps, 0.0)

    def draw_unit(self, number: Tensor) -> Tensor:
        """The atoms, of unit norm, ``(N,) -> (N, n)``."""
        return self.draw(number) / self.norms.flatten()[number, None]

    def decode(self, code: Tensor) -> Tensor:
        """Signals of codes, ``(B, J, n) -> (B, n)``; only entries are drawn."""
        example, number = code.flatten(1).nonzero(as_tuple=True)
        drawn = self.draw(number) * code.flatten(1)[example, number, None]
        return torch.zeros(len(code), self.n, dtype=drawn.dtype).index_add_(0, example, drawn)


class Hats(Atoms):
    """The same of kernels that are few straight lines, whose correlations are much less work.

    Kernel ``j`` is a sum of hats: triangles of the weights ``weights[j]`` ``(m,)``, ``spacing[j]``
    samples apart and as wide to either side, so that there are straight lines between the weights,
    and down to zero one spacing beyond them. The residual is correlated once with the hat of each
    spacing, by its second sums, and then with m weights, however long the kernel is.
    """

    def __init__(
        self, kernels: Sequence[Tensor], weights: Sequence[Tensor], spacing: Sequence[int], n: int
    ) -> None:
        super().__init__(kernels, n)
        self._weights = np.concatenate([weight.flip(0).numpy() for weight in weights]).astype(
            np.float32
        )
        self._starts = np.cumsum([0, *map(len, weights)])
        self._spacing = np.array(spacing)
        self._order = np.argsort(self._spacing, kind="stable")

    def strongest(self, residual: Tensor) -> Tensor:
        """See `Atoms`."""
        found = np.empty(len(residual), np.int64)
        _strongest_hats(
            residual.numpy(), self._weights, self._starts, self._spacing, self._order,
            self.lengths.numpy(), self._scale.numpy(), found,
        )  # fmt: skip
        return torch.from_numpy(found)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nnan"})
def _strongest_hats(
    residual, weights, starts, spacing, order, lengths, scale, found
):  # pragma: no cover
    """`Hats.strongest`. The hats and what follows have single precision, the sums double."""
    n = residual.shape[1]
    reach = lengths.max() // 2 + 2 * spacing.max() + 2  # samples beyond the borders
    sums = np.zeros(n + 2 * reach)  # second sums of the residual; sample t is at reach + t
    hats = np.zeros(n + 2 * reach, np.float32)  # the same
    products = np.empty(n, np.float32)
    for b in range(len(residual)):
        first = second = 0.0
        for t in range(n):
            first += residual[b, t]
            second += first
            sums[reach + t] = second
        for t in range(n, n + reach):
            second += first
            sums[reach + t] = second
        largest, best = np.float32(-1.0), 0
        apart = 0
        for j in order:
            count = starts[j + 1] - starts[j]
            begin = reach + spacing[j] - 1 - lengths[j] // 2  # of the first weight
            if spacing[j] != apart:  # in the order, the same spacings follow each other
                apart = spacing[j]
                behind, ahead = sums[: -2 * apart], sums[2 * apart :]
                for s in range(len(behind)):
                    hats[s + apart + 1] = (behind[s] - 2 * sums[s + apart] + ahead[s]) / apart
            products[:] = 0
            for i in range(count):
                weight, hat = (
                    weights[starts[j] + i],
                    hats[begin + i * apart : begin + i * apart + n],
                )
                for t in range(n):
                    products[t] += weight * hat[t]
            top = np.float32(0.0)
            for t in range(n):
                products[t] = abs(products[t] * scale[j, t])
                top = max(top, products[t])
            if top > largest or (top == largest and j * n < best):
                largest = top
                for t in range(n):
                    if products[t] == top:
                        best = j * n + t
                        break
        found[b] = best


# --- as many atoms as each example needs ----------------------------------------------------------


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
    exact, n = x.double(), x.shape[1]
    scale = exact.abs().sum(dim=1)
    most = max(0, math.ceil((n - num_weights) / cost))
    pursuit = Pursuit(exact, atoms.strongest, atoms.draw_unit, most, refit)
    paths: list[Path | None] = [None] * len(x)
    going = torch.arange(len(x))
    counts = torch.zeros(len(x), dtype=torch.long)
    losses = torch.ones(len(x), 1, dtype=torch.float64)
    phis = torch.full((len(x), 1), math.hypot(1, num_weights / n), dtype=torch.float64)
    while len(going):
        dearer = (num_weights + cost * (counts + (1 if refit else 0))) / n
        over = (dearer >= phis.amin(dim=1)) | (pursuit.steps == most)
        if over.any():
            steps = phis.argmin(dim=1)
            amplitudes = pursuit.amplitudes(steps)
            for i in over.nonzero().flatten().tolist():
                paths[going[i]] = Path(
                    pursuit.chosen[i, : pursuit.steps].clone(), losses[i], phis[i], int(steps[i]),
                    amplitudes[i, : steps[i]],
                )  # fmt: skip
            pursuit.keep(~over)
            going, counts, losses, phis, scale = (
                part[~over] for part in (going, counts, losses, phis, scale)
            )
            continue
        before = pursuit.chosen[:, : pursuit.steps]
        pursuit.step()
        counts = counts + (before != pursuit.chosen[:, pursuit.steps - 1, None]).all(dim=1)
        loss = pursuit.residual.abs().sum(dim=1) / scale
        inverse_cr = san_core.inverse_compression_ratio_from_counts(
            counts, num_weights, n, ndim=cost - 1
        )
        phi = san_core.phi(inverse_cr.double(), loss)
        losses = torch.cat([losses, loss[:, None]], dim=1)
        phis = torch.cat([phis, phi[:, None]], dim=1)
    return paths


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
    weight, best, smallest = torch.ones_like(x), x.new_zeros(len(drawn)), x.abs().sum()
    for _ in range(rounds + 1):
        gram = (weight * drawn) @ drawn.T
        gram.diagonal().mul_(1 + 1e-9)  # near-duplicates
        amplitudes = torch.linalg.solve(gram, drawn @ (weight * x))
        error = (x - amplitudes @ drawn).abs()
        if error.sum() < smallest:
            best, smallest = amplitudes, error.sum()
        weight = 1 / error.clamp(min=1e-3 * x.abs().mean())
    return best
