// Keeps the page true: what changes in the log makes it ask for the dashboard again, gauges come by
// themselves. Text is only ever set as text.
import { LiveFeed } from "./live.js";
import { openPreview } from "./preview.js";
import { SHAPES, clock, nextStep, rate, size, span, summary, trouble, tunerFreed, tunerWords, plural } from "./words.js";

const $ = (id) => document.getElementById(id);
const CHANGED_MS = 30; // a start or an end is shown at once, with all that came with it
const COUNTED_MS = 1000; // counters move by the gauges; their events only confirm them
const FAILED_MS = 3000;
const ANNOUNCE_EVERY_MS = 5000;

const FAILURES = new Set($("document").dataset.failures.split(" "));
let now = JSON.parse($("document").dataset.document);
const aheadMs = now.told_at - Date.now(); // the bridge's clock less ours
let wanted = now.position; // the last position heard of
let fetching = false, soon = null, soonAt = 0, announcedAt = 0;
const cards = new Map();
const endedAt = new Map(); // sessions whose end was told, by position: an older answer may still list them

const bridgeNow = () => Date.now() + aheadMs;

function el(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function showSummary() {
  setText($("summary"), summary(now));
  $("alarm").hidden = now.gauges.storing;
  if (!now.gauges.storing) {
    setText($("alarm"), `The event log cannot store at the moment: ${plural(now.gauges.waiting_facts, "fact")} wait, and nothing new is given. Is the disk full?`);
  }
  setText($("position"), `position ${now.position.toLocaleString("en")}`);
}

function showTuners() {
  const list = $("tuners");
  while (list.children.length > now.tuners.length) list.lastElementChild.remove();
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
    setText(state, `${SHAPES[tuner.state]} ${tunerWords(tuner)}`);
  });
}

function storyLink(session, className) {
  const link = el("a", className);
  link.href = `sessions/${session.id}`;
  return link;
}

const FIGURES = ["rate now", "watching for", "received", "first byte", "behind", "tuner"];

function newCard(session) {
  const card = el("article", "card");
  card.dataset.session = session.id;
  const head = el("header");
  const heading = el("h3"), title = storyLink(session), state = el("span", "state"), client = el("p", "client"), fault = el("p", "trouble");
  heading.append(title);
  head.append(heading, state);
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
  stop.setAttribute("aria-label", `Stop ${session.channel.name} for ${session.client.name}`);
  stop.addEventListener("click", () => askToStop(session.id));
  const preview = el("button", "", " Preview"), mark = el("span", "", "▶"), actions = el("div", "actions");
  preview.type = "button";
  preview.setAttribute("aria-label", `Preview ${session.channel.name}`);
  mark.setAttribute("aria-hidden", "true");
  preview.prepend(mark);
  preview.addEventListener("click", () => openPreview(session.channel));
  actions.append(preview, stop);
  card.append(head, client, fault, list, next, actions);
  return { card, title, state, client, fault, figures, next };
}

function removeCards() {
  const open = new Set(now.sessions.map((session) => session.id));
  for (const [id, parts] of cards) {
    if (!open.has(id)) { parts.card.remove(); cards.delete(id); }
  }
  $("nobody").hidden = now.sessions.length > 0;
}

function showSessions() {
  removeCards();
  for (const session of now.sessions) {
    if (!cards.has(session.id)) {
      cards.set(session.id, newCard(session));
      $("sessions").append(cards.get(session.id).card);
    }
    fillCard(cards.get(session.id), session, now.gauges.sessions[session.id]);
  }
}

function fillCard(parts, session, gauge) {
  parts.card.dataset.state = session.state;
  setText(parts.title, `${session.channel.guide_number} ${session.channel.name}`);
  setText(parts.state, `${SHAPES[session.state]} ${session.state}`);
  setText(parts.client, `${session.client.name} · ${session.client.address}`);
  setText(parts.fault, trouble(session));
  parts.fault.hidden = !trouble(session);
  const values = [
    gauge ? rate(gauge.bitrate_now) : "–",
    span(bridgeNow() - session.started_at),
    size(gauge ? gauge.bytes : session.bytes),
    session.first_byte_ms === null ? "waiting" : `${session.first_byte_ms} ms`,
    gauge ? size(gauge.lag_bytes) : "–",
    String(session.tuner),
  ];
  values.forEach((value, index) => setText(parts.figures[index], value));
  setText(parts.next, nextStep(session, gauge));
}

function showEnded() {
  const items = now.just_ended.map((session) => {
    const item = el("li");
    const failed = FAILURES.has(session.reason);
    item.dataset.end = failed ? "bad" : "good";
    const why = el("span", "why");
    why.append(el("span", "state", `${SHAPES[failed ? "failed" : "ended"]} `), el("span", "", session.words.text));
    if (session.words.mends) why.append(el("span", "mends", ` · to mend: ${session.words.mends}`));
    const who = storyLink(session, "who");
    setText(who, `${session.channel.guide_number} ${session.channel.name} · ${session.client.name}`);
    const took = span(session.ended_at - session.started_at);
    item.append(
      el("span", "when", clock(session.ended_at)),
      who,
      why,
      el("span", "figures", `${took} · ${size(session.bytes)} · ${tunerFreed(session)}`),
    );
    return item;
  });
  const focused = $("ended").contains(document.activeElement) ? document.activeElement.href : null;
  $("ended").replaceChildren(...items);
  // Whoever is at a row with the keyboard stays there.
  items.map((item) => item.querySelector("a")).find((link) => link.href === focused)?.focus({ preventScroll: true });
  $("none-ended").hidden = items.length > 0;
}

