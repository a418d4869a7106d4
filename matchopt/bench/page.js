(() => { // the library declares hundreds of names of its own
"use strict";
const report = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const state = { family: Object.keys(report.families)[0], solver: "", instance: "", sort: null, down: false, most: 200 };
for (const [name, value] of new URLSearchParams(location.hash.slice(1))) if (name in state && name !== "most") state[name] = value;
if (!(state.family in report.families)) state.family = Object.keys(report.families)[0];

const shown = (value, kind) => {
  if (value === null || value === undefined) return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (kind === "share") return `${Number((100 * value).toPrecision(3))} %`;
  if (kind === "rank" && typeof value === "number") return value.toFixed(2);
  return typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(kind === "short" ? 3 : 6))) : String(value);
};

function fill(table, columns, rows, onSort) {
  const head = document.createElement("tr");
  for (const [name, title, kind] of columns) {
    const cell = document.createElement("th");
    cell.textContent = title;
    cell.className = kind ? "n" : "";
    if (onSort) cell.addEventListener("click", () => onSort(name));
    head.append(cell);
  }
  const body = document.createDocumentFragment();
  for (const row of rows) {
    const line = document.createElement("tr");
    line.className = row.spoiled === true ? "spoiled" : "";
    for (const [name, , kind] of columns) {
      const cell = document.createElement("td");
      cell.textContent = shown(row[name], kind);
      cell.className = `${kind ? "n" : ""} ${name.endsWith("seconds") ? "t" : ""}`;
      line.append(cell);
    }
    body.append(line);
  }
  table.tHead.replaceChildren(head);
  table.tBodies[0].replaceChildren(body);
}

function chosenRuns() {
  const wanted = (text, part) => text.toLowerCase().includes(part.toLowerCase());
  const all = Object.keys(report.families)[0];
  const rows = report.runs.filter((run) =>
    (state.family === all || run.family === state.family) && wanted(run.solver, state.solver) &&
    wanted(run.instance, state.instance));
  if (state.sort) {
    const of = (row) => row[state.sort];
    const order = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
    rows.sort((a, b) => (of(a) ?? null) === null ? 1 : (of(b) ?? null) === null ? -1 : (state.down ? -1 : 1) * order(of(a), of(b)));
  }
  return rows;
}

function showRuns() {
  const rows = chosenRuns();
  const few = rows.slice(0, state.most);
  at("count").textContent = `${rows.length} of ${report.runs.length} runs and refusals${few.length < rows.length ? `, the first ${few.length} shown` : ""}`;
  at("all-runs").hidden = few.length === rows.length;
  fill(at("runs"), report.run_columns, few, (name) => {
    state.down = state.sort === name && !state.down;
    state.sort = name;
    showRuns();
  });
}

