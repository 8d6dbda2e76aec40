// Tables of results: edges fade where there is more to scroll to, and all can be saved as CSV; in
// sortable ones a button in each column's head sorts, and fields above keep matching rows.
document.addEventListener("DOMContentLoaded", () => {
  const CHOICES = ["database", "activation", "metric", "verdict"]; // columns with few values

  const csv = (table) =>
    [...table.rows]
      .map((row) => [...row.cells].map((cell) => `"${cell.textContent.trim().replaceAll('"', '""')}"`).join(","))
      .join("\n");

  const fadeWhereThereIsMore = (frame) => {
    const look = () => {
      const right = frame.scrollWidth - frame.clientWidth - frame.scrollLeft;
      const below = frame.scrollHeight - frame.clientHeight - frame.scrollTop;
      frame.classList.toggle("more-right", right > 1);
      frame.classList.toggle("more-below", below > 1);
    };
    frame.addEventListener("scroll", look);
    new ResizeObserver(look).observe(frame);
    new ResizeObserver(look).observe(frame.querySelector("table"));
  };

  const saveAsCsv = (frame, name) => {
    const link = document.createElement("a");
    link.className = "table-csv";
    link.textContent = "CSV";
    link.download = `${name}.csv`;
    link.href = "#";
    link.setAttribute("aria-label", `Save this table as ${name}.csv`);
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
    const bar = document.createElement("div");
    bar.className = "table-bar";

    const field = document.createElement("input");
    field.type = "search";
    field.placeholder = "words to look for";
    field.setAttribute("aria-label", "Keep rows that contain every word");
    const choices = heads.flatMap((head, column) => {
      if (!CHOICES.includes(head.textContent)) return [];
      const select = document.createElement("select");
      select.setAttribute("aria-label", `Keep rows of one ${head.textContent}`);
      const values = [...new Set(rows.map((row) => row.cells[column].textContent))].sort();
      select.append(new Option(`any ${head.textContent}`, ""), ...values.map((value) => new Option(value)));
      return [{ select, column }];
    });
    const count = document.createElement("span");
    count.setAttribute("role", "status");
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
    bar.append(field, ...choices.map(({ select }) => select), count);
    frame.before(bar);
    keepMatching();

    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.textContent = head.textContent;
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
    fadeWhereThereIsMore(frame);
    saveAsCsv(frame, frame.closest("figure")?.id || "table");
  }
});
