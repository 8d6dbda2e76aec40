// The laboratory: SANs trained on the reader's own recording, in the reader's browser. All is computed
// in workers, which are made of the text of functions, since a page opened as a file may start no
// others: san.js and trainer.js train, methods.js has the other methods, readers.js the files.
document.addEventListener("DOMContentLoaded", () => plot.start("laboratory", startLaboratory));

// What a worker does: one holds the recording, cuts it and finds its events; the others train.
function serveLaboratory() {
  let san = makeSan(), simd = true;
  try {
    san = makeSan(sanSimd());
  } catch {
    simd = false; // the page says so
  }
  const trainer = sanTrainer(san), held = {};

  // What the page shows of a recording: its lowest and highest samples in about 800 pieces.
  function hold(recording) {
    const { values, ...facts } = (held.recording = recording), step = Math.max(1, Math.floor(values.length / 800));
    const lows = [], highs = [];
    for (let start = 0; start + step <= values.length; start += step) {
      const piece = values.subarray(start, start + step).map((value) => value || 0); // gaps are drawn as 0
      lows.push(piece.reduce((one, other) => Math.min(one, other)));
      highs.push(piece.reduce((one, other) => Math.max(one, other)));
    }
    return { ...facts, length: values.length, outline: { lows, highs, step } };
  }

  // Share of the energy that the strongest tenth of all samples holds.
  function shareOfStrongest(examples) {
    const energies = Float64Array.from(examples.flatMap((x) => Array.from(x, (value) => value * value))).sort();
    const sum = (of) => of.reduce((one, other) => one + other, 0);
    return sum(energies.subarray(Math.floor(0.9 * energies.length))) / sum(energies);
  }

  const tasks = {
    open({ files, rate }) {
      const { names, signals } = (held.file = held.readers.openFile(files, rate));
      return signals.map((i) => names[i] || `${i}`);
    },
    channel({ column }) {
      // A column without a name goes by its number.
      const isNumber = !held.file.names.includes(column) && /^\d+$/.test(column);
      return hold(held.file.channel(isNumber ? Number(column) : column));
    },
    hold,
    cut({ from, to, window, ready, most }) {
      const { name, rate, values } = held.recording, { faultsOf, standardized, windowsOf } = held.readers;
      const whole = (to + 2) * window > values.length && from === 0;
      const part = whole ? values : values.subarray(from * window, (to + 1) * window);
      const all = windowsOf(part, window, ready), usable = all.filter(({ fault }) => !fault);
      const faults = faultsOf(all, rate);
      let every = 1;
      while (Math.ceil(usable.length / every) > most) every *= 2;
      const examples = usable.filter((_, i) => i % every === 0).map((one) => standardized(part, one, window));
      if (examples.length < 3) throw new RangeError(`${name}: ${part.length} samples` +
        `${faults ? ` (${faults})` : ""} are fewer than 3 windows of ${window} samples, for training, validation ` +
        "and test. Choose a shorter window or a longer signal.");
      const half = examples.length >> 1, end = half + Math.max(1, Math.floor(examples.length / 6));
      const [train, validation, test] = [[0, half], [half, end], [end]].map((ends) => examples.slice(...ends));
      return { data: { train, validation, test }, usable: usable.length, every, faults, simd, whole,
        first: from * window, length: part.length, strongest: shareOfStrongest(examples) };
    },
    train({ activation, m, protocol }) {
      const initial = trainer.start(protocol.init, m, protocol.seed, held.data.train);
      return { initial, ...trainer.train(held.data, [held.data.train[0].length], activation, initial, protocol) };
    },
    // The same without the kernels, which are many.
    measure(given) {
      const { rows, best, tested } = tasks.train(given);
      const means = rows.map(({ train, validation }) => ({ train, validation }));
      return { best, tested, rows: means, validation: means[best].validation };
    },
    methods: ({ filters }) => otherMethods(filters)(held.data),
    // Events of the whole recording as CSV, as `san events` writes them.
    events({ window, ready, activation, w, borderTolerance }) {
      const { rate, values } = held.recording, { general, rounded, standardized, windowsOf } = held.readers;
      const peak = w.reduceRight((most, value) => (Math.abs(value) > Math.abs(most) ? value : most), 0);
      const exact = makeSan(), rows = [`${rate ? "seconds," : ""}sample,amplitude,kernel,length`];
      const add = (sample, amplitude, kernel, length) =>
        rows.push(`${rate ? `${rounded(sample / rate, 6)},` : ""}${sample},${amplitude},${kernel},${length}`);
      for (const one of windowsOf(values, window, ready)) {
        const { start, fault, mean, deviation } = one;
        if (fault === "gap") add(start, "", "gap", window);
        if (!["", "constant"].includes(fault)) continue;
        add(start, general(mean, 9), "mean", window);
        if (fault) continue;
        const x = Array.from(standardized(values, one, window));
        const { a } = exact.code(x, [Array.from(w)], activation, { borderTolerance });
        a[0].forEach((value, t) => value && add(start + t, general(value * deviation * peak, 9), "0", w.length));
      }
      return rows.join("\r\n") + "\r\n";
    },
  };
  onmessage = ({ data: { kind, ...given } }) => {
    if (kind === "load") {
      held.data = given.data;
      if (given.formats) held.readers = sanReaders(given.formats);
      return;
    }
    try {
      postMessage({ result: tasks[kind](given) });
    } catch (error) {
      postMessage({ error: error.message });
    }
  };
}

