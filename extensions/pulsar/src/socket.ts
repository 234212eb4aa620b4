import type { Duplex } from "node:stream";

import { text } from "node:stream/consumers";

import { type RawData, WebSocket } from "ws";

import type { PulsarSettings } from "./options.ts";

export interface SocketOptions {
  readonly server: URL;
  /** The path and the query. */
  readonly address: string;
  readonly token: string | undefined;
  readonly settings: Pick<PulsarSettings, "clientOptions" | "connectTimeout" | "heartbeat" | "clock" | "logger">;
  /** Called in the turn in which it opens: what comes right behind the handshake is for those who know that. */
  readonly onOpen: () => void;
  readonly onText: (text: string) => void;
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

/** The socket was closed, and by whom and why as far as that is known. */
export class ClosedError extends Error {
  /** Of the protocol: 1009 is that a text was too large, 1006 that nobody said goodbye. */
  readonly status: number;

  constructor(host: string, status: number, reason: string) {
    super(`the socket to ${host} was closed with ${status}${reason && `: ${reason}`}`);
    this.status = status;
  }
}

/** How long a server may take to say goodbye, in milliseconds. */
const goodbye = 2_000;
/** How many pings may go unanswered. One may because this process was busy for a while: the answer is there and was not read. */
const maxMissed = 2;

/** One WebSocket, from its handshake to its end. */
export class Socket {
  /** Resolves when it is open, and rejects with what the server or the network has against it. */
  readonly opened: Promise<void>;
  /** Resolves with the reason when it is not, or not any more. */
  readonly ended: Promise<Error>;
  readonly #options: SocketOptions;
  readonly #webSocket: WebSocket;
  /** What it writes to. */
  #stream: Duplex | undefined;
  #isCorked = false;
  #missed = 0;
  #cancelBeat: (() => void) | undefined;

  constructor(options: SocketOptions) {
    const { server, address, token, settings } = options;
    this.#options = options;
    this.#webSocket = new WebSocket(server.href.replace(/\/$/, "") + address, {
      perMessageDeflate: false,
      skipUTF8Validation: true,
      handshakeTimeout: settings.connectTimeout,
      ...settings.clientOptions,
      headers: { ...settings.clientOptions.headers, ...(token !== undefined && { authorization: `Bearer ${token}` }) },
    });
    this.ended = this.#watch();
    this.opened = this.#untilOpen();
  }

  get isOpen(): boolean {
    return this.#webSocket.readyState === WebSocket.OPEN;
  }

  /** Sends a text, if it is open. One that gets lost is noticed by the end of the socket. */
  send(text: string): void {
    if (!this.isOpen) return;
    this.#cork();
    this.#webSocket.send(text);
  }

  /** Says goodbye, or gives up what has not opened yet. */
  async close(): Promise<void> {
    if (this.isOpen) this.#webSocket.close(1000);
    else this.#webSocket.terminate();
    const cancel = this.#options.settings.clock.after(goodbye, () => this.#webSocket.terminate());
    await this.ended;
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

  #watch(): Promise<Error> {
    const { onOpen, server, settings } = this.#options;
    const socket = this.#webSocket;
    socket.on("upgrade", (response) => (this.#stream = response.socket));
    socket.on("open", () => {
      onOpen();
      this.#beat();
    });
    socket.on("pong", () => (this.#missed = 0));
    socket.on("message", (data) => this.#read(data));
    // What was wrong is said by the end of the socket, or of the handshake.
    socket.on("error", (error) => settings.logger.debug({ err: error }, "a socket to Pulsar has failed"));
    return new Promise((resolve) => {
      socket.on("close", (status, reason) => {
        this.#cancelBeat?.();
        resolve(new ClosedError(server.host, status, reason.toString()));
      });
    });
  }

  async #untilOpen(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const socket = this.#webSocket;
    socket.once("open", resolve);
    socket.once("error", reject);
    socket.once("unexpected-response", (_request, response) => {
      const end = (page: string): void => {
        reject(new RefusalError(response.statusCode ?? 0, reasonIn(page)));
        socket.terminate();
      };
      text(response).then(end, () => end(""));
    });
    void this.ended.then(reject);
    await promise;
  }

  #beat(): void {
    const { clock, heartbeat } = this.#options.settings;
    if (this.#missed === maxMissed) return this.#webSocket.terminate();
    this.#missed += 1;
    this.#webSocket.ping();
    this.#cancelBeat = clock.after(heartbeat, () => this.#beat());
  }

  #read(data: RawData): void {
    const { onText, settings } = this.#options;
    this.#missed = 0;
    try {
      // It is one buffer, for nothing else was asked for.
      if (Buffer.isBuffer(data)) onText(data.toString());
    } catch (error) {
      settings.logger.error({ err: error }, "Pulsar has sent what is not of its WebSocket API; the socket is opened anew");
      this.#webSocket.terminate();
    }
  }
}

/** Pulsar's own words in the page of HTML around them. */
function reasonIn(page: string): string {
  const message = /MESSAGE:<\/th><td>([^<]*)/.exec(page)?.[1] ?? page.replace(/<[^>]*>/g, " ");
  const plain = message.replaceAll("&quot;", '"').replaceAll("&apos;", "'").replace(/\s+/g, " ").trim();
  return (/"errorMsg":"([^"]*)"/.exec(plain)?.[1] ?? plain).slice(0, 300);
}
