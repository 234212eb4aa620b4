import { Socket } from "node:net";

import { connect, type IClientOptions, type IConnackPacket, type IPublishPacket, type MqttClient, type Packet, Store } from "mqtt";

import { untrustedServer } from "event-driver/streams";

import { addressOf, type MqttSettings, notConnected } from "./options.ts";

/** Says that an incoming message is not to be answered yet; MQTT.js then reads on, and reports it as an error, which is not one. */
const withheld = new Error("the message is answered when its handler has finished");

export interface LinkOptions {
  readonly settings: MqttSettings;
  readonly clientId: string;
  /** Whether a session that the broker has of this client is thrown away. */
  readonly clean: boolean;
  /** Seconds that the broker keeps the session. */
  readonly sessionExpiry: number;
  /** How many messages may come before one is answered. */
  readonly receiveMaximum: number | undefined;
  readonly will?: IClientOptions["will"];
  /** Every packet, before the client acts on it. */
  readonly onPacket: (packet: Packet) => void;
  /** A message of quality 1 or 2. Whoever takes it answers it with {@link Link.write}. No other packet is read until `readOn` is called. */
  readonly onMessage: (packet: IPublishPacket, readOn: () => void) => void;
  /** A message that needs no answer. No other packet is read until `done` is called. */
  readonly onUnansweredMessage: (packet: IPublishPacket, done: () => void) => void;
  /** The broker has answered, and what was not answered by it has been sent again. */
  readonly onUp: (connack: IConnackPacket) => void;
  readonly onDown: () => void;
  /** What to do when the connection was lost. */
  readonly beforeReconnect: () => "connect" | "wait" | "end";
}

/** Seconds; a silent broker counts as gone after half as many more. */
const keepalive = 20;
const firstDelay = 200;
const longestDelay = 10_000;
/** Milliseconds for a goodbye. */
const farewell = 2_000;
/** The broker may take us later: it is unavailable, busy, has no more room, or was asked too often. */
const passing: readonly (number | undefined)[] = [3, 0x88, 0x89, 0x97, 0x9f];
const unauthorized: readonly (number | undefined)[] = [4, 5, 0x86, 0x87];
const wrongVersion: readonly (number | undefined)[] = [1, 0x84];

/** One connection of MQTT.js, which comes back for ever until it is closed. */
export class Link {
  readonly client: MqttClient;
  readonly #options: LinkOptions;
  readonly #outgoing = new Store();
  readonly #opening = Promise.withResolvers<void>();
  #isUp = false;
  #isEnded = false;
  #attempts = 0;
  #lastError: unknown;
  #cancelRetry: (() => void) | undefined;
  #onPong: () => void = () => {};