const quoted = (value) => (value === null || value === undefined ? "" : /[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : String(value));
function save(name, rows) {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const text = [names.join(","), ...rows.map((row) => names.map((key) => quoted(row[key])).join(","))].join("\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`${text}\n`], { type: "text/csv" }));
  link.download = `${name}.csv`;
  link.click();
  URL.revokeObjectURL(link.href);
}

const grey = "#767676"; // legible on light and on dark
const look = {
  background: "transparent", view: { stroke: null }, axis: { labelColor: grey, titleColor: grey, gridColor: "#8884", domainColor: grey, tickColor: grey },
  legend: { labelColor: grey, titleColor: grey }, text: { color: grey }, font: "system-ui, sans-serif",
};
const ofBest = {
  residuals: (best) => best.layers.flatMap((layer, number) => ["connected", "unconnected"].flatMap((part) =>
    layer[part].map((count, bin) => ({ series: `layer ${number}, ${part}`, from: layer.edges[bin], to: layer.edges[bin + 1], count }))))
    .filter((row) => row.count),
  cells: (best) => {
    const { side, size, cells } = best.layers[at("layer").value];
    return cells.flatMap((line, row) => [...line].map((digit, column) => ({
      neuron: row * side, neuron_end: Math.min((row + 1) * side, size[0]), cell: column * side,
      cell_end: Math.min((column + 1) * side, size[1]), state: report.states[digit] })));
  },
  wiring: (best) => (best.neurons[at("neuron").value]?.wires ?? [])
    .map(([input, target, realised, cells]) => ({ input, target, realised, cells: cells || "none" })),
};
const rowsOf = (name) =>
  name in ofBest ? ofBest[name](report.best[at("best").value]) : report.families[state.family].charts[name];

const due = new Set(); // charts that are not yet drawn as they should be: each is drawn once it comes near the screen
const near = new IntersectionObserver((entries) =>
  entries.forEach((entry) => entry.isIntersecting && drawn(entry.target.id.slice("chart-".length))), { rootMargin: "300px" });
function draw(name) {
  due.add(name);
  near.unobserve(at(`chart-${name}`)); // so that it is told anew where the chart is
  near.observe(at(`chart-${name}`));
}

function load() { // compiling the library takes as long as all else: not before there is something to draw
  const script = Object.assign(document.createElement("script"), { textContent: at("library").textContent });
  document.head.append(script);
}

async function drawn(name) {
  if (!due.delete(name)) return;
  if (!window.vegaEmbed) load();
  at(`chart-${name}`).style.minHeight = 0;
  const rows = rowsOf(name);
  const chart = report.specs[name];
  const different = (channel) => new Set(rows.map((row) => row[chart.encoding[channel]?.field])).size;
  const step = Math.max(22, 10 * different("yOffset")); // of a chart that has a line for each name
  const spec = { height: step * different("y") + 10, ...chart, data: { values: rows }, config: look };
  if (!rows.length) return at(`chart-${name}`).replaceChildren("Nothing to draw.");
  return vegaEmbed(at(`chart-${name}`), spec, {
    mode: "vega-lite", renderer: rows.length > 3000 ? "canvas" : "svg", downloadFileName: name,
    actions: { export: { svg: true, png: false }, source: false, compiled: false, editor: false },
  });
}

async function showFamily(then) {
  const family = report.families[state.family];
  at("answer").replaceChildren(...family.verdict.map((text) => Object.assign(document.createElement("p"), { textContent: text })));
  fill(at("leaderboard"), report.leader_columns, family.leaderboard);
  await new Promise((done) => setTimeout(done)); // the answer is seen before all else is there
  showRuns();
  for (const name of Object.keys(report.specs)) if (!(name in ofBest)) draw(name);
  if (then) then();
  document.documentElement.dataset.ready = state.family;
}

const choose = (id, names) => at(id).replaceChildren(...names.map(([value, text]) => new Option(text, value)));
function showBest() {
  const best = report.best[at("best").value];
  choose("layer", best.layers.map(({ size }, number) => [number, `${number}: ${size[0]} neurons of ${size[1]} cells`]));
  choose("neuron", best.neurons.map(({ layer, row, error }, number) => [number, `layer ${layer}, neuron ${row}, error ${error}`]));
  at("whose").textContent = `${best.solver}, seed ${best.seed}, objective ${shown(best.objective, "number")}`;
  for (const name of Object.keys(ofBest)) draw(name);
}
function showBests() {
  choose("best", Object.keys(report.best).map((name) => [name, name]));
  at("best").addEventListener("input", showBest);
  at("layer").addEventListener("input", () => draw("cells"));
  at("neuron").addEventListener("input", () => draw("wiring"));
  showBest();
}

for (const name of Object.keys(report.families)) at("family").add(new Option(name, name, false, name === state.family));
for (const name of ["family", "solver", "instance"]) {
  at(name).value = state[name];
  at(name).addEventListener("input", () => {
    state[name] = at(name).value;
    name === "family" ? showFamily() : showRuns();
  });
}
at("all-runs").addEventListener("click", () => { state.most = Infinity; showRuns(); });
window.addEventListener("beforeprint", () => due.forEach(drawn)); // what nobody has scrolled to is printed, too
at("save-runs").addEventListener("click", () => save("runs", chosenRuns()));
at("save-leaderboard").addEventListener("click", () => save("leaderboard", report.families[state.family].leaderboard));
for (const button of document.querySelectorAll("button[data-chart]"))
  button.addEventListener("click", () => save(button.dataset.chart, rowsOf(button.dataset.chart)));
showFamily(Object.keys(report.best).length ? showBests : null);
})();