function show() { showSummary(); showTuners(); showSessions(); showEnded(); }

// One question at a time; what changed meanwhile is asked about next.
async function refetch() {
  if (fetching) return;
  fetching = true;
  const fine = await fetchNow();
  fetching = false;
  if (!fine) refetchIn(FAILED_MS);
  else if (now.position < wanted) refetchIn(CHANGED_MS);
}

async function fetchNow() {
  try {
    const answer = await fetch("api/dashboard", { cache: "no-store" });
    if (!answer.ok) throw new Error(`it answered ${answer.status}`);
    now = await answer.json();
    leaveOutEnded();
  } catch (error) {
    if (!feed.paused) link("lost", `cannot ask the bridge: ${error.message}`);
    return false;
  }
  show();
  return true;
}

function refetchIn(ms) {
  const at = Date.now() + ms;
  if (soon && soonAt <= at) return;
  clearTimeout(soon);
  soonAt = at;
  soon = setTimeout(() => { soon = null; refetch(); }, ms);
}

function leaveOutEnded() {
  for (const [id, position] of endedAt) if (position <= now.position) endedAt.delete(id);
  now.sessions = now.sessions.filter((session) => !endedAt.has(session.id));
}

// An end is shown as it is told; what else came of it is asked for.
function ended(event) {
  endedAt.set(event.stream.replace("session-", ""), event.pos);
  leaveOutEnded();
  removeCards();
  showSummary();
}

function changed(event) {
  wanted = Math.max(wanted, event.pos);
  announce(event);
  if (event.dst === "ended") ended(event);
  refetchIn(event.type === "activity" && event.src === event.dst ? COUNTED_MS : CHANGED_MS);
}

function announce(event) {
  if (!event.dst || event.src === event.dst || Date.now() - announcedAt < ANNOUNCE_EVERY_MS) return;
  announcedAt = Date.now();
  const session = now.sessions.find((one) => `session-${one.id}` === event.stream);
  const channel = event.data.channel ?? session?.channel;
  setText($("announce"), `${channel ? channel.name : "a session"}: ${event.dst}`);
}

function link(state, text) {
  $("link").dataset.state = state;
  setText($("link"), state === "paused" ? `${text} at ${clock(bridgeNow())}` : text);
}

function askToStop(id) {
  const session = now.sessions.find((one) => one.id === id);
  if (!session) return;
  const dialog = $("confirm");
  const shared = now.sessions.filter((one) => one.channel.id === session.channel.id).length > 1;
  setText($("confirm-text"), `${session.client.name} at ${session.client.address} loses ${session.channel.name} at once. `
    + (shared ? "Others go on watching it, so its tuner stays in use." : `Tuner ${session.tuner} is free for the next viewer.`));
  dialog.returnValue = "cancel";
  dialog.onclose = () => { if (dialog.returnValue === "stop") stop(session); };
  dialog.showModal();
}

async function stop(session) {
  const asked = performance.now();
  const what = `${session.channel.name} for ${session.client.name}`;
  try {
    const answer = await fetch(`api/sessions/${session.id}?reason=manual`, { method: "DELETE" });
    const told = await answer.json();
    if (!answer.ok) { tellResult(false, `${what} was not stopped: ${told.detail}`); return; }
    const took = ((performance.now() - asked) / 1000).toFixed(2);
    const watched = span(told.ended.ended_at - told.ended.started_at);
    tellResult(true, `${what} was stopped in ${took} s, after ${watched} and ${size(told.ended.bytes)}.`);
    refetchIn(CHANGED_MS);
  } catch (error) {
    tellResult(false, `${what} was not stopped: the bridge cannot be asked (${error.message})`);
  }
}

function tellResult(good, text) {
  $("result").dataset.end = good ? "good" : "bad";
  setText($("result"), `${SHAPES[good ? "ended" : "failed"]} ${text}`);
}

$("sessions").replaceChildren(); // what the server drew; from here on the cards are ours
show();
const feed = new LiveFeed({
  position: () => now.position,
  opened: () => { wanted = 0; refetchIn(0); }, // it may be another log, and shorter
  ask: () => refetchIn(0),
  event: changed,
  gauges: (gauges) => { now.gauges = gauges; showSummary(); showSessions(); },
  link,
});

$("pause").disabled = $("copy").disabled = false;
$("pause").addEventListener("click", () => {
  feed.pause(!feed.paused);
  $("pause").setAttribute("aria-pressed", String(feed.paused));
  setText($("pause"), feed.paused ? "Go on live" : "Pause live");
});
$("copy").addEventListener("click", async () => {
  try { await navigator.clipboard.writeText($("base").textContent); setText($("copy"), "Copied"); }
  catch { getSelection().selectAllChildren($("base")); setText($("copy"), "Selected"); }
});
