/* The engine in the browser alone: no server, no upload. The same functions as service.js. */

export const promise = 'The photo never leaves this browser: the network runs here, and it works without a connection. It reads JPEG, PNG and WebP. TIFF, camera raw, HEIC and folders need the program allfocus on your machine.';
export const accept = 'image/jpeg,image/png,image/webp,image/avif';

const worker = new Worker(new URL('../browser/worker.js', import.meta.url), { type: 'module' });
const waiting = new Map();
let last = 0;

worker.onmessage = ({ data: { id, event, result, error } }) => {
  const one = waiting.get(id);
  if (!one) return;
  if (event) { one.tell?.(event); return; }
  waiting.delete(id);
  if (error) one.reject(error.name === 'AbortError' ? new DOMException(error.message, 'AbortError') : new Error(error.message));
  else one.resolve(result);
};

function ask(message, { tell, signal, moved } = {}) {
  const id = ++last;
  signal?.addEventListener('abort', () => worker.postMessage({ do: 'stop', id }), { once: true });
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject, tell });
    worker.postMessage({ ...message, id }, moved ?? []);
  });
}

/** See service.js. `?engine=wasm` or `?engine=webgpu` in the page's address chooses, else WebGPU where there is a GPU. */
export async function start() {
  const { card, provider, threads } = await ask({ do: 'start', engine: new URLSearchParams(location.search).get('engine') });
  const where = provider === 'webgpu' ? 'WebGPU' : `WebAssembly, ${threads} ${threads === 1 ? 'thread' : 'threads'}`;
  return { models: [{ name: card.name, default: true }], line: `Ready, in this browser: ${where}` };
}

/** See service.js. */
export async function open(file) {
  try {
    const asStored = file.type === 'image/webp' ? { imageOrientation: 'none' } : {}; // as the worker reads it
    return { picture: await createImageBitmap(file, asStored), note: null };
  } catch {
    throw new Error('this browser cannot read it; the program allfocus reads more formats');
  }
}

/** See service.js. */
export async function restore(file, options, mask, tell, signal) {
  const done = await ask({ do: 'restore', file, options, mask }, { tell, signal });
  const stem = file.name.replace(/\.[^.]*$/, ''), ending = { jpeg: 'jpg', png: 'png', webp: 'webp' }[done.facts.format];
  return { ...done, name: `${stem}.sharp.${ending}` };
}

/* what a second and a half is enough for, as the last piece told */
const LEAST_PX = 192, MOST_PX = 560, WANTED_MS = 1500;
let piece = 256;

/** See service.js. */
export const trialPx = () => piece;

/** See service.js. */
export async function trial(canvas, options) {
  const { width, height } = canvas, picture = canvas.transferToImageBitmap(), began = performance.now();
  const found = await ask({ do: 'trial', picture, options }, { moved: [picture] });
  const side = Math.sqrt((width * height * WANTED_MS) / (performance.now() - began));
  piece = Math.round(Math.min(Math.max(side, LEAST_PX), 1.5 * piece, MOST_PX)); // larger in steps: one hiccup says little
  return found.picture;
}

/** A map in numbers is for the program. */
export const mapFile = null;

if ('serviceWorker' in navigator) {
  navigator.serviceWorker.register(new URL('../offline.js', import.meta.url)).then(async () => {
    await navigator.serviceWorker.ready;
    /* threads need headers that only the service worker can add on a plain file host: load once more through it */
    if (!self.crossOriginIsolated && !sessionStorage.getItem('isolated')) {
      sessionStorage.setItem('isolated', 'tried');
      location.reload();
    }
  });
}
