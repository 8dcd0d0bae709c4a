/** What the demonstration says: numbered steps, commands as one would type them, their output set in. */
export class Output {
  #step = 0

  step(title: string): void {
    this.#step++
    process.stdout.write(`\n${bold(`${this.#step}. ${title}`)}\n`)
  }

  say(text: string): void {
    process.stdout.write(`   ${text}\n`)
  }

  command(line: string, output: string): void {
    process.stdout.write(`   ${bold(`$ ${line}`)}\n${indented(output)}`)
  }

  /** Overwrites one line on a terminal; elsewhere says it once. */
  progress(text: string): void {
    if (process.stdout.isTTY) process.stdout.write(`\r\x1b[2K   ${text}`)
    else if (text !== this.#last) process.stdout.write(`   ${text}\n`)
    this.#last = text
  }
  #last = ''

  endProgress(): void {
    if (process.stdout.isTTY && this.#last !== '') process.stdout.write('\n')
    this.#last = ''
  }
}

const bold = (text: string): string => (process.stdout.isTTY ? `\x1b[1m${text}\x1b[0m` : text)
const indented = (text: string): string =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => `   ${line}\n`)
    .join('')
