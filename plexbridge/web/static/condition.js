// Keeps the pages of sources and of health of this moment, and has sources and guides read anew.
// What they show is always the server's, taken out of the page that it would show.
import { said } from "./times.js";

const root = new URL("../", import.meta.url);
const AGAIN_MS = 15000;

const found = document.getElementById("found");
const result = document.getElementById("result");
let busy = false;

// Moments are said as seen from now; where the pointer rests, in the viewer's zone.
function dress() {
  for (const node of found.querySelectorAll("time[datetime]")) node.title = said(Date.parse(node.dateTime));
  for (const button of found.querySelectorAll("button")) button.disabled = busy;
}

async function again() {
  const answer = await fetch(location.href, { cache: "no-store" });
  if (!answer.ok) throw new Error(`it answered ${answer.status}`);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const focus = document.activeElement?.dataset.refresh;
  found.replaceChildren(...page.getElementById("found").childNodes);
  const [now, then] = [document, page].map((one) => one.querySelector(".bar .link"));
  now.textContent = then.textContent;
  now.dataset.state = then.dataset.state;
  dress();
  if (focus) [...found.querySelectorAll("[data-refresh]")].find((one) => one.dataset.refresh === focus)?.focus();
}

function tell(text, bad = false) {
  result.textContent = text;
  result.dataset.end = bad ? "bad" : "good";
}

const counted = (count, one) => `${count.toLocaleString()} ${one}${count === 1 ? "" : "s"}`;

async function ask(path) {
  const answer = await fetch(new URL(path, root), { method: "POST" });
  return [answer.ok, await answer.json()];
}

async function refreshSource(source, accept) {
  tell(`Reading ${source} …`);
  const [ok, told] = await ask(`api/sources/${encodeURIComponent(source)}/refresh${accept ? `?accept=${accept}` : ""}`);
  if (!ok) return tell(`✕ Not refreshed, and nothing changed: ${told.detail}`, true);
  const odd = told.odd_lines ? `, ${counted(told.odd_lines, "odd line")}` : "";
  tell(`● Refreshed: ${source} lists ${counted(told.entries, "channel")}${odd}.`);
}

async function refreshGuides() {
  const [ok, told] = await ask("api/guides/refresh");
  if (!ok) return tell(`✕ Not asked for: ${told.detail}`, true);
  tell(`◐ ${counted(told.asked, "guide")} will be read now, one after the other; this page shows each when it is done.`);
}

found.addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  if (!button || busy) return;
  const kept = button.dataset.refresh;
  busy = true;
  for (const one of found.querySelectorAll("button")) one.disabled = true;
  try {
    if (kept === undefined) await refreshGuides();
    else await refreshSource(kept, button.dataset.accept);
    busy = false;
    await again();
    if (kept !== undefined) [...found.querySelectorAll("[data-refresh]")].find((one) => one.dataset.refresh === kept)?.focus();
  } catch (error) {
    busy = false;
    dress();
    tell(`✕ The bridge cannot be asked: ${error.message}`, true);
  }
});

setInterval(() => {
  if (document.hidden || busy) return;
  again().catch((error) => {
    const link = document.querySelector(".bar .link");
    link.dataset.state = "lost";
    link.textContent = `not current: ${error.message}`;
  });
}, AGAIN_MS);
dress();
