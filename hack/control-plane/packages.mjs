/** Debian packages whose tools set up and start the control plane. Plain data, like hack/hypervisor/packages.mjs. */
export const packages = ['openssl', 'unzip', 'util-linux']
