// Makes the list of channels live: found while typing, copied from, played. The list itself is always
// the server's, taken out of the page that it would show.
import { drawLogos } from "./logos.js";
import { openPreview } from "./preview.js";

const $ = (id) => document.getElementById(id);
const TYPED_MS = 250; // a word is typed, not a letter
const LATE_MS = 3000;

let asking = null, typed = null;

function enable() {
  for (const button of $("found").querySelectorAll("button[data-act]")) button.disabled = false;
  drawLogos($("found"));
}

// The list of an address: the bridge's own words for it, in place of what is there. True once it is.
export async function show(address) {
  asking?.abort();
  const mine = asking = new AbortController();
  try {
    const answer = await fetch(address, { signal: mine.signal, cache: "no-store" });
    if (!answer.ok) throw new Error(`it answered ${answer.status}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = page.getElementById("found");
    Object.assign($("found").dataset, found.dataset);
    $("found").replaceChildren(...found.childNodes);
    for (const id of ["count", "hint"]) $(id).textContent = page.getElementById(id).textContent;
    $("hint").hidden = page.getElementById("hint").hidden;
    history.replaceState(null, "", address);
    enable();
    document.dispatchEvent(new Event("listed"));
    return true;
  } catch (error) {
    if (!mine.signal.aborted) $("count").textContent = `▲ The list cannot be asked for: ${error.message}`;
    return false;
  }
}

function find() {
  clearTimeout(typed);
  const words = new URLSearchParams();
  for (const [name, text] of new FormData($("filter"))) if (text.trim()) words.set(name, text.trim());
  show(words.size ? `channels?${words}` : "channels");
}

async function copy(button, row) {
  const address = row.querySelector("code");
  let done = "Copied";
  try { await navigator.clipboard.writeText(address.textContent); }
  catch { getSelection().selectAllChildren(address); done = "Selected"; }
  button.textContent = done;
  $("announce").textContent = `${done}: ${address.textContent}`;
  setTimeout(() => { button.textContent = "Copy"; }, LATE_MS);
}

$("q").addEventListener("input", () => { clearTimeout(typed); typed = setTimeout(find, TYPED_MS); });
$("filter").addEventListener("change", (event) => { if (event.target.matches("select")) find(); });
$("filter").addEventListener("submit", (event) => { event.preventDefault(); find(); });
$("found").addEventListener("click", (event) => {
  const link = event.target.closest(".turn a");
  if (link) {
    event.preventDefault();
    show(link.getAttribute("href")).then(() => $("q").scrollIntoView());
    return;
  }
  const button = event.target.closest("button[data-act]");
  if (!button) return;
  const row = button.closest("li");
  if (button.dataset.act === "copy") copy(button, row);
  else openPreview({ id: row.dataset.channel, guide_number: row.dataset.number, name: row.dataset.name });
});
enable();
