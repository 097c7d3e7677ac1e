'use strict';

const { expand } = require('./braces');
const { compileSegment, matchSegment } = require('./segment');

const GLOBSTAR = Symbol('**');

function compile(pattern) {
  return expand(pattern).map((one) => one.split('/').map((part) => (part === '**' ? GLOBSTAR : compileSegment(part))));
}

function matchParts(parts, segments, options) {
  if (parts.length === 0) return segments.length === 0;
  if (parts[0] !== GLOBSTAR) {
    return segments.length > 0
      && matchSegment(parts[0], segments[0], options)
      && matchParts(parts.slice(1), segments.slice(1), options);
  }
  for (let skipped = 0; skipped <= segments.length; skipped += 1) {
    if (matchParts(parts.slice(1), segments.slice(skipped), options)) return true;
    if (skipped < segments.length && segments[skipped].startsWith('.') && !options.dot) return false;
  }
  return false;
}

/**
 * A function that tells whether a path matches a pattern. "**" as a whole segment stands for any number of segments, also
 * none, but at the end of a pattern for one at least. Options: `dot` (wildcards match names that begin with a dot), `fold`
 * (upper and lower case are the same). Throws PatternError.
 */
function matcher(pattern, options = {}) {
  const fold = (text) => (options.fold ? text.toLowerCase() : text);
  const compiled = compile(fold(pattern)).map((parts) => (
    parts[parts.length - 1] === GLOBSTAR ? [...parts, compileSegment('*')] : parts
  ));
  return (path) => {
    const segments = fold(path).split('/');
    return compiled.some((parts) => matchParts(parts, segments, options));
  };
}

/** Whether a path matches a pattern. */
function match(pattern, path, options) {
  return matcher(pattern, options)(path);
}

/** The paths that match at least one of the patterns and none that begins with "!", in their order. */
function filter(patterns, paths, options) {
  const wanted = patterns.filter((pattern) => !pattern.startsWith('!')).map((pattern) => matcher(pattern, options));
  const refused = patterns.filter((pattern) => pattern.startsWith('!')).map((pattern) => matcher(pattern.slice(1), options));
  return paths.filter((path) => wanted.some((test) => test(path)) && !refused.some((test) => test(path)));
}

/** The folder part of a pattern that has no wildcard in it: "src/lib" of "src/lib/*.js". */
function base(pattern) {
  const parts = pattern.split('/');
  const wild = parts.findIndex((part) => /[*?[{\\]/.test(part));
  return (wild < 0 ? parts.slice(0, -1) : parts.slice(0, wild)).join('/');
}

module.exports = { matcher, match, filter, base };
