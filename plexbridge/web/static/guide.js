// The programme guide: moved through time and channels by the server's own pages, walked by keys.
// Text is only ever set as text.
import { drawLogos } from "./logos.js";
import { partsOf } from "./pages.js";
import { localTimes, said } from "./times.js";

const $ = (id) => document.getElementById(id);
const root = new URL("../", import.meta.url);
const TYPED_MS = 250, AGAIN_MS = 60000, BEHIND_MS = 3000, ROWS = 10;

let asking = null, typed = null, later = null;

// The page of an address in place of what is there; true once it is. ------------------------

export async function show(address, { push = false } = {}) {
  asking?.abort();
  const mine = asking = new AbortController();
  try {
    const page = await partsOf(address, mine.signal);
    const kept = place();
    const found = page.getElementById("found");
    Object.assign($("found").dataset, found.dataset);
    $("found").replaceChildren(...found.childNodes);
    if (push) history.pushState(null, "", address);
    else history.replaceState(null, "", address);
    dress();
    if (kept) focusOn(kept);
    return true;
  } catch (error) {
    if (!mine.signal.aborted) tell(`▲ The guide cannot be asked for: ${error.message}`, true);
    return false;
  } finally {
    wait();
  }
}

export const here = () => location.pathname.split("/").pop() + location.search;

export function tell(text, bad = false) {
  $("result").textContent = text;
  $("result").dataset.end = bad ? "bad" : "good";
}

function dress() {
  for (const button of $("found").querySelectorAll("button")) button.disabled = false;
  const first = grid()?.querySelector("tbody td");
  if (first) first.tabIndex = 0;
  const days = $("found").querySelector(".days"), day = days?.querySelector("[aria-current]");
  if (day) days.scrollLeft = day.offsetLeft - days.offsetLeft - 3;
  drawLogos($("found"));
}

// Now moves on, and so does a mapping whose guide is being read.
function wait() {
  clearTimeout(later);
  const behind = $("found").dataset.behind === "true";
  later = setTimeout(() => {
    const busy = document.hidden || document.querySelector("dialog[open]");
    if (busy || !(behind || $("found").dataset.now === "true")) wait();
    else show(here());
  }, behind ? BEHIND_MS : AGAIN_MS);
}

// The grid by keys --------------------------------------------------------------------------

const grid = () => $("found").querySelector("[role=grid]");
const cellsOf = (row) => [...row.querySelectorAll("th, td")];

// Where the focus is: a channel, and a time of its row, which is null at its head.
function place() {
  const cell = document.activeElement?.closest?.("[role=grid] :is(th, td)");
  if (!cell) return null;
  return { channel: cell.parentElement.dataset.channel, at: timeOf(cell) };
}

function timeOf(cell) {
  if (cell.matches("th")) return null;
  return Math.max(Number(cell.dataset.at ?? 0), Number($("found").dataset.from));
}

function focusOn({ channel, at }) {
  const rows = [...grid()?.querySelectorAll("tbody tr") ?? []];
  const row = rows.find((one) => one.dataset.channel === channel) ?? rows[0];
  if (row) focusCell(cellAt(row, at));
}

function cellAt(row, at) {
  const [head, ...cells] = cellsOf(row);
  if (at === null) return head;
  return cells.find((cell) => Number(cell.dataset.until ?? 0) > at) ?? cells.at(-1);
}

function focusCell(cell) {
  for (const one of grid().querySelectorAll('[tabindex="0"]')) one.tabIndex = -1;
  cell.tabIndex = 0;
  cell.focus();
}

async function turn(link, channel, end) {
  if (!await show($(link).getAttribute("href"), { push: true })) return;
  const row = [...grid().querySelectorAll("tbody tr")].find((one) => one.dataset.channel === channel);
  if (row) focusCell(end ? cellsOf(row).at(-1) : cellsOf(row)[1]);
}

