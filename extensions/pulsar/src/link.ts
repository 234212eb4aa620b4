import { sleep } from "event-driver";

import type { PulsarSettings } from "./options.ts";

import { Socket } from "./socket.ts";

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

/** The longest pause between two attempts, in milliseconds. */
const maxPause = 5_000;
/** An attempt that lasted less milliseconds has failed, also if it opened: else a socket that is thrown out at once would come back without a pause. */
const shortLife = 1_000;

/** A socket that comes back for as long as it is needed. */
export class Link {
  readonly #settings: PulsarSettings;
  readonly #presence: Presence;
  readonly #listener: LinkListener;
  readonly #closing = new AbortController();
  #socket: Socket | undefined;
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
    return this.#socket?.isOpen ?? false;
  }

  /** Opens the socket, unless it is open or being opened. */
  start(): void {
    if (this.#isRunning || this.#closing.signal.aborted) return;
    this.#isRunning = true;
    this.#running = this.#run();
  }

  /** Sends a text, if the socket is open. */
  send(text: string): void {
    this.#socket?.send(text);
  }

  /** Says goodbye, or ends the attempt that is being made. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#socket?.close();
    await this.#running;
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
    let socket: Socket;
    try {
      await this.#unlessClosing(this.#listener.prepare());
      const token = await this.#unlessClosing(this.#settings.token());
      socket = this.#dial(token);
      await socket.opened;
    } catch (error) {
      return !this.#closing.signal.aborted && this.#listener.onFailure(error);
    }
    this.#listener.onDown(await socket.ended);
    return true;
  }

  #dial(token: string | undefined): Socket {
    const { servers } = this.#settings;
    const server = servers[this.#turn % servers.length] ?? servers[0];
    this.#turn += 1;
    // It may have been closed since it was looked at last, and then nobody would close this one.
    this.#closing.signal.throwIfAborted();
    this.#socket = new Socket({
      server,
      address: this.#listener.address(),
      token,
      settings: this.#settings,
      onOpen: () => {
        this.#presence.enter(this);
        this.#listener.onOpen();
      },
      onText: (text) => this.#listener.onText(text),
    });
    return this.#socket;
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

/** Doubles with every failure, and differs from process to process. */
function pauseAfter(failures: number): number {
  return Math.min(maxPause, 50 * 2 ** failures) * (0.5 + Math.random() / 2);
}
