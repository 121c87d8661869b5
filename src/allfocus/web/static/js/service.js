/* The engine behind HTTP: `allfocus serve`. The other engine, in the browser alone, has the same functions. */

export const promise = 'Everything stays on this machine: the photo goes to the allfocus service behind this page and nowhere else. Format, size, depth, colour profile and metadata come out as they went in.';
export const accept = 'image/*,.tif,.tiff,.heic,.heif,.dng,.cr2,.cr3,.nef,.arw,.raf,.orf,.rw2';

let token = sessionStorage.getItem('token');

/** A refusal of the service: what came, what was expected, what to try. */
export class Refusal extends Error {
  constructor(problem) {
    super(`${problem.got}; expected ${problem.expected}; try: ${problem.try}`);
    this.problem = problem;
  }
}

async function ask(path, options = {}) {
  const headers = { ...(options.headers ?? {}) };
  if (token) headers.Authorization = `Bearer ${token}`;
  const answer = await fetch(path, { ...options, headers });
  if (answer.status === 401) {
    token = await askToken();
    sessionStorage.setItem('token', token);
    return ask(path, options);
  }
  if (!answer.ok) {
    const problem = await answer.json().catch(() => null);
    throw problem ? new Refusal(problem) : new Error(`The service answered ${answer.status}.`);
  }
  return answer;
}

function askToken() {
  const dialog = document.getElementById('ask');
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(document.getElementById('token').value), { once: true });
    dialog.showModal();
  });
}

/** Wait for the engine: {models: [{name, default, note}], line}. */
export async function start() {
  let ready;
  for (;;) {
    const answer = await fetch('/readyz').catch(() => null);
    if (answer?.ok) { ready = await answer.json(); break; }
    await new Promise((resolve) => setTimeout(resolve, 400));
  }
  const models = await (await ask('/v1/models')).json();
  return { models: models.filter((model) => model.tells_radius), line: `Ready: ${ready.engine.name}, ${ready.engine.precision}` };
}

/** A file as a picture to look at: {picture, note}. What this browser cannot show, the service can. */
export async function open(file) {
  try {
    return { picture: await createImageBitmap(file), note: null };
  } catch {
    const form = new FormData();
    form.append('photo', file, file.name);
    const answer = await ask('/v1/preview', { method: 'POST', body: form });
    return { picture: await createImageBitmap(await answer.blob()), note: 'shown as an 8-bit preview; the file keeps its depth' };
  }
}

function formOf(blob, name, options, mask) {
  const form = new FormData();
  form.append('photo', blob, name);
  for (const [key, value] of Object.entries(options)) if (value !== null) form.append(key, value);
  if (mask) form.append('mask', mask, 'mask.png');
  return form;
}

/**
 * Restore a file. `tell` gets {kind: 'queued' | 'started' | 'tile', ...}; a tile has its box in px of its scale and a picture.
 * Gives {blob, name, facts, map: cells or null, job}.
 */
export async function restore(file, options, mask, tell, signal) {
  const created = await (await ask('/v1/jobs', { method: 'POST', body: formOf(file, file.name, options, mask), signal })).json();
  const cancel = () => fetch(`/v1/jobs/${created.id}`, { method: 'DELETE', keepalive: true, headers: token ? { Authorization: `Bearer ${token}` } : {} });
  signal.addEventListener('abort', cancel, { once: true });
  try {
    for await (const { kind, data } of events(await ask(created.events, { signal }))) {
      if (kind === 'failed') throw new Refusal(data.problem);
      if (kind === 'cancelled') throw new DOMException('stopped', 'AbortError');
      if (kind === 'done') break;
      if (kind === 'tile' && data.picture) data.picture = await createImageBitmap(await (await ask(data.picture, { signal })).blob());
      tell({ kind, ...data });
    }
    const state = await (await ask(`/v1/jobs/${created.id}`)).json();
    const answer = await ask(state.result);
    const name = decodeURIComponent(answer.headers.get('content-disposition').split("''")[1]);
    const blob = await answer.blob();
    const map = state.map ? await (await ask(`${state.map}?format=cells`)).json() : null;
    return { blob, name, facts: state.facts, map, job: created.id };
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

/** Longest side of what is tried, px: well under 2 s on a processor of today. */
export const trialPx = () => 560;

/** A piece of a photo, as a canvas, through the network: a picture. */
export async function trial(canvas, options, signal) {
  const piece = await canvas.convertToBlob({ type: 'image/png' });
  const answer = await ask('/v1/deblur', { method: 'POST', body: formOf(piece, 'piece.png', options, null), signal });
  return createImageBitmap(await answer.blob());
}

/** The defocus map of a finished photo as a TIFF of numbers. */
export async function mapFile(done) {
  return (await ask(`/v1/jobs/${done.job}/map?format=tiff`)).blob();
}

async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const blocks = text.split('\n\n');
    text = blocks.pop();
    for (const block of blocks) {
      const kind = block.match(/^event: (.*)$/m)?.[1];
      const data = block.match(/^data: (.*)$/m)?.[1];
      if (kind) yield { kind, data: JSON.parse(data) };
    }
  }
}
