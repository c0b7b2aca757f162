"""plugins/lapack with the programs that it is for, on reference LAPACK and on OpenBLAS: what they compute is the same bytes bare, when it is
kept, and when it is replayed. That the second run computes nothing is told by the BLAS below reference LAPACK."""
import os
import pathlib
import shutil

import witness
from harness import Failure, Later, equal

SCRIPTS = pathlib.Path(__file__).resolve().parent / "scripts"
LIBRARIES = pathlib.Path("/usr/lib") / f"{os.uname().machine}-linux-gnu"
REFERENCE = f"{LIBRARIES}/lapack:{LIBRARIES}/blas"
OPENBLAS = f"{LIBRARIES}/openblas-pthread"

# All drivers call some of them; workspace queries don't, nor does numpy by itself.
BLAS = ["i{t}amax", "{t}axpy", "{t}gemm", "{t}gemv", "{t}ger", "{t}gerc", "{t}geru", "{t}hemv",
        "{t}her2", "{t}her2k", "{t}herk", "{t}nrm2", "s{t}nrm2", "d{t}nrm2", "{t}rot", "{t}scal", "s{t}scal", "d{t}scal", "{t}swap", "{t}symv",
        "{t}syr2", "{t}syr2k", "{t}syrk", "{t}trmm", "{t}trmv", "{t}trsm", "{t}trsv"]


def blas_names():
    import ctypes
    library = ctypes.CDLL(f"{LIBRARIES}/blas/libblas.so.3")
    names = {n.format(t=t) + "_" for n in BLAS for t in "sdcz"}
    return sorted(n for n in names if hasattr(library, n))


def need(program):
    if shutil.which(program) is None:
        raise Later(f"needs {program}")


def replays(t, argv, libraries, least, env=None, more=()):
    """argv gets the name of the file for its results, and `more`. `least`: so many calls are replayed in the second run."""
    if not pathlib.Path(libraries.split(":")[0]).is_dir():
        raise Later(f"needs {libraries}")
    env = {"LD_LIBRARY_PATH": libraries, "R_LD_LIBRARY_PATH": f"{libraries}:/usr/lib/R/lib", **(env or {})}
    seen = {}
    if libraries == REFERENCE:
        seen = {"LD_PRELOAD": witness.build(t, blas_names(), "libblas.so.3")}
    results = []
    t.bare([*argv, t.dir / "bare", *more], env=env)
    for turn in ("first", "second"):
        t.run([*argv, t.dir / turn, *more], options=["--plugin", "lapack"], env={**env, **seen})
        names = t.body_log.read_text() if t.body_log.exists() else ""
        results.append((t.bodies(), t.stats()))
        equal((t.dir / turn).read_bytes() == (t.dir / "bare").read_bytes(), True, f"the {turn} run's bytes")
    (ran, first), (_, second) = results
    equal(second["misses"], first["misses"], "misses of the second run")
    if second["hits"] - first["hits"] < least:
        raise Failure(f"only {second['hits'] - first['hits']} hits in the second run")
    if seen:
        equal((ran > 0, names), (True, ""), "BLAS was called in the first run, and not in the second")


def test_numpy_on_reference_lapack(t):
    replays(t, ["/usr/bin/python3", SCRIPTS / "numpy_linalg.py"], REFERENCE, 100)


def test_numpy_on_openblas(t):
    replays(t, ["/usr/bin/python3", SCRIPTS / "numpy_linalg.py"], OPENBLAS, 100)


def test_scipy_on_reference_lapack(t):
    replays(t, ["/usr/bin/python3", SCRIPTS / "scipy_linalg.py"], REFERENCE, 100)


def test_scipy_on_openblas(t):
    replays(t, ["/usr/bin/python3", SCRIPTS / "scipy_linalg.py"], OPENBLAS, 100)


def test_R_on_reference_lapack(t):
    need("Rscript")
    replays(t, ["Rscript", "--vanilla", SCRIPTS / "linalg.R"], REFERENCE, 25)


def test_R_on_openblas(t):
    need("Rscript")
    replays(t, ["Rscript", "--vanilla", SCRIPTS / "linalg.R"], OPENBLAS, 25)