function walk(event) {
  const cell = event.target.closest("[role=grid] tbody :is(th, td)");
  if (!cell || event.target !== cell || event.altKey || event.metaKey) return;
  const row = cell.parentElement, cells = cellsOf(row), at = cells.indexOf(cell);
  const rows = [...row.parentElement.children], line = rows.indexOf(row);
  const down = (by) => cellAt(rows[Math.max(0, Math.min(rows.length - 1, line + by))], timeOf(cell));
  const ends = event.ctrlKey;
  const keys = {
    ArrowRight: () => (at + 1 < cells.length ? focusCell(cells[at + 1]) : turn("later", row.dataset.channel, false)),
    ArrowLeft: () => (at > 0 ? focusCell(cells[at - 1]) : turn("earlier", row.dataset.channel, true)),
    ArrowDown: () => focusCell(down(1)),
    ArrowUp: () => focusCell(down(-1)),
    PageDown: () => focusCell(down(ROWS)),
    PageUp: () => focusCell(down(-ROWS)),
    Home: () => focusCell(ends ? cellsOf(rows[0])[0] : cells[0]),
    End: () => focusCell(ends ? cellsOf(rows.at(-1)).at(-1) : cells.at(-1)),
    Enter: () => act(cell),
    " ": () => act(cell),
  };
  if (!keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
}

function act(cell) {
  if (cell.dataset.at) openProgramme(cell.closest("[data-channel]"), cell.dataset.at);
  else cell.parentElement.querySelector("[data-map]")?.click();
}

// One programme -----------------------------------------------------------------------------

let told = null; // the channel and the programme; the dialog itself gives the focus back

async function openProgramme(row, at) {
  try {
    const answer = await fetch(new URL(`api/guide/${row.dataset.channel}/programme?at=${at}`, root), { cache: "no-store" });
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.detail);
    told = { channel: row.dataset.channel, called: row.dataset.called, found };
    fill(told);
    if (!$("programme").open) $("programme").showModal();
  } catch (error) {
    tell(`▲ This programme cannot be told of: ${error.message}`, true);
  }
}

function fill({ called, found }) {
  $("programme-title").textContent = found.title;
  $("programme-sub").textContent = [found.sub_title, found.episode].filter(Boolean).join(" · ");
  $("programme-when").textContent = `${called}, ${said(found.start, "dayhm")} to ${said(found.stop, "hm")}, ${Math.round((found.stop - found.start) / 60000)} min`;
  $("programme-more").textContent = [...found.categories, found.date, ...found.flags.map((flag) => flag.replace("-", " "))].filter(Boolean).join(" · ");
  $("programme-description").textContent = found.description || "No description is given.";
  for (const side of ["before", "after"]) $(`programme-${side}`).disabled = found[side] === null;
}

async function beside(side) {
  const { channel, called, found } = told;
  await openProgramme({ dataset: { channel, called } }, found[side]);
}

$("programme-before").addEventListener("click", () => beside("before"));
$("programme-after").addEventListener("click", () => beside("after"));
$("programme-close").addEventListener("click", () => $("programme").close());

// What moves it -----------------------------------------------------------------------------

function find() {
  clearTimeout(typed);
  const words = new URLSearchParams();
  for (const [name, text] of new FormData($("filter"))) if (name !== "from" && text.trim()) words.set(name, text.trim());
  const since = new URLSearchParams(location.search).get("from");
  if (since) words.set("from", since);
  show(words.size ? `guide?${words}` : "guide");
}

$("q").addEventListener("input", () => { clearTimeout(typed); typed = setTimeout(find, TYPED_MS); });
$("show").addEventListener("change", find);
$("filter").addEventListener("submit", (event) => { event.preventDefault(); find(); });
$("found").addEventListener("keydown", walk);
$("found").addEventListener("click", async (event) => {
  const link = event.target.closest("a.step, .turn a");
  if (link && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    const { id } = link, turned = link.closest(".turn"), days = [...$("found").querySelectorAll(".days a")].indexOf(link);
    if (!await show(link.getAttribute("href"), { push: true })) return;
    if (turned) { $("q").scrollIntoView(); $("q").focus({ preventScroll: true }); }
    else (id ? $(id) : $("found").querySelectorAll(".days a")[days])?.focus({ preventScroll: true });
    return;
  }
  if (event.target.closest("[data-map]")) return; // mapping.js
  const cell = event.target.closest("[data-at]");
  if (!cell) return;
  if (cell.matches("td")) focusCell(cell);
  openProgramme(cell.closest("[data-channel]"), cell.dataset.at);
});
addEventListener("popstate", () => {
  const words = new URLSearchParams(location.search);
  for (const name of ["q", "show"]) $(name).value = words.get(name) ?? "";
  show(here());
});
// The times of the grid stay in sight below the bar, which is as high as its width makes it.
new ResizeObserver(([{ target }]) => document.documentElement.style.setProperty("--bar", `${target.offsetHeight}px`)).observe(document.querySelector(".bar"));
localTimes();
dress();
wait();
