/* The photo on its canvas: zoom, pan, the divider between before and after, the magnifier, map and mask on top. */

const LOUPE_PX = 108;
const LARGEST_ZOOM = 16;

export class Viewer extends EventTarget {
  constructor(canvas) {
    super();
    this.canvas = canvas;
    this.context = canvas.getContext('2d');
    this.photo = null;
    this.zoom = 1;
    this.x = this.y = 0; // the photo's place in the middle of the canvas, px of the photo
    this.divider = 0.5;
    this.loupe = false;
    this.map = false;
    this.pointer = null; // px of the photo
    this.brush = null; // {radius, value, force}
    this.fitted = true;
    this.pointers = new Map();
    new ResizeObserver(() => this.#resized()).observe(canvas);
    canvas.addEventListener('pointerdown', (event) => this.#down(event));
    canvas.addEventListener('pointermove', (event) => this.#move(event));
    for (const kind of ['pointerup', 'pointercancel']) canvas.addEventListener(kind, (event) => this.#up(event));
    canvas.addEventListener('pointerleave', (event) => { if (event.pointerType === 'mouse' && !this.pointers.size) { this.pointer = null; this.draw(); } });
    canvas.addEventListener('wheel', (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener('dblclick', () => (this.fitted ? this.actual() : this.fit()));
  }

  /** Show a photo: {width, height, before, after, share, map, mask}; its pictures may change, then call `draw`. */
  show(photo) {
    this.photo = photo;
    this.#resized();
    this.fit();
  }

  fit() {
    if (!this.photo) return;
    const { width, height } = this.canvas;
    this.zoom = Math.min(width / this.photo.width, height / this.photo.height) * 0.94;
    this.x = this.photo.width / 2;
    this.y = this.photo.height / 2;
    this.fitted = true;
    this.draw();
  }

  actual() {
    const place = this.pointer ?? { x: this.x, y: this.y };
    this.#zoomTo(1, place);
  }

  zoomBy(factor) {
    this.#zoomTo(this.zoom * factor, this.pointer ?? { x: this.x, y: this.y });
  }

  /** The visible part of the photo in whole px: {x, y, width, height}, at most `limit` a side around its middle. */
  visible(limit) {
    const { photo, canvas, zoom } = this;
    const left = Math.max(0, this.x - canvas.width / 2 / zoom), right = Math.min(photo.width, this.x + canvas.width / 2 / zoom);
    const top = Math.max(0, this.y - canvas.height / 2 / zoom), bottom = Math.min(photo.height, this.y + canvas.height / 2 / zoom);
    const width = Math.round(Math.min(limit, right - left)), height = Math.round(Math.min(limit, bottom - top));
    const middle = this.loupe && this.pointer ? this.pointer : { x: (left + right) / 2, y: (top + bottom) / 2 };
    const clamp = (value, low, high) => Math.round(Math.min(Math.max(value, low), Math.max(low, high)));
    return { x: clamp(middle.x - width / 2, left, right - width), y: clamp(middle.y - height / 2, top, bottom - height), width, height };
  }

  /** Move the magnifier (or the brush) by canvas px. */
  nudge(dx, dy) {
    const from = this.pointer ?? { x: this.x, y: this.y };
    this.pointer = this.#inside({ x: from.x + dx / this.zoom, y: from.y + dy / this.zoom });
    this.dispatchEvent(new Event('point'));
    this.draw();
  }

  /** Paint a dot where the pointer is. */
  dab() {
    if (!this.brush || !this.pointer) return;
    this.#stroke(this.pointer, this.pointer);
    this.dispatchEvent(new Event('painted'));
  }

  draw() {
    if (this.scheduled) return;
    this.scheduled = requestAnimationFrame(() => { this.scheduled = 0; this.#paint(); });
  }

  #paint() {
    const { context, canvas, photo } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!photo) return;
    const place = this.#onCanvas(photo, 0, 0);
    const size = { width: photo.width * this.zoom, height: photo.height * this.zoom };
    context.imageSmoothingEnabled = this.zoom < 3;
    context.imageSmoothingQuality = 'high';
    const split = Math.round(this.divider * canvas.width);
    this.#picture(context, photo, place, size, { left: split, share: photo.share });
    if (this.map && photo.map) {
      context.globalAlpha = 0.72;
      const reach = { width: photo.map.columns * photo.map.cell_px * this.zoom, height: photo.map.rows * photo.map.cell_px * this.zoom };
      context.save();
      context.beginPath(); context.rect(place.x, place.y, size.width, size.height); context.clip();
      context.imageSmoothingEnabled = true;
      context.drawImage(photo.map.picture, place.x, place.y, reach.width, reach.height);
      context.restore();
      context.globalAlpha = 1;
    }
    if (photo.mask?.painted) {
      context.globalAlpha = this.brush ? 1 : 0.4;
      context.drawImage(photo.mask.overlay, place.x, place.y, size.width, size.height);
      context.globalAlpha = 1;
    }
    if (photo.after) this.#divider(context, split, canvas);
    if (photo.trial) this.#frame(context, photo.trial);
    if (this.brush && this.pointer) this.#brushRing(context);
    else if (this.loupe && this.pointer) this.#magnify(context, photo);
  }

  /* before everywhere, then what is known of after right of a column */
  #picture(context, photo, place, size, { left, share }) {
    context.drawImage(photo.before, place.x, place.y, size.width, size.height);
    if (!photo.after) return;
    context.save();
    context.beginPath(); context.rect(left, 0, this.canvas.width, this.canvas.height); context.clip();
    context.globalAlpha = share;
    context.drawImage(photo.after, place.x, place.y, size.width, size.height);
    context.restore();
  }

  #divider(context, split, canvas) {
    const grip = this.pixels;
    context.fillStyle = 'rgb(255 255 255 / .9)';
    context.shadowColor = 'rgb(0 0 0 / .5)'; context.shadowBlur = 4 * grip;
    context.fillRect(split - grip, 0, 2 * grip, canvas.height);
    context.beginPath(); context.arc(split, canvas.height / 2, 15 * grip, 0, 2 * Math.PI); context.fill();
    context.shadowBlur = 0;
    context.strokeStyle = '#333'; context.lineWidth = 2 * grip; context.lineCap = 'round'; context.lineJoin = 'round';
    for (const side of [-1, 1]) {
      context.beginPath();
      context.moveTo(split + side * 4 * grip, canvas.height / 2 - 4.5 * grip);
      context.lineTo(split + side * 8.5 * grip, canvas.height / 2);
      context.lineTo(split + side * 4 * grip, canvas.height / 2 + 4.5 * grip);
      context.stroke();
    }
  }

  #frame(context, box) {
    const corner = this.#onCanvas(this.photo, box.x, box.y);
    context.strokeStyle = '#f2b544'; context.lineWidth = 1.5 * this.pixels; context.setLineDash([6 * this.pixels, 4 * this.pixels]);
    context.strokeRect(corner.x, corner.y, box.width * this.zoom, box.height * this.zoom);
    context.setLineDash([]);
  }

  #brushRing(context) {
    const middle = this.#onCanvas(this.photo, this.pointer.x, this.pointer.y);
    for (const [colour, width] of [['rgb(0 0 0 / .6)', 3], ['#fff', 1.5]]) {
      context.strokeStyle = colour; context.lineWidth = width * this.pixels;
      context.beginPath(); context.arc(middle.x, middle.y, this.brush.radius * this.zoom, 0, 2 * Math.PI); context.stroke();
    }
  }

  /* two discs side by side at 1:1: the same place before and after */
  #magnify(context, photo) {
    const reach = LOUPE_PX * this.pixels;
    const at = this.#onCanvas(photo, this.pointer.x, this.pointer.y);
    const gap = 6 * this.pixels;
    const wide = photo.after ? 2 * reach + gap / 2 : reach;
    const middleX = Math.min(Math.max(at.x, wide), this.canvas.width - wide);
    const above = at.y - reach - 30 * this.pixels > reach;
    const middleY = above ? at.y - reach - 24 * this.pixels : at.y + reach + 24 * this.pixels;
    const discs = photo.after ? [[-1, photo.before, 1, 'before'], [1, photo.after, photo.share, 'after']] : [[0, photo.before, 1, 'before']];
    const zoom = Math.max(1, this.zoom);
    for (const [side, picture, share, name] of discs) {
      const x = middleX + side * (reach + gap / 2), y = middleY;
      context.save();
      context.beginPath(); context.arc(x, y, reach, 0, 2 * Math.PI); context.clip();
      context.fillStyle = '#111'; context.fillRect(x - reach, y - reach, 2 * reach, 2 * reach);
      context.imageSmoothingEnabled = false;
      const place = { x: Math.round(x - this.pointer.x * zoom), y: Math.round(y - this.pointer.y * zoom) };
      for (const [layer, alpha] of name === 'after' ? [[photo.before, 1], [picture, share]] : [[picture, 1]]) {
        context.globalAlpha = alpha;
        context.drawImage(layer, place.x, place.y, photo.width * zoom, photo.height * zoom);
      }
      context.restore();
      context.strokeStyle = '#fff'; context.lineWidth = 2.5 * this.pixels;
      context.beginPath(); context.arc(x, y, reach, 0, 2 * Math.PI); context.stroke();
      context.font = `${12 * this.pixels}px system-ui`; context.textAlign = 'center';
      context.lineWidth = 3 * this.pixels; context.strokeStyle = 'rgb(0 0 0 / .7)'; context.fillStyle = '#fff';
      context.strokeText(name, x, y + reach - 12 * this.pixels); context.fillText(name, x, y + reach - 12 * this.pixels);
    }
    context.fillStyle = '#fff'; context.strokeStyle = '#000'; context.lineWidth = this.pixels;
    context.beginPath(); context.arc(at.x, at.y, 3 * this.pixels, 0, 2 * Math.PI); context.fill(); context.stroke();
  }

  #down(event) {
    if (!this.photo || event.button > 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    const place = this.#place(event);
    this.pointers.set(event.pointerId, place);
    this.last = place;
    if (this.pointers.size === 2) { this.mode = 'pinch'; this.pinch = this.#spread(); return; }
    const split = this.divider * this.canvas.width;
    if (this.brush) {
      this.mode = 'paint';
      this.pointer = this.#inside(this.#onPhoto(place));
      this.#stroke(this.pointer, this.pointer);
    } else if (this.photo.after && Math.abs(place.x - split) < 22 * this.pixels) this.mode = 'divide';
    else { this.mode = 'pan'; this.canvas.classList.add('dragging'); }
    this.#point(place);
  }

  #move(event) {
    if (!this.photo) return;
    const place = this.#place(event);
    const before = this.last ?? place;
    if (this.pointers.has(event.pointerId)) this.pointers.set(event.pointerId, place);
    if (this.mode === 'pinch' && this.pointers.size === 2) {
      const spread = this.#spread();
      this.#zoomTo(this.zoom * (spread.length / this.pinch.length), this.#onPhoto(spread.middle));
      this.x -= (spread.middle.x - this.pinch.middle.x) / this.zoom;
      this.y -= (spread.middle.y - this.pinch.middle.y) / this.zoom;
      this.pinch = spread;
    } else if (this.pointers.size) {
      if (this.mode === 'paint') this.#stroke(this.#inside(this.#onPhoto(before)), this.#inside(this.#onPhoto(place)));
      if (this.mode === 'divide') this.split(place.x / this.canvas.width);
      if (this.mode === 'pan') { this.x -= (place.x - before.x) / this.zoom; this.y -= (place.y - before.y) / this.zoom; this.fitted = false; }
    }
    this.last = place;
    this.canvas.classList.toggle('dividing', Boolean(!this.brush && this.photo.after) && Math.abs(place.x - this.divider * this.canvas.width) < 22 * this.pixels);
    this.#point(place);
  }

  #up(event) {
    this.pointers.delete(event.pointerId);
    if (this.mode === 'paint') this.dispatchEvent(new Event('painted'));
    if (!this.pointers.size) { this.mode = null; this.canvas.classList.remove('dragging'); }
  }

