// The explorer: chooses among numbers that were computed beforehand, and draws them.
const explore = (data) => {
  const root = document.getElementById("explorer");
  const form = root.querySelector("form");
  const SPLITS = {
    all: "all",
    low: `confidence < ${data.threshold.toFixed(2)}`,
    high: `confidence ≥ ${data.threshold.toFixed(2)}`,
  };
  const ARROWS = { high: " ↑", low: " ↓", none: "" };
  const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const state = { cost: "passes", scores: "main", at: 50, off: new Set() };

  // Elements. A child that is a string is text; a function among the attributes listens.
  const made = (element, attributes, children) => {
    for (const [name, value] of Object.entries(attributes ?? {})) {
      if (typeof value === "function") element.addEventListener(name, value);
      else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
    }
    element.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return element;
  };
  const h = (name, attributes, ...children) => made(document.createElement(name), attributes, children);
  const s = (name, attributes, ...children) =>
    made(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
  const picture = (width, height, words, ...children) =>
    s("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": words }, ...children);

  // Numbers in words.
  const known = (value) => value !== null && value !== undefined;
  const signed = (text) => text.replace(/^-/, "−");
  const number = (value, digits = 4) => (known(value) ? signed((Number(value.toFixed(digits)) + 0).toFixed(digits)) : "–");
  const short = (value) =>
    !known(value) ? "–" : signed(value >= 100 || value === 0 ? Math.round(value).toLocaleString("en") : `${Number(value.toPrecision(2))}`);
  const half = (column, k) => (known(column.ci_low[k]) ? (column.ci_high[k] - column.ci_low[k]) / 2 : null);
  const estimate = (column, k) =>
    number(column.mean[k]) + (known(half(column, k)) ? ` ± ${half(column, k).toFixed(4)}` : "");

  // What is chosen.
  const room = () => data.rooms.find((r) => r.model === state.model && r.data === state.data);
  const cabinet = () => room().metrics[state.metric];
  const kind = () => cabinet().quantities.find((q) => q.name === state.quantity);
  const column = () => cabinet().splits[state.split][state.quantity];
  const name = (k) => room().methods[cabinet().rows[k]].name; // of the k-th row of the chosen metric
  const rows = () => cabinet().rows.map((_, k) => k).filter((k) => !state.off.has(name(k)));
  const measured = () => rows().filter((k) => known(column().mean[k]));
  const sorted = () => {
    const sign = kind().sign || 1;
    return measured().sort((a, b) => sign * (column().mean[b] - column().mean[a]));
  };
  const look = (title) => data.look[data.names.indexOf(title)];
  const titled = (q) => q.title + ARROWS[q.better];
  const called = (k) => room().classes[k] ?? `class ${k}`;
  const pair = (of, a, b) => {
    const [i, j] = [of.indexOf(Math.min(a, b)), of.indexOf(Math.max(a, b))];
    return i < 0 || j < 0 || i === j ? null : (i * (2 * of.length - i - 1)) / 2 + j - i - 1;
  };
  const where = () => `${state.metric} · ${state.model} · ${state.data} · images: ${SPLITS[state.split]}`;

  // Drawing.
  const ticks = (low, high, count) => {
    const rough = (high - low) / count || 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((m) => m * power >= rough * 0.999);
    const found = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) found.push(k * step);
    return { at: found, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
  };
  const scale = (low, high, from, to) => (value) => from + ((value - low) / (high - low || 1)) * (to - from);
  const padded = (values) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const room = (high - low || Math.abs(high) || 1) * 0.05;
    return [low - room, high + room];
  };
  const across = (x, low, high, top, bottom, title, count) => {
    const { at, digits } = ticks(low, high, count);
    return s(
      "g",
      { class: "axis", "aria-hidden": "true" },
      at.map((value) => s("path", { d: `M${x(value)} ${top}V${bottom}` })),
      at.map((value) => s("text", { x: x(value), y: bottom + 16, "text-anchor": "middle" }, number(value, digits))),
      s("text", { x: (x(low) + x(high)) / 2, y: bottom + 34, "text-anchor": "middle" }, title),
    );
  };
  const upwards = (y, low, high, left, right, count) => {
    const { at, digits } = ticks(low, high, count);
    return s(
      "g",
      { class: "axis", "aria-hidden": "true" },
      at.map((value) => s("path", { d: `M${left} ${y(value)}H${right}` })),
      at.map((value) => s("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, number(value, digits))),
    );
  };
  const nothing = (words) => h("p", { class: "nothing" }, words);
  const cut = (text, width) => {
    const most = Math.max(6, Math.floor(width / 7.2));
    return text.length > most ? `${text.slice(0, most - 1)}…` : text;
  };
  // Of what can be pressed in a picture one is in the order of tabs; arrows lead to the others.
  const pressable = (parts) => {
    parts.forEach((part, i) => {
      part.setAttribute("role", "button");
      part.setAttribute("tabindex", i ? -1 : 0);
      part.addEventListener("keydown", (event) => {
        const to = { ArrowDown: i + 1, ArrowRight: i + 1, ArrowUp: i - 1, ArrowLeft: i - 1, Home: 0, End: -1 }[event.key];
        if (event.key === "Enter" || event.key === " ") part.dispatchEvent(new MouseEvent("click"));
        else if (to === undefined) return;
        else {
          const next = parts.at(to % parts.length);
          parts.forEach((other) => other.setAttribute("tabindex", other === next ? 0 : -1));
          next.focus();
        }
        event.preventDefault();
      });
    });
    return parts;
  };

  const WIDE = 640;
  const width = () => Math.max(280, root.clientWidth - 2);
  const views = {};

  views.means = () => {
    const order = sorted();
    if (!order.length) return nothing("None of the chosen methods has this score.");
    const [w, line, top] = [width(), 26, 6];
    const left = Math.min(w * 0.36, 12 + 7.4 * Math.max(...order.map((k) => name(k).length)));
    const right = w - (w > WIDE ? 160 : 62);
    const of = column();
    const ends = order.flatMap((k) => [of.mean[k], of.ci_low[k] ?? of.mean[k], of.ci_high[k] ?? of.mean[k]]);
    const [low, high] = padded(ends);
    const x = scale(low, high, left + 8, right);
    const bottom = top + line * order.length;
    const parts = order.map((k, i) => {
      const y = top + line * (i + 0.5);
      const interval = known(of.ci_low[k]);
      const standing = { best: "best", level: "level" }[of.standing[k]] ?? "";
      return s(
        "g",
        { class: `row ${standing}`, click: () => tell(k), "aria-label": `${name(k)}: ${estimate(of, k)}` },
        s("title", {}, `${name(k)}: ${estimate(of, k)}`),
        s("rect", { class: "hit", x: 0, y: y - line / 2, width: w, height: line }),
        s("text", { x: left, y: y + 4, "text-anchor": "end" }, cut(name(k), left)),
        interval ? s("path", { class: "bar", d: `M${x(of.ci_low[k])} ${y}H${x(of.ci_high[k])}` }) : null,
        s("circle", { class: "dot", cx: x(of.mean[k]), cy: y, r: 4.5 }),
        s("text", { class: "value", x: w - 2, y: y + 4, "text-anchor": "end" }, w > WIDE ? estimate(of, k) : number(of.mean[k], 3)),
      );
    });
    return [
      picture(w, bottom + 42, `Means: ${titled(kind())}, ${where()}`, across(x, low, high, top, bottom, `${titled(kind())}, ${kind().unit}`, w > WIDE ? 8 : 4), pressable(parts)),
      h("p", { class: "below" }, "Means over images and their 95 % intervals, the best on top. Filled: the best of the comparable rows; hollow: with it in the best set, no row is shown to be better. Press a row for its number's recipe."),
    ];
  };

  views.ranks = () => {
    const of = column();
    if (!of.rank) return nothing("Ranks take two comparable rows with two images in common, and a score that has a better end.");
    const place = (k) => of.of.indexOf(k);
    const order = measured().filter((k) => place(k) >= 0).sort((a, b) => of.rank[place(a)] - of.rank[place(b)]);
    if (!order.length) return nothing("None of the chosen methods has a rank here.");
    const told = (a, b) => of.apart[pair(of.of, a, b)] === "1";
    const bars = [];
    if (of.told) {
      for (let first = 0; first < order.length; first++) {
        let last = first;
        while (last + 1 < order.length && order.slice(first, last + 1).every((k) => !told(k, order[last + 1]))) last++;
        if (last > first && (!bars.length || last > bars.at(-1)[1])) bars.push([first, last]);
      }
    }
    const lanes = []; // side by side are bars that overlap; a lane is as far down as its last bar
    const lane = bars.map(([from, to]) => {
      const free = lanes.findIndex((end) => end < from);
      const found = free < 0 ? lanes.length : free;
      lanes[found] = to;
      return found;
    });
    const [w, line, top] = [width(), 26, 6];
    const left = Math.min(w * 0.36, 12 + 7.4 * Math.max(...order.map((k) => name(k).length)));
    const right = w - 52 - 8 * lanes.length;
    const x = scale(1, of.of.length, left + 12, right - 8);
    const bottom = top + line * order.length;
    const parts = order.map((k, i) => {
      const y = top + line * (i + 0.5);
      const rank = of.rank[place(k)];
      return s(
        "g",
        { class: "row", click: () => tell(k), "aria-label": `${name(k)}: average rank ${rank.toFixed(2)}` },
        s("rect", { class: "hit", x: 0, y: y - line / 2, width: w, height: line }),
        s("text", { x: left, y: y + 4, "text-anchor": "end" }, cut(name(k), left)),
        s("path", { class: "bar", d: `M${x(1)} ${y}H${x(rank)}` }),
        s("circle", { class: "dot", cx: x(rank), cy: y, r: 4.5 }),
        s("text", { class: "value", x: w - 2, y: y + 4, "text-anchor": "end" }, rank.toFixed(2)),
      );
    });
    const joined = bars.map(([a, b], i) => s("path", { class: "join", d: `M${right + 8 * (lane[i] + 1)} ${top + line * (a + 0.3)}V${top + line * (b + 0.7)}` }));
    const others = measured().filter((k) => place(k) < 0).map(name);
    return [
      picture(w, bottom + 42, `Average ranks by ${kind().title}, ${where()}`, across(x, 1, of.of.length, top, bottom, `average rank over ${of.n} images among ${of.of.length} methods`, Math.min(of.of.length, w > WIDE ? 10 : 5)), pressable(parts), joined),
      h("p", { class: "below" }, `Of each image all ${of.of.length} comparable methods are ranked, also those that are not shown. ${of.told ? "A bar at the right joins methods no two of which are told apart (paired differences of average ranks, all pairs at once, 5 %)." : "Too few images to tell any two apart."}${others.length ? ` Not over the same images, or under other conditions: ${others.join(", ")}.` : ""}`),
    ];
  };

  const placed = []; // boxes of labels of the picture in hand
  const labelled = (x, y, text, right) => {
    const size = text.length * 6.6;
    const options = [[8, 4], [8, -8], [8, 16], [-8 - size, 4], [-8 - size, -8], [-8 - size, 16]];
    for (const [dx, dy] of options) {
      const box = [x + dx, y + dy - 10, x + dx + size, y + dy + 3];
      if (box[2] > right || box[0] < 0) continue;
      if (placed.every((o) => box[2] < o[0] || o[2] < box[0] || box[3] < o[1] || o[3] < box[1])) {
        placed.push(box);
        return s("text", { x: x + dx, y: y + dy }, text);
      }
    }
    return null;
  };

  views.cost = () => {
    const spent = cabinet()[state.cost];
    const shown = sorted().filter((k) => known(spent[k]));
    const choice = h(
      "label",
      {},
      "Cost in ",
      h(
        "select",
        { id: "explorer-cost", change: (event) => change({ cost: event.target.value }) },
        [["passes", "forward and backward passes"], ["seconds", "seconds"]].map(([value, words]) => h("option", { value, selected: state.cost === value }, words)),
      ),
    );
    if (!shown.length) return [choice, nothing("The cost of these rows is not known.")];
    const [w, tall] = [width(), width() > WIDE ? 400 : 330];
    const of = column();
    const [low, high] = padded(shown.flatMap((k) => [of.mean[k], of.ci_low[k] ?? of.mean[k], of.ci_high[k] ?? of.mean[k]]));
    const y = scale(low, high, tall - 46, 8);
    const positive = shown.map((k) => spent[k]).filter((v) => v > 0);
    const least = positive.length ? Math.floor(Math.log10(Math.min(...positive)) + 1e-9) : 0;
    const most = positive.length ? Math.max(least + 1, Math.ceil(Math.log10(Math.max(...positive)) - 1e-9)) : 1;
    const free = positive.length < shown.length; // no pass at all: left of the scale
    const start = least - (free ? 0.6 : 0);
    const x = scale(start, most, 54, w - 14);
    const at = (value) => (value > 0 ? x(Math.log10(value)) : x(start));
    const decades = Array.from({ length: most - least + 1 }, (_, i) => least + i);
    placed.length = 0;
    placed.push(...shown.map((k) => [at(spent[k]) - 5, y(of.mean[k]) - 5, at(spent[k]) + 5, y(of.mean[k]) + 5]));
    const parts = shown.map((k) =>
      s(
        "g",
        { class: "row", click: () => tell(k), "aria-label": `${name(k)}: ${estimate(of, k)}, ${short(spent[k])} ${state.cost}` },
        known(of.ci_low[k]) ? s("path", { class: "bar thin", d: `M${at(spent[k])} ${y(of.ci_low[k])}V${y(of.ci_high[k])}` }) : null,
        s("circle", { class: "hit", cx: at(spent[k]), cy: y(of.mean[k]), r: 13 }),
        s("circle", { class: "dot", cx: at(spent[k]), cy: y(of.mean[k]), r: 5 }, s("title", {}, `${name(k)}: ${estimate(of, k)}, ${short(spent[k])} ${state.cost}`)),
        labelled(at(spent[k]), y(of.mean[k]), name(k), w),
      ),
    );
    const labels = [...(free ? [[start, "0"]] : []), ...decades.map((d) => [d, (10 ** d).toLocaleString("en", { maximumFractionDigits: 6 })])];
    return [
      choice,
      picture(
        w,
        tall,
        `${titled(kind())} against ${state.cost}, ${where()}`,
        upwards(y, low, high, 50, w - 10, 6),
        s(
          "g",
          { class: "axis", "aria-hidden": "true" },
          labels.map(([d]) => s("path", { d: `M${x(d)} 8V${tall - 46}` })),
          labels.map(([d, words]) => s("text", { x: x(d), y: tall - 28, "text-anchor": "middle" }, words)),
          s("text", { x: (54 + w) / 2, y: tall - 8, "text-anchor": "middle" }, `${state.cost === "passes" ? "passes" : "seconds"} an image`),
        ),
        pressable(parts),
      ),
      h("p", { class: "below" }, `${titled(kind())}: mean over images and its 95 % interval. Passes: forward and backward ones of the method for one image. Seconds: of the method, an image's share of its batch, on the machine of the run.`),
    ];
  };

  const shade = (tau) => `background: color-mix(in srgb, var(${tau < 0 ? "--off" : "--good"}) ${Math.round(Math.abs(tau) * 60)}%, var(--paper))`;
  const matrix = (caption, titles, pairs) => {
    const cells = new Map(pairs.flatMap(([i, j, ...rest]) => [[`${i} ${j}`, rest], [`${j} ${i}`, rest]]));
    return h(
      "figure",
      { class: "sheet" },
      h("figcaption", {}, caption),
      h(
        "div",
        { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
        h(
          "table",
          { class: "matrix" },
          h("thead", {}, h("tr", {}, h("td"), titles.map((t) => h("th", { scope: "col" }, h("span", {}, t))))),
          h(
            "tbody",
            {},
            titles.map((title, i) =>
              h(
                "tr",
                {},
                h("th", { scope: "row" }, title),
                titles.map((other, j) => {
                  if (i === j) return h("td", { class: "self" }, "1");
                  const found = cells.get(`${i} ${j}`);
                  if (!found) return h("td", {}, "–");
                  const [tau, methods, images] = found;
                  return h("td", { style: shade(tau), title: `${title} and ${other}: τ-b ${number(tau, 2)}, ${methods} methods, ${images} images` }, number(tau, 2));
                }),
              ),
            ),
          ),
        ),
      ),
    );
  };

  views.agreement = () => {
    const all = room().agreement;
    if (!all) return nothing("There is no score here that methods could be ranked by.");
    const mains = Object.entries(room().metrics).map(([metric, m]) => {
      const signed = m.quantities.filter((q) => q.sign);
      return `${metric} ${(signed.find((q) => q.name === "gap") ?? signed[0])?.name}`;
    });
    const chosen = all.of
      .map(([metric, quantity], i) => ({ i, metric, quantity }))
      .filter(({ metric, quantity }) => state.scores === "every" || (state.scores === "main" ? mains.includes(`${metric} ${quantity}`) : quantity === state.scores));
    const place = new Map(chosen.map(({ i }, at) => [i, at]));
    const title = ({ metric, quantity }) => {
      const q = room().metrics[metric].quantities.find((one) => one.name === quantity);
      return room().metrics[metric].quantities.length > 1 ? `${metric} · ${q.title}` : metric;
    };
    const pairs = all[state.split].filter(([i, j]) => place.has(i) && place.has(j)).map(([i, j, ...rest]) => [place.get(i), place.get(j), ...rest]);
    const names = [...new Set(all.of.map(([, quantity]) => quantity))];
    const choice = h(
      "label",
      {},
      "Scores ",
      h(
        "select",
        { id: "explorer-scores", change: (event) => change({ scores: event.target.value }) },
        [["main", "one of each metric"], ["every", "every"], ...names.map((n) => [n, n])].map(([value, words]) => h("option", { value, selected: state.scores === value }, words)),
      ),
    );
    const networks = data.networks.find((n) => n.data === state.data && n.key.join() === [state.metric, state.quantity, state.split].join());
    return [
      choice,
      chosen.length > 1 && pairs.length ? matrix(`Kendall's τ-b of two rankings of the methods on ${state.model}, ${state.data}`, chosen.map(title), pairs) : nothing("Two scores of three methods at least are needed."),
      networks ? matrix(`Kendall's τ-b of two networks' rankings by ${kind().title} of ${state.metric}, ${state.data}`, networks.of, networks.pairs) : nothing("No other network here has this score of the same images."),
      h("p", { class: "below" }, `1: the same order; 0: none; −1: the reverse. By means over the images (${SPLITS[state.split]}) that all methods of both rankings have; a cell's title says how many. All methods count, also those that are not shown.`),
    ];
  };

  const line = (title, d) => {
    const [colour, dashes] = look(title);
    return s("path", { class: "curve", d, style: `stroke: ${colour}`, "stroke-dasharray": dashes.length ? dashes.join(" ") : null });
  };
  const swatch = (title) => s("svg", { class: "swatch", viewBox: "0 0 24 6", "aria-hidden": "true" }, s("path", { d: "M0 3H24", style: `stroke: ${look(title)[0]}; stroke-width: 2.4`, "stroke-dasharray": look(title)[1].join(" ") || null }));
  const FEW = 6; // bands of more methods than that would hide each other: they wait until one is pointed at
  const SIDES = ["insertion", "deletion"];
  const SHARE = ["share of values put in", "share of values taken out"];

  views.curves = () => {
    const curves = cabinet().curves;
    const shown = sorted().filter((k) => curves?.means[state.split][k]);
    if (!shown.length) return nothing("These rows hold no curves: the metric has none, or they were not kept.");
    const w = width() > 760 ? (width() - 20) / 2 : width();
    const tall = 300;
    const of = curves.means[state.split];
    const values = shown.flatMap((k) => of[k].flatMap(([, mean, reach]) => mean.flatMap((m, i) => [m - (reach[i] ?? 0), m + (reach[i] ?? 0)])));
    const [low, high] = [Math.min(0, ...values), Math.max(...values)];
    const [x, y] = [scale(0, 1, 46, w - 12), scale(low, high, tall - 46, 10)];
    const hairs = [];
    const slider = h("input", { type: "range", min: 0, max: 100, value: state.at, id: "explorer-at", "aria-label": "Share of values", input: () => point(Number(slider.value)) });
    const panels = SIDES.map((side, i) => {
      const hair = s("path", { class: "hair" });
      hairs.push(hair);
      const parts = shown.map((k) => {
        const [xs, mean, reach] = of[k][i];
        const up = xs.map((at, n) => `${x(at).toFixed(1)} ${y(mean[n] + (reach[n] ?? 0)).toFixed(1)}`);
        const down = xs.map((at, n) => `${x(at).toFixed(1)} ${y(mean[n] - (reach[n] ?? 0)).toFixed(1)}`).reverse();
        return s(
          "g",
          { "data-of": k, class: shown.length > FEW ? "quiet" : null },
          s("path", { class: "band", d: `M${[...up, ...down].join("L")}Z`, style: `fill: ${look(name(k))[0]}` }),
          line(name(k), `M${xs.map((at, n) => `${x(at).toFixed(1)} ${y(mean[n]).toFixed(1)}`).join("L")}`),
        );
      });
      const q = cabinet().quantities.find((one) => one.name === side);
      const svg = picture(w, tall, `Mean curves: ${q.title}, ${where()}`, upwards(y, low, high, 42, w - 10, 5), across(x, 0, 1, 10, tall - 46, SHARE[i], 5), parts, hair);
      const follow = (event) => {
        const box = svg.getBoundingClientRect();
        point(Math.round(100 * Math.min(1, Math.max(0, ((event.clientX - box.left) * (w / box.width) - 46) / (w - 58)))));
      };
      svg.addEventListener("pointermove", follow);
      svg.addEventListener("pointerdown", follow);
      return h("div", {}, h("h4", {}, `${titled(q)}, ${q.unit}`), svg);
    });
    const cells = new Map();
    const light = (k) => {
      for (const part of all("[data-of]", root)) {
        part.classList.toggle("dim", k !== null && Number(part.dataset.of) !== k);
        part.classList.toggle("lit", Number(part.dataset.of) === k);
      }
    };
    const table = h(
      "table",
      { class: "readout" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Method"), SIDES.map((side) => h("th", { scope: "col" }, cabinet().quantities.find((q) => q.name === side).title)))),
      h(
        "tbody",
        {},
        shown.map((k) => {
          const both = SIDES.map(() => h("td"));
          cells.set(k, both);
          const button = h("button", { type: "button", click: () => tell(k), focus: () => light(k), blur: () => light(null) }, swatch(name(k)), name(k));
          return h("tr", { mouseenter: () => light(k), mouseleave: () => light(null) }, h("th", { scope: "row" }, button), both);
        }),
      ),
    );
    const told = h("output", { for: "explorer-at" });
    const point = (at) => {
      state.at = at;
      slider.value = at;
      told.textContent = `${at} %`;
      hairs.forEach((hair) => hair.setAttribute("d", `M${x(at / 100)} 10V${tall - 46}`));
      for (const [k, both] of cells) {
        both.forEach((cell, i) => {
          const [xs, mean, reach] = of[k][i];
          const n = xs.reduce((best, v, m) => (Math.abs(v - at / 100) < Math.abs(xs[best] - at / 100) ? m : best), 0);
          cell.textContent = number(mean[n], 3) + (known(reach[n]) ? ` ± ${reach[n].toFixed(3)}` : "");
        });
      }
    };
    point(state.at);
    return [
      h("div", { class: "sides" }, panels),
      h("label", { class: "slider" }, "At ", slider, told),
      h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "The curves at the chosen share" }, table),
      h("p", { class: "below" }, "Line: mean over images; band: its 95 % interval at each point (mean ± 1.96 standard errors). Point at a curve, or move the slider, to read the nearest of the kept points."),
    ];
  };

  // One image: what two methods make of it.
  const decoded = (k, side, image) => {
    const curves = cabinet().curves;
    if (!curves || image >= curves.images) return null;
    const text = curves.single[k][side].slice(2 * curves.points * image, 2 * curves.points * (image + 1));
    if (!text.trim()) return null;
    const [low, high] = curves.range;
    return Array.from({ length: curves.points }, (_, i) => low + ((64 * LETTERS.indexOf(text[2 * i]) + LETTERS.indexOf(text[2 * i + 1])) / 4095) * (high - low));
  };
  const hung = (image, k) => {
    const article = all(".exhibit").find((e) => e.dataset.image === image && e.dataset.model === state.model && e.dataset.data === state.data);
    if (!article) return {};
    const maps = room().methods[cabinet().rows[k]].maps;
    const map = all("figure[data-maps]", article).find((figure) => figure.dataset.maps === maps);
    return { photograph: article.querySelector(".photograph img"), map: map?.querySelector("img"), small: article.querySelector(".maps.small") };
  };
  const shot = (image, words) => h("figure", {}, image ? h("img", { src: image.src, alt: words }) : h("div", { class: "missing" }, "not kept"), h("figcaption", {}, words));

  views.images = () => {
    const order = sorted();
    if (order.length < 2) return nothing("Two methods are needed: choose more of them.");
    const find = (wanted, other) => order.find((k) => name(k) === wanted) ?? order.find((k) => k !== other);
    const a = find(state.a, null);
    const b = find(state.b === name(a) ? null : state.b, a);
    const scores = cabinet().scores[state.quantity];
    const low = room().facts.confidence.map((c) => known(c) && c < data.threshold);
    const inside = room().images.map((_, i) => i).filter((i) => state.split === "all" || low[i] === (state.split === "low"));
    const there = inside.filter((i) => known(scores[a][i]) && known(scores[b][i]));
    const pick = (key, k) =>
      h("label", {}, key === "a" ? "Across " : "Up ", h("select", { id: `explorer-${key}`, change: (event) => change({ [key]: event.target.value }) }, order.map((one) => h("option", { value: name(one), selected: one === k, disabled: one === (key === "a" ? b : a) }, name(one)))));
    const choice = h("div", { class: "choice" }, pick("a", a), pick("b", b));
    if (!there.length) return [choice, nothing("No image has both scores.")];
    let image = there.find((i) => room().images[i] === state.image) ?? there[0];
    const side = Math.min(width(), 470);
    const [least, greatest] = padded(there.flatMap((i) => [scores[a][i], scores[b][i]]));
    const [x, y] = [scale(least, greatest, 50, side - 12), scale(least, greatest, side - 50, 10)];
    const dots = there.map((i) =>
      s(
        "g",
        { class: "row", "data-image": i, click: () => show(i), "aria-label": `${room().images[i]}: ${name(a)} ${number(scores[a][i], 3)}, ${name(b)} ${number(scores[b][i], 3)}` },
        s("circle", { class: "hit", cx: x(scores[a][i]), cy: y(scores[b][i]), r: 9 }),
        s("circle", { class: `dot${low[i] ? " low" : ""}`, cx: x(scores[a][i]), cy: y(scores[b][i]), r: 4 }, s("title", {}, room().images[i])),
      ),
    );
    const of = column();
    const at = of.rank ? pair(of.of, a, b) : null;
    const sign = a < b ? 1 : -1;
    const difference = at === null ? null : sign * of.difference[at];
    const sentence =
      at === null
        ? "The two are not comparable: other images, or other conditions."
        : `${name(a)} − ${name(b)}, mean over ${of.n} images: ${difference > 0 ? "+" : ""}${number(difference)}${known(of.reach[at]) ? ` ± ${of.reach[at].toFixed(4)}` : ""}. ${of.told ? (Math.abs(difference) > of.reach[at] ? "Told apart" : "Not told apart") + " (95 %, all pairs of the column at once)." : "Too few images to tell any two apart; the interval holds for this pair alone."}`;
    const detail = h("div", { class: "detail", "aria-live": "polite" });
    const select = h("select", { id: "explorer-image", change: () => show(Number(select.value)) }, there.map((i) => h("option", { value: i }, room().images[i])));
    const step = (by) => h("button", { type: "button", click: () => show(there[(there.indexOf(image) + by + there.length) % there.length]) }, by < 0 ? "← Previous" : "Next →");
    const show = (i) => {
      image = i;
      state.image = room().images[i];
      select.value = i;
      dots.forEach((dot, n) => {
        dot.classList.toggle("chosen", there[n] === i);
        dot.setAttribute("tabindex", there[n] === i ? 0 : -1);
      });
      const facts = Object.fromEntries(Object.entries(room().facts).map(([key, values]) => [key, values[i]]));
      const words = [
        known(facts.prediction) ? `predicted: ${called(facts.prediction)}` : null,
        known(facts.confidence) ? `confidence ${Math.round(100 * facts.confidence)} %` : null,
        known(facts.label) ? `label: ${called(facts.label)}` : null,
        known(facts.target) && facts.target !== facts.prediction ? `explained: ${called(facts.target)}` : null,
      ].filter(Boolean);
      const pictures = [hung(state.image, a), hung(state.image, b)];
      const photograph = pictures[0].photograph ?? pictures[1].photograph;
      const drawn = [a, b].map((k) => SIDES.map((_, n) => decoded(k, n, i)));
      detail.replaceChildren(
        h("h4", {}, state.image),
        h("p", { class: "below" }, words.join(" · ")),
        photograph || pictures.some((p) => p.map)
          ? h("div", { class: `maps three${pictures.some((p) => p.small) ? " small" : ""}` }, shot(photograph, "photograph"), shot(pictures[0].map, name(a)), shot(pictures[1].map, name(b)))
          : h("p", { class: "below" }, "This page holds no picture of this image: its maps were not saved, or there was no room."),
        drawn.flat().every(Boolean) ? curvesOf(drawn, [a, b]) : h("p", { class: "below" }, cabinet().curves ? "This page holds no curves of this image." : "This metric has no curves, or they were not kept."),
        h(
          "table",
          { class: "readout" },
          h("thead", {}, h("tr", {}, h("td"), [a, b].map((k) => h("th", { scope: "col" }, name(k))))),
          h("tbody", {}, cabinet().quantities.map((q) => h("tr", {}, h("th", { scope: "row" }, titled(q)), [a, b].map((k) => h("td", {}, number(cabinet().scores[q.name][k][i], 3)))))),
        ),
      );
      remember();
    };
    const curvesOf = (drawn, both) => {
      const [w, tall] = [width() < 788 ? width() : (width() - 28) / 2, 170]; // .beside has two columns or one
      const each = (w - 12) / 2;
      const [floor, top] = [Math.min(0, ...drawn.flat(2)), Math.max(...drawn.flat(2))];
      const [cx, cy] = [scale(0, 1, 34, each - 6), scale(floor, top, tall - 40, 8)];
      const path = (curve) => `M${curve.map((v, n) => `${cx(n / (curve.length - 1)).toFixed(1)} ${cy(v).toFixed(1)}`).join("L")}`;
      return h(
        "div",
        { class: "pairs" },
        SIDES.map((q, n) =>
          h(
            "div",
            {},
            h("h5", {}, cabinet().quantities.find((one) => one.name === q).title),
            picture(each, tall, `${q} curves of this image: ${both.map(name).join(" and ")}`, upwards(cy, floor, top, 32, each - 4, 3), across(cx, 0, 1, 8, tall - 40, "", 2), both.map((k, m) => line(name(k), path(drawn[m][n])))),
          ),
        ),
        h("p", { class: "key" }, both.map((k) => h("span", {}, swatch(name(k)), ` ${name(k)} `))),
      );
    };
    const scatter = picture(
      side,
      side,
      `${titled(kind())} of each image: ${name(a)} across, ${name(b)} up`,
      upwards(y, least, greatest, 46, side - 10, 5),
      across(x, least, greatest, 10, side - 50, `${kind().title} of ${name(a)}`, 5),
      s("path", { class: "diagonal", d: `M${x(least)} ${y(least)}L${x(greatest)} ${y(greatest)}` }),
      pressable(dots),
      s("text", { class: "up", x: 0, y: 0, transform: `translate(11 ${side / 2 - 20}) rotate(-90)`, "text-anchor": "middle" }, `${kind().title} of ${name(b)}`),
    );
    show(image);
    const more = room().of > room().images.length ? ` The first ${room().images.length} of ${room().of} images: the others have no room in one page.` : "";
    return [
      choice,
      h("p", {}, sentence),
      h("div", { class: "beside" }, h("div", {}, scatter, h("p", { class: "below" }, `A point an image; on the line the two are equal. Hollow: ${SPLITS.low}.${more}`)), h("div", {}, h("div", { class: "choice" }, h("label", {}, "Image ", select), h("span", { class: "step" }, step(-1), " ", step(1))), detail)),
    ];
  };

  // About one number: what it says, whose it is, and how to have it again.
  const copied = (text, words) => {
    const box = h("pre", { tabindex: 0 }, text);
    const button = h(
      "button",
      {
        type: "button",
        class: "copy",
        click: async () => {
          try {
            await navigator.clipboard.writeText(text);
            button.textContent = "Copied";
          } catch {
            getSelection().selectAllChildren(box); // a page from disk may not be allowed more
            button.textContent = "Selected";
          }
        },
      },
      "Copy",
    );
    return h("div", { class: "copied" }, h("h4", {}, words, " ", button), box);
  };
  const panel = document.getElementById("number");
  let asked = null; // what was pressed, to which closing leads back
  const close = () => {
    panel.hidden = true;
    if (asked?.isConnected) asked.focus();
  };
  panel.addEventListener("keydown", (event) => event.key === "Escape" && close());
  const tell = (k) => {
    asked = document.activeElement;
    const of = column();
    const run = data.runs[cabinet().runs[k]];
    const method = room().methods[cabinet().rows[k]].method;
    const n = cabinet().splits[state.split].n[k];
    const failed = cabinet().splits[state.split].failed[k];
    const standing = { best: "The best mean of the comparable rows.", level: "In the best set: no row of it is told to be worse than any other." }[of.standing[k]];
    const facts = [
      [titled(kind()), `${estimate(of, k)} (${kind().unit})`],
      ["95 % interval", known(of.ci_low[k]) ? `${number(of.ci_low[k])} to ${number(of.ci_high[k])}` : "not known"],
      ["Median [quartiles]", `${number(of.median[k])} [${number(of.q1[k])}, ${number(of.q3[k])}]`],
      ...(known(of.share[k]) ? [["Share of what is possible", `${number(of.share[k], 2)}${known(of.share_low[k]) ? ` [${number(of.share_low[k], 2)}, ${number(of.share_high[k], 2)}]` : ""}: 0 is random, 1 the ceiling`]] : []),
      ["Images", `${n}${failed ? ` (+ ${failed} failed)` : ""}`],
      ["Cost of an image", `${short(cabinet().passes[k])} passes, ${short(cabinet().seconds[k])} s`],
      ["Run", `${cabinet().runs[k]}, ${run.created}, ${run.device}, commit ${run.commit}`],
    ];
    panel.replaceChildren(
      h("button", { type: "button", class: "close", click: close, "aria-label": "Close" }, "×"),
      h("h3", {}, name(k), h("small", {}, ` ${where()}`)),
      h("dl", {}, facts.map(([term, words]) => h("div", {}, h("dt", {}, term), h("dd", {}, words)))),
      ...(standing ? [h("p", {}, standing)] : []),
      ...(data.about[method] ? [h("p", { class: "below" }, data.about[method])] : []),
      copied(run.command, "Run this yourself"),
      copied(run.check, "Check some of its rows"),
      copied(`${name(k)}, ${kind().title} of ${state.metric} on ${state.model}, ${state.data}, images: ${SPLITS[state.split]}: ${estimate(of, k)}, n = ${n}. Heatproof ${run.version}, protocol ${run.protocol}, run ${cabinet().runs[k]}, ${run.created}.`, "Cite this number"),
    );
    panel.hidden = false;
    panel.focus({ preventScroll: true });
    panel.scrollIntoView({ block: "nearest" });
  };

  // Choosing. What does not go together gives way: the metric to the network, the score to the metric.
  const filled = (select, options, value) => {
    select.replaceChildren(...options.map(([v, words]) => h("option", { value: v }, words)));
    select.value = value;
  };
  const first = (options, wanted) => (options.includes(wanted) ? wanted : options[0]);
  const settle = () => {
    const models = [...new Set(data.rooms.map((r) => r.model))];
    state.model = first(models, state.model);
    const datas = data.rooms.filter((r) => r.model === state.model).map((r) => r.data);
    state.data = first(datas, state.data);
    const metrics = Object.keys(room().metrics);
    state.metric = first(metrics, metrics.includes(state.metric) ? state.metric : data.usual);
    const quantities = cabinet().quantities;
    state.quantity = first(quantities.map((q) => q.name), state.quantity);
    const splits = Object.keys(SPLITS).filter((split) => split === "all" || cabinet().splits[split].n.some((n) => n));
    state.split = first(splits, state.split);
    filled(form.elements.model, models.map((m) => [m, m]), state.model);
    filled(form.elements.data, datas.map((d) => [d, d]), state.data);
    filled(form.elements.metric, metrics.map((m) => [m, m]), state.metric);
    filled(form.elements.quantity, quantities.map((q) => [q.name, titled(q)]), state.quantity);
    filled(form.elements.split, splits.map((split) => [split, SPLITS[split]]), state.split);
  };
  const draw = () => {
    for (const [id, view] of Object.entries(views)) {
      const drawn = view();
      document.getElementById(`panel-explorer-${id}`).replaceChildren(...(Array.isArray(drawn) ? drawn : [drawn]));
    }
    const names = room().methods.map((m) => m.name);
    document.getElementById("explorer-count").textContent = `${names.filter((n) => !state.off.has(n)).length} of ${names.length} shown`;
    remember();
  };
  const KEYS = ["model", "data", "metric", "quantity", "split", "view", "cost", "scores", "a", "b", "image"];
  const remember = () => {
    const said = new URLSearchParams(KEYS.filter((key) => state[key]).map((key) => [key, state[key]]));
    if (state.off.size) said.set("without", [...state.off].join(" | "));
    if (state.ready) history.replaceState(null, "", `#explore?${said}`);
    const cite = document.getElementById("cite-choice");
    cite.textContent = `These are ${where()}: Heatproof ${data.cite.version}, protocol ${data.cite.protocol}. The address of this page holds what is chosen.`;
    cite.hidden = false;
  };
  const change = (what) => {
    Object.assign(state, what);
    panel.hidden = true;
    state.ready = true;
    const focus = document.activeElement?.id;
    settle();
    draw();
    if (focus && document.activeElement?.id !== focus) document.getElementById(focus)?.focus();
  };
  const recall = () => {
    const [place, query] = location.hash.slice(1).split("?");
    if (place !== "explore" || !query) return;
    const said = new URLSearchParams(query);
    for (const key of KEYS) if (said.has(key)) state[key] = said.get(key);
    if (!["passes", "seconds"].includes(state.cost)) state.cost = "passes";
    state.off = new Set((said.get("without") ?? "").split(" | ").filter(Boolean));
    settle();
    chips();
    draw();
    document.getElementById(`tab-explorer-${state.view}`)?.click();
    document.getElementById("explore").scrollIntoView();
  };

  const list = root.querySelector(".chips");
  const chips = () => {
    const names = room().methods.map((m) => m.name);
    list.replaceChildren(
      ...names.map((title) => {
        const box = h("input", { type: "checkbox", value: title, change: () => (box.checked ? state.off.delete(title) : state.off.add(title), change({})) });
        box.checked = !state.off.has(title);
        return h("li", {}, h("label", {}, box, swatch(title), title));
      }),
    );
    seek();
  };
  const finder = document.getElementById("explorer-find");
  const seek = () => {
    for (const item of list.children) item.hidden = !item.textContent.toLowerCase().includes(finder.value.trim().toLowerCase());
  };
  finder.addEventListener("input", seek);
  for (const button of all("[data-all]", root)) {
    button.addEventListener("click", () => {
      for (const item of list.children) {
        if (item.hidden) continue; // what is not found is left as it is
        const box = item.querySelector("input");
        box.checked = Boolean(button.dataset.all);
        if (box.checked) state.off.delete(box.value);
        else state.off.add(box.value);
      }
      change({});
    });
  }
  form.addEventListener("change", (event) => {
    const { name: key, value } = event.target;
    change({ [key]: value });
    if (key === "model" || key === "data") chips();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const tab of all("[role=tab]", root)) {
    const seen = () => {
      if (tab.getAttribute("aria-selected") !== "true") return;
      state.view = tab.id.replace("tab-explorer-", "");
      remember();
    };
    tab.addEventListener("click", () => { state.ready = true; seen(); });
    tab.addEventListener("focus", seen);
  }

  root.hidden = false;
  for (const words of all(".without")) words.hidden = true;
  settle();
  chips();
  draw();
  let drawn = root.clientWidth;
  addEventListener("resize", () => {
    if (root.clientWidth === drawn) return;
    drawn = root.clientWidth;
    draw();
  });
  addEventListener("hashchange", recall);
  recall();
};
const explored = document.getElementById("explorer-data");
if (explored) explore(JSON.parse(explored.textContent));
