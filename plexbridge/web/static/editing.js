// Edits channels: one in its row, many after a look at what would follow. What is shown afterwards is
// the bridge's answer, never what was hoped for. Text is only ever set as text.
import { show } from "./channels.js";

const $ = (id) => document.getElementById(id);
const FIELDS = { guide_number: "number", name: "name", group: "group", enabled: "enabled", favourite: "favourite", logo: "logo", tvg_id: "guide", upstreams: "upstreams" };
const picked = new Set(); // ids, also of channels on other pages
let everything = false; // all that the list holds, on every page
let last = null; // the row where a range begins

const here = () => location.pathname.split("/").pop() + location.search;
const rows = () => [...$("found").querySelectorAll("li[data-channel]")];
const rowOf = (id) => rows().find((row) => row.dataset.channel === id);
const counted = (count) => `${count.toLocaleString("en")} channel${count === 1 ? "" : "s"}`;

async function ask(method, path, body) {
  try {
    const answer = await fetch(path, { method, cache: "no-store", headers: { "Content-Type": "application/json" }, body: body && JSON.stringify(body) });
    const document = await answer.json();
    return answer.ok ? { document } : { fault: document.detail ?? `The bridge answers ${answer.status}.` };
  } catch (error) {
    return { fault: `The bridge cannot be reached (${error.message}).` };
  }
}

function tell(text) { $("announce").textContent = text; }

// One channel, in its row -------------------------------------------------------------------

function openRow(row) {
  const form = $("row-form").content.cloneNode(true).querySelector("form");
  const listed = form.querySelector("[data-listed]");
  listed.hidden = !row.dataset.edits;
  for (const name of ["guide_number", "name", "group"]) form.elements[name].defaultValue = row.dataset[FIELDS[name]];
  for (const name of ["enabled", "favourite"]) form.elements[name].defaultChecked = row.dataset[name] === "true";
  form.setAttribute("aria-label", `Edit ${row.dataset.number} ${row.dataset.name}`);
  form.addEventListener("submit", (event) => { event.preventDefault(); save(row, form, changesIn(form)); });
  form.addEventListener("keydown", (event) => { if (event.key === "Escape") closeRow(row, form); });
  form.querySelector("[data-cancel]").addEventListener("click", () => closeRow(row, form));
  listed.addEventListener("click", () => save(row, form, Object.fromEntries(row.dataset.edits.split(" ").map((name) => [name, null]))));
  row.classList.add("open");
  row.append(form);
  form.elements.guide_number.focus();
  form.elements.guide_number.select();
}

function changesIn(form) {
  const changes = {};
  for (const field of form.querySelectorAll("input")) {
    const kind = field.type === "checkbox" ? ["checked", "defaultChecked"] : ["value", "defaultValue"];
    if (field[kind[0]] !== field[kind[1]]) changes[field.name] = field[kind[0]];
  }
  return changes;
}

function closeRow(row, form) {
  form.remove();
  row.classList.remove("open");
  row.querySelector('[data-edit="row"]').focus();
}

async function save(row, form, changes) {
  if (!Object.keys(changes).length) { closeRow(row, form); return; }
  const { fault } = await ask("PUT", `api/channels/${row.dataset.channel}`, changes);
  if (fault) { form.querySelector(".fault").textContent = fault; return; }
  await again(row.dataset.channel, "row", `Saved: ${row.dataset.number} ${row.dataset.name}`);
}

async function favour(row) {
  const favourite = row.dataset.favourite !== "true";
  const { fault } = await ask("PUT", `api/channels/${row.dataset.channel}`, { favourite });
  await again(row.dataset.channel, "favourite", fault ?? `${row.dataset.name}: ${favourite ? "a favourite" : "no favourite any more"}`);
}

// The list as it is now; the focus stays with the channel, wherever it stands.
async function again(id, act, words) {
  if (!await show(here())) return;
  tell(words);
  (rowOf(id)?.querySelector(`[data-edit="${act}"]`) ?? $("q")).focus();
}

// Many, after a look ------------------------------------------------------------------------

function showPicked() {
  for (const row of rows()) {
    const on = everything || picked.has(row.dataset.channel);
    row.classList.toggle("picked", on);
    row.querySelector("[data-pick]").checked = on;
  }
  const matches = Number($("found").dataset.matches);
  $("bulk").hidden = !everything && picked.size === 0;
  $("picked").textContent = everything ? `All ${counted(matches)} selected` : `${counted(picked.size)} selected`;
  $("pick-all").textContent = `Select all ${matches.toLocaleString("en")}`;
  $("pick-all").hidden = everything || matches <= picked.size;
}

function pick(row, on, range) {
  everything = false;
  const list = rows();
  const from = range && last ? list.findIndex((one) => one.dataset.channel === last) : -1;
  const at = list.indexOf(row);
  const meant = from < 0 ? [row] : list.slice(Math.min(from, at), Math.max(from, at) + 1);
  for (const one of meant) on ? picked.add(one.dataset.channel) : picked.delete(one.dataset.channel);
  last = row.dataset.channel;
  showPicked();
}

function clearPicked() {
  everything = false;
  picked.clear();
  last = null;
  showPicked();
}

