import type { Connection } from "event-driver/streams";

import { createMessage, isEventDriverError, type Logger, type Message } from "event-driver";
import { randomUUID } from "node:crypto";
import { inspect } from "node:util";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";

import type { BrokerName } from "./broker-process.ts";

import { type SecuredBroker, securedBroker } from "./secured-broker.ts";

/** How somebody comes to the broker, to be said in the options of its adapter. */
export interface Access {
  /** `host:port`. */
  readonly host: string;
  /** PEM of whom to trust; nobody but those whom Node trusts where it is `undefined`. */
  readonly authority: string | undefined;
  readonly user: string;
  readonly password: string;
  readonly connectTimeout: number;
  readonly logger: Logger;
}

/** A way to the broker that can be cut. */
export interface Way {
  /** `host:port` of it. */
  readonly host: string;
  cut(): Promise<void>;
  mend(): Promise<void>;
  remove(): Promise<void>;
}

export interface SecuredKit<Native> {
  readonly broker: BrokerName;
  readonly open: (access: Access) => Promise<Connection<Native>>;
  /** Opens a way to `host:port`. */
  readonly wayTo: (host: string) => Promise<Way>;
  /**
   * What must be in no error and no log.
   * @default the password, as it is and as it stands in a URL
   */
  readonly secretsOf?: (access: Access) => readonly string[];
}

/** What every adapter has to do over TLS and with credentials, in a suite whose server can be started. Gives the broker to further tests of the suite. */
export function securedKit<Native>({ broker: name, open, wayTo, secretsOf = passwordOf }: SecuredKit<Native>): () => SecuredBroker {
  let broker: SecuredBroker;
  beforeAll(async () => void (broker = await securedBroker(name)), 180_000);
  afterAll(() => broker?.stop(), 60_000);

  const access = (changes: Partial<Access> = {}): { readonly access: Access; readonly heard: () => string } => {
    const { host, user, password, certificates } = broker;
    const { logger, heard } = listening();
    return { access: { host, authority: certificates.authority, user, password, connectTimeout: 600_000, logger, ...changes }, heard };
  };

  test("publishes and consumes over TLS, signed in, with an authority of one's own", async () => {
    const { access: allowed, heard } = access();
    const connection = await opened(open, allowed);
    const stream = randomUUID();
    // Some fit into one record of TLS, and others need many.
    const contents = Array.from({ length: 200 }, (_, index) => `${index}-`.repeat(index * 20 + 1));
    const consumed: string[] = [];

    await connection.subscribe(stream, async (_ctx, { content }) => void consumed.push(String(content)));
    const settlements = await connection.publishBatch(
      stream,
      contents.map((content, index) => message(String(index), content)),
    );
    await vi.waitFor(() => expect(consumed.length).toBe(contents.length), patience);

    expect(settlements.map(({ status }) => status)).toEqual(contents.map(() => "published"));
    expect(consumed).toEqual(contents);
    expect(leaksIn(heard(), secretsOf(allowed))).toEqual([]);
  });

  test("comes back over TLS after the way was cut", async () => {
    const way = await wayTo(broker.host);
    onTestFinished(() => way.remove());
    const { access: allowed, heard } = access({ host: way.host });
    const connection = await opened(open, allowed);
    const states: string[] = [];
    connection.on("state", ({ state }) => void states.push(state));
    const stream = randomUUID();
    const ids = new Set<string>();
    await connection.subscribe(stream, async (_ctx, { id }) => void ids.add(id));
    await connection.publish(stream, message("1"));
    await vi.waitFor(() => expect(ids).toContain("1"), patience);

    await way.cut();
    await vi.waitFor(() => expect(states).toContain("reconnecting"), patience);
    await way.mend();
    await connection.publish(stream, message("2"));
    await vi.waitFor(() => expect(ids).toContain("2"), patience);

    expect(leaksIn(heard(), secretsOf(allowed))).toEqual([]);
  });

  test.each<[string, (broker: SecuredBroker) => Partial<Access>]>([
    ["nobody who is trusted has signed", () => ({ authority: undefined })],
    ["another authority than the given one has signed", ({ certificates }) => ({ authority: certificates.stranger })],
    ["is for another name", ({ host }) => ({ host: host.replace("127.0.0.1", "localhost") })],
  ])("refuses a server at once whose certificate %s", async (_what, changes) => {
    const { access: refused, heard } = access(changes(broker));

    const failure = await failureOf(open(refused));

    expect(failure).toMatchObject({ code: "ERR_CONNECTION_FAILED", retryable: false });
    expect(failure.message).toMatch(/^the certificate of .* is (signed by nobody who is trusted|for another name) /);
    expect(failure.message).toContain(refused.host);
    expect(leaksIn(shown(failure) + heard(), secretsOf(refused))).toEqual([]);
  });

  test("is told at once that its credentials are wrong, and tells nobody what they are", async () => {
    const password = `wrong-${randomUUID()}`;
    const { access: refused, heard } = access({ password });

    const failure = await failureOf(open(refused));

    expect(failure).toMatchObject({ code: "ERR_CONNECTION_FAILED", retryable: false });
    expect(failure.message).toMatch(/credentials|token/);
    expect(leaksIn(shown(failure) + heard(), secretsOf(refused))).toEqual([]);
  });

  return () => broker;
}

/** Far less than the `connectTimeout`: what has to be refused at once cannot wait for that. */
const patience = { timeout: 30_000, interval: 10 };

async function opened<Native>(open: SecuredKit<Native>["open"], access: Access): Promise<Connection<Native>> {
  const connection = await open(access);
  onTestFinished(() => connection.close({ limit: 0 }));
  return connection;
}

async function failureOf(opening: Promise<unknown>): Promise<Error> {
  const outcome = await opening.catch((error: unknown) => error);
  if (isEventDriverError(outcome)) return outcome;
  throw new Error(`it was not refused by an error of this project: ${inspect(outcome)}`);
}

/** A logger, and all that it was told. */
function listening(): { readonly logger: Logger; readonly heard: () => string } {
  const told: unknown[] = [];
  const listen = (...said: readonly unknown[]): void => void told.push(said);
  return {
    logger: { debug: listen, info: listen, warn: listen, error: listen },
    heard: () => shown(told),
  };
}

function passwordOf({ password }: Access): readonly string[] {
  return [password, encodeURIComponent(password)];
}

function leaksIn(text: string, secrets: readonly string[]): readonly string[] {
  return secrets.filter((secret) => text.includes(secret));
}

/** With all that an error was caused by, and what a logger that looks into everything would write. */
function shown(value: unknown): string {
  return inspect(value, { depth: Infinity, maxArrayLength: Infinity, maxStringLength: Infinity, showHidden: true });
}

function message(id: string, content: string = "{}"): Message {
  return createMessage({ id, key: "order-1", source: "shop", content });
}
