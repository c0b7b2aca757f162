#!/bin/sh
# test.sh CACHECTL PLUGIN PROGRAM: the second run prints the same, and computes nothing.
set -eu
dir=$(mktemp -d)
export HOME="$dir" XDG_CACHE_HOME="$dir/cache" XDG_RUNTIME_DIR="$dir"
trap '"$1" service stop >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT

"$3" >"$dir/bare" 2>/dev/null
"$1" run --plugin "$2" -- "$3" >"$dir/first" 2>"$dir/first.err"
"$1" run --plugin "$2" -- "$3" >"$dir/second" 2>"$dir/second.err"
cmp "$dir/bare" "$dir/first"
cmp "$dir/bare" "$dir/second"
grep -q computing "$dir/first.err"
if grep . "$dir/second.err"; then
    echo "the second run isn't a replay" >&2
    exit 1
fi
