import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { runCommand } from "../tools/run-command.ts";

/** What a server and its clients need for TLS, made for one test file. */
export interface Certificates {
  /** Holds `authority.pem`, and `certificate.pem` with `key.pem` for the server. */
  readonly folder: string;
  /** PEM of the authority that has signed the server's certificate. No machine knows it. */
  readonly authority: string;
  /** PEM of another one, which has signed nothing of the server's. */
  readonly stranger: string;
  remove(): Promise<void>;
}

/**
 * Makes an authority and a certificate for 127.0.0.1, and for no name: a server that is called localhost shows that of somebody else.
 *
 * @throws Error where `openssl` is missing or fails
 */
export async function makeCertificates(): Promise<Certificates> {
  const folder = await mkdtemp(join(tmpdir(), "event-driver-certificates-"));
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    await makeAuthority(folder, "authority");
    await makeAuthority(folder, "stranger");
    await makeServerCertificate(folder);
    return {
      folder,
      authority: await readFile(join(folder, "authority.pem"), "utf8"),
      stranger: await readFile(join(folder, "stranger.pem"), "utf8"),
      remove,
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** All that Java, Erlang and OpenSSL read; quicker to make than RSA. */
const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"] as const;

async function makeAuthority(folder: string, name: string): Promise<void> {
  const files = ["-keyout", `${name}-key.pem`, "-out", `${name}.pem`];
  await openssl(folder, "req", "-x509", ...newKey, "-subj", `/CN=event-driver ${name}`, "-days", "2", ...files);
}

async function makeServerCertificate(folder: string): Promise<void> {
  await openssl(folder, "req", "-new", ...newKey, "-subj", "/CN=event-driver server", "-keyout", "key.pem", "-out", "request.pem");
  await writeFile(join(folder, "extensions"), "subjectAltName = IP:127.0.0.1\n");
  const authority = ["-CA", "authority.pem", "-CAkey", "authority-key.pem", "-CAcreateserial"];
  const files = ["-in", "request.pem", "-extfile", "extensions", "-out", "certificate.pem"];
  await openssl(folder, "x509", "-req", ...authority, "-days", "2", ...files);
}

async function openssl(folder: string, ...args: readonly string[]): Promise<void> {
  const { ok, reason, output } = await runCommand(["openssl", ...args], { cwd: folder });
  if (!ok) throw new Error(`openssl ${args[0]} ${reason}:\n${output}`);
}