// Workers that share a queue; what is urgent goes first. `stop` forgets what is not done.
function makeCrew(count) {
  const used = [makeSan, sanSimd, sanTrainer, otherMethods, sanReaders, serveLaboratory];
  const url = URL.createObjectURL(new Blob([`${used.join("\n")}\nserveLaboratory();`]));
  let crew = [], waiting = [], loaded;
  function give() {
    for (const member of crew) {
      if (member.task || !waiting.length) continue;
      if (member.loaded !== loaded) member.worker.postMessage({ kind: "load", ...loaded });
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
    stop, load: (given) => (loaded = given),
    run: (kind, given, urgent = false) =>
      new Promise((resolve, reject) => {
        waiting[urgent ? "unshift" : "push"]({ message: { kind, ...given }, resolve, reject });
        give();
      }),
  };
}

function startLaboratory(root, data) {
  const NAMES = Object.keys(data.activations), READY = data.window, MOST = 1.3; // the largest φ in figures
  const NO_FILE = { name: "your own", length: 0, outline: { lows: [], highs: [], step: 1 } };
  const keeper = makeCrew(1), crew = makeCrew(Math.max(1, Math.min(8, navigator.hardwareConcurrency - 1)));
  keeper.load({ formats: data.formats });
  const section = (title, hint) => {
    plot.add(root, "h2", {}, title);
    plot.add(root, "p", { class: "san-hint" }, hint);
    return plot.add(root, "div");
  };
  const labelOf = (name) => data.activations[name].label;
  const least = (of, key) => of.reduce((best, one) => (best && key(best) <= key(one) ? best : one), undefined);
  const say = plot.speaker(root);
  const at = {};
  let recording = NO_FILE, files = [], cut, shown, results = new Map(), others = [], version = 0;
  let pending = 0, asked = 1, diverged = 0, soon; // tasks of the experiment, and when it is drawn next
  let linked = false; // whether an address said which part of the recording to use

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
  const { overview } = plot.stack(first, { overview: "The recording; drag the part to use" }, drawOverview);
  overview.parentNode.parentNode.classList.add("san-low");
  const said = plot.add(first, "p", { class: "san-hint" });

  // The work of an event; what cannot be is said.
  const guarded = (work) => async (...given) => {
    try {
      message.textContent = "";
      await work(...given);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      message.textContent = error.message;
    }
  };

  const open = guarded(async () => {
    const mine = ++version, book = data.recordings.find(({ name }) => name === at.recording.value);
    at.files.parentNode.hidden = pasted.hidden = Boolean(book);
    at.column.parentNode.hidden = at.rate.parentNode.hidden = Boolean(book) || !files.length;
    let opened = NO_FILE;
    if (book) {
      const { windows, ...facts } = book, bytes = Uint8Array.from(atob(windows), (c) => c.charCodeAt(0));
      opened = await keeper.run("hold", { ...facts, values: Float64Array.from(new Float32Array(bytes.buffer)) });
    } else if (files.length) {
      const names = await keeper.run("open", { files, rate: at.rate.value ? Number(at.rate.value) : null });
      if (mine !== version) return;
      offerColumns(names);
      opened = await keeper.run("channel", { column: at.column.value });
    }
    if (mine !== version) return;
    recording = opened;
    await prepare(true);
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
    [cut, shown, results, others, pending] = [null, null, new Map(), [], 0];
    if (!(window >= 16 && window <= 4000)) throw new RangeError(
      `window: ${window} samples are not between 16 and 4000. Choose another.`);
    const last = Math.max(0, Math.floor(recording.length / window) - 1);
    for (const name of ["from", "to"]) at[name].max = last;
    if (all && !linked) [at.from.value, at.to.value] = [0, last];
    linked = false;
    const [from, to] = [Number(at.from.value), Number(at.to.value)].sort((one, other) => one - other);
    [at.from.value, at.to.value] = [from, to];
    if (recording === NO_FILE) return drawAll();
    const ready = Boolean(recording.book && window === READY);
    const got = await keeper.run("cut", { from, to, window, ready, most: data.most });
    if (mine !== version) return;
    cut = { ...got, window, ready };
    crew.load({ data: cut.data });
    at.m.max = Math.floor(window / 4);
    at.test.max = cut.data.test.length - 1;
    await train();
  }

  function drawOverview() {
    const window = Number(at.window.value), { length, outline: { lows, highs, step } } = recording;
    for (const name of ["from", "to"]) at[name].say(`${at[name].value} of ${at[name].max}`);
    const end = Math.max(1, length - 1), scale = plot.axes(overview, [0, end], plot.rangeOf([...lows, ...highs]));
    const [left, right] = [at.from.value, Number(at.to.value) + 1].map((place) => scale.x(Math.min(end, place * window)));
    plot.add(overview, "rect", { class: "region", x: left, width: right - left, y: 0, height: "100%" });
    const path = lows.map((low, i) =>
      `M${scale.x(i * step).toFixed(1)} ${scale.y(low).toFixed(1)}V${(scale.y(highs[i]) - 0.5).toFixed(1)}`);
    plot.add(overview, "path", { class: "line", d: path.join(""), ...plot.GREY });
    said.textContent = cut ? describeCut() : length ? "" : "Choose files, drop them here, or paste numbers.";
  }

  function describeCut() {
    const { data: { train, validation, test }, every, faults, simd, usable, window } = cut, { decision, rate } = recording;
    const seconds = rate ? ` of ${(window / rate).toFixed(2)} s` : "";
    const thinned = every > 1 ? `, of which every ${every}${every % 10 === 2 ? "nd" : "th"} is used` : "";
    const sentences = [
      `${usable} windows of ${window} samples${seconds}${thinned}: ${train.length} are for training, ` +
      `${validation.length} for choosing, ${test.length} for testing`,
      faults && faults[0].toUpperCase() + faults.slice(1), decision,
      !simd && "This browser has no WebAssembly SIMD: training takes about twice as long",
    ];
    return sentences.filter(Boolean).map((sentence) => `${sentence}.`).join(" ");
  }

  plot.drag(overview, () => [[0, recording.length / Number(at.window.value)], [0, 1]], (place) => {
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
    activation: ["Activation function", "select", data.activations],
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
  [at.recording.value, at.activation.value, at.init.value] = [data.first, "extrema", data.protocol.init];
  const numbers = plot.add(second, "div", { class: "san-numbers" });
  const view = plot.network(second);
  const curves = plot.stack(second,
    { loss: "L̃ by epoch: on training (grey) and on validation",
      phi: "φ̄ by epoch: on training (grey) and on validation" }, drawTraining);
  plot.play(at.play, at.epoch, 120);

  const protocolOf = () => ({
    init: at.init.value, seed: Number(at.seed.value), epochs: Number(at.epochs.value),
    learningRate: Number(at.learning.value), borderTolerance: data.protocol.border_tolerance,
  });

  const train = guarded(async () => {
    if (!cut) return drawAll();
    const mine = ++version, protocol = protocolOf(), { epochs, learningRate, seed } = protocol;
    const [activation, m] = [at.activation.value, Math.min(Number(at.m.value), Number(at.m.max))];
    if (!(epochs >= 1 && epochs <= 500 && learningRate > 0 && seed >= 0 && Number.isInteger(seed))) throw new RangeError(
      "training: a seed from 0 on, 1 to 500 epochs and a learning rate above 0 are expected. " +
      "Mend what is empty or out of range.");
    const trained = await crew.run("train", { activation, m, protocol }, true);
    if (mine !== version) return;
    shown = { activation, m, protocol, ...trained };
    at.epoch.max = epochs;
    at.epoch.value = trained.best + 1;
    remember();
    drawAll();
    say(`Trained: ${numbers.textContent}`);
  });

  function drawTraining() {
    at.m.say(`${at.m.value} samples`);
    if (!shown) return plot.numbers(numbers, []);
    const { activation, rows, initial, best, tested, protocol } = shown, { color } = data.activations[activation];
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
    "Every activation function and kernel size, trained with the start, the seed, the epochs and the learning rate " +
    "above. A click on a point opens that network in part 2.");
  Object.assign(at, plot.controls(third, {
    few: ["Train 24 sizes", "button"], every: ["Train all sizes", "button"], stop: ["Stop", "button"],
    network: ["Open a network (smallest φ̄ on validation first)", "select", {}],
  }));
  const progress = plot.add(third, "progress", { max: 1, value: 0, "aria-label": "Networks that are trained" });
  const finding = plot.add(third, "p", { class: "san-finding", role: "status" });
  const legend = plot.add(third, "p", { class: "san-legend" });
  for (const { label, color } of Object.values(data.activations)) {
    plot.add(plot.add(legend, "span"), "i", { style: `background:${color}` });
    legend.lastChild.append(label);
  }
  const charts = plot.stack(third, {
    sizes: `φ̄ on validation against the kernel size m; above ${MOST} at ${MOST}`,
    plane: "L̃ (right) and CR⁻¹ (up) on the test windows: networks (dots), the book's own results (rings), " +
      "other methods (squares)",
  }, drawExperiment);
  charts.plane.parentNode.classList.add("san-tall");
  const table = plot.add(section("4. Other methods on the same windows",
    "As for a SAN, each number that is sent counts, and each window of a method stops at its smallest φ. " +
    "The wavelet is chosen on validation."), "table", { class: "san-table" });
  const scales = {}, placeOf = {
    sizes: ({ m, validation }) => [m, Math.min(MOST, validation[2])],
    plane: ({ tested: [[loss, cost]] }) => [loss, cost],
  };

  const experiment = guarded((sizes) => {
    if (!cut) throw new RangeError("There is no recording yet: choose one in part 1.");
    const protocol = protocolOf(), trained = new Map();
    crew.stop();
    const longestFirst = [...sizes].reverse().flatMap((m) => NAMES.map((activation) => ({ activation, m, protocol })));
    [results, others, diverged, asked] = [trained, [], 0, longestFirst.length + 1];
    pending = asked;
    const ended = () => {
      pending -= 1;
      soon ??= setTimeout(drawExperiment, 200);
    };
    for (const task of longestFirst) {
      crew.run("measure", task).then((means) => trained.set(`${task.activation} ${task.m}`, { ...task, ...means }),
        () => (diverged += 1)).then(ended);
    }
    crew.run("methods", { filters: data.filters }).then((means) => (others = means)).then(ended);
    drawExperiment();
  });

  const choose = (of) => least(of, ({ validation }) => validation[2]);

  function drawExperiment() {
    soon = undefined;
    const trained = [...results.values()], chosen = choose(trained);
    progress.hidden = at.stop.disabled = !pending;
    progress.value = 1 - pending / asked;
    drawTable(chosen);
    scales.sizes = plot.axes(charts.sizes, [0, Math.max(10, ...trained.map(({ m }) => m))], [0, MOST]);
    scales.plane = plot.planeAxes(charts.plane, MOST);
    const { x, y, ranges: [[, right], [, top]] } = scales.plane;
    const inside = ([loss, cost]) => loss <= right && cost <= top;
    for (const [name, { color }] of Object.entries(data.activations)) {
      const of = trained.filter(({ activation }) => activation === name);
      dotsAt("sizes", of.map(placeOf.sizes), color);
      dotsAt("plane", of.map(placeOf.plane).filter(inside), color);
      const ours = recording.book?.[name]?.means;
      if (ours && inside(ours)) plot.add(charts.plane, "circle",
        { class: "ring", cx: x(ours[0]), cy: y(ours[1]), r: 5, stroke: color });
    }
    for (const { means: [loss, cost] } of others) plot.add(charts.plane, "rect",
      { class: "ring", x: x(loss) - 4, y: y(cost) - 4, width: 8, height: 8, stroke: "var(--pst-color-text-base)" });
    finding.textContent = chosen ? describeChoice(chosen, trained) : "";
    charts.plane.setAttribute("aria-label", `${trained.length} networks. ${finding.textContent}`);
    charts.sizes.setAttribute("aria-label", `φ̄ on validation of ${trained.length} networks against their kernel size`);
    if (pending && trained.length) return; // the choice of a reader stays while it runs
    at.network.replaceChildren();
    for (const { activation, m, validation } of trained.sort((a, b) => a.validation[2] - b.validation[2])
      .slice(0, 50)) {
      plot.add(at.network, "option", { value: `${activation} ${m}` },
        `${labelOf(activation)}, m = ${m}: φ̄ ${validation[2].toFixed(3)}`);
    }
  }

  // One path for all: a dot is a line of no length with round ends.
  function dotsAt(name, points, stroke) {
    const d = points.map(([x, y]) => `M${scales[name].x(x).toFixed(1)} ${scales[name].y(y).toFixed(1)}h0`).join("");
    plot.add(charts[name], "path", { class: "line san-dots", d, stroke });
  }

  function describeChoice({ activation, m, tested: [[loss, cost, phi]], validation }, trained) {
    const { window, data: { test } } = cut, { book, rate } = recording, name = labelOf(activation);
    const kept = (cost * window - m) / 2, every = window / kept / (rate || 1), ours = book?.[activation];
    const spared = choose(trained.filter((one) => one.activation !== activation));
    return [
      `Of ${trained.length} networks ${name} with m = ${m} has the smallest φ̄ on validation.`,
      `On the ${test.length} test windows its φ̄ is ${phi.toFixed(2)}: ${kept.toFixed(0)} activations a window, one ` +
      `every ${Number(every.toPrecision(2))} ${rate ? "s" : "samples"}, and ${(100 * loss).toFixed(0)} % of the error of a flat line.`,
      diverged > 0 && `${diverged} more diverged and count as none.`,
      verdictOf(phi, others, cut.strongest, data.tie),
      spared && spared.validation[2] - validation[2] < data.tie
        && `${labelOf(spared.activation)} is as good within what seeds differ by.`,
      ours && `The book has ${ours.means[2].toFixed(2)} with m = ${ours.m} for ${name}.`,
      "This is one seed: another may choose another size, so try several before you trust the choice.",
    ].filter(Boolean).join(" ");
  }

  function drawTable(chosen) {
    table.replaceChildren();
    const rows = others.map(({ label, means }) => [label, ...means]);
    if (chosen) rows.push([`SAN: ${labelOf(chosen.activation)}, m = ${chosen.m}`, ...chosen.tested[0]]);
    if (!rows.length) return plot.add(table, "caption", {}, "Start the experiment to see them.");
    const head = plot.add(plot.add(table, "thead"), "tr"), body = plot.add(table, "tbody");
    for (const name of ["method", "L̃", "CR⁻¹", "φ̄"]) plot.add(head, "th", { scope: "col" }, name);
    for (const [label, ...means] of rows.sort((a, b) => a[3] - b[3])) {
      const row = plot.add(body, "tr");
      plot.add(row, "th", { scope: "row" }, label);
      for (const value of means) plot.add(row, "td", {}, value.toFixed(3));
    }
  }

  function openNetwork({ activation, m }) {
    [at.activation.value, at.m.value] = [activation, m];
    second.previousElementSibling.previousElementSibling.scrollIntoView({ behavior: "instant" });
    return train();
  }

  for (const [name, svg] of Object.entries(charts)) {
    svg.addEventListener("click", (event) => {
      const box = svg.getBoundingClientRect();
      const away = (one) => {
        const [x, y] = placeOf[name](one);
        return Math.hypot(scales[name].x(x) - event.clientX + box.left, scales[name].y(y) - event.clientY + box.top);
      };
      const nearest = least([...results.values()], away);
      if (nearest && away(nearest) < 20) openNetwork(nearest);
    });
  }

  // --- 5. take away --------------------------------------------------------------------------------

  const fifth = section("5. Take it away",
    "Events and the network are those of part 2, at its best epoch. The address of this page holds the settings and " +
    "never the data; your browser's Back undoes.");
  const taken = plot.controls(fifth, {
    events: ["Events (CSV)", "button"], network: ["Network (.safetensors)", "button"],
    rows: ["All rows (CSV)", "button"], figures: ["Figures (SVG)", "button"],
  });
  const code = plot.add(fifth, "pre", { tabindex: 0, "aria-label": "The same in a terminal and in Python" });
  const stem = () => recording.name.replace(/\.[^.]*$/, "");

  function drawCode() {
    for (const button of Object.values(taken)) button.disabled = !shown;
    code.textContent = shown ? linesOfCode().filter((line) => line !== false).join("\n") : "";
  }

  function linesOfCode() {
    const { activation, m, protocol: { epochs, init, learningRate, seed } } = shown;
    const { first, length, ready, whole, window } = cut, { book, column, name, record } = recording;
    const file = book ? record : name, rate = !book && at.rate.value;
    const inShell = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
    const options = [column && `--column ${inShell(column)} `, rate && `--rate ${rate} `].filter(Boolean).join("");
    const own = [JSON.stringify(file), window, column && JSON.stringify(column), rate && `rate=${rate}`,
      `most=${data.most}`].filter(Boolean).join(", ");
    return [
      "# events of the whole file",
      `san events ${inShell(`${stem()}.safetensors`)} ${inShell(file)} ${options}-o events.csv`,
      "", "# the training, in Python",
      Boolean(book) && !ready && `# in Python windows of ${READY} samples, here of ${window}`,
      !whole && `# here samples ${first} to ${first + length - 1} only`,
      book ? "import sanbook.data" : "from sanbook.signals.windows import load_signal",
      "from sanbook.training import Protocol, sweep",
      `data = ${book ? `sanbook.data.load("${name}")` : `load_signal(${own})`}`,
      `protocol = Protocol(epochs=${epochs}, init="${init}", learning_rate=${learningRate})`,
      `trained = sweep(data, "${activation}", [${m}], seeds=[${seed}], protocol=protocol)`,
      "print(trained.select())",
    ];
  }

  taken.events.addEventListener("click", guarded(async () => {
    const { activation, rows, best, protocol: { borderTolerance } } = shown, { window, ready } = cut;
    const events = await keeper.run("events", { window, ready, activation, w: rows[best].w, borderTolerance });
    plot.download(`${stem()}-events.csv`, [events], "text/csv");
  }));
  taken.network.addEventListener("click", () => {
    const { activation, m, rows, best, protocol } = shown, { rate, units } = recording;
    const facts = { kind: "SAN", activation, border_tolerance: `${protocol.borderTolerance}`, window: `${cut.window}`,
      units, ...(rate ? { sampling_rate: `${rate}` } : {}) };
    const tensor = { dtype: "F32", shape: [m], data_offsets: [0, 4 * m] };
    const text = new TextEncoder().encode(JSON.stringify({ __metadata__: facts, "kernel 0": tensor }));
    const length = Math.ceil(text.length / 8) * 8, head = new Uint8Array(8 + length).fill(32);
    new DataView(head.buffer).setBigUint64(0, BigInt(length), true);
    head.set(text, 8);
    plot.download(`${stem()}.safetensors`, [head, Float32Array.from(rows[best].w)], "application/octet-stream");
  });
  taken.rows.addEventListener("click", () => {
    const all = results.size ? results.values() : [shown];
    const lines = ["activation,kernel_size,seed,epoch,split,inverse_compression_ratio,normalized_reconstruction_loss,phi"];
    for (const { activation, m, protocol, rows, best, tested } of all) {
      const add = (epoch, split, [loss, cost, phi]) =>
        lines.push([activation, m, protocol.seed, epoch, split, cost, loss, phi].join());
      rows.forEach((row, i) => ["train", "validation"].forEach((split) => add(i + 1, split, row[split])));
      [...new Set([best, rows.length - 1])].forEach((epoch, i) => add(epoch + 1, "test", tested[i]));
    }
    plot.download(`${stem()}-rows.csv`, [lines.join("\r\n") + "\r\n"], "text/csv");
  });
  taken.figures.addEventListener("click", () => {
    for (const [name, svg] of Object.entries({ ...view.svgs, ...curves, ...charts })) {
      plot.saveSvg(`${stem()}-${name}.svg`, svg);
    }
  });

  // --- settings, their link, and what happens when they change -------------------------------------

  const OF_RECORDING = ["recording", "column", "rate", "window", "from", "to"];
  const OF_TRAINING = ["activation", "m", "init", "seed", "epochs", "learning"];
  const SETTINGS = [...OF_RECORDING, ...OF_TRAINING];

  function remember() {
    const link = `#laboratory?${new URLSearchParams(SETTINGS.map((name) => [name, at[name].value]))}`;
    if (link !== location.hash) location.hash = link;
  }

  // Settings that an address holds; a new recording is opened, otherwise the training is done again.
  function follow() {
    const settings = new URLSearchParams(/^#laboratory\?(.*)/.exec(location.hash)?.[1]);
    const changed = SETTINGS.filter((name) => settings.has(name) && settings.get(name) !== at[name].value);
    for (const name of changed) {
      if (name === "column") offerColumns([settings.get(name)]);
      if (["from", "to", "m"].includes(name)) at[name].max = Math.max(at[name].max, settings.get(name));
      at[name].value = settings.get(name);
    }
    linked = changed.some((name) => ["from", "to"].includes(name));
    if (changed.some((name) => OF_RECORDING.includes(name)) || recording === NO_FILE) open();
    else if (changed.length) train();
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
  on(OF_TRAINING, "change", train);
  on(["epoch", "test"], "input", drawTraining);
  const goTo = (epoch) => {
    at.epoch.value = epoch;
    drawTraining();
  };
  on(["rewind"], "click", () => goTo(0));
  on(["few"], "click", () => experiment(sizesOf(cut?.window ?? READY)));
  on(["every"], "click", () => experiment(Array.from({ length: Math.max(3, Number(at.m.max) - 1) }, (_, i) => i + 1)));
  on(["stop"], "click", () => {
    crew.stop();
    pending = 0;
    drawExperiment();
  });
  on(["network"], "change", () => openNetwork(results.get(at.network.value)));
  second.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key], { tagName, type } = event.target;
    const inField = ["INPUT", "SELECT", "BUTTON"].includes(tagName);
    if (event.key === " " && (!inField || type === "range")) at.play.click();
    else if (step && !inField) goTo(Number(at.epoch.value) + step);
    else return;
    event.preventDefault();
  });
  for (const kind of ["dragover", "drop"]) {
    root.addEventListener(kind, (event) => {
      event.preventDefault();
      if (kind === "drop") take(event.dataTransfer.files);
    });
  }
  window.addEventListener("hashchange", follow);
  follow();
}

// Up to 24 sizes from 3 samples to a quarter of a window, in even steps of their logarithm.
function sizesOf(window) {
  const last = Math.max(3, Math.floor(window / 4)), step = Math.log(last / 3) / 23;
  return [...new Set(Array.from({ length: 24 }, (_, i) => Math.round(3 * Math.exp(step * i))))];
}
