// What tests written for Jest or Jasmine call, on top of mocha (which loads this with --file): `expect` with the common matchers, `jest.fn`, `test.each`.
'use strict';
const assert = require('assert');

const plain = (value, seen = new Map()) => {
  if (value === null || typeof value !== 'object' || value instanceof Date || value instanceof RegExp) return value;
  if (value instanceof Error) return { error: value.message };
  if (value[expect.asymmetric] || seen.has(value)) return seen.get(value) || value;
  const copy = Array.isArray(value) ? [] : {};
  seen.set(value, copy);
  if (value instanceof Map || value instanceof Set) return { [value.constructor.name]: [...value].map((v) => plain(v, seen)) };
  if (ArrayBuffer.isView(value)) return { [value.constructor.name]: [...new Uint8Array(value.buffer, value.byteOffset, value.byteLength)] };
  for (const key of Object.keys(value)) if (Array.isArray(value) || value[key] !== undefined) copy[key] = plain(value[key], seen);
  return copy;
};
const same = (run) => { try { run(); return true; } catch (error) { if (error instanceof assert.AssertionError) return false; throw error; } };
const asymmetric = (wanted) => wanted !== null && typeof wanted === 'object' && wanted[expect.asymmetric];
const equal = (got, wanted) => {
  if (asymmetric(wanted)) return wanted[expect.asymmetric](got);
  if (wanted !== null && got !== null && typeof wanted === 'object' && typeof got === 'object') {
    const keys = (value) => Object.keys(value).filter((key) => Array.isArray(value) || value[key] !== undefined);
    if (keys(wanted).some((key) => asymmetric(wanted[key])))
      return keys(wanted).length === keys(got).length && keys(wanted).every((key) => equal(got[key], wanted[key]));
  }
  return same(() => assert.deepStrictEqual(plain(got), plain(wanted)));
};
const part = (got, wanted) => asymmetric(wanted) || wanted === null || typeof wanted !== 'object' || Array.isArray(wanted)
  ? equal(got, wanted)
  : got !== null && got !== undefined && Object.keys(wanted).every((key) => part(got[key], wanted[key]));
const at = (value, path) => (Array.isArray(path) ? path : String(path).split('.')).reduce((v, key) => (v == null ? undefined : v[key]), value);
const thrown = (run) => { try { run(); return []; } catch (error) { return [error]; } };
const fits = (error, wanted) => {
  if (wanted === undefined) return true;
  const message = error && error.message !== undefined ? error.message : String(error);
  if (typeof wanted === 'string') return message.includes(wanted);
  if (wanted instanceof RegExp) return wanted.test(message);
  return typeof wanted === 'function' ? error instanceof wanted : message === wanted.message;
};

const matchers = {
  toBe: (got, wanted) => Object.is(got, wanted),
  toEqual: equal,
  toStrictEqual: (got, wanted) => same(() => assert.deepStrictEqual(got, wanted)),
  toBeTruthy: (got) => Boolean(got),
  toBeFalsy: (got) => !got,
  toBeTrue: (got) => got === true,
  toBeFalse: (got) => got === false,
  toBeNull: (got) => got === null,
  toBeUndefined: (got) => got === undefined,
  toBeDefined: (got) => got !== undefined,
  toBeNaN: (got) => Number.isNaN(got),
  toBeGreaterThan: (got, wanted) => got > wanted,
  toBeGreaterThanOrEqual: (got, wanted) => got >= wanted,
  toBeLessThan: (got, wanted) => got < wanted,
  toBeLessThanOrEqual: (got, wanted) => got <= wanted,
  toBeCloseTo: (got, wanted, digits = 2) => got === wanted || Math.abs(got - wanted) < 10 ** -digits / 2,
  toBeInstanceOf: (got, wanted) => got instanceof wanted,
  toContain: (got, wanted) => (typeof got === 'string' ? got.includes(wanted) : [...got].includes(wanted)),
  toContainEqual: (got, wanted) => [...got].some((one) => equal(one, wanted)),
  toHaveLength: (got, wanted) => got.length === wanted,
  toHaveProperty: (got, path, ...value) => (value.length ? equal(at(got, path), value[0]) : at(got, path) !== undefined),
  toMatch: (got, wanted) => (typeof wanted === 'string' ? got.includes(wanted) : wanted.test(got)),
  toMatchObject: part,
  toThrow: (got, wanted) => (typeof got === 'function' ? thrown(got) : [got]).some((error) => fits(error, wanted)),
  toHaveBeenCalled: (got) => got.mock.calls.length > 0,
  toHaveBeenCalledTimes: (got, wanted) => got.mock.calls.length === wanted,
  toHaveBeenCalledWith: (got, ...wanted) => got.mock.calls.some((call) => equal(call, wanted)),
  toHaveBeenLastCalledWith: (got, ...wanted) => equal(got.mock.calls[got.mock.calls.length - 1], wanted),
};
matchers.toThrowError = matchers.toThrow;
matchers.toBeCalled = matchers.toHaveBeenCalled;
matchers.toBeCalledWith = matchers.toHaveBeenCalledWith;
matchers.toBeCalledTimes = matchers.toHaveBeenCalledTimes;

