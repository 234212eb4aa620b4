import type { Standing } from "../../../src/streams/partitions/partition-share.ts";

import { partitionShare, type PartitionShare } from "../../../src/streams/partitions/partition-share.ts";
import { virtualClock, type VirtualClock } from "../../../src/testing/virtual-clock.ts";

export interface Member {
  readonly share: PartitionShare;
  readonly changes: { readonly gained: readonly number[]; readonly lost: readonly number[] }[];
  /** How many of its next calls to the broker reject. */
  failing: number;
  /** Its process is gone without a word: the broker frees what it had. */
  die(): void;
  /** Its connection breaks, and is there again. */
  disconnect(): void;
  /** It leaves in order. */
  leave(): void;
}

export interface World {
  readonly clock: VirtualClock;
  readonly count: number;
  readonly members: readonly Member[];
  /** Who has a partition, at the broker. */
  holderOf(partition: number): Member | undefined;
  join(): Member;
  /** Time for all to find their shares, when nobody comes or goes. */
  settle(): Promise<void>;
}

export interface WorldOptions {
  readonly count: number;
  readonly random: () => number;
  /**
   * Milliseconds in which a partition is given up, because something is still worked on.
   * @default 0
   */
  readonly finishing?: number;
}

/** Milliseconds between two looks. */
const every = 1_000;

/** A broker that knows who has which partition, and the members that share them. */
export function shareWorld({ count, random, finishing = 0 }: WorldOptions): World {
  const clock = virtualClock();
  const members: Member[] = [];
  const locks = new Map<number, Lock>();
  let joined = 0;

  const join = (): Member => {
    const number = joined;
    joined += 1;
    const changes: Member["changes"] = [];
    const call = async <Answer>(answer: () => Answer): Promise<Answer> => {
      await pause(1 + (number % 3));
      if (member.failing > 0) {
        member.failing -= 1;
        throw new Error("the broker does not answer");
      }
      return answer();
    };
    const share = partitionShare({
      count,
      every,
      random,
      clock,
      standing: () => call((): Standing => ({ members: members.length, rank: members.indexOf(member) })),
      take: (partition, lost) =>
        call(() => {
          if (locks.has(partition)) return undefined;
          const lock: Lock = { member, lost };
          locks.set(partition, lock);
          return {
            giveUp: async () => {
              await pause(finishing);
              await call(() => locks.get(partition) === lock && locks.delete(partition));
            },
          };
        }),
      onChange: (change) => changes.push(change),
    });
    const locksOfMember = (): [number, Lock][] => [...locks].filter(([, lock]) => lock.member === member);
    const leaveList = (): void => void members.splice(members.indexOf(member), 1);
    const member: Member = {
      share,
      changes,
      failing: 0,
      die() {
        share.stop();
        leaveList();
        for (const [partition] of locksOfMember()) locks.delete(partition);
      },
      disconnect() {
        for (const [partition, lock] of locksOfMember()) {
          locks.delete(partition);
          lock.lost(new Error("the connection broke"));
        }
      },
      leave() {
        void share.close();
        leaveList();
      },
    };
    members.push(member);
    void share.look();
    return member;
  };

  const pause = (delay: number): Promise<void> => new Promise((resolve) => void clock.after(delay, resolve));

  return {
    clock,
    count,
    members,
    holderOf: (partition) => locks.get(partition)?.member,
    join,
    settle: () => clock.advance(5 * (every + finishing)),
  };
}

interface Lock {
  readonly member: Member;
  readonly lost: (reason: unknown) => void;
}
