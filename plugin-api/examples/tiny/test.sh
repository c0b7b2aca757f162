#!/bin/sh
# test.sh CACHECTL PLUGIN PROGRAM: the second run prints the same, and runs no body.
set -eu
dir=$(mktemp -d)
export HOME="$dir" XDG_CACHE_HOME="$dir/cache" XDG_RUNTIME_DIR="$dir"
trap '"$1" service stop >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT

"$3" >"$dir/bare" 2>"$dir/bare.err"
"$1" run --plugin "$2" -- "$3" >"$dir/first" 2>"$dir/first.err"
"$1" run --plugin "$2" -- "$3" >"$dir/second" 2>"$dir/second.err"
cmp "$dir/bare" "$dir/first"
cmp "$dir/bare" "$dir/second"
# Both forecasts are of one hour: the second is a replay in the first run already.
[ "$(grep -c . "$dir/bare.err")" = 6 ]
[ "$(grep -c . "$dir/first.err")" = 5 ]
if grep . "$dir/second.err"; then
    echo "the second run isn't a replay" >&2
    exit 1
fi
