// Recordings in files, as sanbook/signals/formats reads them, to the last bit and with the same
// refusals; and their windows, as sanbook/signals/windows.py cuts them.
function refuse(message) {
  throw new RangeError(message);
}

// Python's repr of a text, of bytes, of a list of names; and numbers as "%.6g", "%.9g" give them, of
// two that are equally near the even one.
function quoted(text, mark = text.includes("'") && !text.includes('"') ? '"' : "'") {
  const named = { "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", [mark]: `\\${mark}` };
  const escape = (c) => named[c] ?? (c < " " || (c > "~" && c < "\xa1")
    ? `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}` : c);
  return mark + [...text].map(escape).join("") + mark;
}

const quotedBytes = (bytes) => `b${quoted(String.fromCharCode(...bytes)).replace(/[\xa1-\xff]/g, (c) => `\\x${c.charCodeAt(0).toString(16)}`)}`;
const quotedNames = (names) => `[${names.map((name, i) => (name ? quoted(name) : i)).join(", ")}]`;

function general(x, digits = 6) {
  if (!Number.isFinite(x)) return Number.isNaN(x) ? "nan" : x > 0 ? "inf" : "-inf";
  const long = x.toExponential(40).split("e"), cut = long[0].slice(0, (x < 0 ? 2 : 1) + digits);
  const even = /[02468]$/.test(cut) && /^50*$/.test(long[0].slice(cut.length));
  const [mantissa, e] = even ? [cut, long[1]] : x.toExponential(digits - 1).split("e");
  if (e < -4 || e >= digits) return `${Number(mantissa)}e${e[0]}${e.slice(1).padStart(2, "0")}`;
  const fixed = Number(`${mantissa}e${e}`).toFixed(digits - 1 - e);
  return fixed.includes(".") ? fixed.replace(/\.?0+$/, "") : fixed;
}

// --- windows ---------------------------------------------------------------------------------------

// Windows of n samples one after the other, and at the end the rest; of `ready` ones mean and
// deviation are 0 and 1 already.
function windowsOf(values, n, ready) {
  const all = [];
  for (let start = 0; start < values.length; start += n) {
    if (start + n > values.length) {
      all.push({ start, fault: "rest", length: values.length - start });
      break;
    }
    let mean = 0, squares = 0, low = Infinity, high = -Infinity;
    for (let t = start; t < start + n; t++) {
      mean += values[t];
      low = Math.min(low, values[t]);
      high = Math.max(high, values[t]);
    }
    mean /= n;
    for (let t = start; t < start + n; t++) squares += (values[t] - mean) ** 2;
    const deviation = Math.sqrt(squares / (n - 1)), gap = !(Number.isFinite(low) && Number.isFinite(high));
    if (!gap && !Number.isFinite(deviation)) throw new RangeError(
      `the samples of the window from sample ${start} on are too large to be squared. Save the signal in larger units.`);
    const fault = gap ? "gap" : deviation > 0 && high > low ? "" : "constant";
    all.push(ready ? { start, fault, mean: 0, deviation: 1 } : { start, fault, mean, deviation });
  }
  return all;
}

function standardized(values, { start, mean, deviation }, n) {
  return Float32Array.from({ length: n }, (_, t) => (values[start + t] - mean) / deviation);
}

// The windows that are left out, as `Faults` says it.
function faultsOf(all, window, rate) {
  const parts = [["constant", "of a constant value"], ["gap", "with a gap"]].flatMap(([fault, name]) => {
    const of = all.filter((one) => one.fault === fault);
    if (!of.length) return [];
    const at = `sample ${of[0].start}${rate ? ` (${(of[0].start / rate).toFixed(1)} s)` : ""}`;
    return of.length === 1 ? [`1 window ${name} is left out, from ${at}`]
      : [`${of.length} windows ${name} are left out, the first from ${at} on`];
  });
  const rest = all.find(({ fault }) => fault === "rest");
  return [...parts, ...(rest ? [`the last ${rest.length} samples are left out`] : [])].join("; ");
}

// --- files -----------------------------------------------------------------------------------------

const KINDS = { ".csv": "text", ".txt": "text", ".tsv": "text", ".dat": "text", ".npy": "numpy", ".npz": "numpy",
  ".hea": "wfdb", ".edf": "edf", ".bdf": "edf" };
const suffixOf = (name) => /.\.[^.]*$/.exec(name.toLowerCase())?.[0].slice(1) ?? "";

