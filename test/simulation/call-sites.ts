import type { ClaimRecord } from "../../src/claims/claim-record.ts";
import type { Message } from "../../src/message.ts";

import { outcomeEntry, windowEntry } from "../../src/handlers/joiner/entries.ts";

/** Where the code under test calls out, by what it calls for. */
export type CallSite = (typeof writeSites)[number] | (typeof readSites)[number] | (typeof timerSites)[number];

export const writeSites = [
  "store member",
  "open window",
  "claim",
  "seal",
  "take over",
  "freeze",
  "renew",
  "store step",
  "complete",
  "fail",
  "release",
  "clear",
  "report",
  "remove member",
  "remove window",
  "remove outcome",
  "put aside",
  "sink",
] as const;

export const readSites = [
  "look up member",
  "look up window",
  "look up claim",
  "look up letter",
  "read members",
  "list sources",
  "list due",
] as const;

export const timerSites = ["renewal timer", "pause timer", "sweep timer"] as const;

export const deadLetterScope = "dead-letters";
export const claimEntry = "~claim";

/** What a write is for, judged by what it would replace. */
export function siteOfPersist(scope: string, message: Message, stored: ClaimRecord | undefined): CallSite {
  if (scope === deadLetterScope) return "put aside";
  if (message.source === windowEntry) return "open window";
  if (!isClaimEntry(message.source)) return "store member";
  const record = claimOf(message);
  if (record.token.endsWith("/0")) return siteOfStart(record, stored);
  if (record.clearing && !stored?.clearing) return "clear";
  if (record.reported && !stored?.reported) return "report";
  if (record.phase === "done") return record.clearing ? "clear" : "complete";
  if (record.phase === "failed") return "fail";
  if (record.phase === "released") return "release";
  if (stored?.phase === "sealing" && record.phase === "running") return "freeze";
  return Object.keys(record.steps ?? {}).length > Object.keys(stored?.steps ?? {}).length ? "store step" : "renew";
}

export function siteOfLookUp(scope: string, source: string): CallSite {
  if (scope === deadLetterScope) return "look up letter";
  if (source === windowEntry) return "look up window";
  return isClaimEntry(source) ? "look up claim" : "look up member";
}

export function siteOfRemove(source: string): CallSite {
  if (source === windowEntry) return "remove window";
  return isClaimEntry(source) ? "remove outcome" : "remove member";
}

export function isClaimEntry(source: string): boolean {
  return source === outcomeEntry || source === claimEntry;
}

/** What a claim's entry holds, read apart from the code under test: the token is its id, and what is left out is as at the beginning. */
export function claimOf({ id: token, key: trigger, content }: Message): ClaimRecord {
  const [line = "", ...body] = String(content).split("\n");
  const owner = token.slice(0, token.indexOf("/"));
  return {
    trigger,
    starts: 1,
    lease: 0,
    writtenAt: 0,
    ...JSON.parse(line),
    owner,
    token,
    ...(body.length > 0 && { body: body.join("\n") }),
  };
}

function siteOfStart(record: ClaimRecord, stored: ClaimRecord | undefined): CallSite {
  if (record.phase === "sealing") return "seal";
  return stored === undefined ? "claim" : "take over";
}
