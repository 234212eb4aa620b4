import { build } from "esbuild";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

/** What a user's bundler makes of the whole of `event-driver`, with its dependencies: bytes after gzip. */
export const wholeEntry = 'export * from "event-driver";';

/** Of `pipeline` alone. */
export const pipelineAlone = 'export { pipeline } from "event-driver";';

/** Bytes of a minified bundle of this program, after gzip. */
export async function bundledSize(program: string): Promise<number> {
  const { outputFiles } = await build({
    stdin: { contents: program, resolveDir: fileURLToPath(new URL("../..", import.meta.url)), loader: "js" },
    conditions: ["@event-driver/source"],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2024",
    write: false,
  });
  return outputFiles.reduce((sum, file) => sum + gzipSync(file.contents, { level: 9 }).length, 0);
}
