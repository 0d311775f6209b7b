// How figures and states are said. Pure functions; the twin of `plexbridge/web/wording.py`.

export const SHAPES = {
  connecting: "◐", active: "●", recovering: "▲", ended: "■", failed: "✕", free: "○", lingering: "◌",
};

export function size(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = count, unit = 0;
  while (value >= 1000 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

export function rate(bits) {
  return bits >= 1e6 ? `${(bits / 1e6).toFixed(1)} Mb/s` : `${Math.round(bits / 1e3)} kb/s`;
}

export function span(ms) {
  const total = Math.max(0, Math.round(ms / 1000));
  const hours = Math.floor(total / 3600), minutes = Math.floor(total / 60) % 60, seconds = total % 60;
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
}

export function lasted(ms) {
  if (ms < 1000) return `${ms} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60000), hours = Math.floor(minutes / 60);
  return hours ? `${hours} h ${minutes % 60} min` : `${minutes} min ${Math.floor(ms / 1000) % 60} s`;
}

export function clock(ms) {
  return new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
}

export function plural(count, one) {
  return `${count} ${count === 1 ? one : `${one}s`}`;
}

export function tunerWords(tuner) {
  if (tuner.state === "active") return plural(tuner.sessions.length, "viewer");
  if (tuner.state === "lingering") return "lingering";
  return tuner.freed_at === null ? "never used" : `freed ${clock(tuner.freed_at)}`;
}

export function tunerFreed(session) {
  const freed = session.tuner_freed_after_ms;
  return `tuner ${session.tuner}${freed === null ? "" : ` freed in ${lasted(freed)}`}`;
}

export function nextStep(session, gauge) {
  const due = session.next_deadline;
  if (!due) return "";
  const left = `${Math.ceil((gauge ? Math.max(0, gauge.deadline_in_ms) : due.after_ms) / 1000)} s`;
  if (session.state === "connecting") return `given up in ${left}, if no video comes`;
  if (session.state === "recovering") return `given up in ${left}, if the provider does not come back`;
  return `taken back in ${left}, if the player takes nothing more`;
}

export function summary(document) {
  const inUse = document.tuners.filter((tuner) => tuner.state === "active").length;
  const troubled = document.sessions.filter((session) => session.state === "recovering").length;
  const parts = [
    `${inUse} of ${plural(document.tuners.length, "tuner")} in use`,
    plural(document.sessions.length, "session"),
    `${rate(document.gauges.bitrate_out)} out`,
  ];
  if (troubled) parts.push(`${troubled} recovering`);
  return parts.join(" · ");
}

export function trouble(session) {
  return session.words && session.state === "recovering" ? session.words.text : "";
}
