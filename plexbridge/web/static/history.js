// Draws the charts of a span: sessions at once, and bits per second. The table beside them says the same.
import { localTimes, said } from "./times.js";
import { rate } from "./words.js";

const HEIGHT = 170;
const HOUR_MS = 3600e3, DAY_MS = 24 * HOUR_MS;
const holder = document.getElementById("charts");
const data = JSON.parse(holder.dataset.chart);
const seconds = data.at_once.map((_, index) => (data.from + index * data.width_ms) / 1000);
const dark = matchMedia("(prefers-color-scheme: dark)");
let charts = [];

function paint(name) {
  // A token may be `light-dark(…)`: only as the colour of something is it one of the two.
  const probe = document.createElement("i");
  probe.className = name;
  holder.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

function chart(title, values, colour, soft, line, write) {
  const figure = document.createElement("div");
  const top = values.reduce((most, value) => Math.max(most, value), 0);
  figure.setAttribute("role", "img");
  figure.setAttribute("aria-label", `${title}, at most ${write(top)}; the table below has the figures`);
  holder.append(figure);
  const span = values.length * data.width_ms;
  const moment = new Intl.DateTimeFormat([], span > 2 * DAY_MS ? { month: "short", day: "numeric" }
    : { hour: "2-digit", minute: "2-digit", second: span < HOUR_MS ? "2-digit" : undefined, hourCycle: "h23" });
  const axis = { stroke: soft, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
  return new uPlot({
    width: figure.clientWidth, height: HEIGHT, cursor: { drag: { x: false, y: false } },
    scales: { y: { range: (_, low, high) => [0, Math.max(high * 1.08, 1)] } },
    axes: [{ ...axis, space: 80, values: (_, marks) => marks.map((mark) => moment.format(mark * 1000)) }, { ...axis, size: 78, values: (_, marks) => marks.map((mark) => (Number.isInteger(mark) ? write(mark) : "")) }],
    series: [
      { label: "from", value: (_, at) => (at === null ? "–" : said(at * 1000)) },
      { label: title, stroke: colour, fill: colour.replace("rgb(", "rgba(").replace(")", ", .18)"), width: 2,
        paths: uPlot.paths.stepped({ align: 1 }), points: { show: false }, value: (_, value) => (value === null ? "–" : write(value)) },
    ],
  }, [seconds, values], figure);
}

function draw() {
  for (const one of charts) one.destroy();
  holder.replaceChildren();
  const [brand, good, soft, line] = ["ink-brand", "ink-good", "ink-soft", "ink-line"].map(paint);
  charts = [
    chart("Sessions at once", data.at_once, brand, soft, line, String),
    chart("Mean rate", data.bits_per_s, good, soft, line, rate),
  ];
}

localTimes();
draw();
dark.addEventListener("change", draw);
let late = null;
addEventListener("resize", () => { clearTimeout(late); late = setTimeout(draw, 200); });
