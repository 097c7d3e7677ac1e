'use strict';

const { expect } = require('chai');
const { Ignore, PatternError, base, expand, filter, match } = require('../src');

describe('match', () => {
  const yes = [['*.js', 'a.js'], ['a?c', 'abc'], ['[a-c]x', 'bx'], ['[!a]x', 'bx'], ['src/**/*.js', 'src/a/b/c.js'],
    ['src/**/*.js', 'src/c.js'], ['{a,b}.txt', 'b.txt'], ['**/x', 'x'], ['a/**', 'a/b/c'], ['.*', '.git']];
  const no = [['*.js', 'a/b.js'], ['a?c', 'ac'], ['[a-c]x', 'dx'], ['[!a]x', 'ax'], ['*', '.git'], ['a/**', 'a'], ['*.js', 'a.jsx']];
  for (const [pattern, path] of yes) it(`${pattern} matches ${path}`, () => expect(match(pattern, path)).to.equal(true));
  for (const [pattern, path] of no) it(`${pattern} does not match ${path}`, () => expect(match(pattern, path)).to.equal(false));
});

describe('globber', () => {
  it('expands braces', () => expect(expand('a{b,c{1..2}}d')).to.deep.equal(['abd', 'ac1d', 'ac2d']));
  it('refuses open classes', () => expect(() => match('[ab', 'a')).to.throw(PatternError));
  it('filters', () => expect(filter(['**/*.js', '!**/x*'], ['a.js', 'b/x.js', 'c.ts'])).to.deep.equal(['a.js']));
  it('knows the base', () => expect(base('src/lib/*.js')).to.equal('src/lib'));
  it('ignores at any depth', () => expect(new Ignore('*.log').ignores('a/b.log')).to.equal(true));
  it('takes back', () => expect(new Ignore('*.log\n!keep.log').ignores('a/keep.log')).to.equal(false));
  it('ignores folders', () => {
    const ignore = new Ignore('build/');
    expect(ignore.ignores('build/x')).to.equal(true);
    expect(ignore.ignores('build')).to.equal(false);
  });
});
