// A channel played in the page. A preview is a session like any other: it takes a tuner, or shares
// one, and whatever stops the picture (closing, pausing, an error) ends the session at once.
import { readProgramme } from "./programme.js";
import { startPlayer } from "./playback.js";
import { SHAPES, plural } from "./words.js";

const $ = (id) => document.getElementById(id);
const HEAD_BYTES = 2e6; // the tables come several times a second: without them by now, it is tried as it is
const READY_S = 1, READY_MS = 2000; // played from here on: this much is there, or it has waited this long
const LATE_MS = 700; // a shorter pause for breath is not worth a word
const TUNER_MS = 2000; // who shares the tuner is asked this often while the dialog is open
const END_TRIES = 5, END_MS = 200; // why it ended is told once the log holds it

// What a refusal means, by the number in `X-HDHomeRun-Error`, and what can be done.
const REFUSALS = {
  801: "This channel is no longer in the lineup. Load this page anew.",
  803: "The bridge gives nothing new at the moment: it is stopping, or its event log cannot store. Try again in a moment.",
  804: "That tuner is in use by another channel.",
  805: "All tuners are in use, or the channel's source allows no further connection. End a session on the Now page, or wait until one ends.",
  806: "The channel could not be tuned: its source did not answer, or refused. Other channels may still play.",
  807: "The channel's source answered, but sent no video. Other channels may still play.",
};
const REFUSED_TRANSCODING = "The bridge does not transcode it now: at most 3 previews are transcoded at once, and it needs ffmpeg. Close another preview, or ask plexbridge doctor.";

let run = null; // the attempt that is on; whatever another one still does is of no interest

// `channel`: `{id, guide_number, name}`, as the dashboard and the list of channels have it.
export function openPreview(channel) {
  $("preview-title").textContent = `${channel.guide_number} ${channel.name}`;
  $("preview-again").onclick = () => begin(channel, { transcode: run?.transcode ?? false });
  $("preview-transcode").onclick = () => begin(channel, { transcode: true });
  $("preview-close").onclick = () => $("preview").close();
  $("preview").onclose = end;
  $("preview").showModal();
  begin(channel, {});
}

function begin(channel, { transcode = false, silent = false }) {
  end();
  const control = new AbortController();
  const mine = { channel, transcode, silent, control, signal: control.signal, player: null, session: null, over: false };
  run = mine;
  offer({});
  $("preview-tuner").textContent = "";
  tell("connecting", transcode ? "connecting, with transcoding…" : "connecting…");
  play(mine).catch((error) => {
    if (!mine.over) give(mine, "failed", `The bridge cannot be reached (${error.message}).`, { again: true });
  });
}

// Ends the request first, and with it the session.
function end() {
  if (!run) return;
  run.over = true;
  run.control.abort();
  run.player?.stop();
  run.player = null;
}

// Ends the attempt and says why; what can be done instead is offered.
function give(mine, state, text, offered) {
  if (mine.over) return;
  end();
  tell(state, text);
  offer(offered);
  $("preview-tuner").textContent = "";
}

function tell(state, text) {
  $("preview-state").dataset.state = state;
  $("preview-state").textContent = `${SHAPES[state]} ${text}`;
  $("preview-video").controls = state === "active" || state === "recovering"; // others would do nothing
}

function offer({ again = false, transcode = false }) {
  const focused = document.activeElement;
  $("preview-again").hidden = !again;
  $("preview-transcode").hidden = !transcode;
  if (focused?.hidden) $("preview-close").focus();
}

async function play(mine) {
  const url = `streams/preview/${mine.channel.id}${mine.transcode ? "?transcode=true" : ""}`;
  const answer = await fetch(url, { signal: mine.signal, cache: "no-store" });
  if (!answer.ok) { refused(mine, answer); return; }
  mine.session = answer.headers.get("X-PlexBridge-Session");
  mine.tuner = /\d+$/.exec(answer.headers.get("X-HDHomeRun-Resource") ?? "")?.[0];
  tellTuner(mine);
  tell("connecting", "video arrives; waiting for the first whole picture…");
  const reader = answer.body.getReader();
  const { head, programme, done } = await readHead(reader);
  if (mine.over) return;
  if (!done && !await canPlay(mine, programme)) return;
  if (!done) await mine.player.feed(head);
  while (!done && !mine.over) {
    const part = await reader.read();
    if (part.done) break;
    await mine.player?.feed(part.value);
  }
  if (!mine.over) await sayHowItEnded(mine);
}

async function readHead(reader) {
  let head = new Uint8Array(0), programme = null;
  while (!programme && head.length < HEAD_BYTES) {
    const part = await reader.read();
    if (part.done) return { head, programme, done: true };
    const longer = new Uint8Array(head.length + part.value.length);
    longer.set(head);
    longer.set(part.value, head.length);
    head = longer;
    programme = readProgramme(head);
  }
  return { head, programme, done: false };
}

