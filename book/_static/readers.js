// Recordings in files, as sanbook/signals/formats reads them, to the last bit and with the same
// refusals; and their windows, as sanbook/signals/windows.py cuts them. A worker gets the text of this
// function. `known` are the tables and patterns of sanbook/signals/formats, by reports/laboratory.py.
function sanReaders(known) {
  const whole = (pattern) => new RegExp(`^(?:${pattern})$`, "i");
  const NUMBER = whole(`${known.number}|[+-]?infinity`), UNIT = whole(known.unit), COUNTER = whole(known.counter);

  function refuse(message) {
    throw new RangeError(message);
  }

  // --- texts and numbers as Python's ---------------------------------------------------------------

  // repr of a text, of bytes, of a list of names.
  function quoted(text) {
    const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
    const named = { "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", [mark]: `\\${mark}` };
    const code = (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`;
    return mark + [...text].map((c) => named[c] ?? (c < " " || (c > "~" && c < "\xa1") ? code(c) : c)).join("") + mark;
  }

  const latin1 = (bytes) => String.fromCharCode(...bytes);
  const quotedBytes = (bytes) =>
    `b${quoted(latin1(bytes)).replace(/[\xa1-\xff]/g, (c) => `\\x${c.charCodeAt(0).toString(16)}`)}`;
  const quotedNames = (names) => `[${names.map((name, i) => (name ? quoted(name) : i)).join(", ")}]`;

  // Exact digits cut off at a length if they are even and what follows is a half, else the nearest.
  const toEven = (exact, length, nearest) =>
    /[02468]\.?$/.test(exact.slice(0, length)) && /^\.?50*$/.test(exact.slice(length))
      ? exact.slice(0, length) : nearest;

  // "%.6f" and the like.
  function rounded(x, digits) {
    const exact = x.toFixed(20);
    return toEven(exact, exact.length - 20 + digits, x.toFixed(digits));
  }

  // "%.6g" and the like.
  function general(x, digits = 6) {
    if (!Number.isFinite(x)) return Number.isNaN(x) ? "nan" : x > 0 ? "inf" : "-inf";
    const [exact, power] = x.toExponential(40).split("e");
    const cut = toEven(exact, (x < 0 ? 2 : 1) + digits, "");
    const [mantissa, e] = cut ? [cut, power] : x.toExponential(digits - 1).split("e");
    if (e < -4 || e >= digits) return `${Number(mantissa)}e${e[0]}${e.slice(1).padStart(2, "0")}`;
    const fixed = Number(`${mantissa}e${e}`).toFixed(digits - 1 - e);
    return fixed.includes(".") ? fixed.replace(/\.?0+$/, "") : fixed;
  }

  const halfEven = (x) => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x));

  // float of a text; NaN of what is no number.
  const numberOf = (text) => (NUMBER.test(text) ? Number(text.replace(/inf(inity)?$/i, "Infinity")) : NaN);

  // --- windows -------------------------------------------------------------------------------------

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
      if (!gap && !Number.isFinite(deviation)) refuse(
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
  function faultsOf(all, rate) {
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

  // --- files ---------------------------------------------------------------------------------------

  const suffixOf = (name) => /.\.[^.]*$/.exec(name.toLowerCase())?.[0].slice(1) ?? "";

  // A file of signals: `names` of its channels, the numbers of those that can be meant if none is
  // named, and a `channel` by its name or by its number, which is { name, column, rate, units, values,
  // decision, remarks }. `files` are File objects; a WFDB record has two.
  function openFile(files, rate = null) {
    const main = files.find(({ name }) => suffixOf(name) === ".hea") ?? files[0], { name } = main;
    const kind = known.kinds[suffixOf(name)];
    if (!kind) refuse(`${name}: ${suffixOf(name) || "no suffix"} is none of the kinds ` +
      `${Object.keys(known.kinds).join(", ")}. Save the signal as one of them.`);
    if (kind === "numpy") refuse(`${name}: is a file of NumPy, which this page does not read. Use the command san.`);
    if (rate !== null && !(rate > 0 && rate < Infinity)) refuse(
      `rate: ${general(rate)} Hz is not above 0. Give samples per second.`);
    const { names, signals, read } = { text: openText, wfdb: openRecord, edf: openEdf }[kind](main, files, rate);
    return {
      names, signals,
      channel(column = "") {
        const alone = names.indexOf(column) === names.lastIndexOf(column) ? names.indexOf(column) : -1;
        const number = typeof column === "number" ? (column in names ? column : -1) : column
          ? alone : signals.length === 1 ? signals[0] : -1;
        if (number < 0) refuse(`${name}: ${typeof column === "number" ? column : quoted(column)} does not name ` +
          `exactly one of its columns ${quotedNames(names)}. Name one, or give its number from 0 on.`);
        return { name, column: names[number], units: "unknown", remarks: [], ...read(number) };
      },
    };
  }

  function atRate(name, stated, rate, where = "") {
    if (stated === null || rate === null) return rate ?? stated;
    if (Math.abs(stated - rate) <= (where ? 5e-3 : 1e-6) * Math.max(stated, rate)) return rate;
    return refuse(`${name}: ${where || "the file"} says ${general(stated)} Hz, but the rate given is ` +
      `${general(rate)} Hz. Leave the rate out${where ? ", or ignore the times (time none)." : " or mend the file."}`);
  }

  function checkGap(name, samples, where) {
    if (samples > known.longest_gap) refuse(`${name}: ${samples.toFixed(0)} samples are missing ${where}, ` +
      `more than ${known.longest_gap}. Cut the file there.`);
  }

  const bytesOf = (file, from, to) => new Uint8Array(new FileReaderSync().readAsArrayBuffer(file.slice(from, to)));

  // Text of a header in UTF-8 or Latin-1, without what pads it.
  function decoded(bytes) {
    const cut = latin1(bytes).replace(/^[ \0]+/, "").split("\0")[0];
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
        .decode(Uint8Array.from(cut, (c) => c.charCodeAt(0))).replace(/^ +| +$/g, "");
    } catch {
      return cut.replace(/^ +| +$/g, "");
    }
  }

  // --- WFDB records of one segment -----------------------------------------------------------------

  // How a format stores sample i, and what it stores of none.
  const STORED = {
    16: [(view, i) => view.getInt16(2 * i, true), -32768],
    32: [(view, i) => view.getInt32(4 * i, true), -2147483648],
    80: [(view, i) => view.getUint8(i) - 128, -128],
    212: [(view, i) => {
      const b = 3 * (i >> 1), middle = view.getUint8(b + 1);
      const low = i & 1 ? view.getUint8(b + 2) | ((middle & 0xf0) << 4) : view.getUint8(b) | ((middle & 0x0f) << 8);
      return (low << 20) >> 20;
    }, -2048],
  };

  function openRecord(header, files, wish) {
    const { name } = header, lines = decoded(bytesOf(header)).split(/\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/)
      .filter((line) => line.trim() && line[0] !== "#").map((line) => line.trim());
    const found = whole(known.record).exec(lines[0] ?? "")?.groups ?? refuse(
      `${name}: begins with ${quoted(lines[0]?.slice(0, 60) ?? "nothing")}, as no WFDB header does. ` +
      "Fetch the record again.");
    const count = Number(found.segments ?? found.signals), length = Number(found.length ?? 0) || null;
    if (!count) refuse(`${name}: has 0 signals. Name a header that has some.`);
    if (lines.length - 1 < count) refuse(`${name}: has ${lines.length - 1} of ${count} lines of signals ` +
      "or segments. Fetch the record again.");
    if (found.segments) refuse(`${name}: has ${count} segments, which this page does not join. Use the command san.`);
    const channels = lines.slice(1, count + 1).map((line) => {
      const parts = whole(known.signal).exec(line)?.groups ?? refuse(
        `${name}: ${quoted(line.slice(0, 60))} does not describe a WFDB signal. Fetch the record again.`);
      const { file, format, frame, skew, offset, gain, baseline, zero, units } = parts;
      const [skipped, before, level] = [skew, offset, baseline ?? zero].map((text) => Number(text ?? 0));
      return { file, format, frame: Number(frame) || 1, skew: skipped, offset: before, gain: Number(gain) || 200,
        baseline: level, units: units ?? "mV", title: (parts.name ?? "").trim() };
    });
    const folder = channels.find(({ file }) => !/^([A-Za-z0-9_][A-Za-z0-9_.+-]*|~)$/.test(file));
    if (folder) refuse(`${name}: ${quoted(folder.file)} is not a plain file name. Do not use this record.`);
    if (channels[0].file === "~") refuse(
      `${name}: describes the channels of a record of several segments. Name the header of the record.`);

    function read(number) {
      const { file, format, frame, skew, offset, gain, baseline, units } = channels[number];
      const alike = files.filter((one) => one.name.toLowerCase() === file.toLowerCase());
      const data = files.find((one) => one.name === file)
        ?? (alike.length === 1 ? alike[0] : refuse(`${name}: names ${file}, which is not beside it. Put it there.`));
      const ofSample = known.bytes[format] ?? refuse(`${name}: format ${format} is none of the WFDB formats ` +
        `${Object.keys(known.bytes).join(", ")}. Fetch the record again.`);
      const [stored, invalid] = STORED[format]
        ?? refuse(`${name}: has the format ${format}, which this page does not read. Use the command san.`);
      const frames = Number(found.rate ?? 250), stated = frames * frame;
      const samplesOf = (of) => of.reduce((sum, one) => sum + (one.file === file ? one.frame : 0), 0);
      const samples = samplesOf(channels), before = samplesOf(channels.slice(0, number)), ofFrame = ofSample * samples;
      const there = Math.floor(Math.max(0, data.size - offset) / ofFrame + 1e-9), last = length ?? there;
      if (there < Math.max(1, last)) {
        const needed = offset + Math.ceil((length ?? 1) * ofFrame);
        refuse(`${data.name}: has ${data.size} of ${needed} bytes: the file is cut off, as ${name} says ` +
          `${length ?? "no"} frames. Fetch the record again.`);
      }
      if (!stated && wish === null) refuse(`${name}: says a rate of 0 Hz. Give the rate.`);
      const rate = atRate(name, stated || null, wish), values = new Float64Array(last * frame).fill(NaN);
      const atOnce = 2 * Math.max(1, Math.floor(2 ** 19 / samples)); // frames, whole bytes of format 212
      for (let first = 0; first < last; first += atOnce) {
        const end = Math.min(last, first + atOnce);
        const view = new DataView(bytesOf(data, offset + first * ofFrame, offset + Math.ceil(end * ofFrame)).buffer);
        for (let f = Math.max(first, skew); f < end; f++) {
          for (let s = 0; s < frame; s++) {
            const value = stored(view, (f - first) * samples + before + s);
            if (value !== invalid) values[(f - skew) * frame + s] = (value - baseline) / gain;
          }
        }
      }
      const framed = frame > 1 ? `, ${frame} samples a frame` : "";
      return { rate, units, values, decision: `read as: a WFDB record, format ${format}${framed}, ${general(stated)} Hz`,
        remarks: found.rate ? [] : ["the header says no rate, so 250 Hz"] };
    }
    return { names: channels.map(({ title }) => title), signals: channels.map((_, i) => i), read };
  }

  // --- EDF and BDF ---------------------------------------------------------------------------------

  function openEdf(file, files, wish) {
    const { name, size } = file, fixed = bytesOf(file, 0, 256), signature = fixed.slice(0, 8);
    const bdf = latin1(signature) === "\xffBIOSEMI", width = bdf ? 3 : 2, again = "Fetch or export the file again.";
    if (!bdf && decoded(signature) !== "0") refuse(
      `${name}: begins with ${quotedBytes(signature)}, as no EDF or BDF file does. ${again}`);
    const numberIn = (text, where) => {
      const number = numberOf(text.replace(",", ".").trim());
      return Number.isFinite(number) ? number
        : refuse(`${name}: ${where} is ${quoted(text)}, not a number. Mend the header or export the file again.`);
    };
    const fixedNumber = (from, to, where) => numberIn(decoded(fixed.slice(from, to)), where);
    const count = Math.trunc(fixedNumber(252, 256, "number of channels")), start = 256 * (1 + Math.max(count, 0));
    if (count < 1 || size < start) refuse(
      `${name}: ${count} channels have a header of ${start} bytes, but the file has ${size} bytes. ${again}`);
    const all = bytesOf(file, 256, start), channels = Array.from({ length: count }, () => ({}));
    let at = 0;
    for (const [field, bytes] of Object.entries(known.fields)) {
      for (const channel of channels) channel[field] = decoded(all.slice(at, (at += bytes)));
    }
    const sizes = channels.map(({ label, samples }) =>
      Math.trunc(numberIn(samples, `channel ${quoted(label)}: samples of a record`)));
    const before = (i) => width * sizes.slice(0, i).reduce((sum, one) => sum + one, 0), ofRecord = before(count);
    if (Math.min(...sizes) < 0 || !ofRecord) refuse(`${name}: records of [${sizes.join(", ")}] samples. ${again}`);
    const announced = Math.trunc(fixedNumber(236, 244, "number of records")), remarks = [];
    const records = Math.floor((size - start) / ofRecord), left = (size - start) % ofRecord;
    if (announced !== records || left) remarks.push(`the header says ${announced} records, ${records} are there` +
      `${left ? `, and ${left} bytes of one more are left out` : ""}`);
    const said = Math.trunc(numberOf(decoded(fixed.slice(184, 192)).replace(",", ".")));
    if (Number.isFinite(said) && said !== start) remarks.push(
      `the header says that it has ${said} bytes, it has ${start}`);
    const duration = fixedNumber(244, 252, "duration of a record");
    const annotated = channels.map(({ label }) => ["edf annotations", "bdf annotations"].includes(label.toLowerCase()));
    const signals = [...sizes.keys()].filter((i) => !annotated[i]);
    if (!signals.length) refuse(`${name}: holds annotations only. Name the file with the signals.`);
    // When each record begins; null if annotations do not say it of the first one.
    function onsetsIn(notes) {
      const onsets = [];
      for (let r = 0; r < records; r++) {
        const place = start + r * ofRecord + before(notes), text = bytesOf(file, place, place + width * sizes[notes]);
        const found = /^([+-]\d+(?:\.\d*)?)\x14/.exec(latin1(text));
        if (!found && !r) return null;
        onsets.push(found ? Number(found[1])
          : refuse(`${name}: record ${r} does not say when it begins, but ${quotedBytes(text.slice(0, 20))}. ${again}`));
      }
      return onsets;
    }
    const kind = latin1(fixed.slice(193, 197)), annotations = [...sizes.keys()].filter((i) => annotated[i]);
    const times = annotations.reduce((found, i) => found ?? onsetsIn(i), null);
    if (!times && kind === "DF+D") refuse(
      `${name}: its records have gaps between them, but none says when it begins. ${again}`);
    if (!times && annotations.length) remarks.push("no record says when it begins: they are taken without gaps");

    function read(number) {
      const i = signals[number], fields = channels[i], n = sizes[i], label = quoted(fields.label);
      const [low, high, digitalLow, digitalHigh] = Object.keys(known.fields).slice(3, 7)
        .map((limit) => numberIn(fields[limit], `channel ${label}: ${limit}`));
      if (low === high || digitalLow === digitalHigh || n < 1 || records < 1) {
        refuse(`${name}: channel ${label} has ${records} records of ${n} samples, digital ${general(digitalLow)} to ` +
          `${general(digitalHigh)}, which stand for ${general(low)} to ${general(high)}: no samples in units can be ` +
          "told. Choose another channel.");
      }
      if (duration <= 0 && wish === null) refuse(
        `${name}: no rate can be told from records of ${general(duration)} s. Give the rate.`);
      const rate = atRate(name, duration > 0 ? n / duration : null, wish), places = [0];
      const scale = (high - low) / (digitalHigh - digitalLow), offset = high / scale - digitalHigh;
      for (let r = 1; r < records; r++) {
        const expected = places[r - 1] + n, late = !times ? 0 : kind === "DF+C" ? (times[r] - times[r - 1]) * rate - n
          : (times[r] - times[0]) * rate - expected;
        if (!(late > -1)) refuse(`${name}: record ${r} begins at ${general(times[r] - times[0])} s, before ` +
          `the end of the record above it, ${general(expected / rate)} s. Cut the file there.`);
        places.push(expected + (late < 0.75 ? 0 : halfEven(late)));
        checkGap(name, places[r] - expected, `before record ${r}`);
      }
      const values = new Float64Array(places.at(-1) + n).fill(NaN);
      places.forEach((place, r) => {
        const from = start + r * ofRecord + before(i), bytes = bytesOf(file, from, from + width * n);
        const view = new DataView(bytes.buffer);
        for (let t = 0, b = 0; t < n; t++, b += width) {
          const stored = bdf ? (bytes[b] << 8 | bytes[b + 1] << 16 | bytes[b + 2] << 24) >> 8 : view.getInt16(b, true);
          values[place + t] = scale * (offset + stored);
        }
      });
      const drift = times ? times.at(-1) - times[0] - places.at(-1) / rate : 0;
      const off = Math.abs(drift) * rate > 1 ? [`the times end ${general(drift)} s from what the rate says`] : [];
      return { rate, units: fields.units || "unknown", values, remarks: [...remarks, ...off],
        decision: `read as: ${bdf ? "BDF" : "EDF"}, ${records} records of ${general(duration)} s, ${general(rate)} Hz` };
    }
    return { names: signals.map((i) => channels[i].label), signals: [...signals.keys()], read };
  }

  // --- text ----------------------------------------------------------------------------------------

  // Of what sanbook/signals/formats/layout.py recognizes, plain tables only: at most one line of
  // names, then rows of numbers, with a column of times in numbers or none. Other files are refused.
  const isMissing = (cell) => known.missing.includes(cell.replace(/^[ ']+|[ ']+$/g, "").toLowerCase());
  const isRow = (line) => line.trim() && !/^\s*[#%]/.test(line);
  const excerpt = (line) => quoted(line.trim().slice(0, 40));
  const bare = (cell) => cell.replace(",", ".").replace(/^[ '"[\]]+|[ '"[\]]+$/g, "");

  function openText(file, files, wish) {
    const { name } = file, begin = latin1(bytesOf(file, 0, 256)).replace(/^(\xef\xbb\xbf)+/, "");
    const beyond = (what) => refuse(`${name}: ${what}, which this page does not read. ${BEYOND}`);
    const foreign = Object.keys(known.foreign).find((signature) => begin.startsWith(signature));
    if (foreign) refuse(`${name}: is ${known.foreign[foreign]}.`);
    const lines = linesOf(file, beyond), head = lines.slice(0, 1000);
    if (!head.some((line) => line.trim())) refuse(`${name}: is empty. Choose another file.`);
    const layout = layoutOf(head.filter(isRow)) ?? beyond("is not a plain table of numbers");
    const { separator, decimal, width, isNumber, number } = layout, split = (line) => fieldsOf(line, separator);
    const perfect = (line) => isRow(line ?? "") && layout.isPerfect(split(line));
    const named = !perfect(lines[0]), first = named ? 1 : 0;
    if (!perfect(lines[first]) || !perfect(lines[first + 1])) beyond("has lines above its rows");
    const names = named ? namesOf(lines[0], split, layout, beyond) : Array(width).fill("");
    const units = names.map((of) => /[([]([^)\]]+)[)\]]\s*$/.exec(of)?.[1].trim() ?? "")
      .map((unit) => (UNIT.test(unit) ? unit : ""));
    const rows = head.slice(first).filter(isRow);
    const [start, rate, sample] = rows.slice(0, 3).map((line) => split(line)?.map(number));
    const same = (row) => new Set(row).size === 1;
    if (sample && same(start) && same(rate) && start[0] > 1e9 && start[0] < 4e9 && rate[0] > 0 && rate[0] <= 5000
      && Math.abs(sample[0]) < 1e9) beyond("begins with a start and a rate");
    const pairs = separator === "," && width === 2
      ? rows.map((line) => /^([+-]?\d+),(\d+(?:e[+-]?\d+)?)$/i.exec(line.trim())).filter(Boolean) : [];
    if (pairs.length >= 0.9 * rows.length
      && pairs.some(([, integer, part]) => /^0\d/.test(part) || integer === "-0")) beyond("looks like decimal commas");

    // Fields of a line; none of one whose quotation marks are in disorder.
    function fieldsAt(line, i) {
      const fields = split(line);
      if (!fields && line.split('"').length % 2 === 0) refuse(`${name}: line ${i + 1} has a quotation mark that does ` +
        `not close in it, ${excerpt(line)}. Remove the mark, or the line break between two marks.`);
      return fields ?? [];
    }
    head.forEach(fieldsAt);

    // What the first rows say of a column of times.
    function clockOf(column) {
      const given = head.map((line, i) => [isRow(line) && i >= first ? fieldsAt(line, i) : [], i + 1])
        .filter(([row]) => layout.isPerfect(row) && row[column].trim()).map(([row, line]) => [bare(row[column]), line]);
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
        if (!(error instanceof RangeError) || error.message.endsWith(BEYOND)) throw error;
        refused ??= names[i] && !isVague(names[i]) ? error : null;
      }
    }
    if (timed === null && refused) throw refused;
    const told = timed === null ? null : clockOf(timed);
    const where = told ? `column ${names[timed] ? quoted(names[timed]) : timed}` : "";
    const given = told?.rate ? atRate(name, told.rate, wish, where) : wish;
    const decision = ["read as: " + known.separators[separator], decimal === "," && "decimal commas",
      !named && "no names", told && `times in ${where}${told.rate ? "" : ", of which no unit is known"}` +
        (told.uneven ? `, which are uneven by up to ${halfEven(100 * told.uneven)} % of a step` : ""),
      given && `${general(given)} Hz from ${told?.rate ? "the times" : "the caller"}`].filter(Boolean).join(", ");
    const columns = [...names.keys()], isCell = (cell) => isNumber(cell) || isMissing(cell);

    function read(column) {
      const clock = told && clockOf(timed), guard = columns.find((i) => i !== column && i !== timed) ?? column;
      const beside = [...new Set([guard, timed])].filter((i) => i !== null && i !== column);
      const values = [], leftOut = [], remarks = [];
      let samples = [], moments = [], numbers = [];
      function place() {
        const gaps = clock ? clock.gaps(moments, numbers) : [];
        samples.forEach((sample, i) => {
          for (let gap = gaps[i] ?? 0; gap > 0; gap--) values.push(NaN);
          values.push(sample);
        });
        [samples, moments, numbers] = [[], [], []];
      }
      if (clock && given && clock.rate) clock.step = (clock.step * clock.rate) / given;
      let pending;
      for (let i = first; i < lines.length; i++) {
        const line = lines[i];
        if (!line.trim()) continue;
        if (!isRow(line)) {
          leftOut.push(i);
          continue;
        }
        let fields = fieldsAt(line, i);
        if (!fields.slice(width).some((field) => field.trim())) fields = fields.slice(0, width);
        const complete = fields.length === width, moment = clock && complete ? numberOf(bare(fields[timed])) : 0;
        if (!complete || !isCell(fields[column]) || !isCell(fields[guard]) || Number.isNaN(moment)) {
          // A row without a time has no place, whatever is wrong with its sample.
          const untimed = clock && complete && Number.isNaN(moment) && isCell(fields[timed]);
          const isWhole = (one) => fields[one].trim() && isCell(fields[one]);
          if (complete && !untimed && beside.length && beside.every(isWhole)) {
            refuse(`${name}: column ${quoted(named ? names[column] : `${column}`)} has ` +
              `${quoted(fields[column].slice(0, 40))} in line ${i + 1}, not a number. ` +
              "Choose another column or mend the line.");
          }
          pending ??= i;
          leftOut.push(i);
          continue;
        }
        if (pending !== undefined && !clock) refuse(`${name}: line ${pending + 1} is no row of ${width} fields, but ` +
          `${excerpt(lines[pending])}. Remove the line, or give times in a column.`);
        samples.push(number(fields[column]));
        moments.push(moment);
        numbers.push(i + 1);
        if (samples.length === known.rows) place();
      }
      if (samples.length) place();
      if (leftOut.length) remarks.push(
        `${leftOut.length === 1 ? "1 line is" : `${leftOut.length} lines are`} no row and left out, ` +
        `line ${leftOut[0] + 1}, ${excerpt(lines[leftOut[0]])}${leftOut.length > 1 ? ", first" : ""}`);
      const drift = clock ? clock.drift() : 0;
      if (clock && Math.abs(drift) > 2 * clock.step + 1e-3 * Math.abs(clock.last - clock.first)) remarks.push(
        `the times end ${general(drift)} s from what the rate says`);
      return { rate: given, units: units[column] || "unknown", values: Float64Array.from(values), remarks, decision };
    }
    const signals = columns.filter((i) => i !== timed && (!named || names[i]));
    const others = signals.filter((i) => named && !isTime(names[i]) && !COUNTER.test(names[i]));
    return { names, signals: others.length ? others : signals, read };
  }

  const BEYOND = "Use the command san, or save names and rows of numbers only.";

  // The names in the first line.
  function namesOf(line, split, { width, isNumber }, beyond) {
    const title = line.trim().replace(/^[#% ]+/, "");
    const cells = (split(title) ?? beyond("has an open quotation mark"))
      .map((cell) => cell.replace(/^[ '"\t]+|[ '"\t]+$/g, ""));
    const rate = /(sampl|abtast|chantillonnage|muestreo|campionamento|amostragem|meetfreq|interval)[^\n]*\d/i;
    const tells = rate.test(title) || /\d{4}-\d\d-\d\d/.test(title) || (width === 1 && /[=:;,\t]/.test(title));
    if (cells.length !== width || cells.some(isNumber) || tells || !cells.some(Boolean) || cells.at(-1) === "") beyond(
      "has a first line that is not just names");
    return cells;
  }

  // Lines without their ends of a text in UTF-8 or UTF-16; what is neither is Latin-1.
  function linesOf(file, beyond) {
    const begin = bytesOf(file, 0, 256), chunk = 2 ** 16;
    const [even, odd] = [0, 1].map((i) => begin.filter((byte, at) => byte === 0 && at % 2 === i).length);
    const marked = ["\xff\xfe", "\xfe\xff"].includes(latin1(begin.slice(0, 2)));
    const wide = marked || Math.max(even, odd) > 0.4 * begin.length;
    const big = begin[0] === 0xfe || (begin[0] !== 0xff && even > odd);
    const linesBy = (decode) => {
      const lines = [];
      let rest = "";
      for (let at = 0; at < file.size; at += chunk) {
        const last = at + chunk >= file.size, text = rest + decode(bytesOf(file, at, at + chunk), last);
        const parts = text.split(last ? /\r\n|\n|\r/ : /\r\n|\n|\r(?!$)/);
        rest = parts.pop();
        lines.push(...parts);
      }
      return rest ? [...lines, rest] : lines;
    };
    let lines;
    try {
      const decoder = new TextDecoder(wide ? (big ? "utf-16be" : "utf-16le") : "utf-8", { fatal: true });
      lines = linesBy((bytes, last) => decoder.decode(bytes, { stream: !last }));
    } catch {
      // Bytes that are not UTF-8 are characters of Latin-1, so long as none of them could be UTF-8.
      lines = linesBy(latin1);
      if (wide || lines.some((line) => /[\xc2-\xf4][\x80-\xbf]/.test(line))) beyond("is in a mixture of encodings");
    }
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
      if (found ? rest.length > end && rest[end] !== separator : /^ *"/.test(rest)) return undefined;
      fields.push(found ? found[1].replaceAll('""', '"') : rest.slice(0, end).trimStart());
      if (end >= rest.length) return fields;
      rest = rest.slice(end + 1);
    }
  }

  // The separator and the decimal mark under which nine of ten rows are numbers, as many in each.
  function layoutOf(rows) {
    for (const [separator, decimal] of [["\t", "."], ["\t", ","], [";", "."], [";", ","], ["|", "."], [",", "."],
      ["\x1f", "."]]) {
      if (separator !== "\x1f" && !rows.at(-1).includes(separator) && !rows[1]?.includes(separator)) continue;
      const plain = (cell) => {
        const text = cell.replace(/^[ \t']+|[ \t']+$/g, "");
        return decimal === "," ? (text.includes(".") ? "x" : text.replace(",", ".")) : text;
      };
      const isNumber = (cell) => NUMBER.test(plain(cell));
      const width = fieldsOf(rows[Math.min(1, rows.length - 1)], separator)?.length;
      const isPerfect = (cells) => cells?.length === width && cells.every((cell) => isNumber(cell) || isMissing(cell))
        && (cells.some(isNumber) || width === 1 || cells.every((cell) => cell.trim()));
      const good = rows.map((line) => fieldsOf(line, separator)).filter(isPerfect);
      if (good.length < 0.9 * rows.length - 1 || good.length < 2) continue;
      if (!good[0].every((_, i) => good.some((row) => isNumber(row[i])))) continue;
      return { separator, decimal, width, isNumber, isPerfect, number: (cell) => numberOf(plain(cell)) };
    }
    return undefined;
  }

  // --- columns of times, as sanbook/signals/formats/times.py reads them ----------------------------

  function isTime(name) {
    const words = name.toLowerCase().split(/[^\p{L}]+/u);
    const named = words.some((word) => known.words.includes(word) || /(time|timestamp)$/.test(word));
    return (named && !words.some((word) => known.lengths.includes(word)))
      || known.short.includes(name.trim().toLowerCase());
  }

  const isVague = (name) => name === "temps"
    || (known.short.includes(name.toLowerCase()) && name !== name.toLowerCase());

  // How far a difference of times is from the nearest multiple of a step, at least one step.
  const beside = (one, step) => Math.abs(one - step * Math.max(1, halfEven(one / step)));

  function clockOfTimes(file, name, unit, given, rate) {
    if (given.length < 3) return null;
    const times = given.map(([text]) => numberOf(text)), lines = given.map(([, line]) => line);
    if (times.every((time) => time === times[0])) return null;
    const steps = times.slice(1).map((time, i) => time - times[i]);
    const moving = steps.map(Math.abs).filter(Boolean).sort((a, b) => a - b), middle = moving.length >> 1;
    const step = (moving[(moving.length - 1) >> 1] + moving[middle]) / 2;
    const decimals = times.map((time) => general(time, 15))
      .map((text) => (text.includes("e") ? 15 : (text.split(".")[1] ?? "").length));
    // The last ones tell it also where the digits are so many, and the decimals become fewer.
    const rounding = 0.1 ** Math.max(...decimals.slice(-Math.max(16, decimals.length >> 2)));
    let resolution = rounding;
    // Times that are whole steps are not rounded, so that a single lost one shows.
    if (steps.filter((one) => one < 1.5 * step).length > 0.75 * steps.length) resolution = Math.min(
      resolution, Math.max(...steps.map((one) => beside(one, step))) + 1e-6 * step);
    clockFrom(file, name, step, resolution).gaps(times, lines);
    const words = `${name} ${unit}`.toLowerCase().split(/[^\p{L}\p{N}µμ]+/u);
    const word = words.reverse().find((one) => one in known.seconds);
    const scale = word ? known.seconds[word] : scaleOf(times[0], step, rate);
    if (!scale) return clockFrom(file, name, step, resolution);
    const sum = (all) => all.reduce((total, one) => total + one, 0);
    const about = steps.filter((one) => one > 0 && one < 1.5 * step + resolution), mean = sum(about) / about.length;
    const near = steps.filter((one) => one > 0 && one < 1.5 * mean + 0.9 * resolution);
    const told = simplest(near.length, sum(near) * scale, (1 + steps.length - near.length) * resolution * scale);
    const off = Math.max(...near.map((one) => Math.abs(one * scale - 1 / told)));
    const uneven = off > Math.max(0.1 / told, 1.5 * rounding * scale) ? off * told : 0;
    return { ...clockFrom(file, name, 1 / told, resolution * scale, told, scale), uneven };
  }

  function scaleOf(first, step, rate) {
    if (first > 2e4 && step < 2e-5) return 86400; // days of Excel or MATLAB
    if (first > 1e8) return [1, 1e-3, 1e-6].find((scale) => first * scale < 1e11) ?? 1e-9;
    if (step < 1) return 1;
    if (step === 1 || rate === null) return null;
    return [1, 1e-3, 1e-6, 1e-9].find((scale) => Math.abs(step * scale * rate - 1) < 0.01) ?? 1;
  }

  // A rate of so many steps in some seconds, known to an error: a common one, or a short one.
  function simplest(count, seconds, error) {
    const rate = count / seconds, low = (count / (seconds + error)) * (1 - 1e-6);
    const inside = (one) => low <= one && one <= (count / Math.max(seconds - error, 1e-12)) * (1 + 1e-6);
    const common = known.common.filter(inside).sort((a, b) => Math.abs(a - rate) - Math.abs(b - rate));
    return common[0] ?? [0, 1, 2, 3, 4, 5].map((d) => Number(rate.toFixed(d))).find(inside) ?? rate;
  }

  // `gaps` tells how many samples are missing before each of some rows, of which the times and the
  // lines are given.
  function clockFrom(file, name, step, resolution, rate = null, scale = 1) {
    let count = 0;
    return {
      step, rate, first: NaN, last: NaN,
      gaps(given, lines) {
        const times = given.map((time) => time * scale);
        if (!count) [this.first, this.last] = [times[0], times[0] - this.step];
        const steps = times.map((time, i) => time - (i ? times[i - 1] : this.last));
        const uneven = steps.map((one) => one > 0 && beside(one, this.step) > 0.3 * this.step + resolution);
        if (uneven.filter(Boolean).length > Math.max(5, 0.05 * steps.length)) {
          const [low, high] = [Math.min, Math.max].map((of) => general(steps.reduce((a, b) => of(a, b))));
          refuse(`${file}: the times in column ${quoted(name)} are irregular, ${low} to ${high} apart from line ` +
            `${lines[uneven.indexOf(true)]} on. Resample the signal, or ignore the times (time none).`);
        }
        const row = steps.findIndex((one) => !(one > 0));
        if (row >= 0) refuse(`${file}: the time in line ${lines[row]} of column ${quoted(name)} ` +
          `${steps[row] === 0 ? "is repeated" : "is earlier than the one before"}. ` +
          "Sort the rows, or ignore the times (time none).");
        const missing = steps.map((one, i) => {
          let gap = 0;
          if (one > 1.5 * this.step + resolution) {
            gap = Math.max(halfEven((times[i] - this.first) / this.step) - count, halfEven(one / this.step) - 1);
            checkGap(file, gap, `before line ${lines[i]}`);
          }
          count += gap + 1;
          return gap;
        });
        for (let begin = 0, end = 1; end <= missing.length; end++) {
          if (missing[end] === missing[begin]) continue;
          if (missing[begin] && end - begin > known.longest_run) refuse(
            `${file}: the times in column ${quoted(name)} are ${general(steps[begin])} apart from line ` +
            `${lines[begin]} on, ${general(this.step)} before. Cut the file there.`);
          begin = end;
        }
        this.last = times.at(-1);
        return missing;
      },
      drift() {
        return count ? this.last - this.first - (count - 1) * this.step : 0;
      },
    };
  }

  return { faultsOf, general, openFile, rounded, standardized, windowsOf };
}
