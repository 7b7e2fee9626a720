/**
 * Edits (insert, delete, replace, swap of neighbours) that turn one word into another: optimal string alignment.
 * Stops early and answers `limit + 1` when the distance is above the limit.
 */
export function editDistance(a: string, b: string, limit = Number.POSITIVE_INFINITY): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    let smallest = i;
    for (let j = 1; j <= b.length; j++) {
      const same = a.charCodeAt(i - 1) === b.charCodeAt(j - 1);
      let cost = Math.min(previous[j]! + 1, current[j - 1]! + 1, previous[j - 1]! + (same ? 0 : 1));
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) cost = Math.min(cost, beforePrevious[j - 2]! + 1);
      current.push(cost);
      smallest = Math.min(smallest, cost);
    }
    if (smallest > limit) return limit + 1;
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length]!;
}

/** The known name that a writer most likely meant; undefined when nothing is near. Case and separators count little. */
export function nearest(written: string, known: Iterable<string>): string | undefined {
  const plain = simplify(written);
  const limit = Math.max(1, Math.floor(plain.length / 3));
  let best: string | undefined;
  let bestDistance = limit + 1;
  for (const name of known) {
    const candidate = simplify(name);
    const distance = editDistance(plain, candidate, limit);
    if (distance < bestDistance) {
      best = name;
      bestDistance = distance;
    }
  }
  return best ?? containing(plain, known);
}

/** The shortest known name that contains the word as a whole part: `timeout` in a message that has `idle_timeout`. */
function containing(plain: string, known: Iterable<string>): string | undefined {
  if (plain.length < 4) return undefined;
  let best: string | undefined;
  for (const name of known) {
    if (simplify(name).includes(plain) && (best === undefined || name.length < best.length)) best = name;
  }
  return best;
}

function simplify(name: string): string {
  return name.replace(/[-_ ]/g, '').toLowerCase();
}
