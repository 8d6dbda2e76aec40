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

  // torch.normal(0, 0.1, (m,)): of 16 and more samples by its vectors of single precision, whose
  // logarithm, sine and cosine are the polynomials of the Cephes library, products and sums fused.
  function normalKernel(m, seed) {
    const random = twister(seed), { fround, sqrt } = Math;
    if (m < 16) {
      const uniform = () => ((random() & 0x1fffff) * 2 ** 32 + random()) * 2 ** -53;
      const values = [];
      while (values.length < m) {
        const angle = 2 * Math.PI * uniform(), radius = sqrt(-2 * Math.log1p(-uniform()));
        values.push(0.1 * radius * Math.cos(angle), 0.1 * radius * Math.sin(angle));
      }
      return Float32Array.from(values.slice(0, m));
    }
    const add = (x, y, z) => fround(x * y + z);
    const polynomial = (x, [first, ...others]) => others.reduce((y, c) => add(y, x, fround(c)), fround(first));
    const logarithm = (x) => {
      let e = Math.floor(Math.log2(x)) + 1;
      x = x / 2 ** e;
      if (x < fround(Math.SQRT1_2)) [x, e] = [fround(2 * x - 1), e - 1];
      else x = fround(x - 1);
      const z = fround(x * x);
      let y = polynomial(x, [
        7.0376836292e-2, -1.151461031e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
        -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
      ]);
      y = add(z, -0.5, add(e, fround(-2.1219444e-4), fround(fround(y * x) * z)));
      return add(e, 0.693359375, fround(x + y));
    };
    const cosineAndSine = (x) => {
      const octant = (Math.trunc(fround(x * fround(1.27323954473516))) + 1) & ~1;
      for (const part of [-0.78515625, -2.4187564849853515625e-4, fround(-3.77489497744594108e-8)]) x = add(octant,
        part, x);
      const z = fround(x * x);
      let c = polynomial(z, [2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2]);
      c = fround(add(fround(c * z), z, -fround(z * 0.5)) + 1);
      const s = add(fround(polynomial(z, [-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1]) * z), x, x);
      const [cosine, sine] = octant & 2 ? [s, c] : [c, s];
      return [(octant + 2) & 4 ? -cosine : cosine, octant & 4 ? -sine : sine];
    };
    const draw = () => (random() & 0xffffff) * 2 ** -24;
    const values = Float32Array.from({ length: m }, draw);
    const fill = (at) => {
      for (let i = at; i < at + 8; i++) {
        const radius = fround(sqrt(fround(-2 * logarithm(fround(1 - values[i])))));
        const [cosine, sine] = cosineAndSine(fround(fround(2 * Math.PI) * values[i + 8]));
        values[i] = fround(radius * cosine) * fround(0.1);
        values[i + 8] = fround(radius * sine) * fround(0.1);
      }
    };
    for (let at = 0; at + 16 <= m; at += 16) fill(at);
    if (m % 16) {
      for (let i = m - 16; i < m; i++) values[i] = draw();
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
