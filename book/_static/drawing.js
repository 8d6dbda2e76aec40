// The playground of images: draw a digit, and see what a trained network makes of it (san.js).
document.addEventListener("DOMContentLoaded", () => plot.start("drawing", startDrawing));

function startDrawing(root, { digits, kernels, activations, border_tolerance: borderTolerance }) {
  const sizes = Object.keys(Object.values(kernels)[0]).map(Number);
  const side = digits[0].length;
  let x = digits[0];
  let [digit, row, column] = [0, 14, 14];
  const at = plot.controls(root, {
    activation: ["Activation function", "select", activations],
    size: ["Kernel size:", "range", { min: sizes[0], max: sizes.at(-1), value: 4 }],
    next: ["Another digit", "button"],
    clear: ["Empty sheet", "button"],
  }, show);
  at.activation.value = "extrema";
  const numbers = plot.add(root, "div", { class: "san-numbers", role: "status" });
  const hint = "Draw on the image x with the mouse or a finger; or choose it with the Tab key, move with the " +
    "arrow keys and paint with the space bar.";
  plot.add(root, "p", { class: "san-hint" }, hint);
  const view = plot.imageNetwork(root);
  const sheet = view.image;
  sheet.tabIndex = 0;
  sheet.classList.add("san-drawable");

  function show() {
    const [name, m] = [at.activation.value, Number(at.size.value)];
    at.size.say(`${m} by ${m} pixels`);
    const w = kernels[name][m];
    const coded = san.code(x, w, name, { borderTolerance });
    const { phi, inverseCr, loss, count } = coded;
    const empty = Number.isNaN(loss); // an empty sheet has no loss
    plot.numbers(numbers, [
      ["φ", empty ? "none of an empty sheet" : phi],
      ["CR⁻¹", inverseCr],
      ["L̃", empty ? "none" : loss],
      ["activations", `${count}`],
    ]);
    view.show({ ...coded, x, w, color: activations[name].color, points: [], current: [empty ? 1 : loss, inverseCr] });
  }

  // A pen of three pixels, dark in the middle.
  function paint(y, x0) {
    x = x.map((of, v) =>
      of.map((value, u) => {
        const away = Math.hypot(v - y, u - x0);
        return Math.max(value, away < 0.5 ? 1 : away < 1.5 ? 0.6 : 0);
      }),
    );
    show();
  }

  function follow(event) {
    const box = sheet.getBoundingClientRect();
    const pixel = (share) => Math.min(side - 1, Math.max(0, Math.floor(share * side)));
    paint(pixel((event.clientY - box.top) / box.height), pixel((event.clientX - box.left) / box.width));
  }

  sheet.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    sheet.setPointerCapture(event.pointerId);
    follow(event);
  });
  sheet.addEventListener("pointermove", (event) => {
    if (sheet.hasPointerCapture(event.pointerId)) follow(event);
  });
  sheet.addEventListener("keydown", (event) => {
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const move = moves[event.key];
    if (!move && event.key !== " ") return;
    event.preventDefault();
    if (event.key === " ") return paint(row, column);
    const within = (value) => Math.min(side - 1, Math.max(0, value));
    [row, column] = [within(row + move[0]), within(column + move[1])];
    sheet.setAttribute("aria-label", `Image x, pen at row ${row + 1}, column ${column + 1}`);
  });
  at.next.addEventListener("click", () => {
    digit = (digit + 1) % digits.length;
    x = digits[digit];
    show();
  });
  at.clear.addEventListener("click", () => {
    x = x.map((of) => of.map(() => 0));
    show();
  });
  show();
}
