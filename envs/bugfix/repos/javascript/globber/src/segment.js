'use strict';

/** Thrown for a pattern that cannot be read. */
class PatternError extends Error {
  constructor(message, pattern) {
    super(`${message} in ${JSON.stringify(pattern)}`);
    this.name = 'PatternError';
  }
}

/** A class "[...]" that begins at `at`: [members, negated, offset after it]. A "]" that comes first is a member. */
function readClass(pattern, at) {
  let next = at + 1;
  const negated = pattern[next] === '!' || pattern[next] === '^';
  if (negated) next += 1;
  const members = [];
  for (let first = true; first || pattern[next] !== ']'; first = false) {
    if (next >= pattern.length) throw new PatternError('a class without end', pattern);
    const low = pattern[next];
    const ranged = pattern[next + 1] === '-' && pattern[next + 2] !== ']' && next + 2 < pattern.length;
    const high = ranged ? pattern[next + 2] : low;
    if (high < low) throw new PatternError(`the range ${low}-${high} is backwards`, pattern);
    members.push([low, high]);
    next += ranged ? 3 : 1;
  }
  return [members, negated, next + 1];
}

/**
 * The steps of a pattern for one segment of a path (it has no "/"): {kind: 'any'} for "*", {kind: 'one'} for "?", {kind: 'class',
 * members, negated} and {kind: 'text', text} for one character; a backslash makes the next character plain. Several "*" in a
 * row are one. Throws PatternError.
 */
function compileSegment(pattern) {
  const steps = [];
  for (let at = 0; at < pattern.length;) {
    const character = pattern[at];
    if (character === '[') {
      const [members, negated, next] = readClass(pattern, at);
      steps.push({ kind: 'class', members, negated });
      at = next;
      continue;
    }
    if (character === '*') {
      if (steps.length === 0 || steps[steps.length - 1].kind !== 'any') steps.push({ kind: 'any' });
    } else if (character === '?') {
      steps.push({ kind: 'one' });
    } else {
      if (character === '\\') {
        at += 1;
        if (at === pattern.length) throw new PatternError('a lone backslash at the end', pattern);
      }
      steps.push({ kind: 'text', text: pattern[at] });
    }
    at += 1;
  }
  return steps;
}

function accepts(step, character) {
  switch (step.kind) {
    case 'text': return step.text === character;
    case 'class': return step.members.some(([low, high]) => low <= character && character <= high) !== step.negated;
    default: return true;
  }
}

/** Whether steps match a whole text, in time proportional to the product of their lengths. */
function matchSteps(steps, text) {
  let step = 0;
  let star = -1;
  let resume = 0;
  for (let at = 0; at < text.length;) {
    if (step < steps.length && steps[step].kind === 'any') {
      star = step;
      resume = at;
      step += 1;
    } else if (step < steps.length && accepts(steps[step], text[at])) {
      step += 1;
      at += 1;
    } else if (star >= 0) {
      resume += 1;
      at = resume;
      step = star + 1;
    } else {
      return false;
    }
  }
  while (step < steps.length && steps[step].kind === 'any') step += 1;
  return step === steps.length;
}

/** Whether a segment may be matched: a name that begins with a dot only if the pattern begins with a plain dot. */
function matchSegment(steps, text, { dot = false } = {}) {
  const plainDot = steps.length > 0 && steps[0].kind === 'text' && steps[0].text === '.';
  if (text.startsWith('.') && !dot && !plainDot) return false;
  return matchSteps(steps, text);
}

module.exports = { PatternError, compileSegment, matchSegment };
