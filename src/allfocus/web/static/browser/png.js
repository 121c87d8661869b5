/* PNG files of 8 and 16 bit, so that 16 bit stay 16 bit (a canvas has 8), with every chunk that says something. */

import { orientationOf, upright, uprightXmp } from './metadata.js';

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const KEPT = new Set(['iCCP', 'gAMA', 'cHRM', 'sRGB', 'cICP', 'eXIf', 'iTXt', 'tEXt', 'zTXt', 'pHYs', 'tIME']);
const DAMAGED = 'the PNG file is damaged or cut short';
const CHANNELS = { 0: 1, 2: 3, 4: 2, 6: 4 };

const through = async (bytes, stream) => new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());

/* the seven passes of an interlaced file: first column and row, steps between columns and rows */
const PASSES = [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];

/**
 * A photo {width, height, bands, peak, pixels, alpha, chunks, notes}, upright; `pixels` is null for a kind that the
 * browser has to decode (palette, fewer than 8 bit, one transparent colour).
 */
export async function decode(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const width = view.getUint32(16), height = view.getUint32(20), [depth, colour, , , interlaced] = bytes.subarray(24, 29);
  const data = [], chunks = [], notes = [];
  let readable = colour in CHANNELS && depth >= 8;
  for (let at = 8; at + 12 <= bytes.length; ) {
    const size = view.getUint32(at), kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (kind === 'IDAT') data.push(bytes.subarray(at + 8, at + 8 + size));
    else if (kind === 'tRNS') readable = false;
    else if (kind === 'acTL') notes.push('only the first picture of this animation');
    else if (KEPT.has(kind)) chunks.push(bytes.slice(at, at + 12 + size));
    at += 12 + size;
  }
  const orientation = straighten(chunks);
  if (!readable) return { width, height, pixels: null, alpha: null, chunks, notes };
  const raw = await through(new Blob(data), new DecompressionStream('deflate')).catch(() => { throw new Error(DAMAGED); });
  const channels = CHANNELS[colour], step = (channels * depth) / 8;
  const flat = new Uint8Array(step * width * height);
  let from = 0;
  for (const [left, top, across, down] of interlaced ? PASSES : [[0, 0, 1, 1]]) {
    const wide = Math.ceil((width - left) / across), high = Math.ceil((height - top) / down), row = wide * step;
    if (wide <= 0 || high <= 0) continue;
    if (raw.length < from + (row + 1) * high) throw new Error(DAMAGED);
    const part = across === 1 && down === 1 && !interlaced ? flat : new Uint8Array(row * high);
    for (let y = 0; y < high; y++) unfilter(raw, from, part, y, row, step);
    from += (row + 1) * high;
    if (part === flat) continue;
    for (let y = 0; y < high; y++) for (let x = 0; x < wide; x++) {
      const to = step * ((top + y * down) * width + left + x * across);
      for (let i = 0; i < step; i++) flat[to + i] = part[y * row + x * step + i];
    }
  }
  const bands = channels >= 3 ? 3 : 1, Kind = depth === 16 ? Uint16Array : Uint8Array;
  const pixels = new Kind(width * height * bands), alpha = channels > bands ? new Kind(width * height) : null;
  const sample = depth === 16 ? (at) => (flat[2 * at] << 8) | flat[2 * at + 1] : (at) => flat[at];
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < bands; c++) pixels[bands * i + c] = sample(channels * i + c);
    if (alpha) alpha[i] = sample(channels * i + bands);
  }
  return { ...turned({ width, height, bands, pixels, alpha }, orientation), bands, peak: 2 ** depth - 1, chunks, notes };
}

/* the orientation that the chunks state; they state none afterwards */
function straighten(chunks) {
  let orientation = 1;
  for (const piece of chunks) {
    const kind = String.fromCharCode(...piece.subarray(4, 8));
    if (kind === 'eXIf') { orientation = orientationOf(piece, 8); upright(piece, 8); }
    if (kind === 'iTXt') uprightXmp(piece);
    new DataView(piece.buffer).setUint32(piece.length - 4, crc(piece.subarray(4, piece.length - 4)));
  }
  return orientation;
}

