'use strict';

const { clone, equal } = require('./values');
const { extract, format, get, has, insert, isInside, parse } = require('./pointer');

/** Thrown where a patch cannot be applied; `index` is that of the operation, `operation` the operation itself. */
class PatchError extends Error {
  constructor(message, index, operation) {
    super(`operation ${index}: ${message}`);
    this.name = 'PatchError';
    this.index = index;
    this.operation = operation;
  }
}

const NEEDS = {
  add: ['path', 'value'],
  remove: ['path'],
  replace: ['path', 'value'],
  move: ['path', 'from'],
  copy: ['path', 'from'],
  test: ['path', 'value'],
};

const STEPS = {
  add: (document, { path, value }) => insert(document, path, clone(value)),
  remove: (document, { path }) => extract(document, path)[0],
  replace(document, { path, value }) {
    const [rest] = extract(document, path);
    return insert(rest, path, clone(value));
  },
  move(document, { from, path }) {
    if (isInside(path, from)) throw new Error(`cannot move ${from} into itself`);
    const [rest, value] = extract(document, from);
    return insert(rest, path, value);
  },
  copy: (document, { from, path }) => insert(document, path, clone(get(document, from))),
  test(document, { path, value }) {
    if (!equal(get(document, path), value)) throw new Error(`the value at ${JSON.stringify(path)} is another`);
    return document;
  },
};

function check(operation) {
  if (!Object.hasOwn(NEEDS, operation.op)) throw new Error(`unknown op ${JSON.stringify(operation.op)}`);
  const lacking = NEEDS[operation.op].find((key) => operation[key] === undefined);
  if (lacking !== undefined) throw new Error(`${operation.op} needs ${lacking}`);
}

/**
 * A copy of a document after all operations of a patch, in order; the document itself stays as it is, and so does the
 * patch. Throws PatchError for the first operation that is malformed or fails.
 */
function apply(document, patch) {
  let copy = clone(document);
  patch.forEach((operation, index) => {
    try {
      check(operation);
      copy = STEPS[operation.op](copy, operation);
    } catch (error) {
      throw new PatchError(error.message, index, operation);
    }
  });
  return copy;
}

/** Whether every operation of a patch can be applied to a document. */
function applies(document, patch) {
  try {
    apply(document, patch);
    return true;
  } catch (error) {
    if (error instanceof PatchError) return false;
    throw error;
  }
}

/** What `add` at a path did to a document, undone: the member is removed, or has its old value again. */
function undoAdd(document, path) {
  const tokens = parse(path);
  const last = tokens.pop();
  const parent = last === undefined ? null : get(document, format(tokens));
  if (Array.isArray(parent)) {
    return [{ op: 'remove', path: format([...tokens, last === '-' ? parent.length : last]) }];
  }
  if (has(document, path)) return [{ op: 'replace', path, value: clone(get(document, path)) }];
  return [{ op: 'remove', path }];
}

function undoStep(document, operation) {
  const { op, path, from } = operation;
  switch (op) {
    case 'add':
    case 'copy':
      return undoAdd(document, path);
    case 'remove':
      return [{ op: path === '' ? 'replace' : 'add', path, value: clone(get(document, path)) }];
    case 'replace':
      return [{ op: 'replace', path, value: clone(get(document, path)) }];
    case 'move': {
      const value = clone(get(document, from));
      const rest = apply(document, [{ op: 'remove', path: from }]);
      return [...undoAdd(rest, path), { op: from === '' ? 'replace' : 'add', path: from, value }];
    }
    default:
      return [];
  }
}

/**
 * The patch that leads back: for every document to which `patch` applies, applying the patch and then its inverse gives
 * an equal document. Throws PatchError.
 */
function invert(document, patch) {
  let at = document;
  const undone = [];
  patch.forEach((operation, index) => {
    let next;
    try {
      next = apply(at, [operation]);
    } catch (error) {
      throw new PatchError(error.message.replace(/^operation 0: /, ''), index, operation);
    }
    undone.unshift(...undoStep(at, operation));
    at = next;
  });
  return undone;
}

module.exports = { PatchError, apply, applies, invert };
