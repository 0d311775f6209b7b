// Keeps the page true: every change in the log makes it ask for the dashboard again, once a second
// the gauges come by themselves. Text is only ever set as text.
import { SHAPES, bytes, clock, nextStep, plural, rate, span } from "./words.js";

const $ = (id) => document.getElementById(id);
const REFETCH_MS = 30;
const ANNOUNCE_EVERY_MS = 5000;

let now = JSON.parse($("document").dataset.document);
let gauges = now.gauges;
let offset = 0; // the bridge's clock less ours, from the last event seen live
let source = null, refetching = null, again = false, announcedAt = 0;
const cards = new Map();

function el(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function summary() {
  const inUse = now.tuners.filter((tuner) => tuner.state === "active").length;
  const troubled = now.sessions.filter((session) => session.state === "recovering").length;
  const parts = [
    `${inUse} of ${plural(now.tuners.length, "tuner")} in use`,
    plural(now.sessions.length, "session"),
    `${rate(gauges.bitrate_out)} out`,
  ];
  if (troubled) parts.push(`${troubled} recovering`);
  setText($("summary"), parts.join(" · "));
  const alarm = $("alarm");
  alarm.hidden = gauges.storing;
  if (!gauges.storing) {
    setText(alarm, `The event log cannot store at the moment: ${plural(gauges.waiting_facts, "fact")} wait, and nothing new is given. Is the disk full?`);
  }
  setText($("position"), `position ${now.position.toLocaleString()}`);
}

function tuners() {
  const list = $("tuners");
  while (list.children.length > now.tuners.length) list.lastChild.remove();
  now.tuners.forEach((tuner, index) => {
    let item = list.children[index];
    if (!item) {
      item = el("li");
      item.append(el("div", "number"), el("div", "what"), el("div", "state"));
      list.append(item);
    }
    item.dataset.state = tuner.state;
    const [number, what, state] = item.children;
    setText(number, `tuner ${tuner.tuner}`);
    setText(what, tuner.channel ? `${tuner.channel.guide_number} ${tuner.channel.name}` : "free");
    const viewers = tuner.sessions.length;
    const word = tuner.state === "active" ? plural(viewers, "viewer")
      : tuner.state === "lingering" ? "lingering"
      : tuner.freed_at ? `freed ${clock(tuner.freed_at)}` : "never used";
    setText(state, `${SHAPES[tuner.state]} ${word}`);
  });
}

const FIGURES = ["rate now", "watching for", "received", "first byte", "behind", "tuner"];

function newCard(session) {
  const card = el("article", "card");
  const head = el("header");
  const title = el("h3"), state = el("span", "state"), client = el("p", "client"), trouble = el("p", "trouble");
  head.append(title, state);
  const list = el("dl");
  const figures = FIGURES.map((name) => {
    const cell = el("div"), value = el("dd");
    cell.append(el("dt", "", name), value);
    list.append(cell);
    return value;
  });
  const next = el("p", "next");
  const stop = el("button", "danger", "Stop…");
  stop.type = "button";
  stop.addEventListener("click", () => askToStop(session.id));
  card.append(head, client, trouble, list, next, stop);
  return { card, title, state, client, trouble, figures, next, stop };
}

function sessions() {
  const holder = $("sessions");
  const open = new Set(now.sessions.map((session) => session.id));
  for (const [id, parts] of cards) {
    if (!open.has(id)) { parts.card.remove(); cards.delete(id); }
  }
  for (const session of now.sessions) {
    let parts = cards.get(session.id);
    if (!parts) {
      parts = newCard(session);
      parts.card.dataset.session = session.id;
      cards.set(session.id, parts);
      holder.append(parts.card);
    }
    const gauge = gauges.sessions[session.id];
    parts.card.dataset.state = session.state;
    setText(parts.title, `${session.channel.guide_number} ${session.channel.name}`);
    setText(parts.state, `${SHAPES[session.state]} ${session.state}`);
    setText(parts.client, `${session.client.name} · ${session.client.address}`);
    parts.trouble.hidden = !session.words || session.state !== "recovering";
    if (session.words) setText(parts.trouble, session.words.text);
    const values = [
      gauge ? rate(gauge.bitrate_now) : "–",
      span(Date.now() + offset - session.started_at),
      bytes(gauge ? gauge.bytes : session.bytes),
      session.first_byte_ms === null ? "waiting" : `${session.first_byte_ms} ms`,
      gauge ? bytes(gauge.lag_bytes) : "–",
      String(session.tuner),
    ];
    values.forEach((value, index) => setText(parts.figures[index], value));
    setText(parts.next, nextStep(session, gauge));
    setText(parts.stop, "Stop…");
    parts.stop.setAttribute("aria-label", `Stop ${session.channel.name} for ${session.client.name}`);
  }
  $("nobody").hidden = now.sessions.length > 0;
}

const BAD = new Set(["stream_failed", "timeout", "response_invalid", "stale", "orphaned", "ffmpeg_error", "process_closed"]);

function ended() {
  const items = now.just_ended.map((session) => {
    const item = el("li");
    const bad = BAD.has(session.reason);
    item.dataset.end = bad ? "bad" : "good";
    const why = el("span", "why");
    why.append(el("span", "state", bad ? "✕ " : "■ "), el("span", "", session.words.text));
    if (session.words.mends) why.append(el("span", "mends", ` · to mend: ${session.words.mends}`));
    const took = span(session.ended_at - session.started_at);
    item.append(
      el("span", "when", clock(session.ended_at)),
      el("span", "who", `${session.channel.guide_number} ${session.channel.name} · ${session.client.name}`),
      why,
      el("span", "figures", `${took} · ${bytes(session.bytes)} · tuner ${session.tuner}`),
    );
    return item;
  });
  $("ended").replaceChildren(...items);
  $("none-ended").hidden = items.length > 0;
}

function show() { summary(); tuners(); sessions(); ended(); }

function figures() { summary(); sessions(); }

async function refetch() {
  if (refetching) { again = true; return; }
  refetching = true;
  try {
    const answer = await fetch("api/dashboard", { cache: "no-store" });
    if (!answer.ok) throw new Error(`the bridge answered ${answer.status}`);
    now = await answer.json();
    gauges = now.gauges;
    show();
  } catch (error) {
    link("lost", `cannot ask the bridge: ${error.message}`);
  } finally {
    refetching = false;
    if (again) { again = false; refetch(); }
  }
}

let soon = null;
function changed(event) {
  offset = Math.min(5000, Math.max(offset, event.at - Date.now()));
  announce(event);
  if (!soon) soon = setTimeout(() => { soon = null; refetch(); }, REFETCH_MS);
}

function announce(event) {
  if (!event.dst || event.src === event.dst || Date.now() - announcedAt < ANNOUNCE_EVERY_MS) return;
  announcedAt = Date.now();
  const id = event.stream.slice("session-".length);
  const session = now.sessions.find((one) => one.id === id);
  const name = event.data.channel ? event.data.channel.name : session ? session.channel.name : "a session";
  setText($("announce"), `${name}: ${event.dst}`);
}

function link(state, text) {
  $("link").dataset.state = state;
  setText($("link"), text);
}

function connect() {
  source = new EventSource(`api/live?after=${now.position}`);
  source.addEventListener("open", () => { link("live", "live"); refetch(); });
  source.addEventListener("message", (message) => changed(JSON.parse(message.data)));
  source.addEventListener("gauges", (message) => {
    gauges = JSON.parse(message.data);
    link("live", `live ${clock(Date.now() + offset)}`);
    figures();
  });
  source.addEventListener("error", () => {
    link("lost", source.readyState === EventSource.CLOSED ? "the feed was closed: reload" : "reconnecting…");
  });
}

$("pause").addEventListener("click", () => {
  const paused = source !== null;
  $("pause").setAttribute("aria-pressed", String(paused));
  setText($("pause"), paused ? "Go on live" : "Pause live");
  if (paused) { source.close(); source = null; link("paused", `paused at ${clock(Date.now())}`); }
  else { connect(); }
});

function askToStop(id) {
  const session = now.sessions.find((one) => one.id === id);
  if (!session) return;
  const dialog = $("confirm");
  const shared = now.sessions.filter((one) => one.channel.id === session.channel.id).length > 1;
  setText($("confirm-text"), `${session.client.name} at ${session.client.address} loses ${session.channel.name} at once. `
    + (shared ? "Others go on watching it, so its tuner stays in use." : `Tuner ${session.tuner} is freed.`));
  dialog.returnValue = "cancel";
  dialog.onclose = () => { if (dialog.returnValue === "stop") stop(id); };
  dialog.showModal();
}

async function stop(id) {
  const asked = performance.now();
  const answer = await fetch(`api/sessions/${id}?reason=manual`, { method: "DELETE" });
  const told = await answer.json();
  const took = `${((performance.now() - asked) / 1000).toFixed(2)} s`;
  setText($("announce"), answer.ok ? `ended in ${took}` : told.detail);
  if (!answer.ok) { $("alarm").hidden = false; setText($("alarm"), told.detail); }
}

$("copy").addEventListener("click", async () => {
  try { await navigator.clipboard.writeText($("base").textContent); setText($("copy"), "Copied"); }
  catch { getSelection().selectAllChildren($("base")); setText($("copy"), "Selected"); }
});

setInterval(() => { if (source) sessions(); }, 1000);
show();
connect();
