import { type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps, type RequestOptions } from "node:https";
import { text } from "node:stream/consumers";

import { EventDriverError, quote } from "event-driver";

import type { PulsarSettings } from "./options.ts";

/** What a server has answered. */
export interface Answer {
  readonly status: number;
  /** Its own words, where it refuses. */
  readonly reason: string;
  /** Its JSON, where it is some. */
  readonly body: unknown;
}

export interface Question {
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  readonly path: string;
  /** JSON. */
  readonly body?: string;
}

/** A server answers for each topic that it owns, and names the owner for the others. */
const maxRedirects = 5;

/** What is made, looked up and removed at the broker, over its REST interface. */
export class Admin {
  readonly #settings: PulsarSettings;
  /** Topics that are there, by their names. */
  readonly #known = new Map<string, Promise<void>>();

  constructor(settings: PulsarSettings) {
    this.#settings = settings;
  }

  get isThere(): boolean {
    return this.#settings.admins.length > 0;
  }

  /**
   * Resolves when the topic is there: once for each, and anew after a failure.
   *
   * @throws EventDriverError `ERR_TOPOLOGY`
   */
  async ensureTopic(topic: string): Promise<void> {
    if (!this.isThere) return;
    let known = this.#known.get(topic);
    if (known === undefined) {
      known = this.#settings.topology === "check" ? this.#checkTopic(topic) : this.#createTopic(topic);
      this.#known.set(topic, known);
      known.catch(() => this.#known.delete(topic));
    }
    await known;
  }

  /** Whoever needs the topic next looks whether it is there. */
  missTopic(topic: string): void {
    this.#known.delete(topic);
  }

  /** How many partitions the topic has; `undefined` where it is not there. */
  async partitionsOf(topic: string): Promise<number | undefined> {
    const { status, reason, body } = await this.#ask({ method: "GET", path: `${this.#path(topic)}/partitions` });
    if (status === 404) return undefined;
    if (status !== 200) throw refused(`the topic ${quote(topic)} was not looked up`, status, reason);
    return numberIn(body, "partitions") ?? 0;
  }

  /** Makes a position from which everything comes that is there, or from the given one on. Whether there was none before. */
  async createSubscription(topic: string, subscription: string, cursor: string): Promise<boolean> {
    const path = `${this.#path(topic)}/subscription/${subscription}`;
    const { status, reason } = await this.#ask({ method: "PUT", path, body: cursor });
    if (status === 409) return false;
    if (status !== 204) throw refused(`the subscription ${quote(subscription)} was not made`, status, reason);
    return true;
  }

  /** Puts a position to the first message that was published at a time or later. */
  async resetToTime(topic: string, subscription: string, time: number): Promise<void> {
    const path = `${this.#path(topic)}/subscription/${subscription}/resetcursor/${time}`;
    const { status, reason } = await this.#ask({ method: "POST", path });
    if (status !== 204) throw refused(`the subscription ${quote(subscription)} was not put to a time`, status, reason);
  }

  /** Removes a position. `false` while somebody is subscribed. */
  async deleteSubscription(topic: string, subscription: string): Promise<boolean> {
    const { status, reason } = await this.#ask({ method: "DELETE", path: `${this.#path(topic)}/subscription/${subscription}` });
    if (status === 412) return false;
    if (status !== 204 && status !== 404) throw refused(`the subscription ${quote(subscription)} was not removed`, status, reason);
    return true;
  }

  /** How many messages wait for each subscription of the topic. */
  async backlogsOf(topic: string): Promise<ReadonlyMap<string, number>> {
    const path = `${this.#path(topic)}${(await this.partitionsOf(topic)) ? "/partitioned-stats" : "/stats"}?getPreciseBacklog=true`;
    const { status, reason, body } = await this.#ask({ method: "GET", path });
    if (status !== 200) throw refused(`the topic ${quote(topic)} was not looked at`, status, reason);
    const subscriptions = Object.entries(objectIn(body, "subscriptions"));
    return new Map(subscriptions.map(([name, stats]) => [name, numberIn(stats, "msgBacklog") ?? 0]));
  }

  /**
   * Resolves when a server has answered and knows the namespace.
   *
   * @throws EventDriverError `ERR_TOPOLOGY` where there is no such namespace, `ERR_CONNECTION_FAILED`, not retryable, where nobody is let in
   */
  async greet(): Promise<void> {
    const { tenant, namespace, servers } = this.#settings;
    const probe: Question = { method: "GET", path: this.isThere ? `${this.#path("event-driver")}/partitions` : "/ws/v2/producer/" };
    const { status, reason } = await this.#ask(probe, this.isThere ? this.#settings.admins : servers);
    // With a reason of its own it says that this topic is not for us, and others may be.
    if (status === 401 && reason === "") throw notLetIn(servers);
    if (status >= 500) throw refused("the broker is not ready", status, reason);
    if (status === 404 && /^(Namespace|Tenant)\b/.test(reason)) throw missing(`the namespace ${quote(`${tenant}/${namespace}`)}`, reason);
  }

  async #checkTopic(topic: string): Promise<void> {
    const { partitions: wanted } = this.#settings;
    const partitions = await this.partitionsOf(topic);
    if (partitions === undefined) throw missing(`the topic ${quote(topic)}`, "it may not be made here");
    if (wanted !== undefined && wanted !== partitions) throw unfit(topic, partitions, wanted);
  }

