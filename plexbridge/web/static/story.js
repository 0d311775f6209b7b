// Keeps the story of an open session true, walks its events by keys, and copies it.
import { LiveFeed } from "./live.js";
import { copyText, partsOf, walkRows } from "./pages.js";
import { localTimes } from "./times.js";

const $ = (id) => document.getElementById(id);
const CHANGED_MS = 250;
const COUNTED_MS = 5000; // bytes that flow on change little

const stream = `session-${location.pathname.split("/").pop()}`;
let soon = null, soonAt = 0;

async function refresh() {
  soon = null;
  try {
    const page = await partsOf(location.href);
    const focused = document.activeElement?.closest("li[id]")?.id;
    $("story").replaceWith(page.getElementById("story"));
    if (focused) $(focused)?.focus();
    enable();
    if ($("story").dataset.now === "ended") {
      $("announce").textContent = "The session has ended.";
      link("ended", "ended");
      feed.pause(true);
    }
  } catch (error) {
    link("lost", `cannot ask the bridge: ${error.message}`);
    refreshIn(COUNTED_MS);
  }
}

function refreshIn(ms) {
  const at = Date.now() + ms;
  if (soon && soonAt <= at) return;
  clearTimeout(soon);
  soonAt = at;
  soon = setTimeout(refresh, ms);
}

function link(state, text) {
  if (!$("link") || (state === "paused" && $("story").dataset.now === "ended")) return;
  $("link").dataset.state = state;
  $("link").textContent = text;
}

function enable() { $("copy").disabled = false; }

document.addEventListener("click", async (event) => {
  if (event.target.id !== "copy") return;
  $("issue").closest("details").open = true;
  event.target.textContent = await copyText($("issue"));
});

localTimes();
enable();
walkRows(() => $("log"));
const feed = !$("link") ? null : new LiveFeed({
  position: () => $("story").dataset.position,
  opened: () => refreshIn(0),
  ask: () => refreshIn(0),
  event: (event) => {
    if (event.stream === stream) refreshIn(event.type === "activity" && event.src === event.dst ? COUNTED_MS : CHANGED_MS);
  },
  gauges: () => {},
  link,
});
