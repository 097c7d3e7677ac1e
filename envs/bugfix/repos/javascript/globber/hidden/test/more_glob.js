'use strict';

const { expect } = require('chai');
const { Ignore, PatternError, base, compileSegment, expand, filter, match } = require('../src');

describe('more matches', () => {
  const cases = [
    ['', '', true], ['a', '', false], ['*', '', true], ['?', '', false], ['**', 'a/b', true], ['**', '', true], ['a*b*c', 'aXbYbZc', true],
    ['a*b*c', 'aXbYbZ', false], ['*ab', 'aab', true], ['*aab', 'aaab', true], ['a**b', 'axxb', true], ['a**b', 'a/b', false], ['*a*', 'bab', true],
    ['[]]', ']', true], ['[!]]', ']', false], ['[]a]x', 'ax', true], ['[a-]', '-', true], ['[-a]', '-', true], ['[a-c-e]', '-', true],
    ['[a-c-e]', 'd', false], ['[a-c]', 'a', true], ['[a-c]', 'c', true], ['[^a-c]', 'b', false], ['[^a-c]', 'd', true], ['[a!]', '!', true],
    ['[ab][cd]', 'bc', true], ['\\*', '*', true], ['\\*', 'a', false], ['\\[a]', '[a]', true], ['[*]', '*', true], ['[*]', 'a', false],
    ['a.c', 'abc', false], ['a/*/c', 'a/b/c', true], ['a/*/c', 'a/c', false], ['a/*/c', 'a/b/b/c', false], ['a/?', 'a/', false], ['a/*', 'a/', true],
    ['**/b/**/d', 'a/b/c/d', true], ['**/b/**/d', 'b/d', true], ['**/b/**/d', 'a/d', false], ['a/**/b', 'a/b', true], ['a/**/b', 'a/x/y/b', true],
    ['a/**/b', 'ab', false], ['**/*.js', 'x.js', true], ['**/a', 'b/a/c', false], ['a/**', 'a/b', true], ['/**/a', '/a', true],
    ['.*', 'x', false], ['*.x', '.x', false], ['?git', '.git', false], ['[.]git', '.git', false], ['\\.git', '.git', true], ['**/x', '.a/x', false],
    ['**/.x', 'a/.x', true], ['.a/*', '.a/x', true], ['a/**', 'a/.b', false], ['a/**/c', 'a/.b/c', false], ['a.*', 'a.', true],
    ['{a,b}/{c,d}', 'b/c', true], ['{a,b}/{c,d}', 'a/b', false], ['{*.js,x/**}', 'x/y/z', true], ['x{1..3}', 'x2', true], ['x{1..3}', 'x4', false],
    ['{a}', '{a}', true], ['{a', '{a', true], ['\\{a,b}', '{a,b}', true], ['A', 'a', false],
  ];
  for (const [pattern, path, want] of cases) {
    it(`${pattern} ${want ? 'matches' : 'does not match'} ${path}`, () => expect(match(pattern, path)).to.equal(want));
  }
  it('dots on demand', () => {
    expect(match('*', '.git', { dot: true })).to.equal(true);
    expect(match('**/x', '.a/x', { dot: true })).to.equal(true);
    expect(match('a/**', 'a/.b', { dot: true })).to.equal(true);
  });
  it('folds on demand', () => {
    expect(match('*.JS', 'a.js', { fold: true })).to.equal(true);
    expect(match('a', 'A', { fold: true })).to.equal(true);
  });
  it('is quick for many stars', () => expect(match(`${'a*'.repeat(30)}b`, 'a'.repeat(60))).to.equal(false));
});

