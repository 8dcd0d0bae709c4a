/** The command lines of the control plane's parts. They run in its directory: paths are relative to that. */

/**
 * etcd listens on two sockets in the directory: no port that another program could take, and no other account of the
 * machine can read what the API server keeps. The advertised addresses are never called, for it is alone.
 */
export function etcdArguments(): string[] {
  const nowhere = 'http://127.0.0.1:1'
  return [
    '--name=berth',
    '--data-dir=etcd',
    '--listen-client-urls=unix://etcd.sock',
    `--advertise-client-urls=${nowhere}`,
    '--listen-peer-urls=unix://peer.sock',
    `--initial-advertise-peer-urls=${nowhere}`,
    `--initial-cluster=berth=${nowhere}`,
    // A crash of the machine may lose data here, which nobody needs afterwards.
    '--unsafe-no-fsync',
    '--log-level=warn',
  ]
}

export function apiServerArguments(port: number, extra: readonly string[]): string[] {
  return [
    '--etcd-servers=unix://etcd.sock',
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    '--advertise-address=127.0.0.1',
    // A loopback address is refused as an endpoint, so none is published.
    '--endpoint-reconciler-type=none',
    '--tls-cert-file=pki/apiserver.crt',
    '--tls-private-key-file=pki/apiserver.key',
    '--cert-dir=pki',
    '--client-ca-file=pki/ca.crt',
    '--requestheader-client-ca-file=pki/front-ca.crt',
    '--requestheader-allowed-names=front-proxy-client',
    '--requestheader-username-headers=X-Remote-User',
    '--requestheader-group-headers=X-Remote-Group',
    '--requestheader-extra-headers-prefix=X-Remote-Extra-',
    '--proxy-client-cert-file=pki/front.crt',
    '--proxy-client-key-file=pki/front.key',
    '--service-account-issuer=https://kubernetes.default.svc',
    '--service-account-key-file=pki/sa.pub',
    '--service-account-signing-key-file=pki/sa.key',
    '--authorization-mode=Node,RBAC',
    '--service-cluster-ip-range=10.96.0.0/16',
    '--profiling=false',
    ...extra,
  ]
}

export function controllerManagerArguments(kubeconfig: string): string[] {
  return [
    `--kubeconfig=${kubeconfig}`,
    `--authentication-kubeconfig=${kubeconfig}`,
    `--authorization-kubeconfig=${kubeconfig}`,
    '--leader-elect=false',
    // It serves nothing, and so takes no port.
    '--secure-port=0',
    '--use-service-account-credentials=true',
    '--service-account-private-key-file=pki/sa.key',
    '--root-ca-file=pki/ca.crt',
    '--cluster-signing-cert-file=pki/ca.crt',
    '--cluster-signing-key-file=pki/ca.key',
    '--kube-api-qps=200',
    '--kube-api-burst=400',
    '--profiling=false',
  ]
}
