'use strict';

const { expect } = require('chai');
const { PatchError, applies, apply, diff, equal, invert, merge, mergeDiff } = require('../src');

const backAndForth = (document, patch) => apply(apply(document, patch), invert(document, patch));

describe('more of patches', () => {
  it('refuses unknown operations', () => {
    expect(() => apply({}, [{ op: 'swap', path: '' }])).to.throw(PatchError, 'unknown op "swap"');
    expect(() => apply({}, [{ op: 'toString', path: '' }])).to.throw(PatchError, 'unknown op');
  });
  it('refuses operations that lack something', () => {
    expect(() => apply({}, [{ op: 'add', path: '/a' }])).to.throw(PatchError, 'add needs value');
    expect(() => apply({}, [{ op: 'move', path: '/a' }])).to.throw(PatchError, 'move needs from');
    expect(() => apply({}, [{ op: 'remove' }])).to.throw(PatchError, 'remove needs path');
  });
  it('adds null', () => expect(apply({}, [{ op: 'add', path: '/a', value: null }])).to.deep.equal({ a: null }));
  it('replaces only what is there', () => expect(applies({}, [{ op: 'replace', path: '/a', value: 1 }])).to.equal(false));
  it('replaces the whole document', () => expect(apply({ a: 1 }, [{ op: 'replace', path: '', value: 2 }])).to.equal(2));
  it('keeps its place when it replaces an item', () => {
    expect(apply([1, 2], [{ op: 'replace', path: '/0', value: 9 }])).to.deep.equal([9, 2]);
  });
  it('moves between objects', () => {
    expect(apply({ a: { b: 1 }, c: {} }, [{ op: 'move', from: '/a/b', path: '/c/d' }])).to.deep.equal({ a: {}, c: { d: 1 } });
  });
  it('moves in an array after taking out', () => {
    expect(apply([1, 2, 3], [{ op: 'move', from: '/2', path: '/0' }])).to.deep.equal([3, 1, 2]);
  });
  it('moves to where it is', () => expect(apply({ a: 1 }, [{ op: 'move', from: '/a', path: '/a' }])).to.deep.equal({ a: 1 }));
  it('does not move into itself', () => {
    expect(() => apply({ a: { b: 1 } }, [{ op: 'move', from: '/a', path: '/a/b' }])).to.throw(PatchError, 'into itself');
  });
  it('copies deeply', () => {
    const patch = [{ op: 'copy', from: '/a', path: '/b' }, { op: 'add', path: '/b/-', value: 2 }];
    expect(apply({ a: [1] }, patch)).to.deep.equal({ a: [1], b: [1, 2] });
  });
  it('does not tie the document to the patch', () => {
    const patch = [{ op: 'add', path: '/a', value: [] }, { op: 'add', path: '/a/-', value: 1 }];
    apply({}, patch);
    expect(patch[0].value).to.deep.equal([]);
    const other = [{ op: 'replace', path: '/a', value: [] }, { op: 'add', path: '/a/-', value: 1 }];
    apply({ a: 0 }, other);
    expect(other[0].value).to.deep.equal([]);
  });
  it('leaves the document alone when it fails half way', () => {
    const document = { a: [1] };
    expect(applies(document, [{ op: 'remove', path: '/a/0' }, { op: 'remove', path: '/x' }])).to.equal(false);
    expect(document).to.deep.equal({ a: [1] });
  });
  it('hands over the failed operation', () => {
    const failing = { op: 'test', path: '', value: 1 };
    expect(() => apply(2, [failing])).to.throw(PatchError).with.property('operation', failing);
  });
  it('refuses bad pointers', () => expect(applies({}, [{ op: 'add', path: 'a', value: 1 }])).to.equal(false));
  it('does nothing without operations', () => expect(apply({ a: 1 }, [])).to.deep.equal({ a: 1 }));
});

describe('more of inverting', () => {
  const cases = {
    'a new member': [{ a: 1 }, [{ op: 'add', path: '/b', value: 2 }]],
    'a member that was there': [{ a: 1 }, [{ op: 'add', path: '/a', value: 2 }]],
    'an item at the end': [[1, 2], [{ op: 'add', path: '/-', value: 3 }]],
    'an item in the middle': [[1, 2], [{ op: 'add', path: '/1', value: 3 }]],
    'a removed item': [[1, 2, 3], [{ op: 'remove', path: '/1' }]],
    'the removed document': [[1, 2], [{ op: 'remove', path: '' }]],
    'the added document': [[1, 2], [{ op: 'add', path: '', value: 'x' }]],
    'a copy to the end': [{ a: [1, 2] }, [{ op: 'copy', from: '/a/0', path: '/a/-' }]],
    'a copy over a member': [{ a: 1, b: 2 }, [{ op: 'copy', from: '/a', path: '/b' }]],
    'a move to the front': [[1, 2, 3], [{ op: 'move', from: '/2', path: '/0' }]],
    'a move to the back': [[1, 2, 3], [{ op: 'move', from: '/0', path: '/-' }]],
    'a move over a member': [{ a: 1, b: 2 }, [{ op: 'move', from: '/a', path: '/b' }]],
    'a move of a member to its own place': [{ a: 1, b: 2 }, [{ op: 'move', from: '/a', path: '/a' }]],
    'a move to be the document': [{ a: [1] }, [{ op: 'move', from: '/a', path: '' }]],
    'several in a row': [{ a: [1] }, [
      { op: 'add', path: '/a/-', value: { x: 1 } }, { op: 'test', path: '/a/0', value: 1 },
      { op: 'replace', path: '/a/1/x', value: 2 }, { op: 'move', from: '/a/1', path: '/b' }, { op: 'remove', path: '/a' },
    ]],
  };
  for (const [title, [document, patch]] of Object.entries(cases)) {
    it(`undoes ${title}`, () => expect(backAndForth(document, patch)).to.deep.equal(document));
  }
  it('needs nothing for a test', () => expect(invert([1], [{ op: 'test', path: '/0', value: 1 }])).to.deep.equal([]));
  it('removes by index, not by "-"', () => {
    expect(invert([1, 2], [{ op: 'add', path: '/-', value: 3 }])).to.deep.equal([{ op: 'remove', path: '/2' }]);
  });
  it('says which operation failed', () => {
    const patch = [{ op: 'add', path: '/a', value: 1 }, { op: 'remove', path: '/x' }];
    expect(() => invert({}, patch)).to.throw(PatchError, /^operation 1: nothing/).with.property('index', 1);
  });
});

