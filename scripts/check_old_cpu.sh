#!/usr/bin/env bash
# Runs tests of the kernels on a processor without AVX, AVX2 and AVX-512, which QEMU pretends to be: what is chosen by
# the processor's features then takes its oldest path. Needs qemu-user (Debian: `apt-get install qemu-user`).
# Usage: check_old_cpu.sh [TEST_FILTER…], by default the library's own tests and those of the layers' operations
set -euo pipefail
cd "$(dirname "$0")/.."

processor=${TASKWEAVE_OLD_CPU:-Nehalem}
emulator=$(command -v qemu-x86_64) || {
  echo "qemu-x86_64: expected QEMU's user mode emulator, found none; install the package qemu-user" >&2
  exit 1
}
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="$emulator -cpu $processor"
cargo test --locked --package taskweave-kernels --lib --tests -- "$@"
echo "the kernels work on $processor, in $SECONDS s"
