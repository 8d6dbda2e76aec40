// How Extrema thins its candidates out, step by step (san.suppress).
document.addEventListener("DOMContentLoaded", () => plot.start("suppression", startSuppression));

function startSuppression(root, { s, distance, color }) {
  const last = s.length - 1;
  const candidates = san.suppress(s, s.length).flatMap(({ kept, suppressed }) => [kept, ...suppressed]);
  const at = plot.controls(root, {
    distance: ["Minimum distance:", "range", { min: 1, max: Math.floor(s.length / 4), value: distance }],
    step: ["Step", "range", { min: 0, value: 1 }],
    play: ["Go through the steps", "button"],
  }, draw);
  const said = plot.add(root, "p", { class: "san-hint", role: "status" });
  const svgs = plot.stack(root, {
    map: "Candidates (rings), kept (dots on stems), suppressed (crosses), and the reach of the last one (shaded)",
  }, draw);
  plot.play(at.play, at.step, 700);

  function draw() {
    const reach = Number(at.distance.value);
    const steps = san.suppress(s, reach);
    at.step.max = steps.length;
    const done = steps.slice(0, Number(at.step.value));
    at.distance.say(`${reach} samples`);
    at.step.say(`${done.length} of ${steps.length}`);
    const scale = plot.axes(svgs.map, [0, last], plot.rangeOf(s));
    const current = done.at(-1);
    if (current) {
      const [left, right] = [Math.max(0, current.kept - reach), Math.min(last, current.kept + reach)];
      const box = { x: scale.x(left), width: scale.x(right) - scale.x(left), y: 0, height: "100%" };
      plot.add(svgs.map, "rect", { class: "region", ...box });
    }
    plot.line(svgs.map, scale, s, plot.GREY);
    const kept = new Set(done.map((step) => step.kept));
    plot.stems(svgs.map, scale, s.map((value, t) => (kept.has(t) ? value : 0)), color);
    const gone = new Set(done.flatMap((step) => step.suppressed));
    for (const t of candidates) {
      if (kept.has(t)) continue;
      const [x, y] = [scale.x(t), scale.y(s[t])];
      if (gone.has(t)) {
        const cross = `M${x - 4} ${y - 4}L${x + 4} ${y + 4}M${x - 4} ${y + 4}L${x + 4} ${y - 4}`;
        plot.add(svgs.map, "path", { class: "line", d: cross, stroke: "var(--pst-color-text-muted)" });
      } else {
        plot.add(svgs.map, "circle", { class: "ring", cx: x, cy: y, r: 4, stroke: color });
      }
    }
    said.textContent = current
      ? `Sample ${current.kept} is the strongest that is left: it is kept and suppresses ` +
        `${current.suppressed.length} others. Kept so far: ${kept.size} of ${candidates.length} candidates.`
      : `${candidates.length} candidates, none visited yet.`;
  }
}