describe('more of globber', () => {
  const expansions = [
    ['{a,b}{1,2}', ['a1', 'a2', 'b1', 'b2']], ['{,a}b', ['b', 'ab']], ['{a,}', ['a', '']], ['{3..1}', ['3', '2', '1']], ['{2..2}', ['2']],
    ['{08..11}', ['08', '09', '10', '11']], ['{1..03}', ['01', '02', '03']], ['{-1..1}', ['-1', '0', '1']], ['{-01..1}', ['-01', '000', '001']],
    ['{9..10}', ['9', '10']], ['{0..1}', ['0', '1']], ['{a}{b,c}', ['{a}b', '{a}c']], ['{a{b,c}', ['{ab', '{ac']], ['{a,{b,c}}d', ['ad', 'bd', 'cd']],
    ['\\{a,b}', ['\\{a,b}']], ['{a\\,b,c}', ['a\\,b', 'c']], ['{a,b\\}}', ['a', 'b\\}']], ['a}b{c,d}', ['a}bc', 'a}bd']], ['', ['']], ['{}', ['{}']], ['{a..c}', ['{a..c}']],
    ['{{a,b}}', ['{a}', '{b}']], ['{a\\},b}', ['a\\}', 'b']],
  ];
  for (const [text, want] of expansions) it(`expands "${text}"`, () => expect(expand(text)).to.deep.equal(want));
  it('refuses bad patterns', () => {
    expect(() => match('a\\', 'a')).to.throw(PatternError, 'a lone backslash at the end in "a\\\\"');
    expect(() => match('[z-a]', 'a')).to.throw(PatternError, 'the range z-a is backwards');
    expect(() => match('[', 'a')).to.throw(PatternError, 'a class without end');
    expect(() => match('[]', 'a')).to.throw(PatternError);
    expect(() => match('[a-', 'a')).to.throw(PatternError);
    expect(() => match('x/[!', 'a')).to.throw(PatternError);
  });
  it('compiles to steps', () => expect(compileSegment('a**?[!b-c]')).to.deep.equal([
    { kind: 'text', text: 'a' }, { kind: 'any' }, { kind: 'one' }, { kind: 'class', members: [['b', 'c']], negated: true },
  ]));
  it('filters by any pattern', () => expect(filter(['a', 'b'], ['b', 'c', 'a'])).to.deep.equal(['b', 'a']));
  it('filters nothing in without patterns', () => expect(filter(['!a'], ['b'])).to.deep.equal([]));
  it('filters out by any refusal', () => expect(filter(['*', '!a', '!b'], ['a', 'b', 'c', '.d'])).to.deep.equal(['c']));
  it('filters with options', () => expect(filter(['*', '!X'], ['.a', 'x'], { dot: true, fold: true })).to.deep.equal(['.a']));
  for (const [pattern, want] of [['*.js', ''], ['a/b.js', 'a'], ['a/b?/c', 'a'], ['a/b/{c,d}/e', 'a/b'], ['x', ''], ['a/[b]/c', 'a'], ['a/\\b/c', 'a'], ['/a/*', '/a']]) {
    it(`knows the base of ${pattern}`, () => expect(base(pattern)).to.equal(want));
  }
});

describe('more of ignoring', () => {
  const cases = [
    ['/a', 'a', true], ['/a', 'b/a', false], ['a/b', 'a/b', true], ['a/b', 'x/a/b', false], ['a', 'x/a/y', true], ['a/', 'x/a/y', true], ['a/', 'x/a', false],
    ['a/', 'x/a/', true], ['a/b/', 'a/b/c', true], ['a/b/', 'x/a/b/c', false], ['# a', '# a', false], ['\\#a', '#a', true], ['\\!a', '!a', true], ['', 'a', false],
    ['a  ', 'a', true], ['a\\ ', 'a ', true], ['!a', 'a', false], ['*.x', '.x', true], ['*', '.git/y', true], ['a\n!a\na', 'a', true], ['*\n!b', 'b', false],
    ['a/\n!a/b', 'a/b', true], ['a/*\n!a/b', 'a/b', false], ['a/*\n!a/b', 'a/c', true], ['a/**\n!a/b/', 'a/b/', false], ['a\r\nb\r\n', 'b', true], ['**/z', 'q/z', true],
    ['!a/\na', 'a/', true], ['a\n!a/', 'a/', false], ['a\n!a/', 'a', true], ['foo', 'foobar', false], ['doc/*.txt', 'doc/a/b.txt', false],
  ];
  for (const [text, path, want] of cases) {
    it(`${JSON.stringify(text)} ${want ? 'ignores' : 'leaves'} "${path}"`, () => expect(new Ignore(text).ignores(path)).to.equal(want));
  }
  it('adds rules', () => expect(new Ignore('a').add('!a').ignores('a')).to.equal(false));
  it('adds nothing of a bad text', () => {
    const ignore = new Ignore('a');
    expect(() => ignore.add('b\n[')).to.throw(PatternError);
    expect(ignore.ignores('b')).to.equal(false);
  });
});
