'use strict';

const { clone, equal, kind, put } = require('./values');

/**
 * A copy of a document after a merge patch (RFC 7386): objects are merged, members that are null in the patch are taken
 * out, anything else replaces what was there.
 */
function merge(document, patch) {
  if (kind(patch) !== 'object') return clone(patch);
  const merged = kind(document) === 'object' ? clone(document) : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key];
    else put(merged, key, merge(Object.hasOwn(merged, key) ? merged[key] : null, value));
  }
  return merged;
}

/**
 * The smallest merge patch that leads from one document to another. Throws RangeError where there is none, because a
 * null would have to be put into an object.
 */
function mergeDiff(before, after) {
  if (kind(before) !== 'object' || kind(after) !== 'object') {
    refuseNulls(after);
    return clone(after);
  }
  const patch = {};
  for (const key of Object.keys(before)) {
    if (!Object.hasOwn(after, key)) patch[key] = null;
  }
  for (const [key, value] of Object.entries(after)) {
    const old = Object.hasOwn(before, key);
    if (old && equal(before[key], value)) continue;
    if (value === null) throw new RangeError(`a merge patch cannot set ${JSON.stringify(key)} to null`);
    put(patch, key, mergeDiff(old ? before[key] : null, value));
  }
  return patch;
}

function refuseNulls(value) {
  if (kind(value) !== 'object') return;
  for (const [key, member] of Object.entries(value)) {
    if (member === null) throw new RangeError(`a merge patch cannot set ${JSON.stringify(key)} to null`);
    refuseNulls(member);
  }
}

module.exports = { merge, mergeDiff };
