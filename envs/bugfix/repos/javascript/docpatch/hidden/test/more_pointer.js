'use strict';

const { expect } = require('chai');
const { PointerError, add, clone, equal, format, get, has, isInside, kind, leaves, parse, remove, set, size } = require('../src');

describe('more of pointers', () => {
  it('unescapes in the right order', () => expect(parse('/~01')).to.deep.equal(['~1']));
  it('escapes in the right order', () => expect(format(['~1', '/0'])).to.equal('/~01/~10'));
  it('escapes every one', () => expect(format(['a/b/c~~'])).to.equal('/a~1b~1c~0~0'));
  it('unescapes every one', () => expect(parse('/~1~1~0~0')).to.deep.equal(['//~~']));
  it('takes a lone slash for an empty token', () => expect(parse('/')).to.deep.equal(['']));
  it('takes a last slash for an empty token', () => expect(parse('/a/')).to.deep.equal(['a', '']));
  it('refuses a lone tilde', () => {
    expect(() => parse('/a~')).to.throw(SyntaxError);
    expect(() => parse('/a~2b')).to.throw(SyntaxError);
  });
  it('takes no index with a leading zero', () => {
    expect(has([1, 2], '/01')).to.equal(false);
    expect(has([1, 2], '/0')).to.equal(true);
    expect(has([1, 2], '/00')).to.equal(false);
  });
  it('takes no index past the end', () => {
    expect(has([1, 2], '/1')).to.equal(true);
    expect(has([1, 2], '/2')).to.equal(false);
    expect(has([1, 2], '/-')).to.equal(false);
    expect(has([1, 2], '/length')).to.equal(false);
  });
  it('takes indexes of several digits', () => expect(get([...Array(12).keys()], '/11')).to.equal(11));
  it('takes digits for names in objects', () => expect(get({ '01': 'x' }, '/01')).to.equal('x'));
  it('does not see what objects inherit', () => {
    expect(has({}, '/toString')).to.equal(false);
    expect(has('text', '/length')).to.equal(false);
  });
  it('does not follow past a value', () => expect(has({ a: 1 }, '/a/b')).to.equal(false));
  it('finds null', () => {
    expect(has({ a: null }, '/a')).to.equal(true);
    expect(get({ a: null }, '/a', 'none')).to.equal(null);
    expect(has({ a: null }, '/a/b')).to.equal(false);
  });
  it('gives undefined as a fallback', () => expect(get({}, '/a', undefined)).to.equal(undefined));
  it('names the part that leads nowhere', () => {
    expect(() => get({ a: { b: 1 } }, '/a/x/y')).to.throw(PointerError).with.property('pointer', '/a/x');
  });
  it('gets the whole document', () => expect(get([1], '')).to.deep.equal([1]));
  it('adds at the end by index', () => expect(add([1], '/1', 2)).to.deep.equal([1, 2]));
  it('adds no further', () => {
    expect(() => add([1], '/2', 2)).to.throw(PointerError);
    expect(() => add([1], '/x', 2)).to.throw(PointerError);
  });
  it('adds at the start', () => expect(add([2], '/0', 1)).to.deep.equal([1, 2]));
  it('replaces a member of an object by adding', () => expect(add({ a: 1 }, '/a', 2)).to.deep.equal({ a: 2 }));
  it('adds in place of the whole document', () => expect(add({ a: 1 }, '', [2])).to.deep.equal([2]));
  it('adds only where the parent is', () => {
    expect(() => add({}, '/a/b', 1)).to.throw(PointerError);
    expect(() => add({ a: 'text' }, '/a/0', 1)).to.throw(PointerError, 'no array');
  });
  it('adds a member of the name __proto__', () => {
    const made = add({}, '/__proto__', 1);
    expect(Object.keys(made)).to.deep.equal(['__proto__']);
  });
  it('adds a copy of the value', () => {
    const value = [1];
    const made = add({}, '/a', value);
    value.push(2);
    expect(made).to.deep.equal({ a: [1] });
  });
  it('sets an item of an array in its place', () => expect(set([1, 2, 3], '/1', 9)).to.deep.equal([1, 9, 3]));
  it('sets at the end of an array', () => expect(set({ a: [1] }, '/a/-', 2)).to.deep.equal({ a: [1, 2] }));
  it('sets the whole document', () => expect(set({ a: 1 }, '', 5)).to.equal(5));
  it('sets below what exists', () => expect(set({ a: { b: 1 } }, '/a/c/d', 2)).to.deep.equal({ a: { b: 1, c: { d: 2 } } }));
  it('does not set inside a text', () => expect(() => set({ a: 'x' }, '/a/b', 1)).to.throw(PointerError));
  it('sets without touching the original', () => {
    const document = { a: { b: 1 } };
    set(document, '/a/c', 2);
    expect(document).to.deep.equal({ a: { b: 1 } });
  });
  it('removes members', () => expect(remove({ a: 1, b: 2 }, '/a')).to.deep.equal({ b: 2 }));
  it('removes the whole document', () => expect(remove({ a: 1 }, '')).to.equal(null));
  it('removes only what is there', () => {
    expect(() => remove({ a: 1 }, '/b')).to.throw(PointerError);
    expect(() => remove([1], '/-')).to.throw(PointerError);
  });
  it('is not inside itself', () => {
    expect(isInside('/a', '/a')).to.equal(false);
    expect(isInside('/a', '')).to.equal(true);
    expect(isInside('/a', '/a/b')).to.equal(false);
    expect(isInside('/x/b/c', '/a/b')).to.equal(false);
  });
  it('lists the leaf of a document without members', () => {
    expect(leaves(1)).to.deep.equal(['']);
    expect(leaves({})).to.deep.equal(['']);
    expect(leaves({ 'a/b': null, c: { d: {} } })).to.deep.equal(['/a~1b', '/c/d']);
  });
});

describe('values', () => {
  it('have kinds', () => {
    expect([null, [], {}, 0, '', false].map(kind)).to.deep.equal(['null', 'array', 'object', 'number', 'string', 'boolean']);
  });
  it('are JSON or refused', () => {
    expect(() => kind(undefined)).to.throw(TypeError);
    expect(() => kind(NaN)).to.throw(TypeError);
    expect(() => clone([() => 1])).to.throw(TypeError);
  });
  it('are equal in any order of members', () => {
    expect(equal({ a: 1, b: [1, { c: 2 }] }, { b: [1, { c: 2 }], a: 1 })).to.equal(true);
  });
  it('differ in the order of items', () => expect(equal([1, 2], [2, 1])).to.equal(false));
  it('differ in length', () => {
    expect(equal([1], [1, 2])).to.equal(false);
    expect(equal([1, 2], [1])).to.equal(false);
    expect(equal({ a: 1 }, { a: 1, b: 2 })).to.equal(false);
    expect(equal({ a: 1, b: 2 }, { a: 1 })).to.equal(false);
  });
  it('differ in names and kinds', () => {
    expect(equal({ a: 1 }, { b: 1 })).to.equal(false);
    expect(equal([], {})).to.equal(false);
    expect(equal(null, {})).to.equal(false);
    expect(equal(1, '1')).to.equal(false);
    expect(equal({}, { toString: 1 })).to.equal(false);
  });
  it('are cloned deeply', () => {
    const value = { a: [{ b: 1 }] };
    const copy = clone(value);
    copy.a[0].b = 2;
    expect(value.a[0].b).to.equal(1);
  });
  it('are counted', () => {
    expect(size(1)).to.equal(1);
    expect(size({ a: [1, 2], b: null })).to.equal(5);
    expect(size([])).to.equal(1);
  });
});
