import type { ClientCertificate } from './certificates.ts'

/** The text of a kubeconfig (JSON, which is YAML) for one user of one API server. */
export function kubeconfigText(url: string, user: string, client: ClientCertificate): string {
  const base64 = (bytes: Buffer) => bytes.toString('base64')
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'berth',
    clusters: [{ name: 'berth', cluster: { server: url, 'certificate-authority-data': base64(client.authority) } }],
    contexts: [{ name: 'berth', context: { cluster: 'berth', user } }],
    users: [
      {
        name: user,
        user: {
          'client-certificate-data': base64(client.certificate),
          'client-key-data': base64(client.key),
        },
      },
    ],
  }
  return `${JSON.stringify(config, null, 2)}\n`
}