const shown = (value) => require('util').inspect(value, { depth: 4 }).slice(0, 500);
const judge = (got, name, wanted, not) => {
  if (matchers[name](got, ...wanted) === not)
    assert.fail(`expected ${shown(got)} ${not ? 'not ' : ''}${name} ${wanted.map(shown).join(', ')}`);
};
function expect(got) {
  const ways = (not) => Object.fromEntries(Object.keys(matchers).map((name) => [name, (...wanted) => judge(got, name, wanted, not)]));
  const later = (settle, not) => Object.fromEntries(Object.keys(matchers).map((name) => [
    name, async (...wanted) => judge(await settle(), name, wanted, not)]));
  const resolves = () => Promise.resolve(got);
  const rejects = () => Promise.resolve(typeof got === 'function' ? got() : got).then(
    (value) => assert.fail(`expected a rejection, not ${shown(value)}`), (error) => error);
  return { ...ways(false), not: ways(true),
    resolves: { ...later(resolves, false), not: later(resolves, true) }, rejects: { ...later(rejects, false), not: later(rejects, true) } };
}
expect.asymmetric = Symbol('asymmetric');
expect.anything = () => ({ [expect.asymmetric]: (got) => got !== null && got !== undefined });
expect.any = (kind) => ({ [expect.asymmetric]: (got) => got instanceof kind || (got != null && Object(got) instanceof kind) });
expect.objectContaining = (wanted) => ({ [expect.asymmetric]: (got) => part(got, wanted) });
expect.arrayContaining = (wanted) => ({ [expect.asymmetric]: (got) => wanted.every((one) => got.some((other) => equal(other, one))) });
expect.stringContaining = (wanted) => ({ [expect.asymmetric]: (got) => String(got).includes(wanted) });
expect.stringMatching = (wanted) => ({ [expect.asymmetric]: (got) => new RegExp(wanted).test(got) });
expect.assertions = expect.hasAssertions = () => undefined;

const fn = (work = () => undefined) => {
  const once = [];
  const mocked = function (...call) {
    mocked.mock.calls.push(call);
    const value = (once.shift() || work).apply(this, call);
    mocked.mock.results.push({ type: 'return', value });
    return value;
  };
  mocked.mock = { calls: [], results: [] };
  mocked.mockImplementation = (other) => { work = other; return mocked; };
  mocked.mockReturnValue = (value) => mocked.mockImplementation(() => value);
  mocked.mockReturnValueOnce = (value) => { once.push(() => value); return mocked; };
  mocked.mockResolvedValue = (value) => mocked.mockImplementation(() => Promise.resolve(value));
  mocked.mockClear = mocked.mockReset = () => { mocked.mock.calls = []; mocked.mock.results = []; return mocked; };
  return mocked;
};
const spyOn = (object, name) => {
  const original = object[name];
  object[name] = fn((...call) => original.apply(object, call));
  object[name].mockRestore = () => { object[name] = original; };
  return object[name];
};

const named = (title, row, number) => {
  let next = 0;
  return String(title).replace(/%[sdifjop#]/g, (mark) => (mark === '%#' ? number : shown(row[next++])));
};
const each = (declare) => (rows) => (title, work) => rows.forEach((row, number) => {
  const values = Array.isArray(row) ? row : [row];
  declare(`${named(title, values, number)} [${number}]`, function () { return work(...values); });
});
Object.assign(global, { expect, jest: { fn, spyOn }, test: it, xit: it.skip, xdescribe: describe.skip });
Object.assign(global, { beforeAll: before, afterAll: after, fail: assert.fail });
it.each = each(it);
it.skip.each = () => () => undefined;
describe.each = each(describe);