// Starts the player where it makes sense, and otherwise says why not.
async function canPlay(mine, programme) {
  const { video, sound } = programme ?? {};
  if (video && !video.decodable) {
    const sent = mine.transcode ? "Also transcoded, it came as" : "This channel is";
    const next = mine.transcode ? "Play it in VLC instead." : "Try with transcoding, or play it in VLC.";
    give(mine, "failed", `${sent} ${video.name} video; your browser cannot show it. ${next}`, { transcode: !mine.transcode });
    return false;
  }
  if (programme && !video && !sound?.decodable) {
    give(mine, "failed", "This channel carries nothing that your browser can play.", { transcode: !mine.transcode });
    return false;
  }
  const silent = Boolean(video && sound) && (mine.silent || !sound.decodable);
  listen(mine, programme, silent);
  const player = await startPlayer($("preview-video"), { programme, silent, failed: () => undecodable(mine, programme, silent) });
  if (mine.over) { player.stop(); return false; }
  mine.player = player;
  return true;
}

function playingText(programme, silent) {
  if (silent) return `playing, without its sound: your browser cannot decode ${programme.sound.name}`;
  if (programme && !programme.sound) return "playing; this channel has no sound";
  return programme && !programme.video ? "playing; this channel is sound alone" : "playing";
}

function listen(mine, programme, silent) {
  const video = $("preview-video"), { signal } = mine;
  const on = (name, act) => video.addEventListener(name, () => { if (!mine.over) act(); }, { signal });
  let begun = false, late = null;
  on("playing", () => {
    begun = true;
    clearTimeout(late);
    tell("active", `${playingText(programme, silent)}${video.muted ? " (muted)" : ""}`);
    offer({ transcode: silent && !mine.transcode });
  });
  on("waiting", () => {
    clearTimeout(late);
    if (begun) late = setTimeout(() => { if (!mine.over) tell("recovering", "no video arrives at the moment; waiting…"); }, LATE_MS);
  });
  on("pause", () => give(mine, "ended", "Paused, and the session ended: nothing is held for you. It goes on live.", { again: true }));
  on("error", () => undecodable(mine, programme, silent));
  startWhenReady(mine, video);
}

// Begins when there is enough to go on with. Browsers let a page begin with sound where the person has
// acted on it; elsewhere muted.
function startWhenReady(mine, video) {
  let first = null;
  const look = setInterval(async () => {
    if (mine.over) { clearInterval(look); return; }
    if (!video.buffered.length) return;
    first ??= Date.now();
    if (video.buffered.end(0) - video.buffered.start(0) < READY_S && Date.now() - first < READY_MS) return;
    clearInterval(look);
    video.muted = false;
    try { await video.play(); }
    catch (error) {
      if (error.name !== "NotAllowedError") return; // what ended it tells itself
      video.muted = true;
      video.play().catch(() => give(mine, "ended", "Your browser did not let it begin by itself.", { again: true }));
    }
  }, 50);
}

// Once more without its sound, which browsers stumble over more than over pictures; then it is said.
function undecodable(mine, programme, silent) {
  if (mine.over) return;
  if (programme?.video && programme.sound && !silent) { begin(mine.channel, { transcode: mine.transcode, silent: true }); return; }
  const next = mine.transcode ? "Play it in VLC instead." : "Try with transcoding, or play it in VLC.";
  give(mine, "failed", `Your browser cannot decode this channel. ${next}`, { transcode: !mine.transcode });
}

function refused(mine, answer) {
  const said = answer.headers.get("X-HDHomeRun-Error") ?? "";
  const known = REFUSALS[said.split(" ")[0]] ?? `The bridge refused: ${said || `it answered ${answer.status}`}.`;
  const text = mine.transcode && said.startsWith("803") ? REFUSED_TRANSCODING : known;
  give(mine, "failed", text, { again: true });
}

async function ask(mine, path) {
  const answer = await fetch(path, { signal: mine.signal, cache: "no-store" });
  return answer.ok ? answer.json() : null;
}

async function tellTuner(mine) {
  try {
    while (!mine.over) {
      const now = await ask(mine, "api/dashboard");
      if (now && !mine.over) $("preview-tuner").textContent = tunerText(mine, now.sessions);
      await new Promise((resolve) => { setTimeout(resolve, TUNER_MS); });
    }
  } catch (error) {
    if (!mine.over) $("preview-tuner").textContent = `Who shares its tuner cannot be asked (${error.message}).`;
  }
}

function tunerText(mine, sessions) {
  const others = sessions.filter((one) => one.channel.id === mine.channel.id && one.id !== mine.session).length;
  return others
    ? `Shares tuner ${mine.tuner} with ${plural(others, "other viewer")}; closing this disturbs nobody.`
    : `Uses tuner ${mine.tuner}, until you close this.`;
}

async function sayHowItEnded(mine) {
  let words = null;
  for (let tries = 0; !words && tries < END_TRIES; tries += 1) {
    if (tries) await new Promise((resolve) => { setTimeout(resolve, END_MS); });
    const session = await ask(mine, `api/sessions/${mine.session}`);
    if (session?.state === "ended") words = session.words;
  }
  give(mine, "ended", words ? `The session ended: ${words.text}.` : "The bridge ended the stream.", { again: true });
}
