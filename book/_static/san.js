// Sparsely Activated Networks of signals in the browser: san_core.py once more, for one example.
//
// The order is that of san_core.py, and so are the conventions: a test holds every function to what
// its twin there gives. Functions are pure; signals, kernels and maps are arrays of numbers:
// - x: a signal of n samples; kernels: q of them, of m samples each
// - s: a similarity map of n samples; a: the q activation maps of one signal
const san = (() => {
  const ACTIVATIONS = ["identity", "relu", "top-k absolutes", "extrema-pool indices", "extrema"];

  // --- The metric phi ---------------------------------------------------------------------------

  // Description length of the activations and the weights, relative to that of the data: each
  // non-zero activation costs its amplitude and its position. `numWeights` are the samples of all
  // kernels together.
  function inverseCompressionRatio(a, numWeights) {
    const nonzero = a.flat().filter((value) => value !== 0).length;
    return (numWeights + 2 * nonzero) / a[0].length;
  }

  // Mean absolute error of a reconstruction, relative to that of predicting zeros.
  function normalizedLoss(x, xHat) {
    if (x.length !== xHat.length) {
      throw new RangeError(`xHat must have the ${x.length} samples of x, but has ${xHat.length}`);
    }
    const scale = x.reduce((sum, value) => sum + Math.abs(value), 0);
    if (scale === 0) {
      throw new RangeError("the loss relative to an all-zero signal is undefined");
    }
    const loss = x.reduce((sum, value, t) => sum + Math.abs(xHat[t] - value), 0) / scale;
    if (!Number.isFinite(loss)) {
      throw new RangeError("the loss must be finite; check x and the kernels for their size");
    }
    return loss;
  }

  // Distance from a free and perfect description.
  function phi(inverseCr, loss) {
    return Math.hypot(inverseCr, loss);
  }

  // --- The activation functions -----------------------------------------------------------------

  // Keep every similarity.
  function identity(s) {
    return s;
  }

  // Keep the positive similarities.
  function relu(s) {
    return s.map((value) => Math.max(value, 0));
  }

  // Keep the `k` entries of largest magnitude; ties go to the lower index.
  function topkAbsolutes(s, k) {
    if (!(k >= 1 && k <= s.length)) {
      throw new RangeError(`k must lie in 1..${s.length}, the number of samples, but k=${k}`);
    }
    return keep(s, strongestFirst(s, s.keys()).slice(0, k));
  }

  // Keep the entry of largest magnitude of each cell, ties to the lower index. Samples after the
  // last whole cell lie in no cell and become 0.
  function extremaPoolIndices(s, cell) {
    if (!(cell >= 1 && cell <= s.length)) {
      throw new RangeError(`cell must lie in 1..${s.length}, the number of samples, but is ${cell}`);
    }
    const kept = [];
    for (let first = 0; first + cell <= s.length; first += cell) {
      let strongest = first;
      for (let t = first + 1; t < first + cell; t++) {
        if (Math.abs(s[t]) > Math.abs(s[strongest])) strongest = t;
      }
      kept.push(strongest);
    }
    return keep(s, kept);
  }

  // Keep the strongest peaks and valleys, further apart than `minDistance`.
  function extrema(s, minDistance) {
    return keep(s, suppress(s, minDistance).map((step) => step.kept));
  }

  // The steps of extrema: the strongest candidate (ties to the lower index) is kept and suppresses
  // all others within that distance, inclusive; then the strongest of the rest, and so on.
  function suppress(s, minDistance) {
    if (!(minDistance >= 1)) {
      throw new RangeError(`minDistance must be at least 1 sample, but is ${minDistance}`);
    }
    if (!s.every(Number.isFinite)) {
      throw new RangeError("s must be finite, but has NaN or infinite entries");
    }
    const steps = [];
    let waiting = strongestFirst(s, [...s.keys()].filter((t) => isExtremum(s, t)));
    while (waiting.length) {
      const [kept, ...others] = waiting;
      const near = (t) => Math.abs(t - kept) <= minDistance;
      steps.push({ kept, suppressed: others.filter(near) });
      waiting = others.filter((t) => !near(t));
    }
    return steps;
  }

  // Whether sample t is a peak or a valley. A peak is positive, higher than the sample before and
  // not lower than the one after; a valley is not positive, not higher than the sample before and
  // lower than the one after. The map goes on flat beyond its borders.
  function isExtremum(s, t) {
    const positive = s[t] > 0;
    const risesBefore = t > 0 && s[t] > s[t - 1];
    const risesAfter = t < s.length - 1 && s[t + 1] > s[t];
    return risesBefore === positive && risesAfter !== positive;
  }

  // Positions by decreasing magnitude; the sort is stable, so ties stay in the order of positions.
  function strongestFirst(s, positions) {
    return [...positions].sort((one, other) => Math.abs(s[other]) - Math.abs(s[one]));
  }

  // Zeros but at the kept positions.
  function keep(s, positions) {
    const a = s.map(() => 0);
    for (const t of positions) a[t] = s[t];
    return a;
  }

  // The sparsity density that belongs to a kernel size: k, the cell or the minimum distance; null
  // for the two functions that have none.
  function density(activation, kernelSize, n, borderTolerance = 2) {
    switch (activation) {
      case "top-k absolutes":
        return Math.floor(n / kernelSize);
      case "extrema-pool indices":
        return kernelSize;
      case "extrema":
        return Math.max(kernelSize - borderTolerance, 1);
      default:
        return null;
    }
  }

  // Apply an activation function with a density.
  function activate(s, activation, d) {
    switch (activation) {
      case "identity":
        return identity(s);
      case "relu":
        return relu(s);
      case "top-k absolutes":
        return topkAbsolutes(s, d);
      case "extrema-pool indices":
        return extremaPoolIndices(s, d);
      case "extrema":
        return extrema(s, d);
      default:
        throw new RangeError(`activation must be one of ${ACTIVATIONS}, but is ${activation}`);
    }
  }

  // --- The network ------------------------------------------------------------------------------

  // Similarity maps, one for each kernel.
  function similarities(x, kernels) {
    return kernels.map((w) => correlate(x, w));
  }

  // Activation maps; `densities` has one for each kernel, see `density`.
  function encode(x, kernels, activation, densities) {
    return similarities(x, kernels).map((s, i) => activate(s, activation, densities[i]));
  }

  // Sum of what the kernels draw at their activations.
  function decode(a, kernels) {
    const drawn = kernels.map((w, i) => correlate(a[i], w));
    return drawn[0].map((_, t) => drawn.reduce((sum, r) => sum + r[t], 0));
  }

  // Cross-correlation with one kernel, same size out, zeros beyond the borders. An even kernel
  // reaches one sample further to later samples than to earlier ones.
  function correlate(signal, w) {
    const n = signal.length;
    if (!(w.length >= 1 && w.length <= n)) {
      throw new RangeError(`kernel size must lie in 1..${n}, the samples of x, but is ${w.length}`);
    }
    const before = Math.floor((w.length - 1) / 2);
    return signal.map((_, t) => {
      const first = Math.max(0, before - t);
      const end = Math.min(w.length, n + before - t);
      let sum = 0;
      for (let j = first; j < end; j++) sum += w[j] * signal[t + j - before];
      return sum;
    });
  }

  // --- The multiscale SAN ----------------------------------------------------------------------

  // What a kernel draws at a place of n samples, mirrored as in `correlate`.
  function draw(kernel, place, n) {
    const first = place - Math.floor(kernel.length / 2);
    return Array.from({ length: n }, (_, t) => kernel[kernel.length - 1 - (t - first)] ?? 0);
  }

  // A signal as a sum of the first 0, 1, ... of some atoms, all amplitudes refitted by least squares
  // each time: the normalized losses, the residuals, and a function that gives the amplitudes.
  function refit(x, atoms) {
    const dot = (one, other) => one.reduce((sum, value, t) => sum + value * other[t], 0);
    const minus = (one, factor, other) => one.map((value, t) => value - factor * other[t]);
    const total = (values) => values.reduce((sum, value) => sum + Math.abs(value), 0);
    const [directions, triangle, along, residuals] = [[], [], [], [x]];
    for (const atom of atoms) {
      let direction = atom;
      const overlaps = directions.map(() => 0);
      for (let round = 0; round < 2; round++) {
        directions.forEach((before, k) => {
          const overlap = dot(direction, before);
          overlaps[k] += overlap;
          direction = minus(direction, overlap, before);
        });
      }
      const norm = Math.sqrt(dot(direction, direction));
      direction = direction.map((value) => value / norm);
      const residual = residuals.at(-1);
      along.push(dot(residual, direction));
      residuals.push(minus(residual, along.at(-1), direction));
      directions.push(direction);
      triangle.push([...overlaps, norm]);
    }
    function amplitudes(count) {
      const solved = along.slice(0, count);
      for (let k = count - 1; k >= 0; k--) {
        solved[k] /= triangle[k][k];
        for (let i = 0; i < k; i++) solved[i] -= triangle[k][i] * solved[k];
      }
      return solved;
    }
    return { losses: residuals.map((r) => total(r) / total(x)), residuals, amplitudes };
  }

  return {
    draw,
    refit,
    ACTIVATIONS,
    inverseCompressionRatio,
    normalizedLoss,
    phi,
    identity,
    relu,
    topkAbsolutes,
    extremaPoolIndices,
    extrema,
    suppress,
    isExtremum,
    density,
    activate,
    similarities,
    encode,
    decode,
  };
})();
