/* The pipeline of restore.py: coarse to fine, tile by tile; what runs the network is handed in. */

import { chooseScales, leftForFullSize, measureBlur, needsScale } from './measure.js';
import { plan, weights } from './tiling.js';
import { Residual } from './residual.js';

const OVERLAP_PX = 32, CONTEXT_PX = 32, BORDER_PX = 16, DISPARITY_TO_RADIUS = 2.5, SOFT = 0.25;

/** RGB in 0 to 1 of a box of a photo {width, height, bands, peak, pixels}, averaged `shrink` times smaller; edges repeat. */
export function read(photo, box, shrink) {
  const { width, height, bands, pixels } = photo, scale = 1 / (photo.peak * shrink * shrink);
  const wide = Math.ceil(width / shrink), high = Math.ceil(height / shrink);
  const data = new Float32Array(3 * box.width * box.height);
  for (let y = 0; y < box.height; y++) {
    const top = Math.min(Math.max(box.y + y, 0), high - 1) * shrink;
    for (let x = 0; x < box.width; x++) {
      const left = Math.min(Math.max(box.x + x, 0), wide - 1) * shrink, to = 3 * (y * box.width + x);
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let dy = 0; dy < shrink; dy++) for (let dx = 0; dx < shrink; dx++) {
          sum += pixels[bands * (Math.min(top + dy, height - 1) * width + Math.min(left + dx, width - 1)) + (bands === 3 ? c : 0)];
        }
        data[to + c] = sum * scale;
      }
    }
  }
  return { width: box.width, height: box.height, data };
}

class Defocus {
  constructor(photo, side, scale, coarser) {
    Object.assign(this, { side, cell: side * scale, columns: Math.ceil(photo.width / (side * scale)), rows: Math.ceil(photo.height / (side * scale)) });
    const grid = { x: 0, y: 0, width: this.columns, height: this.rows };
    this.before = coarser ? interpolated(coarser, coarser.signed, coarser.cell / this.cell, grid) : new Float32Array(this.columns * this.rows);
    this.settledBefore = coarser ? interpolated(coarser, coarser.settled, coarser.cell / this.cell, grid) : new Float32Array(this.columns * this.rows);
    this.signed = this.before.slice();
    this.settled = this.settledBefore.slice();
  }

  add(source, target, disparity, acted) {
    const { side } = this, across = source.width / side;
    for (let row = Math.floor(target.y / side); row < Math.ceil((target.y + target.height) / side); row++) {
      for (let column = Math.floor(target.x / side); column < Math.ceil((target.x + target.width) / side); column++) {
        const at = row * this.columns + column, y = row - source.y / side, x = column - source.x / side;
        let share = 0;
        for (let dy = 0; dy < side; dy++) for (let dx = 0; dx < side; dx++) share += acted[(y * side + dy) * source.width + x * side + dx];
        const settled = this.settledBefore[at];
        this.signed[at] = settled * this.before[at] + (1 - settled) * disparity[y * across + x] * DISPARITY_TO_RADIUS * this.cell;
        this.settled[at] = settled + (1 - settled) * (share / (side * side));
      }
    }
  }

  radius(box) {
    return interpolated(this, this.signed.map(Math.abs), this.cell, box);
  }
}

/* cells at a box of px: linear between their middles */
function interpolated({ columns, rows }, cells, side, box) {
  const along = (start, length, count) => Array.from({ length }, (_, i) => {
    const place = Math.min(Math.max((start + i + 0.5) / side - 0.5, 0), count - 1);
    const below = Math.min(Math.floor(place), Math.max(count - 2, 0));
    return [below, Math.min(below + 1, count - 1), place - below];
  });
  const across = along(box.x, box.width, columns), result = new Float32Array(box.width * box.height);
  along(box.y, box.height, rows).forEach(([top, bottom, down], y) => across.forEach(([left, right, share], x) => {
    const upper = cells[top * columns + left] * (1 - share) + cells[top * columns + right] * share;
    const lower = cells[bottom * columns + left] * (1 - share) + cells[bottom * columns + right] * share;
    result[y * box.width + x] = upper * (1 - down) + lower * down;
  }));
  return result;
}

/**
 * Restore a photo {width, height, bands, peak, pixels}.
 *
 * card: {multiple, context_px, tile_px}; options: {strength, scale, keep_bokeh}; mask: null or share(x, y).
 * run(planes, width, height): {residual: planar RGB, disparity}; tell({scale, done, total, box, sharp}).
 * Gives {pixels, blur, scales, leftAlone, defocus}.
 */
export async function restore(photo, card, options, mask, run, tell, stopped) {
  const blur = measureBlur(photo.width, photo.height, (box, shrink) => read(photo, box, shrink));
  const scales = chooseScales(options.scale, photo.width, photo.height, blur);
  let stage = null;
  for (const scale of scales) stage = await runStage(photo, card, scale, stage, run, tell, stopped, scales);
  return { ...compose(photo, stage, options, mask), blur, scales, defocus: stage.defocus };
}

