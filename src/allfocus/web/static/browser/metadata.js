/* ICC profile, EXIF and XMP carried from file to file byte for byte: JPEG segments and WebP chunks. */

const text = (bytes, at, length) => String.fromCharCode(...bytes.subarray(at, at + length));

/* where a TIFF block (EXIF) has its orientation, or null: {view, at, little} */
function orientationEntry(bytes, at) {
  try {
    const view = new DataView(bytes.buffer, bytes.byteOffset + at), little = view.getUint16(0) === 0x4949;
    const first = view.getUint32(4, little), count = view.getUint16(first, little);
    for (let i = 0; i < count; i++) {
      const entry = first + 2 + 12 * i;
      if (view.getUint16(entry, little) === 0x0112) return { view, at: entry + 8, little };
    }
  } catch { /* damaged EXIF is carried as it is */ }
  return null;
}

/** The orientation that a TIFF block states, 1 to 8; 1 where it states none. */
export function orientationOf(bytes, at) {
  const entry = orientationEntry(bytes, at), value = entry?.view.getUint16(entry.at, entry.little);
  return value >= 1 && value <= 8 ? value : 1;
}

/** A TIFF block (in place) whose orientation is 1, because what is written is upright. */
export function upright(bytes, at) {
  const entry = orientationEntry(bytes, at);
  entry?.view.setUint16(entry.at, 1, entry.little);
}

/** An XMP packet (in place) whose orientation is 1. */
export function uprightXmp(bytes) {
  const packet = new TextDecoder('latin1').decode(bytes);
  for (const found of packet.matchAll(/tiff:Orientation(?:\s*=\s*["']|\s*>\s*)([1-8])/g)) bytes[found.index + found[0].length - 1] = 0x31;
}

/* a profile fits what a canvas writes only if it describes RGB */
const describesRgb = (profile, at) => text(profile, at + 16, 4) === 'RGB ';
const UNFIT = 'the colour profile is not one for RGB, which a browser writes: left out';

function segments(bytes) {
  const found = [];
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff && bytes[at + 1] !== 0xda; ) {
    const size = 2 + ((bytes[at + 2] << 8) | bytes[at + 3]);
    found.push({ marker: bytes[at + 1], at, size });
    at += size;
  }
  return found;
}

/** A JPEG as the canvas made it, with the EXIF, XMP, ICC, Photoshop and comment segments of another: {blob, notes}. */
export function carryJpeg(source, made) {
  const notes = [], isProfile = ({ marker, at }) => marker === 0xe2 && text(source, at + 4, 11) === 'ICC_PROFILE';
  const all = segments(source), profile = all.find((one) => isProfile(one) && source[one.at + 16] === 1);
  const fits = profile && describesRgb(source, profile.at + 18);
  if (profile && !fits) notes.push(UNFIT);
  const kept = all.filter((one) => (one.marker === 0xe1 && /^(Exif|http)/.test(text(source, one.at + 4, 4))) || (fits && isProfile(one)) || one.marker === 0xed || one.marker === 0xfe)
    .map(({ at, size }) => {
      const piece = source.slice(at, at + size);
      if (text(piece, 4, 4) === 'Exif') upright(piece, 10);
      else if (piece[1] === 0xe1) uprightXmp(piece);
      return piece;
    });
  const own = segments(made), parts = [made.subarray(0, 2)], first = own[0];
  if (first?.marker === 0xe0) parts.push(made.subarray(first.at, first.at + first.size));
  parts.push(...kept);
  let end = 2;
  for (const { marker, at, size } of own) {
    if (marker < 0xe0 || marker > 0xef) parts.push(made.subarray(at, at + size));
    end = at + size;
  }
  return { blob: new Blob([...parts, made.subarray(end)], { type: 'image/jpeg' }), notes };
}

function chunks(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset), found = [];
  for (let at = 12; at + 8 <= bytes.length; ) {
    const size = view.getUint32(at + 4, true);
    found.push({ kind: text(bytes, at, 4), body: bytes.slice(at + 8, at + 8 + size) });
    at += 8 + size + (size % 2);
  }
  return found;
}

/** A WebP as the canvas made it, with the ICC profile, EXIF and XMP of another, orientation included: {blob, notes}. */
export function carryWebp(source, made, width, height) {
  const theirs = Object.fromEntries(chunks(source).filter(({ kind }) => ['ICCP', 'EXIF', 'XMP '].includes(kind)).map(({ kind, body }) => [kind, body]));
  const notes = [];
  if (theirs.ICCP && !describesRgb(theirs.ICCP, 0)) { delete theirs.ICCP; notes.push(UNFIT); }
  if (!Object.keys(theirs).length) return { blob: new Blob([made], { type: 'image/webp' }), notes };
  const own = chunks(made).filter(({ kind }) => !['VP8X', 'ICCP', 'EXIF', 'XMP '].includes(kind));
  const head = new Uint8Array(10), view = new DataView(head.buffer);
  const alpha = own.some(({ kind, body }) => kind === 'ALPH' || (kind === 'VP8L' && body[4] & 0x10));
  head[0] = (theirs.ICCP ? 0x20 : 0) | (alpha ? 0x10 : 0) | (theirs.EXIF ? 0x08 : 0) | (theirs['XMP '] ? 0x04 : 0);
  for (const [at, value] of [[4, width - 1], [7, height - 1]]) { view.setUint16(at, value & 0xffff, true); head[at + 2] = value >> 16; }
  const list = [['VP8X', head], ...(theirs.ICCP ? [['ICCP', theirs.ICCP]] : []), ...own.map(({ kind, body }) => [kind, body]), ...['EXIF', 'XMP '].filter((kind) => theirs[kind]).map((kind) => [kind, theirs[kind]])];
  const parts = list.flatMap(([kind, body]) => {
    const start = new Uint8Array(8);
    start.set([...kind].map((letter) => letter.charCodeAt(0)));
    new DataView(start.buffer).setUint32(4, body.length, true);
    return body.length % 2 ? [start, body, new Uint8Array(1)] : [start, body];
  });
  const size = 4 + parts.reduce((sum, part) => sum + part.length, 0), riff = new Uint8Array(12);
  riff.set([...'RIFF\0\0\0\0WEBP'].map((letter) => letter.charCodeAt(0)));
  new DataView(riff.buffer).setUint32(4, size, true);
  return { blob: new Blob([riff, ...parts], { type: 'image/webp' }), notes };
}

/** What a WebP file says of itself: {lossless, animated}. */
export function kindOfWebp(bytes) {
  const kinds = chunks(bytes).map(({ kind }) => kind);
  return { lossless: kinds.includes('VP8L'), animated: kinds.includes('ANIM') };
}
