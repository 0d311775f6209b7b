// Saves the options of a source: only those that were changed are sent, and what the page shows
// afterwards is the server's, taken out of the page that it would show.
const found = document.getElementById("found");
const result = document.getElementById("result");

function tell(text, bad = false) {
  result.textContent = text;
  result.dataset.end = bad ? "bad" : "good";
}

// The headers of the text and the ticks: values to set, null for those to take away.
function headers(form) {
  const wanted = {};
  for (const tick of form.querySelectorAll("[name=gone]:checked")) wanted[tick.value] = null;
  for (const line of form.elements.headers.value.split("\n")) {
    if (!line.trim()) continue;
    const colon = line.indexOf(":");
    if (colon < 1) throw new Error("a header is a name, a colon and its value");
    wanted[line.slice(0, colon).trim()] = line.slice(colon + 1).trim();
  }
  return wanted;
}

function changes(form) {
  const patch = {};
  for (const input of form.querySelectorAll("#user_agent, [type=number]")) {
    if (input.validity.badInput) throw new Error(`${input.name}: a whole number is wanted`);
    if (input.value === input.defaultValue) continue;
    const text = input.value.trim();
    patch[input.name] = text === "" ? null : input.type === "number" ? Number(text) : text;
  }
  const wanted = headers(form);
  if (Object.keys(wanted).length) patch.headers = wanted;
  return patch;
}

async function again() {
  const answer = await fetch(location.href, { cache: "no-store" });
  if (!answer.ok) throw new Error(`it answered ${answer.status}`);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  found.replaceChildren(...page.getElementById("found").childNodes);
  ready();
}

async function save(form) {
  const fault = form.querySelector(".fault");
  const button = form.querySelector("[type=submit]");
  fault.textContent = "";
  tell("");
  try {
    const patch = changes(form);
    if (!Object.keys(patch).length) return tell("○ Nothing was changed.");
    button.disabled = true;
    const answer = await fetch(found.dataset.options, {
      method: "PUT",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(patch),
    });
    if (!answer.ok) throw new Error((await answer.json()).detail);
    await again();
    tell("● Saved, and in force. Other headers are for its channels once its list is read again, which is soon.");
    found.querySelector("[type=submit]").focus();
  } catch (error) {
    fault.textContent = `✕ Not saved: ${error.message}`;
  } finally {
    button.disabled = false;
  }
}

function ready() {
  const form = document.getElementById("options");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    save(form);
  });
  form.querySelector("[type=submit]").disabled = false;
}

ready();