def test_octave_on_reference_lapack(t):
    need("octave-cli")
    replays(t, ["octave-cli", "--norc", SCRIPTS / "linalg.m"], REFERENCE, 60)


def test_octave_on_openblas(t):
    need("octave-cli")
    replays(t, ["octave-cli", "--norc", SCRIPTS / "linalg.m"], OPENBLAS, 60)


def test_threads_and_forked_workers(t):
    replays(t, ["/usr/bin/python3", SCRIPTS / "numpy_workers.py"], REFERENCE, 66)


def test_matrices_with_gaps_on_reference_lapack(t):
    replays(t, ["/usr/bin/python3", SCRIPTS / "lapack_calls.py"], REFERENCE, 232, more=[f"{LIBRARIES}/lapack/liblapack.so.3", "", "_", 32])


def test_matrices_with_gaps_on_openblas(t):
    replays(t, ["/usr/bin/python3", SCRIPTS / "lapack_calls.py"], OPENBLAS, 232, more=[f"{OPENBLAS}/libopenblas.so.0", "", "_", 32])


def test_64_bit_integers_in_reference_lapack(t):
    """Of the same names as those with 32 bits."""
    replays(t, ["/usr/bin/python3", SCRIPTS / "lapack_calls.py"], f"{LIBRARIES}/lapack64:{LIBRARIES}/blas64", 232,
            more=[f"{LIBRARIES}/lapack64/liblapack64.so.3", "", "_", 64])


def test_64_bit_integers_in_openblas(t):
    libraries = f"{LIBRARIES}/openblas64-pthread"
    replays(t, ["/usr/bin/python3", SCRIPTS / "lapack_calls.py"], libraries, 232, more=[f"{libraries}/libopenblas64.so.0", "", "_", 64])


def test_an_entry_of_the_config_changes_a_driver(t):
    """By the function's name alone, as docs/plugin-lapack.md shows it."""
    env = {"LD_LIBRARY_PATH": OPENBLAS}  # whose dgesv_ calls no other driver
    if not pathlib.Path(OPENBLAS).is_dir():
        raise Later(f"needs {OPENBLAS}")
    config = t.config("plugins: [ lapack ]\ntasks:\n  - symbol: dgesv_\n    skip: '*n < 64 || *nrhs <= 0'\n")
    script = "import numpy; r = numpy.random.default_rng(1); {}"
    solve = "a = r.standard_normal(({0}, {0})); print(numpy.linalg.solve(a, a).tobytes().hex())"
    for n, expected in ((63, (0, 0)), (64, (1, 1)), (20, (1, 1))):
        argv = ["/usr/bin/python3", "-c", script.format(solve.format(n))]
        bare = t.bare(argv, env=env)
        for _ in range(2):
            equal(t.run(argv, config, env=env).out == bare.out, True)
        s = t.stats(config)
        equal((s["hits"], s["misses"]), expected, f"n = {n}")


MKL = r"""
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* As in MKL, one function has several names. */
void dgetrf(const INT *m, const INT *n, double *a, const INT *lda, INT *ipiv, INT *info)
{
    int fd = open(getenv("BODY_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (write(fd, "dgetrf\n", 7) != 7)
        abort();
    close(fd);
    for (INT j = 0; j < *n; j++)
        for (INT i = 0; i < *m; i++)
            a[j * *lda + i] += 1;
    for (INT i = 0; i < *n; i++)
        ipiv[i] = i - (INT)1 * 5000000000 * (sizeof(INT) == 8);
    *info = sizeof(INT) == 8 ? 5000000000 : 0;
}
#define SAME __attribute__((alias("dgetrf")))
void dgetrf_(const INT *, const INT *, double *, const INT *, INT *, INT *) SAME;
void DGETRF(const INT *, const INT *, double *, const INT *, INT *, INT *) SAME;
void DGETRF_(const INT *, const INT *, double *, const INT *, INT *, INT *) SAME;
"""

