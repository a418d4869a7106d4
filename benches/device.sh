#!/usr/bin/env bash
# What needs a GPU, most important first, in at most eight minutes; run again, it goes on where it stopped.
#
#     benches/device.sh FOLDER
#
# DEVICE=cuda, SCALE=paper (cpu: tiny settings, for a test of this script), LIMIT=470 seconds, PYTHON=python3.
# FOLDER gets kernels.csv, results of the studies in benches/device, and, once a study is through, its page, table and
# plots in FOLDER/published. Exit status: 0 when everything is there, 3 where the time was too short, 1 after failures.
set -u
out=${1:?name a folder for the results}
here=$(cd "$(dirname "$0")" && pwd)
device=${DEVICE:-cuda} scale=${SCALE:-paper} limit=${LIMIT:-470} python=${PYTHON:-python3}
mkdir -p "$out" || exit 1

within() { # NAME COMMAND...: within what is left of the time
  local name=$1 left=$((limit - SECONDS)) status
  shift
  [ "$left" -ge 1 ] || { echo "$name: no time left"; return 3; }
  timeout --signal=INT --kill-after=5 "$left" "$@"
  status=$?
  echo "$name: exit status $status after $SECONDS s"
  case $status in 0) return 0 ;; 124 | 130 | 137) return 3 ;; *) return 1 ;; esac
}

worst=0
if [ ! -e "$out/kernels.csv" ]; then
  within kernels "$python" "$here/device_kernels.py" --device "$device" --scale "$scale" --output "$out/kernels.csv" || worst=$?
fi
studies=()
for study in cifar-cnn selection-conv6 cifar-mapping selection-vgg19; do studies+=("$here/device/$study.toml"); done
within studies "$python" -m matchopt.cli reproduce "${studies[@]}" --device "$device" --scale "$scale" --jobs 1 \
  --output "$out" --publish "$out/published" || { status=$?; [ "$worst" -eq 1 ] || worst=$status; }
exit "$worst"