  constructor(options: LinkOptions) {
    this.#options = options;
    this.client = connect(addressOf(options.settings.urls[0]), this.#clientOptions());
    this.client.handleMessage = (packet, callback) => {
      if (packet.qos === 0) options.onUnansweredMessage(packet, callback);
      else callback();
    };
    this.client.on("packetreceive", (packet) => this.#onPacket(packet));
    this.client.on("connect", (connack) => this.#onConnect(connack));
    this.client.on("close", () => this.#onClose());
    this.client.on("error", (error) => {
      if (error !== withheld) this.#onError(error);
    });
    // Nobody may be waiting when it fails.
    this.#opening.promise.catch(() => {});
  }

  /** Whether packets can be sent. */
  get isUp(): boolean {
    return this.#isUp;
  }

  /** Whether it does not come back. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /**
   * Resolves when the broker has answered for the first time.
   *
   * @throws EventDriverError `ERR_CONNECTION_FAILED`
   */
  async opened(): Promise<void> {
    const { settings } = this.#options;
    const { clock, connectTimeout, place } = settings;
    const cancel = clock.after(connectTimeout, () => {
      const unanswered = (): Error => notConnected(place, `has not answered within ${connectTimeout} ms`, true, this.#lastError);
      this.#opening.reject(this.#untrusted() ?? unanswered());
    });
    try {
      await this.#opening.promise;
    } catch (error) {
      this.destroy();
      throw error;
    } finally {
      cancel();
    }
  }

  /** Bytes as they are, between two packets. */
  write(bytes: Buffer): void {
    this.client.stream.write(bytes);
  }

  /** Says goodbye when the broker has taken in all that was written. `withWill` leaves the will behind, `endSession` ends the session. */
  async close(goodbye: { readonly withWill?: boolean; readonly endSession?: boolean } = {}): Promise<void> {
    if (!this.#end()) return;
    if (!this.#isUp) return this.destroy();
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    const cancel = this.#options.settings.clock.after(farewell, () => {
      this.client.stream.destroy();
      resolve();
    });
    void this.#taken().then(() =>
      this.client.end(
        false,
        { reasonCode: goodbye.withWill ? 0x04 : 0, ...(goodbye.endSession && { properties: { sessionExpiryInterval: 0 } }) },
        () => resolve(),
      ),
    );
    await ended;
    cancel();
  }

  /** Ends it as a process that dies does. */
  destroy(): void {
    this.#end();
    this.#isUp = false;
    this.client.end(true);
  }

  /**
   * Resolves when the broker has taken in what was written, or is gone: it answers a ping after what came before. One that meets a closed connection
   * throws away what it has not read yet.
   */
  #taken(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onPong = resolve;
    this.client.sendPing();
    return promise;
  }

  /** `false` when it has been ended before. */
  #end(): boolean {
    if (this.#isEnded) return false;
    this.#isEnded = true;
    this.#cancelRetry?.();
    this.#opening.reject(notConnected(this.#options.settings.place, "was left before it had answered", true, this.#lastError));
    return true;
  }

  #onPacket(packet: Packet): void {
    if (packet.cmd === "pingresp") this.#onPong();
    else if (packet.cmd === "connack" && packet.reasonCode !== 0) this.#onRefused(packet);
    else this.#options.onPacket(packet);
  }

  #take(packet: IPublishPacket, next: () => void): void {
    const { stream } = this.client;
    let isRead = false;
    this.#options.onMessage(packet, () => {
      isRead = true;
      // What else had come by a connection that is gone comes again by the one after it.
      if (this.client.stream === stream) next();
    });
    if (!isRead) this.#stayAlive(() => !isRead && this.client.stream === stream);
  }

  /** The broker's answer to a ping is behind what is not read: both sides have to know that nobody is gone. */
  #stayAlive(isNeeded: () => boolean): void {
    this.#options.settings.clock.after((this.client.options.keepalive ?? keepalive) * 500, () => {
      if (!isNeeded() || !this.client.connected) return;
      this.client.sendPing();
      this.client.reschedulePing(true);
      this.#stayAlive(isNeeded);
    });
  }

  #onRefused({ reasonCode, properties }: IConnackPacket): void {
    const { settings } = this.#options;
    const said = properties?.reasonString === undefined ? "" : `: ${properties.reasonString}`;
    const what = wrongVersion.includes(reasonCode)
      ? "speaks no MQTT 5, which shared subscriptions and message properties need; use another broker or switch it on there"
      : `has refused the ${unauthorized.includes(reasonCode) ? "credentials" : "connection"} with reason code ${reasonCode}${said}`;
    const error = notConnected(settings.place, what, passing.includes(reasonCode));
    this.#lastError = error;
    if (!error.retryable) this.#opening.reject(error);
  }

  #onError(error: Error): void {
    this.#lastError = error;
    const untrusted = this.#untrusted();
    // Another server may have another certificate.
    if (untrusted !== undefined && this.#options.settings.urls.length === 1) this.#opening.reject(untrusted);
  }

  #untrusted(): Error | undefined {
    return untrustedServer(`mqtt at ${this.#options.settings.place}`, "clientOptions.ca", this.#lastError);
  }

  #onConnect(connack: IConnackPacket): void {
    const { stream } = this.client;
    // Small packets in both directions would else wait for each other, some 40 ms each time.
    if (stream instanceof Socket) stream.setNoDelay(true);
    // What is kept now must not be thrown away when the connection comes back.
    this.client.options.clean = false;
    this.#attempts = 0;
    this.#isUp = true;
    this.#options.onUp(connack);
    this.#opening.resolve();
  }

  #onClose(): void {
    this.#onPong();
    if (this.#isUp) {
      this.#isUp = false;
      this.#options.onDown();
    }
    if (!this.#isEnded) this.#retryLater();
  }

  #retryLater(): void {
    const delay = Math.min(longestDelay, firstDelay * 2 ** this.#attempts);
    this.#attempts = Math.min(this.#attempts + 1, 20);
    this.#cancelRetry?.();
    this.#cancelRetry = this.#options.settings.clock.after(delay * (0.5 + Math.random() / 2), () => this.#retry());
  }

  #retry(): void {
    switch (this.#options.beforeReconnect()) {
      case "connect":
        this.#forgetName();
        this.client.reconnect({ outgoingStore: this.#outgoing });
        return;
      case "wait":
        return this.#retryLater();
      case "end":
        return this.destroy();
    }
  }

  /** The client keeps the name of the first server of a list, and would look for it in the certificates of the others. */
  #forgetName(): void {
    if (this.#options.settings.clientOptions.servername === undefined) delete this.client.options.servername;
  }

  #clientOptions(): IClientOptions {
    const { settings, clientId, clean, sessionExpiry, receiveMaximum, will } = this.#options;
    const { urls, clientOptions, connectTimeout } = settings;
    return {
      keepalive,
      ...clientOptions,
      ...(urls.length > 1 && { servers: urls.map(serverOf) }),
      protocolVersion: 5,
      clientId,
      clean,
      connectTimeout,
      reconnectPeriod: 0,
      resubscribe: false,
      outgoingStore: this.#outgoing,
      properties: {
        ...clientOptions.properties,
        sessionExpiryInterval: sessionExpiry,
        ...(receiveMaximum !== undefined && { receiveMaximum }),
      },
      ...(will !== undefined && { will }),
      customHandleAcks: (_topic, _payload, packet: IPublishPacket, answer) => {
        this.#take(packet, () => answer(withheld));
      },
    };
  }
}

function serverOf(url: string): NonNullable<IClientOptions["servers"]>[number] {
  const { protocol, hostname, port } = new URL(url);
  const isSecure = protocol === "mqtts:" || protocol === "wss:";
  const kind = protocol.startsWith("ws") ? (isSecure ? "wss" : "ws") : isSecure ? "mqtts" : "mqtt";
  const usual = { mqtt: 1883, mqtts: 8883, ws: 80, wss: 443 }[kind];
  return { host: hostname, port: port === "" ? usual : Number(port), protocol: kind };
}
