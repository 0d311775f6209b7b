// Moves through the log: by dragging, by keys, by steps. What is shown is always the server's page of
// that moment; the address leads to it again.
import { partsOf } from "./pages.js";
import { localTimes, said } from "./times.js";

const $ = (id) => document.getElementById(id);
const MINUTE_MS = 60000;
const DRAGGED_MS = 150;

let asking = null, dragged = null;

function sayMoment() {
  const moment = $("moment"), slider = $("at");
  slider.setAttribute("aria-valuetext", `${said(Number(moment.dataset.when))}, ${moment.dataset.said}`);
}

async function go(address) {
  clearTimeout(dragged);
  asking?.abort();
  const mine = asking = new AbortController();
  $("moment").setAttribute("aria-busy", "true");
  try {
    const page = await partsOf(address, mine.signal);
    show(page);
    history.replaceState(null, "", address);
  } catch (error) {
    if (!mine.signal.aborted) $("announce").textContent = `▲ The bridge cannot be asked: ${error.message}`;
  }
}

// All of the new page but the slider itself: whoever holds it goes on holding it.
function show(page) {
  const slider = $("at"), other = page.getElementById("at");
  for (const name of ["min", "max"]) slider[name] = other[name];
  slider.value = other.value;
  const held = document.activeElement?.id;
  for (const selector of [".axis-drawing", ".drawing .ends", ".legend", ".steps", "#moment", "footer"]) {
    document.querySelector(selector).replaceWith(page.querySelector(selector));
  }
  if (held && document.activeElement === document.body) $(held)?.focus();
  sayMoment();
  $("announce").textContent = `${said(Number($("moment").dataset.when))}: ${$("moment").dataset.said}`;
}

function addressOf(ms) {
  const span = document.querySelector("#axis input[name=span]")?.value;
  const bounded = Math.min(Math.max(ms, Number($("at").min)), Number($("at").max));
  return `time?${new URLSearchParams({ at: Math.round(bounded), ...(span ? { span } : {}) })}`;
}

function step(id) {
  const link = $(id);
  if (link) go(link.getAttribute("href"));
}

const KEYS = {
  ArrowLeft: () => step("before"), ArrowDown: () => step("before"),
  ArrowRight: () => step("after"), ArrowUp: () => step("after"),
  PageDown: () => go(addressOf(Number($("moment").dataset.when) - MINUTE_MS)),
  PageUp: () => go(addressOf(Number($("moment").dataset.when) + MINUTE_MS)),
  Home: () => go(addressOf(Number($("at").min))),
  End: () => go(addressOf(Number($("at").max))),
};

$("at").addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in KEYS)) return;
  event.preventDefault();
  KEYS[event.key]();
});
$("at").addEventListener("input", () => {
  $("at").setAttribute("aria-valuetext", said(Number($("at").value)));
  clearTimeout(dragged);
  dragged = setTimeout(() => go(addressOf(Number($("at").value))), DRAGGED_MS);
});
$("axis").addEventListener("submit", (event) => { event.preventDefault(); go(addressOf(Number($("at").value))); });
$("axis").addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='time?']");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (link.closest(".spans")) return; // another span is another page
  event.preventDefault();
  go(link.getAttribute("href"));
});
localTimes();
sayMoment();
