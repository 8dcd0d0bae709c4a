import { stripVTControlCharacters } from 'node:util'

/**
 * Minutes and seconds, such as 2:05.
 * @param {number} milliseconds
 */
export function elapsed(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000)
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
}

/**
 * Runs one step and shows how it goes: on a terminal by a line that lives, elsewhere by a plain line at the start, now
 * and then, and at the end.
 * @param {string} name
 * @param {(say: (line: string) => void) => Promise<void>} action
 * @param {{ write(text: string): unknown, isTTY?: boolean, columns?: number }} [out]
 */
export async function showStep(name, action, out = process.stderr) {
  const live = out.isTTY === true
  const start = performance.now()
  const time = () => elapsed(performance.now() - start)
  let last = ''
  const show = () => {
    const line = `  ${name}  ${time()}  ${last}`
    out.write(live ? `\r\x1b[2K${line.slice(0, (out.columns ?? 80) - 1)}` : `${line}\n`)
  }
  show()
  const timer = setInterval(show, live ? 200 : 30_000)
  const end = (/** @type {string} */ word) => {
    clearInterval(timer)
    out.write(`${live ? '\r\x1b[2K' : ''}  ${name}  ${word} in ${time()}\n`)
  }
  try {
    await action((line) => {
      last = stripVTControlCharacters(line).trim()
    })
    end('done')
  } catch (error) {
    end('failed')
    throw error
  }
}
