// The plane of phi as an input: what descriptions of about that length and error look like, of a
// trained SAN (san.js draws it) and of wavelets (drawn with the book).
document.addEventListener("DOMContentLoaded", () => plot.start("plane", startPlane));

// The index of the point that is nearest to a place, all pairs of loss and CR^-1.
function nearestPoint(points, [loss, inverseCr]) {
  const away = points.map(([x, y]) => Math.hypot(x - loss, y - inverseCr));
  return away.indexOf(Math.min(...away));
}

function startPlane(root, { x, networks, wavelets, activations, border_tolerance: borderTolerance }) {
  const [LIMIT, STEPS] = [1.15, 115];
  const of = networks.map(({ activation, kernel }) => {
    const { xHat, count, loss, inverseCr } = san.code(x, [kernel], activation, { borderTolerance });
    return { activation, m: kernel.length, kept: count, xHat, point: [loss, inverseCr] };
  });
  const at = plot.controls(root, {
    loss: ["Error L̃:", "range", { min: 0, max: STEPS, value: 40 }],
    length: ["Length CR⁻¹:", "range", { min: 0, max: STEPS, value: 25 }],
  }, draw);
  const wanted = plot.add(root, "div", { class: "san-numbers" });
  const svgs = plot.stack(root, {
    plane: "L̃ (right) and CR⁻¹ (up) of one window: networks (dots), wavelets (squares); drag the cross",
    network: "",
    wavelets: "",
  }, draw);
  svgs.plane.parentNode.classList.add("san-tall");
  let scale;
  plot.drag(svgs.plane, () => scale.ranges, (loss, length) => {
    at.loss.value = Math.round(Math.min(1, loss / LIMIT) * STEPS);
    at.length.value = Math.round(Math.min(1, length / LIMIT) * STEPS);
    draw();
  });

  function mark(point, color) {
    const [cx, cy] = [scale.x(point[0]), scale.y(point[1])];
    plot.add(svgs.plane, "circle", { class: "ring", cx, cy, r: 8, stroke: color });
  }

  function reconstruct(name, what, xHat, [loss, inverseCr], color) {
    const phi = Math.hypot(inverseCr, loss).toFixed(2);
    const text = `${what}: CR⁻¹ ${inverseCr.toFixed(2)}, L̃ ${loss.toFixed(2)}, φ ${phi}`;
    svgs[name].previousElementSibling.textContent = text;
    svgs[name].setAttribute("aria-label", text);
    const axes = plot.axes(svgs[name], [0, x.length - 1], plot.rangeOf([...x, ...xHat]));
    plot.line(svgs[name], axes, x, { ...plot.GREY, "stroke-width": 2.5 });
    plot.line(svgs[name], axes, xHat, { stroke: color });
  }

  function draw() {
    const place = [at.loss, at.length].map((slider) => (LIMIT * slider.value) / STEPS);
    at.loss.say(place[0].toFixed(2));
    at.length.say(place[1].toFixed(2));
    plot.numbers(wanted, [["φ at the cross", Math.hypot(...place)]]);
    scale = plot.planeAxes(svgs.plane, LIMIT);
    for (const { activation, point } of of) {
      const [cx, cy] = [scale.x(point[0]), scale.y(point[1])];
      if (point[1] > scale.ranges[1][1] || point[0] > scale.ranges[0][1]) continue;
      plot.add(svgs.plane, "circle", { cx, cy, r: 3.5, fill: activations[activation].color, opacity: 0.7 });
    }
    const plain = "var(--pst-color-text-base)";
    for (const [loss, inverseCr] of wavelets.points) {
      const box = { x: scale.x(loss) - 3, y: scale.y(inverseCr) - 3, width: 6, height: 6 };
      plot.add(svgs.plane, "rect", { ...box, fill: "none", stroke: plain });
    }
    const [cx, cy] = [scale.x(place[0]), scale.y(place[1])];
    const cross = `M${cx - 9} ${cy}H${cx + 9}M${cx} ${cy - 9}V${cy + 9}`;
    plot.add(svgs.plane, "path", { class: "line", d: cross, stroke: "var(--pst-color-danger)" });
    const network = of[nearestPoint(of.map(({ point }) => point), place)];
    const { label, color } = activations[network.activation];
    mark(network.point, color);
    const name = `Nearest network: ${label}, m = ${network.m}, ${network.kept} activations`;
    reconstruct("network", name, network.xHat, network.point, color);
    const i = nearestPoint(wavelets.points, place);
    mark(wavelets.points[i], plain);
    const other = `Nearest wavelets: ${wavelets.name}, ${wavelets.counts[i]} coefficients`;
    reconstruct("wavelets", other, wavelets.x_hat[i], wavelets.points[i], plain);
  }
}
