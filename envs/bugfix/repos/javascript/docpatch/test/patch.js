'use strict';

const { expect } = require('chai');
const { PatchError, applies, apply, diff, invert, merge, mergeDiff } = require('../src');

describe('patch', () => {
  it('applies operations in order', () => {
    const patch = [{ op: 'add', path: '/b', value: [1] }, { op: 'add', path: '/b/-', value: 2 }, { op: 'remove', path: '/a' }];
    expect(apply({ a: 1 }, patch)).to.deep.equal({ b: [1, 2] });
  });
  it('replaces', () => expect(apply([1, 2, 3], [{ op: 'replace', path: '/1', value: 9 }])).to.deep.equal([1, 9, 3]));
  it('moves', () => expect(apply([1, 2, 3], [{ op: 'move', from: '/0', path: '/2' }])).to.deep.equal([2, 3, 1]));
  it('copies', () => expect(apply({ a: [1] }, [{ op: 'copy', from: '/a', path: '/b' }])).to.deep.equal({ a: [1], b: [1] }));
  it('tests', () => {
    expect(applies({ a: { x: 1, y: 2 } }, [{ op: 'test', path: '/a', value: { y: 2, x: 1 } }])).to.equal(true);
    expect(applies({ a: 1 }, [{ op: 'test', path: '/a', value: '1' }])).to.equal(false);
  });
  it('says which operation failed', () => {
    const patch = [{ op: 'add', path: '/a', value: 1 }, { op: 'remove', path: '/x' }];
    expect(() => apply({}, patch)).to.throw(PatchError, 'operation 1').with.property('index', 1);
  });
  it('leads back', () => {
    const patch = [{ op: 'replace', path: '/a', value: 2 }, { op: 'add', path: '/b', value: 3 }];
    expect(invert({ a: 1 }, patch)).to.deep.equal([{ op: 'remove', path: '/b' }, { op: 'replace', path: '/a', value: 1 }]);
  });
});

describe('diff', () => {
  it('is empty for equal documents', () => expect(diff({ a: 1, b: [2] }, { b: [2], a: 1 })).to.deep.equal([]));
  it('tells what changed in an object', () => {
    expect(diff({ a: 1, b: 2 }, { a: 1, b: 3, c: 4 })).to.deep.equal([
      { op: 'replace', path: '/b', value: 3 }, { op: 'add', path: '/c', value: 4 },
    ]);
  });
  it('keeps the common ends of arrays', () => {
    expect(diff([1, 2, 3, 4], [1, 2, 9, 3, 4])).to.deep.equal([{ op: 'add', path: '/2', value: 9 }]);
  });
});

describe('merge', () => {
  it('merges objects', () => expect(merge({ a: { b: 1 }, c: 2 }, { a: { d: 3 } })).to.deep.equal({ a: { b: 1, d: 3 }, c: 2 }));
  it('takes out what is null', () => expect(merge({ a: 1, b: 2 }, { a: null })).to.deep.equal({ b: 2 }));
  it('finds the patch', () => expect(mergeDiff({ a: 1, b: 2, c: 5 }, { b: 3, c: 5 })).to.deep.equal({ a: null, b: 3 }));
});
