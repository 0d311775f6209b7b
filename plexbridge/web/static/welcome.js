// Keeps the setup of this moment. What it shows is always the server's, taken out of the page that it
// would show; only a step that changed is drawn anew, so that the focus stays where it is.
import { said } from "./times.js";

const AGAIN_MS = 1500;
const $ = (id) => document.getElementById(id);

function dress() {
  for (const node of document.querySelectorAll("time[datetime]")) node.textContent = said(Date.parse(node.dateTime), node.dataset.form);
  for (const button of document.querySelectorAll("[data-copy]")) button.disabled = false;
}

function link(state, text) {
  $("link").dataset.state = state;
  if ($("link").textContent !== text) $("link").textContent = text;
}

// As the server draws it: what the scripts add later is not compared.
const drawn = new Map([...document.querySelectorAll("#steps > li")].map((step) => [step.id, step.outerHTML]));
drawn.set("asked", $("asked").innerHTML);

function take(page) {
  const ticked = [];
  for (const step of page.querySelectorAll("#steps > li")) {
    const html = step.outerHTML;
    if (drawn.get(step.id) === html) continue;
    drawn.set(step.id, html);
    const before = $(step.id);
    if (before.dataset.done === "no" && step.dataset.done === "yes") ticked.push(step.dataset.title);
    const focus = before.contains(document.activeElement) ? document.activeElement.dataset.copy : undefined;
    before.replaceWith(step);
    if (focus) step.querySelector(`[data-copy="${focus}"]`)?.focus();
  }
  const asked = page.getElementById("asked").innerHTML;
  if (drawn.get("asked") !== asked) {
    drawn.set("asked", asked);
    $("asked").replaceChildren(...page.getElementById("asked").childNodes);
  }
  $("summary").textContent = page.getElementById("summary").textContent;
  if (ticked.length) $("announce").textContent = `Done: ${ticked.join(", ")}. ${$("summary").textContent}`;
  dress();
}

async function again() {
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (!answer.ok || answer.redirected) throw new Error(`it answered ${answer.status}`);
    take(new DOMParser().parseFromString(await answer.text(), "text/html"));
    link("live", "live");
  } catch (error) {
    link("lost", `not current: ${error.message}`);
  }
}

async function copy(button) {
  const code = $(button.dataset.copy);
  try { await navigator.clipboard.writeText(code.textContent); button.firstChild.textContent = "Copied"; }
  catch { getSelection().selectAllChildren(code); button.firstChild.textContent = "Selected"; }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
});

async function keepOn() {
  if (!document.hidden) await again();
  setTimeout(keepOn, AGAIN_MS);
}

dress();
keepOn();
