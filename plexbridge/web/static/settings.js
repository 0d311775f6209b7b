// Changes settings: asks the bridge what a change would do, says it, and only then has it done. What
// is shown afterwards is the bridge's page, never what was hoped for. Text is only ever set as text.
const $ = (id) => document.getElementById(id);
const found = $("found");
let open = null; // the row whose form is open

const rowOf = (name) => [...found.querySelectorAll(".setting")].find((row) => row.dataset.name === name);

async function ask(body) {
  try {
    const answer = await fetch("api/settings", { method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    const told = await answer.json();
    return answer.ok ? { told } : { fault: told.detail ?? `The bridge answers ${answer.status}.` };
  } catch (error) {
    return { fault: `The bridge cannot be reached (${error.message}).` };
  }
}

function field(row) {
  const { choices, secret, several, value, name } = row.dataset;
  const made = document.createElement(choices ? "select" : several ? "textarea" : "input");
  for (const word of choices ? choices.split(" ") : []) made.append(new Option(word, word));
  made.name = "value";
  made.value = value;
  made.autocomplete = "off";
  made.spellcheck = false;
  if (secret) made.placeholder = "not shown; what you type replaces it";
  made.setAttribute("aria-label", `New value of ${name}`);
  return made;
}

function openRow(row) {
  if (open) closeRow(open);
  open = row;
  const form = $("form").content.cloneNode(true).querySelector("form");
  const input = field(row);
  form.querySelector("label").append(input);
  form.querySelector("[data-default]").hidden = !row.dataset.inFile;
  form.addEventListener("submit", (event) => { event.preventDefault(); look(row, form, input.value); });
  form.querySelector("[data-default]").addEventListener("click", () => look(row, form, null));
  form.querySelector("[data-cancel]").addEventListener("click", () => closeRow(row));
  form.addEventListener("keydown", (event) => { if (event.key === "Escape") closeRow(row); });
  row.querySelector("[data-change]").disabled = true;
  row.append(form);
  input.focus();
}

function closeRow(row) {
  open = null;
  row.querySelector("form")?.remove();
  row.querySelector("[data-change]").disabled = false;
  row.querySelector("[data-change]").focus();
}

function item(text) {
  const made = document.createElement("li");
  made.textContent = text;
  return made;
}

const said = (value) => value === "" ? "none" : value;

async function look(row, form, value) {
  const wish = { settings: { [row.dataset.name]: value } };
  const { told, fault } = await ask({ ...wish, preview: true });
  form.querySelector(".fault").textContent = fault ?? "";
  if (fault) { form.elements.value.focus(); return; }
  const [change] = told.changes;
  $("plan-title").textContent = `Change ${change.name}?`;
  $("plan-change").textContent = `${said(change.before)} → ${said(change.after)}`;
  $("plan-told").replaceChildren(...told.consequences.map(item));
  const dialog = $("plan");
  dialog.returnValue = "cancel";
  dialog.onclose = () => { if (dialog.returnValue === "save") save(row, form, wish); };
  dialog.showModal();
}

async function save(row, form, wish) {
  const { told, fault } = await ask(wish);
  form.querySelector(".fault").textContent = fault ?? "";
  if (fault) return;
  const [change] = told.changes;
  const name = row.dataset.name;
  await again();
  $("result").textContent = change.at_once
    ? `● Saved: ${name} is ${said(change.after)} now.`
    : `◐ Saved: ${name} will be ${said(change.after)} after a restart.`;
  rowOf(name)?.querySelector("[data-change]")?.focus();
}

async function again() {
  open = null;
  const answer = await fetch(location.pathname.split("/").pop(), { cache: "no-store" });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  found.replaceChildren(...page.getElementById("found").childNodes);
  $("who").textContent = page.getElementById("who").textContent;
  document.querySelector(".brand").lastChild.textContent = page.querySelector(".brand").lastChild.textContent;
  dress();
}

function filter() {
  const words = $("q").value.toLowerCase().split(/\s+/).filter(Boolean);
  let any = false;
  for (const section of found.querySelectorAll("section")) {
    let here = false;
    for (const row of section.querySelectorAll(".setting")) {
      const text = row.textContent.toLowerCase();
      row.hidden = row !== open && !words.every((word) => text.includes(word));
      here ||= !row.hidden;
    }
    section.hidden = !here;
    any ||= here;
  }
  document.getElementById("none").hidden = any;
}

function dress() {
  for (const button of found.querySelectorAll("[data-change]")) button.disabled = false;
  filter();
}

found.addEventListener("click", (event) => {
  const button = event.target.closest("[data-change]");
  if (button) openRow(button.closest(".setting"));
});
$("q").addEventListener("input", filter);
dress();
