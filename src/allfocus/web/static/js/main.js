/* The page: photos that were opened, what is done with them, and what is said about them. */

import * as engine from './engine.js';
import { paintBar } from './colours.js';
import { DefocusMap } from './defocus.js';
import { Mask } from './mask.js';
import { Viewer } from './viewer.js';

const THUMB_PX = 172;
const $ = (id) => document.getElementById(id);
const viewer = new Viewer($('view'));
const photos = [];
let current = null;
let running = null;

function say(text, bad = false) {
  $('line').textContent = text;
  $('line').classList.toggle('bad', bad);
}

async function begin() {
  const theme = localStorage.getItem('theme');
  if (theme) document.documentElement.dataset.theme = theme;
  $('promise').textContent = engine.promise;
  $('files').accept = engine.accept;
  paintBar($('bar'));
  wire();
  try {
    const { models, line } = await engine.start();
    $('model').replaceChildren(...models.map((model) => new Option(model.default ? `${model.name} (default)` : model.name, model.name, model.default, model.default)));
    $('engine').textContent = line;
    document.body.dataset.ready = 'yes';
  } catch (error) {
    $('engine').textContent = error.message;
  }
}

/* opening */

async function openFiles(files) {
  const first = photos.length;
  for (const file of files) {
    try {
      await add(file);
      if (photos.length === first + 1) select(photos[first]);
    } catch (error) {
      document.body.dataset.state = 'open';
      $('panel').hidden = false;
      const message = error.message || 'this browser cannot read it';
      say(message.startsWith(file.name) ? message : `${file.name}: ${message}`, true);
    }
  }
  strip();
}

async function add(file) {
  const { picture, note } = await engine.open(file);
  const { width, height } = picture;
  photos.push({ file, name: file.name, width, height, before: picture, after: null, share: 1, map: null, mask: new Mask(width, height), state: 'idle', note, done: null, trial: null, strength: 1 });
}

function select(photo) {
  current = photo;
  document.body.dataset.state = 'open';
  $('welcome').hidden = true;
  for (const id of ['view', 'panel', 'tools']) $(id).hidden = false;
  viewer.show(photo);
  strip();
  update();
  say(photo.done ? summary(photo) : `${photo.name}, ${photo.width} × ${photo.height} px. ${photo.note ? `${photo.note}. ` : ''}Not sharpened yet.`);
}

function strip() {
  $('strip').hidden = photos.length < 2;
  $('all').hidden = photos.length < 2;
  $('strip').firstElementChild.replaceChildren(...photos.map((photo) => {
    const item = document.createElement('li'), button = document.createElement('button'), thumb = document.createElement('canvas'), mark = document.createElement('span');
    thumb.width = THUMB_PX; thumb.height = 120;
    const zoom = Math.max(THUMB_PX / photo.width, 120 / photo.height);
    thumb.getContext('2d').drawImage(photo.after ?? photo.before, (THUMB_PX - photo.width * zoom) / 2, (120 - photo.height * zoom) / 2, photo.width * zoom, photo.height * zoom);
    mark.className = 'mark';
    item.className = photo.state;
    button.type = 'button';
    button.setAttribute('aria-label', `${photo.name}, ${{ idle: 'not sharpened', running: 'being sharpened', done: 'sharpened', failed: 'failed' }[photo.state]}`);
    button.setAttribute('aria-current', String(photo === current));
    button.append(thumb, mark);
    button.onclick = () => select(photo);
    item.append(button);
    return item;
  }));
}

/* what the controls say */

const CRISPEST = Number($('strength').max) / 100; // of a trial, which is shown in part

function options() {
  return {
    strength: Number($('strength').value) / 100,
    model: $('model').value || null,
    scale: $('scale').value,
    keep_bokeh: $('bokeh').checked ? Number($('bokeh-px').value) : null,
  };
}

/** Whether a finished photo is not what the controls and the mask ask for now. */
function outdated(photo) {
  return Boolean(photo.done) && photo.asked !== question(photo);
}

function question(photo) {
  return JSON.stringify([options(), photo.mask.strokes]);
}

function update() {
  const photo = current;
  const wanted = Number($('strength').value) / 100;
  $('strength-value').textContent = `${$('strength').value} %`;
  $('bokeh-value').textContent = `${$('bokeh-px').value} px`;
  $('size-value').textContent = `${$('size').value} %`;
  $('force-value').textContent = `${$('force').value} %`;
  $('bokeh-more').hidden = !$('bokeh').checked;
  if (!photo) return;
  photo.share = photo.strength ? Math.min(1, wanted / photo.strength) : 1;
  const busy = photo.state === 'running';
  $('run').hidden = busy;
  const old = outdated(photo);
  $('run').textContent = old ? 'Apply changes' : photo.done ? 'Sharpen again' : 'Sharpen';
  $('run').classList.toggle('main', !photo.done || old);
  $('stop').hidden = !busy;
  $('save').hidden = !photo.done || busy || old; // what is saved is what is shown
  $('save-map').hidden = !photo.done?.map || !engine.mapFile;
  $('split').hidden = $('tags').hidden = !photo.after;
  $('map').disabled = !photo.map;
  const map = viewer.map && photo.map;
  $('map').setAttribute('aria-pressed', String(Boolean(map)));
  $('legend').hidden = !map;
  if (map) {
    $('peak').textContent = `${photo.map.peak_px} px`;
    $('half').textContent = String(photo.map.peak_px / 2);
  }
  const tool = $('leave').getAttribute('aria-pressed') === 'true' ? 0 : $('sharpen').getAttribute('aria-pressed') === 'true' ? 1 : null;
  $('brush').hidden = tool === null;
  viewer.brush = tool === null ? null : { value: tool, force: Number($('force').value) / 100, radius: (Number($('size').value) / 200) * Math.min(photo.width, photo.height) };
  $('view').classList.toggle('painting', tool !== null);
  viewer.draw();
}

