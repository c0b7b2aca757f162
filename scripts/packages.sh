# What the build and the tests need, from Debian's packages. Sourced by demo.sh and test.sh.
BUILD_PACKAGES="build-essential meson ninja-build pkg-config liblmdb-dev libelf-dev libdw-dev liblzma-dev libiberty-dev libzydis-dev libzycore-dev libxxhash-dev libfyaml-dev python3-minimal"
DEMO_PACKAGES="python3 python3-numpy liblapack3"
TEST_PACKAGES="python3-scipy r-base-core octave libopenblas0-pthread libblas3 liblapack64-3 libblas64-3 libopenblas64-0-pthread squashfs-tools libbrotli1 liblz4-1 liblzo2-2 libcmocka-dev clang libclang-rt-14-dev gfortran gdb valgrind lld libjemalloc2 gpg gpg-agent openssl strace rustc"
# What bench/run compares with.
BENCH_PACKAGES="python3-joblib python3-diskcache"

# need_packages PACKAGE...: installs those that are missing, as root or through sudo; with INSTALL=0 only says which.
need_packages() {
    local missing="" p
    for p in "$@"; do
        case "$(dpkg-query -W -f '${Status}' "$p" 2>/dev/null)" in
        "install ok installed") ;;
        *) missing="$missing $p" ;;
        esac
    done
    [ -n "$missing" ] || return 0
    if [ "${INSTALL:-1}" = 0 ]; then
        echo "$0: missing packages:$missing" >&2
        echo "  try: apt-get install$missing" >&2
        return 1
    fi
    local root=""
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || { echo "$0: missing packages:$missing; be root, or install sudo" >&2; return 1; }
        root=sudo
    fi
    echo "$0: installing$missing" >&2
    # shellcheck disable=SC2086
    { $root apt-get update -qq && DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq --no-install-recommends $missing; } \
        >/tmp/taskcache-apt.$$ 2>&1 || { cat /tmp/taskcache-apt.$$ >&2; rm -f /tmp/taskcache-apt.$$; return 1; }
    rm -f /tmp/taskcache-apt.$$
}

# build_tree DIR OPTION...: configures once, then builds $TARGETS (unset: everything).
build_tree() {
    local dir=$1
    shift
    if [ ! -f "$dir/build.ninja" ]; then
        meson setup "$dir" "$@" >"$dir.setup.log" 2>&1 || { cat "$dir.setup.log" >&2; return 1; }
    elif [ $# -gt 0 ]; then
        meson configure "$dir" "$@" >/dev/null || return 1
    fi
    rm -f "$dir.setup.log"
    # shellcheck disable=SC2086
    ninja -C "$dir" ${VERBOSE:+-v} ${TARGETS:-} >"$dir/build.log" 2>&1 || { tail -n 60 "$dir/build.log" >&2; return 1; }
}
