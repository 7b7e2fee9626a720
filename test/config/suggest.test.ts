import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { editDistance, nearest } from '../../src/config/suggest.ts';

describe('editDistance', () => {
  it('counts inserted, deleted, replaced and swapped letters', () => {
    expect(editDistance('route', 'route')).toBe(0);
    expect(editDistance('rote', 'route')).toBe(1);
    expect(editDistance('routte', 'route')).toBe(1);
    expect(editDistance('raute', 'route')).toBe(1);
    expect(editDistance('ruote', 'route')).toBe(1);
    expect(editDistance('', 'abc')).toBe(3);
  });

  it('stops at the limit', () => {
    expect(editDistance('completely', 'different', 2)).toBe(3);
  });

  it('is symmetric and zero only for equal words', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
        expect(editDistance(a, b)).toBe(editDistance(b, a));
        expect(editDistance(a, b) === 0).toBe(a === b);
      }),
    );
  });
});

describe('nearest', () => {
  const fields = ['stat_prefix', 'idle_timeout', 'stream_idle_timeout', 'cluster'];

  it('finds a name with a slip, and does not mind case or separators', () => {
    expect(nearest('stat_prefx', fields)).toBe('stat_prefix');
    expect(nearest('StatPrefix', fields)).toBe('stat_prefix');
    expect(nearest('clsuter', fields)).toBe('cluster');
  });

  it('offers the shortest name that contains the word', () => {
    expect(nearest('timeout', fields)).toBe('idle_timeout');
  });

  it('offers nothing for a word that is far from all', () => {
    expect(nearest('banana', fields)).toBeUndefined();
    expect(nearest('x', ['address'])).toBeUndefined();
  });
});
