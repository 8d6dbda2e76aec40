// The laboratory: SANs trained on the reader's own recording, in the reader's browser. san.js and
// trainer.js compute, in workers made of their text, since a page opened as a file may start no
// others; methods.js has the other methods, readers.js the files.
document.addEventListener("DOMContentLoaded", () => plot.start("laboratory", startLaboratory));

// What a worker does: cut a recording, train, find events, compare with other methods.
function serveLaboratory() {
  let san = makeSan(), simd = true;
  try {
    san = makeSan(sanSimd());
  } catch {
    simd = false; // the page says so
  }
  const trainer = sanTrainer(san);
  let data;
  const tasks = {
    cut({ values, window, ready, most }) {
      const all = windowsOf(values, window, ready);
      const usable = all.filter(({ fault }) => !fault);
      let every = 1;
      while (Math.ceil(usable.length / every) > most) every *= 2;
      const kept = usable.filter((_, i) => i % every === 0);
      const [train, validation] = [kept.length >> 1, Math.max(1, Math.floor(kept.length / 6))];
      const examples = kept.map((one) => standardized(values, one, window));
      const parts = [[0, train], [train, train + validation], [train + validation]];
      const [trained, chosen, tested] = parts.map(([from, to]) => examples.slice(from, to));
      return { all, every, usable: usable.length, simd, data: { train: trained, validation: chosen, test: tested } };
    },
    train({ activation, m, protocol }) {
      const initial = trainer.start(protocol.init, m, protocol.seed, data.train);
      return { initial, ...trainer.train(data, [data.train[0].length], activation, initial, protocol) };
    },
    methods: ({ filters }) => otherMethods(filters)(data),
    events: (given) => eventsOf(given),
  };
  onmessage = ({ data: { kind, ...given } }) => {
    if (kind === "load") return void (data = given.data);
    try {
      postMessage({ result: tasks[kind](given) });
    } catch (error) {
      postMessage({ error: error.message });
    }
  };
}

// Events of a recording as CSV, as `san events` writes them.
function eventsOf({ values, window, ready, rate, activation, w, borderTolerance }) {
  const drawn = [...w].reverse();
  const peak = drawn.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0);
  const san = makeSan(), rows = [`${rate ? "seconds," : ""}sample,amplitude,kernel,length`];
  const add = (sample, amplitude, kernel, length) => {
    const seconds = rate ? `${rounded(sample / rate, 6)},` : "";
    rows.push(`${seconds}${sample},${amplitude === "" ? "" : general(amplitude, 9)},${kernel},${length}`);
  };
  for (const one of windowsOf(values, window, ready)) {
    const { start, fault, mean, deviation } = one;
    if (fault === "gap") add(start, "", "gap", window);
    if (!["", "constant"].includes(fault)) continue;
    add(start, mean, "mean", window);
    if (fault) continue;
    const x = Array.from(standardized(values, one, window));
    const { a } = san.code(x, [Array.from(w)], activation, { borderTolerance });
    a[0].forEach((value, t) => value && add(start + t, value * deviation * peak, "0", w.length));
  }
  return rows.join("\r\n") + "\r\n";
}

// As Python's "%.6f": of two that are equally near the even one.
function rounded(x, digits) {
  const long = x.toFixed(20), cut = long.slice(0, long.length - 20 + digits);
  return /[02468]$/.test(cut) && /^50*$/.test(long.slice(cut.length)) ? cut : x.toFixed(digits);
}

// Workers that share a queue; what is urgent goes first. `stop` forgets what is not done.
function makeCrew(count) {
  const used = [makeSan, sanSimd, sanTrainer, otherMethods, windowsOf, standardized, rounded, general, eventsOf,
    serveLaboratory];
  const url = URL.createObjectURL(new Blob([`${used.join("\n")}\nserveLaboratory();`]));
  let crew = [], waiting = [], loaded;
  function give() {
    for (const member of crew) {
      if (member.task || !waiting.length) continue;
      if (member.loaded !== loaded) member.worker.postMessage({ kind: "load", data: loaded });
      member.loaded = loaded;
      member.task = waiting.shift();
      member.worker.postMessage(member.task.message);
    }
  }
  function hire() {
    const member = { worker: new Worker(url) };
    const done = (how, what) => {
      const { task } = member;
      member.task = null;
      give();
      task?.[how](what);
    };
    member.worker.onmessage = ({ data: { result, error } }) =>
      error ? done("reject", new RangeError(error)) : done("resolve", result);
    member.worker.onerror = ({ message }) => done("reject", new Error(message));
    return member;
  }
  function stop() {
    for (const { worker } of crew) worker.terminate();
    [crew, waiting] = [Array.from({ length: count }, hire), []];
  }
  stop();
  return {
    count, stop, load: (data) => (loaded = data),
    run: (kind, given, urgent = false) =>
      new Promise((resolve, reject) => {
        waiting[urgent ? "unshift" : "push"]({ message: { kind, ...given }, resolve, reject });
        give();
      }),
  };
}

