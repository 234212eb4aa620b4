import type { AddressInfo } from "node:net";

import {
  Agent,
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request as openRequest,
  type ServerResponse,
} from "node:http";

import { type Clock, sleep, systemClock } from "../src/clock.ts";

export interface FaultProxyOptions {
  /** The server behind the proxy, for example `services.gcs.url`. */
  readonly upstream: string;
  /**
   * What delays and intervals are measured on.
   * @default systemClock
   */
  readonly clock?: Clock;
}

/** A request as it came to the proxy, whether or not it got further. */
export interface ProxiedRequest {
  readonly method: string;
  /** Path and query, still encoded. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

interface AnyRule {
  /**
   * Which requests it is for.
   * @default all of them
   */
  readonly when?: (request: ProxiedRequest) => boolean;
  /**
   * How many requests it is for: after those it does nothing.
   * @default Infinity
   */
  readonly times?: number;
}

/** Answers in the server's stead, which never sees the request. */
export interface ReplyRule extends AnyRule {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** @default an error in JSON, as Google's services write it */
  readonly body?: string | Uint8Array;
}

/** Breaks the connection instead of answering. */
export interface CutRule extends AnyRule {
  /** `before` the server sees the request, or `after` it has answered: then what was asked for is done, and the caller cannot know. */
  readonly cut: "before" | "after";
}

/** Holds the request up before the server sees it. */
export interface DelayRule extends AnyRule {
  /** In milliseconds. */
  readonly delay: number;
}

/** Answers 429 to whoever writes to one thing too often. Only what the server accepts counts as a write. */
export interface PaceRule extends AnyRule {
  /** What must not be written to too often, for example the name of an object; `undefined` where the request writes to nothing. */
  readonly key: (request: ProxiedRequest) => string | undefined;
  /** Milliseconds from one write to the next, measured from where each was let through. */
  readonly interval: number;
}

export type FaultRule = ReplyRule | CutRule | DelayRule | PaceRule;

/** A rule in force. */
export interface ActiveRule {
  /** How many requests it has answered, cut or held up so far. */
  readonly hits: number;
  /** Takes it out of force for requests that are yet to come. */
  withdraw(): void;
}

export interface FaultProxy {
  /** Where it listens, without a slash at the end. */
  readonly url: string;
  /** Every request so far, in the order in which their bodies had come whole. */
  readonly requests: readonly ProxiedRequest[];
  /** Puts a rule in force for the requests that come from now on. They meet the rules in the order these were given, until one of them answers or cuts. */
  answer(rule: FaultRule): ActiveRule;
  /** Stops listening and breaks every open connection. */
  close(): Promise<void>;
}

/**
 * Stands in front of a real HTTP server, passes requests on as they are, and misbehaves where a rule says so.
 *
 * Use it where a fault depends on what is asked; for slow or broken connections of any protocol there is toxiproxy. It holds whole bodies in memory.
 *
 * @example
 * const proxy = await faultProxy({ upstream: services.gcs.url });
 * const cut = proxy.answer({ when: ({ method }) => method === "POST", cut: "after", times: 1 });
 * const store = gcsEventStore({ bucket, apiEndpoint: proxy.url });
 */
export async function faultProxy({ upstream, clock = systemClock }: FaultProxyOptions): Promise<FaultProxy> {
  const agent = new Agent({ keepAlive: true });
  const closing = new AbortController();
  const requests: ProxiedRequest[] = [];
  const rules: RuleInForce[] = [];

  const handle = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await collect(incoming).catch(goneAway);
    if (body === undefined) return;
    const request: ProxiedRequest = { method: incoming.method ?? "", path: incoming.url ?? "", headers: incoming.headers };
    requests.push(request);
    const toServer = (): Promise<Outcome> => forward(new URL(request.path, upstream), request, body, agent);
    const outcome = await rules.reduceRight<() => Promise<Outcome>>((next, rule) => () => rule.apply(request, next), toServer)();
    finish(response, outcome);
  };

  const server = createServer((incoming, response) => {
    handle(incoming, response).catch((error: unknown) => {
      response.destroy();
      if (!closing.signal.aborted) throw error;
    });
  });
  // A connection closed for idleness, just as its client uses it again, would be a fault that no rule asked for.
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

  return {
    url: `http://127.0.0.1:${portOf(server.address())}`,
    requests,
    answer(rule) {
      const inForce = putInForce(rule, clock, closing.signal);
      rules.push(inForce);
      return {
        get hits() {
          return inForce.hits();
        },
        withdraw() {
          if (rules.includes(inForce)) rules.splice(rules.indexOf(inForce), 1);
        },
      };
    },
    async close() {
      closing.abort();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      agent.destroy();
      await closed;
    },
  };
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string | Uint8Array;
}