function summary(photo) {
  const { facts } = photo.done;
  const scales = facts.scales.map((scale) => (scale === 1 ? 'full' : `1/${scale}`)).join(', ');
  const sentences = facts.notes.map((note) => ` ${note[0].toUpperCase()}${note.slice(1)}.`);
  const kept = sentences.join('') || ' Everything in the file was kept.';
  return `Blur of about ${facts.blur_px.large.toFixed(1)} px; worked at ${scales} size in ${facts.seconds.toFixed(1)} s; ${(100 * facts.left_alone).toFixed(0)} % of the pixels left alone.${kept}`;
}

function tellFacts(photo) {
  const { facts } = photo.done;
  const lines = [
    `${facts.width} × ${facts.height} px, ${facts.format}`,
    `blur radius: half of the measured places ${facts.blur_px.typical.toFixed(1)} px or more, one in ten ${facts.blur_px.large.toFixed(1)} px`,
    `working scales: ${facts.scales.map((scale) => (scale === 1 ? 'full size' : `1/${scale}`)).join(', ')}`,
    `${(100 * facts.left_alone).toFixed(1)} % of the pixels are as they were, bit for bit`,
    `${facts.engine.model} on ${facts.engine.name} in ${facts.engine.precision}, ${facts.seconds.toFixed(1)} s`,
    ...facts.notes,
  ];
  $('facts').replaceChildren(...lines.map((line) => Object.assign(document.createElement('li'), { textContent: line })));
}

/* working */

async function run(photo) {
  if (running) return;
  const stop = new AbortController();
  running = stop;
  const chosen = options(), asked = question(photo);
  Object.assign(photo, { state: 'running', trial: null, done: null, strength: 1 });
  photo.after = new OffscreenCanvas(photo.width, photo.height);
  const after = photo.after.getContext('2d');
  after.drawImage(photo.before, 0, 0);
  $('progress').hidden = false;
  $('progress').classList.add('waiting');
  update(); strip();
  say('Sending the photo …');
  try {
    const done = await engine.restore(photo.file, chosen, await photo.mask.blob(), (event) => {
      if (event.kind === 'queued') say(event.before ? `Waiting for ${event.before} other photos …` : 'Measuring the blur …');
      if (event.kind === 'started') say('Measuring the blur …');
      if (event.kind !== 'tile') return;
      $('progress').classList.remove('waiting');
      $('progress').firstElementChild.style.width = `${(100 * event.done) / event.total}%`;
      say(`${event.scale === 1 ? 'Full size' : `1/${event.scale} size`}: tile ${event.done} of ${event.total}`);
      if (event.picture) {
        const [x, y, width, height] = event.box.map((value) => value * event.scale);
        after.imageSmoothingQuality = 'high';
        after.drawImage(event.picture, x, y, width, height);
        viewer.draw();
      }
    }, stop.signal);
    const finished = await engine.open(new File([done.blob], done.name, { type: done.blob.type }));
    after.drawImage(finished.picture, 0, 0);
    photo.strength = chosen.strength;
    photo.asked = asked;
    photo.done = done;
    photo.map = done.map ? new DefocusMap(done.map) : null;
    photo.state = 'done';
    if (photo.url) URL.revokeObjectURL(photo.url);
    photo.url = URL.createObjectURL(done.blob);
    if (photo === current) { say(summary(photo)); tellFacts(photo); }
  } catch (error) {
    photo.state = error.name === 'AbortError' ? 'idle' : 'failed';
    photo.after = null;
    say(error.name === 'AbortError' ? 'Stopped. The photo is as it was.' : error.message, error.name !== 'AbortError');
  } finally {
    running = null;
    $('progress').hidden = true;
    $('progress').firstElementChild.style.width = '0';
    if (photo.url) Object.assign($('save'), { href: photo.url, download: photo.done?.name ?? '', textContent: 'Save' });
    update(); strip();
  }
}

