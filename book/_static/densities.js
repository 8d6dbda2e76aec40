// The five activation functions on one similarity map under one density (san.activate).
document.addEventListener("DOMContentLoaded", () => plot.start("densities", startDensities));

function startDensities(root, { s, size, border_tolerance: tolerance, activations }) {
  const last = s.length - 1;
  const at = plot.controls(
    root,
    { size: ["Kernel size, which sets the density:", "range", { min: 4, max: 100, value: size }] },
    draw,
  );
  const captions = Object.entries(activations).map(([name, { label }]) => [name, label]);
  const svgs = plot.stack(root, Object.fromEntries(captions), draw);
  root.querySelector(".san-stack").classList.add("san-low");

  function draw() {
    const m = Number(at.size.value);
    at.size.say(`m = ${m} samples`);
    for (const [name, { label, color }] of Object.entries(activations)) {
      const a = san.activate(s, name, san.density(name, m, s.length, tolerance));
      const kept = plot.count(a);
      const cost = san.inverseCompressionRatio([a], m).toFixed(2);
      const text = `${label}: ${kept} of ${s.length} entries, CR⁻¹ ${cost}`;
      svgs[name].previousElementSibling.textContent = text;
      svgs[name].setAttribute("aria-label", text);
      const scale = plot.axes(svgs[name], [0, last], plot.rangeOf(s));
      plot.line(svgs[name], scale, s, plot.GREY);
      plot.stems(svgs[name], scale, a, color);
    }
  }
}
