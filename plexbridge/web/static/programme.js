// What a transport stream says of itself: which kinds of video and sound it carries (PAT and PMT,
// ISO/IEC 13818-1, 2.4.4), and which of them this browser decodes. Pure, but for asking the browser.

export const PACKET = 188;
const SYNC = 0x47, NULL_PACKET = [SYNC, 0x1f, 0xff, 0x10], PAT_PID = 0, PAT_TABLE = 0, PMT_TABLE = 2;

// stream_type → its kind, its name, and what the browser is asked about it; null: no browser decodes it.
const KINDS = {
  0x01: ["video", "MPEG-1", null],
  0x02: ["video", "MPEG-2", null],
  0x10: ["video", "MPEG-4 part 2", null],
  0x1b: ["video", "H.264", 'video/mp4; codecs="avc1.4d401f"'],
  0x24: ["video", "H.265", 'video/mp4; codecs="hvc1.1.6.L93.B0"'],
  0x33: ["video", "H.266", null],
  0xea: ["video", "VC-1", null],
  0x03: ["sound", "MPEG audio", "audio/mpeg"],
  0x04: ["sound", "MPEG audio", "audio/mpeg"],
  0x0f: ["sound", "AAC", 'audio/mp4; codecs="mp4a.40.2"'],
  0x11: ["sound", "AAC", 'audio/mp4; codecs="mp4a.40.2"'],
  0x81: ["sound", "AC-3", 'audio/mp4; codecs="ac-3"'],
  0x82: ["sound", "DTS", null],
  0x87: ["sound", "E-AC-3", 'audio/mp4; codecs="ec-3"'],
};

const MPEG_SOUND = [0x03, 0x04];
const SOUND_BYTES = 300_000; // without a frame of sound by now, it is taken for one that can be decoded

// Private data (type 6) is told by a descriptor (ETSI EN 300 468, 6.1).
const PRIVATE = 0x06;
const BY_DESCRIPTOR = { 0x6a: ["sound", "AC-3", null], 0x7a: ["sound", "E-AC-3", null], 0x7b: ["sound", "DTS", null] };

// `{video, sound, …}`, the two each `{name, decodable}` or null when there is none; null while `bytes`,
// which begin with a packet, do not hold the tables yet, or not yet what tells one MPEG sound from another.
export function readProgramme(bytes) {
  const pat = section(bytes, PAT_PID, PAT_TABLE);
  if (!pat) return null;
  for (let at = 8; at + 4 <= pat.length - 4; at += 4) {
    if (!(pat[at] << 8 | pat[at + 1])) continue; // program 0 is the network's
    const pmt = section(bytes, pid(pat, at + 2), PMT_TABLE);
    return pmt ? described(bytes, pmt, pid(pat, at + 2)) : null;
  }
  return null;
}

function described(bytes, pmt, pmtPid) {
  const found = { video: null, sound: null, pmtPid, pmt };
  let at = 12 + length12(pmt, 10);
  while (at + 5 <= pmt.length - 4) {
    const end = at + 5 + length12(pmt, at + 3);
    const kind = KINDS[pmt[at]] ?? (pmt[at] === PRIVATE ? byDescriptor(pmt, at + 5, end) : undefined);
    if (kind && !found[kind[0]]) {
      found[kind[0]] = { type: pmt[at], pid: pid(pmt, at + 1), name: kind[1], decodable: decodable(kind[2]) };
    }
    at = end;
  }
  const layered = MPEG_SOUND.includes(found.sound?.type) && found.video?.decodable !== false;
  return layered ? withLayer(bytes, found) : found;
}

// Browsers play layer 3, and no other; which one it is, the frames say (ISO/IEC 11172-3, 2.4.2.3).
function withLayer(bytes, found) {
  for (let at = 0; at + PACKET <= bytes.length; at += PACKET) {
    if (pid(bytes, at + 1) !== found.sound.pid || !(bytes[at + 1] & 0x40)) continue;
    const pes = at + 4 + (bytes[at + 3] & 0x20 ? 1 + bytes[at + 4] : 0);
    const frame = pes + 9 + bytes[pes + 8];
    const layer = 4 - (bytes[frame + 1] >> 1 & 3);
    if (frame + 1 >= at + PACKET || bytes[frame] !== 0xff || layer === 4) continue;
    found.sound = { ...found.sound, name: `MPEG layer ${layer}`, decodable: found.sound.decodable && layer === 3 };
    return found;
  }
  return bytes.length < SOUND_BYTES ? null : found;
}

// Makes whole packets tell of their video alone, in place: what is not told of, mpegts.js leaves alone.
export function tellVideoOnly({ pmtPid, pmt, video }, bytes) {
  const told = [
    ...pmt.slice(0, 1), pmt[1] & 0xf0, 18, ...pmt.slice(3, 10), 0xf0, 0, // as it was, with nothing about the whole
    video.type, 0xe0 | video.pid >> 8, video.pid & 0xff, 0xf0, 0,
    0, 0, 0, 0, // a CRC, which it does not look at
  ];
  for (let at = 0; at + PACKET <= bytes.length; at += PACKET) {
    if (pid(bytes, at + 1) !== pmtPid) continue;
    const begins = (bytes[at + 1] & 0x40) !== 0;
    const header = begins ? [SYNC, 0x40 | pmtPid >> 8, pmtPid & 0xff, 0x10 | bytes[at + 3] & 0x0f, 0, ...told] : NULL_PACKET;
    bytes.fill(0xff, at, at + PACKET);
    bytes.set(header, at);
  }
}

function byDescriptor(pmt, from, to) {
  for (let at = from; at + 2 <= to; at += 2 + pmt[at + 1]) {
    if (BY_DESCRIPTOR[pmt[at]]) return BY_DESCRIPTOR[pmt[at]];
  }
  return undefined;
}

function decodable(type) {
  return type !== null && MediaSource.isTypeSupported(type);
}

const pid = (bytes, at) => (bytes[at] & 0x1f) << 8 | bytes[at + 1];
const length12 = (bytes, at) => (bytes[at] & 0x0f) << 8 | bytes[at + 1];

// The first whole section of a table on a PID, from its table_id to its CRC; null: not here.
function section(bytes, wanted, table) {
  let gathered = null;
  for (let at = 0; at + PACKET <= bytes.length; at += PACKET) {
    if (bytes[at] !== SYNC || pid(bytes, at + 1) !== wanted || !(bytes[at + 3] & 0x10)) continue;
    const begins = (bytes[at + 1] & 0x40) !== 0;
    let from = at + 4 + (bytes[at + 3] & 0x20 ? 1 + bytes[at + 4] : 0);
    if (begins) { from += 1 + bytes[from]; gathered = []; }
    if (!gathered) continue;
    for (; from < at + PACKET; from += 1) gathered.push(bytes[from]);
    if (gathered[0] !== table) { gathered = null; continue; }
    if (gathered.length >= 3 && gathered.length >= 3 + length12(gathered, 1)) {
      return gathered.slice(0, 3 + length12(gathered, 1));
    }
  }
  return null;
}
