'use strict';

/** The offset of the brace that closes the one at `open`, or -1. A backslash hides the character after it. */
function closing(text, open) {
  let depth = 0;
  for (let at = open; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === '{') depth += 1;
    else if (text[at] === '}') {
      depth -= 1;
      if (depth === 0) return at;
    }
  }
  return -1;
}

/** Split at the commas that are inside no brace. */
function alternatives(text) {
  const found = [];
  let start = 0;
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === '{') depth += 1;
    else if (text[at] === '}') depth -= 1;
    else if (text[at] === ',' && depth === 0) {
      found.push(text.slice(start, at));
      start = at + 1;
    }
  }
  return [...found, text.slice(start)];
}

/** The numbers of a range such as "1..5", "5..1" or "01..10" (padded to the longer of both), or null. */
function range(text) {
  const parts = /^(-?\d+)\.\.(-?\d+)$/.exec(text);
  if (parts === null) return null;
  const [first, last] = [Number(parts[1]), Number(parts[2])];
  const padded = parts.slice(1).some((part) => /^-?0\d/.test(part));
  const width = padded ? Math.max(parts[1].length, parts[2].length) : 0;
  const step = first <= last ? 1 : -1;
  return Array.from({ length: Math.abs(last - first) + 1 }, (_, index) => {
    const number = first + step * index;
    const sign = number < 0 ? '-' : '';
    return sign + String(Math.abs(number)).padStart(width - sign.length, '0');
  });
}

/**
 * All texts that a text with braces stands for, in order: "a{b,c{1..2}}" is ab, ac1, ac2. Braces that are not closed, or have
 * neither a comma nor a range inside, stand for themselves. Backslashes stay.
 */
function expand(text) {
  for (let open = 0; open < text.length; open += 1) {
    if (text[open] === '\\') open += 1;
    else if (text[open] === '{') {
      const close = closing(text, open);
      if (close < 0) continue;
      const inner = text.slice(open + 1, close);
      const parts = alternatives(inner);
      const choices = parts.length > 1 ? parts.flatMap(expand) : range(inner);
      if (choices === null) continue;
      const rests = expand(text.slice(close + 1));
      return choices.flatMap((choice) => rests.map((rest) => text.slice(0, open) + choice + rest));
    }
  }
  return [text];
}

module.exports = { expand };