/* what coarser scales leave for full size at a box of the photo, which starts on a multiple of 4 */
export function leftFor(photo, box, scales) {
  const left = new Float32Array(box.width * box.height).fill(1);
  for (const scale of scales.filter((one) => one > 1)) {
    const x = Math.max(box.x / scale - CONTEXT_PX, 0), y = Math.max(box.y / scale - CONTEXT_PX, 0);
    const wide = Math.ceil(photo.width / scale), high = Math.ceil(photo.height / scale);
    const right = Math.min(Math.ceil((box.x + box.width) / scale) + CONTEXT_PX, wide);
    const bottom = Math.min(Math.ceil((box.y + box.height) / scale) + CONTEXT_PX, high);
    const around = { x, y, width: right - x, height: bottom - y };
    const borders = [x, y, wide - right, high - bottom].map((distance) => Math.max(BORDER_PX - distance, 0));
    const share = leftForFullSize(read(photo, around, scale), scale, borders);
    for (let j = 0; j < box.height; j++) for (let i = 0; i < box.width; i++) {
      const row = Math.min(Math.floor((box.y + j) / scale) - y, around.height - 1);
      const column = Math.min(Math.floor((box.x + i) / scale) - x, around.width - 1);
      left[j * box.width + i] *= share[row * around.width + column];
    }
  }
  return left;
}

async function runStage(photo, card, scale, coarser, run, tell, stopped, scales) {
  const width = Math.ceil(photo.width / scale), height = Math.ceil(photo.height / scale);
  const halo = Math.max(card.context_px, CONTEXT_PX);
  const planned = plan(width, height, { side: card.tile_px, halo, overlap: OVERLAP_PX, multiple: card.multiple });
  const total = new Residual(width, height), defocus = new Defocus(photo, card.multiple, scale, coarser?.defocus);
  let done = 0;
  for (const tile of planned.tiles) {
    if (stopped()) throw new DOMException('stopped', 'AbortError');
    const source = { x: tile.columns.source[0], y: tile.rows.source[0], width: tile.columns.source[1], height: tile.rows.source[1] };
    const target = { x: tile.columns.target[0], y: tile.rows.target[0], width: tile.columns.target[1], height: tile.rows.target[1] };
    const seen = read(photo, source, scale), count = source.width * source.height;
    const start = seen.data.slice();
    if (coarser) coarser.total.enlarged(source, coarser.scale / scale).forEach((value, i) => { start[i] = Math.min(Math.max(start[i] + value, 0), 1); });
    const planes = new Float32Array(3 * count);
    for (let i = 0; i < count; i++) for (let c = 0; c < 3; c++) planes[c * count + i] = start[3 * i + c];
    const found = await run(planes, source.width, source.height);
    const blurred = needsScale(seen, scale === 1);
    if (scale === 1 && coarser) leftFor(photo, source, scales).forEach((share, i) => { blurred[i] *= share; });
    const sharp = new Float32Array(3 * target.width * target.height), change = new Float32Array(sharp.length);
    const down = weights(tile.rows), across = weights(tile.columns);
    for (let y = 0; y < target.height; y++) for (let x = 0; x < target.width; x++) {
      const from = (target.y - source.y + y) * source.width + target.x - source.x + x, to = 3 * (y * target.width + x);
      for (let c = 0; c < 3; c++) {
        sharp[to + c] = start[3 * from + c] + found.residual[c * count + from] * blurred[from];
        change[to + c] = (sharp[to + c] - seen.data[3 * from + c]) * down[y] * across[x];
      }
    }
    total.add(target, change);
    defocus.add(source, target, found.disparity, blurred);
    done += 1;
    tell({ scale, done, total: planned.tiles.length, box: [target.x, target.y, target.width, target.height], sharp });
  }
  return { scale, total, defocus };
}

function compose(photo, stage, options, mask) {
  const { width, height, bands, peak } = photo, pixels = photo.pixels.slice(), strength = options.strength * peak;
  let untouched = 0;
  for (let y = 0; y < height; y++) {
    const box = { x: 0, y, width, height: 1 }, change = stage.total.read(box);
    const radius = options.keep_bokeh ? stage.defocus.radius(box) : null;
    for (let x = 0; x < width; x++) {
      let share = strength;
      if (radius) { const part = Math.min(Math.max((options.keep_bokeh - radius[x]) / (SOFT * options.keep_bokeh), 0), 1); share *= part * part * (3 - 2 * part); }
      if (mask) share *= mask(x, y);
      let same = true;
      for (let c = 0; c < bands; c++) {
        const at = bands * (y * width + x) + c;
        const add = bands === 3 ? change[3 * x + c] : (change[3 * x] + change[3 * x + 1] + change[3 * x + 2]) / 3;
        const value = Math.min(Math.max(Math.round(pixels[at] + add * share), 0), peak);
        if (value !== pixels[at]) same = false;
        pixels[at] = value;
      }
      untouched += same;
    }
  }
  return { pixels, leftAlone: untouched / (width * height) };
}
