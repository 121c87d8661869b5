/* ICC profile, EXIF and XMP carried from file to file byte for byte: JPEG segments and WebP chunks. */

const text = (bytes, at, length) => String.fromCharCode(...bytes.subarray(at, at + length));

/** A TIFF block (in place) whose orientation is 1: what a browser shows is upright. */
function upright(bytes, at) {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at), little = view.getUint16(0) === 0x4949;
  try {
    const first = view.getUint32(4, little), count = view.getUint16(first, little);
    for (let i = 0; i < count; i++) {
      const entry = first + 2 + 12 * i;
      if (view.getUint16(entry, little) === 0x0112) view.setUint16(entry + 8, 1, little);
    }
  } catch { /* damaged EXIF is carried as it is */ }
}

function segments(bytes) {
  const found = [];
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff && bytes[at + 1] !== 0xda; ) {
    const size = 2 + ((bytes[at + 2] << 8) | bytes[at + 3]);
    found.push({ marker: bytes[at + 1], at, size });
    at += size;
  }
  return found;
}

/** A JPEG as the canvas made it, with the EXIF, XMP, ICC and Photoshop segments of another. */
export function carryJpeg(source, made) {
  const kept = segments(source).filter(({ marker, at }) => (marker === 0xe1 && /^(Exif|http)/.test(text(source, at + 4, 4))) || (marker === 0xe2 && text(source, at + 4, 11) === 'ICC_PROFILE') || marker === 0xed)
    .map(({ at, size }) => {
      const piece = source.slice(at, at + size);
      if (text(piece, 4, 4) === 'Exif') upright(piece, 10);
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
  return new Blob([...parts, made.subarray(end)], { type: 'image/jpeg' });
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

/** A WebP as the canvas made it, with the ICC profile, EXIF and XMP of another. */
export function carryWebp(source, made, width, height) {
  const theirs = Object.fromEntries(chunks(source).filter(({ kind }) => ['ICCP', 'EXIF', 'XMP '].includes(kind)).map(({ kind, body }) => [kind, body]));
  if (!Object.keys(theirs).length) return new Blob([made], { type: 'image/webp' });
  if (theirs.EXIF) upright(theirs.EXIF, text(theirs.EXIF, 0, 4) === 'Exif' ? 6 : 0);
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
  return new Blob([riff, ...parts], { type: 'image/webp' });
}