// A file of signals: `names` of its channels, the numbers of those that can be meant if none is named,
// and a `channel` by its name or by its number, which is { name, column, rate, units, values, decision,
// remarks }. `files` are File objects; a WFDB record has two.
async function openFile(files, rate = null) {
  const main = files.find(({ name }) => suffixOf(name) === ".hea") ?? files[0], { name } = main;
  const kind = KINDS[suffixOf(name)];
  if (!kind) refuse(`${name}: ${suffixOf(name) || "no suffix"} is none of the kinds ${Object.keys(KINDS).join(", ")}. Save the signal as one of them.`);
  if (kind === "numpy") refuse(`${name}: is a file of NumPy, which this page does not read. Use the command san.`);
  if (rate !== null && !(rate > 0 && rate < Infinity)) refuse(
    `rate: ${general(rate)} Hz is not above 0. Give samples per second.`);
  const { names, signals, read } = await { text: openText, wfdb: openRecord, edf: openEdf }[kind](main, files, rate);
  return {
    names, signals,
    async channel(column = "") {
      const alone = names.indexOf(column) === names.lastIndexOf(column) ? names.indexOf(column) : -1;
      const number = typeof column === "number" ? (column in names ? column : -1) : column
        ? alone : signals.length === 1 ? signals[0] : -1;
      if (number < 0) refuse(`${name}: ${typeof column === "number" ? column : quoted(column)} names none of its columns ${quotedNames(names)}. Name one, or give its number from 0 on.`);
      return { name, column: names[number], units: "unknown", remarks: [], ...(await read(number)) };
    },
  };
}

function atRate(name, stated, rate, where = "") {
  if (stated === null || rate === null || Math.abs(stated - rate) <= 0.01 * Math.max(stated, rate)) return rate
    ?? stated;
  const advice = where ? ", or ignore the times (time none)." : " or mend the file.";
  return refuse(`${name}: ${where || "the file"} says ${general(stated)} Hz, but the rate given is ${general(rate)} Hz. Leave the rate out${advice}`);
}

const bytesOf = async (file, from, to) => new Uint8Array(await file.slice(from, to).arrayBuffer());

