#!/usr/bin/env bash
# Type-checks every crate with the feature `cuda`: libraries, tests, examples and benches. Needs no GPU and no driver.
# The CUDA toolkit (600 MB) comes from PyPI into a virtual environment, once: a later run uses it again. Linux only.
# Usage: check_cuda.sh [FOLDER_OF_THE_ENVIRONMENT], by default target/cuda-venv
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
venv=$(realpath -m "${1:-$root/target/cuda-venv}")
cd "$root"

# cudarc reads the version of the toolkit from nvcc, candle-kernels compiles its kernels with it. The libraries of CUDA
# are opened at run time, so the check needs only their headers.
packages=(
  "nvidia-cuda-nvcc==13.0.*" "nvidia-nvvm==13.0.*" "nvidia-cuda-crt==13.0.*" "nvidia-cuda-cccl==13.0.*"
  "nvidia-cuda-runtime==13.0.*" "nvidia-cuda-nvrtc==13.0.*" "nvidia-cublas==13.0.*" "nvidia-curand==10.4.*"
)

# Written after an installation that succeeded: an environment that was cut off or holds others is installed again.
stamp=$venv/taskweave-packages
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "${packages[*]}" ]; then
  echo "CUDA toolkit: found in $venv"
else
  echo "CUDA toolkit: installing into $venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet "${packages[@]}"
  echo "${packages[*]}" >"$stamp"
fi

toolkit=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/nvidia/cu13
if [ ! -x "$toolkit/bin/nvcc" ]; then
  echo "$toolkit/bin/nvcc: expected the CUDA compiler, found none; remove $venv and run again" >&2
  exit 1
fi
# No GPU is asked which kernels it wants: 90 is Hopper's compute capability.
export CUDA_HOME=$toolkit CUDA_PATH=$toolkit CUDA_COMPUTE_CAP=90 PATH=$toolkit/bin:$PATH
nvcc --version | sed -n 's/^Cuda compilation tools, /CUDA toolkit: /p'

cargo check --locked --workspace --all-targets --features cuda
echo "every crate type-checks with the feature cuda, in $SECONDS s"
