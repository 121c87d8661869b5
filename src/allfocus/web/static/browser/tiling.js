/* The plan of overlapping tiles, as photo/tiling.py makes it; whole numbers only, so that both give the same tiles. */

const up = (length, multiple) => Math.ceil(length / multiple) * multiple;
const down = (length, multiple) => Math.floor(length / multiple) * multiple;

function count(length, side, halo, overlap, multiple) {
  const padded = up(length, multiple);
  if (padded <= side) return 1;
  if (side < 2 * halo + 2 * overlap + multiple) return null;
  return Math.ceil((padded - 2 * halo - overlap) / (side - 2 * halo - overlap - multiple + 1));
}

function shortestSide(length, parts, halo, overlap, multiple) {
  const padded = up(length, multiple);
  if (parts === 1) return padded;
  const side = 2 * halo + overlap + multiple - 1 + Math.ceil((padded - 2 * halo - overlap) / parts);
  return Math.min(padded, Math.max(up(side, multiple), 2 * halo + 2 * overlap + multiple));
}

function fittingShape(width, height, side, halo, overlap, multiple) {
  let cheapest = null, best = [side, side];
  const wide = up(width, multiple);
  for (let parts = 1; parts <= Math.max(1, Math.ceil(width / multiple)); parts++) {
    const tileWidth = shortestSide(width, parts, halo, overlap, multiple);
    const tallest = down(Math.floor((side * side) / tileWidth), multiple);
    const rows = count(height, tallest, halo, overlap, multiple);
    if (rows !== null) {
      const tileHeight = shortestSide(height, rows, halo, overlap, multiple);
      const seen = parts * tileWidth * rows * tileHeight;
      if (cheapest === null || seen < cheapest) { cheapest = seen; best = [tileWidth, tileHeight]; }
    }
    if (tileWidth < side && tileWidth < wide && tallest >= height) break;
  }
  return best;
}

function spans(length, side, halo, overlap, multiple) {
  const padded = up(length, multiple);
  const parts = count(length, side, halo, overlap, multiple);
  if (parts === 1) return [{ source: [0, padded], target: [0, length], rampIn: 0, rampOut: 0 }];
  const last = padded - side;
  const starts = Array.from({ length: parts }, (_, i) => down(Math.floor((last * i) / (parts - 1)), multiple));
  const cuts = Array.from({ length: parts - 1 }, (_, i) => Math.floor((starts[i + 1] + starts[i] + side) / 2));
  const before = Math.floor(overlap / 2), after = overlap - before;
  return starts.map((start, i) => {
    const begin = i === 0 ? 0 : cuts[i - 1] - before;
    const end = i === parts - 1 ? length : cuts[i] + after;
    return { source: [start, side], target: [begin, end - begin], rampIn: i === 0 ? 0 : overlap, rampOut: i === parts - 1 ? 0 : overlap };
  });
}

/** Tiles {rows, columns} of spans, row by row, and the size of each one's source. */
export function plan(width, height, { side, halo, overlap, multiple }) {
  const smallest = 2 * halo + 2 * overlap + multiple;
  side = down(side, multiple);
  if (side < smallest && (side < width || side < height)) throw new RangeError(`a tile of ${side} px, at least ${up(smallest, multiple)} px are needed`);
  const [tileWidth, tileHeight] = fittingShape(width, height, side, halo, overlap, multiple);
  const columns = spans(width, tileWidth, halo, overlap, multiple);
  const rows = spans(height, tileHeight, halo, overlap, multiple);
  return { width: tileWidth, height: tileHeight, tiles: rows.flatMap((row) => columns.map((column) => ({ rows: row, columns: column }))) };
}

/** Blending weights of a span over its target. */
export function weights(span) {
  const values = new Float32Array(span.target[1]).fill(1);
  for (let i = 0; i < span.rampIn; i++) values[i] = (i + 0.5) / span.rampIn;
  for (let i = 0; i < span.rampOut; i++) values[values.length - span.rampOut + i] = 1 - (i + 0.5) / span.rampOut;
  return values;
}
