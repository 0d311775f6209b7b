// How figures and states are said. Pure functions.

export const SHAPES = {
  connecting: "◐", active: "●", recovering: "▲", ended: "■", free: "○", lingering: "◌",
};

export function bytes(count) {
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

export function clock(ms) {
  return new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
}

export function plural(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}

export function nextStep(session, gauge) {
  const due = session.next_deadline;
  if (!due) return "";
  const left = gauge ? Math.max(0, Math.ceil(gauge.deadline_in_ms / 1000)) : Math.round(due.after_ms / 1000);
  if (session.state === "connecting") return `given up in ${left} s, if no video comes`;
  if (session.state === "recovering") return `given up in ${left} s, if the provider does not come back`;
  return `taken back in ${left} s, if the player takes nothing more`;
}
