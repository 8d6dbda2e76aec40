// Names for what the theme leaves without one: the arrows that open parts of the contents.
document.addEventListener("DOMContentLoaded", () => {
  for (const summary of document.querySelectorAll("summary:not([aria-label])")) {
    if (summary.textContent.trim()) continue;
    const link = summary.closest("li")?.querySelector("a");
    summary.setAttribute("aria-label", `Pages below ${link ? link.textContent.trim() : "this one"}`);
  }
});

// Figures keep legible type on a phone: book.css scrolls them inside a frame, which keys can move.
document.addEventListener("DOMContentLoaded", () => {
  for (const image of document.querySelectorAll('.bd-article img:is([src*=".svg"], [src^="data:image/svg"])')) {
    const frame = document.createElement("div");
    frame.className = "figure-frame";
    image.before(frame);
    frame.append(image);
    const look = () => {
      const wider = frame.scrollWidth > frame.clientWidth + 1;
      const more = frame.scrollWidth - frame.clientWidth - frame.scrollLeft > 1;
      frame.classList.toggle("more-right", more);
      if (wider) frame.tabIndex = 0;
      else frame.removeAttribute("tabindex");
    };
    frame.addEventListener("scroll", look);
    new ResizeObserver(look).observe(frame);
    image.addEventListener("load", look);
  }
});
