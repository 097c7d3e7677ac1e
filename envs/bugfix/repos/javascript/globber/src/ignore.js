'use strict';

const { matcher } = require('./glob');

/** A rule from one line of an ignore file, or null for a blank line or a comment. */
function readRule(line) {
  let pattern = line.replace(/(\\ )?\s*$/, (_, kept) => kept ?? '');
  if (pattern === '' || pattern.startsWith('#')) return null;
  const negated = pattern.startsWith('!');
  if (negated) pattern = pattern.slice(1);
  const folder = pattern.endsWith('/');
  if (folder) pattern = pattern.slice(0, -1);
  const rooted = pattern.includes('/');
  if (pattern.startsWith('/')) pattern = pattern.slice(1);
  return { negated, folder, test: matcher(rooted ? pattern : `**/${pattern}`, { dot: true }) };
}

/**
 * Ignore rules, one a line, of which the last that matches decides. "#" begins a comment; "!" takes back; a pattern with a "/"
 * before its end is rooted, others match at any depth; one that ends with "/" matches folders only. What lies in an
 * ignored folder is ignored, whatever later rules say of it.
 */
class Ignore {
  constructor(text = '') {
    this.rules = [];
    this.add(text);
  }

  /** Add lines after those that are there. Throws PatternError, and nothing is added. */
  add(text) {
    this.rules.push(...text.split(/\r?\n/).map(readRule).filter((rule) => rule !== null));
    return this;
  }

  /** Whether a path is ignored; a path that ends with "/" is a folder. */
  ignores(path) {
    const parts = path.replace(/\/$/, '').split('/');
    for (let depth = 1; depth < parts.length; depth += 1) {
      if (this.#decides(parts.slice(0, depth).join('/'), true)) return true;
    }
    return this.#decides(parts.join('/'), path.endsWith('/'));
  }

  #decides(path, isFolder) {
    const last = this.rules.filter((rule) => (isFolder || !rule.folder) && rule.test(path)).pop();
    return last !== undefined && !last.negated;
  }
}

module.exports = { Ignore };
