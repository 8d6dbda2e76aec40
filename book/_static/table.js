// Tables of results: a button in each column's head sorts, a field above keeps matching rows.
document.addEventListener("DOMContentLoaded", () => {
  for (const frame of document.querySelectorAll(".results-table.sortable")) {
    const body = frame.querySelector("tbody");
    const rows = [...body.rows];

    const field = document.createElement("input");
    field.type = "search";
    field.placeholder = "words to look for";
    field.setAttribute("aria-label", "Keep rows that contain every word");
    const count = document.createElement("span");
    count.setAttribute("role", "status");
    const keepMatching = () => {
      const words = field.value.toLowerCase().split(/\s+/);
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
      }
      count.textContent = ` ${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
    };
    field.addEventListener("input", keepMatching);
    frame.before(field, count);
    keepMatching();

    frame.querySelectorAll("thead th").forEach((head, column) => {
      const button = document.createElement("button");
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const key = (row) => row.cells[column].textContent;
        rows.sort((a, b) => {
          // A number may have something behind it, such as a rank in brackets.
          const [first, second] = [Number.parseFloat(key(a)), Number.parseFloat(key(b))];
          // Numbers by value and before texts, texts by letters.
          if (isNaN(first) !== isNaN(second)) return isNaN(first) ? 1 : -1;
          const order = isNaN(first) ? key(a).localeCompare(key(b)) : first - second;
          return up ? order : -order;
        });
        body.append(...rows);
      });
    });
  }
});