let trying = null;
async function tryOut() {
  const photo = current;
  if (!photo || running) return;
  trying?.abort();
  const stop = (trying = new AbortController());
  const box = viewer.visible(engine.trialPx());
  const piece = new OffscreenCanvas(box.width, box.height);
  piece.getContext('2d').drawImage(photo.before, -box.x, -box.y);
  const started = performance.now();
  say('Trying it on what is visible …');
  $('progress').hidden = false;
  $('progress').classList.add('waiting');
  try {
    const picture = await engine.trial(piece, { ...options(), strength: CRISPEST }, stop.signal);
    if (!photo.done || !photo.after) {
      photo.after = new OffscreenCanvas(photo.width, photo.height);
      photo.after.getContext('2d').drawImage(photo.before, 0, 0);
    }
    photo.strength = CRISPEST;
    photo.after.getContext('2d').drawImage(picture, box.x, box.y);
    photo.trial = box;
    if (photo.done) { photo.done = null; photo.state = 'idle'; }
    viewer.split(Math.min(Math.max((box.x + box.width / 2 - viewer.x) * viewer.zoom / viewer.canvas.width + 0.5, 0.1), 0.9));
    say(`Tried on ${box.width} × ${box.height} px in ${((performance.now() - started) / 1000).toFixed(1)} s (the frame). Strength changes at once; other settings try again.`);
  } catch (error) {
    if (error.name !== 'AbortError') say(error.message, true);
  } finally {
    if (trying === stop) { trying = null; if (!running) $('progress').hidden = true; }
    update();
  }
}

/* what the hands do */

function press(button, on) {
  button.setAttribute('aria-pressed', String(on));
}

function download(blob, name) {
  const link = Object.assign(document.createElement('a'), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function toggleMap() {
  if (!current?.map) return;
  viewer.map = !viewer.map;
  update();
}

function toggleLoupe() {
  viewer.loupe = !viewer.loupe;
  if (viewer.loupe && !viewer.pointer) viewer.nudge(0, 0);
  press($('loupe'), viewer.loupe);
  viewer.draw();
}

function wire() {
  const choose = () => $('files').click();
  $('open').onclick = $('choose').onclick = choose;
  $('files').onchange = () => { openFiles([...$('files').files]); $('files').value = ''; };
  $('theme').onclick = () => {
    const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
    document.documentElement.dataset.theme = dark ? 'light' : 'dark';
    localStorage.setItem('theme', document.documentElement.dataset.theme);
  };
  addEventListener('dragover', (event) => { event.preventDefault(); document.body.classList.add('dropping'); });
  addEventListener('dragleave', (event) => { if (!event.relatedTarget) document.body.classList.remove('dropping'); });
  addEventListener('drop', (event) => { event.preventDefault(); document.body.classList.remove('dropping'); openFiles([...event.dataTransfer.files]); });
  addEventListener('paste', (event) => { const files = [...event.clipboardData.files]; if (files.length) openFiles(files); });
  addEventListener('pagehide', () => running?.abort());

  for (const id of ['strength', 'bokeh-px', 'size', 'force', 'bokeh']) $(id).addEventListener('input', update);
  for (const id of ['model', 'scale', 'bokeh', 'bokeh-px']) $(id).addEventListener('change', () => { update(); if (current?.trial) tryOut(); });
  $('run').onclick = () => run(current);
  $('stop').onclick = () => running?.abort();
  $('all').onclick = async () => { for (const photo of photos) if (!photo.done) { select(photo); await run(photo); } };
  $('try').onclick = tryOut;
  $('save-map').onclick = async () => download(await engine.mapFile(current.done), current.name.replace(/\.[^.]*$/, '') + '.map.tiff');
  $('save-mask').onclick = async () => { const mask = await current.mask.canvas.convertToBlob(); download(mask, current.name.replace(/\.[^.]*$/, '') + '.mask.png'); };
  $('clear').onclick = () => { current.mask.clear(); update(); };
  for (const [one, other] of [['leave', 'sharpen'], ['sharpen', 'leave']]) {
    $(one).onclick = () => { press($(other), false); press($(one), $(one).getAttribute('aria-pressed') !== 'true'); update(); };
  }
  $('fit').onclick = () => viewer.fit();
  $('full').onclick = () => viewer.actual();
  $('loupe').onclick = toggleLoupe;
  $('map').onclick = toggleMap;
  $('divider').oninput = () => viewer.split($('divider').value / 1000);
  viewer.addEventListener('painted', update);
  viewer.addEventListener('split', () => { $('divider').value = Math.round(1000 * viewer.divider); });
  viewer.addEventListener('point', () => {
    if (viewer.map && current?.map && viewer.pointer) $('reading').textContent = `here ${current.map.at(viewer.pointer.x, viewer.pointer.y).toFixed(1)} px blur radius`;
  });
  $('view').addEventListener('keydown', (event) => {
    const step = event.shiftKey ? 60 : 12;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    const keys = { '+': () => viewer.zoomBy(1.25), '=': () => viewer.zoomBy(1.25), '-': () => viewer.zoomBy(0.8), 0: () => viewer.fit(), 1: () => viewer.actual(), m: toggleMap, l: toggleLoupe, '[': () => viewer.split(viewer.divider - 0.03), ']': () => viewer.split(viewer.divider + 0.03), ' ': () => viewer.dab() };
    if (moves[event.key]) { if (!viewer.brush && !viewer.loupe) toggleLoupe(); viewer.nudge(...moves[event.key]); } else if (keys[event.key]) keys[event.key](); else return;
    event.preventDefault();
  });
}

begin();
