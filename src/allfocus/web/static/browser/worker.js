/* The work, off the page's thread: reading files, running the network (ONNX Runtime Web), writing files. */

import { carryJpeg, carryWebp, kindOfWebp } from './metadata.js';
import { read, restore } from './pipeline.js';
import * as png from './png.js';

const QUALITY = 0.95, WARM_PX = 128;
const base = new URL('../', import.meta.url);
let ort, card, provider, session, stop = 0;

const answers = { start, restore: restoreFile, trial };
let turn = Promise.resolve();
onmessage = ({ data }) => {
  if (data.do === 'stop') { stop = data.id; return; }
  turn = turn.then(async () => {
    try {
      const [result, moved] = await answers[data.do](data);
      postMessage({ id: data.id, result }, moved ?? []);
    } catch (error) {
      postMessage({ id: data.id, error: { name: error.name, message: error.message } });
    }
  });
};

async function start({ engine }) {
  card = await (await fetch(new URL('model/card.json', base))).json();
  const adapter = engine === 'wasm' ? null : await navigator.gpu?.requestAdapter().catch(() => null);
  provider = adapter && (engine === 'webgpu' || !adapter.info?.isFallbackAdapter) ? 'webgpu' : 'wasm';
  ort = await import(new URL(provider === 'webgpu' ? 'ort/ort.webgpu.min.mjs' : 'ort/ort.wasm.min.mjs', base).href);
  ort.env.wasm.wasmPaths = new URL('ort/', base).href;
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency || 1, 8) : 1;
  const model = new Uint8Array(await (await fetch(new URL('model/network.onnx', base))).arrayBuffer());
  await load(model);
  await run(new Float32Array(3 * WARM_PX * WARM_PX), WARM_PX, WARM_PX); // the first run is slow: not when a photo waits
  return [{ card, provider, threads: ort.env.wasm.numThreads }];
}

async function load(model) {
  const settings = { graphOptimizationLevel: 'all' };
  try {
    session = await ort.InferenceSession.create(model, { ...settings, executionProviders: [provider] });
  } catch (error) {
    if (provider !== 'webgpu') throw error;
    provider = 'wasm';
    session = await ort.InferenceSession.create(model, { ...settings, executionProviders: ['wasm'] });
  }
}

async function run(planes, width, height) {
  const found = await session.run({ photo: new ort.Tensor('float32', planes, [1, 3, height, width]) });
  return { residual: await found.residual.getData(), disparity: await found.disparity.getData() };
}

/* a file as a photo: PNG with its own depth, all else through the browser, which has 8 bit */
async function decode(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const isPng = bytes[0] === 0x89 && bytes[1] === 0x50, found = isPng ? await png.decode(bytes) : { chunks: [], notes: [] };
  const { chunks, notes } = found;
  if (found.pixels) return { ...found, format: 'png', bytes };
  const format = bytes[0] === 0xff ? 'jpeg' : String.fromCharCode(...bytes.subarray(8, 12)) === 'WEBP' ? 'webp' : 'png';
  const asStored = format === 'webp' ? { imageOrientation: 'none' } : {}; // not every browser turns a WebP: it stays as it is
  const picture = await createImageBitmap(file, { colorSpaceConversion: 'none', premultiplyAlpha: 'none', ...asStored });
  const { width, height } = picture;
  const canvas = new OffscreenCanvas(width, height), context = canvas.getContext('2d', { willReadFrequently: true });
  context.drawImage(picture, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const pixels = new Uint8Array(3 * width * height), alpha = new Uint8Array(width * height);
  let opaque = true;
  for (let i = 0; i < alpha.length; i++) {
    for (let c = 0; c < 3; c++) pixels[3 * i + c] = data[4 * i + c];
    alpha[i] = data[4 * i + 3];
    if (alpha[i] < 255) opaque = false;
  }
  const { lossless, animated } = format === 'webp' ? kindOfWebp(bytes) : {};
  if (animated) notes.push('only the first picture of this animation');
  if (isPng) notes.push('this kind of PNG was read by the browser, in 8 bit');
  else if (format === 'png') notes.push(`a browser cannot write ${file.type || 'this format'}: saved as PNG, without metadata`);
  return { width, height, bands: 3, peak: 255, pixels, alpha: opaque ? null : alpha, chunks, format, bytes, notes, lossless };
}

async function encode(photo, pixels) {
  const { width, height, alpha, format, lossless } = photo;
  if (format === 'png') return { blob: await png.encode({ ...photo, pixels }), notes: [] };
  const canvas = new OffscreenCanvas(width, height), context = canvas.getContext('2d');
  const image = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = pixels[3 * i + c];
    image.data[4 * i + 3] = alpha ? alpha[i] : 255;
  }
  context.putImageData(image, 0, 0);
  const blob = await canvas.convertToBlob({ type: `image/${format}`, quality: lossless ? 1 : QUALITY }); // 1 is lossless in WebP
  const made = new Uint8Array(await blob.arrayBuffer());
  return format === 'jpeg' ? carryJpeg(photo.bytes, made) : carryWebp(photo.bytes, made, width, height);
}