const WISHES = {
  enable: () => ({ enabled: true }),
  disable: () => ({ enabled: false }),
  favourite: () => ({ favourite: true }),
  plain: () => ({ favourite: false }),
  group: (value) => ({ group: value }),
  from: (value) => ({ number: { from: /^\d+$/.test(value) ? Number(value) : value } }),
  numbers: () => ({ number: "listed" }),
  listed: () => Object.fromEntries(Object.keys(FIELDS).map((name) => [name, null])),
};

function wished() {
  const select = everything ? JSON.parse($("found").dataset.select) : { ids: [...picked] };
  return { select, set: WISHES[$("wish").value]($("value").value.trim()) };
}

async function look(event) {
  event.preventDefault();
  const asked = wished();
  const { document: plan, fault } = await ask("POST", "api/channels/bulk", { ...asked, preview: true });
  $("bulk-fault").textContent = fault ?? "";
  if (fault) return;
  present(plan, plan.changes ? `Change ${counted(plan.changes)}?` : "Nothing would change", `Change ${counted(plan.changes)}`, () => change(asked));
}

// The dialog that says what would follow, before it is done.
function present(plan, title, action, act) {
  $("plan-title").textContent = title;
  $("plan-told").replaceChildren(...[...plan.consequences, plan.hint].filter(Boolean).map((text) => element("li", text)));
  $("plan-each").hidden = !plan.changes;
  $("plan-each").querySelector("ol").replaceChildren(...plan.channels.map(planned));
  if (plan.changes > plan.channels.length) {
    $("plan-each").querySelector("ol").append(element("li", `… and ${(plan.changes - plan.channels.length).toLocaleString("en")} more`));
  }
  $("plan-fault").textContent = "";
  $("plan-do").hidden = !plan.changes;
  $("plan-do").textContent = action;
  $("plan-do").onclick = act;
  $("plan").showModal();
}

async function lookBack() {
  const { document: plan, fault } = await ask("GET", "api/channels/undo");
  if (fault || !plan.last) { tell(fault ?? "There is nothing to take back."); refused(fault); return; }
  const title = plan.changes ? `Take the last change of ${counted(plan.changes)} back?` : "Nothing would change: the channels are not listed any more";
  present(plan, title, "Take it back", () => takeBack(plan.last.change));
}

async function takeBack(changeId) {
  $("plan-do").disabled = true;
  const { document: done, fault } = await ask("POST", "api/channels/undo", { change: changeId });
  $("plan-do").disabled = false;
  if (fault) { $("plan-fault").textContent = `Nothing was changed: ${fault}`; return; }
  $("plan").close();
  clearPicked();
  await show(here());
  tell(`Taken back: ${counted(done.changes)} as before`);
  ($("found").querySelector("[data-undo]") ?? $("q")).focus();
}

// Where it cannot even be looked at: in the same dialog, for there is no other place for it.
function refused(fault) {
  present({ changes: 0, consequences: [], hint: null, channels: [] }, fault ? `It cannot be taken back: ${fault}` : "There is nothing to take back", "", null);
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function said(value) {
  if (typeof value === "boolean") return value ? "yes" : "no";
  return value === "" ? "none" : String(value);
}

function planned(channel) {
  const item = element("li", `${channel.guide_number} ${channel.name} `);
  const told = channel.fields.map((name) => name in channel.after
    ? `${FIELDS[name]}: ${said(channel.before[name])} → ${said(channel.after[name])}` : FIELDS[name]);
  item.append(element("span", told.join(", ")));
  return item;
}

async function change(asked) {
  $("plan-do").disabled = true;
  const { document: done, fault } = await ask("POST", "api/channels/bulk", asked);
  $("plan-do").disabled = false;
  if (fault) { $("plan-fault").textContent = fault; return; }
  $("plan").close();
  clearPicked();
  await show(here());
  tell(`Changed ${counted(done.changes)}`);
  $("q").focus();
}

function askValue() {
  const asks = $("wish").selectedOptions[0].dataset.asks;
  $("asked").hidden = !asks;
  $("asked").querySelector("span").textContent = asks ?? "";
  $("value").value = "";
}

function listed() {
  for (const node of $("found").querySelectorAll("[data-edit], [data-pick], [data-undo]")) node.disabled = false;
  showPicked();
}

$("found").addEventListener("click", (event) => {
  if (event.target.matches("[data-undo]")) { lookBack(); return; }
  const row = event.target.closest("li[data-channel]");
  if (event.target.matches("[data-pick]")) pick(row, event.target.checked, event.shiftKey);
  const act = event.target.closest("button[data-edit]")?.dataset.edit;
  if (act === "row") openRow(row);
  else if (act === "favourite") favour(row);
});
$("pick-all").addEventListener("click", () => { everything = true; showPicked(); });
$("pick-none").addEventListener("click", () => { clearPicked(); $("q").focus(); });
$("wish").addEventListener("change", askValue);
$("bulk").addEventListener("submit", look);
$("plan-cancel").addEventListener("click", () => $("plan").close());
$("filter").addEventListener("input", () => { if (everything) clearPicked(); });
document.addEventListener("listed", listed);
askValue();
listed();