interface Outcome {
  /** What the server, or a rule in its stead, had to say; `undefined` where nobody was asked or nobody answered. */
  readonly answer: Answer | undefined;
  /** Whether the caller sees a broken connection all the same. */
  readonly cut: boolean;
}

interface RuleInForce {
  readonly hits: () => number;
  readonly apply: (request: ProxiedRequest, next: () => Promise<Outcome>) => Promise<Outcome>;
}

function putInForce(rule: FaultRule, clock: Clock, closing: AbortSignal): RuleInForce {
  const { when = () => true, times = Infinity } = rule;
  const effect = effectOf(rule, clock, closing);
  let hits = 0;
  return {
    hits: () => hits,
    async apply(request, next) {
      if (hits >= times || !when(request)) return next();
      return effect(request, next, () => (hits += 1));
    },
  };
}

/** What a rule does to a request that it is for; `hit` is called when it does more than look. */
type Effect = (request: ProxiedRequest, next: () => Promise<Outcome>, hit: () => void) => Promise<Outcome>;

function effectOf(rule: FaultRule, clock: Clock, closing: AbortSignal): Effect {
  if ("status" in rule) {
    return async (_request, _next, hit) => {
      hit();
      return replied(rule.status, rule.headers, rule.body);
    };
  }
  if ("cut" in rule) {
    return async (_request, next, hit) => {
      hit();
      return { answer: rule.cut === "before" ? undefined : (await next()).answer, cut: true };
    };
  }
  if ("delay" in rule) {
    return async (_request, next, hit) => {
      hit();
      await sleep(clock, rule.delay, closing);
      return next();
    };
  }
  return paced(rule, clock);
}

function paced({ key: keyOf, interval }: PaceRule, clock: Clock): Effect {
  const lastWrites = new Map<string, number>();
  return async (request, next, hit) => {
    const key = keyOf(request);
    if (key === undefined) return next();
    const before = lastWrites.get(key) ?? -Infinity;
    if (clock.now() - before < interval) {
      hit();
      return replied(429);
    }
    // Taken before the server is asked, so that of two at once only one gets through.
    lastWrites.set(key, clock.now());
    const outcome = await next();
    if (outcome.answer === undefined || outcome.answer.status >= 400) lastWrites.set(key, before);
    return outcome;
  };
}

function replied(status: number, headers: Readonly<Record<string, string>> = {}, body?: string | Uint8Array): Outcome {
  if (body !== undefined) return { answer: { status, headers, body }, cut: false };
  const error = JSON.stringify({ error: { code: status, message: `the fault proxy answers ${status}` } });
  return { answer: { status, headers: { "content-type": "application/json; charset=UTF-8", ...headers }, body: error }, cut: false };
}

/** A server that is down, or hangs up, looks through the proxy as it would without it. */
async function forward(url: URL, { method, headers }: ProxiedRequest, body: Buffer, agent: Agent): Promise<Outcome> {
  const sent = openRequest(url, { method, agent, headers: { ...endToEnd(headers), host: url.host } });
  const received = new Promise<Answer>((resolve, reject) => {
    sent.once("error", reject);
    sent.once("response", (incoming) => {
      const { statusCode: status = 502, headers: given } = incoming;
      collect(incoming).then((content) => resolve({ status, headers: endToEnd(given), body: content }), reject);
    });
  });
  sent.end(body);
  return received.then(
    (answer) => ({ answer, cut: false }),
    () => ({ answer: undefined, cut: true }),
  );
}

function finish(response: ServerResponse, { answer, cut }: Outcome): void {
  if (cut || answer === undefined) {
    response.destroy();
    return;
  }
  response.statusCode = answer.status;
  for (const [name, value] of Object.entries(answer.headers)) if (value !== undefined) response.setHeader(name, value);
  response.end(answer.body);
}

/** The headers without those that are about one connection and the framing on it. */
function endToEnd(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !hopByHop.has(name)));
}

const hopByHop: ReadonlySet<string> = new Set(["connection", "expect", "keep-alive", "transfer-encoding"]);

async function collect(incoming: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of incoming) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** A client that leaves before it has said what it wants is owed nothing. */
function goneAway(): undefined {
  return undefined;
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === "string") throw new Error("the proxy does not listen on a port");
  return address.port;
}
