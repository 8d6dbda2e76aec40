// Training of SANs in the reader's browser, as sanbook/training does it: the same start, the same
// order of the examples, the same steps. `sanTrainer` is plain text for a worker, too.

// Arrays in the memory of a WebAssembly module whose one function is correlate.wat, single precision.
function sanSimd() {
  const WASM = "AGFzbQEAAAABCQFgBX9/f39/AAMCAQAFAwEABAcWAgZtZW1vcnkCAAljb3JyZWxhdGUAAArbAgHYAgIFewR/IAEgAkECdGohDCADIARBAnRqIQ0CQANAIANBwABqIA1LDQH9DAAAAAAAAAAAAAAAAAAAAAAhBSAFIQYgBSEHIAUhCCAAIQogASELA0AgC/0JAgAhCSAFIAkgCv0AAgD95gH95AEhBSAGIAkgCv0AAhD95gH95AEhBiAHIAkgCv0AAiD95gH95AEhByAIIAkgCv0AAjD95gH95AEhCCAKQQRqIQogC0EEaiILIAxJDQALIAMgBf0LAgAgAyAG/QsCECADIAf9CwIgIAMgCP0LAjAgA0HAAGohAyAAQcAAaiEADAALCwJAA0AgAyANTw0B/QwAAAAAAAAAAAAAAAAAAAAAIQUgACEKIAEhCwNAIAUgC/0JAgAgCv0AAgD95gH95AEhBSAKQQRqIQogC0EEaiILIAxJDQALIAMgBf0LAgAgA0EQaiEDIABBEGohAAwACwsL";
  const module = new WebAssembly.Module(Uint8Array.from(atob(WASM), (c) => c.charCodeAt(0)));
  const { memory, correlate } = new WebAssembly.Instance(module).exports;
  let scratch;
  return {
    // What was allocated before is given back.
    allocate(lengths) {
      const starts = [];
      let end = 0;
      for (const length of [...lengths, Math.max(...lengths)]) {
        starts.push(end);
        end += (4 * (length + 16) + 15) & ~15; // what is read behind the last sample is not used
      }
      const missing = Math.ceil((end - memory.buffer.byteLength) / 65536);
      if (missing > 0) memory.grow(missing);
      const arrays = starts.map((at, i) => new Float32Array(memory.buffer, at, lengths[i] ?? 0).fill(0));
      scratch = new Float32Array(memory.buffer, arrays.pop().byteOffset);
      return arrays;
    },
    correlate(line, from, kernel, at, taps, out, to, count) {
      const fours = (count + 3) & ~3;
      correlate(line.byteOffset + 4 * from, kernel.byteOffset + 4 * at, taps, scratch.byteOffset, fours);
      for (let p = 0; p < count; p++) out[to + p] += scratch[p];
    },
  };
}

