// What the interactive figures share: small plots in SVG of a SAN at work, drawn anew whenever
// their values or their width change.
const plot = (() => {
  const MARGIN = { left: 44, right: 10, top: 8, bottom: 22 };
  const GREY = { stroke: "var(--pst-color-text-muted)", opacity: 0.6 };
  const PLANE = "CR⁻¹ (up) against L̃ (right)";

  // An element of HTML, or of SVG if its parent is one, at the end of its parent.
  function add(parent, name, attributes = {}, text = "") {
    const space = name === "svg" || parent.namespaceURI.endsWith("svg") ? "2000/svg" : "1999/xhtml";
    const element = document.createElementNS(`http://www.w3.org/${space}`, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.textContent = text;
    parent.append(element);
    return element;
  }

  // The smallest and the largest value and 0, never the same.
  function rangeOf(values) {
    const low = values.reduce((one, other) => Math.min(one, other), 0);
    const high = values.reduce((one, other) => Math.max(one, other), 0);
    return low < high ? [low, high] : [-1, 1];
  }

  // Round numbers across a range, about as many as asked for.
  function ticks([low, high], count) {
    const rough = (high - low) / count;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
    const first = Math.ceil(low / step);
    const rounded = (i) => Number(((first + i) * step).toPrecision(6));
    return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => rounded(i));
  }

  // Axes in an empty svg as wide as its place. Returns the maps from values to pixels.
  function axes(svg, xRange, yRange, width = svg.clientWidth, height = svg.clientHeight) {
    svg.replaceChildren();
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const [left, right] = [MARGIN.left, width - MARGIN.right];
    const [top, bottom] = [MARGIN.top, height - MARGIN.bottom];
    const x = (v) => left + ((v - xRange[0]) / (xRange[1] - xRange[0])) * (right - left);
    const y = (v) => bottom - ((v - yRange[0]) / (yRange[1] - yRange[0])) * (bottom - top);
    for (const value of ticks(yRange, height / 40)) {
      add(svg, "path", { class: value === 0 ? "zero" : "grid", d: `M${left} ${y(value)}H${right}` });
      add(svg, "text", { x: left - 5, y: y(value) + 4, "text-anchor": "end" }, value);
    }
    for (const value of ticks(xRange, Math.max(1, width / 110)).filter(Number.isInteger)) {
      add(svg, "text", { x: x(value), y: height - 5, "text-anchor": "middle" }, value);
    }
    return { x, y };
  }

  function line(svg, at, values, attributes) {
    const points = values.map((value, t) => `${at.x(t).toFixed(1)} ${at.y(value).toFixed(1)}`);
    add(svg, "path", { class: "line", d: `M${points.join("L")}`, ...attributes });
    // A line of few samples has dots, one of a single sample would not be seen at all.
    if (values.length <= 20) dots(svg, at, values, [...values.keys()], attributes.stroke);
  }

  function dots(svg, at, values, positions, color) {
    for (const t of positions) {
      add(svg, "circle", { cx: at.x(t), cy: at.y(values[t]), r: 2.5, fill: color });
    }
  }

  function stems(svg, at, values, color) {
    const kept = [...values.keys()].filter((t) => values[t] !== 0);
    const drawn = kept.map((t) => `M${at.x(t).toFixed(1)} ${at.y(0)}V${at.y(values[t]).toFixed(1)}`);
    add(svg, "path", { class: "line", d: drawn.join(""), stroke: color });
    if (kept.length <= 80) dots(svg, at, values, kept, color);
  }

  // The plane of loss and CR^-1 up to a limit: phi is the distance to the origin, and inside the
  // arc below 1. Returns the maps from values to pixels, and the ranges of both.
  function planeAxes(svg, limit) {
    // One unit is as long to the right as it is upwards, so that distances are to be seen.
    const across = svg.clientWidth - MARGIN.left - MARGIN.right;
    const ratio = across / (svg.clientHeight - MARGIN.top - MARGIN.bottom);
    const ranges = [[0, limit * Math.max(1, ratio)], [0, limit * Math.max(1, 1 / ratio)]];
    const at = axes(svg, ...ranges);
    const [rx, ry] = [at.x(1) - at.x(0), at.y(0) - at.y(1)];
    const arc = `M${at.x(0)} ${at.y(1)}A${rx} ${ry} 0 0 1 ${at.x(1)} ${at.y(0)}`;
    add(svg, "path", { class: "region", d: `${arc}L${at.x(0)} ${at.y(0)}Z` });
    if (limit < 2.5) add(svg, "text", { x: at.x(0.05), y: at.y(0.8) }, "φ < 1");
    return { ...at, ranges };
  }

  function plane(svg, points, current, color) {
    const at = planeAxes(svg, 1.1 * Math.max(1.1, ...points.flat(), ...current));
    for (const [loss, inverseCr] of points) {
      add(svg, "circle", { cx: at.x(loss), cy: at.y(inverseCr), r: 3, fill: color, opacity: 0.45 });
    }
    const [cx, cy] = [at.x(current[0]), at.y(current[1])];
    add(svg, "path", { class: "line", d: `M${at.x(0)} ${at.y(0)}L${cx} ${cy}`, stroke: color });
    add(svg, "circle", { cx, cy, r: 6, fill: color });
    const [loss, inverseCr] = current.map((value) => value.toFixed(3));
    svg.setAttribute("aria-label", `Loss ${loss}, inverse compression ratio ${inverseCr}`);
  }

  const count = (a) => a.flat(2).filter((value) => value !== 0).length;

  // Panels below a caption each, by name.
  function panelsIn(place, captions, kindOf = () => "svg") {
    const found = {};
    for (const [name, caption] of Object.entries(captions)) {
      const figure = add(place, "figure", { class: `san-panel-${name}` }), text = caption.label ?? caption;
      add(figure, "figcaption", {}, text);
      found[name] = add(figure, kindOf(name), { role: "img", "aria-label": text });
    }
    return found;
  }

  // Four panels of one SAN and a signal. `show` draws what `given` holds: x and xHat; w, s and a of
  // each kernel; a color; for the plane points and the current one, as pairs of loss and CR^-1.
  function network(parent) {
    const panels = add(parent, "div", { class: "san-panels" });
    const svgs = panelsIn(panels, {
      signal: "Signal x (grey) and reconstruction x̂",
      kernel: "Kernel w",
      similarity: "Similarity s (grey) and activations a",
      plane: PLANE,
    });
    const view = { svgs, scales: {}, frozen: {} };
    let shown;

    // Lines over samples; a frozen range stays while a line is being drawn.
    function scale(name, values, ...others) {
      const range = view.frozen[name] ?? rangeOf([...values, ...others.flat()]);
      const last = values.length - 1;
      view.scales[name] = { range, xRange: last ? [0, last] : [-1, 1] };
      return axes(svgs[name], view.scales[name].xRange, range);
    }

    view.show = (given) => {
      shown = given;
      const { x, w, s, a, xHat, color, points, current } = given;
      const dashed = (i) => (i ? { "stroke-dasharray": "4 3" } : {}); // the second kernel
      let at = scale("signal", x, xHat);
      line(svgs.signal, at, x, { ...GREY, "stroke-width": 2.5 });
      line(svgs.signal, at, xHat, { stroke: color });
      at = scale("kernel", ...w);
      w.forEach((kernel, i) => line(svgs.kernel, at, kernel, { stroke: color, ...dashed(i) }));
      at = scale("similarity", ...s);
      s.forEach((map, i) => line(svgs.similarity, at, map, { ...GREY, ...dashed(i) }));
      for (const map of a) stems(svgs.similarity, at, map, color);
      plane(svgs.plane, points, current, color);
      const labels = {
        signal: `Signal of ${x.length} samples and its reconstruction`,
        kernel: `${w.length} kernel(s) of ${w[0].length} samples`,
        similarity: `Similarity; ${count(a)} of ${s.flat().length} entries are kept`,
      };
      for (const [name, label] of Object.entries(labels)) svgs[name].setAttribute("aria-label", label);
    };
    new ResizeObserver(() => shown && view.show(shown)).observe(panels);
    return view;
  }

  // An image or a map, rows of values: red is positive, blue negative, as in the other figures.
  function shades(canvas, rows) {
    const limit = Math.max(1e-12, ...rows.flat().map(Math.abs));
    [canvas.width, canvas.height] = [rows[0].length, rows.length];
    const picture = canvas.getContext("2d").createImageData(canvas.width, canvas.height);
    rows.flat().forEach((value, i) => {
      const end = value > 0 ? [178, 24, 43] : [33, 102, 172];
      const mixed = end.map((part) => 247 + (part - 247) * Math.abs(value / limit));
      picture.data.set([...mixed, 255], 4 * i);
    });
    canvas.getContext("2d").putImageData(picture, 0, 0);
  }

  // The same for an image, with panels for each of its two kernels.
  function imageNetwork(parent) {
    const panels = add(parent, "div", { class: "san-images" });
    const ofKernel = (i) => ({
      [`w${i}`]: `Kernel w, ${i}`, [`s${i}`]: `Similarity s, ${i}`, [`a${i}`]: `Activations a, ${i}`,
    });
    const captions = { image: "Image x", drawn: "Reconstruction x̂", plane: PLANE, ...ofKernel(1), ...ofKernel(2) };
    const found = panelsIn(panels, captions, (name) => (name === "plane" ? "svg" : "canvas"));
    const view = { image: found.image };
    let shown;
    view.show = (given) => {
      shown = given;
      const { x, w, s, a, xHat, color, points, current } = given;
      const draw = (name, rows, label) => {
        shades(found[name], rows);
        found[name].setAttribute("aria-label", label);
      };
      draw("image", x, `Image of ${x.length} by ${x[0].length} pixels`);
      draw("drawn", xHat, "Its reconstruction");
      for (const [i, kernel] of w.entries()) {
        draw(`w${i + 1}`, kernel, `Kernel ${i + 1} of ${kernel.length} by ${kernel.length} pixels`);
        draw(`s${i + 1}`, s[i], `Similarity with kernel ${i + 1}`);
        draw(`a${i + 1}`, a[i], `${count(a[i])} of ${a[i].flat().length} entries are kept`);
      }
      plane(found.plane, points, current, color);
    };
    new ResizeObserver(() => shown && view.show(shown)).observe(panels);
    return view;
  }

  // The values below a pointer on a panel whose axes have these ranges.
  function valuesAt(svg, [[left, right], [low, high]], event) {
    const box = svg.getBoundingClientRect();
    const along = (event.clientX - box.left - MARGIN.left) / (box.width - MARGIN.left - MARGIN.right);
    const up = (box.bottom - MARGIN.bottom - event.clientY) / (box.height - MARGIN.top - MARGIN.bottom);
    const within = (share) => Math.min(1, Math.max(0, share));
    return [left + within(along) * (right - left), low + within(up) * (high - low)];
  }

  // Starts each figure NAME of a page with its data; what stood in its place goes.
  function start(name, begin) {
    for (const root of document.querySelectorAll(`.san-figure.san-${name}`)) {
      const data = JSON.parse(root.querySelector("script").textContent);
      root.replaceChildren();
      begin(root, data);
    }
  }

  // Controls above a figure: `wanted` maps a name to [label, kind, attributes], whose kind is
  // "range", "select" (attributes map values to labels, or to what has one), "button" or another one of
  // inputs.
  function controls(root, wanted, change) {
    const place = add(root, "div", { class: "san-controls" });
    const found = {};
    for (const [name, [label, kind, attributes = {}]] of Object.entries(wanted)) {
      if (kind === "button") {
        found[name] = add(place, "button", { type: "button", ...attributes }, label);
        continue;
      }
      const frame = add(place, "label", kind === "checkbox" ? { class: "check" } : {});
      if (kind === "checkbox") found[name] = add(frame, "input", { type: kind, ...attributes });
      const text = add(frame, "span", {}, `${label} `);
      if (["number", "file"].includes(kind)) found[name] = add(frame, "input", { type: kind, ...attributes });
      if (kind === "range") {
        found[name] = add(frame, "input", { type: kind, step: 1, ...attributes });
        const shown = add(text, "b", { "aria-hidden": "true" });
        found[name].say = (words) => {
          shown.textContent = words;
          found[name].setAttribute("aria-valuetext", words);
        };
      }
      if (kind === "select") {
        found[name] = add(frame, "select");
        for (const [value, text] of Object.entries(attributes)) {
          add(found[name], "option", { value }, text.label ?? text);
        }
      }
      if (change) found[name].addEventListener("input", change);
    }
    return found;
  }

  // Panels below each other, drawn anew when their width changes; `captions` name them.
  function stack(root, captions, draw) {
    const place = add(root, "div", { class: "san-stack" }), svgs = panelsIn(place, captions);
    new ResizeObserver(draw).observe(place);
    return svgs;
  }

  // Says to who listens what is on show, once it rests and not at every step of a slider.
  function speaker(root) {
    const status = add(root, "p", { class: "san-hidden", role: "status" });
    let waiting;
    return (words) => {
      clearTimeout(waiting);
      waiting = setTimeout(() => (status.textContent = words), 500);
    };
  }

  // Numbers in a row: pairs of a symbol and what is shown of it.
  function numbers(place, pairs) {
    place.replaceChildren();
    for (const [symbol, value] of pairs) {
      const span = add(place, "span", {}, `${symbol} `);
      add(span, "b", {}, typeof value === "number" ? value.toFixed(3) : value);
    }
  }

  // Calls `move` with the values below the pointer while it is held down on a panel.
  function drag(svg, ranges, move) {
    svg.classList.add("san-drawable");
    const follow = (event) => move(...valuesAt(svg, ranges(), event));
    svg.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      svg.setPointerCapture(event.pointerId);
      follow(event);
    });
    svg.addEventListener("pointermove", (event) => {
      if (svg.hasPointerCapture(event.pointerId)) follow(event);
    });
  }

  // A panel on which a slider of samples is dragged, from its first to its last.
  function dragSlider(svg, slider) {
    const samples = [Number(slider.min), Number(slider.max)];
    drag(svg, () => [samples, [0, 1]], (sample) => {
      slider.value = Math.round(sample);
      slider.dispatchEvent(new Event("input"));
    });
  }

  // Offers the reader a file.
  function download(name, parts, type) {
    const href = URL.createObjectURL(new Blob(parts, { type }));
    const link = add(document.body, "a", { href, download: name });
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(href), 60000);
  }

  // Offers a panel as a file, in the colours that it has on the page.
  function saveSvg(name, svg) {
    const copy = svg.cloneNode(true), [shown, copied] = [svg, copy].map((one) => [...one.querySelectorAll("*")]);
    shown.forEach((element, i) => {
      const style = getComputedStyle(element);
      const kept = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "opacity", "font-size", "font-family"];
      copied[i].setAttribute("style", kept.map((key) => `${key}:${style.getPropertyValue(key)}`).join(";"));
    });
    copy.setAttribute("width", svg.clientWidth);
    copy.setAttribute("height", svg.clientHeight);
    download(name, [new XMLSerializer().serializeToString(copy)], "image/svg+xml");
  }

  // A button that moves a slider to its end, step by step, and stops when pressed again. Readers who
  // want no motion see the end at once.
  function play(button, slider, milliseconds) {
    const label = button.textContent;
    let timer;
    const stop = () => {
      clearInterval(timer);
      timer = undefined;
      button.textContent = label;
    };
    button.addEventListener("click", () => {
      if (timer) return stop();
      if (slider.value === slider.max) slider.value = slider.min;
      if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
        slider.value = slider.max;
        return slider.dispatchEvent(new Event("input"));
      }
      button.textContent = "Stop";
      timer = setInterval(() => {
        slider.value = Number(slider.value) + Number(slider.step);
        slider.dispatchEvent(new Event("input"));
        if (slider.value === slider.max) stop();
      }, milliseconds);
    });
  }

  return {
    GREY, add, axes, controls, dots, download, drag, dragSlider, imageNetwork, line, network, numbers,
    planeAxes, play, rangeOf, saveSvg, speaker, stack, start, stems,
  };
})();
