// The page: draws each section, then listens.

const BADGES = { OK: "ok", SLOW: "slow", BLOCKED: "blocked", STUCK: "stuck", "NO CPU": "no-cpu" };

function drawVerdict() {
  const {
    badge,
    said: [first, ...others],
    fix,
    hint,
    lost,
  } = DATA.verdict;
  one("#run").textContent = DATA.title;
  const head = one("h1");
  if (badge) head.append(el("span", { class: `badge ${BADGES[badge]}` }, badge), " ");
  head.append(first);
  fillOrHide(".said", others.join(" "));
  fillOrHide(".fix", fix);
  fillOrHide(".hint", hint);
  fillOrHide(".alarm", lost);
}

function fillOrHide(selector, text) {
  const place = one(`#verdict ${selector}`);
  place.textContent = text;
  place.hidden = !text;
}

function drawNavigation() {
  const shown = document.querySelectorAll("section[data-title]:not([hidden])");
  const links = [...shown].map(({ id, dataset }) => el("a", { href: `#${id}` }, dataset.title));
  one("nav ul").append(...links.map((link) => el("li", {}, link)));
  one("nav label").hidden = !DATA.blockers.length;
}

// ------------------------------------------------------------------------- search

function search(text) {
  FLAME.search = text.trim().toLowerCase();
  const shown = filterRows(FLAME.search);
  if (FLAME.root.ns) markFound();
  const found = FLAME.root.ns
    ? `, ${percent(foundNs() / DATA.span.blocked_ns)} of the blocked time`
    : "";
  one("#found").textContent = FLAME.search
    ? `${shown} of ${DATA.blockers.length} blockers${found}`
    : "";
}

// ------------------------------------------------------------------------- theme

const THEMES = ["auto", "light", "dark"];

function nextTheme() {
  const now = document.documentElement.dataset.theme || "auto";
  setTheme(THEMES[(THEMES.indexOf(now) + 1) % THEMES.length]);
}

function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  one("#theme").textContent = `theme: ${theme}`;
  redraw();
}

// Paper is light, whatever the screen is.
function aroundPrint() {
  let before = "auto";
  addEventListener("beforeprint", () => {
    before = document.documentElement.dataset.theme || "auto";
    setTheme("light");
  });
  addEventListener("afterprint", () => setTheme(before));
}

// ------------------------------------------------------------------------- all of it

function listenToAll() {
  one("#theme").addEventListener("click", nextTheme);
  one("#search").addEventListener("input", (event) => search(event.target.value));
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.matches("input")) return;
    event.preventDefault();
    one("#search").focus();
  });
  addEventListener("hashchange", followLink);
  // a link to where the page is already changes nothing, and still leads there
  addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#blocker=']");
    if (link && link.getAttribute("href") === location.hash) followLink();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("resize", redraw);
  aroundPrint();
}

drawVerdict();
drawGraph();
drawCompared();
drawBlockers();
drawFlame();
drawTimeline();
drawHeat();
drawTables();
drawNavigation();
listenToAll();
followLink();
