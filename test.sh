#!/usr/bin/env bash
# Builds taskcache and runs its tests. See --help.
set -u
cd "$(dirname "$0")" || exit 1
. scripts/packages.sh

usage() {
    cat <<'TEXT'
Usage: ./test.sh [OPTION]... [PART [NAME]...]

Installs what is missing from Debian's packages, builds into build/ (and build-san/, with sanitizers) and runs the tests.

Parts (default: all but those marked *):
  unit          modules, by themselves
  sanitize      the same, built by clang with AddressSanitizer and UndefinedBehaviorSanitizer
  e2e           programs run twice: executed, then replayed
  conformance   the cases of the caching semantics; ./test.sh conformance B06 runs one
  hostile       programs that misbehave
  real          programs that others wrote: python3 with numpy, and more
  abi           random prototypes, called by gcc's and clang's code: 2,000, with --long 20,000
  churn         readers of the store while it is rewritten
  docs          what the documentation shows is run
  matrix *      compilers and flags
  bench *       speed, as bench/run prints it

Options:
  --build-only  stop after the build
  --no-install  install nothing, only say what is missing
  --long        the long forms: churn for 60 s, the whole matrix, 20,000 prototypes, all builds of the source hash
  --help
TEXT
}

INSTALL=1 BUILD_ONLY=0 LONG=0 PART="" NAMES=()
for arg in "$@"; do
    case "$arg" in
    --help) usage; exit 0 ;;
    --no-install) INSTALL=0 ;;
    --build-only) BUILD_ONLY=1 ;;
    --long) LONG=1 ;;
    -*) echo "test.sh: no such option: $arg" >&2; usage >&2; exit 2 ;;
    *) if [ -z "$PART" ]; then PART=$arg; else NAMES+=("$arg"); fi ;;
    esac
done
case "$PART" in
"" | unit | sanitize | e2e | conformance | hostile | real | abi | churn | docs | matrix | bench) ;;
*) echo "test.sh: no such part: $PART" >&2; usage >&2; exit 2 ;;
esac

# shellcheck disable=SC2086
need_packages $BUILD_PACKAGES $DEMO_PACKAGES $TEST_PACKAGES || exit 1
# shellcheck disable=SC2086
[ "$PART" != bench ] || need_packages $BENCH_PACKAGES || exit 1
build_tree build -Dtest_clock=true -Dwerror=true || exit 1
[ "$BUILD_ONLY" = 0 ] || exit 0

passed=0 failed=0
# Adds the numbers of a part's own closing line "N passed, N failed".
run_part() {
    local title=$1 line p f
    shift
    echo "== $title"
    "$@" >"build/part.log" 2>&1
    local status=$?
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' build/part.log | tail -n 1)
    if [ -z "$line" ]; then
        cat build/part.log
        echo "$title: ended with status $status and no count"
        failed=$((failed + 1))
        return
    fi
    p=${line%% *}
    f=${line#*, }
    f=${f%% *}
    passed=$((passed + p))
    failed=$((failed + f))
    if [ "$f" != 0 ] || [ "$status" != 0 ]; then
        cat build/part.log
        [ "$f" != 0 ] || failed=$((failed + 1))
    else
        # Who asks for single tests wants to see them.
        if [ ${#NAMES[@]} != 0 ]; then
            cat build/part.log
        else
            grep -E '^(later |[0-9]+ not counted)' build/part.log
        fi
        echo "$p passed"
    fi
}

meson_tests() { # DIR
    # The long forms of unit tests have no time limit.
    TASKCACHE_TEST_LONG=${LONG_FLAG:-} meson test -C "$1" --print-errorlogs --no-rebuild --suite unit ${LONG_FLAG:+--timeout-multiplier 0} "${NAMES[@]}"
    awk '/^Ok:/{ok=$2} /^(Fail|Unexpected Pass|Timeout):/{bad+=$NF} END{printf "%d passed, %d failed\n", ok, bad}' \
        "$1/meson-logs/testlog.txt"
}

sanitized() {
    # By the other compiler, too.
    CC=clang build_tree build-san -Dtest_clock=true -Dwerror=true -Db_sanitize=address,undefined -Db_lundef=false || return 1
    ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 LONG_FLAG="" meson_tests build-san
}

python_tests() { # PART
    /usr/bin/python3 tests/run.py ${LONG_FLAG:-} --build build "$1" "${NAMES[@]}"
}

[ "$LONG" = 0 ] || LONG_FLAG=--long
want() { [ -z "$PART" ] || [ "$PART" = "$1" ]; }
want unit && run_part unit meson_tests build
want sanitize && run_part sanitize sanitized
for part in e2e conformance hostile real abi churn docs; do
    want $part && run_part $part python_tests $part
done
[ "$PART" = matrix ] && run_part matrix python_tests matrix
[ "$PART" = bench ] && { bench/run; exit $?; }
echo
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
