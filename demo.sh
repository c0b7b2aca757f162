#!/usr/bin/env bash
# Builds taskcache and shows it: a small C program under the default policy, then python3's SVD, run once and replayed.
set -u
cd "$(dirname "$0")" || exit 1
. scripts/packages.sh
INSTALL=1
for arg in "$@"; do
    case "$arg" in
    --no-install) INSTALL=0 ;;
    --help) echo "Usage: ./demo.sh [--no-install]"; exit 0 ;;
    *) echo "demo.sh: no such option: $arg" >&2; exit 2 ;;
    esac
done
# shellcheck disable=SC2086
need_packages $BUILD_PACKAGES $DEMO_PACKAGES || exit 1
echo "Building into build/ ..."
TARGETS="tools/cachectl service/taskcached preload/libtaskcache.so plugins/lapack/lapack.so" build_tree build || exit 1

work=$(mktemp -d) || exit 1
export XDG_RUNTIME_DIR="$work/run" XDG_CACHE_HOME="$work/cache"
unset TASKCACHE_DIR TASKCACHE_CONFIG TASKCACHE_RUN_ID
mkdir -m 700 "$XDG_RUNTIME_DIR" "$XDG_CACHE_HOME"
cachectl="$PWD/build/tools/cachectl"
demo="$PWD/demo"
trap '"$cachectl" service stop >/dev/null 2>&1; rm -rf "$work"' EXIT

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

say "1. A small C program: add_one(1) add_one(1) add_one(2) in one run, policy DEFAULT"
cat demo/add_one.yaml
cc -O2 -o "$work/add_one" demo/add_one.c || exit 1
TASKCACHE_LOG=info "$cachectl" run -c demo/add_one.yaml -- "$work/add_one" || exit 1

say "2. An unmodified /usr/bin/python3 with numpy: two SVDs, in two processes"
echo "cachectl run --plugin lapack -- /usr/bin/python3 demo/svd.py"
for turn in first second; do
    "$cachectl" run --plugin lapack -- /usr/bin/python3 demo/svd.py "$work/$turn.bin" >"$work/$turn.txt" || exit 1
    echo "$turn process: $(cat "$work/$turn.txt")"
done
if cmp "$work/first.bin" "$work/second.bin"; then
    echo "U, S and Vt of both matrices: $(wc -c <"$work/first.bin") bytes, all equal"
else
    echo "the results differ" >&2
    exit 1
fi

say "3. cachectl stats"
"$cachectl" stats
key=$("$cachectl" ls --json | /usr/bin/python3 -c 'import json,sys; print(next(r["key"] for r in json.load(sys.stdin) if "dgesdd_" in r["task"]))') || exit 1
say "4. cachectl show $(printf %.12s "$key")"
"$cachectl" show "$key"
