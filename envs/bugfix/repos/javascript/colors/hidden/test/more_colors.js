'use strict';

const { expect } = require('chai');
const colors = require('../src');

const { parse, toHex, toRgb } = colors;
const hex = (text) => toHex(parse(text));

describe('more text', () => {
  for (const [text, want] of [['#F808', '#ff880088'], ['#11223344', '#11223344'], [' white ', '#ffffff'], ['transparent', '#00000000'],
    ['rgb(100%, 50%, 0%)', '#ff8000'], ['rgb(300, -5, 12.5)', '#ff000d'], ['rgb(1,2,3,50%)', '#01020380'], ['rgba(1,2,3,2)', '#010203'],
    ['rgba(1,2,3,-1)', '#01020300'], ['hsl(-120, 100%, 50%)', '#0000ff'], ['hsl(480deg, 100%, 25%)', '#008000'],
    ['hsla(60, 100%, 50%, .2)', '#ffff0033'], ['hsl(0, 150%, 50%)', '#ff0000'], ['hsl(300, 100%, 50%)', '#ff00ff'],
    ['hsl(180, 50%, 50%)', '#40bfbf'], ['hsl(30, 100%, 50%)', '#ff8000'], ['hsl(330, 100%, 50%)', '#ff0080'], ['orange', '#ffa500'],
    ['hsl(270, 100%, 50%)', '#8000ff'], ['rgb(+1, 2., .6)', '#010201'], ['hsl(90, 100%, 50%)', '#80ff00'], ['#fff', '#ffffff']]) {
    it(`reads ${text}`, () => expect(hex(text)).to.equal(want));
  }
  for (const text of ['', '#12345', '#1234567', '#ggg', 'rgb(1, 2)', 'rgb(1, 2, 3, 4, 5)', 'rgb(1, 2, x)', 'hsl(1, 2, 3)', 'hsl(10%, 1%, 1%)',
    'rgb(1deg, 2, 3)', 'toString', 'rgb(1, 2, 3', 'hsv(1, 2%, 3%)', 'rgb(1,2,3,4deg)', 'rgb(., 1, 2)', 'x#fff']) {
    it(`refuses ${text}`, () => expect(() => parse(text)).to.throw(colors.ColorError));
  }
  it('counts parts', () => expect(() => parse('rgb(1, 2)')).to.throw('2 parts: rgb(1, 2)'));
  it('prints opaque functions', () => expect(toRgb({ r: 1.4, g: 2.5, b: 3 })).to.equal('rgb(1, 3, 3)'));
  it('prints half transparent ones', () => expect(toRgb({ r: 1, g: 2, b: 3, a: 0.12345 })).to.equal('rgba(1, 2, 3, 0.123)'));
  it('prints opaque without alpha', () => expect(toHex({ r: 15, g: 16, b: 254.6 })).to.equal('#0f10ff'));
  it('keeps alpha exact', () => expect(parse('#0000').a).to.equal(0));
});

