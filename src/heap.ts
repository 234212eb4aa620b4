/** What a {@link Heap} needs of its items: room to note where they are, so that any of them can be taken out at once. */
export interface HeapItem {
  /** Written by the heap only. */
  place: number;
}

/** A binary heap whose items can be removed from anywhere in it: a set kept in order, where `push` and `remove` cost O(log n). */
export class Heap<Item extends HeapItem> {
  readonly #items: Item[] = [];
  readonly #comesBefore: (one: Item, other: Item) => boolean;

  constructor(comesBefore: (one: Item, other: Item) => boolean) {
    this.#comesBefore = comesBefore;
  }

  get size(): number {
    return this.#items.length;
  }

  get first(): Item | undefined {
    return this.#items[0];
  }

  push(item: Item): void {
    this.#rise(item, this.#items.length);
  }

  /** Takes out an item of this heap. */
  remove(item: Item): void {
    const last = this.#items.pop();
    if (last === undefined || last === item) return;
    last.place = item.place;
    this.move(last);
  }

  /** Puts an item of this heap where it belongs since what it is ordered by has changed. */
  move(item: Item): void {
    const { place } = item;
    this.#rise(item, place);
    if (item.place === place) this.#sink(item, place);
  }

  /** All items from the first on; costs only as much as is read. The heap must not be changed meanwhile. */
  *inOrder(): Generator<Item, void> {
    const reached = new Heap<Reached<Item>>((one, other) => this.#comesBefore(one.item, other.item));
    this.#reach(0, reached);
    for (let next = reached.first; next !== undefined; next = reached.first) {
      yield next.item;
      reached.remove(next);
      this.#reach(2 * next.item.place + 1, reached);
      this.#reach(2 * next.item.place + 2, reached);
    }
  }

  #reach(place: number, reached: Heap<Reached<Item>>): void {
    const item = this.#items[place];
    if (item !== undefined) reached.push({ item, place: 0 });
  }

  #rise(item: Item, from: number): void {
    let place = from;
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = this.#items[above];
      if (parent === undefined || !this.#comesBefore(item, parent)) break;
      this.#put(parent, place);
      place = above;
    }
    this.#put(item, place);
  }

  #sink(item: Item, from: number): void {
    let place = from;
    for (;;) {
      const child = this.#firstChild(place);
      if (child === undefined || !this.#comesBefore(child, item)) break;
      const below = child.place;
      this.#put(child, place);
      place = below;
    }
    this.#put(item, place);
  }

  #firstChild(place: number): Item | undefined {
    const left = this.#items[2 * place + 1];
    const right = this.#items[2 * place + 2];
    return left !== undefined && right !== undefined && this.#comesBefore(right, left) ? right : left;
  }

  #put(item: Item, place: number): void {
    this.#items[place] = item;
    item.place = place;
  }
}

interface Reached<Item> extends HeapItem {
  readonly item: Item;
}
