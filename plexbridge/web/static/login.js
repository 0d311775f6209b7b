// The forms at the entrance: the password is asked for and sent as JSON, never as a form that another
// site's page could send as well. What went wrong is said beside the field, with the next step.

const form = document.getElementById("form");
const told = document.getElementById("told");
const password = document.getElementById("password");
const again = document.getElementById("again");
const button = form.querySelector("button");
const root = new URL("./", location.href);
let asking = false;

// Where to go on: a page of ours, whatever the address that led here says.
function onward() {
  try {
    const wanted = new URL(form.dataset.next ?? "", root);
    if (wanted.origin === root.origin && wanted.pathname.startsWith(root.pathname)) return wanted.href;
  } catch { /* no address at all */ }
  return root.href;
}

function tell(text, field) {
  told.textContent = text ? `▲ ${text}` : "";
  for (const one of [password, again]) one?.setAttribute("aria-invalid", String(one === field));
  field?.focus();
}

function missing() {
  if (!password.value) return ["Type the password.", password];
  if (!again) return null;
  if ([...password.value].length < password.minLength) {
    return [`Choose a longer password: at least ${password.minLength} characters.`, password];
  }
  if (again.value !== password.value) return ["The two are not the same. Type the second one again.", again];
  return null;
}

async function send() {
  const body = { password: password.value };
  if (form.dataset.code !== undefined) body.code = form.dataset.code;
  const answer = await fetch(form.getAttribute("action"), {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  if (answer.ok) { location.replace(onward()); return true; }
  const said = await answer.json();
  if (!again) password.value = "";
  tell(said.detail, password);
  return false;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (asking) return;
  const fault = missing();
  if (fault) { tell(...fault); return; }
  asking = true;
  tell("", null);
  button.setAttribute("aria-disabled", "true");
  let leaving = false;
  try {
    leaving = await send();
  } catch (error) {
    tell(`The bridge cannot be reached (${error.message}). Try again in a moment.`, password);
  }
  asking = leaving;
  if (!leaving) button.removeAttribute("aria-disabled");
});

// A link on another site brings no cookie along, but from here on there is one: if it is good, go on.
if (form.dataset.look !== undefined) {
  const state = await fetch("access", { cache: "no-store" }).then((answer) => answer.json()).catch(() => null);
  if (state?.logged_in) location.replace(onward());
}