  async #createTopic(topic: string): Promise<void> {
    const { partitions = 0, retention, logger } = this.#settings;
    const { status, reason } = await this.#ask(
      partitions === 0
        ? { method: "PUT", path: this.#path(topic) }
        : { method: "PUT", path: `${this.#path(topic)}/partitions`, body: String(partitions) },
    );
    if (status === 409) return this.#settings.partitions === undefined ? undefined : this.#checkTopic(topic);
    if (status === 404) throw missing(`the topic ${quote(topic)}`, `it could not be made: ${reason}`);
    if (isForbidden(status)) {
      // It may be there; and if not, a broker that makes topics by itself asks for less.
      if (partitions > 0) return this.#checkTopic(topic);
      return logger.warn(
        { topic, status, reason },
        "the token has no right to make topics; the topic is left to the broker, without its retention",
      );
    }
    if (status !== 204) throw refused(`the topic ${quote(topic)} was not made`, status, reason);
    if (retention !== false) await this.#keep(topic, retention);
  }

  /** What is made is kept for a while, else it goes with its last subscription. */
  async #keep(topic: string, retention: number): Promise<void> {
    const body = JSON.stringify({ retentionTimeInMinutes: Math.max(1, Math.ceil(retention / 60_000)), retentionSizeInMB: -1 });
    const { status, reason } = await this.#ask({ method: "POST", path: `${this.#path(topic)}/retention`, body });
    if (status === 204) return;
    // A broker may have settings of single topics switched off, and then the namespace's hold.
    this.#settings.logger.warn({ topic, status, reason }, "a topic was made without its retention; set that of the namespace");
  }

  #path(topic: string): string {
    const { tenant, namespace } = this.#settings;
    return `/admin/v2/persistent/${tenant}/${namespace}/${topic}`;
  }

  /** Asks one server after the other until one answers. */
  async #ask(question: Question, servers: readonly URL[] = this.#settings.admins): Promise<Answer> {
    const failures: unknown[] = [];
    for (const server of servers) {
      try {
        const prefix = server.pathname.replace(/\/$/, "");
        return await askFollowing(new URL(prefix + question.path, server.href.replace(/^ws/, "http")), question, this.#settings);
      } catch (error) {
        failures.push(error);
      }
    }
    throw failures.length === 1 ? failures[0] : new AggregateError(failures, "no server has answered");
  }
}

async function askFollowing(first: URL, question: Question, settings: PulsarSettings): Promise<Answer> {
  let url = first;
  for (let redirects = 0; ; redirects += 1) {
    const response = await ask(url, question, settings);
    const status = response.statusCode ?? 0;
    const { location } = response.headers;
    const answer = answerOf(status, await text(response));
    if ((status !== 307 && status !== 302) || location === undefined) return answer;
    const next = new URL(location, url);
    // The token goes with it, so it goes nowhere in the clear where it did not before.
    if (redirects === maxRedirects || (url.protocol === "https:" && next.protocol !== "https:")) return answer;
    url = next;
  }
}

async function ask(url: URL, { method, body }: Question, settings: PulsarSettings): Promise<IncomingMessage> {
  const { clientOptions, connectTimeout, token: tokenOf } = settings;
  const token = await tokenOf();
  const { agent: _forSockets, headers, ...tls } = clientOptions;
  const options: RequestOptions = {
    ...tls,
    method,
    timeout: connectTimeout,
    headers: {
      ...headers,
      ...(body !== undefined && { "content-type": "application/json" }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    },
  };
  return new Promise((resolve, reject) => {
    const request = (url.protocol === "https:" ? requestHttps : requestHttp)(url, options, resolve);
    request.on("timeout", () => request.destroy(new Error(`${url.host} has not answered within ${connectTimeout} ms`)));
    request.on("error", reject);
    request.end(body);
  });
}

function answerOf(status: number, content: string): Answer {
  const body = parsed(content);
  const reason = partOf(body, "reason");
  return { status, reason: typeof reason === "string" ? reason.slice(0, 300) : "", body };
}

function parsed(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    // A server that is no Pulsar answers in HTML; its status says enough.
    return undefined;
  }
}

function numberIn(body: unknown, name: string): number | undefined {
  const value = partOf(body, name);
  return typeof value === "number" ? value : undefined;
}

function objectIn(body: unknown, name: string): object {
  const value = partOf(body, name);
  return typeof value === "object" && value !== null ? value : {};
}

function partOf(body: unknown, name: string): unknown {
  return typeof body === "object" && body !== null ? Reflect.get(body, name) : undefined;
}

/** Pulsar says both where rights are missing. */
function isForbidden(status: number): boolean {
  return status === 401 || status === 403;
}

function refused(what: string, status: number, reason: string): Error {
  return new Error(`${what}: Pulsar has answered ${status}${reason && `, ${reason}`}`);
}

function missing(what: string, why: string): EventDriverError {
  return new EventDriverError("ERR_TOPOLOGY", { message: `Pulsar has not ${what}, and ${why}; make it there`, retryable: true });
}

function unfit(topic: string, partitions: number, wanted: number): EventDriverError {
  return new EventDriverError("ERR_TOPOLOGY", {
    message: `the topic ${quote(topic)} has ${partitions} partitions where ${wanted} are asked for; change one of them`,
    retryable: true,
  });
}

function notLetIn([server]: PulsarSettings["servers"]): EventDriverError {
  return new EventDriverError("ERR_CONNECTION_FAILED", {
    message: `Pulsar at ${server.host} lets nobody in with this token, or without one; give another one`,
    retryable: false,
  });
}
