/** What can be in a {@link LinkedList}, in one at a time. The list alone sets these. */
export interface Listed<Member> {
  list: unknown;
  before: Member | undefined;
  after: Member | undefined;
}

/**
 * Members in the order they were added, each with its place at hand.
 *
 * For what comes and goes with every message. A Set does the same, but makes itself anew after so many deletions, and what it was before keeps all it has ever held from
 * being collected until the whole heap is: that took half of the time of a message.
 */
export class LinkedList<Member extends Listed<Member>> {
  #first: Member | undefined;
  #last: Member | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): Member | undefined {
    return this.#first;
  }

  has(member: Member): boolean {
    return member.list === this;
  }

  /** Behind all others. It must be in no list. */
  add(member: Member): void {
    member.list = this;
    member.before = this.#last;
    if (this.#last === undefined) this.#first = member;
    else this.#last.after = member;
    this.#last = member;
    this.#size += 1;
  }

  /** `false` when it is not in the list. */
  delete(member: Member): boolean {
    if (member.list !== this) return false;
    const { before, after } = member;
    if (before === undefined) this.#first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    member.list = undefined;
    member.before = undefined;
    member.after = undefined;
    this.#size -= 1;
    return true;
  }

  /** Takes all of them out. */
  clear(): readonly Member[] {
    const members = [...this];
    for (const member of members) this.delete(member);
    return members;
  }

  /** All members. The one that is at hand may be taken out meanwhile. */
  *[Symbol.iterator](): Iterator<Member> {
    for (let member = this.#first, next; member !== undefined; member = next) {
      next = member.after;
      yield member;
    }
  }
}
