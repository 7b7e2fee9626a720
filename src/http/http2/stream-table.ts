const FIRST_PLACES = 32;
/** Streams that are further apart than this are rare; those whose place is taken go into a map. */
const MAX_PLACES = 1024;

/**
 * The open streams of a connection by their ids. Ids grow by two, so the lowest bits of their halves are a place of their
 * own for nearly each: finding, adding and removing a stream is an access to an array.
 */
export class StreamTable<S extends { readonly id: number }> {
  size = 0;
  /** A power of two long. */
  private places: (S | undefined)[] = new Array(FIRST_PLACES).fill(undefined);
  /** Streams whose place is taken. */
  private readonly others = new Map<number, S>();

  get(id: number): S | undefined {
    const stream = this.places[(id >>> 1) & (this.places.length - 1)];
    if (stream !== undefined && stream.id === id) return stream;
    return this.others.size === 0 ? undefined : this.others.get(id);
  }

  /** Adds a stream whose id is not in the table. */
  add(stream: S): void {
    this.size++;
    while (!this.place(stream)) {
      if (this.places.length < MAX_PLACES) {
        this.grow();
      } else {
        this.others.set(stream.id, stream);
        return;
      }
    }
  }

  /** Removes the stream with this id, if it is there. */
  delete(id: number): void {
    const place = (id >>> 1) & (this.places.length - 1);
    if (this.places[place]?.id === id) {
      this.places[place] = undefined;
      this.size--;
    } else if (this.others.delete(id)) {
      this.size--;
    }
  }

  /** The streams as they are now; the table may be changed while they are gone through. */
  values(): S[] {
    return [...this.places.filter((stream) => stream !== undefined), ...this.others.values()];
  }

  private place(stream: S): boolean {
    const place = (stream.id >>> 1) & (this.places.length - 1);
    if (this.places[place] !== undefined) return false;
    this.places[place] = stream;
    return true;
  }

  private grow(): void {
    const streams = this.places;
    this.places = new Array(streams.length * 2).fill(undefined);
    // What did not collide in half as many places does not in these.
    for (const stream of streams) if (stream !== undefined) this.place(stream);
  }
}
