/* PNG files of 8 and 16 bit, so that 16 bit stay 16 bit (a canvas has 8), with every chunk that says something. */

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const KEPT = new Set(['iCCP', 'gAMA', 'cHRM', 'sRGB', 'cICP', 'eXIf', 'iTXt', 'tEXt', 'zTXt', 'pHYs', 'tIME']);
const CHANNELS = { 0: 1, 2: 3, 4: 2, 6: 4 };

const through = async (bytes, stream) => new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());

/** A photo {width, height, bands, peak, pixels, alpha, chunks}, or null for a PNG of another kind (palette, interlaced). */
export async function decode(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const width = view.getUint32(16), height = view.getUint32(20), [depth, colour, , , interlaced] = bytes.subarray(24, 29);
  if (!(colour in CHANNELS) || depth < 8 || interlaced) return null;
  const data = [], chunks = [];
  for (let at = 8; at + 12 <= bytes.length; ) {
    const size = view.getUint32(at), kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (kind === 'IDAT') data.push(bytes.subarray(at + 8, at + 8 + size));
    else if (kind === 'tRNS') return null;
    else if (KEPT.has(kind)) chunks.push(bytes.slice(at, at + 12 + size));
    at += 12 + size;
  }
  const raw = await through(new Blob(data), new DecompressionStream('deflate'));
  const channels = CHANNELS[colour], step = (channels * depth) / 8, row = width * step;
  if (raw.length < (row + 1) * height) throw new Error('the PNG file is cut short');
  const flat = new Uint8Array(row * height);
  for (let y = 0; y < height; y++) unfilter(raw, flat, y, row, step);
  const bands = channels >= 3 ? 3 : 1, Kind = depth === 16 ? Uint16Array : Uint8Array;
  const pixels = new Kind(width * height * bands), alpha = channels > bands ? new Kind(width * height) : null;
  const sample = depth === 16 ? (at) => (flat[2 * at] << 8) | flat[2 * at + 1] : (at) => flat[at];
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < bands; c++) pixels[bands * i + c] = sample(channels * i + c);
    if (alpha) alpha[i] = sample(channels * i + bands);
  }
  return { width, height, bands, peak: 2 ** depth - 1, pixels, alpha, chunks };
}

function unfilter(raw, flat, y, row, step) {
  const kind = raw[y * (row + 1)], from = y * (row + 1) + 1, to = y * row;
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
