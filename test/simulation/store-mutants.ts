import type { ClaimRecord } from "../../src/claims/claim-record.ts";
import type { EventStore, Revision } from "../../src/stores/event-store.ts";
import type { WorldOptions } from "./world.ts";

import { RevisionConflictError } from "../../src/errors.ts";
import { TooManyWrites } from "./bucket-service.ts";
import { claimOf, isClaimEntry } from "./call-sites.ts";

export type StoreMutation = WorldOptions["mutateStore"];

/** Claims without a fence: whatever an owner writes, it writes over whoever has the claim by then. */
export const withoutFence: StoreMutation = blindWrites((record) => isOwners(record));

/** Whoever finds a lease over takes the claim, whatever has become of it meanwhile. */
export const blindTakeOver: StoreMutation = blindWrites((record, expected) => record.token.endsWith("/0") && expected !== "absent");

export const blindComplete: StoreMutation = blindWrites((record) => isOwners(record) && record.phase === "done");

/** A released claim leaves nothing that the next one could continue from. */
export const releaseByRemoval: StoreMutation = (store) =>
  altered(store, (inner) => ({
    persist: async (message, options = {}) => {
      const isRelease = isClaimEntry(message.source) && claimOf(message).phase === "released" && isOwners(claimOf(message));
      if (!isRelease || options.expected === undefined) return inner.persist(message, options);
      await inner.remove(message.key, message.source, { expected: options.expected });
      return "none";
    },
  }));

export const blindRemoval: StoreMutation = (store) => altered(store, (inner) => ({ remove: (key, source) => inner.remove(key, source) }));

/** What is due is removed, like what has expired. */
export const oneFieldForDueAndExpiry: StoreMutation = (store) =>
  altered(store, (inner) => ({
    persist: (message, options = {}) => {
      const expiresAt = options.dueAt ?? options.expiresAt;
      return inner.persist(message, { ...options, ...(expiresAt !== undefined && { expiresAt }) });
    },
  }));

/** A list may lack what was written less than a tenth of a second ago. */
export const staleLists: StoreMutation = (store, { now, random }) =>
  altered(store, (inner) => {
    const writtenAt = new Map<string, number>();
    return {
      persist: (message, options) => {
        writtenAt.set(JSON.stringify([message.key, message.source]), now());
        return inner.persist(message, options);
      },
      listSourcesByKey: async (key) => {
        const sources = await inner.listSourcesByKey(key);
        return sources.filter((source) => now() - (writtenAt.get(JSON.stringify([key, source])) ?? 0) >= 100 || random.chance(0.5));
      },
    };
  });

/** Revisions count the writes of an entry, from 1 again when it was removed. */
export const reusedRevisions: StoreMutation = (store) =>
  altered(store, (inner) => {
    const written = new Map<string, { readonly real: Revision; readonly shown: number }>();
    const place = (key: string, source: string): string => JSON.stringify([key, source]);
    const real = (key: string, source: string, expected: Revision): Revision => {
      const known = written.get(place(key, source));
      if (expected === "absent" || expected === String(known?.shown)) return expected === "absent" ? expected : (known?.real ?? expected);
      throw new RevisionConflictError({ key, source, expected });
    };
    const show = (key: string, source: string): Revision => String(written.get(place(key, source))?.shown);
    return {
      persist: async (message, { expected, ...options } = {}) => {
        const { key, source } = message;
        const revision = await inner.persist(message, {
          ...options,
          ...(expected !== undefined && { expected: real(key, source, expected) }),
        });
        const former = expected === "absent" ? undefined : written.get(place(key, source));
        written.set(place(key, source), { real: revision, shown: (former?.shown ?? 0) + 1 });
        return show(key, source);
      },
      remove: async (key, source, { expected } = {}) => {
        if (!written.has(place(key, source))) return;
        await inner.remove(key, source, expected === undefined ? {} : { expected: real(key, source, expected) });
        written.delete(place(key, source));
      },
      lookUp: async (key, source) => {
        const stored = await inner.lookUp(key, source);
        return stored && { ...stored, revision: show(key, source) };
      },
      lookUpByKey: async (key) => {
        const stored = await inner.lookUpByKey(key);
        return stored.map((entry) => ({ ...entry, revision: show(key, entry.message.source) }));
      },
    };
  });

function blindWrites(isBlind: (record: ClaimRecord, expected: Revision | undefined) => boolean): StoreMutation {
  return (store) =>
    altered(store, (inner) => ({
      persist: (message, { expected, ...options } = {}) => {
        if (isClaimEntry(message.source) && isBlind(claimOf(message), expected)) return inner.persist(message, options);
        return inner.persist(message, { ...options, ...(expected !== undefined && { expected }) });
      },
    }));
}

/** What a bucket refuses for coming too soon is acknowledged, as if it would be written later. */
export const acknowledgedAndRefused: StoreMutation = (store) =>
  altered(store, (inner) => ({
    persist: async (message, options) => {
      try {
        return await inner.persist(message, options);
      } catch (error) {
        if (error instanceof TooManyWrites) return "refused";
        throw error;
      }
    },
  }));

/** Whether it was written by the claim's owner, later than its start. */
function isOwners({ owner, token }: ClaimRecord): boolean {
  return token.startsWith(`${owner}/`) && !token.endsWith("/0");
}

function altered(inner: EventStore, alter: (inner: EventStore) => Partial<EventStore>): EventStore {
  const scopes = new Map<string, EventStore>();
  return {
    ...inner,
    ...alter(inner),
    // What an alteration remembers belongs to the scope, and not to whoever asks for it.
    scope(name) {
      const scope = scopes.get(name) ?? altered(inner.scope(name), alter);
      scopes.set(name, scope);
      return scope;
    },
  };
}
