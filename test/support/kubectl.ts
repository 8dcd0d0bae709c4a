import { spawn } from 'node:child_process'

/** Whose kubectl, and as whom. */
export interface KubectlTarget {
  readonly kubectl: string
  readonly kubeconfig: string
}

/** Runs kubectl with `input` on its standard input; answers its output, or rejects with what it said. */
export function kubectlWithInput(target: KubectlTarget, input: string, ...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(target.kubectl, [`--kubeconfig=${target.kubeconfig}`, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    let output = ''
    let complaint = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint += text
    })
    // A kubectl that ends before it has read everything says why on its own.
    child.stdin.on('error', () => undefined)
    child.stdin.end(input)
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0) resolve(output)
      else reject(new Error(`kubectl ${args.join(' ')}: exit code ${code}: ${complaint.trim()}`))
    })
  })
}

/** Runs kubectl; answers its output, or rejects with what it said. */
export function kubectl(target: KubectlTarget, ...args: string[]): Promise<string> {
  return kubectlWithInput(target, '', ...args)
}
