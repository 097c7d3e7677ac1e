'use strict';

const { lighten } = require('./convert');
const { over } = require('./mix');

/** The relative luminance of WCAG 2: 0 for black, 1 for white. */
function luminance({ r, g, b }) {
  const [red, green, blue] = [r, g, b].map((part) => {
    const value = part / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** The contrast of WCAG 2 between a text, which may be transparent, and an opaque background: from 1 to 21. */
function contrast(text, background) {
  const [one, other] = [luminance(over(text, background)), luminance(background)];
  return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
}

/** The level of WCAG 2 that a contrast reaches: "AAA", "AA" or "fail"; large texts need less. */
function level(ratio, large = false) {
  const [good, best] = large ? [3, 4.5] : [4.5, 7];
  if (ratio >= best) return 'AAA';
  return ratio >= good ? 'AA' : 'fail';
}

/** The colour of a palette that reads best on a background; of equal ones the first. Throws RangeError for an empty one. */
function mostReadable(palette, background) {
  if (palette.length === 0) throw new RangeError('an empty palette');
  return palette.reduce((best, color) => (contrast(color, background) > contrast(best, background) ? color : best));
}

/** The colour of a palette that looks most like this one; of equal ones the first. Throws RangeError for an empty one. */
function nearest(palette, color) {
  if (palette.length === 0) throw new RangeError('an empty palette');
  return palette.reduce((best, other) => (distance(other, color) < distance(best, color) ? other : best));
}

/** A distance of two colours that weighs red, green and blue as the eye does. */
function distance(one, other) {
  const red = (one.r + other.r) / 2;
  const [r, g, b] = [one.r - other.r, one.g - other.g, one.b - other.b];
  return Math.sqrt((2 + red / 256) * r * r + 4 * g * g + (2 + (255 - red) / 256) * b * b);
}

/** The text made lighter on a dark background, darker on a light one, in steps of a tenth until it has the contrast. */
function readable(text, background, ratio = 4.5) {
  const sign = luminance(background) < 0.18 ? 1 : -1;
  for (let tenth = 0; tenth < 10; tenth++) {
    const color = lighten(text, (sign * tenth) / 10);
    if (contrast(color, background) >= ratio) return color;
  }
  return lighten(text, sign);
}

module.exports = { contrast, distance, level, luminance, mostReadable, nearest, readable };
