#!/usr/bin/env bash
# Address and undefined-behaviour sanitizers: the driver by ctest, then the Python tests with the checked library.
# Usage: tests/sanitize.sh [build folder]; PYTHON names the interpreter.
set -euo pipefail
here="$(cd "$(dirname "$0")/.." && pwd)"
build="${1:-$here/build-sanitize}"
cmake -S "$here" -B "$build" -DGROUPNL_SANITIZE=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo
cmake --build "$build"
ctest --test-dir "$build" --output-on-failure
# The interpreter itself is not checked, so the sanitizers' library has to come first; it would report Python's own
# memory as leaks, and not all that ONNX Runtime does is ours.
GROUPNL_NATIVE_LIBRARY="$build/libgroupnl_device_native.so" \
LD_PRELOAD="$("${CXX:-g++}" -print-file-name=libasan.so) $("${CXX:-g++}" -print-file-name=libubsan.so)" \
ASAN_OPTIONS=detect_leaks=0 \
  "${PYTHON:-python3}" -m pytest "$here/tests" -k "not instruction_set"