function sharePicture(sharp, width, height) {
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = Math.round(255 * sharp[3 * i + c]);
    image.data[4 * i + 3] = 255;
  }
  return createImageBitmap(image);
}

async function maskOf(blob, width, height) {
  if (!blob) return null;
  const picture = await createImageBitmap(blob);
  const canvas = new OffscreenCanvas(width, height), context = canvas.getContext('2d', { willReadFrequently: true });
  context.drawImage(picture, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  return (x, y) => data[4 * (y * width + x)] / 255;
}

async function restoreFile({ id, file, options, mask }) {
  const started = performance.now();
  const photo = await decode(file);
  postMessage({ id, event: { kind: 'started' } });
  const told = [];
  const done = await restore(photo, card, options, await maskOf(mask, photo.width, photo.height), run, (tile) => {
    const { sharp, ...event } = tile;
    told.push(sharePicture(sharp, tile.box[2], tile.box[3]).then((picture) => postMessage({ id, event: { kind: 'tile', ...event, picture } }, [picture])));
  }, () => stop === id);
  await Promise.all(told);
  const { blob, notes: lost } = await encode(photo, done.pixels);
  const { defocus } = done, radius = new Uint16Array(defocus.signed.length);
  defocus.signed.forEach((value, i) => { radius[i] = Math.min(Math.round(Math.abs(value) * 100), 65535); });
  const sorted = Uint16Array.from(radius).sort(), large = sorted[Math.floor(0.98 * (sorted.length - 1))] / 100;
  let binary = '';
  new Uint8Array(radius.buffer).forEach((byte) => { binary += String.fromCharCode(byte); });
  const map = { width: photo.width, height: photo.height, cell_px: defocus.cell, columns: defocus.columns, rows: defocus.rows, step_px: 0.01, peak_px: [4, 8, 16, 32, 64, 128].find((peak) => large <= peak) ?? 128, radius: btoa(binary) };
  const notes = [...photo.notes, ...lost];
  if (photo.format === 'jpeg') notes.push('written by the browser, as JPEG of quality 95 with its own chroma subsampling');
  if (photo.format === 'webp') notes.push(`written by the browser, as WebP ${photo.lossless ? 'without loss' : 'of quality 95'}`);
  const engine = { name: `ONNX Runtime Web (${provider})`, precision: 'float32', model: card.name };
  const facts = { width: photo.width, height: photo.height, format: photo.format, blur_px: { typical: done.blur.typical, large: done.blur.large }, scales: done.scales, left_alone: done.leftAlone, engine, seconds: (performance.now() - started) / 1000, notes };
  return [{ blob, map, facts }];
}

async function trial({ picture, options }) {
  const { width, height } = picture;
  const canvas = new OffscreenCanvas(width, height), context = canvas.getContext('2d', { willReadFrequently: true });
  context.drawImage(picture, 0, 0);
  const { data } = context.getImageData(0, 0, width, height), pixels = new Uint8Array(3 * width * height);
  for (let i = 0; i < width * height; i++) for (let c = 0; c < 3; c++) pixels[3 * i + c] = data[4 * i + c];
  const photo = { width, height, bands: 3, peak: 255, pixels };
  const done = await restore(photo, card, options, null, run, () => {}, () => false);
  const sharp = await sharePicture(read({ ...photo, pixels: done.pixels }, { x: 0, y: 0, width, height }, 1).data, width, height);
  return [{ picture: sharp }, [sharp]];
}
