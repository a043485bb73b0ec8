#!/usr/bin/env bash
# run.sh LANGUAGE: every test of one client library: its own, and those against a real server (VECTRON_BINARY).
# LANGUAGE is python, typescript, go or cpp, or mcp (assistants' tools of vectronctl). Installs what is missing into a cache
# (tools/setup-languages.sh).
# Nothing is written into the source tree; build products go to VECTRON_SDK_BUILD (build/sdk-tests).
set -euo pipefail
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
BUILD=${VECTRON_SDK_BUILD:-$ROOT/build/sdk-tests}
export VECTRON_BINARY=${VECTRON_BINARY:-$ROOT/build/release/bin/vectron}
export PYTHONDONTWRITEBYTECODE=1
# For tests of TLS, of a cluster with a worker killed, and of a login that has expired.
export VECTRON_CERTIFICATES=$BUILD/certificates-${1:-} VECTRON_CLUSTER_TOOL=$ROOT/tools/cluster.py
export VECTRON_EXPIRED_TOKEN_TOOL=$ROOT/tests/sdk/expired_token.py

# What cannot be installed here cannot be tested: said, and told apart from success and failure (ctest: SKIP_RETURN_CODE).
skip() { printf 'sdk tests: NOT TESTED: %s\n' "$*" >&2; exit 77; }
die() { printf 'sdk tests: %s\n' "$*" >&2; exit 1; }
[ -x "$VECTRON_BINARY" ] || die "no server at $VECTRON_BINARY: ./dev build release vectron, or set VECTRON_BINARY"

# certificates: makes those of VECTRON_CERTIFICATES.
certificates() {
  "$ROOT/tests/sdk/make_certificates.sh" "$VECTRON_CERTIFICATES" || die "openssl could not make certificates"
}

# copy_tree FROM TO: TO becomes a copy of FROM's files that git tracks (or would); what a build left in TO stays.
copy_tree() {
  mkdir -p "$2"
  (cd "$ROOT/$1" && git ls-files -co --exclude-standard -z | xargs -0 -r cp --parents -pu -t "$2")
}

run_python() {
  local venv work=$BUILD/python
  certificates
  venv=$("$ROOT/tools/setup-languages.sh" python) || skip "the Python packages cannot be installed"
  rm -rf "$work/src"
  copy_tree sdk/python "$work"
  python3 "$ROOT/sdk/python/generate.py" --out "$work/src"
  export PATH=$venv/bin:$PATH PYTHONPATH=$work/src
  (cd "$work" && ruff format --check --quiet --no-cache src tests "$ROOT/tests/sdk/python" "$ROOT/examples/python" &&
    ruff check --quiet --no-cache src tests "$ROOT/tests/sdk/python" && mypy --cache-dir "$work/.mypy_cache" --no-error-summary)
  python -m pytest -q -p no:cacheprovider -c "$work/pyproject.toml" --rootdir "$work" "$work/tests" -rs
  # A wheel made from a source package alone, away from the repository, works.
  rm -rf "$work/dist" "$work/installed"
  cp -r "$ROOT/proto" "$work/"
  (cd "$work" && python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation -w dist . &&
    python -m pip install --quiet --disable-pip-version-check --no-deps --target installed dist/vectron-*.whl &&
    PYTHONPATH=$work/installed python -c 'import vectron, os; assert os.path.exists(os.path.dirname(vectron.__file__) + "/py.typed")')
  python -m pytest -q -p no:cacheprovider -c "$work/pyproject.toml" --rootdir "$ROOT/tests/sdk/python" "$ROOT/tests/sdk/python" -rs
}

