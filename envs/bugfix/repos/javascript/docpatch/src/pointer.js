'use strict';

const { clone, isContainer, put } = require('./values');

/** Thrown where a pointer leads nowhere; `pointer` is the part that could not be followed. */
class PointerError extends Error {
  constructor(message, pointer) {
    super(`${message}: ${JSON.stringify(pointer)}`);
    this.name = 'PointerError';
    this.pointer = pointer;
  }
}

/**
 * The unescaped tokens of a pointer: '' has none, '/' has the one empty token. Throws SyntaxError where a pointer does
 * not begin with '/' or has a '~' that is followed by neither 0 nor 1.
 */
function parse(pointer) {
  if (pointer === '') return [];
  if (pointer[0] !== '/') throw new SyntaxError(`a pointer begins with "/": ${JSON.stringify(pointer)}`);
  if (/~(?![01])/.test(pointer)) throw new SyntaxError(`"~" is neither "~0" nor "~1" in ${JSON.stringify(pointer)}`);
  return pointer.slice(1).split('/').map((token) => token.replace(/~1/g, '/').replace(/~0/g, '~'));
}

/** The pointer made of tokens; numbers are taken as their digits. The inverse of `parse`. */
function format(tokens) {
  return tokens.map((token) => `/${String(token).replace(/~/g, '~0').replace(/\//g, '~1')}`).join('');
}

/** Whether `inner` points at something inside what `outer` points at; a pointer is not inside itself. */
function isInside(inner, outer) {
  const path = parse(inner);
  const prefix = parse(outer);
  return path.length > prefix.length && prefix.every((token, index) => token === path[index]);
}

/**
 * The index that a token means in an array of this length: digits without a leading zero, less than the length.
 * With `growing`, the length itself is an index too, and '-' means it. Otherwise -1.
 */
function arrayIndex(token, length, growing = false) {
  if (growing && token === '-') return length;
  if (!/^(0|[1-9][0-9]*)$/.test(token)) return -1;
  const index = Number(token);
  return index < length || (growing && index === length) ? index : -1;
}

function hasMember(container, token) {
  if (Array.isArray(container)) return arrayIndex(token, container.length) >= 0;
  return isContainer(container) && Object.hasOwn(container, token);
}

/** The value that tokens lead to, without a copy. Throws PointerError. */
function follow(document, tokens) {
  return tokens.reduce((at, token, index) => {
    if (!hasMember(at, token)) throw new PointerError('nothing is at', format(tokens.slice(0, index + 1)));
    return at[token];
  }, document);
}

/** Whether a pointer leads to something. Throws SyntaxError. */
function has(document, pointer) {
  let at = document;
  for (const token of parse(pointer)) {
    if (!hasMember(at, token)) return false;
    at = at[token];
  }
  return true;
}

/** The value at a pointer, or `fallback` where nothing is. Throws SyntaxError, and PointerError without a fallback. */
function get(document, pointer, ...fallback) {
  if (fallback.length > 0 && !has(document, pointer)) return fallback[0];
  return follow(document, parse(pointer));
}

/** Change a document in place, or give a new one where the pointer is the whole document. See `add`. */
function insert(document, pointer, value) {
  const tokens = parse(pointer);
  if (tokens.length === 0) return value;
  const last = tokens.pop();
  const parent = follow(document, tokens);
  if (!isContainer(parent)) throw new PointerError('no array and no object is at', format(tokens));
  if (Array.isArray(parent)) {
    const index = arrayIndex(last, parent.length, true);
    if (index < 0) throw new PointerError('no place in the array for', pointer);
    parent.splice(index, 0, value);
  } else {
    put(parent, last, value);
  }
  return document;
}

/** Take a value out of a document in place. Returns [document without it, the value]; without the root, it is null. */
function extract(document, pointer) {
  const tokens = parse(pointer);
  const value = follow(document, tokens);
  if (tokens.length === 0) return [null, value];
  const last = tokens.pop();
  const parent = follow(document, tokens);
  if (Array.isArray(parent)) parent.splice(Number(last), 1);
  else delete parent[last];
  return [document, value];
}

/**
 * A copy of a document with a value added: a member of an object is set or replaced, an array grows at the index
 * ('-' or its length: at the end). The parent must exist. Throws SyntaxError, PointerError.
 */
function add(document, pointer, value) {
  return insert(clone(document), pointer, clone(value));
}

/**
 * A copy of a document with a value set: like `add`, but an item of an array that exists is replaced, and parents that
 * are missing are made as objects. Throws SyntaxError, PointerError.
 */
function set(document, pointer, value) {
  const tokens = parse(pointer);
  let copy = clone(document);
  for (let depth = 1; depth < tokens.length; depth += 1) {
    const parent = format(tokens.slice(0, depth));
    if (!has(copy, parent)) copy = insert(copy, parent, {});
  }
  if (has(copy, pointer)) [copy] = extract(copy, pointer);
  return insert(copy, pointer, clone(value));
}

/** A copy of a document without the value at a pointer. Throws SyntaxError, PointerError. */
function remove(document, pointer) {
  return extract(clone(document), pointer)[0];
}

/** The pointers of all values in a document that have no members, in their order; an empty container is one of them. */
function leaves(document) {
  const found = [];
  const visit = (value, tokens) => {
    const keys = isContainer(value) ? Object.keys(value) : [];
    if (keys.length === 0) found.push(format(tokens));
    keys.forEach((key) => visit(value[key], [...tokens, key]));
  };
  visit(document, []);
  return found;
}

module.exports = { PointerError, parse, format, isInside, has, get, add, set, remove, leaves, insert, extract };