describe('more conversion', () => {
  const hsl = (text) => Object.values(colors.toHsl(parse(text))).map((value) => Math.round(value * 1000) / 1000);
  for (const [text, want] of [['#f0f', [300, 1, 0.5]], ['#808080', [0, 0, 0.502]], ['#fff', [0, 0, 1]], ['#ff0', [60, 1, 0.5]],
    ['#0ff', [180, 1, 0.5]], ['#400000', [0, 1, 0.125]], ['#40bfbf', [180, 0.498, 0.5]], ['#cc0033', [345, 1, 0.4]],
    ['#33cc66', [140, 0.6, 0.5]], ['#6633cc', [260, 0.6, 0.5]], ['#ffcccc', [0, 1, 0.9]]]) {
    it(`knows ${text}`, () => expect(hsl(text)).to.deep.equal(want));
  }
  it('comes back', () => {
    for (let i = 0; i < 4096; i += 7) {
      const text = `#${i.toString(16).padStart(3, '0')}`;
      expect(toHex(colors.fromHsl(colors.toHsl(parse(text))))).to.equal(hex(text));
    }
  });
  it('turns back', () => expect(toHex(colors.rotate(parse('red'), -120))).to.equal('#0000ff'));
  it('keeps transparency', () => expect(toHex(colors.rotate(parse('#f008'), 120))).to.equal('#00ff0088'));
  it('darkens', () => expect(toHex(colors.lighten(parse('#fff'), -0.2))).to.equal('#cccccc'));
  it('lightens to white', () => expect(toHex(colors.lighten(parse('red'), 1))).to.equal('#ffffff'));
  it('darkens to black', () => expect(toHex(colors.lighten(parse('red'), -1))).to.equal('#000000'));
  it('lightens colours', () => expect(toHex(colors.lighten(parse('#f00'), 0.5))).to.equal('#ff8080'));
  it('saturates at most fully', () => expect(toHex(colors.saturate(parse('#40bfbf'), 5))).to.equal('#00ffff'));
  it('saturates a little', () => expect(toHex(colors.saturate(parse('red'), 0.5))).to.equal('#bf4040'));
  it('has harmony alone', () => expect(colors.harmony(parse('red'), 1).map(toHex)).to.deep.equal(['#ff0000']));
  it('has complements', () => expect(colors.harmony(parse('red'), 2).map(toHex)).to.deep.equal(['#ff0000', '#00ffff']));
});

describe('more mixing', () => {
  const c = parse;
  it('mixes halves', () => expect(toHex(colors.mix(c('#000'), c('#fff')))).to.equal('#808080'));
  it('mixes nothing', () => expect(colors.mix(c('#f000'), c('#0f00'))).to.deep.equal({ r: 0, g: 0, b: 0, a: 0 }));
  it('gives the opaque more', () => expect(toHex(colors.mix(c('#f00'), c('#00f0')))).to.equal('#ff000080'));
  it('weighs by alpha', () => expect(toHex(colors.mix(c('#f00'), c('#00f3'), 0.5))).to.equal('#d5002b99'));
  it('mixes channels apart', () => expect(toHex(colors.mix(c('#102030'), c('#203040'), 0.25))).to.equal('#142434'));
  it('ends exactly', () => expect([0, 1].map((part) => toHex(colors.mix(c('#123'), c('#456'), part)))).to.deep.equal(['#112233', '#445566']));
  it('takes opaque for granted', () => {
    expect(colors.mix({ r: 0, g: 0, b: 0 }, { r: 9, g: 9, b: 9 }, 1)).to.deep.equal({ r: 9, g: 9, b: 9, a: 1 });
    expect(colors.over({ r: 5, g: 6, b: 7 }, { r: 9, g: 9, b: 9 })).to.deep.equal({ r: 5, g: 6, b: 7, a: 1 });
  });
  it('covers', () => expect(toHex(colors.over(c('#f00'), c('#00f')))).to.equal('#ff0000'));
  it('lets through', () => expect(toHex(colors.over(c('#f000'), c('#00f')))).to.equal('#0000ff'));
  it('layers transparent ones', () => expect(toHex(colors.over(c('rgba(255,0,0,.5)'), c('rgba(0,0,255,.5)')))).to.equal('#aa0055bf'));
  it('layers nothing', () => expect(colors.over(c('#f000'), c('#00f0')).a).to.equal(0));
  it('flattens', () => {
    expect(toHex(colors.flatten([c('rgba(255,0,0,.5)'), c('rgba(0,255,0,.5)'), c('#00f')]))).to.equal('#804040');
    expect(toHex(colors.flatten([]))).to.equal('#00000000');
  });
  const stops = [[0, c('#000')], [10, c('#ff0000')], [10, c('#0000ff')], [20, c('#ffffff')]];
  for (const [place, want] of [[-5, '#000000'], [0, '#000000'], [5, '#800000'], [2, '#330000'], [10, '#0000ff'], [12, '#3333ff'], [20, '#ffffff'], [99, '#ffffff']]) {
    it(`is ${want} at ${place}`, () => expect(toHex(colors.gradientAt(stops, place))).to.equal(want));
  }
  it('needs stops', () => expect(() => colors.gradientAt([], 1)).to.throw(RangeError));
  it('steps once', () => expect(colors.steps(stops, 1).map(toHex)).to.deep.equal(['#000000']));
  it('steps not at all', () => expect(colors.steps(stops, 0)).to.deep.equal([]));
  it('steps from the first stop', () => {
    expect(colors.steps([[10, c('#000')], [20, c('#fff')]], 6).map(toHex)).to.deep.equal(['#000000', '#333333', '#666666', '#999999', '#cccccc', '#ffffff']);
  });
});

