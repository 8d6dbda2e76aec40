// Tables of results: edges fade where there is more to scroll to, and all can be saved as CSV; in
// sortable ones a button in each column's head sorts, and fields above keep matching rows.
document.addEventListener("DOMContentLoaded", () => {
  const CHOICES = ["database", "activation", "metric", "verdict"]; // columns with few values

  const csv = (table) =>
    [...table.rows]
      .map((row) => [...row.cells].map((cell) => `"${cell.textContent.trim().replaceAll('"', '""')}"`).join(","))
      .join("\n");

  const saveAsCsv = (frame, name) => {
    const label = `Save this table as ${name}.csv`;
    const link = plot.add(frame, "a",
      { class: "table-csv", download: `${name}.csv`, href: "#", "aria-label": label }, "CSV");
    link.addEventListener("click", () => {
      const text = new Blob([csv(frame.querySelector("table"))], { type: "text/csv" });
      link.href = URL.createObjectURL(text);
    });
    frame.after(link);
  };

  const makeSortable = (frame) => {
    const body = frame.querySelector("tbody");
    const rows = [...body.rows];
    const heads = [...frame.querySelectorAll("thead th")];
    const bar = plot.add(frame, "div", { class: "table-bar" });
    const field = plot.add(bar, "input", {
      type: "search", placeholder: "words to look for", "aria-label": "Keep rows that contain every word",
    });
    const choices = heads.flatMap((head, column) => {
      if (!CHOICES.includes(head.textContent)) return [];
      const select = plot.add(bar, "select", { "aria-label": `Keep rows of one ${head.textContent}` });
      const values = [...new Set(rows.map((row) => row.cells[column].textContent))].sort();
      select.append(new Option(`any ${head.textContent}`, ""), ...values.map((value) => new Option(value)));
      return [{ select, column }];
    });
    const count = plot.add(bar, "span", { role: "status" });
    const keepMatching = () => {
      const words = field.value.toLowerCase().split(/\s+/);
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden =
          !words.every((word) => text.includes(word)) ||
          choices.some(({ select, column }) => select.value && select.value !== row.cells[column].textContent);
      }
      count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
    };
    field.addEventListener("input", keepMatching);
    for (const { select } of choices) select.addEventListener("change", keepMatching);
    frame.before(bar);
    keepMatching();

    heads.forEach((head, column) => {
      const button = plot.add(head, "button", {}, head.textContent);
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        for (const other of heads) other.removeAttribute("aria-sort");
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
  };

  for (const frame of document.querySelectorAll(".results-table")) {
    if (frame.classList.contains("sortable")) makeSortable(frame);
    fadeWhereThereIsMore(frame, frame.querySelector("table"));
    saveAsCsv(frame, frame.closest("figure")?.id || "table");
  }
});
