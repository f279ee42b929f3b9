"""How pages look and how they draw: one style and one script for all of them, no network, light or dark."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --ink: #1d2126; --soft: #5b636e; --line: #dde1e6; --paper: #ffffff;
  --card: #f7f8fa; --link: #1a66a8; --leads: #e6f0f9; --invert: none; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #a0a7b1; --line: #383d45;
  --paper: #16181c; --card: #1e2126; --link: #7db8ec; --leads: #20344a;
  --invert: invert(1) hue-rotate(180deg); } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 80rem; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
a { color: var(--link); }
a:focus-visible, button:focus-visible, summary:focus-visible, .wide:focus-visible {
  outline: 2px solid var(--link); outline-offset: 2px; }
h1 { font-size: 1.5rem; margin: 0.5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 0.25rem; overflow-wrap: anywhere; }
h3 { font-size: 1rem; margin: 0; }
p, nav, figcaption, .notes { color: var(--soft); margin: 0.25rem 0; overflow-wrap: anywhere; }
nav ul, .legend { list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap;
  gap: 0.25rem 1rem; }
nav [aria-current] { color: var(--ink); font-weight: 600; }
.notes { padding-left: 1.1rem; }
.notes strong { color: var(--ink); }
.gallery { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(19rem, 100%), 1fr)); }
.charts { display: grid; gap: 1rem; margin-top: 0.75rem;
  grid-template-columns: repeat(auto-fit, minmax(min(30rem, 100%), 1fr)); }
.charts figure:last-child:nth-child(odd) { grid-column: 1 / -1; }
figure { margin: 0; padding: 0.75rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; min-width: 0; }
figure a img { width: 100%; aspect-ratio: 3 / 2; object-fit: contain; display: block; filter: var(--invert); }
figcaption { font-size: 0.9rem; margin-top: 0.5rem; }
figcaption strong { color: var(--ink); }
.none { padding: 2rem 0; }
.chart { margin-top: 0.5rem; }
img.whole { width: 100%; }
.scroller { overflow-x: auto; }
.wide { overflow-x: auto; max-width: 100%; }
details { margin-top: 0.75rem; }
summary { cursor: pointer; color: var(--link); }
details .wide { max-height: 26rem; overflow-y: auto; border: 1px solid var(--line); border-radius: 4px; }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.3rem 0.7rem; text-align: left; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
thead th { background: var(--card); color: var(--soft); position: sticky; top: 0; vertical-align: bottom;
  white-space: normal; min-width: 4rem; }
th[scope=row], thead th:first-child { font-weight: 600; position: sticky; left: 0; background: var(--paper); }
thead th:first-child { background: var(--card); z-index: 1; }
td.number, th.number { text-align: right; }
td.leads, th.leads[scope=row] { background: var(--leads); font-weight: 600; }
.legend { position: sticky; top: 0; z-index: 2; padding: 0.5rem 0; background: var(--paper); }
.legend button { font: inherit; font-size: 0.9rem; color: var(--ink); background: none; border: 0;
  padding: 0.1rem 0.2rem; cursor: pointer; display: inline-flex; align-items: center; gap: 0.4rem; }
.legend button[aria-pressed=false] { color: var(--soft); text-decoration: line-through; }
.legend button[aria-pressed=false] svg { opacity: 0.25; }
@media (max-width: 40rem) { body { padding: 1rem 0.75rem; } figure { padding: 0.5rem; }
  th, td { padding: 0.3rem 0.45rem; } }
@media print { .legend { position: static; } }
"""

# Colours of text and lines come from the style above, so a page that turns dark takes its charts along.
# Panels that stand side by side on a wide page stand below each other on a narrow one.
SCRIPT = """
function dressed(layout) {
  const style = getComputedStyle(document.documentElement);
  const colour = name => style.getPropertyValue(name).trim();
  layout.font = {...layout.font, color: colour("--ink"), family: "system-ui, sans-serif"};
  for (const key of Object.keys(layout).filter(key => /^[xy]axis[0-9]*$/.test(key))) {
    layout[key].gridcolor = layout[key].linecolor = colour("--line");
  }
  for (const note of layout.annotations || []) note.bgcolor = colour("--paper");
}
function arranged(layout, width) {
  const {panels, columns: most, tall, least} = layout.meta, narrow = width < 560 && !least;
  const columns = Math.max(1, Math.min(most, Math.floor(width / 260))), rows = Math.ceil(panels / columns);
  layout.font = {...layout.font, size: narrow ? 11 : 12};
  if (narrow) {
    const bar = layout.coloraxis;
    layout.margin = {...layout.margin, l: 48, r: 12, b: bar ? 120 : 60};
    const below = {orientation: "h", x: 0.5, y: 0, yref: "container", yanchor: "bottom", len: 1};
    if (bar) bar.colorbar = {...bar.colorbar, ...below, title: {...bar.colorbar.title, side: "top"}};
  }
  if (panels === 1 || columns === most) return;
  const aside = columns > 1 ? 0.2 / columns : 0, below = Math.min(0.28 / rows, 0.22);
  const wide = (1 - aside * (columns - 1)) / columns, high = (1 - below * (rows - 1)) / rows;
  for (let i = 0; i < panels; i++) {
    const axis = "axis" + (i ? i + 1 : ""), x = (i % columns) * (wide + aside);
    const top = 1 - Math.floor(i / columns) * (high + below);
    layout["x" + axis].domain = [x, Math.min(x + wide, 1)];
    layout["y" + axis].domain = [Math.max(top - high, 0), top];
  }
  layout.height = 120 + tall * rows;
}
for (const chart of document.querySelectorAll(".chart")) {
  const figure = JSON.parse(document.getElementById(chart.id + "-data").textContent);
  const least = figure.layout.meta.least;
  if (least) chart.style.minWidth = least + "px";
  let width = chart.clientWidth;
  const draw = () => {
    const layout = structuredClone(figure.layout);
    dressed(layout);
    arranged(layout, width);
    layout.width = width;
    chart.style.height = layout.height + "px";
    return Plotly.react(chart, figure.data, layout, {displaylogo: false});
  };
  draw().then(() => { chart.dataset.drawn = "yes"; });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  addEventListener("resize", () => {
    if (chart.clientWidth === width) return;
    width = chart.clientWidth;
    draw();
  });
}
for (const button of document.querySelectorAll(".legend button")) {
  button.addEventListener("click", () => {
    const shown = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", shown);
    for (const chart of button.closest("section").querySelectorAll(".chart")) {
      const own = [...chart.data.keys()].filter(i => chart.data[i].legendgroup === button.value);
      if (own.length) Plotly.restyle(chart, {visible: shown}, own);
    }
  });
}
"""
