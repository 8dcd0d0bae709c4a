import { access, constants } from 'node:fs/promises'
import { delimiter, isAbsolute, join } from 'node:path'
import { ImageError, temporary } from '../failure.ts'
import type { DiskInspector } from './inspect.ts'
import { runLimited } from './limited-child.ts'

export interface QemuImgOptions {
  /** Names or absolute paths; default `qemu-img` and `prlimit`, looked for in PATH. */
  readonly qemuImg?: string
  readonly prlimit?: string
  /** Bytes of address space. Default 1 GiB. */
  readonly memory?: number
  /** Seconds of CPU. Default 10. */
  readonly cpuSeconds?: number
  /** Milliseconds. Default 60 000. */
  readonly wallTime?: number
  /** Bytes of output. Default 1 MiB. */
  readonly output?: number
}

/**
 * `qemu-img info -f qcow2` in a child process that can do little: limited memory, CPU, wall time and output, no file
 * written, no shell, no environment. The format is always given, so qemu-img never guesses one from the content.
 */
export function qemuImgInspector(options: QemuImgOptions = {}): DiskInspector {
  const { memory = 1024 ** 3, cpuSeconds = 10, wallTime = 60_000, output = 1024 ** 2 } = options
  return async (path, signal) => {
    if (!isAbsolute(path)) throw new RangeError('the path to inspect must be absolute')
    const qemuImg = await findProgram(options.qemuImg ?? 'qemu-img', 'qemu-utils (qemu-img)')
    const prlimit = await findProgram(options.prlimit ?? 'prlimit', 'util-linux')
    const limits = [`--as=${memory}`, `--cpu=${cpuSeconds}`, '--fsize=0', '--core=0', '--nofile=64']
    const result = await runLimited(prlimit, [...limits, '--', qemuImg, 'info', '--output=json', '-f', 'qcow2', path], {
      wallTime,
      output,
      signal,
    })
    switch (result.end) {
      case 'exited':
        if (result.code === 0) return readInfo(result.stdout)
        throw unsafe(`qemu-img cannot read the file: ${cleaned(result.stderr, path)}`)
      case 'killed':
        throw unsafe(
          `qemu-img was ended by ${result.by} while it read the file: it needs more memory or time than allowed`,
        )
      case 'output':
        throw unsafe('qemu-img says too much about the file')
      case 'time':
        throw temporary(`qemu-img did not end within ${wallTime / 1000} s`)
    }
  }
}

function readInfo(stdout: string): number {
  let info: unknown
  try {
    info = JSON.parse(stdout)
  } catch (cause) {
    throw temporary('the answer of qemu-img is not JSON', { cause })
  }
  if (typeof info !== 'object' || info === null) throw temporary('the answer of qemu-img is not an object')
  // Our own parser refused these before; two readers that differ are a danger by themselves.
  for (const name of ['backing-filename', 'full-backing-filename', 'encrypted']) {
    if (name in info) throw unsafe(`qemu-img sees ${name}`)
  }
  if (JSON.stringify(info).includes('"data-file"')) throw unsafe('qemu-img sees an external data file')
  if (!('format' in info) || info.format !== 'qcow2') throw unsafe('qemu-img sees another format than qcow2')
  const size = 'virtual-size' in info ? info['virtual-size'] : undefined
  if (typeof size !== 'number' || !Number.isSafeInteger(size)) throw temporary('qemu-img tells no virtual size')
  return size
}

/** An absolute path. Rejects with TemporaryFailure: it is the service that must be mended, not the image. */
export async function findProgram(program: string, what: string): Promise<string> {
  const candidates = isAbsolute(program)
    ? [program]
    : (process.env['PATH'] ?? '')
        .split(delimiter)
        .filter(isAbsolute)
        .map((folder) => join(folder, program))
  for (const candidate of candidates) {
    try {
      await access(candidate, constants.X_OK)
      return candidate
    } catch {
      // the next one
    }
  }
  throw temporary(`${program} is missing where the image service runs: install ${what}`)
}

export function cleaned(stderr: string, path: string): string {
  const printable = stderr
    .replaceAll(path, 'the file')
    .replace(/[^\x20-\x7e]+/g, ' ')
    .trim()
  return printable.slice(0, 300) || 'it gives no reason'
}

export function unsafe(message: string): ImageError {
  return new ImageError('UnsafeFormat', message)
}
