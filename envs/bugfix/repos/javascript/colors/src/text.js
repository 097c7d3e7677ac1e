'use strict';

const { fromHsl } = require('./convert');

/** A text that is no colour. */
class ColorError extends Error {}

const NAMES = {
  black: '#000000', white: '#ffffff', red: '#ff0000', lime: '#00ff00', blue: '#0000ff', gray: '#808080', orange: '#ffa500',
  transparent: '#00000000',
};
const HEX = /^#([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})$/;
const CALL = /^(rgb|hsl)a?\(([^()]*)\)$/;
const NUMBER = /^[-+]?(\d+\.?\d*|\.\d+)(%|deg)?$/;

/** The colour of "#f80", "#ff8800cc", "rgb(255, 50%, 0, 0.5)", "hsl(30deg, 100%, 50%)" or a name. Throws ColorError. */
function parse(text) {
  const clean = text.trim().toLowerCase();
  const known = Object.hasOwn(NAMES, clean) ? NAMES[clean] : clean;
  const hex = HEX.exec(known);
  if (hex) return parseHex(hex[1]);
  const call = CALL.exec(known);
  if (!call) throw new ColorError(`not a color: ${text}`);
  const parts = call[2].split(',').map((part) => part.trim());
  if (parts.length !== 3 && parts.length !== 4) throw new ColorError(`${parts.length} parts: ${text}`);
  const a = parts.length === 4 ? clamp(number(parts[3], 1, ['', '%']), 0, 1) : 1;
  return call[1] === 'rgb' ? { ...parseRgb(parts), a } : { ...parseHsl(parts), a };
}

function parseHex(digits) {
  const pairs = digits.length <= 4 ? [...digits].map((digit) => digit + digit) : digits.match(/../g);
  const [r, g, b, a = 255] = pairs.map((pair) => parseInt(pair, 16));
  return { r, g, b, a: a / 255 };
}

function parseRgb(parts) {
  const [r, g, b] = parts.slice(0, 3).map((part) => Math.round(clamp(number(part, 255, ['', '%']), 0, 255)));
  return { r, g, b };
}

function parseHsl(parts) {
  const [s, l] = parts.slice(1, 3).map((part) => clamp(number(part, 1, ['%']), 0, 1));
  return fromHsl({ h: number(parts[0], 360, ['', 'deg']), s, l });
}

// The value of a number with one of some units; "%" is a part of `whole`.
function number(text, whole, units) {
  const match = NUMBER.exec(text);
  const unit = match ? match[2] || '' : undefined;
  if (!units.includes(unit)) throw new ColorError(`not a number here: ${text}`);
  return unit === '%' ? (parseFloat(text) / 100) * whole : parseFloat(text);
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/** The hexadecimal text: "#rrggbb", or "#rrggbbaa" where it is not opaque. */
function toHex({ r, g, b, a = 1 }) {
  const parts = a < 1 ? [r, g, b, a * 255] : [r, g, b];
  return `#${parts.map((part) => Math.round(part).toString(16).padStart(2, '0')).join('')}`;
}

/** The functional text: "rgb(1, 2, 3)" or "rgba(1, 2, 3, 0.5)", with at most three decimals. */
function toRgb({ r, g, b, a = 1 }) {
  const whole = [r, g, b].map(Math.round).join(', ');
  return a < 1 ? `rgba(${whole}, ${Math.round(a * 1000) / 1000})` : `rgb(${whole})`;
}

module.exports = { ColorError, parse, toHex, toRgb };
