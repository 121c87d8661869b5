/* A mask that is painted over a photo: white sharpens, black leaves alone. */

const LONGEST_PX = 2048;

export class Mask {
  constructor(width, height) {
    const shrink = Math.min(1, LONGEST_PX / Math.max(width, height));
    this.scale = shrink;
    this.canvas = new OffscreenCanvas(Math.max(1, Math.round(width * shrink)), Math.max(1, Math.round(height * shrink)));
    this.context = this.canvas.getContext('2d', { willReadFrequently: true });
    this.overlay = new OffscreenCanvas(this.canvas.width, this.canvas.height);
    this.clear();
  }

  clear() {
    this.context.fillStyle = '#fff';
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.painted = false;
    this.strokes = 0;
    this.#repaint(0, 0, this.canvas.width, this.canvas.height);
  }

  /** A stroke between two places of the photo (px), with a brush of a radius (px), towards a value from 0 to 1. */
  stroke(from, to, radius, value, force) {
    const { context, scale } = this;
    const grey = Math.round(255 * value);
    context.strokeStyle = context.fillStyle = `rgb(${grey} ${grey} ${grey} / ${force})`;
    const reach = Math.max(radius * scale, 0.6);
    const length = Math.hypot(to.x - from.x, to.y - from.y) * scale;
    const steps = Math.max(1, Math.ceil(length / (reach / 2)));
    for (let step = from === to ? 0 : 1; step <= steps; step++) {
      const share = steps ? step / steps : 0;
      context.beginPath();
      context.arc((from.x + (to.x - from.x) * share) * scale, (from.y + (to.y - from.y) * share) * scale, reach, 0, 2 * Math.PI);
      context.fill();
    }
    this.painted = true;
    this.strokes += 1;
    const left = Math.floor(Math.min(from.x, to.x) * scale - reach), top = Math.floor(Math.min(from.y, to.y) * scale - reach);
    this.#repaint(left, top, Math.ceil(Math.max(from.x, to.x) * scale + reach) - left + 1, Math.ceil(Math.max(from.y, to.y) * scale + reach) - top + 1);
  }

  /** The mask as a PNG, or null where nothing is painted. */
  async blob() {
    return this.painted ? this.canvas.convertToBlob({ type: 'image/png' }) : null;
  }

  /* stripes where the photo is left alone */
  #repaint(x, y, width, height) {
    const left = Math.max(0, x), top = Math.max(0, y);
    const right = Math.min(this.canvas.width, x + width), bottom = Math.min(this.canvas.height, y + height);
    if (right <= left || bottom <= top) return;
    const grey = this.context.getImageData(left, top, right - left, bottom - top);
    for (let index = 0; index < grey.data.length; index += 4) {
      const pixel = index / 4, column = left + (pixel % grey.width), row = top + Math.floor(pixel / grey.width);
      const stripe = Math.floor((column + row) / 8) % 2;
      const left_alone = 255 - grey.data[index];
      const tone = stripe ? 0 : 255; // dark and light: one of them shows on any colour
      grey.data.set([tone, tone, tone, Math.round(left_alone * (stripe ? 0.5 : 0.3))], index);
    }
    this.overlay.getContext('2d').putImageData(grey, left, top);
  }
}
