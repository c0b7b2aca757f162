#!/bin/sh
# test.sh CACHECTL PLUGIN PROGRAM: the second run prints the same, and runs no body; then with a config.
set -eu
dir=$(mktemp -d)
export HOME="$dir" XDG_CACHE_HOME="$dir/cache" XDG_RUNTIME_DIR="$dir"
trap '"$1" service stop >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT

# bodies RUN: how many there were, by what they say themselves.
bodies() { grep -c ^slow_ "$dir/$1.err" || true; }

"$3" >"$dir/bare" 2>"$dir/bare.err"
for run in first second; do
    "$1" run --plugin "$2" -- "$3" >"$dir/$run" 2>"$dir/$run.err"
    cmp "$dir/bare" "$dir/$run"
done
# Both forecasts are of one hour: the second is a replay in the first run already.
[ "$(bodies bare) $(bodies first) $(bodies second)" = "4 3 0" ]

# A cache of its own for each of two machines; one place for results and one for locks, which they share.
mkdir "$dir/results" "$dir/locks"
for machine in one two; do
    cat >"$dir/$machine.yaml" <<END
cache: { path: $dir/$machine }
plugins:
  - path: $(realpath "$2")
    options: { hour: 60, results: $dir/results, locks: $dir/locks, events: $dir/events }
storages: { shared: { type: tiny.shelf } }
policies: { once: { policy: INPUTS, isolation_level: SERIALIZABLE, lock_manager: tiny.locks } }
tasks:
  - symbol: slow_sum
    cache_policy: once
    result_storage: shared
END
    "$1" run -c "$dir/$machine.yaml" -- "$3" >"$dir/$machine.out" 2>"$dir/$machine.err"
    cmp "$dir/bare" "$dir/$machine.out"
    tries=0 # what was found out is handed on, and told, soon after
    until ls "$dir/results" | grep -qv part && grep -qs "slow_sort.* 2 1" "$dir/events"; do
        [ $((tries += 1)) -le 600 ] || { echo "$machine: no result, or no events" >&2; exit 1; }
        sleep 0.1
    done
done
# With hours of 60 s the forecasts are two; the second machine finds the first one's sum.
[ "$(bodies one) $(bodies two)" = "4 3" ]
[ "$(grep -c slow_sum "$dir/two.err")" = 0 ]
[ -n "$(ls "$dir/locks")" ] # the first machine took a lock
