import fc from "fast-check";
import { expect, test } from "vitest";

import { Heap, type HeapItem } from "../src/heap.ts";

interface Item extends HeapItem {
  readonly value: number;
}

const pushesAndRemovals = fc.array(fc.oneof(fc.record({ push: fc.integer({ min: 0, max: 20 }) }), fc.record({ remove: fc.nat() })));

test("a heap yields what was pushed and not removed, in order", () => {
  fc.assert(
    fc.property(pushesAndRemovals, (actions) => {
      const heap = heapOfItems();

      const left = play(actions, heap);

      expect(Array.from(heap.inOrder(), (item) => item.value)).toEqual(left.map((item) => item.value).sort((one, other) => one - other));
      expect(heap.size).toBe(left.length);
    }),
  );
});

test("the first item of a heap is its smallest", () => {
  fc.assert(
    fc.property(pushesAndRemovals, (actions) => {
      const heap = heapOfItems();

      const left = play(actions, heap);

      expect(heap.first?.value).toBe(left.length === 0 ? undefined : Math.min(...left.map((item) => item.value)));
    }),
  );
});

function heapOfItems(): Heap<Item> {
  return new Heap((one, other) => one.value < other.value);
}

function play(actions: readonly ({ readonly push: number } | { readonly remove: number })[], heap: Heap<Item>): Item[] {
  const items: Item[] = [];
  for (const action of actions) {
    if ("push" in action) {
      const item = { value: action.push, place: 0 };
      heap.push(item);
      items.push(item);
    } else {
      const [item] = items.splice(action.remove % (items.length || 1), 1);
      if (item !== undefined) heap.remove(item);
    }
  }
  return items;
}
