#!/usr/bin/env bash
# generate.sh [FOLDER]: makes the message packages (*pb) from the .proto files into FOLDER, here by default. They are kept in the
# repository because Go modules are used as they are there. Wants protoc on PATH; builds the plug-in it names itself.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
OUT=${1:-$HERE}
mkdir -p "$OUT"
PROTOS=$HERE/../../proto
MODULE=github.com/vectron-db/vectron/sdk/go
PLUGIN_VERSION=v1.36.6

plugins=${VECTRON_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vectron}/protoc-gen-go-$PLUGIN_VERSION
[ -x "$plugins/protoc-gen-go" ] || GOBIN=$plugins go install "google.golang.org/protobuf/cmd/protoc-gen-go@$PLUGIN_VERSION"

mappings=()
names=()
left=(vectron)
while [ ${#left[@]} -gt 0 ]; do
  name=${left[0]}
  left=("${left[@]:1}")
  case " ${names[*]-} " in *" $name "*) continue ;; esac
  names+=("$name")
  mappings+=("--go_opt=Mvectron/$name.proto=$MODULE/${name}pb")
  mapfile -t imports < <(sed -nE 's|^import "vectron/([a-z_]+)\.proto";.*|\1|p' "$PROTOS/vectron/$name.proto")
  left+=(${imports[@]+"${imports[@]}"})
done
files=("${names[@]/#/vectron/}")
protoc --plugin=protoc-gen-go="$plugins/protoc-gen-go" --proto_path="$PROTOS" --go_out="$OUT" --go_opt=module=$MODULE \
  "${mappings[@]}" "${files[@]/%/.proto}"
