#!/usr/bin/env bash
# Installs the Debian packages the project needs and that are missing. Says what it does, asks for nothing, does nothing and is
# quick when all is there. One at a time: an apt run beside another one can undo its work.
set -euo pipefail

PACKAGES=(
  # tools
  build-essential ccache cmake curl git mold ninja-build pkg-config python3 python3-yaml
  # protocols
  libboost1.81-dev libcurl4-openssl-dev libgrpc++-dev libprotobuf-dev libsimdjson-dev libssl-dev protobuf-compiler protobuf-compiler-grpc
  # storage and data structures
  libhiredis-dev libicu-dev librocksdb-dev libroaring-dev libsqlite3-dev libxxhash-dev zlib1g-dev
  # credentials, and the real stores of a cluster for its tests
  libargon2-dev etcd-server redis-server
  # log, metrics, command lines, configuration, memory
  libcli11-dev libfmt-dev libjemalloc-dev libspdlog-dev libtomlplusplus-dev prometheus-cpp-dev
  # tests, benchmarks, checks
  clang-14 clang-format-14 clang-tidy-14 libclang-rt-14-dev libgmock-dev libgtest-dev libhnswlib-dev
)

# Rust for the consensus engine: what is on PATH if it is new enough, else Debian's web toolchain.
if ! cargo --version 2>/dev/null | grep -qE 'cargo 1\.([7-9][0-9]|[1-9][0-9]{2})\.'; then
  PACKAGES+=(cargo-web rustc-web)
fi

missing=()
installed=$(dpkg-query -W -f '${Package} ${db:Status-Abbrev}\n' "${PACKAGES[@]}" 2>/dev/null || true)
for package in "${PACKAGES[@]}"; do
  grep -q "^$package ii" <<<"$installed" || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "setup: root is needed to install: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo -n)
fi
echo "==> installing ${#missing[@]} Debian packages: ${missing[*]}" >&2
exec 9>"${TMPDIR:-/tmp}/vectron-setup.lock"
flock 9
install() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o DPkg::Lock::Timeout=300 "${missing[@]}" >/dev/null
}
"${as_root[@]}" apt-get update -qq
install || { "${as_root[@]}" apt-get -f install -y -qq >/dev/null; install; }