describe('more of differences', () => {
  const check = (before, after, operations) => {
    const patch = diff(before, after);
    expect(equal(apply(before, patch), after)).to.equal(true);
    expect(patch.length).to.equal(operations);
  };
  it('removes from the back of an array', () => {
    expect(diff([1, 2, 3, 4], [1, 4])).to.deep.equal([{ op: 'remove', path: '/2' }, { op: 'remove', path: '/1' }]);
  });
  it('adds at the back of an array', () => check([1], [1, 2, 3], 2));
  it('adds at the front of an array', () => check([3], [1, 2, 3], 2));
  it('removes at the front', () => check([1, 2, 3], [3], 2));
  it('does not count a common item twice', () => {
    check([1, 1], [1], 1);
    check([1], [1, 1], 1);
    check([1, 2, 1], [1], 2);
  });
  it('replaces inside items', () => {
    expect(diff([{ a: 1, b: 1 }], [{ a: 2, b: 1 }])).to.deep.equal([{ op: 'replace', path: '/0/a', value: 2 }]);
  });
  it('replaces what has another kind', () => expect(diff({ a: [1] }, { a: { 0: 1 } })).to.deep.equal([
    { op: 'replace', path: '/a', value: { 0: 1 } },
  ]));
  it('replaces null', () => check({ a: null }, { a: {} }, 1));
  it('replaces the whole document', () => expect(diff(1, 2)).to.deep.equal([{ op: 'replace', path: '', value: 2 }]));
  it('removes and adds members', () => {
    expect(diff({ a: 1, b: 2 }, { b: 2, c: 3 })).to.deep.equal([{ op: 'remove', path: '/a' }, { op: 'add', path: '/c', value: 3 }]);
  });
  it('escapes names', () => expect(diff({ 'a/b': 1 }, {})).to.deep.equal([{ op: 'remove', path: '/a~1b' }]));
  it('goes deep', () => check({ a: [{ b: [1, 2, { c: 3 }] }] }, { a: [{ b: [1, 5, { c: 4, d: 1 }] }] }, 3));
  it('does not see inherited members', () => check({}, { toString: 1 }, 1));
  it('empties and fills', () => {
    check([1, 2], [], 2);
    check([], [1, 2], 2);
    check({ a: 1 }, {}, 1);
  });
  it('copies the values it adds', () => {
    const after = { a: [1] };
    const patch = diff({}, after);
    after.a.push(2);
    expect(patch[0].value).to.deep.equal([1]);
  });
});

describe('more of merging', () => {
  it('replaces arrays', () => expect(merge({ a: [1, 2] }, { a: [3] })).to.deep.equal({ a: [3] }));
  it('replaces a document that is no object', () => expect(merge([1], { a: 1 })).to.deep.equal({ a: 1 }));
  it('gives way to a patch that is no object', () => expect(merge({ a: 1 }, [1])).to.deep.equal([1]));
  it('drops nulls below new members', () => expect(merge({}, { a: { b: { c: null } } })).to.deep.equal({ a: { b: {} } }));
  it('keeps nulls in the document', () => expect(merge({ a: null }, { b: 1 })).to.deep.equal({ a: null, b: 1 }));
  it('keeps nulls in arrays', () => expect(merge({}, { a: [null] })).to.deep.equal({ a: [null] }));
  it('leaves its arguments alone', () => {
    const document = { a: { b: 1 } };
    merge(document, { a: { b: 2 } });
    expect(document).to.deep.equal({ a: { b: 1 } });
  });
  it('finds nothing between equal documents', () => expect(mergeDiff({ a: [1] }, { a: [1] })).to.deep.equal({}));
  it('finds deep patches', () => {
    expect(mergeDiff({ a: { b: 1, c: 2 } }, { a: { b: 1, d: 3 } })).to.deep.equal({ a: { c: null, d: 3 } });
  });
  it('replaces arrays whole', () => expect(mergeDiff({ a: [1, 2] }, { a: [1] })).to.deep.equal({ a: [1] }));
  it('cannot put null', () => {
    expect(() => mergeDiff({ a: 1 }, { a: null })).to.throw(RangeError);
    expect(() => mergeDiff({}, { a: { b: null } })).to.throw(RangeError);
    expect(() => mergeDiff(1, { a: { b: null } })).to.throw(RangeError);
  });
  it('leaves a null that stays', () => expect(mergeDiff({ a: null, b: 1 }, { a: null })).to.deep.equal({ b: null }));
  it('leads from one document to the other', () => {
    const before = { a: { x: 1, y: [1] }, b: 'text', c: { d: { e: 1 } } };
    const after = { a: { x: 2 }, b: { z: 1 }, c: { d: { e: 1, f: true } } };
    expect(merge(before, mergeDiff(before, after))).to.deep.equal(after);
  });
});
