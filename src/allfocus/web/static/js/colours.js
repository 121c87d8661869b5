/* The colours of the defocus map: dark blue where sharp, yellow where most blurred; as `allfocus map` paints them. */

const STOPS = [[24, 15, 61], [49, 74, 143], [33, 134, 140], [95, 194, 95], [253, 231, 55]];

/** The colour of a share from 0 to 1, as three bytes. */
export function colour(share) {
  const place = Math.min(Math.max(share, 0), 1) * (STOPS.length - 1);
  const below = Math.min(Math.floor(place), STOPS.length - 2);
  return STOPS[below].map((value, channel) => Math.round(value + (STOPS[below + 1][channel] - value) * (place - below)));
}

/** A bar of all colours from left to right on a canvas. */
export function paintBar(canvas) {
  const context = canvas.getContext('2d');
  for (let x = 0; x < canvas.width; x++) {
    context.fillStyle = `rgb(${colour(x / (canvas.width - 1)).join(' ')})`;
    context.fillRect(x, 0, 1, canvas.height);
  }
}
