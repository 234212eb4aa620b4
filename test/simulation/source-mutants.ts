/** A change of one place in the code under test, made while it is loaded. */
export interface SourcePatch {
  /** From the folder `src`. */
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly find: string;
  readonly replace: string;
}

/** Mutants that no environment can imitate, by name. */
export const sourcePatches: Readonly<Record<string, readonly SourcePatch[]>> = {
  "complete before next": [
    {
      file: "claims/guard.ts",
      find: "    await next(guarded, message);\n",
      replace: '    await claim.end({ phase: "done", ...kept });\n    return await next(guarded, message);\n',
    },
  ],
  "acknowledging a duplicate in progress of the same identity": [
    {
      file: "handlers/joiner/join-message.ts",
      find: " || found?.record.trigger === identityOf(message) || !arrival.isSwept(ctx)",
      replace: "",
    },
  ],
  "acknowledging a duplicate in progress, without a joiner": [
    {
      file: "handlers/idempotency/idempotency.ts",
      find: "if (!(await waiting.pause())) throw inProgress(message.id, lease);",
      replace: "if (!(await waiting.pause())) return;",
    },
  ],
  "acknowledging while nothing is decided": [
    { file: "handlers/joiner/join-message.ts", find: "if (!isDecided || ", replace: "if (!found || " },
  ],
  "list before persist": [
    {
      file: "handlers/joiner/join-message.ts",
      find: "  let accepted = await accept(join.entries, ctx, message, join.repeated);\n",
      replace:
        "  const early = await listJoin(join, ctx, message.key);\n  let accepted = await accept(join.entries, ctx, message, join.repeated);\n  let isEarly = true;\n",
    },
    {
      file: "handlers/joiner/join-message.ts",
      find: "    const listing = await listJoin(join, ctx, message.key);\n",
      replace:
        "    const listing = isEarly ? { ...early, sources: new Set([...early.sources, message.source]) } : await listJoin(join, ctx, message.key);\n    isEarly = false;\n",
    },
  ],
  "no late check": [
    {
      file: "handlers/joiner/members.ts",
      find: 'if (member === undefined) return "late";',
      replace: 'if (member === undefined) return "included";',
    },
    {
      file: "handlers/joiner/members.ts",
      find: 'return takesPlace(own, member, policy) ? "late" : "superseded";',
      replace: 'return "included";',
    },
  ],
  "no seal": [
    {
      file: "handlers/joiner/join.ts",
      find: '  const { claim } = await startClaim(settings.rules, ctx, key, found, { phase: "sealing", trigger });\n',
      replace:
        '  const unsealed = await decide(settings, ctx, key, await readMembers(settings.entries, ctx, key), ending);\n  if (unsealed === undefined) return undefined;\n  return (await startClaim(settings.rules, ctx, key, found, { phase: "running", trigger, kept: held(unsealed) })).claim;\n  const { claim } = await startClaim(settings.rules, ctx, key, found, { phase: "sealing", trigger });\n',
    },
  ],
  "no freeze": [
    {
      file: "handlers/joiner/join.ts",
      find: "  const message = composedMessage(claim.key, composed);\n",
      replace:
        "  const again = await freeze({ scope: settings.scope, key: claim.key, kind, missing }, await readMembers(settings.entries, ctx, claim.key), 0);\n  const message = composedMessage(claim.key, { ...again.composed, id: composed.id });\n",
    },
  ],
  "outcome removed first": [
    {
      file: "handlers/joiner/join.ts",
      find: "  if (!(await changeClaim(rules, ctx, key, found, { clearing: true }))) return;\n",
      replace: "  await rules.store.remove(key, outcomeEntry, { ...options, expected: found.revision });\n",
    },
  ],
  "one-pass retention": [
    {
      file: "handlers/joiner/join.ts",
      find: "  if (!(await changeClaim(rules, ctx, key, found, { clearing: true }))) return;\n  for (const { store, source, revision } of removals) await removeEntry(store, ctx, key, source, revision);\n",
      replace:
        "  for (const { store, source, revision } of removals) await removeEntry(store, ctx, key, source, revision);\n  await rules.store.remove(key, outcomeEntry, { ...options, expected: found.revision });\n",
    },
  ],
  "no own-source check": [
    {
      file: "handlers/joiner/join-message.ts",
      find: "if (!listing.sources.has(message.source)) {",
      replace: "if (false) {",
    },
  ],
  "fence restart": [
    {
      file: "claims/claim.ts",
      find: "previous === undefined ? now : Math.max(previous.record.fence + 1, now)",
      replace: "now",
    },
  ],
  // An owner that goes on from all that it finds is safe even so: the queue is a second line of defence, and is tried without the first.
  "unserialised owner writes": [
    {
      file: "claims/claim.ts",
      find: "if (this.#isWriting) await",
      replace: "if (false) await",
    },
    {
      file: "claims/claim.ts",
      find: "this.#landed(found.record, found.revision);\n    return false;",
      replace: "this.#revision = found.revision;\n    return false;",
    },
  ],
  "skipping failed ones": [
    {
      file: "claims/failure.ts",
      find: "if (reported || failure === undefined) return",
      replace: "if (failure?.code) return",
    },
  ],
  "work begun after the lease": [
    {
      file: "claims/claim.ts",
      find: "    if (!this.holds) await this.update();\n    if (!this.holds) throw leaseLost(this.key, `ran out while it was being renewed; give it a longer lease than ${this.#record.lease} ms`);\n",
      replace: "",
    },
  ],
  "late writes of its own overwritten": [
    {
      file: "claims/claim.ts",
      find: "this.#landed(found.record, found.revision);\n    return false;",
      replace: "this.#revision = found.revision;\n    return false;",
    },
  ],
  "clearing what is not due": [
    {
      file: "handlers/joiner/sweep.ts",
      find: " || !isDue(found, ctx)) return false;",
      replace: ") return false;",
    },
  ],
  "changes that keep the owner": [
    {
      file: "claims/claim.ts",
      find: "  const owner = rules.nameOwner();\n  const record: ClaimRecord = { ...found",
      replace: "  const { owner } = found.record;\n  const record: ClaimRecord = { ...found",
    },
  ],
  "second events acknowledged after the end": [
    {
      file: "handlers/joiner/join-message.ts",
      find: 'if (standing === "superseded" && join.repeated === "reject") throw repeatedSource(message);',
      replace: "",
    },
  ],
  "lists believed that an outcome has left": [
    {
      file: "handlers/joiner/join-message.ts",
      find: 'if (listing.hasOutcome && found === undefined) progress = "wait";\n      else if',
      replace: "if",
    },
  ],
  "claims that never go": [
    {
      file: "handlers/idempotency/idempotency.ts",
      find: 'expiresAt: writtenAt + retention + (phase === "done" || phase === "failed" ? 0 : lease),',
      replace: '...((phase === "done" || phase === "failed") && { expiresAt: writtenAt + retention }),',
    },
  ],
};