# The assistants' protocol of `vectronctl mcp`, through its official client.
run_mcp() {
  local venv
  venv=$("$ROOT/tools/setup-languages.sh" python) || skip "the Python packages cannot be installed"
  export VECTRONCTL_BINARY=${VECTRONCTL_BINARY:-$(dirname "$VECTRON_BINARY")/vectronctl}
  [ -x "$VECTRONCTL_BINARY" ] || die "no vectronctl at $VECTRONCTL_BINARY: ./dev build release vectronctl"
  "$venv/bin/python" -m pytest -q -p no:cacheprovider -c "$ROOT/sdk/python/pyproject.toml" --rootdir "$ROOT/tests/sdk/mcp" \
    "$ROOT/tests/sdk/mcp" -rs
}

run_typescript() {
  local places modules work=$BUILD/typescript
  certificates
  mapfile -t places < <("$ROOT/tools/setup-languages.sh" typescript)
  [ ${#places[@]} = 2 ] || skip "the Node packages cannot be installed"
  modules=${places[0]}
  export PATH=${places[1]}:$PATH VECTRON_PROTOS=$ROOT/proto
  rm -rf "$work/src" "$work/test"
  copy_tree sdk/typescript "$work"
  ln -sfn "$modules/node_modules" "$work/node_modules"
  (cd "$work" && node scripts/generate.mjs && node scripts/build.mjs)
  # The example imports the package by its name, so it runs where that is installed.
  rm -rf "$work/installed"
  mkdir -p "$work/installed/node_modules/@vectron"
  ln -s "$work" "$work/installed/node_modules/@vectron/client"
  cp "$ROOT/examples/typescript/quickstart.mjs" "$work/installed/"
  (cd "$work" && node --test --test-reporter=spec test/*.test.mjs)
}

run_go() {
  local go work=$BUILD/go
  certificates
  go=$("$ROOT/tools/setup-languages.sh" go) || skip "Go cannot be installed"
  export PATH=$go:$PATH GOFLAGS=-mod=mod VECTRON_EXAMPLE=$work/bin/quickstart
  rm -rf "$work"
  copy_tree sdk/go "$work"
  (cd "$work" && go mod download) || skip "the Go modules cannot be fetched"
  mkdir -p "$work/internal/quickstart"
  cp "$ROOT/examples/go/quickstart.go" "$work/internal/quickstart/main.go"
  [ -z "$(cd "$work" && gofmt -l . | grep -v '\.pb\.go$')" ] || die "gofmt -w is wanted in sdk/go or examples/go"
  (cd "$work" && go vet ./... && go build -o bin/quickstart ./internal/quickstart && go test -count=1 -v . | grep -vE '^=== ')
  # Modules are used as they are in the repository, so what protoc makes is checked in, and must be up to date.
  "$ROOT/sdk/go/generate.sh" "$work/generated"
  local made
  for made in "$work"/generated/*pb; do
    diff -rq "$made" "$ROOT/sdk/go/$(basename "$made")" >/dev/null ||
      die "sdk/go/$(basename "$made") is older than proto/: run sdk/go/generate.sh"
  done
}

run_cpp() {
  local work=$BUILD/cpp
  certificates
  mkdir -p "$work"
  cmake -S "$ROOT/sdk/cpp" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DVECTRON_CLIENT_BUILD_TESTS=ON \
    -DCMAKE_INSTALL_PREFIX="$work/installed" >"$work/configure.log" || { tail -20 "$work/configure.log"; die "cmake failed"; }
  ninja -C "$work/build" --quiet
  "$work/build/vectron_client_unit_tests" --gtest_brief=1
  # The example is a project of its own that finds the installed package.
  ninja -C "$work/build" --quiet install >/dev/null
  cmake -S "$ROOT/examples/cpp" -B "$work/example" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$work/installed" \
    >"$work/example.log" || { tail -20 "$work/example.log"; die "find_package(vectron) failed"; }
  ninja -C "$work/example" --quiet
  VECTRON_EXAMPLE=$work/example/quickstart "$work/build/vectron_client_server_tests" --gtest_brief=1
}

case "${1:-}" in
  python) run_python ;;
  go) run_go ;;
  cpp) run_cpp ;;
  typescript) run_typescript ;;
  mcp) run_mcp ;;
  *) die "say python, typescript, go, cpp or mcp" ;;
esac