/** A picture turned and mirrored as its EXIF orientation asks, so that it is upright. */
export function turned({ width, height, bands, pixels, alpha }, orientation) {
  if (orientation === 1) return { width, height, pixels, alpha };
  const swapped = orientation > 4, wide = swapped ? height : width, high = swapped ? width : height;
  const right = width - 1, bottom = height - 1;
  const source = { 2: (x, y) => [right - x, y], 3: (x, y) => [right - x, bottom - y], 4: (x, y) => [x, bottom - y], 5: (x, y) => [y, x], 6: (x, y) => [y, bottom - x], 7: (x, y) => [right - y, bottom - x], 8: (x, y) => [right - y, x] }[orientation];
  const result = pixels.slice(), opacity = alpha?.slice() ?? null;
  for (let y = 0; y < high; y++) for (let x = 0; x < wide; x++) {
    const [column, row] = source(x, y), from = row * width + column, to = y * wide + x;
    for (let c = 0; c < bands; c++) result[bands * to + c] = pixels[bands * from + c];
    if (opacity) opacity[to] = alpha[from];
  }
  return { width: wide, height: high, pixels: result, alpha: opacity };
}

function unfilter(raw, begin, flat, y, row, step) {
  const kind = raw[begin + y * (row + 1)], from = begin + y * (row + 1) + 1, to = y * row;
  for (let i = 0; i < row; i++) {
    const left = i >= step ? flat[to + i - step] : 0, above = y ? flat[to + i - row] : 0, corner = y && i >= step ? flat[to + i - row - step] : 0;
    let guess = 0;
    if (kind === 1) guess = left;
    else if (kind === 2) guess = above;
    else if (kind === 3) guess = (left + above) >> 1;
    else if (kind === 4) {
      const p = left + above - corner, a = Math.abs(p - left), b = Math.abs(p - above), c = Math.abs(p - corner);
      guess = a <= b && a <= c ? left : b <= c ? above : corner;
    }
    flat[to + i] = raw[from + i] + guess;
  }
}

/** The file of a photo that `decode` gave, with its chunks. */
export async function encode({ width, height, bands, peak, pixels, alpha, chunks }) {
  const wide = peak > 255 ? 2 : 1, channels = bands + (alpha ? 1 : 0), step = channels * wide, row = width * step;
  const raw = new Uint8Array((row + 1) * height), line = new Uint8Array(row);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) for (let c = 0; c < channels; c++) {
      const value = c < bands ? pixels[bands * (y * width + x) + c] : alpha[y * width + x], at = (x * channels + c) * wide;
      if (wide === 2) { line[at] = value >> 8; line[at + 1] = value & 255; } else line[at] = value;
    }
    raw[y * (row + 1)] = 1;
    for (let i = 0; i < row; i++) raw[y * (row + 1) + 1 + i] = line[i] - (i >= step ? line[i - step] : 0);
  }
  const header = new Uint8Array(13), view = new DataView(header.buffer);
  view.setUint32(0, width); view.setUint32(4, height);
  header[8] = 8 * wide; header[9] = { 1: 0, 3: 2, 2: 4, 4: 6 }[channels];
  const data = await through(raw, new CompressionStream('deflate'));
  return new Blob([Uint8Array.from(SIGNATURE), chunk('IHDR', header), ...(chunks ?? []), chunk('IDAT', data), chunk('IEND', new Uint8Array())], { type: 'image/png' });
}

function chunk(kind, body) {
  const bytes = new Uint8Array(12 + body.length), view = new DataView(bytes.buffer);
  view.setUint32(0, body.length);
  bytes.set([...kind].map((letter) => letter.charCodeAt(0)), 4);
  bytes.set(body, 8);
  view.setUint32(8 + body.length, crc(bytes.subarray(4, 8 + body.length)));
  return bytes;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => { for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1; return n; });
function crc(bytes) {
  let sum = ~0;
  for (const byte of bytes) sum = TABLE[(sum ^ byte) & 255] ^ (sum >>> 8);
  return ~sum >>> 0;
}
