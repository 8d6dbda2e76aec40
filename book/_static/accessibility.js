// Names for what the theme leaves without one: the arrows that open parts of the contents.
document.addEventListener("DOMContentLoaded", () => {
  for (const summary of document.querySelectorAll("summary:not([aria-label])")) {
    if (summary.textContent.trim()) continue;
    const link = summary.closest("li")?.querySelector("a");
    summary.setAttribute("aria-label", `Pages below ${link ? link.textContent.trim() : "this one"}`);
  }
});

// Keeps the classes of a frame that say where there is more to scroll to; book.css fades its edges.
function fadeWhereThereIsMore(frame, content, also = () => {}) {
  const look = () => {
    const right = frame.scrollWidth - frame.clientWidth, below = frame.scrollHeight - frame.clientHeight;
    frame.classList.toggle("more-right", right - frame.scrollLeft > 1);
    frame.classList.toggle("more-below", below - frame.scrollTop > 1);
    also(right > 1);
  };
  frame.addEventListener("scroll", look);
  for (const resized of [frame, content]) new ResizeObserver(look).observe(resized);
}

// Figures keep legible type on a phone: book.css scrolls them inside a frame, which keys can move.
document.addEventListener("DOMContentLoaded", () => {
  for (const image of document.querySelectorAll('.bd-article img:is([src*=".svg"], [src^="data:image/svg"])')) {
    const frame = plot.add(image.parentNode, "div", { class: "figure-frame" });
    image.before(frame);
    frame.append(image);
    fadeWhereThereIsMore(frame, image, (wider) =>
      wider ? frame.setAttribute("tabindex", 0) : frame.removeAttribute("tabindex"));
  }
});
