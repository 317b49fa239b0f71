"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// Sorting: what has no value stays at the end, whichever way the rest goes.
for (const table of all("table.sortable")) {
  const heads = all("th[data-first]", table);
  for (const head of heads) {
    head.setAttribute("aria-sort", "none");
    head.querySelector("button").addEventListener("click", () => {
      const other = { ascending: "descending", descending: "ascending" };
      const order = other[head.getAttribute("aria-sort")] ?? head.dataset.first;
      heads.forEach((h) => h.setAttribute("aria-sort", h === head ? order : "none"));
      const sign = order === "ascending" ? 1 : -1;
      const body = table.tBodies[0];
      const key = (row) => {
        const cell = row.cells[head.cellIndex];
        if (cell.tagName === "TH") return cell.textContent.trim();
        return "value" in cell.dataset ? Number(cell.dataset.value) : null;
      };
      const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
      const rows = [...body.rows].map((row) => [key(row), row]);
      rows.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : sign * compare(a, b)));
      body.append(...rows.map(([, row]) => row));
    });
  }
}

// Tabs, after the ARIA Authoring Practices: arrows move, Home and End jump.
for (const list of all("[role=tablist]")) {
  const tabs = all("[role=tab]", list);
  const select = (chosen, focus) => {
    for (const tab of tabs) {
      const on = tab === chosen;
      tab.setAttribute("aria-selected", on);
      tab.tabIndex = on ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")).hidden = !on;
    }
    if (focus) chosen.focus();
  };
  tabs.forEach((tab, i) => {
    tab.addEventListener("click", () => select(tab));
    tab.addEventListener("keydown", (event) => {
      const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: -1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      select(tabs.at(to % tabs.length), true);
    });
  });
  select(tabs[0]);
}

// Legends: pointing at a name, or pressing it, leaves its line alone in the light.
for (const figure of all("figure.plot")) {
  const buttons = all(".legend button", figure);
  const light = (pointed) => {
    const pressed = buttons.filter((b) => b.getAttribute("aria-pressed") === "true");
    const lit = new Set((pointed ? [pointed] : pressed).map((b) => b.dataset.index));
    all("[data-line]", figure).forEach((g) => g.classList.toggle("dim", lit.size > 0 && !lit.has(g.dataset.line)));
  };
  for (const button of buttons) {
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true");
      light();
    });
    for (const event of ["mouseenter", "focus"]) button.addEventListener(event, () => light(button));
    for (const event of ["mouseleave", "blur"]) button.addEventListener(event, () => light());
  }
}

// Verdicts: pressing some leaves the rows that have one of them, and a word those that hold it.
for (const section of all("#tables .section")) {
  const rows = all("tbody tr", section).filter((row) => row.querySelector(".badge"));
  const words = new Map();
  for (const row of rows) for (const badge of all(".badge", row)) words.set(badge.lastChild.textContent.trim(), badge);
  if (words.size < 2) continue;
  const bar = document.createElement("div");
  bar.className = "verdictbar";
  const chosen = new Set();
  const found = document.createElement("output");
  const search = document.createElement("input");
  const show = () => {
    const sought = search.value.trim().toLowerCase();
    for (const row of rows) {
      const own = all(".badge", row).map((badge) => badge.lastChild.textContent.trim());
      row.hidden = (chosen.size > 0 && !own.some((word) => chosen.has(word))) || !row.textContent.toLowerCase().includes(sought);
    }
    found.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
  };
  for (const [word, badge] of words) {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", false);
    button.append(badge.cloneNode(true));
    button.addEventListener("click", () => {
      if (!chosen.delete(word)) chosen.add(word);
      button.setAttribute("aria-pressed", chosen.has(word));
      show();
    });
    bar.append(button);
  }
  search.type = "search";
  search.placeholder = "Find";
  search.setAttribute("aria-label", "Find in these rows");
  search.addEventListener("input", show);
  bar.append(search, found);
  section.querySelector(".tabs, .sheet").before(bar);
  show();
}

// Gallery: one image and one metric at a time.
const form = document.querySelector("#gallery form.choice");
if (form) {
  const image = document.getElementById("exhibit");
  const metric = document.getElementById("metric");
  const scores = all(".score");
  const names = [...new Set(scores.map((score) => score.dataset.metric))].sort();
  metric.append(...names.map((name) => new Option(name, name)));
  metric.value = names.includes(metric.dataset.usual) ? metric.dataset.usual : names[0];
  metric.parentElement.hidden = names.length < 2;
  const show = () => {
    for (const exhibit of all(".exhibit")) exhibit.hidden = exhibit.id !== image.value;
    for (const score of scores) score.hidden = score.dataset.metric !== metric.value;
  };
  const steps = all("[data-step]", form);
  steps.forEach((button) => {
    button.addEventListener("click", () => {
      const count = image.options.length;
      image.selectedIndex = (image.selectedIndex + Number(button.dataset.step) + count) % count;
      show();
    });
  });
  image.addEventListener("change", show);
  metric.addEventListener("change", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  show();
}

// A link to a closed section opens it; on paper all are open.
const unfold = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const section = target?.closest("details");
  if (section) section.open = true;
};
addEventListener("hashchange", unfold);
unfold();
let closed = [];
addEventListener("beforeprint", () => {
  closed = all("details:not([open])");
  closed.forEach((section) => (section.open = true));
});
addEventListener("afterprint", () => closed.forEach((section) => (section.open = false)));
