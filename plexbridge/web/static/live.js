// The live feed, for any page: one EventSource, what became of it, and coming back by position. Where
// the network lets no feed through (a proxy that keeps answers until they are whole), pages ask instead.
// Browsers hold six connections per origin, so a hidden tab lets go of its own.

const SILENT_MS = 5000; // gauges come every second
const AGAIN_MS = 3000;
const ASK_EVERY_MS = 2000; // while nothing is heard

export class LiveFeed {
  // `position()`: where to go on. `event(e)`, `gauges(g)`: what came. `link(state, text)`: connection words.
  // `ask()`: look by yourself, nothing comes.
  constructor(handlers) {
    this.handlers = handlers;
    this.source = null;
    this.paused = false;
    this.heardAt = 0; // or since when it is listened for
    this.toldAt = Date.now(); // when something last came
    this.askedAt = 0;
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.#close();
      else if (!this.paused) this.#open();
    });
    setInterval(() => this.#listen(), 1000);
    this.#open();
  }

  pause(paused) {
    this.paused = paused;
    if (paused) { this.#close(); this.handlers.link("paused", "paused"); }
    else this.#open();
  }

  #open() {
    this.#close();
    this.heardAt = Date.now();
    this.handlers.link("connecting", "connecting…");
    const source = new EventSource(new URL(`../api/live?after=${this.handlers.position()}`, import.meta.url));
    source.addEventListener("open", () => { this.#heard(); this.handlers.opened(); });
    source.addEventListener("message", (message) => { this.#heard(); this.handlers.event(JSON.parse(message.data)); });
    source.addEventListener("gauges", (message) => { this.#heard(); this.handlers.gauges(JSON.parse(message.data)); });
    source.addEventListener("error", () => {
      this.handlers.link("lost", "reconnecting…");
      // The browser comes back by itself, but for an answer that was none: then we do.
      if (source.readyState === EventSource.CLOSED) this.#againLater(source);
    });
    this.source = source;
  }

  // An answer that was none may mean that this browser's session is over: then the page, asked for
  // anew, leads to the login and back.
  async #againLater(source) {
    const answer = await fetch(new URL("../access", import.meta.url), { cache: "no-store" }).catch(() => null);
    const state = answer?.ok ? await answer.json() : null;
    if (state?.password_set && !state.logged_in) { location.reload(); return; }
    setTimeout(() => { if (this.source === source) this.#open(); }, AGAIN_MS);
  }

  #heard() {
    this.heardAt = this.toldAt = Date.now();
    this.handlers.link("live", "live");
  }

  #listen() {
    if (this.source && Date.now() - this.toldAt > SILENT_MS) this.#ask();
    if (this.source?.readyState !== EventSource.OPEN) return;
    const silentMs = Date.now() - this.heardAt;
    if (silentMs > 2 * SILENT_MS) this.#open();
    else if (silentMs > SILENT_MS) this.handlers.link("lost", `nothing heard for ${Math.round(silentMs / 1000)} s`);
  }

  #ask() {
    if (Date.now() - this.askedAt < ASK_EVERY_MS) return;
    this.askedAt = Date.now();
    this.handlers.ask();
  }

  #close() {
    if (this.source) this.source.close();
    this.source = null;
  }
}
