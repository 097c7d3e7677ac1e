'use strict';

const { equal, kind, clone } = require('./values');
const { format } = require('./pointer');

function diffObjects(before, after, tokens) {
  const operations = [];
  for (const key of Object.keys(before)) {
    const path = [...tokens, key];
    if (Object.hasOwn(after, key)) operations.push(...diffValues(before[key], after[key], path));
    else operations.push({ op: 'remove', path: format(path) });
  }
  for (const key of Object.keys(after)) {
    if (!Object.hasOwn(before, key)) {
      operations.push({ op: 'add', path: format([...tokens, key]), value: clone(after[key]) });
    }
  }
  return operations;
}

/** How many items two arrays have in common at the start, and after that at the end. */
function commonEnds(before, after) {
  const shorter = Math.min(before.length, after.length);
  let head = 0;
  while (head < shorter && equal(before[head], after[head])) head += 1;
  let tail = 0;
  while (tail < shorter - head && equal(before[before.length - 1 - tail], after[after.length - 1 - tail])) tail += 1;
  return [head, tail];
}

function diffArrays(before, after, tokens) {
  const [head, tail] = commonEnds(before, after);
  const oldEnd = before.length - tail;
  const newEnd = after.length - tail;
  const operations = [];
  let index = head;
  for (; index < oldEnd && index < newEnd; index += 1) {
    operations.push(...diffValues(before[index], after[index], [...tokens, index]));
  }
  for (let last = oldEnd - 1; last >= index; last -= 1) {
    operations.push({ op: 'remove', path: format([...tokens, last]) });
  }
  for (; index < newEnd; index += 1) {
    operations.push({ op: 'add', path: format([...tokens, index]), value: clone(after[index]) });
  }
  return operations;
}

function diffValues(before, after, tokens) {
  if (equal(before, after)) return [];
  const type = kind(before);
  if (type === kind(after)) {
    if (type === 'object') return diffObjects(before, after, tokens);
    if (type === 'array') return diffArrays(before, after, tokens);
  }
  return [{ op: 'replace', path: format(tokens), value: clone(after) }];
}

/**
 * A patch that leads from one document to another: empty for equal ones. Members of objects are compared one by one; of
 * arrays what is common at the start and at the end is left alone, and what lies between is compared item by item.
 */
function diff(before, after) {
  return diffValues(before, after, []);
}

module.exports = { diff };
