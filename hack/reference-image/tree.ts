import { accessSync, constants, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** One entry of a file system to be: where a file comes from, where a link points to. All belong to root. */
export type Entry =
  | { readonly type: 'directory'; readonly mode: number }
  | { readonly type: 'file'; readonly mode: number; readonly source: string }
  | { readonly type: 'link'; readonly target: string }

/** A file system to be, by absolute path. */
export class Tree {
  readonly #entries = new Map<string, Entry>()

  /** Adds a directory and those above it that are missing. */
  directory(path: string, mode = 0o755): this {
    this.#parents(path)
    this.#entries.set(path, { type: 'directory', mode })
    return this
  }

  file(path: string, source: string, mode: number): this {
    this.#parents(path)
    this.#entries.set(path, { type: 'file', mode, source })
    return this
  }

  link(path: string, target: string): this {
    this.#parents(path)
    this.#entries.set(path, { type: 'link', target })
    return this
  }

  /** Copies a directory's content to the root. Modes become 755 or 644, whatever the check-out's umask was. */
  overlay(directory: string): this {
    for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue
      const source = join(entry.parentPath, entry.name)
      this.file(source.slice(directory.length), source, isExecutable(source) ? 0o755 : 0o644)
    }
    return this
  }

  /** Sorted by path, so that each directory comes before its content and the order is always the same. */
  entries(): (readonly [string, Entry])[] {
    return [...this.#entries].sort(([one], [other]) => (one < other ? -1 : 1))
  }

  #parents(path: string): void {
    const parent = path.slice(0, path.lastIndexOf('/'))
    if (parent !== '' && !this.#entries.has(parent)) this.directory(parent)
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
