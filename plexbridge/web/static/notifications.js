// Adds, tries, changes and removes who is told. What is shown is always the server's, taken out of
// the page that it would show; an address is sent once and then forgotten here, too.
import { said } from "./times.js";

const root = new URL("../api/notifications", import.meta.url);
const found = document.getElementById("found");
const result = document.getElementById("result");
const form = document.getElementById("add");
const told = document.getElementById("told");
const sure = document.getElementById("sure");
let busy = false;
let focusThen = null; // disabled buttons lose the focus: where it goes once something is done

function dress() {
  for (const node of found.querySelectorAll("time[datetime]")) node.title = said(Date.parse(node.dateTime));
  for (const button of document.querySelectorAll("main button")) button.disabled = busy && !sure.contains(button);
}

function tell(text, bad = false) {
  result.textContent = text;
  result.dataset.end = bad ? "bad" : "good";
}

async function ask(method, path, body) {
  const sent = body === undefined ? {} : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(root + path, { method, ...sent });
  return [answer.ok, await answer.json()];
}

// The targets as the server shows them now; what was open stays so.
async function again() {
  const answer = await fetch(location.href, { cache: "no-store" });
  if (!answer.ok) throw new Error(`it answered ${answer.status}`);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const open = [...found.querySelectorAll("[data-target]:has(details[open])")].map((one) => one.id);
  found.replaceChildren(...page.getElementById("found").childNodes);
  document.querySelector(".bar .link").textContent = page.querySelector(".bar .link").textContent;
  for (const id of open) document.getElementById(id)?.querySelector("details")?.setAttribute("open", "");
  dress();
}

async function doing(words, work) {
  if (busy) return;
  busy = true;
  focusThen = null;
  told.textContent = "";
  tell(words);
  dress();
  try {
    await work();
  } catch (error) {
    tell(`✕ The bridge cannot be asked: ${error.message}`, true);
  }
  busy = false;
  dress();
  if (told.textContent) form.elements.address.focus();
  if (focusThen) document.querySelector(`#target-${CSS.escape(focusThen[0])} [data-act="${focusThen[1]}"]`)?.focus();
}

const chosen = (from) => [...from.querySelectorAll("input[name=kind]:checked")].map((one) => one.value);

const acts = {
  test: (id, title) => doing(`◐ Sending a test to ${title} …`, async () => {
    const [ok, answer] = await ask("POST", `/${id}/test`);
    const arrived = ok && answer.ok;
    focusThen = [id, "test"];
    await again();
    tell(`${arrived ? "● The test was sent" : "✕ The test was not sent"}, ${title}: ${answer.words ?? answer.detail}.`, !arrived);
  }),
  choose: (id, title, item) => doing(`◐ Saving what ${title} is told of …`, async () => {
    const [ok, answer] = await ask("PUT", `/${id}`, { kinds: chosen(item) });
    if (!ok) return tell(`✕ Nothing changed: ${answer.detail}`, true);
    focusThen = [id, "choose"];
    await again();
    tell(`● Saved: ${title} is told of ${answer.kinds.length} ${answer.kinds.length === 1 ? "kind" : "kinds"}.`);
  }),
  async remove(id, title) {
    if (!(await agreed(title))) return;
    await doing(`◐ Removing ${title} …`, async () => {
      const [ok, answer] = await ask("DELETE", `/${id}`);
      if (!ok) return tell(`✕ Not removed: ${answer.detail}`, true);
      await again();
      tell(`● Removed: ${title} is told nothing more.`);
    });
    form.elements.address.focus();
  },
};

function agreed(title) {
  sure.querySelector(".which").textContent = title;
  sure.returnValue = "";
  sure.showModal();
  return new Promise((resolve) => {
    sure.addEventListener("close", () => resolve(sure.returnValue === "yes"), { once: true });
  });
}

sure.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) sure.close(button.value);
});

found.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-act]");
  const item = button?.closest("[data-target]");
  if (!item || busy) return;
  acts[button.dataset.act](item.dataset.target, item.dataset.title, item);
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const { way, address, name } = form.elements;
  told.textContent = "";
  address.removeAttribute("aria-invalid");
  doing("◐ Adding …", async () => {
    const asked = { way: way.value, address: address.value, name: name.value, kinds: chosen(form) };
    const [ok, answer] = await ask("POST", "", asked);
    if (!ok) {
      tell("✕ Not added.", true);
      told.textContent = `✕ ${answer.detail}.`;
      if (answer.field === "address") address.setAttribute("aria-invalid", "true");
      return;
    }
    form.reset();
    await again();
    tell(`● Added: ${answer.name || answer.address}. Send it a test, to see that it arrives.`);
    focusThen = [answer.id, "test"];
  });
});

dress();
