"""The paper's definitions once more, slow and obvious: what `san_core` is compared with.

NumPy, one map (a similarity map, or one example) at a time, of one or two axes. Every function
names the section of the article that it spells out.
"""

import numpy as np


def topk_absolutes(s, k):
    """Keep the k entries of largest absolute value, ties by index (Sec. III-A3)."""
    a = np.zeros_like(s)
    for position in _strongest_first(s, np.ndindex(s.shape))[:k]:
        a[position] = s[position]
    return a


def extrema_pool_indices(s, cell):
    """Keep the strongest entry of each whole cell, ties by index (Sec. III-A4)."""
    a = np.zeros_like(s)
    for corner in np.ndindex(*[side // cell for side in s.shape]):
        members = [
            tuple(cell * c + o for c, o in zip(corner, offset, strict=True))
            for offset in np.ndindex(*[cell] * s.ndim)
        ]
        strongest = _strongest_first(s, members)[0]
        a[strongest] = s[strongest]
    return a


def extrema(s, min_distance):
    """Visit peaks and valleys by strength; each kept one suppresses those near (Sec. III-A5)."""
    a = np.zeros_like(s)
    kept = []
    candidates = [position for position in np.ndindex(s.shape) if is_extremum(s, position)]
    for position in _strongest_first(s, candidates):
        if all(distance(position, other) > min_distance for other in kept):
            kept.append(position)
            a[position] = s[position]
    return a


def is_extremum(s, position):
    """Whether a peak or a valley is here, by the differences along every axis (Sec. III-A5)."""
    left, right = [], []
    for axis in range(s.ndim):
        before, after = list(position), list(position)
        before[axis] = max(position[axis] - 1, 0)  # the difference across a border is 0
        after[axis] = min(position[axis] + 1, s.shape[axis] - 1)
        left.append(s[position] - s[tuple(before)])
        right.append(s[tuple(after)] - s[position])
    peak = s[position] > 0 and all(r <= 0 for r in right) and all(d > 0 for d in left)
    valley = s[position] <= 0 and all(r > 0 for r in right) and all(d <= 0 for d in left)
    return bool(peak or valley)


def distance(position, other):
    """How far apart two positions are along the axis where they are furthest apart."""
    return max(abs(p - o) for p, o in zip(position, other, strict=True))


def activate(s, activation, kernel_size, border_tolerance=2):
    """Apply an activation function at the density of a kernel size (Sec. III-A)."""
    if activation == "identity":
        return s.copy()
    if activation == "relu":
        return np.where(s > 0, s, 0)
    if activation == "top-k absolutes":
        k = 1
        for side in s.shape:
            k *= side // kernel_size
        return topk_absolutes(s, k)
    if activation == "extrema-pool indices":
        return extrema_pool_indices(s, kernel_size)
    if activation == "extrema":
        return extrema(s, max(kernel_size - border_tolerance, 1))
    raise AssertionError(activation)


def correlate(x, w):
    """Cross-correlation, zeros beyond the borders, (m - 1) // 2 of them before (Sec. III-B)."""
    out = np.zeros_like(x)
    before = (len(w) - 1) // 2
    for position in np.ndindex(x.shape):
        for tap in np.ndindex(w.shape):
            source = tuple(p + t - before for p, t in zip(position, tap, strict=True))
            if all(0 <= p < side for p, side in zip(source, x.shape, strict=True)):
                out[position] += x[source] * w[tap]
    return out


def san(x, kernels, activation, border_tolerance=2):
    """Activation maps (q, *spatial) and reconstruction of one example (Sec. III-B)."""
    maps, x_hat = [], np.zeros_like(x)
    for w in kernels:
        s = correlate(x, w)
        a = activate(s, activation, len(w), border_tolerance)
        maps.append(a)
        x_hat += correlate(a, w)
    return np.stack(maps), x_hat


def _strongest_first(s, positions):
    """Positions by decreasing absolute value; the sort is stable, so ties stay in row order."""
    return sorted(positions, key=lambda position: -abs(s[position]))