MKL_PROGRAM = r"""
#include <stdio.h>
void dgetrf(const INT *, const INT *, double *, const INT *, INT *, INT *);
void dgetrf_(const INT *, const INT *, double *, const INT *, INT *, INT *);
void DGETRF(const INT *, const INT *, double *, const INT *, INT *, INT *);

int main(void)
{
    void (*names[])(const INT *, const INT *, double *, const INT *, INT *, INT *) = {dgetrf, dgetrf_, DGETRF};
    for (int i = 0; i < 3; i++) {
        INT n = 3, lda = 4, ipiv[3] = {-1, -1, -1}, info = -1;
        double a[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
        names[i](&n, &n, a, &lda, ipiv, &info);
        for (int k = 0; k < 12; k++)
            printf("%g ", a[k]);
        printf("%lld %lld %lld\n", (long long)ipiv[0], (long long)ipiv[2], (long long)info);
    }
    return 0;
}
"""


def test_names_and_integers_of_mkl(t):
    """By its libraries' names alone: another function behind them. The upper halves of 64-bit integers come back."""
    for kind, integer in (("lp64", "int"), ("ilp64", "long")):
        t.cc(MKL, f"libmkl_intel_{kind}.so.2", ["-O1", f"-DINT={integer}", "-shared", "-fPIC"])
        program = t.cc(MKL_PROGRAM, f"uses_{kind}", ["-O1", f"-DINT={integer}", f"-L{t.dir}", f"-Wl,-rpath,{t.dir}", f"-l:libmkl_intel_{kind}.so.2"])
        bare = t.bare([program])
        equal(t.bodies(), 3)
        first = t.run([program], options=["--plugin", "lapack"])
        equal((first.out, t.bodies()), (bare.out, 1), kind)
        equal("already-patched" in first.errors, False)
        second = t.run([program], options=["--plugin", "lapack"])
        equal((second.out, second.err, t.bodies()), (bare.out, b"", 0), kind)
        doctor = t.ctl("doctor", "--plugin", "lapack", program)
        equal("already-patched" in doctor.text, False)


def test_wheels_of_numpy_and_scipy(t):
    """Their OpenBLAS has names and integers of its own. Needs the network: a part of --long."""
    if not t.long:
        raise Later("a part of --long: fetches wheels")
    site = t.dir / "site"
    t.bare(["/usr/bin/python3", "-m", "pip", "install", "--quiet", "--no-cache-dir", "--only-binary", ":all:", "--target", site,
            "numpy", "scipy"], timeout=600)
    env = {"PYTHONPATH": str(site)}
    for script, least in (("numpy_linalg.py", 100), ("scipy_linalg.py", 100)):
        replays(t, ["/usr/bin/python3", SCRIPTS / script], str(site), least, env=env)
    wheels = [("numpy", "scipy_", "_64_", 64), ("scipy", "scipy_", "_", 32)]
    for package, prefix, suffix, bits in wheels:
        library, = site.glob(f"{package}.libs/libscipy_openblas*.so")
        replays(t, ["/usr/bin/python3", SCRIPTS / "lapack_calls.py"], str(site), 232, more=[library, prefix, suffix, bits])


def test_openblas_threads_and_kernels_are_in_the_key(t):
    script = SCRIPTS / "numpy_linalg.py"
    if not pathlib.Path(OPENBLAS).is_dir():
        raise Later(f"needs {OPENBLAS}")
    env = {"LD_LIBRARY_PATH": OPENBLAS, "OPENBLAS_NUM_THREADS": "1"}
    misses = []
    for change in ({}, {"OPENBLAS_CORETYPE": "Prescott"}, {}, {"OPENBLAS_NUM_THREADS": "2"}):
        if change.get("OPENBLAS_NUM_THREADS") and os.cpu_count() < 2:
            continue
        t.bare(["/usr/bin/python3", script, t.dir / "bare"], env={**env, **change})
        t.run(["/usr/bin/python3", script, t.dir / "cached"], options=["--plugin", "lapack"], env={**env, **change})
        equal((t.dir / "cached").read_bytes() == (t.dir / "bare").read_bytes(), True, f"the bytes with {change}")
        misses.append(t.stats()["misses"])
    equal(misses[1] >= misses[0] + 100, True, "other kernels, other keys")
    equal(misses[2], misses[1], "the first kernels again")
    if len(misses) > 3:
        equal(misses[3] >= misses[2] + 100, True, "another number of threads, other keys")