describe('more contrast', () => {
  const c = parse;
  for (const [text, want] of [['#fff', 1], ['#000', 0], ['#f00', 0.2126], ['#0f0', 0.7152], ['#00f', 0.0722], ['#808080', 0.2159], ['#0a0a0a', 0.00304], ['#0b0b0b', 0.00335]]) {
    it(`${text} has luminance ${want}`, () => expect(colors.luminance(c(text))).to.be.closeTo(want, 0.00005));
  }
  it('is the same both ways', () => expect(colors.contrast(c('#777'), c('#fff'))).to.be.closeTo(colors.contrast(c('#fff'), c('#777')), 1e-12));
  it('is 4.48 for #777', () => expect(colors.contrast(c('#777'), c('#fff'))).to.be.closeTo(4.478, 0.001));
  it('is 1 for one colour', () => expect(colors.contrast(c('#123'), c('#123'))).to.equal(1));
  it('sees through texts', () => expect(colors.contrast(c('#0000'), c('#fff'))).to.equal(1));
  it('has levels at their ends', () => expect([4.49, 4.5, 6.99, 7].map((ratio) => colors.level(ratio))).to.deep.equal(['fail', 'AA', 'AA', 'AAA']));
  it('has levels of large texts', () => expect([2.99, 3, 4.49, 4.5].map((ratio) => colors.level(ratio, true))).to.deep.equal(['fail', 'AA', 'AA', 'AAA']));
  it('takes the first of the best', () => {
    const [one, two] = [c('#fff'), c('#fff')];
    expect(colors.mostReadable([c('#888'), one, two], c('#000'))).to.equal(one);
    expect(colors.nearest([c('#888'), one, two], c('#eee'))).to.equal(one);
  });
  it('needs a palette', () => {
    expect(() => colors.mostReadable([], c('#000'))).to.throw(RangeError);
    expect(() => colors.nearest([], c('#000'))).to.throw(RangeError);
  });
  it('reads dark on light', () => expect(toHex(colors.mostReadable([c('#eee'), c('#333')], c('#ddd')))).to.equal('#333333'));
  for (const [one, other, want] of [['#000', '#fff', 764.83], ['#f00', '#000', 403.03], ['#0f0', '#000', 510], ['#00f', '#000', 441.39], ['#102030', '#102030', 0], ['#f00', '#0f0', 650.03]]) {
    it(`${one} is ${want} from ${other}`, () => expect(colors.distance(c(one), c(other))).to.be.closeTo(want, 0.01));
  }
  it('leaves what can be read', () => expect(toHex(colors.readable(c('#222'), c('#fff')))).to.equal('#222222'));
  it('darkens on light', () => expect(toHex(colors.readable(c('#999'), c('#fff')))).to.equal('#6b6b6b'));
  it('lightens on dark', () => expect(toHex(colors.readable(c('#444'), c('#000')))).to.equal('#7c7c7c'));
  it('gives up at the end', () => expect(toHex(colors.readable(c('#888'), c('#888'), 21))).to.equal('#000000'));
  it('takes another contrast', () => expect(toHex(colors.readable(c('#999'), c('#fff'), 2))).to.equal('#999999'));
});
