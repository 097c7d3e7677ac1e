'use strict';

/** The opaque colour of a hue in degrees, a saturation and a lightness from 0 to 1. */
function fromHsl({ h, s, l }) {
  const turn = (((h % 360) + 360) % 360) / 60;
  const chroma = (1 - Math.abs(2 * l - 1)) * s;
  const second = chroma * (1 - Math.abs((turn % 2) - 1));
  const [r, g, b] = [
    [chroma, second, 0], [second, chroma, 0], [0, chroma, second], [0, second, chroma], [second, 0, chroma], [chroma, 0, second],
  ][Math.floor(turn)];
  const [red, green, blue] = [r, g, b].map((part) => Math.round((part + l - chroma / 2) * 255));
  return { r: red, g: green, b: blue, a: 1 };
}

/** Hue in degrees from 0 to below 360, saturation and lightness from 0 to 1; grays have hue and saturation 0. */
function toHsl({ r, g, b }) {
  const [red, green, blue] = [r / 255, g / 255, b / 255];
  const most = Math.max(red, green, blue);
  const least = Math.min(red, green, blue);
  const l = (most + least) / 2;
  const chroma = most - least;
  if (chroma === 0) return { h: 0, s: 0, l };
  const s = chroma / (1 - Math.abs(2 * l - 1));
  if (most === red) return { h: (((green - blue) / chroma + 6) % 6) * 60, s, l };
  if (most === green) return { h: ((blue - red) / chroma + 2) * 60, s, l };
  return { h: ((red - green) / chroma + 4) * 60, s, l };
}

function changed(color, change) {
  const hsl = toHsl(color);
  return { ...fromHsl({ ...hsl, ...change(hsl) }), a: color.a ?? 1 };
}

/** The colour with its hue turned by degrees. */
function rotate(color, degrees) {
  return changed(color, ({ h }) => ({ h: h + degrees }));
}

/** A lighter colour: the part `by` (0 to 1) of the way to white in lightness; a darker one where it is negative. */
function lighten(color, by) {
  return changed(color, ({ l }) => ({ l: by < 0 ? l * (1 + by) : l + (1 - l) * by }));
}

/** The colour with its saturation multiplied, up to 1. */
function saturate(color, factor) {
  return changed(color, ({ s }) => ({ s: Math.min(s * factor, 1) }));
}

/** The colour and those that share the circle with it evenly: 2 gives the complement, 3 a triad. */
function harmony(color, count) {
  return Array.from({ length: count }, (_, i) => rotate(color, (360 / count) * i));
}

module.exports = { fromHsl, harmony, lighten, rotate, saturate, toHsl };
