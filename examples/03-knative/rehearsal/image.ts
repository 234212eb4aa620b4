import { cp, mkdir, readFile } from "node:fs/promises";
import { basename, isAbsolute, join } from "node:path";

import { packPackages } from "../../../tools/packages.ts";
import { projectRoot, runCommand } from "../../../tools/run-command.ts";

/** What a Dockerfile makes, as far as it can be had without an engine: the files, in a folder, and how they are run. */
export interface Image {
  /** The folder that the command is run in. */
  readonly folder: string;
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

interface Stage extends Image {
  readonly name: string;
  /** The folder that stands for `/`. */
  readonly root: string;
}

interface Instruction {
  readonly name: string;
  readonly rest: string;
}

/**
 * Does in a folder what a Dockerfile does in an image, on this machine's Node and on its files in the place of the base image's.
 *
 * The stage `packages` is not run, for it is what has made this project: its packages are packed as they are built.
 *
 * @throws Error for an instruction that it does not know, and for a command that fails
 */
export async function buildImage(dockerfile: string, folder: string): Promise<Image> {
  const stages: Stage[] = [];
  for (const instruction of instructionsOf(await readFile(dockerfile, "utf8"))) {
    if (instruction.name === "FROM") stages.push(await begin(instruction, folder, stages.length));
    else if (stages.at(-1)?.name !== "packages") stages.push(await apply(instruction, stages.pop(), stages));
  }
  const image = stages.at(-1);
  if (image === undefined || image.command.length === 0) throw new Error(`${dockerfile} ends without an ENTRYPOINT`);
  return image;
}

function instructionsOf(text: string): readonly Instruction[] {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return lines.map((line) => {
    const [, name = "", rest = ""] = /^([A-Z]+) (.+)$/.exec(line) ?? [];
    return { name, rest };
  });
}

async function begin({ rest }: Instruction, folder: string, index: number): Promise<Stage> {
  const [, name = String(index)] = / AS (\S+)$/.exec(rest) ?? [];
  const root = join(folder, name);
  const packages = name === "packages" ? join(root, name) : undefined;
  await mkdir(packages ?? root, { recursive: true });
  if (packages !== undefined) await packPackages(packages);
  return { name, root, folder: root, command: [], environment: {} };
}

async function apply({ name, rest }: Instruction, stage: Stage | undefined, others: readonly Stage[]): Promise<Stage> {
  if (stage === undefined) throw new Error(`${name} stands in front of the first FROM`);
  switch (name) {
    case "WORKDIR": {
      const folder = pathIn(stage, rest);
      await mkdir(folder, { recursive: true });
      return { ...stage, folder };
    }
    case "COPY":
      await copy(rest, stage, others);
      return stage;
    case "RUN":
      await run(rest, stage);
      return stage;
    case "ENV":
      return { ...stage, environment: { ...stage.environment, ...Object.fromEntries(rest.split(" ").map((pair) => pair.split("=", 2))) } };
    case "ENTRYPOINT":
      return { ...stage, command: JSON.parse(rest) };
    case "USER":
    case "EXPOSE":
      return stage;
    default:
      throw new Error(`the instruction ${name} is not known here`);
  }
}

/** A folder of another stage is copied by what is in it; a file of the project goes into the folder that is named. */
async function copy(rest: string, stage: Stage, others: readonly Stage[]): Promise<void> {
  const [, from, paths = ""] = /^(?:--from=(\S+) )?(.+)$/.exec(rest) ?? [];
  const source = others.find(({ name }) => name === from);
  const target = pathIn(stage, paths.split(" ").at(-1) ?? "");
  for (const path of paths.split(" ").slice(0, -1)) {
    if (source === undefined) await cp(join(projectRoot, path), join(target, basename(path)));
    else await cp(pathIn(source, path), target, { recursive: true, verbatimSymlinks: true });
  }
}

async function run(command: string, { folder }: Stage): Promise<void> {
  const { ok, reason, output } = await runCommand(["sh", "-c", command], { cwd: folder, timeLimit: 100_000 });
  if (!ok) throw new Error(`RUN ${command} ${reason}:\n${output}`);
}

function pathIn({ root, folder }: Stage, path: string): string {
  return join(isAbsolute(path) ? root : folder, path);
}
