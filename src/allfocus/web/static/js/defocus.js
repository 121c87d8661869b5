/* The defocus map of a photo: a blur radius in px for each cell, as the engine tells it. */

import { colour } from './colours.js';

export class DefocusMap {
  /** @param told {width, height, cell_px, columns, rows, step_px, peak_px, radius: base64 of little-endian uint16}. */
  constructor(told) {
    Object.assign(this, told);
    const bytes = Uint8Array.from(atob(told.radius), (letter) => letter.charCodeAt(0));
    this.cells = new Uint16Array(bytes.buffer);
    this.picture = this.#paint();
  }

  /** Blur radius in px at a place of the photo, of the cell that holds it. */
  at(x, y) {
    const column = Math.min(Math.floor(x / this.cell_px), this.columns - 1);
    const row = Math.min(Math.floor(y / this.cell_px), this.rows - 1);
    return this.cells[row * this.columns + column] * this.step_px;
  }

  #paint() {
    const canvas = new OffscreenCanvas(this.columns, this.rows);
    const context = canvas.getContext('2d');
    const image = context.createImageData(this.columns, this.rows);
    this.cells.forEach((steps, index) => {
      image.data.set([...colour((steps * this.step_px) / this.peak_px), 255], 4 * index);
    });
    context.putImageData(image, 0, 0);
    return canvas;
  }
}
