'use strict';

const { expect } = require('chai');
const colors = require('../src');

const { parse, toHex, toRgb } = colors;
const hex = (text) => toHex(parse(text));

describe('text', () => {
  for (const [text, want] of [['#f80', '#ff8800'], ['#123456', '#123456'], ['RED', '#ff0000'], ['rgb(1, 2, 3)', '#010203'],
    ['hsl(120, 100%, 50%)', '#00ff00'], ['rgba(0, 0, 0, 0.2)', '#00000033']]) {
    it(`reads ${text}`, () => expect(hex(text)).to.equal(want));
  }
  it('prints functions', () => expect(toRgb(parse('#0102037f'))).to.equal('rgba(1, 2, 3, 0.498)'));
  it('refuses other texts', () => expect(() => parse('#12')).to.throw(colors.ColorError, 'not a color: #12'));
});

describe('convert', () => {
  it('knows hue and lightness', () => expect(colors.toHsl(parse('#00f'))).to.deep.equal({ h: 240, s: 1, l: 0.5 }));
  it('turns hues', () => expect(toHex(colors.rotate(parse('red'), 120))).to.equal('#00ff00'));
  it('lightens', () => expect(toHex(colors.lighten(parse('#000'), 0.2))).to.equal('#333333'));
  it('takes colour away', () => expect(toHex(colors.saturate(parse('red'), 0))).to.equal('#808080'));
  it('makes triads', () => expect(colors.harmony(parse('red'), 3).map(toHex)).to.deep.equal(['#ff0000', '#00ff00', '#0000ff']));
});

describe('mix', () => {
  it('mixes', () => expect(toHex(colors.mix(parse('#000'), parse('#fff'), 0.2))).to.equal('#333333'));
  it('layers', () => expect(toHex(colors.over(parse('rgba(255, 0, 0, 0.2)'), parse('#000')))).to.equal('#330000'));
  it('makes gradients', () => {
    expect(colors.steps([[0, parse('#000')], [1, parse('#0000ff')]], 3).map(toHex)).to.deep.equal(['#000000', '#000080', '#0000ff']);
  });
});

describe('contrast', () => {
  it('is 21 at most', () => expect(colors.contrast(parse('black'), parse('white'))).to.be.closeTo(21, 1e-9));
  it('has levels', () => expect([4, 5, 8].map((ratio) => colors.level(ratio))).to.deep.equal(['fail', 'AA', 'AAA']));
  it('picks what reads best', () => {
    expect(toHex(colors.mostReadable([parse('gray'), parse('white')], parse('black')))).to.equal('#ffffff');
  });
  it('picks the nearest', () => expect(toHex(colors.nearest([parse('red'), parse('blue')], parse('#d01020')))).to.equal('#ff0000'));
});
