// Bytes of a transport stream into a <video>, by mpegts.js, which is loaded when first wanted. Knows
// nothing of where the bytes come from: the request stays with who made it, and ends when that says so.
import { PACKET, tellVideoOnly } from "./programme.js";

const LATENCY_S = 3; // behind live: enough to ride over a late chunk
const LATENCY_MAX_S = 8; // further behind, it plays a little faster
const KEPT_S = 20; // of what was played, before the browser's memory is freed of it

let loading = null;

function library() {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL("mpegts.js", import.meta.url);
    script.onload = () => { window.mpegts.LoggingControl.enableAll = false; resolve(window.mpegts); };
    script.onerror = () => { loading = null; script.remove(); reject(new Error("the player's script cannot be loaded")); };
    document.head.append(script);
  });
  return loading;
}

// Start a player on `video`. `silent`: leave out the sound of this `programme`. `failed()`: the browser
// cannot go on. Returns `{feed, stop}`.
export async function startPlayer(video, { programme, silent, failed }) {
  const mpegts = await library();
  let opened, loader = null, stopped = false, rest = new Uint8Array(0);
  const open = new Promise((resolve) => { opened = resolve; });

  class Fed extends mpegts.BaseLoader {
    constructor() { super("fed"); loader = this; }
    open(source, range) {
      this.from = this.given = range.from;
      this._status = mpegts.LoaderStatus.kBuffering;
      opened();
    }
    abort() { this._status = mpegts.LoaderStatus.kIdle; }
    give(bytes) {
      if (!this.isWorking()) return; // the browser's memory is full: what comes meanwhile is skipped
      const at = this.given;
      this.given += bytes.length;
      this.onDataArrival(bytes.buffer, at, this.given - this.from);
    }
  }

  const player = mpegts.createPlayer(
    { type: "mpegts", isLive: true, url: "fed" },
    {
      customLoader: Fed, enableStashBuffer: false, liveSync: true, liveSyncTargetLatency: LATENCY_S,
      liveSyncMaxLatency: LATENCY_MAX_S, autoCleanupMaxBackwardDuration: 2 * KEPT_S, autoCleanupMinBackwardDuration: KEPT_S,
    },
  );
  // Told later: in the middle of its own work it must not be taken down.
  player.on(mpegts.Events.ERROR, () => { setTimeout(failed); });
  player.attachMediaElement(video);
  player.load();

  return {
    // Resolves when the player took them. Whole packets are passed on, each time in a buffer of their own.
    async feed(bytes) {
      await open;
      if (stopped) return;
      const all = new Uint8Array(rest.length + bytes.length);
      all.set(rest);
      all.set(bytes, rest.length);
      const whole = all.length - all.length % PACKET;
      rest = all.slice(whole);
      const packets = all.slice(0, whole);
      if (silent) tellVideoOnly(programme, packets);
      if (whole) loader.give(packets);
    },
    stop() {
      stopped = true;
      opened();
      player.destroy();
    },
  };
}
