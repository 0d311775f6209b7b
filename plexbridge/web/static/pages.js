// Takes parts out of pages that the server made: what a script shows is what an address shows.
import { localTimes } from "./times.js";

export async function partsOf(address, signal) {
  const answer = await fetch(address, { signal, cache: "no-store" });
  if (!answer.ok) throw new Error(`it answered ${answer.status}`);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  localTimes(page);
  return page;
}

export async function copyText(node) {
  try { await navigator.clipboard.writeText(node.textContent); return "Copied"; }
  catch { getSelection().selectAllChildren(node); return "Selected"; }
}

// J and K go along the rows of a list, E opens the data of the one with the focus.
export function walkRows(list) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
    const rows = [...list().querySelectorAll("li[id]")];
    const at = rows.findIndex((row) => row.contains(document.activeElement));
    if (event.key === "j") rows[Math.min(at + 1, rows.length - 1)]?.focus();
    else if (event.key === "k") rows[Math.max(at - 1, 0)]?.focus();
    else if (event.key === "e" && at >= 0) {
      const raw = rows[at].querySelector("details");
      raw.open = !raw.open;
    }
  });
}
