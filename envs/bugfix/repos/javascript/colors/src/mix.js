'use strict';

/** The colour between two: `one` where `part` is 0, `other` where it is 1. What is more opaque counts for more. */
function mix(one, other, part = 0.5) {
  const a = between(one.a ?? 1, other.a ?? 1, part);
  if (a === 0) return { r: 0, g: 0, b: 0, a: 0 };
  const weight = (part * (other.a ?? 1)) / a;
  const channel = (name) => Math.round(between(one[name], other[name], weight));
  return { r: channel('r'), g: channel('g'), b: channel('b'), a };
}

function between(low, high, part) {
  return low + (high - low) * part;
}

/** What is seen of a colour that lies over another. */
function over(top, bottom) {
  const cover = top.a ?? 1;
  const below = (bottom.a ?? 1) * (1 - cover);
  const a = cover + below;
  if (a === 0) return { r: 0, g: 0, b: 0, a: 0 };
  const channel = (name) => Math.round((top[name] * cover + bottom[name] * below) / a);
  return { r: channel('r'), g: channel('g'), b: channel('b'), a };
}

/** What is seen of layers, the top one first; nothing is transparent. */
function flatten(layers) {
  return layers.reduceRight((below, layer) => over(layer, below), { r: 0, g: 0, b: 0, a: 0 });
}

/**
 * The colour at a place of a gradient. `stops` are `[place, color]` in rising order; outside of them the first and the last
 * colour go on. Of stops at one place the last counts from there on. Throws RangeError without stops.
 */
function gradientAt(stops, place) {
  if (stops.length === 0) throw new RangeError('a gradient needs a stop');
  const next = stops.findIndex(([at]) => at > place);
  if (next === 0) return stops[0][1];
  if (next < 0) return stops[stops.length - 1][1];
  const [[from, one], [to, other]] = [stops[next - 1], stops[next]];
  return mix(one, other, (place - from) / (to - from));
}

/** `count` colours at even distances from the first stop to the last; one alone is the first. */
function steps(stops, count) {
  const first = stops[0][0];
  const length = stops[stops.length - 1][0] - first;
  return Array.from({ length: count }, (_, i) => gradientAt(stops, count === 1 ? first : first + (length * i) / (count - 1)));
}

module.exports = { flatten, gradientAt, mix, over, steps };
