#!/usr/bin/env bash
# Bad input to the examples: each ends with an error that names the thing, a failing exit code, and no output.
# Usage: check_examples.sh FOLDER_OF_THE_EXAMPLES RUN_OF_QUICKSTART
set -euo pipefail
bin=$1 run=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# refuse TEXT COMMAND…: the command fails without panicking, and its standard error holds the text.
refuse() {
  local text=$1 said
  shift
  if said=$("$@" 2>&1 >/dev/null); then
    echo "expected a failure: $*" >&2
    exit 1
  fi
  case $said in
    *panicked*) echo "panicked: $*" >&2; exit 1 ;;
    *"$text"*) echo "ok: $said" ;;
    *) printf 'expected "%s" from %s, found:\n%s\n' "$text" "$*" "$said" >&2; exit 1 ;;
  esac
}

image=$(find "$run/images" -name '*.png' | sort | sed -n 1p)
head -c 100 "$image" >"$work/cut.png"
echo "no image" >"$work/text.png"
: >"$work/file"

refuse "$work/none/config.json" "$bin/predict" --run "$work/none" --image "$image"
refuse "$work/cut.png: expected a PNG or JPEG" "$bin/predict" --run "$run" --image "$work/cut.png" --out "$work/masks"
refuse "$work/text.png: expected a PNG or JPEG" "$bin/predict" --run "$run" --image "$image" "$work/text.png" --out "$work/masks"
[ ! -e "$work/masks" ] || { echo "expected no masks after an error" >&2; exit 1; }
cp "$image" "$work/twice.png"; mkdir "$work/other"; cp "$image" "$work/other/twice.png"
refuse "files of different names" "$bin/predict" --run "$run" --image "$work/twice.png" "$work/other/twice.png"
refuse "unknown method \`none\`" "$bin/predict" --run "$run" --image "$image" --method none
refuse "method: expected one that learns class and mask" "$bin/predict" --run "$run" --image "$image" --method "class alone"
refuse "a checkpoint of \`joint\`, seed 77" "$bin/predict" --run "$run" --image "$image" --seed 77

refuse "configuration.job.epochs = 77, found" "$bin/quickstart" --run "$run" --epochs 77
refuse "$work/file/run" "$bin/quickstart" --run "$work/file/run"
refuse "epochs: expected at least 1" "$bin/quickstart" --run "$work/a" --epochs 0
refuse "seeds: expected at least one" "$bin/quickstart" --run "$work/b" --seeds 0
refuse "difficulty of shapes" "$bin/quickstart" --run "$work/c" --difficulty 2
refuse "--root: expected the folder of the data" "$bin/image_multitask" --data mnist
refuse "$work/none" "$bin/image_multitask" --data cifar10 --root "$work/none" --run "$work/d"
mkdir -p "$work/cifar/train/cat" "$work/cifar/test/cat"
refuse "$work/cifar/train" "$bin/image_multitask" --data cifar10 --root "$work/cifar" --run "$work/e"
refuse "batch size" "$bin/linear_cotraining" --batch-size 0
refuse "lr: expected a finite number" "$bin/linear_cotraining" --rate -1
refuse "heads: expected 1 to 100000" "$bin/linear_cotraining" --heads 0
refuse "samples of a loader: expected at least one" "$bin/pareto_front" --steps 0
refuse "rate: expected a finite number > 0" "$bin/conflicting_gradients" --rate 0
refuse "$work/none/train-images-idx3-ubyte" "$bin/multi_mnist" --root "$work/none" --run "$work/f"
refuse "method \`losses none\`" "$bin/multi_mnist" --root "$work/none" --run "$work/g" --method "losses none"
refuse "seeds: expected at least one" "$bin/multi_mnist" --root "$work/none" --run "$work/h" --seeds 0
refuse "$work/none/school.safetensors" "$bin/school" --root "$work/none" --run "$work/i"
refuse "seeds: expected at least one" "$bin/school" --root "$work/none" --run "$work/j" --seeds 0
refuse "$work/none/mfeat-fac.csv" "$bin/cotrain_multitask" --root "$work/none" --run "$work/k"
