import { ImageError, temporary } from '../failure.ts'
import { runLimited } from '../inspect/limited-child.ts'
import { cleaned, findProgram, type QemuImgOptions, unsafe } from '../inspect/qemu-img.ts'
import type { DiskConverter } from './raw-forms.ts'

/**
 * `qemu-img convert -f qcow2 -O raw` in a child process with limited memory, CPU and wall time, that can write no file
 * longer than the disk. Formats are always given, so none is guessed from the content.
 */
export function qemuImgConverter(options: QemuImgOptions = {}): DiskConverter {
  const { memory = 1024 ** 3, cpuSeconds = 3600, wallTime = 3_600_000, output = 1024 ** 2 } = options
  return async (source, target, length, signal) => {
    const qemuImg = await findProgram(options.qemuImg ?? 'qemu-img', 'qemu-utils (qemu-img)')
    const prlimit = await findProgram(options.prlimit ?? 'prlimit', 'util-linux')
    const limits = [`--as=${memory}`, `--cpu=${cpuSeconds}`, `--fsize=${length}`, '--core=0', '--nofile=64']
    const command = [qemuImg, 'convert', '-f', 'qcow2', '-O', 'raw', source, target]
    const result = await runLimited(prlimit, [...limits, '--', ...command], { wallTime, output, signal })
    switch (result.end) {
      case 'exited':
        if (result.code === 0) return
        if (result.stderr.includes('No space left on device')) {
          throw new ImageError(
            'StoreFull',
            'the image store has no room for the raw form: enlarge it, or delete images',
          )
        }
        throw unsafe(`qemu-img cannot convert the file: ${cleaned(result.stderr, source)}`)
      case 'killed':
        throw unsafe(`qemu-img was ended by ${result.by} while it converted the file`)
      case 'output':
        throw unsafe('qemu-img says too much about the file')
      case 'time':
        throw temporary(`qemu-img did not end within ${wallTime / 1000} s`)
    }
  }
}