function startLaboratory(root, data) {
  const NAMES = Object.keys(data.activations), READY = data.window;
  const NO_FILE = { name: "your own", values: new Float64Array() };
  const crew = makeCrew(Math.max(1, Math.min(8, navigator.hardwareConcurrency - 1)));
  const section = (title, hint) => {
    plot.add(root, "h2", {}, title);
    if (hint) plot.add(root, "p", { class: "san-hint" }, hint);
    return plot.add(root, "div");
  };
  const labelled = (of) => Object.fromEntries(of.map((name) => [name, data.activations[name].label]));
  const percent = (share) => `${(100 * share).toFixed(0)} %`;
  const say = plot.speaker(root);
  const at = {};
  let recording, files = [], cut, shown, results = new Map(), others = [], running = 0, version = 0;

  // --- 1. data -------------------------------------------------------------------------------------

  const first = section("1. A recording",
    "Choose one, or drop files of your own here: text (CSV), WFDB (header and signal file together) or EDF. " +
    "The data never leave this computer: everything is computed in this page, which sends nothing and asks for nothing.");
  const sources = data.recordings.map(({ name, label }) => [name, label]);
  Object.assign(at, plot.controls(first, {
    recording: ["Recording", "select", Object.fromEntries([...sources, ["own", "your own"]])],
    files: ["Files of your own", "file", { multiple: "" }],
    column: ["Column or channel", "select", {}],
    rate: ["Samples a second, if the file does not say", "number", { min: 0, step: "any" }],
    window: ["Window, samples", "number", { min: 16, max: 4000, value: READY }],
    from: ["From window", "range", { min: 0 }],
    to: ["To window", "range", { min: 0 }],
  }));
  const pasted = plot.add(first, "details");
  plot.add(pasted, "summary", {}, "Paste numbers");
  const paste = plot.add(plot.add(pasted, "label", {}, "Lines of text, as in a CSV file"), "textarea",
    { rows: 4, spellcheck: "false" });
  const message = plot.add(first, "p", { class: "san-message", role: "alert" });
  const overview = plot.stack(first, { overview: "The recording; drag the part to use" }, drawOverview).overview;
  overview.parentNode.parentNode.classList.add("san-low");
  const said = plot.add(first, "p", { class: "san-hint" });

  function guarded(work) {
    return async (...given) => {
      try {
        message.textContent = "";
        await work(...given);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        message.textContent = error.message;
      }
    };
  }

  const open = guarded(async () => {
    const mine = ++version, book = data.recordings.find(({ name }) => name === at.recording.value);
    at.files.parentNode.hidden = pasted.hidden = Boolean(book);
    at.column.parentNode.hidden = at.rate.parentNode.hidden = Boolean(book) || !files.length;
    recording = NO_FILE;
    if (book) {
      const bytes = Uint8Array.from(atob(book.windows), (c) => c.charCodeAt(0));
      recording = { ...book, values: Float64Array.from(new Float32Array(bytes.buffer)), ready: true };
    } else if (files.length) {
      const file = await openFile(files, at.rate.value ? Number(at.rate.value) : null);
      if (mine === version) offerColumns(file.signals.map((i) => file.names[i] || `${i}`));
      // A column without a name goes by its number.
      const column = at.column.value, isNumber = !file.names.includes(column) && /^\d+$/.test(column);
      recording = await file.channel(isNumber ? Number(column) : column);
    }
    if (mine === version) await prepare(true);
  });

  function offerColumns(names) {
    if ([...at.column.options].slice(1).map(({ value }) => value).join("\n") === names.join("\n")) return;
    at.column.replaceChildren();
    for (const name of ["", ...names]) plot.add(at.column, "option", { value: name }, name || "choose one");
  }

  // Cut the part of the recording that is chosen; `all` of it for a new one.
  async function prepare(all) {
    const mine = ++version, window = Number(at.window.value);
    crew.stop();
    [cut, shown, results, others, running] = [null, null, new Map(), [], 0];
    if (!(window >= 16 && window <= 4000)) throw new RangeError(
      `window: ${window} samples are not between 16 and 4000. Choose another.`);
    const last = Math.max(0, Math.floor(recording.values.length / window) - 1);
    for (const name of ["from", "to"]) at[name].max = last;
    if (all && !linked) [at.from.value, at.to.value] = [0, last];
    linked = false;
    if (Number(at.from.value) > Number(at.to.value)) [at.from.value, at.to.value] = [at.to.value, at.from.value];
    if (recording === NO_FILE) return void drawAll();
    const [from, to] = [Number(at.from.value), Number(at.to.value)];
    const whole = from === 0 && to === last;
    const values = whole ? recording.values : recording.values.slice(from * window, (to + 1) * window);
    const part = { values, window, ready: Boolean(recording.ready && window === READY), rate: recording.rate };
    const got = await crew.run("cut", { ...part, most: data.most });
    if (mine !== version) return;
    cut = { ...part, ...got, whole, offset: from * window };
    const kept = Object.values(cut.data).reduce((sum, of) => sum + of.length, 0);
    if (kept < 3) {
      const faults = faultsOf(cut.all, window, recording.rate), why = faults ? ` (${faults})` : "";
      cut = null;
      throw new RangeError(`${recording.name}: ${values.length} samples${why} are fewer than 3 windows of ${window} samples, for training, validation and test. Choose a shorter window or a longer signal.`);
    }
    crew.load(cut.data);
    at.m.max = Math.floor(window / 4);
    at.test.max = cut.data.test.length - 1;
    await train();
  }

  function drawOverview() {
    const window = Number(at.window.value), { values } = recording ?? NO_FILE;
    const [from, to] = [Number(at.from.value), Number(at.to.value)];
    for (const name of ["from", "to"]) at[name].say(`${at[name].value} of ${at[name].max}`);
    said.textContent = recording === NO_FILE ? "Choose files, drop them here, or paste numbers." : "";
    const lows = [], highs = [], step = Math.max(1, Math.floor(values.length / 800)), stride = Math.max(1, step >> 6);
    for (let start = 0; start + step <= values.length; start += step) {
      let [low, high] = [Infinity, -Infinity];
      for (let t = start; t < start + step;
      t += stride) [low, high] = [Math.min(low, values[t] || 0), Math.max(high, values[t] || 0)];
      lows.push(low);
      highs.push(high);
    }
    const end = Math.max(1, values.length - 1),
      scale = plot.axes(overview, [0, end], plot.rangeOf([...lows, ...highs]));
    const [left, right] = [scale.x(from * window), scale.x(Math.min(end, (to + 1) * window))];
    plot.add(overview, "rect", { class: "region", x: left, width: Math.max(0, right - left), y: 0, height: "100%" });
    const path = lows.map((low, i) =>
      `M${scale.x(i * step).toFixed(1)} ${scale.y(low).toFixed(1)}V${(scale.y(highs[i]) - 0.5).toFixed(1)}`);
    plot.add(overview, "path", { class: "line", d: path.join(""), ...plot.GREY });
    if (!cut) return;
    const { train, validation, test } = cut.data, faults = faultsOf(cut.all, window, recording.rate);
    const seconds = recording.rate ? ` of ${(window / recording.rate).toFixed(2)} s` : "";
    said.textContent = `${cut.usable} windows of ${window} samples${seconds}${cut.every > 1 ? `, of which every ${ordinal(cut.every)} is used` : ""}: ` +
      `${train.length} are for training, ${validation.length} for choosing, ${test.length} for testing.` +
      `${faults ? ` ${faults[0].toUpperCase()}${faults.slice(1)}.` : ""}${recording.decision ? ` ${recording.decision}.` : ""}` +
      `${cut.simd ? "" : " This browser has no WebAssembly SIMD: training takes about twice as long."}`;
  }

  plot.drag(overview, () => [[0, recording.values.length / Number(at.window.value)], [0, 1]], (place) => {
    const window = Math.min(Number(at.to.max), Math.floor(place));
    const nearest = Math.abs(window - at.from.value) <= Math.abs(window - at.to.value) ? at.from : at.to;
    if (Number(nearest.value) === window) return;
    nearest.value = window;
    drawOverview();
  });

  // --- 2. one training -----------------------------------------------------------------------------

  const second = section("2. One training",
    "Space plays and pauses, the arrow keys step through the epochs. At epoch 0 the kernel is as training starts.");
  Object.assign(at, plot.controls(second, {
    activation: ["Activation function", "select", labelled(NAMES)],
    m: ["Kernel size m:", "range", { min: 1, max: 249, value: 60 }],
    init: ["Start of the kernel", "select",
      { normal: "normal: random numbers", constant: "constant: 0.1 everywhere",
        segment: "segment: a piece of the signal" }],
    seed: ["Seed", "number", { min: 0, max: 4294967295, value: 0 }],
    epochs: ["Epochs", "number", { min: 1, max: 500, value: data.protocol.epochs }],
    learning: ["Learning rate", "number", { min: 0.0001, max: 1, step: "any", value: data.protocol.learning_rate }],
    epoch: ["Epoch:", "range", { min: 0 }],
    test: ["Test window:", "range", { min: 0, value: 0 }],
    play: ["Play", "button"],
    rewind: ["Rewind", "button"],
  }));
  [at.recording.value, at.activation.value] = [data.first, "extrema"];
  at.init.value = data.protocol.init;
  const numbers = plot.add(second, "div", { class: "san-numbers" });
  const view = plot.network(second);
  const curves = plot.stack(second,
    { loss: "L̃ by epoch: on training (grey) and on validation",
      phi: "φ̄ by epoch: on training (grey) and on validation" }, drawTraining);
  plot.play(at.play, at.epoch, 120);

  const protocolOf = () => ({
    init: at.init.value, seed: Number(at.seed.value), epochs: Number(at.epochs.value),
      learningRate: Number(at.learning.value),
    borderTolerance: data.protocol.border_tolerance,
  });

  const train = guarded(async () => {
    if (!cut) return void drawAll();
    const mine = ++version, protocol = protocolOf();
    const [activation, m] = [at.activation.value, Math.min(Number(at.m.value), Number(at.m.max))];
    if (!(protocol.epochs >= 1 && protocol.epochs <= 500 && protocol.learningRate > 0 && protocol.seed >= 0
      && Number.isInteger(protocol.seed))) {
      throw new RangeError("training: a seed from 0 on, 1 to 500 epochs and a learning rate above 0 are expected. Mend what is empty or out of range.");
    }
    const trained = await crew.run("train", { activation, m, protocol }, true);
    if (mine !== version) return;
    shown = { activation, m, protocol, ...trained };
    at.epoch.max = protocol.epochs;
    at.epoch.value = trained.best + 1;
    remember();
    drawAll();
    say(`Trained: ${numbers.textContent}`);
  });

  function drawTraining() {
    at.m.say(`${at.m.value} samples`);
    if (!shown) return void plot.numbers(numbers, []);
    const { activation, m, rows, initial, best, tested, protocol } = shown, { color } = data.activations[activation];
    const epoch = Number(at.epoch.value), w = Array.from(epoch ? rows[epoch - 1].w : initial);
    const x = Array.from(cut.data.test[at.test.value]);
    at.epoch.say(`${epoch} of ${protocol.epochs}; best on validation: ${best + 1}`);
    at.test.say(`${Number(at.test.value) + 1} of ${cut.data.test.length}`);
    const coded = san.code(x, [w], activation, { borderTolerance: protocol.borderTolerance });
    const points = rows.map(({ validation }) => validation.slice(0, 2));
    view.show({ ...coded, x, w: [w], color, points, current: [coded.loss, coded.inverseCr] });
    plot.numbers(numbers, [
      ["this window: φ", coded.phi], ["CR⁻¹", coded.inverseCr], ["L̃", coded.loss], ["activations", `${coded.count}`],
      [`all test windows, epoch ${best + 1}: φ̄`, tested[0][2]],
    ]);
    for (const [i, name] of [[0, "loss"], [2, "phi"]]) {
      const [seen, chosen] = ["train", "validation"].map((part) => rows.map((row) => row[part][i]));
      const scale = plot.axes(curves[name], [1, Math.max(2, rows.length)], plot.rangeOf([...seen, ...chosen]));
      const along = { x: (t) => scale.x(t + 1), y: scale.y };
      plot.line(curves[name], along, seen, plot.GREY);
      plot.line(curves[name], along, chosen, { stroke: color });
      if (epoch) plot.dots(curves[name], along, chosen, [epoch - 1], color);
    }
  }

  // --- 3. the experiment ---------------------------------------------------------------------------

  const third = section("3. The experiment of the paper",
    "Every activation function and kernel size, trained with the start, the seed, the epochs and the learning rate above. A click on a point opens that network in part 2.");
  Object.assign(at, plot.controls(third, {
    few: ["Train 24 sizes", "button"], every: ["Train all sizes", "button"], stop: ["Stop", "button"],
    network: ["Open a network (smallest φ̄ on validation first)", "select", {}],
  }));
  const progress = plot.add(third, "progress", { max: 1, value: 0, "aria-label": "Networks that are trained" });
  const finding = plot.add(third, "p", { class: "san-finding", role: "status" });
  const legend = plot.add(third, "p", { class: "san-legend" });
  for (const { label, color } of Object.values(data.activations)) {
    plot.add(plot.add(legend, "span", {}, ""), "i", { style: `background:${color}` });
    legend.lastChild.append(label);
  }
  const charts = plot.stack(third, {
    sizes: "φ̄ on validation against the kernel size m; above 1.3 at 1.3",
    plane: "L̃ (right) and CR⁻¹ (up) on the test windows: networks (dots), the book's own results (rings), other methods (squares)",
  }, drawExperiment);
  charts.plane.parentNode.classList.add("san-tall");
  const table = plot.add(section("4. Other methods on the same windows",
    "As for a SAN, each number that is sent counts, and each window of a method stops at its smallest φ. The wavelet is chosen on validation."), "table", { class: "san-table" });
  const scales = {};

  const experiment = guarded(async (sizes) => {
    if (!cut) throw new RangeError("There is no recording yet: choose one in part 1.");
    const mine = version, protocol = protocolOf();
    crew.stop();
    [results, running] = [new Map(), sizes.length * NAMES.length];
    const outcomes = [...sizes].reverse()
      .flatMap((m) => NAMES.map((activation) => crew.run("train", { activation, m, protocol }).then(
      ({ rows, best, tested }) => keep(
        { activation, m, protocol, best, w: rows[best].w, validation: rows[best].validation, tested,
          rows: rows.map(({ train, validation }) => ({ train, validation })) }),
      (error) => keep({ activation, m, error: error.message }),
    )));
    crew.run("methods", { filters: data.filters }).then((got) => {
      others = got;
      drawSoon();
    });
    function keep(result) {
      if (mine !== version && results.size === 0) return;
      results.set(`${result.activation} ${result.m}`, result);
      drawSoon();
    }
    drawSoon();
    await Promise.all(outcomes);
  });

  let soon;
  function drawSoon() {
    soon ??= setTimeout(() => {
      soon = undefined;
      drawExperiment();
    }, 200);
  }

  const done = () => [...results.values()].filter(({ error }) => !error);
  const choose = (of) => of.reduce((best, one) => (best && best.validation[2] <= one.validation[2] ? best : one),
    undefined);

  function drawExperiment() {
    const trained = done(), chosen = choose(trained), most = 1.3;
    progress.hidden = at.stop.disabled = !running || results.size >= running;
    progress.value = running ? results.size / running : 0;
    drawTable(chosen);
    scales.sizes = plot.axes(charts.sizes, [0, Math.max(10, ...trained.map(({ m }) => m))], [0, most]);
    scales.plane = plot.planeAxes(charts.plane, most);
    const inside = ([x, y]) => x <= scales.plane.ranges[0][1] && y <= most;
    for (const name of NAMES) {
      const { color } = data.activations[name],
        of = trained.filter(({ activation }) => activation === name).sort((a, b) => a.m - b.m);
      dotsAt("sizes", of.map(({ m, validation }) => [m, Math.min(most, validation[2])]), color);
      dotsAt("plane", of.map(({ tested }) => tested[0]).filter(inside), color);
      const ours = recording?.book?.[name];
      if (ours && inside(ours.means)) plot.add(charts.plane, "circle",
        { class: "ring", cx: scales.plane.x(ours.means[0]), cy: scales.plane.y(ours.means[1]), r: 5, stroke: color });
    }
    for (const { means } of others) {
      plot.add(charts.plane, "rect", { x: scales.plane.x(means[0]) - 4, y: scales.plane.y(means[1]) - 4, width: 8,
        height: 8, fill: "none", stroke: "var(--pst-color-text-base)" });
    }
    const ended = running && results.size >= running;
    finding.textContent = chosen ? sentence(chosen, trained.length) : "";
    charts.plane.setAttribute("aria-label", `${trained.length} networks. ${finding.textContent}`);
    charts.sizes.setAttribute("aria-label", `φ̄ on validation of ${trained.length} networks against their kernel size`);
    if (!ended && trained.length) return;
    at.network.replaceChildren();
    for (const { activation, m, validation } of trained.sort((a, b) => a.validation[2] - b.validation[2])
      .slice(0, 50)) {
      plot.add(at.network, "option", { value: `${activation} ${m}` },
        `${data.activations[activation].label}, m = ${m}: φ̄ ${validation[2].toFixed(3)}`);
    }
  }

  // One path for all: a dot is a line of no length with round ends.
  function dotsAt(name, points, stroke) {
    const d = points.map(([x, y]) => `M${scales[name].x(x).toFixed(1)} ${scales[name].y(y).toFixed(1)}h0`).join("");
    plot.add(charts[name], "path", { class: "line", d, stroke, style: "stroke-width:6;stroke-linecap:round",
      opacity: 0.8 });
  }

  function sentence({ activation, m, tested: [[loss, cost, phi]] }, count) {
    const { window, data: { test } } = cut, name = data.activations[activation].label;
    const kept = (cost * window - m) / 2, every = window / kept / (recording.rate || 1);
    const best = others.reduce((one, other) => (one && one.means[2] <= other.means[2] ? one : other), undefined);
    const ours = recording.book?.[activation];
    const spared = choose(done().filter((one) => one.activation !== activation));
    return `Of ${count} networks ${name} with m = ${m} has the smallest φ̄ on validation. On the ${test.length} test windows its φ̄ is ${phi.toFixed(2)}: ` +
      `${kept.toFixed(0)} activations a window, one every ${every.toFixed(recording.rate ? 2 : 0)} ${recording.rate ? "s" : "samples"}, and an error of ${percent(loss)} of that of a flat line. ` +
      (phi >= 1 ? "That is no better than sending nothing at all, whose φ is 1: a SAN does not describe this recording. " : "") +
      (best && phi < 1 ? (best.means[2] < phi - data.tie
        ? `${best.label} ${best.label === "DCT" ? "describes" : "describe"} the same windows better, φ̄ ${best.means[2].toFixed(2)}: to describe this recording briefly, a SAN is the wrong tool, though its activations may serve as events. `
        : `No other method tried in part 4 is better; the nearest is ${best.label} with φ̄ ${best.means[2].toFixed(2)}. `) : "") +
      (spared && spared.validation[2] - choose(done()).validation[2] < data.tie
        ? `${data.activations[spared.activation].label} is as good within what seeds differ by. ` : "") +
      (ours ? `The book has ${ours.means[2].toFixed(2)} with m = ${ours.m} for ${name}. ` : "") +
      "This is one seed: another may choose another size, so try several before you trust the choice.";
  }

  function drawTable(chosen) {
    table.replaceChildren();
    const rows = others.map(({ label, means }) => [label, ...means]);
    if (chosen) rows.unshift([`SAN: ${data.activations[chosen.activation].label}, m = ${chosen.m}`,
      ...chosen.tested[0]]);
    if (!rows.length) return void plot.add(plot.add(table, "caption"), "span", {}, "Start the experiment to see them.");
    const head = plot.add(plot.add(table, "thead"), "tr"), body = plot.add(table, "tbody");
    for (const name of ["method", "L̃", "CR⁻¹", "φ̄"]) plot.add(head, "th", { scope: "col" }, name);
    for (const [label, ...means] of rows.sort((a, b) => a[3] - b[3])) {
      const row = plot.add(body, "tr");
      plot.add(row, "th", { scope: "row" }, label);
      for (const value of means) plot.add(row, "td", {}, value.toFixed(3));
    }
  }

  function openNetwork(activation, m) {
    [at.activation.value, at.m.value] = [activation, m];
    second.previousElementSibling.previousElementSibling.scrollIntoView({ behavior: "instant" });
    return train();
  }

  for (const name of ["sizes", "plane"]) {
    charts[name].addEventListener("click", (event) => {
      const box = charts[name].getBoundingClientRect(), [x, y] = [event.clientX - box.left, event.clientY - box.top];
      const away = ({ m, validation, tested: [test] }) => {
        const place = name === "sizes" ? [m, Math.min(1.3, validation[2])] : test;
        return Math.hypot(scales[name].x(place[0]) - x, scales[name].y(place[1]) - y);
      };
      const nearest = done().reduce((best, one) => (best && away(best) <= away(one) ? best : one), undefined);
      if (nearest && away(nearest) < 20) openNetwork(nearest.activation, nearest.m);
    });
  }

  // --- 5. take away --------------------------------------------------------------------------------

  const fifth = section("5. Take it away",
    "Events and the network are those of part 2, at its best epoch. The address of this page holds the settings and never the data; your browser's Back undoes.");
  const taken = plot.controls(fifth, {
    events: ["Events (CSV)", "button"], network: ["Network (.safetensors)", "button"],
      rows: ["All rows (CSV)", "button"], figures: ["Figures (SVG)", "button"],
  });
  const code = plot.add(fifth, "pre", { tabindex: 0, "aria-label": "The same in a terminal and in Python" });
  const stem = () => recording.name.replace(/\.[^.]*$/, "");

  function drawCode() {
    for (const button of Object.values(taken)) button.disabled = !shown;
    if (!shown) return void (code.textContent = "");
    const { activation, m, protocol } = shown, { window, offset, values } = cut, rate = at.rate.value;
    const file = recording.ready ? recording.record : recording.name, { column } = recording;
    const inShell = (text) => `'${text.replaceAll("'", `'\\''`)}'`,
      option = (name, value) => (value ? ` --${name} ${value}` : "");
    const own = [JSON.stringify(file), window, column && JSON.stringify(column), rate && `rate=${rate}`,
      `most=${data.most}`];
    const given = recording.ready ? `data = sanbook.data.load("${recording.name}")`
      : `data = load_signal(${own.filter(Boolean).join(", ")})`;
    const other = [
      recording.ready && !cut.ready && `# in Python windows of ${READY} samples, here of ${window}`,
      !cut.whole && `# here samples ${offset} to ${offset + values.length - 1} only`,
    ];
    code.textContent = [
      "# events of the whole file",
      `san events ${inShell(`${stem()}.safetensors`)} ${inShell(file)}${option("column", column && inShell(column))}` +
        `${option("rate", recording.ready ? "" : rate)} -o events.csv`,
      "", "# the training, in Python", ...other.filter(Boolean),
      recording.ready ? "import sanbook.data" : "from sanbook.signals.windows import load_signal",
      "from sanbook.training import Protocol, sweep", given,
      `protocol = Protocol(epochs=${protocol.epochs}, init="${protocol.init}", learning_rate=${protocol.learningRate})`,
      `trained = sweep(data, "${activation}", [${m}], seeds=[${protocol.seed}], protocol=protocol)`,
        "print(trained.select())",
    ].join("\n");
  }

  taken.events.addEventListener("click", guarded(async () => {
    const { activation, rows, best, protocol } = shown, { values } = recording, { window, ready } = cut;
    const given = { values, window, ready, rate: recording.rate, activation, w: rows[best].w,
      borderTolerance: protocol.borderTolerance };
    plot.download(`${stem()}-events.csv`, [await crew.run("events", given, true)], "text/csv");
  }));
  taken.network.addEventListener("click", () => {
    const { activation, m, rows, best, protocol } = shown;
    const facts = { kind: "SAN", activation, border_tolerance: `${protocol.borderTolerance}`, window: `${cut.window}`,
      units: recording.units };
    if (recording.rate) facts.sampling_rate = `${recording.rate}`;
    const tensor = { dtype: "F32", shape: [m], data_offsets: [0, 4 * m] };
    const text = new TextEncoder().encode(JSON.stringify({ __metadata__: facts, "kernel 0": tensor }));
    const length = Math.ceil(text.length / 8) * 8, head = new Uint8Array(8 + length).fill(32);
    new DataView(head.buffer).setBigUint64(0, BigInt(length), true);
    head.set(text, 8);
    plot.download(`${stem()}.safetensors`, [head, Float32Array.from(rows[best].w)], "application/octet-stream");
  });
  taken.rows.addEventListener("click", () => {
    const all = done().length ? done() : [shown],
      lines = ["activation,kernel_size,seed,epoch,split,inverse_compression_ratio,normalized_reconstruction_loss,phi"];
    for (const { activation, m, protocol, rows, best, tested } of all) {
      const add = (epoch, split, [loss, cost, phi]) =>
        lines.push([activation, m, protocol.seed, epoch, split, cost, loss, phi].join());
      rows.forEach((row, i) => ["train", "validation"].forEach((split) => add(i + 1, split, row[split])));
      [...new Set([best, rows.length - 1])].forEach((epoch, i) => add(epoch + 1, "test", tested[i]));
    }
    plot.download(`${stem()}-rows.csv`, [lines.join("\r\n") + "\r\n"], "text/csv");
  });
  taken.figures.addEventListener("click", () => {
    for (const [name, svg] of Object.entries({ ...view.svgs, ...curves, ...charts })) plot.saveSvg(
      `${stem()}-${name}.svg`, svg);
  });

  // --- settings, their link, and what happens when they change -------------------------------------

  const SETTINGS = ["recording", "column", "rate", "window", "from", "to", "activation", "m", "init", "seed",
    "epochs", "learning"];
  let linked = false;

  function remember() {
    const link = `#laboratory?${new URLSearchParams(SETTINGS.map((name) => [name, at[name].value]))}`;
    if (link !== location.hash) location.hash = link;
  }

  // Settings that an address holds; a new recording is opened, otherwise the training is done again.
  function follow() {
    if (!location.hash.startsWith("#laboratory?")) return false;
    const settings = new URLSearchParams(location.hash.slice(12));
    const changed = SETTINGS.filter((name) => settings.has(name) && settings.get(name) !== at[name].value);
    for (const name of changed) {
      if (name === "column") offerColumns([settings.get(name)]);
      if (["from", "to", "m"].includes(name)) at[name].max = Math.max(at[name].max, settings.get(name));
      at[name].value = settings.get(name);
    }
    linked = changed.some((name) => ["from", "to"].includes(name));
    if (changed.some((name) => SETTINGS.indexOf(name) < 6) || !recording) open();
    else if (changed.length) train();
    return true;
  }

  function drawAll() {
    drawOverview();
    drawTraining();
    drawExperiment();
    drawCode();
  }

  const on = (names, kind, work) => names.forEach((name) => at[name].addEventListener(kind, work));
  const take = (given) => {
    files = [...given];
    at.recording.value = "own";
    at.column.replaceChildren();
    return open();
  };
  on(["recording", "column", "rate"], "change", open);
  on(["files"], "change", () => take(at.files.files));
  paste.addEventListener("change", () => take([new File([paste.value], "pasted.csv")]));
  on(["window"], "change", guarded(() => prepare(true)));
  on(["from", "to"], "input", drawOverview);
  on(["from", "to"], "change", guarded(() => prepare(false)));
  overview.addEventListener("lostpointercapture", guarded(() => prepare(false)));
  on(["m"], "input", () => at.m.say(`${at.m.value} samples`));
  on(["activation", "m", "init", "seed", "epochs", "learning"], "change", train);
  on(["epoch", "test"], "input", drawTraining);
  on(["rewind"], "click", () => {
    at.epoch.value = 0;
    drawTraining();
  });
  on(["few"], "click", () => experiment(sizesOf(cut?.window ?? READY)));
  on(["every"], "click", () => experiment(
    Array.from({ length: Math.max(3, Math.floor((cut?.window ?? READY) / 4) - 1) }, (_, i) => i + 1)));
  on(["stop"], "click", () => {
    crew.stop();
    running = results.size;
    drawExperiment();
  });
  on(["network"], "change", () => {
    const { activation, m } = results.get(at.network.value);
    openNetwork(activation, m);
  });
  second.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key],
      inField = /INPUT|SELECT|BUTTON/.test(event.target.tagName);
    if (event.key === " " && (!inField || event.target.type === "range")) at.play.click();
    else if (step && !inField) {
      at.epoch.value = Number(at.epoch.value) + step;
      drawTraining();
    } else return;
    event.preventDefault();
  });
  for (const kind of ["dragover", "drop"]) {
    root.addEventListener(kind, (event) => {
      event.preventDefault();
      if (kind === "drop") take(event.dataTransfer.files);
    });
  }
  window.addEventListener("hashchange", follow);
  if (!follow()) open();
}

// "2nd", "32nd", "16th", of powers of two from 2 on.
const ordinal = (count) => `${count}${count % 10 === 2 && count % 100 !== 12 ? "nd" : "th"}`;

// Up to 24 sizes from 3 samples to a quarter of a window, in even steps of their logarithm.
function sizesOf(window) {
  const last = Math.max(3, Math.floor(window / 4)), step = Math.log(last / 3) / 23;
  return [...new Set(Array.from({ length: 24 }, (_, i) => Math.round(3 * Math.exp(step * i))))];
}
