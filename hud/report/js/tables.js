// Plain tables and lists: causes, workers, tasks, pressure, evidence, the comparison.

function drawTables() {
  const found = new Map(DATA.tables.map((table) => [table[0], table]));
  for (const id of ["causes", "workers", "tasks"]) {
    const section = one(`#${id}`);
    if (found.has(id)) section.append(...tableOf(found.get(id)));
    else section.hidden = true;
  }
  drawPressure(found.get("pressure"));
  one("#sure").append(definitions([...DATA.sure, ...DATA.about]));
}

// A title that begins with > is of numbers.
function tableOf([id, titles, rows, rest]) {
  const numbers = titles.map((title) => title.startsWith(">"));
  const heads = titles.map((title, at) =>
    el("th", { scope: "col", class: numbers[at] ? "n" : null }, title.replace(/^>/, "")),
  );
  const lines = rows.map((row) =>
    el(
      "tr",
      {},
      ...row.map((cell, at) => el("td", { class: numbers[at] ? "n" : "wide" }, cellOf(cell))),
    ),
  );
  const table = el(
    "table",
    { class: id, "aria-label": id },
    el("thead", {}, el("tr", {}, ...heads)),
    el("tbody", {}, ...lines),
  );
  return [
    el("div", { class: "scroll" }, table),
    ...(rest ? [el("p", { class: "note" }, rest)] : []),
  ];
}

function cellOf(text) {
  return DATA.causes.includes(text) ? el("span", { class: `cause c-${text}` }, text) : text;
}

function definitions(pairs) {
  const list = el("dl", {});
  for (const [label, text] of pairs) list.append(el("dt", {}, label), el("dd", {}, text));
  return list;
}

function drawPressure(table) {
  const section = one("#pressure");
  if (!DATA.uncounted.length && !table) {
    section.hidden = true;
    return;
  }
  section.append(definitions(DATA.uncounted), ...(table ? tableOf(table) : []));
}

function drawCompared() {
  if (!DATA.compared) return;
  const section = one("#compared");
  const { said, runs, table, left } = DATA.compared;
  section.hidden = false;
  section.append(...said.map((sentence, at) => el("p", { class: at ? "note" : "" }, sentence)));
  if (table) section.append(...tableOf(table));
  if (left) section.append(el("p", { class: "note" }, left));
  section.append(definitions(runs));
}
