/* How blurred a picture is, from its gradients, and at which scales to work: as defocus/measure.py and scales.py do. */

const SAMPLE_PX = 128, SAMPLES_ACROSS = 8, LEAST_PX = 16, PRESMOOTH = 0.7, REBLUR = 1.0, WINDOW_PX = 25;
const FLAT = 2e-6, TRUSTED_PX = 2.5, LARGEST_PX = 20, TEXTURE = 0.02;
const SCALES = [4, 2, 1], HALVINGS = 3;
const START_TYPICAL_PX = { 4: 28, 2: 12.5 }, START_LARGE_PX = { 4: 32, 2: 17 };
const LEFT_ALONE = [0.75, 1.5], LEFT_ALONE_IN_THE_END = [0.4, 1.1];
const BEYOND_FULL_SIZE = { 4: [1.5, 2], 2: [2, 3] };

const clamp = (value, low, high) => (value < low ? low : value > high ? high : value);

/** Pictures here: {width, height, data}, data Float32Array of one channel. */
function grey({ width, height, data }) {
  const mean = new Float32Array(width * height);
  for (let i = 0; i < mean.length; i++) mean[i] = (data[3 * i] + data[3 * i + 1] + data[3 * i + 2]) / 3;
  return { width, height, data: mean };
}

function kernelOf(sigma) {
  const reach = Math.ceil(3 * sigma);
  const kernel = Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp(-0.5 * ((i - reach) / sigma) ** 2));
  const sum = kernel.reduce((total, value) => total + value, 0);
  return kernel.map((value) => value / sum);
}

function smooth({ width, height, data }, sigma) {
  const kernel = kernelOf(sigma), reach = (kernel.length - 1) / 2;
  const down = new Float32Array(data.length), result = new Float32Array(data.length);
  for (let y = 0; y < height; y++) for (let k = 0; k < kernel.length; k++) {
    const from = clamp(y + k - reach, 0, height - 1) * width, to = y * width, share = kernel[k];
    for (let x = 0; x < width; x++) down[to + x] += share * data[from + x];
  }
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
    let sum = 0;
    for (let k = 0; k < kernel.length; k++) sum += kernel[k] * down[y * width + clamp(x + k - reach, 0, width - 1)];
    result[y * width + x] = sum;
  }
  return { width, height, data: result };
}

function gradient({ width, height, data }) {
  const squared = new Float32Array(data.length);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
    const left = Math.max(x - 1, 0), right = Math.min(x + 1, width - 1), top = Math.max(y - 1, 0), bottom = Math.min(y + 1, height - 1);
    const dx = right > left ? (data[y * width + right] - data[y * width + left]) / (right - left) : 0;
    const dy = bottom > top ? (data[bottom * width + x] - data[top * width + x]) / (bottom - top) : 0;
    squared[y * width + x] = dx * dx + dy * dy;
  }
  return { width, height, data: squared };
}

/** Mean over a square of 25 px, edges repeated. */
export function windowMean({ width, height, data }) {
  const before = WINDOW_PX >> 1;
  const down = new Float64Array(data.length), result = new Float32Array(data.length);
  for (let x = 0; x < width; x++) {
    let sum = 0;
    for (let k = -before; k <= before; k++) sum += data[clamp(k, 0, height - 1) * width + x];
    for (let y = 0; y < height; y++) {
      down[y * width + x] = sum / WINDOW_PX;
      sum += data[Math.min(y + before + 1, height - 1) * width + x] - data[Math.max(y - before, 0) * width + x];
    }
  }
  for (let y = 0; y < height; y++) {
    let sum = 0;
    for (let k = -before; k <= before; k++) sum += down[y * width + clamp(k, 0, width - 1)];
    for (let x = 0; x < width; x++) {
      result[y * width + x] = sum / WINDOW_PX;
      sum += down[y * width + Math.min(x + before + 1, width - 1)] - down[y * width + Math.max(x - before, 0)];
    }
  }
  return { width, height, data: result };
}

const radiusOf = (ratio) => 2 * Math.sqrt(Math.max(REBLUR ** 2 / Math.max(ratio - 1, 1e-6) - PRESMOOTH ** 2, 0));

/** Share of the work of a scale at each place of a picture (RGB, 0 to 1): 0 where it is sharp at its own scale. */
export function needsScale(picture, finest) {
  return rising(picture, finest ? LEFT_ALONE_IN_THE_END : LEFT_ALONE);
}

/** Share of full size's work that a coarser scale (2 or 4) leaves, from the picture at that scale: 0 where it is too blurred.
 * `borders` are the px at [left, top, right, bottom] that count as those further inside: repeated edges look sharp. */
export function leftForFullSize(picture, scale, borders) {
  return rising(picture, BEYOND_FULL_SIZE[scale], borders).map((share) => 1 - share);
}

