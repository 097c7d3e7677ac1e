'use strict';

const { expect } = require('chai');
const { PointerError, add, format, get, has, isInside, leaves, parse, remove, set } = require('../src');

const SHOP = { name: 'corner', items: [{ id: 1, tags: ['a', 'b'] }, { id: 2, tags: [] }], 'a/b': 1, 'm~n': 2, '': 3 };

describe('pointer', () => {
  it('parses tokens', () => expect(parse('/items/0/id')).to.deep.equal(['items', '0', 'id']));
  it('has no tokens for the whole document', () => expect(parse('')).to.deep.equal([]));
  it('unescapes slashes and tildes', () => expect(parse('/a~1b/m~0n')).to.deep.equal(['a/b', 'm~n']));
  it('wants a slash first', () => expect(() => parse('items')).to.throw(SyntaxError));
  it('formats what it parses', () => expect(format(['a/b', 'm~n', 3])).to.equal('/a~1b/m~0n/3'));
  it('gets a value deep inside', () => expect(get(SHOP, '/items/0/tags/1')).to.equal('b'));
  it('gets members with odd names', () => {
    expect(get(SHOP, '/a~1b')).to.equal(1);
    expect(get(SHOP, '/m~0n')).to.equal(2);
    expect(get(SHOP, '/')).to.equal(3);
  });
  it('gives the fallback where nothing is', () => expect(get(SHOP, '/items/7', 'none')).to.equal('none'));
  it('throws without a fallback', () => expect(() => get(SHOP, '/items/7/id')).to.throw(PointerError, '"/items/7"'));
  it('tells whether something is there', () => {
    expect(has(SHOP, '/items/1/tags')).to.equal(true);
    expect(has(SHOP, '/items/1/tags/0')).to.equal(false);
  });
  it('adds to objects and arrays', () => {
    expect(add({ a: 1 }, '/b', 2)).to.deep.equal({ a: 1, b: 2 });
    expect(add([1, 3], '/1', 2)).to.deep.equal([1, 2, 3]);
    expect(add([1], '/-', 2)).to.deep.equal([1, 2]);
  });
  it('sets and makes parents', () => expect(set({}, '/a/b/c', 1)).to.deep.equal({ a: { b: { c: 1 } } }));
  it('removes items', () => expect(remove([1, 2, 3], '/1')).to.deep.equal([1, 3]));
  it('leaves the original alone', () => {
    const document = { a: [1] };
    add(document, '/a/0', 0);
    remove(document, '/a');
    expect(document).to.deep.equal({ a: [1] });
  });
  it('knows what is inside', () => {
    expect(isInside('/a/b', '/a')).to.equal(true);
    expect(isInside('/ab', '/a')).to.equal(false);
  });
  it('lists leaves', () => expect(leaves({ a: [1, []], b: 'x' })).to.deep.equal(['/a/0', '/a/1', '/b']));
});
