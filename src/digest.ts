/**
 * SHA-256 of the text's UTF-8, in hexadecimal.
 *
 * Answers at once on Node, without importing anything that an edge runtime lacks; elsewhere by Web Crypto, which is asynchronous.
 */
export function digest(text: string): string | Promise<string> {
  const crypto = globalThis.process?.getBuiltinModule?.("node:crypto");
  return crypto === undefined ? digestByWebCrypto(text) : crypto.hash("sha256", text);
}

async function digestByWebCrypto(text: string): Promise<string> {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
