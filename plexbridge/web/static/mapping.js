// Which guide channel a channel has: shown, looked for among those that there are, and changed. What
// is said afterwards is the bridge's answer. Text is only ever set as text.
import { here, show, tell } from "./guide.js";

const $ = (id) => document.getElementById(id);
const root = new URL("../", import.meta.url);
const TYPED_MS = 250;

let open = null; // the channel's mapping as the bridge told it
let typed = null, asking = null;

async function ask(path, options = {}) {
  const answer = await fetch(new URL(path, root), { cache: "no-store", ...options });
  const document = await answer.json();
  if (!answer.ok) throw new Error(document.detail ?? `it answered ${answer.status}`);
  return document;
}

// Of the two ways that the page lists a channel, the one that is seen.
function rowOf(id) {
  return [...document.querySelectorAll("[data-channel]")].find((one) => one.dataset.channel === id && one.offsetParent);
}

function span(name, text) {
  const made = document.createElement("span");
  made.className = name;
  made.textContent = text;
  return made;
}

function row(candidate) {
  const label = document.createElement("label"), radio = document.createElement("input");
  radio.type = "radio";
  radio.name = "guide_id";
  radio.value = candidate.guide_id;
  radio.checked = candidate.guide_id === open.guide_id;
  const guide = open.guides > 1 ? `, guide ${candidate.guide}` : "";
  label.append(radio, span("name", candidate.guide_name || candidate.guide_id), span("alike", `${candidate.confidence} of 100 alike`), span("id", `${candidate.guide_id}${guide}`));
  return label;
}

async function find() {
  clearTimeout(typed);
  asking?.abort();
  const mine = asking = new AbortController();
  try {
    const query = new URLSearchParams({ q: $("mapping-q").value.trim() });
    const found = await ask(`api/guide/${open.id}/candidates?${query}`, { signal: mine.signal });
    $("mapping-list").replaceChildren(...found.map(row));
    $("mapping-told").textContent = found.length ? "" : "No guide has a channel with these words.";
    chosen();
  } catch (error) {
    if (!mine.signal.aborted) $("mapping-fault").textContent = `The guides cannot be looked through: ${error.message}`;
  }
}

function chosen() {
  const radio = $("mapping-list").querySelector(":checked");
  $("mapping-do").disabled = !radio || (radio.value === open.guide_id && open.how === "chosen");
  $("mapping-do").textContent = radio ? `Map to ${radio.value.slice(0, 40)}` : "Map to the chosen one";
}

async function begin(id) {
  try {
    open = await ask(`api/guide/${id}`);
  } catch (error) {
    tell(`▲ This channel cannot be mapped: ${error.message}`, true);
    return;
  }
  $("mapping-title").textContent = `Guide of ${open.guide_number} ${open.name}`;
  const has = open.guide_id === null ? "" : `${open.guide_name || open.guide_id} (${open.guide_id}), `;
  $("mapping-now").textContent = `Now: ${has}${open.words}.${open.behind ? " The guides are being read for a change." : ""}`;
  $("mapping-listed").hidden = open.chosen === null;
  $("mapping-none").hidden = open.chosen === "";
  $("mapping-fault").textContent = "";
  $("mapping-q").value = "";
  $("mapping-list").replaceChildren();
  $("mapping").showModal();
  $("mapping-q").focus();
  await find();
}

async function map(guideId, words) {
  const channel = open;
  for (const button of $("mapping").querySelectorAll("menu button")) button.disabled = true;
  try {
    const told = await ask(`api/guide/${channel.id}`, { method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ guide_id: guideId }) });
    $("mapping").close();
    await show(here());
    if (document.activeElement === document.body) rowOf(channel.id)?.querySelector("[data-map]")?.focus();
    tell(`● ${channel.guide_number} ${channel.name}: ${words}.${told.behind ? " The guides are being read again for it." : ""}`);
  } catch (error) {
    $("mapping-fault").textContent = `Nothing was changed: ${error.message}`;
  }
  for (const button of $("mapping").querySelectorAll("menu button")) button.disabled = false;
  chosen();
}

$("found").addEventListener("click", (event) => {
  const button = event.target.closest("[data-map]");
  if (button) begin(button.closest("[data-channel]").dataset.channel);
});
$("mapping-q").addEventListener("input", () => { clearTimeout(typed); typed = setTimeout(find, TYPED_MS); });
$("mapping-list").addEventListener("change", chosen);
$("mapping-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const radio = $("mapping-list").querySelector(":checked");
  if (document.activeElement === $("mapping-q") || !radio) { find(); return; } // Enter in the search
  map(radio.value, `mapped to ${radio.value}`);
});
$("mapping-none").addEventListener("click", () => map("", "no guide any more"));
$("mapping-listed").addEventListener("click", () => map(null, "as it is found by itself"));
$("mapping-close").addEventListener("click", () => $("mapping").close());
