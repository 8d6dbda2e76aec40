// One switch for each page shows or hides the code that only sets up and draws. The choice is
// remembered; book.css does the rest.
document.addEventListener("DOMContentLoaded", () => {
  const buttons = document.querySelector(".article-header-buttons");
  if (!buttons || !document.querySelector(".tag_set-up > .cell_input")) return;
  const title = "Show or hide the code that sets up and draws";
  const button = plot.add(buttons, "button", { type: "button", class: "btn btn-sm code-switch", title }, "Code");
  buttons.prepend(button);

  function show(shown) {
    document.documentElement.dataset.code = shown ? "shown" : "hidden";
    button.setAttribute("aria-pressed", shown);
    localStorage.setItem("san-code", shown ? "shown" : "hidden");
  }

  button.addEventListener("click", () => show(document.documentElement.dataset.code !== "shown"));
  show(localStorage.getItem("san-code") === "shown");
});
