/**
 * Carries out a Dockerfile without an engine: each stage in a folder that stands for the root of its image. COPY follows
 * .dockerignore; RUN runs in the stage's working folder, with the Node of this process. What only the base image could do
 * (apt-get, which writes to the machine) is handed back for a look, not run.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { DockerfileParser, type Instruction, JSONInstruction } from 'dockerfile-ast';

/** A stage as its last instruction leaves it. */
export interface Stage {
  readonly name: string;
  readonly base: string;
  /** Stands for `/`. */
  readonly root: string;
  workdir: string;
  readonly environment: Record<string, string>;
  user: string;
  entrypoint: readonly string[];
  command: readonly string[];
  health: readonly string[];
  /** RUN lines that were carried out, and those that only the base image could. */
  readonly ran: string[];
  readonly notRun: string[];
}

const runSecondsMax = 120;

/** The working folder of the stage, on this machine. */
export function folderOf(stage: Stage): string {
  return join(stage.root, stage.workdir);
}

/** Every file below a folder, by its path from there. */
export function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8', withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort();
}

/** Whether .dockerignore keeps a path out: of the patterns that match it or a folder it is in, the last one decides. */
export function ignoring(text: string): (path: string) => boolean {
  const rules = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const isException = line.startsWith('!');
      const pattern = (isException ? line.slice(1) : line).replace(/^\/|\/$/g, '');
      const source = pattern.replace(/[\\^$.+()[\]{}|]/g, '\\$&').replace(/\*\*\/|\*\*|\*|\?/g, (found) => {
        if (found === '**/') return '(?:.*/)?';
        if (found === '**') return '.*';
        return found === '*' ? '[^/]*' : '[^/]';
      });
      // What matches a folder matches all that is in it.
      return { isException, expression: new RegExp(`^${source}(?:/.*)?$`) };
    });
  return (path) => {
    const last = rules.findLast(({ expression }) => expression.test(path));
    return last !== undefined && !last.isException;
  };
}

/** Carries out the Dockerfile of `context`, with its stages below `target`; returns them in order. */
export function buildStages(context: string, target: string): Stage[] {
  const isIgnored = ignoring(readFileSync(join(context, '.dockerignore'), 'utf8'));
  const stages: Stage[] = [];
  for (const instruction of DockerfileParser.parse(
    readFileSync(join(context, 'Dockerfile'), 'utf8'),
  ).getInstructions()) {
    const stage = stages.at(-1);
    const words = instruction.getArguments().map((argument) => argument.getValue());
    const keyword = instruction.getKeyword();
    if (keyword === 'FROM') {
      const root = join(target, `stage-${stages.length}`);
      mkdirSync(root, { recursive: true });
      stages.push(newStage(words[2] ?? String(stages.length), words[0]!, root));
    } else if (stage === undefined) throw new Error(`${keyword} before FROM`);
    else if (keyword === 'COPY') copy(instruction, stage, stages, context, isIgnored);
    else if (keyword === 'RUN') run(instruction, stage);
    else if (keyword === 'WORKDIR') {
      stage.workdir = words[0]!;
      mkdirSync(folderOf(stage), { recursive: true });
    } else if (keyword === 'ENV') {
      for (const word of words) stage.environment[word.slice(0, word.indexOf('='))] = word.slice(word.indexOf('=') + 1);
    } else if (keyword === 'USER') stage.user = words[0]!;
    else if (keyword === 'ENTRYPOINT') stage.entrypoint = execFormOf(instruction);
    else if (keyword === 'CMD') stage.command = execFormOf(instruction);
    else if (keyword === 'HEALTHCHECK') stage.health = healthOf(instruction);
    else if (keyword !== 'EXPOSE' && keyword !== 'STOPSIGNAL') throw new Error(`${keyword} is not known here`);
  }
  return stages;
}

function newStage(name: string, base: string, root: string): Stage {
  const nothing = { workdir: '/', environment: {}, user: 'root', entrypoint: [], command: [], health: [] };
  return { name, base, root, ...nothing, ran: [], notRun: [] };
}

/** Throws where the words are not a JSON array: a shell would stand between the signal and the process. */
function execFormOf(instruction: Instruction): string[] {
  if (!(instruction instanceof JSONInstruction) || instruction.getOpeningBracket() === null) {
    throw new Error(`not in exec form: ${instruction.toString()}`);
  }
  return JSON.parse(instruction.getArgumentsContent() ?? '');
}

function healthOf(instruction: Instruction): string[] {
  const text = instruction.getArgumentsContent() ?? '';
  return JSON.parse(text.slice(text.indexOf('[')));
}

function copy(
  instruction: Instruction,
  stage: Stage,
  stages: readonly Stage[],
  context: string,
  isIgnored: (path: string) => boolean,
): void {
  const words = instruction.getArguments().map((argument) => argument.getValue());
  const from = /^COPY\s+--from=(\S+)/.exec(instruction.toString())?.[1];
  const source = from === undefined ? context : stages.find(({ name }) => name === from)?.root;
  if (source === undefined) throw new Error(`COPY from an unknown stage: ${from}`);
  const sources = words.slice(0, -1);
  const destination = words.at(-1)!;
  for (const path of sources) {
    const full = join(source, path);
    const isFolder = statSync(full).isDirectory();
    // The contents of a folder go into the destination, a file goes by its own name where that is a folder.
    const into = join(destination.startsWith('/') ? stage.root : folderOf(stage), destination);
    const to = isFolder || !(destination.endsWith('/') || sources.length > 1) ? into : join(into, path);
    const filter = (file: string): boolean =>
      from !== undefined || statSync(file).isDirectory() || !isIgnored(relative(context, file).split(sep).join('/'));
    if (!filter(full)) throw new Error(`COPY of a file that .dockerignore keeps out: ${path}`);
    mkdirSync(dirname(to), { recursive: true });
    cpSync(full, to, { recursive: true, filter });
  }
}

function run(instruction: Instruction, stage: Stage): void {
  // Raw, since quotes and continued lines are the shell's.
  const line = instruction.getRawArgumentsContent() ?? '';
  if (/^apt-get\s/.test(line)) {
    stage.notRun.push(line);
    return;
  }
  // Ends what the shell has started as well, where a signal to the shell would leave npm behind.
  const { status, stdout, stderr } = spawnSync('timeout', [String(runSecondsMax), '/bin/sh', '-c', line], {
    cwd: folderOf(stage),
    env: stageEnvironment(stage),
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`RUN ${line}\nended with ${status}:\n${stdout}${stderr}`);
  stage.ran.push(line);
}

/** How this machine reaches the registry of npm: what the machine that builds an image has as well. */
const reaching =
  /^((https?|all|no)_proxy|npm_config_(registry|cache|userconfig|cafile)|node_extra_ca_certs|ssl_cert_(file|dir))$/i;

/** What a process of the stage finds around it: the Node of this process, and nothing of this run's own settings. */
export function stageEnvironment(stage: Stage): Record<string, string> {
  const path = `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`;
  const given = Object.entries(process.env).filter(([name]) => reaching.test(name)) as [string, string][];
  return { ...Object.fromEntries(given), HOME: process.env['HOME'] ?? '/', ...stage.environment, PATH: path };
}
