// `unit` starts and installs nothing; the others need `npm run setup`, and `xen` a Xen host, which it makes. `proxied`
// waits most of its time for deadlines and leases to pass.
const common = {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2024' }, module: { type: 'es6' } },
    ],
  },
  moduleNameMapper: {},
  testPathIgnorePatterns: ['/node_modules/', '/.cache/', '/.run/'],
}

export default {
  projects: [
    {
      ...common,
      displayName: 'unit',
      testMatch: ['<rootDir>/{controller,images,node-libvirt,xapi-simulator,hack,test/{property,bench}}/**/*.test.ts'],
    },
    {
      ...common,
      displayName: 'xen',
      testMatch: ['<rootDir>/test/xen/**/*.test.ts'],
      globalSetup: '<rootDir>/test/xen/global-setup.ts',
      globalTeardown: '<rootDir>/test/xen/global-teardown.ts',
      setupFilesAfterEnv: ['<rootDir>/test/xen/set-timeout.ts'],
    },
    {
      ...common,
      displayName: 'proxied',
      testMatch: ['<rootDir>/test/fault/proxied/**/*.test.ts'],
      setupFilesAfterEnv: ['<rootDir>/test/support/set-timeout.ts'],
    },
    {
      ...common,
      displayName: 'real',
      testMatch: ['<rootDir>/test/{contract,integration,fault,e2e}/**/*.test.ts'],
      testPathIgnorePatterns: [...common.testPathIgnorePatterns, '<rootDir>/test/fault/proxied/'],
      globalSetup: '<rootDir>/test/support/global-setup.ts',
      globalTeardown: '<rootDir>/test/support/global-teardown.ts',
      setupFilesAfterEnv: ['<rootDir>/test/support/set-timeout.ts'],
    },
  ],
}
