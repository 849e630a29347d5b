// Sorting and filtering of the table of test images. Without JavaScript it is a plain table.
{
  const table = document.getElementById("case-table");
  const form = document.getElementById("case-filter");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const collator = new Intl.Collator("en", { numeric: true });

  const valueIn = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();

  // Numbers by size, other text by the alphabet; equal rows keep their order.
  function compare(a, b) {
    const difference = Number(a) - Number(b);
    return Number.isNaN(difference) ? collator.compare(a, b) : difference;
  }

  function sortBy(column) {
    const ascending = heads[column].getAttribute("aria-sort") !== "ascending";
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[column].setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const sign = ascending ? 1 : -1;
    body.append(...[...rows].sort((a, b) => sign * compare(valueIn(a, column), valueIn(b, column))));
  }

  function filter() {
    const wanted = new FormData(form);
    const text = wanted.get("text").trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      const fits = ["label", "predicted"].every((key) => !wanted.get(key) || row.dataset[key] === wanted.get(key))
        && ["error", "abstained"].every((key) => !wanted.has(key) || key in row.dataset)
        && row.textContent.toLowerCase().includes(text);
      row.hidden = !fits;
      shown += fits;
    }
    form.querySelector("output").textContent = `${shown} of ${rows.length} rows`;
  }

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sortBy(column));
    head.append(button);
  });
  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("reset", () => setTimeout(filter)); // the fields are empty after the event
  form.addEventListener("submit", (event) => event.preventDefault());
  filter();
}