// Text of a header in UTF-8 or Latin-1, without what pads it.
function decoded(bytes) {
  const trim = (text) => text.replace(/^[ \0]+|[ \0]+$/g, "");
  try {
    return trim(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return trim(new TextDecoder("latin1").decode(bytes));
  }
}

// --- WFDB records of one segment -------------------------------------------------------------------

const RECORD = /^\S+?(?:\/(\d+))?\s+(\d+)(?:\s+(\d*\.?\d+(?:e[+-]?\d+)?|\d+\.)(?:\/\S*)?(?:\s+(\d+)(?:\s+(\S.*))?)?)?\s*$/i;
const SIGNAL = /^(\S+)\s+(\d+)(?:x(\d+))?(?::(\d+))?(?:\+(\d+))?(?:\s+([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(?:\((-?\d+)\))?(?:\/(\S+))?(?:\s+-?\d+(?:\s+(-?\d+)(?:\s+-?\d+(?:\s+-?\d+(?:\s+-?\d+(?:\s+(\S.*))?)?)?)?)?)?)?\s*$/i;
const WFDB = ["8", "16", "24", "32", "61", "80", "160", "212", "310", "311", "508", "516", "524"];
const BYTES = { 16: 2, 32: 4, 80: 1, 212: 1.5 }, INVALID = { 16: -32768, 32: -2147483648, 80: -128, 212: -2048 };

async function openRecord(header, files, wish) {
  const { name } = header, text = decoded(await bytesOf(header));
  const lines = text.split(/\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/)
    .filter((line) => line.trim() && line[0] !== "#").map((line) => line.trim());
  const found = RECORD.exec(lines[0] ?? "");
  if (!found) refuse(`${name}: begins with ${lines.length ? quoted(lines[0].slice(0, 60)) : "'nothing'"}, as no WFDB header does. Fetch the record again.`);
  const count = Number(found[1] ?? found[2]), length = Number(found[4] ?? 0) || null, frames = Number(found[3] ?? 250);
  if (!count) refuse(`${name}: has 0 signals. Name a header that has some.`);
  if (lines.length - 1 < count) refuse(
    `${name}: has ${lines.length - 1} of ${count} lines of signals or segments. Fetch the record again.`);
  if (found[1]) refuse(`${name}: has ${count} segments, which this page does not join. Use the command san.`);
  const channels = lines.slice(1, count + 1).map((line) => {
    const parts = SIGNAL.exec(line);
    if (!parts) refuse(`${name}: ${quoted(line.slice(0, 60))} does not describe a WFDB signal. Fetch the record again.`);
    const [, file, format, frame, skew, offset, gain, baseline, units, zero, title] = parts;
    return {
      file, format, frame: Number(frame ?? 1) || 1, skew: Number(skew ?? 0), offset: Number(offset ?? 0),
        gain: Number(gain ?? 0) || 200,
      baseline: Number(baseline ?? zero ?? 0), units: units ?? "mV", title: (title ?? "").trim(),
    };
  });
  const folder = channels.find(({ file }) => !/^([A-Za-z0-9_][A-Za-z0-9_.+-]*|~)$/.test(file));
  if (folder) refuse(`${name}: ${quoted(folder.file)} is not a plain file name. Do not use this record.`);
  if (channels[0].file === "~") refuse(
    `${name}: describes the channels of a record of several segments. Name the header of the record.`);

  async function read(number) {
    const { file, format, frame, skew, offset, gain, baseline, units } = channels[number];
    const alike = files.filter((one) => one.name.toLowerCase() === file.toLowerCase());
    const data = files.find((one) => one.name === file)
      ?? (alike.length === 1 ? alike[0] : refuse(`${name}: names ${file}, which is not beside it. Put it there.`));
    if (!WFDB.includes(format)) refuse(
      `${name}: format ${format} is none of the WFDB formats ${WFDB.join(", ")}. Fetch the record again.`);
    if (!BYTES[format]) refuse(`${name}: has the format ${format}, which this page does not read. Use the command san.`);
    const ofFile = channels.map((_, i) => i).filter((i) => channels[i].file === file);
    const samples = ofFile.reduce((sum, i) => sum + channels[i].frame, 0), ofFrame = BYTES[format] * samples;
    const there = Math.floor(Math.max(0, data.size - offset) / ofFrame + 1e-9);
    if (there < Math.max(1, length ?? 0)) {
      const needed = offset + Math.ceil((length ?? 1) * ofFrame);
      refuse(`${data.name}: has ${data.size} of ${needed} bytes: the file is cut off, as ${name} says ${length ?? "no"} frames. Fetch the record again.`);
    }
    const stated = frames * frame;
    if (!stated && wish === null) refuse(`${name}: says a rate of 0 Hz. Give the rate.`);
    const rate = atRate(name, stated || null, wish), known = length ?? there;
    const before = ofFile.filter((i) => i < number).reduce((sum, i) => sum + channels[i].frame, 0);
    const values = new Float64Array(known * frame).fill(NaN), atOnce = 2 * Math.max(1, Math.floor(2 ** 19 / samples));
    // frames
    for (let first = 0; first < known; first += atOnce) {
      const end = Math.min(known, first + atOnce),
        bytes = await bytesOf(data, offset + first * ofFrame, offset + Math.ceil(end * ofFrame));
      const get = digital(format, bytes);
      for (let f = Math.max(first, skew); f < end; f++) {
        for (let s = 0; s < frame; s++) {
          const stored = get((f - first) * samples + before + s);
          if (stored !== INVALID[format]) values[(f - skew) * frame + s] = (stored - baseline) / gain;
        }
      }
    }
    const decision = `read as: a WFDB record, format ${format}${frame > 1 ? `, ${frame} samples a frame` : ""}, ${general(stated)} Hz`;
    return { rate, units, values, decision, remarks: found[3] ? [] : ["the header says no rate, so 250 Hz"] };
  }
  return { names: channels.map(({ title }) => title), signals: channels.map((_, i) => i), read };
}

function digital(format, bytes) {
  const view = new DataView(bytes.buffer);
  return {
    16: (i) => view.getInt16(2 * i, true),
    32: (i) => view.getInt32(4 * i, true),
    80: (i) => bytes[i] - 128,
    212: (i) => {
      const b = 3 * (i >> 1), low = i & 1
        ? bytes[b + 2] | ((bytes[b + 1] & 0xf0) << 4) : bytes[b] | ((bytes[b + 1] & 0x0f) << 8);
      return (low << 20) >> 20;
    },
  }[format];
}

// --- EDF and BDF -----------------------------------------------------------------------------------

const FIELDS = [["label", 16], ["transducer", 80], ["units", 8], ["physical minimum", 8], ["physical maximum", 8],
  ["digital minimum", 8], ["digital maximum", 8], ["filter", 80], ["samples", 8], ["reserved", 32]];

function headerNumber(text, where) {
  const number = numberOf(text.replace(",", ".").trim());
  return Number.isFinite(number) ? number
    : refuse(`${where} is ${quoted(text)}, not a number. Mend the header or export the file again.`);
}

async function openEdf(file, files, wish) {
  const { name, size } = file, fixed = await bytesOf(file, 0, 256), signature = fixed.slice(0, 8);
  const bdf = String.fromCharCode(...signature) === "\xffBIOSEMI", width = bdf ? 3 : 2, remarks = [];
  if (!bdf && decoded(signature) !== "0") refuse(
    `${name}: begins with ${quotedBytes(signature)}, as no EDF or BDF file does. Fetch or export the file again.`);
  const count = Math.trunc(headerNumber(decoded(fixed.slice(252)), `${name}: number of channels`)),
    start = 256 * (1 + Math.max(count, 0));
  if (count < 1 || size < start) refuse(
    `${name}: ${count} channels have a header of ${start} bytes, but the file has ${size} bytes. Fetch or export the file again.`);
  const all = await bytesOf(file, 256, start), channels = Array.from({ length: count }, () => ({}));
  let at = 0;
  for (const [field, bytes] of FIELDS) {
    for (const channel of channels) channel[field] = decoded(all.slice(at, (at += bytes)));
  }
  const sizes = channels.map(({ label, samples }) =>
    Math.trunc(headerNumber(samples, `${name}: channel ${quoted(label)}: samples of a record`)));
  const ofRecord = width * sizes.reduce((sum, one) => sum + one, 0);
  if (Math.min(...sizes) < 0 || !ofRecord) refuse(
    `${name}: records of [${sizes.join(", ")}] samples. Fetch or export the file again.`);
  const announced = Math.trunc(headerNumber(decoded(fixed.slice(236, 244)), `${name}: number of records`));
  const records = Math.floor((size - start) / ofRecord), left = (size - start) % ofRecord;
  if (announced !== records || left) remarks.push(
    `the header says ${announced} records, ${records} are there${left ? `, and ${left} bytes of one more are left out` : ""}`);
  const said = numberOf(decoded(fixed.slice(184, 192)).replace(",", "."));
  if (Number.isFinite(said) && Math.trunc(said) !== start) remarks.push(
    `the header says that it has ${Math.trunc(said)} bytes, it has ${start}`);
  const duration = headerNumber(decoded(fixed.slice(244, 252)), `${name}: duration of a record`);
  const notes = channels.map(({ label }) => ["EDF Annotations", "BDF Annotations"].includes(label));
  const signals = notes.map((_, i) => i).filter((i) => !notes[i]),
    before = (i) => width * sizes.slice(0, i).reduce((sum, one) => sum + one, 0);
  if (!signals.length) refuse(`${name}: holds annotations only. Name the file with the signals.`);

  // The time at which each record begins, from its first annotation.
  async function onsets() {
    const channel = notes.indexOf(true), times = [];
    for (let r = 0; r < records; r++) {
      const text = await bytesOf(file, start + r * ofRecord + before(channel),
        start + r * ofRecord + before(channel) + width * sizes[channel]);
      const found = /^([+-]\d+(?:\.\d*)?)\x14/.exec(String.fromCharCode(...text));
      times.push(found ? Number(found[1])
        : refuse(`${name}: record ${r} does not say when it begins, but ${quotedBytes(text.slice(0, 20))}. Fetch or export the file again.`));
    }
    return times;
  }

  const times = notes.includes(true) ? await onsets() : null;

  async function read(number) {
    const i = signals[number], fields = channels[i], n = sizes[i], label = quoted(fields.label);
    const [low, high, digitalLow, digitalHigh] = FIELDS.slice(3, 7)
      .map(([limit]) => headerNumber(fields[limit], `${name}: channel ${label}: ${limit}`));
    if (low === high || digitalLow === digitalHigh || n < 1 || records < 1) {
      refuse(`${name}: channel ${label} has ${records} records of ${n} samples, digital ${general(digitalLow)} to ${general(digitalHigh)}, which stand for ${general(low)} to ${general(high)}: no samples in units can be told. Choose another channel.`);
    }
    if (duration <= 0 && wish === null) refuse(
      `${name}: no rate can be told from records of ${general(duration)} s. Give the rate.`);
    const rate = atRate(name, duration > 0 ? n / duration : null, wish);
    const scale = (high - low) / (digitalHigh - digitalLow), offset = high / scale - digitalHigh, places = [0];
    for (let r = 1; r < records; r++) {
      const expected = places[r - 1] + n, due = times ? (times[r] - times[0]) * rate : expected;
      if (!(due > expected - 1)) refuse(
        `${name}: record ${r} begins at ${general(times[r] - times[0])} s, before the end of the record above it, ${general(expected / rate)} s. Cut the file there.`);
      places.push(due - expected < 0.75 ? expected : Math.round(due));
      checkGap(name, places[r] - expected, `before record ${r}`);
    }
    const values = new Float64Array(places.at(-1) + n).fill(NaN), atOnce = Math.max(1, Math.floor(2 ** 20 / ofRecord));
    for (let first = 0; first < records; first += atOnce) {
      const end = Math.min(records, first + atOnce),
        bytes = await bytesOf(file, start + first * ofRecord, start + end * ofRecord),
          view = new DataView(bytes.buffer);
      for (let r = first; r < end; r++) {
        for (let t = 0, b = (r - first) * ofRecord + before(i); t < n; t++, b += width) {
          const stored = bdf ? (bytes[b] << 8 | bytes[b + 1] << 16 | bytes[b + 2] << 24) >> 8 : view.getInt16(b, true);
          values[places[r] + t] = scale * (offset + stored);
        }
      }
    }
    return { rate, units: fields.units || "unknown", values, remarks,
      decision: `read as: ${bdf ? "BDF" : "EDF"}, ${records} records of ${general(duration)} s, ${general(rate)} Hz` };
  }
  return { names: signals.map((i) => channels[i].label), signals: signals.map((_, i) => i), read };
}

function checkGap(name, samples, where) {
  if (samples > 1e8) refuse(`${name}: ${samples.toFixed(0)} samples are missing ${where}, more than 100000000. Cut the file there.`);
}

// --- text ------------------------------------------------------------------------------------------

// Of what sanbook/signals/formats/layout.py recognizes, plain tables only: at most one line of names,
// then rows of numbers, with a column of times in numbers or none. Other files are refused.
const FOREIGN = {
  "version https://git-lfs": "a pointer of Git LFS. Fetch the file itself with git lfs pull",
    "PK\x03\x04": "a zip or Excel file. Save the sheet as CSV",
  "\xd0\xcf\x11\xe0": "an old Excel file. Save the sheet as CSV", "\x1f\x8b": "a gzip file. Unpack it",
    "<": "HTML or XML. Download the file itself",
  "{": "JSON. Save the signal as CSV", "%PDF": "a PDF. Save the signal as CSV",
    "\x89HDF": "an HDF5 file. Save the signal as CSV or .npy",
  "MATLAB 5": "a MATLAB file. Save the signal as CSV",
};
const MISSING = new Set(["", "-", "na", "n/a", "n.a.", "nan", "nat", "null", "none", "missing", "?"]);
const NUMBER = /^([+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(inf|nan|infinity))$/i;
const SEPARATED = { "\t": "tabs", ";": "semicolons", "|": "bars", ",": "commas", "\x1f": "one column" };
const UNIT = /^([fpnuµμmkM]?(?:V|A|s|S|g|G|T|Hz|Ω|ohms?|Pa|W|N|m|L|l|C|K|F|mol)|mmHg|cmH2O|bpm|%|°C|deg\w*|[an]\.?u\.?|adu|no[ _]units?|counts?|unitless|sec|seconds|min|hh:mm:ss\S*|m\/s(?:\^2|\*\*2|2|²)?|m\/\(s\^2\)|deg\/s|local|-|)$/i;
const COUNTER = /^(sample|row|packet)?[ _]*(index|number|counter|count|n?seq)?$/i;

// Python's float of a number's text; NaN if it is none.
function numberOf(text) {
  const found = /^([+-]?)inf(inity)?$/i.exec(text);
  if (found) return found[1] === "-" ? -Infinity : Infinity;
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : NaN;
}

async function openText(file, files, wish) {
  const { name } = file, advice = "Use the command san, or save names and rows of numbers only.";
  const beyond = (what) => {
    throw Object.assign(new RangeError(`${name}: ${what}, which this page does not read. ${advice}`), { beyond: true });
  };
  const begin = String.fromCharCode(...(await bytesOf(file, 0, 256))).replace(/^(\xef\xbb\xbf)+/, "");
  for (const [signature, what] of Object.entries(FOREIGN)) if (begin.startsWith(signature)) refuse(
    `${name}: is ${what}.`);
  const lines = await linesOf(file, beyond), head = lines.slice(0, 1000),
    isRow = (line) => line.trim() && !/^\s*[#%]/.test(line);
  if (!head.some((line) => line.trim())) refuse(`${name}: is empty. Choose another file.`);
  const layout = layoutOfText(head.filter(isRow)) ?? beyond("is not a plain table of numbers");
  const { separator, decimal, width, isNumber, numeric } = layout, split = (line) => fieldsOf(line, separator);
  const perfect = (line) => isRow(line ?? "") && layout.isPerfect(split(line)), names = Array(width).fill(""),
    units = Array(width).fill("");
  const first = perfect(lines[0]) ? 0 : 1;
  if (!perfect(lines[first]) || !perfect(lines[first + 1])) beyond("has lines above its rows");
  if (first) {
    const title = lines[0].trim().replace(/^[#% ]+/, ""),
      cells = (split(title) ?? beyond("has an open quotation mark"))
        .map((cell) => cell.replace(/^[ '"\t]+|[ '"\t]+$/g, ""));
    const told = /(sampl|abtast|chantillonnage|muestreo|campionamento|amostragem|meetfreq|interval)[^\n]*\d|\d{4}-\d\d-\d\d/i.test(title);
    if (cells.length !== width || cells.some((cell) => isNumber(cell)) || told || !cells.some(Boolean)
      || cells.at(-1) === "" || (width === 1 && /[=:;,\t]/.test(title))) beyond(
      "has a first line that is not just names");
    cells.forEach((cell, i) => {
      const found = /[([]([^)\]]+)[)\]]\s*$/.exec(cell)?.[1].trim() ?? "";
      [names[i], units[i]] = [cell, UNIT.test(found) ? found : ""];
    });
  }
  const rows = head.slice(first).filter(isRow), number = (cell) => layout.number(cell), named = first === 1;
  const [start, rate, sample] = rows.slice(0, 3).map((line) => split(line)?.map(number)),
    same = (row) => new Set(row).size === 1;
  if (sample && same(start) && same(rate) && start[0] > 1e9 && start[0] < 4e9 && rate[0] > 0 && rate[0] <= 5000
    && Math.abs(sample[0]) < 1e9) beyond("begins with a start and a rate");
  const pairs = separator === "," && width === 2
    ? rows.map((line) => /^([+-]?\d+),(\d+)$/.exec(line.trim())).filter(Boolean) : [];
  if (pairs.length >= 0.9 * rows.length
    && pairs.some(([, whole, part]) => /^0\d/.test(part) || whole === "-0")) beyond("looks like decimal commas");

  // Fields of a line; none of one whose quotation marks are in disorder.
  function fieldsAt(line, i) {
    const fields = split(line);
    if (!fields && line.split('"').length % 2 === 0) {
      refuse(`${name}: line ${i + 1} has a quotation mark that does not close in it, ` +
        `${quoted(line.trim().slice(0, 40))}. Remove the mark, or the line break between two marks.`);
    }
    return fields ?? [];
  }
  head.forEach(fieldsAt);

  // What the first rows say of a column of times.
  function clockOf(column) {
    const cells = head.map((line, i) => [line, i]).slice(first).filter(([line]) => isRow(line))
      .map(([line, i]) => [fieldsAt(line, i), i + 1]);
    const given = cells.filter(([row]) => layout.isPerfect(row) && row[column].trim())
      .map(([row, at]) => [row[column].replace(decimal, ".").replace(/^[ '"[\]]+|[ '"[\]]+$/g, ""), at]);
    if (given.some(([text]) => !/\d/.test(text) || Number.isNaN(numberOf(text)))) return named
      ? beyond(`has times in words in column ${quoted(names[column])}`) : null;
    return clockOfTimes(name, names[column] || `${column}`, units[column], given, wish);
  }
  let timed = null, refused = null;
  for (let i = 0; width > 1 && i < width && timed === null; i++) {
    if (!(names[i] ? isTime(names[i]) : i === 0)) continue;
    try {
      const clock = clockOf(i);
      // An unnamed 0, 1, 2 beside names is an index, as pandas writes it.
      if (clock && (names[i] || clock.rate || !named)) timed = i;
    } catch (error) {
      if (!(error instanceof RangeError) || error.beyond) throw error;
      refused ??= names[i] ? error : null;
    }
  }
  if (timed === null && refused) throw refused;
  const told = timed === null ? null : clockOf(timed),
    where = told ? `column ${names[timed] ? quoted(names[timed]) : timed}` : "";
  const given = told?.rate ? atRate(name, told.rate, wish, where) : wish;
  const decision = ["read as: " + SEPARATED[separator], decimal === "," && "decimal commas", !named && "no names",
    told && `times in ${where}${told.rate ? "" : ", of which no unit is known"}`, given
      && `${general(given)} Hz from ${told?.rate ? "the times" : "the caller"}`].filter(Boolean).join(", ");
  const signals = numeric.filter((i) => i !== timed && (!named || names[i])),
    others = signals.filter((i) => named && !isTime(names[i]) && !COUNTER.test(names[i]));

  async function read(column) {
    const clock = told && clockOf(timed), guard = numeric.find((i) => i !== column && i !== timed) ?? column,
      values = [], leftOut = [];
    if (clock && given && clock.rate) clock.step = (clock.step * clock.rate) / given;
    let pending;
    for (let i = first; i < lines.length; i++) {
      if (i % 50000 === 0) await new Promise((resolve) => setTimeout(resolve)); // the page stays awake
      const line = lines[i];
      if (!line.trim()) continue;
      if (!isRow(line)) {
        leftOut.push(i);
        continue;
      }
      let fields = fieldsAt(line, i);
      if (fields.length > width && !fields.slice(width).some((field) => field.trim())) fields = fields.slice(0, width);
      const value = number(fields[column]),
        moment = clock ? numberOf(fields[timed]?.replace(",", ".").replace(/^[ '"[\]]+|[ '"[\]]+$/g, "") ?? "") : 0;
      if (fields.length !== width || !isCell(value, fields[column]) || !isCell(number(fields[guard]), fields[guard])
        || Number.isNaN(moment)) {
        const beside = [...new Set([guard, timed])].filter((one) => one !== null && one !== column);
        if (fields.length === width && beside.length
          && beside.every((one) => fields[one].trim() && isCell(number(fields[one]), fields[one]))) {
          refuse(`${name}: column ${quoted(named ? names[column] : `${column}`)} has ${quoted(fields[column].slice(0, 40))} in line ${i + 1}, not a number. Choose another column or mend the line.`);
        }
        pending ??= i;
        leftOut.push(i);
        continue;
      }
      if (pending !== undefined && !clock) refuse(
        `${name}: line ${pending + 1} is no row of ${width} fields, but ${quoted(lines[pending].trim().slice(0, 40))}. Remove the line, or give times in a column.`);
      if (clock) for (let gap = clock.gap(moment, i + 1); gap > 0; gap--) values.push(NaN);
      values.push(value);
    }
    const remarks = [];
    if (leftOut.length) remarks.push(
      `${leftOut.length === 1 ? "1 line is" : `${leftOut.length} lines are`} no row and left out, line ${leftOut[0] + 1}, ${quoted(lines[leftOut[0]].trim().slice(0, 40))}${leftOut.length > 1 ? ", first" : ""}`);
    const drift = clock ? clock.drift() : 0;
    if (clock && Math.abs(drift) > 2 * clock.step + 1e-3 * Math.abs(clock.last - clock.first)) remarks.push(
      `the times end ${general(drift)} s from what the rate says`);
    return { rate: given, units: units[column] || "unknown", values: Float64Array.from(values), remarks, decision };
  }
  const isCell = (value, cell) => !Number.isNaN(value)
    || MISSING.has((cell ?? "?x").replace(/^[ ']+|[ ']+$/g, "").toLowerCase()) || isNumber(cell ?? "");
  return { names, signals: others.length ? others : signals, read };
}

// Lines without their ends, chunk by chunk, of a text in UTF-8 or UTF-16; what is neither is Latin-1.
async function linesOf(file, beyond) {
  const begin = await bytesOf(file, 0, 256),
    zeros = [0, 1].map((i) => begin.filter((byte, at) => byte === 0 && at % 2 === i).length);
  const wide = Math.max(...zeros) > 0.4 * begin.length
    || ["\xff\xfe", "\xfe\xff"].includes(String.fromCharCode(...begin.slice(0, 2)));
  const encoding = !wide ? "utf-8" : begin[0] === 0xfe || (begin[0] !== 0xff && zeros[0] > zeros[1])
    ? "utf-16be" : "utf-16le";
  const lines = [];
  let rest = "";
  const add = (text, last) => {
    const parts = (rest + text).split(last ? /\r\n|\n|\r/ : /\r\n|\n|\r(?!$)/);
    rest = parts.pop();
    for (const line of parts) lines.push(line);
  };
  try {
    const reader = file.stream().pipeThrough(new TextDecoderStream(encoding, { fatal: true })).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) add(part.value, false);
  } catch {
    // Bytes that are not UTF-8 are characters of Latin-1, so long as none of them could be UTF-8.
    lines.length = 0;
    rest = "";
    const bytes = await bytesOf(file);
    for (let at = 0; at < bytes.length; at += 8192) add(String.fromCharCode(...bytes.subarray(at, at + 8192)), false);
    if (wide || lines.some((line) => /[\xc2-\xf4][\x80-\xbf]/.test(line))) beyond("is in a mixture of encodings");
  }
  add("", true);
  if (rest) lines.push(rest);
  if (lines.some((line) => line.includes("\0"))) beyond("has bytes that are no text");
  return lines.map((line) => line.replace(/^\ufeff+/, ""));
}

// Fields of a line; undefined for a quotation mark that is not closed in it.
function fieldsOf(line, separator) {
  if (!line.includes('"')) return line.split(separator);
  const fields = [];
  for (let rest = line; ; ) {
    const found = /^ *"((?:[^"]|"")*)"/.exec(rest);
    const end = found ? found[0].length : (rest.indexOf(separator) + rest.length + 1) % (rest.length + 1);
    if (found && rest.length > end && rest[end] !== separator) return undefined;
    if (!found && /^ *"/.test(rest)) return undefined;
    fields.push(found ? found[1].replaceAll('""', '"') : rest.slice(0, end).trimStart());
    if (end >= rest.length) return fields;
    rest = rest.slice(end + 1);
  }
}

// The separator and the decimal mark under which nine of ten rows are numbers, as many in each.
function layoutOfText(rows) {
  for (const [separator, decimal] of [["\t", "."], ["\t", ","], [";", "."], [";", ","], ["|", "."], [",", "."],
    ["\x1f", "."]]) {
    if (separator !== "\x1f" && !rows.at(-1).includes(separator) && !rows[1]?.includes(separator)) continue;
    const plain = (cell) => {
      const text = cell.replace(/^[ ']+|[ ']+$/g, "");
      return decimal === "," ? (text.includes(".") ? "x" : text.replace(",", ".")) : text;
    };
    const isNumber = (cell) => NUMBER.test(plain(cell)),
      isMissing = (cell) => MISSING.has(cell.replace(/^[ ']+|[ ']+$/g, "").toLowerCase());
    const width = fieldsOf(rows[Math.min(1, rows.length - 1)], separator)?.length;
    const isPerfect = (cells) => cells?.length === width && cells.every((cell) => isNumber(cell) || isMissing(cell))
      && (cells.some(isNumber) || width === 1 || cells.every((cell) => cell.trim()));
    const good = rows.map((line) => fieldsOf(line, separator)).filter(isPerfect);
    const numeric = Array.from({ length: width }, (_, i) => i);
    if (good.length < 0.9 * rows.length - 1 || good.length < 2
      || !numeric.every((i) => good.some((row) => isNumber(row[i])))) continue;
    return { separator, decimal, width, numeric, isNumber, isPerfect, number: (cell = "x") => numberOf(plain(cell)) };
  }
  return undefined;
}

// --- columns of times, as sanbook/signals/formats/times.py reads them --------------------------------

const WORDS = new Set("timestamp timestamps zeit zeitstempel uhrzeit temps tiempo tempo tijd date datum clock elapsed seconds millis".split(" "));
const SECONDS = { s: 1, sec: 1, secs: 1, second: 1, seconds: 1, ms: 1e-3, msec: 1e-3, millis: 1e-3,
  milliseconds: 1e-3, us: 1e-6, "µs": 1e-6, "μs": 1e-6, microseconds: 1e-6, ns: 1e-9, min: 60, minutes: 60, h: 3600 };
const COMMON = [1, 2, 4, 5, 8, 10, 16, 20, 25, 32, 40, 50, 51.2, 60, 64, 75, 100, 102.4, 120, 125, 128, 130, 150, 200,
  204.8, 240, 250, 256, 300, 360, 400, 480, 500, 512, 600, 700, 720, 750, 800, 1000, 1024, 1200, 1250, 1500, 1600,
    2000, 2048, 2400, 2500, 4000, 4096, 5000, 8000, 8192, 10000, 16000, 20000, 22050, 44100, 48000];
const halfEven = (x) => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x));

function isTime(name) {
  const words = name.toLowerCase().split(/[^\p{L}]+/u);
  return words.some((word) => WORDS.has(word) || /(time|timestamp)$/.test(word))
    || ["t", "s", "ms", "us", "sec", "secs"].includes(name.trim().toLowerCase());
}

function clockOfTimes(file, name, unit, given, rate) {
  if (given.length < 3) return null;
  const times = given.map(([text]) => numberOf(text));
  if (times.every((time) => time === times[0])) return null;
  const steps = times.slice(1).map((time, i) => time - times[i]),
    rising = steps.filter((step) => step > 0).sort((a, b) => a - b);
  let step = rising.length ? (rising[(rising.length - 1) >> 1] + rising[rising.length >> 1]) / 2 : -1;
  const decimals = given.map(([text]) => general(numberOf(text), 15))
    .map((text) => (text.includes("e") ? 15 : (text.split(".")[1] ?? "").length));
  let resolution = 0.1 ** decimals.reduce((most, one) => Math.max(most, one), 0);
  const tried = clockFrom(file, name, step, resolution);
  given.forEach(([, line], i) => tried.gap(times[i], line));
  const off = steps.filter((one) => Math.abs(one - step * Math.max(1, halfEven(one / step))) > 0.3 * step + resolution);
  const [least, most] = steps.reduce(([low, high], one) => [Math.min(low, one), Math.max(high, one)],
    [Infinity, -Infinity]);
  if (off.length / steps.length > 0.05) refuse(
    `${file}: the times in column ${quoted(name)} are irregular, ${general(least)} to ${general(most)} apart. Resample the signal, or ignore the times (time none).`);
  const word = `${name} ${unit}`.toLowerCase().split(/[^\p{L}\p{N}µμ]+/u).reverse().find((one) => one in SECONDS);
  const scale = word ? SECONDS[word] : scaleOf(times[0], step, rate);
  const near = steps.filter((one) => one < 1.5 * step + resolution), pieces = 1 + steps.length - near.length;
  if (!scale) return clockFrom(file, name, step, resolution);
  const told = simplest(near.length, near.reduce((sum, one) => sum + one, 0) * scale, pieces * resolution * scale);
  return clockFrom(file, name, 1 / told, resolution * scale, told, scale);
}

function scaleOf(first, step, rate) {
  if (first > 1e8) return [1, 1e-3, 1e-6].find((scale) => first * scale < 1e11) ?? 1e-9;
  if (step < 1) return 1;
  if (step === 1 || rate === null) return null;
  return [1, 1e-3, 1e-6, 1e-9].find((scale) => Math.abs(step * scale * rate - 1) < 0.01) ?? 1;
}

// A rate of so many steps in some seconds, known to an error: a common one, or a short one.
function simplest(count, seconds, error) {
  const rate = count / seconds, low = (count / (seconds + error)) * (1 - 1e-6),
    high = (count / Math.max(seconds - error, 1e-12)) * (1 + 1e-6);
  const inside = (one) => low <= one && one <= high,
    common = COMMON.filter(inside).sort((a, b) => Math.abs(a - rate) - Math.abs(b - rate));
  return common[0] ?? [0, 1, 2, 3, 4, 5].map((d) => Number(rate.toFixed(d))).find(inside) ?? rate;
}

// `gap` tells how many samples are missing before a row, of which the time and the line are given.
function clockFrom(file, name, step, resolution, rate = null, scale = 1) {
  let count = 0;
  return {
    step, rate, first: NaN, last: NaN,
    gap(time, line) {
      time *= scale;
      if (!count) [this.first, this.last] = [time, time - this.step];
      const passed = time - this.last, repeated = passed === 0 ? "is repeated" : "is earlier than the one before";
      if (!(passed > 0)) refuse(`${file}: the time in line ${line} of column ${quoted(name)} ${repeated}. Sort the rows, or ignore the times (time none).`);
      let gap = 0;
      if (passed > 1.5 * this.step + resolution) {
        gap = Math.max(halfEven((time - this.first) / this.step) - count, halfEven(passed / this.step) - 1);
        checkGap(file, gap, `before line ${line}`);
      }
      count += gap + 1;
      this.last = time;
      return gap;
    },
    drift() {
      return count ? this.last - this.first - (count - 1) * this.step : 0;
    },
  };
}
