import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

// Where the API is while the console is served by Vite (npm run dev); built, it is served by the gateway itself.
const server = process.env.VECTRON_URL ?? 'http://127.0.0.1:8080';
const proxy = Object.fromEntries(
  ['/v1', '/openapi.json', '/healthz', '/readyz', '/metrics'].map((path) => [path, { target: server }]),
);

export default defineConfig({
  // Relative, so that the console works below any path prefix.
  base: './',
  plugins: [react()],
  server: { proxy },
  preview: { proxy },
  build: {
    target: 'es2022',
    manifest: true,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 700,
  },
  test: {
    environment: 'jsdom',
    include: ['src/**/*.test.{ts,tsx}'],
    testTimeout: 30_000,
    setupFiles: ['src/lib/test-setup.ts'],
  },
});
