/** A private server of this process: it stops with `stop()`, and at the latest with the process that started it. */
export interface EmbeddedServer {
  /** `redis://:password@127.0.0.1:port` or `mysql://user:password@127.0.0.1:port/fastpass`. */
  readonly url: string;
  /** Process number of the server itself, not of its guardian. */
  readonly pid: number;
  /** Asks the server to end, kills it after ten seconds, resolves when it is gone. May be called again. */
  stop(): Promise<void>;
}

/** Takes one line for people per step. */
export type Say = (line: string) => void;

export interface EmbeddedOptions {
  /** Folder of all embedded servers; each keeps its data in a folder of its own below it. */
  readonly dataDir: string;
  readonly say: Say;
  /** Port on 127.0.0.1; a free one when left out. */
  readonly port?: number;
}

export interface EmbeddedMysqlOptions extends EmbeddedOptions {
  /** Memory for InnoDB pages in megabytes; 512 when left out. */
  readonly bufferPoolMb?: number;
}