  #wheel(event) {
    if (!this.photo) return;
    event.preventDefault();
    this.#zoomTo(this.zoom * Math.exp(-event.deltaY / 400), this.#onPhoto(this.#place(event)));
  }

  /** Put the divider at a share of the width. */
  split(share) {
    this.divider = Math.min(Math.max(share, 0), 1);
    this.dispatchEvent(new Event('split'));
    this.draw();
  }

  #stroke(from, to) {
    this.photo.mask.stroke(from, to, this.brush.radius, this.brush.value, this.brush.force);
    this.draw();
  }

  #zoomTo(zoom, place) {
    const least = Math.min(1, 0.5 * Math.min(this.canvas.width / this.photo.width, this.canvas.height / this.photo.height));
    const wanted = Math.min(Math.max(zoom, least), LARGEST_ZOOM * this.pixels);
    const share = this.zoom / wanted;
    this.x = place.x + (this.x - place.x) * share;
    this.y = place.y + (this.y - place.y) * share;
    this.zoom = wanted;
    this.fitted = false;
    this.draw();
  }

  #point(place) {
    this.pointer = this.#inside(this.#onPhoto(place));
    this.dispatchEvent(new Event('point'));
    this.draw();
  }

  #spread() {
    const [one, other] = [...this.pointers.values()];
    return { length: Math.max(1, Math.hypot(one.x - other.x, one.y - other.y)), middle: { x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 } };
  }

  #place(event) {
    const frame = this.canvas.getBoundingClientRect();
    return { x: (event.clientX - frame.left) * this.pixels, y: (event.clientY - frame.top) * this.pixels };
  }

  #onPhoto({ x, y }) {
    return { x: this.x + (x - this.canvas.width / 2) / this.zoom, y: this.y + (y - this.canvas.height / 2) / this.zoom };
  }

  #onCanvas(_, x, y) {
    return { x: this.canvas.width / 2 + (x - this.x) * this.zoom, y: this.canvas.height / 2 + (y - this.y) * this.zoom };
  }

  #inside({ x, y }) {
    return { x: Math.min(Math.max(x, 0), this.photo.width - 1), y: Math.min(Math.max(y, 0), this.photo.height - 1) };
  }

  #resized() {
    this.pixels = window.devicePixelRatio || 1;
    const frame = this.canvas.getBoundingClientRect();
    this.canvas.width = Math.max(1, Math.round(frame.width * this.pixels));
    this.canvas.height = Math.max(1, Math.round(frame.height * this.pixels));
    if (this.fitted) this.fit();
    else this.draw();
  }
}
