import type { Duplex } from "node:stream";

import { text } from "node:stream/consumers";

import { sleep } from "event-driver";
import { type RawData, WebSocket } from "ws";

import type { PulsarSettings } from "./options.ts";

/** What goes over a link, and what it is for. */
export interface LinkListener {
  /** Done before each attempt; when it rejects, the attempt has failed. */
  prepare(): Promise<void>;
  /** The path and the query of the socket. */
  address(): string;
  onOpen(): void;
  onText(text: string): void;
  /** It was open and is so no more. */
  onDown(error: Error): void;
  /** An attempt has failed; says whether there is to be another one. */
  onFailure(error: unknown): boolean;
  /** Whether it is needed now: one that is not stays down. */
  isNeeded(): boolean;
}

/** Who is told when any link that is needed is down, and when none is any more. */
export class Presence {
  readonly #away = new Set<Link>();
  #onChange: (state: "connected" | "reconnecting") => void = () => {};

  observe(onChange: (state: "connected" | "reconnecting") => void): void {
    this.#onChange = onChange;
  }

  leave(link: Link): void {
    this.#away.add(link);
    if (this.#away.size === 1) this.#onChange("reconnecting");
  }

  enter(link: Link): void {
    if (this.#away.delete(link) && this.#away.size === 0) this.#onChange("connected");
  }
}

/** A server that answered, and will not open the socket. */
export class RefusalError extends Error {
  readonly status: number;

  constructor(status: number, reason: string) {
    super(`Pulsar has answered ${status}: ${reason}`);
    this.status = status;
  }

  /** Whether asking again the same way would change nothing. */
  get isFinal(): boolean {
    return this.status >= 400 && this.status < 500 && this.status !== 408 && this.status !== 429;
  }
}

/** The server has closed the socket and says why. */
export class ClosedError extends Error {
  /** 1009 is: a text was too large. */
  readonly status: number;

  constructor(host: string, status: number, reason: string) {
    super(`the socket to ${host} was closed with ${status}${reason && `: ${reason}`}`);
    this.status = status;
  }
}

/** The longest pause between two attempts, in milliseconds. */
const maxPause = 5_000;
/** A socket that was open for less milliseconds counts as one that failed: else one that is thrown out at once would come back without a pause. */
const shortLife = 1_000;
/** How long a server may take to say goodbye, in milliseconds. */
const goodbye = 2_000;
/** How many pings may go unanswered. One may because this process was busy for a while: the answer is there and was not read. */
const maxMissed = 2;

/** One WebSocket that comes back for as long as it is needed. */
export class Link {
  readonly #settings: PulsarSettings;
  readonly #presence: Presence;
  readonly #listener: LinkListener;
  readonly #closing = new AbortController();
  #socket: WebSocket | undefined;
  /** What the socket writes to. */
  #stream: Duplex | undefined;
  #isCorked = false;
  #isRunning = false;
  #running: Promise<void> = Promise.resolve();
  /** Counts attempts, to take turns among the servers. */
  #turn = 0;

  constructor(settings: PulsarSettings, presence: Presence, listener: LinkListener) {
    this.#settings = settings;
    this.#presence = presence;
    this.#listener = listener;
  }

  get isOpen(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Opens the socket, unless it is open or being opened. */
  start(): void {
    if (this.#isRunning || this.#closing.signal.aborted) return;
    this.#isRunning = true;
    this.#running = this.#run();
  }

  /** Whether the text was sent. Even then it gets lost when the socket goes down. */
  send(text: string): boolean {
    if (!this.isOpen) return false;
    this.#cork();
    this.#socket?.send(text);
    return true;
  }

  /** Says goodbye, or ends the attempt that is being made. Idempotent. */
  async close(): Promise<void> {
    const { clock } = this.#settings;
    this.#closing.abort();
    const socket = this.#socket;
    if (this.isOpen) socket?.close(1000);
    else socket?.terminate();
    const cancel = clock.after(goodbye, () => socket?.terminate());
    await this.#running;
    cancel();
  }

  /** All texts of one turn of the event loop go out in one write: else each would be a call of the operating system. */
  #cork(): void {
    const stream = this.#stream;
    if (stream === undefined || this.#isCorked) return;
    this.#isCorked = true;
    stream.cork();
    process.nextTick(() => {
      this.#isCorked = false;
      stream.uncork();
    });
  }

  async #run(): Promise<void> {
    const { clock } = this.#settings;
    let failures = 0;
    try {
      while (this.#isNeeded()) {
        const startedAt = clock.now();
        const goesOn = await this.#runOnce();
        if (!goesOn || !this.#isNeeded()) return;
        this.#presence.leave(this);
        failures = clock.now() - startedAt < shortLife ? failures + 1 : 0;
        await sleep(clock, pauseAfter(failures), this.#closing.signal).catch(() => {});
      }
    } finally {
      this.#isRunning = false;
      this.#presence.enter(this);
    }
  }

  #isNeeded(): boolean {
    return !this.#closing.signal.aborted && this.#listener.isNeeded();
  }

  /** From an attempt to the end of what it has opened. Whether there is to be another one. */
  async #runOnce(): Promise<boolean> {
    let session: Session;
    try {
      await this.#unlessClosing(this.#listener.prepare());
      session = await this.#dial(await this.#unlessClosing(this.#settings.token()));
    } catch (error) {
      return !this.#closing.signal.aborted && this.#listener.onFailure(error);
    }
    this.#listener.onDown(await session.ended);
    return true;
  }

  async #dial(token: string | undefined): Promise<Session> {
    const { servers, socket: options, connectTimeout } = this.#settings;
    const server = servers[this.#turn % servers.length] ?? servers[0];
    this.#turn += 1;
    const socket = new WebSocket(server.href.replace(/\/$/, "") + this.#listener.address(), {
      perMessageDeflate: false,
      skipUTF8Validation: true,
      handshakeTimeout: connectTimeout,
      ...options,
      headers: { ...options.headers, ...(token !== undefined && { authorization: `Bearer ${token}` }) },
    });
    this.#socket = socket;
    const ended = new Promise<Error>((resolve) => {
      socket.once("close", (status, reason) => resolve(new ClosedError(server.host, status, reason.toString())));
    });
    this.#watch(socket);
    await opened(socket, ended);
    return { ended };
  }

  #watch(socket: WebSocket): void {
    let missed = 0;
    let cancel: (() => void) | undefined;
    const beat = (): void => {
      if (missed === maxMissed) return socket.terminate();
      missed += 1;
      socket.ping();
      cancel = this.#settings.clock.after(this.#settings.heartbeat, beat);
    };
    socket.on("upgrade", (response) => (this.#stream = response.socket));
    socket.on("open", () => {
      // In this turn: what comes right behind the handshake is for those who know that the socket is open.
      this.#presence.enter(this);
      this.#listener.onOpen();
      beat();
    });
    socket.on("pong", () => (missed = 0));
    socket.on("message", (data) => {
      missed = 0;
      this.#read(socket, data);
    });
    socket.on("close", () => cancel?.());
    // What was wrong is said by the end of the socket, or of the attempt.
    socket.on("error", (error) => this.#settings.logger.debug({ err: error }, "a socket to Pulsar has failed"));
  }

  #read(socket: WebSocket, data: RawData): void {
    try {
      // It is one buffer, for nothing else was asked for.
      if (Buffer.isBuffer(data)) this.#listener.onText(data.toString());
    } catch (error) {
      this.#settings.logger.error({ err: error }, "Pulsar has sent what is not of its WebSocket API; the socket is opened anew");
      socket.terminate();
    }
  }

  #unlessClosing<Result>(happening: Result | Promise<Result>): Promise<Result> {
    const { signal } = this.#closing;
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason);
      signal.addEventListener("abort", onAbort, { once: true });
      Promise.resolve(happening)
        .then(resolve, reject)
        .finally(() => signal.removeEventListener("abort", onAbort));
    });
  }
}

