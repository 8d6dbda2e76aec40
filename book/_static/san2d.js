// Sparsely Activated Networks of images in the browser: what san.js is for signals. Images, kernels
// and maps are rows of numbers; a test holds every function to its twin in san_core.py.
const san2d = (() => {
  const rowsOf = (flat, width) =>
    Array.from({ length: flat.length / width }, (_, y) => flat.slice(y * width, (y + 1) * width));

  // Description length relative to that of the data: an activation is an amplitude and two places.
  function inverseCompressionRatio(a, numWeights) {
    const nonzero = a.flat(2).filter((value) => value !== 0).length;
    return (numWeights + 3 * nonzero) / a[0].flat().length;
  }

  function normalizedLoss(x, xHat) {
    return san.normalizedLoss(x.flat(), xHat.flat());
  }

  function topkAbsolutes(s, k) {
    return rowsOf(san.topkAbsolutes(s.flat(), k), s[0].length);
  }

  // Keep the entry of largest magnitude of each whole cell, ties to the lower index.
  function extremaPoolIndices(s, cell) {
    const shortest = Math.min(s.length, s[0].length);
    if (!(cell >= 1 && cell <= shortest)) {
      throw new RangeError(`cell must lie in 1..${shortest}, the shortest side, but is ${cell}`);
    }
    const places = [];
    for (let top = 0; top + cell <= s.length; top += cell) {
      for (let left = 0; left + cell <= s[0].length; left += cell) {
        let strongest = [top, left];
        for (let y = top; y < top + cell; y++) {
          for (let x = left; x < left + cell; x++) {
            if (Math.abs(s[y][x]) > Math.abs(s[strongest[0]][strongest[1]])) strongest = [y, x];
          }
        }
        places.push(strongest);
      }
    }
    return keep(s, places);
  }

  // Keep the strongest extrema, further apart than `minDistance` along one axis at least.
  function extrema(s, minDistance) {
    if (!(minDistance >= 1)) {
      throw new RangeError(`minDistance must be at least 1 sample, but is ${minDistance}`);
    }
    const columns = s[0].map((_, x) => s.map((row) => row[x]));
    const candidates = s.flatMap((row, y) => row.map((_, x) => [y, x]));
    const places = candidates.filter(([y, x]) => san.isExtremum(s[y], x) && san.isExtremum(columns[x], y));
    places.sort(([y, x], [v, u]) => Math.abs(s[v][u]) - Math.abs(s[y][x])); // stable: ties in order
    const kept = [];
    for (const [y, x] of places) {
      const near = ([v, u]) => Math.max(Math.abs(v - y), Math.abs(u - x)) <= minDistance;
      if (!kept.some(near)) kept.push([y, x]);
    }
    return keep(s, kept);
  }

  function keep(s, places) {
    const a = s.map((row) => row.map(() => 0));
    for (const [y, x] of places) a[y][x] = s[y][x];
    return a;
  }

  function density(activation, kernelSize, height, width, borderTolerance = 2) {
    if (activation === "top-k absolutes") {
      return Math.floor(height / kernelSize) * Math.floor(width / kernelSize);
    }
    return san.density(activation, kernelSize, height, borderTolerance);
  }

  function activate(s, activation, d) {
    switch (activation) {
      case "top-k absolutes":
        return topkAbsolutes(s, d);
      case "extrema-pool indices":
        return extremaPoolIndices(s, d);
      case "extrema":
        return extrema(s, d);
      default: // entry by entry, so that rows do as well
        return s.map((row) => san.activate(row, activation, d));
    }
  }

  function similarities(x, kernels) {
    return kernels.map((w) => correlate(x, w));
  }

  function encode(x, kernels, activation, densities) {
    return similarities(x, kernels).map((s, i) => activate(s, activation, densities[i]));
  }

  function decode(a, kernels) {
    const drawn = kernels.map((w, i) => correlate(a[i], w));
    return drawn[0].map((row, y) => row.map((_, x) => drawn.reduce((sum, r) => sum + r[y][x], 0)));
  }

  // Cross-correlation with one kernel, same size out, zeros beyond the borders; see san.js.
  function correlate(image, w) {
    const m = w.length;
    const shortest = Math.min(image.length, image[0].length);
    if (!(m >= 1 && m <= shortest)) {
      throw new RangeError(`kernel size must lie in 1..${shortest}, the shortest side, but is ${m}`);
    }
    const before = Math.floor((m - 1) / 2);
    return image.map((row, y) =>
      row.map((_, x) => {
        let sum = 0;
        for (let j = 0; j < m; j++) {
          for (let i = 0; i < m; i++) {
            sum += w[j][i] * (image[y + j - before]?.[x + i - before] ?? 0);
          }
        }
        return sum;
      }),
    );
  }

  return { inverseCompressionRatio, normalizedLoss, density, activate, similarities, encode, decode };
})();
