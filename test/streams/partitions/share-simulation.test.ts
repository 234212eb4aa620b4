import fc from "fast-check";
import { expect, test } from "vitest";

import { shareWorld, type World } from "./share-world.ts";

/** One thing that happens; `whom` picks a member, and time passes until the next one. */
const happening = fc.record({
  what: fc.constantFrom("join", "leave", "die", "disconnect", "fail", "nothing"),
  whom: fc.nat(),
  calls: fc.integer({ min: 1, max: 4 }),
  pause: fc.integer({ min: 0, max: 3_000 }),
});

test("whoever comes, goes, dies or fails, no partition has two members, and in the end all are shared evenly", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 12 }),
      fc.constantFrom(0, 200, 2_500),
      fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
      fc.array(happening, { maxLength: 30 }),
      async (count, finishing, numbers, happenings) => {
        const world = shareWorld({ count, finishing, random: () => numbers.next().value ?? 0 });
        world.join();

        for (const { what, whom, calls, pause } of happenings) {
          const member = world.members[whom % Math.max(world.members.length, 1)];
          if (what === "join") world.join();
          else if (what === "fail") {
            if (member !== undefined) member.failing = calls;
          } else if (what !== "nothing") member?.[what]();
          for (let passed = 0; passed < pause; passed += 250) {
            await world.clock.advance(250);
            requireOwnOnly(world);
          }
        }
        const last = world.join();
        await world.settle();
        await world.settle();

        requireOwnOnly(world);
        const sizes = world.members.map(({ share }) => share.held.length);
        expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(count);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
        expect(world.members).toContain(last);
        for (const { share } of world.members) share.stop();
      },
    ),
    { numRuns: 200 },
  );
}, 60_000);

/** Whoever thinks that it has a partition has it at the broker, which gives it to one alone. */
function requireOwnOnly(world: World): void {
  for (const member of world.members) for (const partition of member.share.held) expect(world.holderOf(partition)).toBe(member);
}
