import type { DeadLetter, DeadLetterFilter } from "event-driver/dead-letters";

import type { Letters, Place } from "./letters.ts";

import { asDetails, asJson, asLine, word } from "./format.ts";
import { inOneLine } from "./one-line.ts";
import { Usage } from "./usage.ts";

/** What the commands are asked with. */
export interface CommandOptions extends Place {
  readonly since?: Date;
  readonly until?: Date;
  readonly source?: string;
  readonly error?: string;
  readonly key?: string;
  readonly limit?: number;
  readonly content?: true;
  readonly json?: true;
  readonly rate?: number;
  readonly dryRun?: true;
  readonly yes?: true;
  readonly missing?: true;
}

/** Where the commands write to, and how they say that something failed. */
export interface Output {
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
  readonly fail: () => void;
  readonly signal: AbortSignal;
}

type Found = { readonly letter: DeadLetter; readonly remove: () => Promise<void> };

export async function list(letters: Letters, options: CommandOptions, { write, signal }: Output): Promise<void> {
  const content = options.content ?? false;
  for await (const { letter } of selected(letters, [], options, signal)) {
    write(`${options.json ? asJson(letter, { content }) : asLine(letter)}\n`);
    if (content && !options.json) write(`${contentLine(letter)}\n`);
  }
}

export async function show(letters: Letters, ids: readonly string[], options: CommandOptions, output: Output): Promise<void> {
  const missing = new Set(ids);
  for await (const { letter } of selected(letters, ids, options, output.signal)) {
    missing.delete(letter.message.id);
    output.write(`${asDetails(letter, { content: options.content ?? false, json: options.json ?? false })}\n${options.json ? "" : "\n"}`);
  }
  reportMissing(missing, output);
}

export async function requeue(letters: Letters, options: CommandOptions, { write, writeError, fail, signal }: Output): Promise<void> {
  const { limit, rate = 50, dryRun = false, json } = options;
  const report = await letters.requeue({ where: filterOf(options), rate, dryRun, signal, ...(limit !== undefined && { limit }) });
  const { redriven, skipped, failed, more } = report;
  for (const { message, error } of failed) writeError(`error: ${word(message.id)} of key ${word(message.key)}: ${inOneLine(error)}\n`);
  if (failed.length > 0) fail();
  if (json) write(`${JSON.stringify({ requeued: redriven, skipped, failed: failed.length, more, dryRun })}\n`);
  else
    write(
      `${redriven} ${dryRun ? "would be requeued" : "requeued"}, ${skipped} skipped, ${failed.length} failed${more ? "; there may be more" : ""}\n`,
    );
}

export async function drop(letters: Letters, ids: readonly string[], options: CommandOptions, output: Output): Promise<void> {
  const { yes, missing: giveUp, key, json } = options;
  if (giveUp && key === undefined) throw new Usage("--missing needs --key, the key whose queue is meant");
  const missing = new Set(ids);
  let dropped = 0;
  for await (const { letter, remove } of selected(letters, ids, options, output.signal)) {
    missing.delete(letter.message.id);
    dropped += 1;
    if (yes) await remove();
    if (!json) output.write(`${asLine(letter)}\n`);
  }
  const places = yes && giveUp && key !== undefined ? await letters.giveUpMissing(key) : [];
  reportMissing(missing, output);
  if (json) output.write(`${JSON.stringify({ dropped: yes ? dropped : 0, selected: dropped, places: places.length })}\n`);
  else
    output.write(
      yes
        ? `${dropped} dropped${places.length > 0 ? `, and ${places.length} places given up` : ""}\n`
        : `${dropped} would be dropped; say --yes to do it\n`,
    );
}

async function* selected(letters: Letters, ids: readonly string[], options: CommandOptions, signal: AbortSignal): AsyncGenerator<Found> {
  let left = options.limit ?? Infinity;
  for await (const found of letters.read(filterOf(options), signal)) {
    if (ids.length > 0 && !ids.includes(found.letter.message.id)) continue;
    yield found;
    left -= 1;
    if (left === 0) return;
  }
}

function filterOf({ key, source, error, since, until }: CommandOptions): DeadLetterFilter {
  return { key, source, code: error, since, until };
}

function reportMissing(missing: ReadonlySet<string>, { writeError, fail }: Output): void {
  for (const id of missing) writeError(`error: no dead letter of message ${word(id)} is here\n`);
  if (missing.size > 0) fail();
}

function contentLine({ message: { content }, failure }: DeadLetter): string {
  return `  ${word(failure.message)} ${typeof content === "string" ? word(content) : `(${content.length} bytes)`}`;
}
