/* What a stage adds to the photo, in steps of 1/32767, and its view at a finer scale: as residual.py. */

const ONE = 32767, MARGIN = 2;
const CUBIC = [-0.0703125, 0.8671875, 0.2265625, -0.0234375];

export class Residual {
  constructor(width, height) {
    Object.assign(this, { width, height, steps: new Int16Array(3 * width * height) });
  }

  /** Add RGB values to a box inside. */
  add(box, values) {
    for (let y = 0; y < box.height; y++) {
      const to = 3 * ((box.y + y) * this.width + box.x), from = 3 * y * box.width;
      for (let i = 0; i < 3 * box.width; i++) {
        const sum = Math.round((this.steps[to + i] / ONE + values[from + i]) * ONE);
        this.steps[to + i] = sum > ONE ? ONE : sum < -ONE ? -ONE : sum;
      }
    }
  }

  /** RGB values at a box that may reach outside; edges are repeated. */
  read(box) {
    const values = new Float32Array(3 * box.width * box.height);
    for (let y = 0; y < box.height; y++) {
      const row = Math.min(Math.max(box.y + y, 0), this.height - 1) * this.width;
      for (let x = 0; x < box.width; x++) {
        const from = 3 * (row + Math.min(Math.max(box.x + x, 0), this.width - 1)), to = 3 * (y * box.width + x);
        for (let c = 0; c < 3; c++) values[to + c] = this.steps[from + c] / ONE;
      }
    }
    return values;
  }

  /** As a stage `factor` times finer sees it at a box of that stage. */
  enlarged(box, factor) {
    if (factor === 1) return this.read(box);
    const coarse = { x: Math.floor(box.x / 2) - MARGIN, y: Math.floor(box.y / 2) - MARGIN, width: (box.width >> 1) + 2 + 2 * MARGIN, height: (box.height >> 1) + 2 + 2 * MARGIN };
    const values = doubled(this.enlarged(coarse, factor / 2), coarse.width, coarse.height);
    const left = box.x - 2 * coarse.x, top = box.y - 2 * coarse.y;
    const result = new Float32Array(3 * box.width * box.height);
    for (let y = 0; y < box.height; y++) {
      const from = 3 * ((top + y) * 2 * coarse.width + left);
      result.set(values.subarray(from, from + 3 * box.width), 3 * y * box.width);
    }
    return result;
  }
}

function doubled(values, width, height) {
  const tall = new Float32Array(2 * values.length), row = 3 * width;
  for (let y = 0; y < height; y++) for (let k = 0; k < 4; k++) {
    const odd = Math.min(Math.max(y + k - 1, 0), height - 1) * row, even = Math.min(Math.max(y + 1 - k, 0), height - 1) * row;
    for (let i = 0; i < row; i++) {
      tall[2 * y * row + i] += CUBIC[k] * values[even + i];
      tall[(2 * y + 1) * row + i] += CUBIC[k] * values[odd + i];
    }
  }
  const wide = new Float32Array(2 * tall.length);
  for (let y = 0; y < 2 * height; y++) for (let x = 0; x < width; x++) for (let k = 0; k < 4; k++) {
    const odd = y * row + 3 * Math.min(Math.max(x + k - 1, 0), width - 1), even = y * row + 3 * Math.min(Math.max(x + 1 - k, 0), width - 1);
    const to = 2 * (y * row + 3 * x);
    for (let c = 0; c < 3; c++) { wide[to + c] += CUBIC[k] * tall[even + c]; wide[to + 3 + c] += CUBIC[k] * tall[odd + c]; }
  }
  return wide;
}
