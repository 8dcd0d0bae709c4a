/** Debian packages that installing XenAPI needs. Plain data, like hack/hypervisor/packages.mjs. */
export const packages = ['python3', 'python3-venv']
