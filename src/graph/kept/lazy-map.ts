/** A map whose keys are known and whose values are made when they are asked for. */
export class LazyMap<Key, Value> implements ReadonlyMap<Key, Value> {
  private readonly known: ReadonlyMap<Key, unknown>;
  private readonly make: (key: Key) => Value | undefined;

  constructor(known: ReadonlyMap<Key, unknown>, make: (key: Key) => Value | undefined) {
    this.known = known;
    this.make = make;
  }

  get size(): number {
    return this.known.size;
  }

  get(key: Key): Value | undefined {
    return this.make(key);
  }

  has(key: Key): boolean {
    return this.known.has(key);
  }

  keys(): MapIterator<Key> {
    return this.known.keys() as MapIterator<Key>;
  }

  values(): MapIterator<Value> {
    return this.made((_, value) => value);
  }

  entries(): MapIterator<[Key, Value]> {
    return this.made((key, value) => [key, value]);
  }

  [Symbol.iterator](): MapIterator<[Key, Value]> {
    return this.entries();
  }

  forEach(body: (value: Value, key: Key, map: ReadonlyMap<Key, Value>) => void): void {
    for (const key of this.known.keys()) body(this.make(key)!, key, this);
  }

  private made<T>(give: (key: Key, value: Value) => T): MapIterator<T> {
    const { known, make } = this;
    function* each(): Generator<T> {
      for (const key of known.keys()) yield give(key, make(key)!);
    }
    return each() as MapIterator<unknown> as MapIterator<T>;
  }
}