function sanTrainer(san) {
  // --- random numbers as NumPy's and torch's -------------------------------------------------------

  // numpy.random.SeedSequence(entropy).generate_state(count), whole numbers of 32 bits.
  function seedSequence(entropy, count) {
    const pool = new Uint32Array(4);
    let constant = 0x43b0d7e5;
    const hash = (value) => {
      value ^= constant;
      constant = Math.imul(constant, 0x931e8875);
      value = Math.imul(value, constant);
      return value ^ (value >>> 16);
    };
    const mix = (x, y) => {
      const mixed = Math.imul(0xca01f9dd, x) - Math.imul(0x4973f715, y);
      return mixed ^ (mixed >>> 16);
    };
    for (let i = 0; i < 4; i++) pool[i] = hash(entropy[i] ?? 0);
    for (let from = 0; from < 4; from++) {
      for (let to = 0; to < 4; to++) if (from !== to) pool[to] = mix(pool[to], hash(pool[from]));
    }
    let other = 0x8b51f9dd;
    return Array.from({ length: count }, (_, i) => {
      let value = pool[i % 4] ^ other;
      other = Math.imul(other, 0x58f38ded);
      value = Math.imul(value, other);
      return (value ^ (value >>> 16)) >>> 0;
    });
  }

  // The Mersenne Twister of torch.Generator().manual_seed(seed), whole numbers of 32 bits.
  function twister(seed) {
    const state = new Uint32Array(624);
    state[0] = seed;
    for (let i = 1; i < 624; i++) {
      const s = state[i - 1] ^ (state[i - 1] >>> 30);
      state[i] = Math.imul(s, 1812433253) + i;
    }
    let at = 624;
    return () => {
      if (at === 624) {
        for (let i = 0; i < 624; i++) {
          const y = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
          state[i] = state[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
        }
        at = 0;
      }
      let y = state[at++];
      y ^= y >>> 11;
      y ^= (y << 7) & 0x9d2c5680;
      y ^= (y << 15) & 0xefc60000;
      return (y ^ (y >>> 18)) >>> 0;
    };
  }

  // The examples of each epoch, one after the other: torch.randperm of one generator.
  function ordersOfEpochs(count, seed, epochs) {
    const random = twister(seed);
    return Array.from({ length: epochs }, () => {
      const order = Array.from({ length: count }, (_, i) => i);
      for (let i = 0; i < count - 1; i++) {
        const z = i + (random() % (count - i));
        [order[i], order[z]] = [order[z], order[i]];
      }
      return order;
    });
  }

  // torch.normal(0, 0.1, (m,)): pairs of the transformation of Box and Muller. Of 16 and more samples
  // torch works in single precision on blocks of 16, the last of which overlaps the one before; its
  // logarithm, sine and cosine may round otherwise.
  function normalKernel(m, seed) {
    const random = twister(seed), { cos, fround, log1p, PI, sin, sqrt } = Math;
    const pair = (angle, radius) => [0.1 * radius * cos(angle), 0.1 * radius * sin(angle)];
    if (m < 16) {
      const uniform = () => ((random() & 0x1fffff) * 2 ** 32 + random()) * 2 ** -53;
      const values = [];
      while (values.length < m) values.push(...pair(2 * PI * uniform(), sqrt(-2 * log1p(-uniform()))));
      return Float32Array.from(values.slice(0, m));
    }
    const draw = () => (random() & 0xffffff) * 2 ** -24;
    const values = Float32Array.from({ length: m }, draw);
    const fill = (at) => {
      for (let i = at; i < at + 8; i++) {
        const radius = fround(sqrt(-2 * log1p(-values[i])));
        [values[i], values[i + 8]] = pair(fround(fround(2 * PI) * values[i + 8]), radius);
      }
    };
    for (let at = 0; at + 16 <= m; at += 16) fill(at);
    if (m % 16) {
      values.set(Float32Array.from({ length: 16 }, draw), m - 16);
      fill(m - 16);
    }
    return values;
  }

  // `segment` of sanbook/training with numpy.random.default_rng(stream), which is PCG64: a piece of
  // an example around a sample drawn by its energy, plus its mirror image, of unit norm.
  function segmentKernel(m, stream, examples) {
    const words = seedSequence([stream], 8).map(BigInt), mask = 2n ** 128n - 1n;
    const whole = (i) => (words[i + 1] << 96n) | (words[i] << 64n) | (words[i + 3] << 32n) | words[i + 2];
    const odd = ((whole(4) << 1n) | 1n) & mask;
    const step = () => (state = (state * 0x2360ed051fc65da44385df649fccf645n + odd) & mask);
    let state = odd;
    state = (state + whole(0)) & mask;
    step();
    const next = () => {
      step();
      const folded = (state >> 64n) ^ (state & (2n ** 64n - 1n));
      return BigInt.asUintN(64, (folded >> (state >> 122n)) | (folded << ((64n - (state >> 122n)) % 64n)));
    };
    const halves = [];
    const half = () => {
      if (!halves.length) {
        const both = next();
        halves.push(both & 0xffffffffn, both >> 32n);
      }
      return halves.shift();
    };
    const bound = BigInt(examples.length), rest = (2n ** 32n - bound) % bound;
    let product = bound > 1n ? half() * bound : 0n;
    while (bound > 1n && (product & 0xffffffffn) < rest) product = half() * bound;
    const example = examples[Number(product >> 32n)];
    const share = Number(next() >> 11n) * 2 ** -53;
    const sums = [];
    for (const value of example) sums.push((sums.at(-1) ?? 0) + value * value);
    const strong = sums.findIndex((sum) => sum / sums.at(-1) > share);
    const piece = Float32Array.from({ length: m }, (_, j) => example[strong - ((m - 1) >> 1) + j] ?? 0);
    let kernel = piece.map((value, j) => value + piece[m - 1 - j]);
    if (!kernel.some(Boolean)) kernel = piece;
    const norm = Math.fround(Math.hypot(...kernel));
    return kernel.map((value) => value / norm);
  }

  // The kernel before training, of a stream of its own for each size and seed.
  function start(init, m, seed, examples) {
    const [stream] = seedSequence([seed, m], 1);
    if (init === "normal") return normalKernel(m, stream);
    return init === "segment" ? segmentKernel(m, stream, examples) : new Float32Array(m).fill(0.1);
  }

  // --- training ------------------------------------------------------------------------------------

  // Trains one network of q kernels to the end, by Adam on the mean absolute error. Gives for each
  // epoch the kernels and the means of L~, CR^-1 and phi on the batches and on validation, and the
  // number of the best epoch on validation; `tested` are those of the best and the last on test.
  function train({ train, validation, test }, spatial, activation, initial, protocol) {
    const { seed, epochs, q = 1, batchSize = 2, learningRate = 0.01, borderTolerance = 3 } = protocol;
    const m = (initial.length / q) ** (1 / spatial.length);
    const d = san.density(activation, Math.round(m), spatial, borderTolerance);
    const net = san.network(spatial, Math.round(m), q, activation, d), { w } = net;
    w.set(initial);
    const [mean, square] = [w.map(() => 0), w.map(() => 0)], rows = [];
    let step = 0, best = 0;
    for (const order of ordersOfEpochs(train.length, seed, epochs)) {
      const seen = net.summary();
      for (let first = 0; first < order.length; first += batchSize) {
        const g = net.gradient(train, order.slice(first, first + batchSize), seen.add);
        step += 1;
        const rate = learningRate / (1 - 0.9 ** step), correction = Math.sqrt(1 - 0.999 ** step);
        for (let i = 0; i < w.length; i++) {
          mean[i] += 0.1 * (g[i] - mean[i]);
          square[i] = 0.999 * square[i] + 0.001 * g[i] * g[i];
          w[i] -= (rate * mean[i]) / (Math.sqrt(square[i]) / correction + 1e-8);
        }
      }
      rows.push({ w: w.slice(), train: seen.means(), validation: net.measure(validation, w) });
      if (rows.at(-1).validation[2] < rows[best].validation[2]) best = rows.length - 1;
    }
    const tested = [best, rows.length - 1].map((e) => net.measure(test, rows[e].w));
    return { rows, best, tested };
  }

  return { ordersOfEpochs, seedSequence, start, train };
}
