// Keeps the list of events live: the feed says that there is more, the page of what came after the
// last position says what. So filters and words are the server's alone. Rows are bounded.
import { LiveFeed } from "./live.js";
import { partsOf, walkRows } from "./pages.js";
import { localTimes } from "./times.js";

const $ = (id) => document.getElementById(id);
const ROWS_MAX = 500;
const TOGETHER_MS = 400;
const FAILED_MS = 3000;

const { filters, live } = $("found").dataset;
let shown = Number($("found").dataset.head);
let soon = null, asking = false, again = false, first = false;

async function catchUp() {
  soon = null;
  if (asking) { again = true; return; }
  asking = true;
  let fine = true;
  try {
    take(await partsOf(`events?${filters}${filters ? "&" : ""}after=${shown}`));
  } catch (error) {
    fine = false;
    link("lost", `cannot ask the bridge: ${error.message}`);
  }
  asking = false;
  if (again || !fine) { again = false; catchUpIn(fine ? TOGETHER_MS : FAILED_MS); }
}

function take(page) {
  const found = page.getElementById("found"), rows = page.getElementById("rows");
  const head = Number(found.dataset.head);
  if (head < shown) { location.reload(); return; } // it is another log, and shorter
  shown = head;
  $("position").textContent = shown.toLocaleString("en");
  const came = [...rows.children].filter((row) => !row.id || !$(row.id));
  if (!came.length) return;
  $("none")?.remove();
  $("rows").prepend(...came);
  let dropped = false;
  while ($("rows").children.length > ROWS_MAX) {
    const last = $("rows").lastElementChild;
    if (last.contains(document.activeElement)) break;
    last.remove();
    dropped = true;
  }
  if (dropped) $("told").textContent = `The newest ${ROWS_MAX} are held here; earlier ones are further down the list of pages.`;
}

function catchUpIn(ms) {
  if (!soon) soon = setTimeout(catchUp, ms);
}

function link(state, text) {
  $("link").dataset.state = state;
  $("link").textContent = state === "paused" ? `${text} at position ${shown.toLocaleString("en")}` : text;
}

localTimes();
walkRows(() => $("rows"));
if (live === "yes") {
  const feed = new LiveFeed({
    position: () => "now", // what was missed is asked for as a page, however much it is
    opened: () => { first = true; },
    ask: () => catchUpIn(0),
    event: () => catchUpIn(TOGETHER_MS),
    gauges: () => { if (first) { first = false; catchUpIn(0); } },
    link,
  });
  $("pause").disabled = false;
  $("pause").addEventListener("click", () => {
    feed.pause(!feed.paused);
    $("pause").setAttribute("aria-pressed", String(feed.paused));
    $("pause").textContent = feed.paused ? "Go on live" : "Pause live";
  });
}
