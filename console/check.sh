#!/usr/bin/env bash
# check.sh [build|lint|unit|e2e]...: builds and tests the console; without words all of them, in this order. Takes Node from
# tools/setup-node.sh and the packages from the lock file. e2e runs $VECTRON_BIN (default: build/release/bin/vectron) and the
# vectronctl beside it, and leaves screenshots in $VECTRON_CONSOLE_OUTPUT (default: console/e2e/output).
set -euo pipefail
cd "$(dirname "$0")"

say() { printf '==> console: %s\n' "$*" >&2; }

steps=("$@")
[ ${#steps[@]} -eq 0 ] && steps=(build lint unit e2e)
for step in "${steps[@]}"; do
  case "$step" in build | lint | unit | e2e) ;; *) echo "check.sh: no step '$step': build, lint, unit or e2e" >&2; exit 2 ;; esac
done

# One at a time: two would write the same folders.
exec 7>"${TMPDIR:-/tmp}/vectron-console-$(id -u).lock"
flock 7
browser=()
case " ${steps[*]} " in *" e2e "*) browser=(--browser) ;; esac
PATH=$(../tools/setup-node.sh "${browser[@]}"):$PATH
export PATH

if ! cmp -s package-lock.json node_modules/.installed; then
  say "installing packages"
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
  cp package-lock.json node_modules/.installed
fi

for step in "${steps[@]}"; do
  say "$step"
  case "$step" in
    build) npm run --silent build ;;
    lint) npm run --silent generate && npm run --silent lint ;;
    unit) npm run --silent generate && npm run --silent test ;;
    e2e) npm run --silent build && npm run --silent e2e ;;
  esac
done
