'use strict';

/**
 * Which of the six kinds of JSON a value is: 'null', 'boolean', 'number', 'string', 'array' or 'object'.
 * Throws TypeError for anything else (functions, undefined, NaN and the infinities).
 */
function kind(value) {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  const type = typeof value;
  if (type === 'number' && !Number.isFinite(value)) throw new TypeError(`${value} is not JSON`);
  if (type === 'boolean' || type === 'number' || type === 'string' || type === 'object') return type;
  throw new TypeError(`a value of type ${type} is not JSON`);
}

/** Whether a value is an array or an object, and so can have members. */
function isContainer(value) {
  return typeof value === 'object' && value !== null;
}

/** A deep copy. */
function clone(value) {
  switch (kind(value)) {
    case 'array':
      return value.map(clone);
    case 'object':
      return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, clone(member)]));
    default:
      return value;
  }
}

/** Set a member of an object in place; a member of the name __proto__ is one like any other. */
function put(object, key, value) {
  Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
}

/** Whether two JSON values say the same; the order of an object's members does not matter, that of an array does. */
function equal(left, right) {
  const type = kind(left);
  if (type !== kind(right)) return false;
  if (type === 'array') {
    return left.length === right.length && left.every((item, index) => equal(item, right[index]));
  }
  if (type === 'object') {
    const keys = Object.keys(left);
    return keys.length === Object.keys(right).length
      && keys.every((key) => Object.hasOwn(right, key) && equal(left[key], right[key]));
  }
  return left === right;
}

/** The number of values in a document: itself and everything inside. */
function size(value) {
  if (!isContainer(value)) return 1;
  return Object.values(value).reduce((sum, member) => sum + size(member), 1);
}

module.exports = { kind, isContainer, clone, put, equal, size };