/* from 0 to 1 between two blur radii, at each place of a picture */
function rising(picture, [low, high], [left, top, right, bottom] = [0, 0, 0, 0]) {
  const softened = smooth(grey(picture), PRESMOOTH);
  const before = windowMean(gradient(softened)), after = windowMean(gradient(smooth(softened, REBLUR)));
  const share = before.data.map((value, i) => {
    const part = clamp((radiusOf(((value + FLAT) / (after.data[i] + FLAT)) ** 2) - low) / (high - low), 0, 1);
    return part * part * (3 - 2 * part);
  });
  const { width, height } = picture, hasInside = left + right < width && top + bottom < height;
  const inner = !hasInside ? share : share.map((_, i) => share[
    clamp(Math.floor(i / width), top, height - 1 - bottom) * width + clamp(i % width, left, width - 1 - right)]);
  return windowMean({ width, height, data: inner }).data;
}

function quantile(values, share) {
  const sorted = Float64Array.from(values).sort();
  const place = share * (sorted.length - 1), below = Math.floor(place);
  return sorted[below] + (place - below) * ((sorted[below + 1] ?? sorted[below]) - sorted[below]);
}

function sampleRadius(picture) {
  if (Math.min(picture.width, picture.height) < LEAST_PX) return null;
  const softened = smooth(grey(picture), PRESMOOTH);
  const before = gradient(softened).data, after = gradient(smooth(softened, REBLUR)).data;
  const least = Math.max(quantile(before, 0.9), TEXTURE ** 2);
  let count = 0, one = 0, other = 0;
  before.forEach((value, i) => { if (value >= least) { count++; one += value; other += after[i]; } });
  return count < 32 ? null : Math.min(radiusOf(one / Math.max(other, 1e-12)), LARGEST_PX);
}

function halved({ width, height, data }) {
  const half = { width: width >> 1, height: height >> 1 };
  half.data = new Float32Array(3 * half.width * half.height);
  for (let y = 0; y < half.height; y++) for (let x = 0; x < half.width; x++) for (let c = 0; c < 3; c++) {
    const at = 3 * (2 * y * width + 2 * x) + c;
    half.data[3 * (y * half.width + x) + c] = (data[at] + data[at + 3] + data[at + 3 * width] + data[at + 3 * width + 3]) / 4;
  }
  return half;
}

function middleOf(picture) {
  const width = Math.min(picture.width, SAMPLE_PX), height = Math.min(picture.height, SAMPLE_PX);
  const left = (picture.width - width) >> 1, top = (picture.height - height) >> 1;
  const data = new Float32Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    const from = 3 * ((top + y) * picture.width + left);
    data.set(picture.data.subarray(from, from + 3 * width), 3 * y * width);
  }
  return { width, height, data };
}

function placeRadius(picture) {
  let half = null, trusted = null, smaller = picture;
  for (let halvings = 1; halvings <= HALVINGS && Math.min(smaller.width, smaller.height) >= 2 * LEAST_PX; halvings++) {
    smaller = halved(smaller);
    const radius = sampleRadius(smaller);
    if (halvings === 1) half = radius;
    if (radius === null || radius < TRUSTED_PX) break;
    trusted = radius * 2 ** halvings;
  }
  return trusted ?? sampleRadius(middleOf(picture)) ?? (half === null ? null : 2 * half);
}

/** Blur of a photo: {typical, large, places} in px. `read(box, shrink)` gives an RGB picture of the photo made smaller. */
export function measureBlur(width, height, read) {
  const shrink = [1, 2].find((factor) => width * height <= 3e6 * factor ** 2) ?? 4;
  const wide = Math.ceil(width / shrink), high = Math.ceil(height / shrink);
  const side = [Math.min(2 * SAMPLE_PX, wide), Math.min(2 * SAMPLE_PX, high)];
  const places = [wide, high].map((length, axis) => {
    const parts = Math.min(SAMPLES_ACROSS, Math.max(1, Math.floor(length / SAMPLE_PX)));
    return Array.from({ length: parts }, (_, i) => (parts === 1 ? 0 : Math.floor(((length - side[axis]) * i) / (parts - 1))));
  });
  const radii = places[1].flatMap((y) => places[0].map((x) => placeRadius(read({ x, y, width: side[0], height: side[1] }, shrink)))).filter((radius) => radius !== null);
  if (!radii.length) return { typical: 0, large: 0, places: 0 };
  return { typical: quantile(radii, 0.5) * shrink, large: quantile(radii, 0.9) * shrink, places: radii.length };
}

/** The scales to work at, coarsest first. */
export function chooseScales(requested, width, height, blur) {
  const coarsest = requested === 'auto' ? SCALES.find((scale) => scale === 1 || blur.typical > START_TYPICAL_PX[scale] || blur.large > START_LARGE_PX[scale]) : Number(requested);
  return SCALES.filter((scale) => scale <= coarsest && (scale === 1 || Math.min(width, height) >= 32 * scale));
}
