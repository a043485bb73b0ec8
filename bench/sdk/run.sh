#!/usr/bin/env bash
# run.sh [python|typescript|go|cpp|upsert]...: what the client libraries cost, measured against a server of its own; all when none is
# named. Wants what tests/sdk/run.sh LANGUAGE builds, in VECTRON_SDK_BUILD (build/sdk-tests), and vectron and vectronctl.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
BUILD=${VECTRON_SDK_BUILD:-$ROOT/build/sdk-tests}
VECTRON_BINARY=${VECTRON_BINARY:-$ROOT/build/release/bin/vectron}
VECTRONCTL_BINARY=${VECTRONCTL_BINARY:-$(dirname "$VECTRON_BINARY")/vectronctl}
export PYTHONDONTWRITEBYTECODE=1

# built LANGUAGE: fails unless tests/sdk/run.sh has built it.
built() {
  [ -d "$BUILD/$1" ] || { echo "bench sdk: nothing built in $BUILD/$1: run tests/sdk/run.sh $1 first" >&2; exit 1; }
}
[ $# -gt 0 ] || set -- python typescript go cpp upsert

folder=$(mktemp -d)
"$VECTRON_BINARY" dev --data "$folder/data" --auth off --http 127.0.0.1:0 --grpc 127.0.0.1:0 >"$folder/ready" 2>"$folder/log" &
server=$!
trap 'kill $server; wait $server 2>/dev/null || true; rm -rf "$folder"' EXIT
until [ -s "$folder/ready" ]; do
  kill -0 $server 2>/dev/null || { cat "$folder/log" >&2; exit 1; }
  sleep 0.1
done
host=$(sed -E 's/.*"grpc":"([^"]*)".*/\1/' "$folder/ready")

for what in "$@"; do
  case "$what" in
    python | upsert)
      built python
      python=$("$ROOT/tools/setup-languages.sh" python)/bin/python
      script=overhead.py
      [ "$what" = python ] || script=upsert.py
      PYTHONPATH=$BUILD/python/src "$python" "$HERE/$script" "$host" $([ "$what" = python ] || printf '%s' "$VECTRONCTL_BINARY")
      ;;
    typescript)
      built typescript
      node=$("$ROOT/tools/setup-languages.sh" typescript | sed -n 2p)/node
      "$node" "$HERE/overhead.mjs" "$host" "$BUILD/typescript"
      ;;
    go)
      built go
      mkdir -p "$BUILD/go/internal/overhead"
      cp "$HERE/overhead.go" "$BUILD/go/internal/overhead/main.go"
      (cd "$BUILD/go" && PATH=$("$ROOT/tools/setup-languages.sh" go):$PATH GOFLAGS=-mod=mod go run ./internal/overhead "$host")
      ;;
    cpp)
      built cpp
      generated=$BUILD/cpp/build/generated
      g++ -std=c++20 -O2 -DNDEBUG -I"$ROOT/sdk/cpp/include" -isystem "$generated" "$HERE/overhead.cc" "$BUILD/cpp/build/libvectron_client.a" \
        $(pkg-config --libs grpc++ protobuf) -lpthread -o "$folder/overhead"
      "$folder/overhead" "$host"
      ;;
    *) echo "say python, typescript, go, cpp or upsert" >&2; exit 2 ;;
  esac
done
