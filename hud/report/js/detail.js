// All that is known of one blocker: what to do and its code on the left, figures on the right.

function detailRow(blocker, at) {
  const cell = el("td", { colspan: TITLES.length });
  cell.append(
    el(
      "div",
      { class: "pair" },
      el("div", {}, ...codeParts(blocker)),
      el("div", {}, ...figureParts(blocker)),
    ),
  );
  return el("tr", { class: "detail", id: `detail-${at}` }, cell);
}

function part(title, ...content) {
  const shown = content.filter((one) => one !== null && one !== "");
  return shown.length ? el("div", { class: "part" }, el("h3", {}, title), ...shown) : "";
}

function codeParts(blocker) {
  return [
    part("why, and how", ...advice(blocker)),
    part("stacks, outermost call first", stackTree(blocker)),
    part(`source${blocker.place ? `, ${blocker.place}` : ""}`, sourceOf(blocker)),
    folded("the heaviest stack, every frame", wholeStack(blocker)),
    folded("machine code at the call", machineCode(blocker)),
    part("name in full", nameOf(blocker), symbolOf(blocker)),
  ].filter(Boolean);
}

function advice(blocker) {
  return [
    blocker.why ? el("p", { class: "why" }, blocker.why) : null,
    blocker.example ? el("pre", { class: "example" }, blocker.example) : null,
  ];
}

function folded(title, content) {
  return content ? el("details", {}, el("summary", {}, title), content) : "";
}

function wholeStack(blocker) {
  const { stack = [], outside } = blocker;
  if (!stack.length) return null;
  const frames = stack.map((number) => frameText(DATA.frames[number])).reverse();
  if (outside) frames.unshift(`${outside} more frames`);
  return el("ol", { class: "stack whole" }, ...frames.map((frame) => el("li", {}, frame)));
}

function sourceOf(blocker) {
  if (!blocker.source.length) return blocker.note ? el("p", { class: "why" }, blocker.note) : null;
  return el(
    "div",
    { class: "code" },
    ...blocker.source.map(([number, text, here]) =>
      el(
        "span",
        { class: here ? "here" : "line" },
        el("span", { class: "number" }, `${here ? "▶ " : ""}${number}`),
        text || " ",
      ),
    ),
  );
}

function machineCode(blocker) {
  if (!blocker.machine.length) return null;
  return el(
    "div",
    { class: "code" },
    ...blocker.machine.map(([address, text, target, here]) =>
      el(
        "span",
        { class: here ? "here" : "line" },
        el("span", { class: "number" }, address),
        text,
        el("span", { class: "target" }, target ? `   ${target}` : ""),
      ),
    ),
  );
}

function nameOf(blocker) {
  return blocker.name === blocker.short ? null : el("p", { class: "name" }, blocker.name);
}

function symbolOf(blocker) {
  return blocker.symbol && blocker.symbol !== blocker.name
    ? el("p", { class: "name why" }, blocker.symbol)
    : null;
}

// ------------------------------------------------------------------------- figures

function figureParts(blocker) {
  return [
    part("how long", figureRows(longRows(blocker))),
    part(
      "where the time went",
      figureRows(shares(blocker.split), (label) => (label === "no CPU" ? "wait" : "")),
    ),
    blocker.causes.length > 1 ? part("causes", causeRows(blocker)) : "",
    part("when", whenSpark(blocker)),
    part(
      "workers",
      figureRows(shares(blocker.workers)),
      blocker.others ? el("p", { class: "why" }, `and ${blocker.others} more`) : null,
    ),
    part("besides", ...blocker.more.map((line) => el("p", {}, line))),
  ].filter(Boolean);
}

function longRows(blocker) {
  const most = Math.max(...blocker.long.map(([, count]) => count), 1);
  return blocker.long.map(([label, count, remark]) => [
    label,
    count ? String(count) : "",
    count / most,
    remark,
  ]);
}

function shares(rows) {
  const most = Math.max(...rows.map(([, , ns]) => ns), 1);
  return rows.map(([label, value, ns]) => [label, value, ns / most]);
}

function causeRows(blocker) {
  const rows = figureRows(shares(blocker.causes));
  [...rows.querySelectorAll(".meter")].forEach((bar, at) =>
    bar.classList.add(`c-${blocker.causes[at][0]}`),
  );
  return rows;
}

function whenSpark(blocker) {
  if (!blocker.when.length) return null;
  const { start_ns, ns } = DATA.span;
  const span = `from ${duration(start_ns)} to ${duration(start_ns + ns)}`;
  const label = `Its blocked time over the run, ${span}`;
  return el("div", {}, spark(blocker.when, label), axis(start_ns, start_ns + ns));
}
