import { Command, InvalidArgumentError, Option } from "commander";

import { type CommandOptions, drop, type Output, list, requeue, show } from "./commands.ts";
import { type Addresses, openAll } from "./open.ts";
import { lettersOf, type Letters } from "./letters.ts";

/** The command line: what can be asked for, and with which options. */
export function programOf(output: Output): Command {
  const program = new Command("event-driver")
    .description("Looks after what event-driver keeps for operators.")
    .configureOutput({ writeOut: output.write, writeErr: output.writeError })
    .exitOverride();
  const letters = program.command("dead-letters").description("messages that were put aside");

  filtered(letters.command("list").description("one line for each")).action((options: CommandOptions & Addresses) =>
    withLetters(options, (source) => list(source, options, output)),
  );
  filtered(letters.command("show").description("all that is known of some").argument("<id...>", "ids of messages")).action(
    (ids: readonly string[], options: CommandOptions & Addresses) => withLetters(options, (source) => show(source, ids, options, output)),
  );
  filtered(
    letters
      .command("requeue")
      .description("back to where they came from, in order for each key, and away from here when they have arrived"),
  )
    .option("--to <stream>", "the stream into which they go; those of a stream go back to where they came from")
    .option("--rate <number>", "at most so many a second", positive, 50)
    .option("--dry-run", "only count them")
    .action((options: CommandOptions & Addresses) => withLetters(options, (source) => requeue(source, options, output)));
  filtered(
    letters
      .command("drop")
      .description("remove them for good")
      .argument("[id...]", "ids of messages; all that the filters select where there are none"),
  )
    .option("--yes", "do it; without it they are only listed")
    .option("--missing", "with --key: also give up the places in its queue whose dead letters are gone")
    .action((ids: readonly string[], options: CommandOptions & Addresses) =>
      withLetters(options, (source) => drop(source, ids, options, output)),
    );
  return program;
}

async function withLetters(options: CommandOptions & Addresses, work: (letters: Letters) => Promise<void>): Promise<void> {
  const opened = await openAll(options);
  try {
    await work(lettersOf(opened, options));
  } finally {
    await opened.close();
  }
}

/** The options that all commands have: where the dead letters are, and which of them are meant. */
function filtered(command: Command): Command {
  return command
    .addOption(
      new Option(
        "--connection <url>",
        "the broker: nats://, kafka://, amqp://, pulsar+ws://, mqtt://, or with TLS tls://, kafkas://, amqps://, pulsar+wss://, mqtts://",
      ).env("EVENT_DRIVER_CONNECTION"),
    )
    .option("--stream <name>", "the dead-letter stream")
    .option("--name <name>", "under which name it is read; the stream's own by default")
    .option("--idle <milliseconds>", "how long nothing more must come for it to be read to its end", positive)
    .addOption(
      new Option("--store <address>", "the store that dead letters, or parked keys, are in: sqlite:FILE").env("EVENT_DRIVER_STORE"),
    )
    .option("--scope <name>", "the part of the store that they are in")
    .option("--config <file>", "a module that exports connection, store, pipeline or parked, for everything else")
    .option("--since <time>", "failed last at this time or later, as 2026-01-31T12:00:00Z", time)
    .option("--until <time>", "failed last before this time", time)
    .option("--source <name>", "of this source")
    .option("--error <code>", "failed with this code, as ERR_TERMINAL")
    .option("--key <key>", "of this key")
    .option("--limit <number>", "at most so many", whole)
    .option("--content", "show the content, and the words of errors, which may quote it")
    .option("--json", "one JSON object a line");
}

function positive(text: string): number {
  const number = Number(text);
  if (!(number > 0 && number < Infinity)) throw new InvalidArgumentError("It must be a number above 0.");
  return number;
}

function whole(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new InvalidArgumentError("It must be a whole number from 1.");
  return number;
}

function time(text: string): Date {
  const given = new Date(text);
  if (Number.isNaN(given.getTime())) throw new InvalidArgumentError("It must be a time, as 2026-01-31T12:00:00Z.");
  return given;
}