/** A socket that is open. */
interface Session {
  /** Resolves with the reason when it is not any more. */
  readonly ended: Promise<Error>;
}

/** Rejects with what the server, or the network, has against it. */
async function opened(socket: WebSocket, ended: Promise<Error>): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once("open", resolve);
  socket.once("error", reject);
  socket.once("unexpected-response", (_request, response) => {
    const end = (body: string): void => {
      reject(new RefusalError(response.statusCode ?? 0, reasonIn(body)));
      socket.terminate();
    };
    text(response).then(end, () => end(""));
  });
  void ended.then(reject);
  await promise;
}

/** Pulsar's own words in the page of HTML around them. */
function reasonIn(page: string): string {
  const message = /MESSAGE:<\/th><td>([^<]*)/.exec(page)?.[1] ?? page.replace(/<[^>]*>/g, " ");
  const plain = message.replaceAll("&quot;", '"').replaceAll("&apos;", "'").replace(/\s+/g, " ").trim();
  return (/"errorMsg":"([^"]*)"/.exec(plain)?.[1] ?? plain).slice(0, 300);
}

/** Doubles with every failure, and differs from process to process. */
function pauseAfter(failures: number): number {
  return Math.min(maxPause, 50 * 2 ** failures) * (0.5 + Math.random() / 2);
}
