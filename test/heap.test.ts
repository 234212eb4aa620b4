import fc from "fast-check";
import { expect, test } from "vitest";

import { Heap, type HeapItem } from "../src/heap.ts";

interface Item extends HeapItem {
  value: number;
}

type Action = { readonly push: number } | { readonly remove: number } | { readonly move: number; readonly to: number };

const value = fc.integer({ min: 0, max: 20 });
const actions: fc.Arbitrary<Action[]> = fc.array(
  fc.oneof(fc.record({ push: value }), fc.record({ remove: fc.nat() }), fc.record({ move: fc.nat(), to: value })),
);

test("a heap yields what was pushed, moved and not removed, in order", () => {
  fc.assert(
    fc.property(actions, (given) => {
      const heap = heapOfItems();

      const left = play(given, heap);

      expect(Array.from(heap.inOrder(), (item) => item.value)).toEqual(left.map((item) => item.value).sort((one, other) => one - other));
      expect(heap.size).toBe(left.length);
    }),
  );
});

test("the first item of a heap is its smallest", () => {
  fc.assert(
    fc.property(actions, (given) => {
      const heap = heapOfItems();

      const left = play(given, heap);

      expect(heap.first?.value).toBe(left.length === 0 ? undefined : Math.min(...left.map((item) => item.value)));
    }),
  );
});

function heapOfItems(): Heap<Item> {
  return new Heap((one, other) => one.value < other.value);
}

function play(given: readonly Action[], heap: Heap<Item>): readonly Item[] {
  const items: Item[] = [];
  for (const action of given) {
    if ("push" in action) {
      const item = { value: action.push, place: 0 };
      heap.push(item);
      items.push(item);
    } else if ("remove" in action) {
      const [item] = items.splice(action.remove % (items.length || 1), 1);
      if (item !== undefined) heap.remove(item);
    } else {
      const item = items[action.move % (items.length || 1)];
      if (item === undefined) continue;
      item.value = action.to;
      heap.move(item);
    }
  }
  return items;
}
