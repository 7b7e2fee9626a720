import { expect, test } from 'vitest';
import { axisLength, escapeXml, fittedText, textWidth, tickLabel } from '../../../../src/lab/report/chart/drawing.ts';

test('text is never markup, and has no character that XML forbids', () => {
  expect(escapeXml(`<a b="c" d='e'>&\u0000\u001b\ud800</a>`)).toBe(
    '&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;\ufffd\ufffd\ufffd&lt;/a&gt;',
  );
  expect(escapeXml('µ 𝄞 \n')).toBe('µ 𝄞 \n');
});

test('text that is too long for its column ends in dots and is shown whole when pointed at', () => {
  expect(fittedText(0, 10, 'short', 100)).toBe('<text class="label" x="0" y="14">short</text>');
  expect(fittedText(0, 10, 'a <very> long name', 60)).toMatch(
    /^<text [^>]*><title>a &lt;very&gt; long name<\/title>a &lt;v[^<]*…<\/text>$/,
  );
});

test('a label at the edge of a picture is moved inwards', () => {
  expect(tickLabel(2, 10, '1,000', 300)).toMatch(/x="0" y="14">1,000/);
  expect(tickLabel(150, 10, '1,000', 300)).toMatch(/x="150" y="14" text-anchor="middle"/);
  expect(tickLabel(299, 10, '1,000', 300)).toMatch(/x="300" y="14" text-anchor="end"/);
});

test('an axis gives way to the texts behind its marks, and not to those that have room anyway', () => {
  const text = 'x'.repeat(10);
  const long = axisLength(400, [{ share: 1, text }]);
  expect(long + textWidth(text)).toBeLessThan(400);
  expect(axisLength(400, [{ share: 0.1, text }])).toBeGreaterThan(long);
  expect(axisLength(400, [{ share: 1, text: 'x'.repeat(1000) }])).toBe(160);
});
