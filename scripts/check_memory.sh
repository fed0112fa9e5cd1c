#!/usr/bin/env bash
# Runs the tests of the kernels under AddressSanitizer: a read or write outside of an allocation, or after its end, in
# what this processor's features choose, ends the run. Linux on x86-64. The sanitizer's runtime comes with Rust; the
# flag for it is one that only a nightly compiler takes, or a stable one that is told to.
# Usage: check_memory.sh [TEST_FILTER…], by default all of them but those in documents
set -euo pipefail
cd "$(dirname "$0")/.."

target=x86_64-unknown-linux-gnu
runtime=$(rustc --print target-libdir)/librustc-*_rt.asan.a
# shellcheck disable=SC2086
ls $runtime >/dev/null 2>&1 || {
  echo "$runtime: expected the runtime of AddressSanitizer, found none; use a toolchain from rustup" >&2
  exit 1
}
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address" CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/asan
# Build scripts and macros are built without it, because the target is named.
cargo test --locked --package taskweave-kernels --lib --tests --target "$target" -- "$@"
echo "no access outside of an allocation, in $SECONDS s"
