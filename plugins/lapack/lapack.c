/*
 * LAPACK's drivers, as Fortran and C programs call them: every argument by address, matrices column
 * by column with `ld` elements from one column to the next, the lengths of character arguments
 * behind all others (C callers often leave those out).
 *
 * drivers.def has one entry a driver, types.def goes through it for s, d, c and z, and this file
 * goes through both for each way in which the libraries that are out there name their functions.
 *
 * What is replayed is what reference LAPACK 3.11 promises: the results, and the first elements of
 * the workspaces where they hold their optimal sizes; the rest of the workspaces has no value that
 * a caller could use. Left to the function itself:
 *   - workspace queries, which are as fast as a look-up;
 *   - job letters that LAPACK doesn't know, and empty matrices, for which a driver returns without
 *     writing all of its outputs;
 *   - calls that fail where they may leave outputs unwritten, or call XERBLA.
 *
 * The leading dimensions and LWORK are part of the key although no result is defined by them: they
 * choose block sizes and the alignment of columns, and with them the order of the additions. So is
 * the triangle that a symmetric driver doesn't read (the language has rectangles): a matrix with
 * other garbage there is another key; that costs a hit, never a right result.
 */
#include <taskcache/plugin.h>

#include "openblas.h"

/* Job letters, in either case: 'N' and 'n' are 14 modulo 32. What isn't a letter of the job is
 * skipped before an extent asks. */
#define IS(job, upper)          "*" #job " % 32 == '" #upper "' % 32"
#define ISNT(job, upper, lower) "*" #job " != '" #upper "' && *" #job " != '" #lower "'"

/* The libraries whose plain names take integers of 32 bits: reference LAPACK; OpenBLAS of Debian,
 * Fedora, openSUSE, conda and older wheels; R's own, ATLAS, MKL. */
#define OBJECTS                                                         \
    "liblapack.so*|libopenblas.so*|libopenblas[op].so*|"                \
    "libopenblas_pthreads.so*|libopenblas_openmp.so*|"                  \
    "libopenblas_serial.so*|libopenblas-r*.so*|libopenblas[op]-r*.so*|" \
    "libRlapack.so*|lib[st]atlas.so*|" MKL_OBJECTS
#define MKL_OBJECTS "libmkl_intel_lp64.so*|libmkl_gf_lp64.so*"

/* Those whose plain names take 64 bits. A program that was linked with a LAPACK of either kind
 * doesn't say which, and a key of half an integer is wrong: it isn't here. */
#define OBJECTS_64                                             \
    "liblapack64.so*|libopenblas64.so*|libopenblas[op]64.so*|" \
    "libopenblas64[op]-r*.so*|" MKL_OBJECTS_64
#define MKL_OBJECTS_64 "libmkl_intel_ilp64.so*|libmkl_gf_ilp64.so*"

#define DRIVER(...) \
    TASKCACHE_TASK(.cache_policy = "INPUTS + TASK_SOURCE_DEEP + KEY(lapack.openblas)", __VA_ARGS__)

static const struct taskcache_task tasks[] = {
#define INT                  "int"
#define SYMBOL(lower, upper) lower "_@" OBJECTS
#include "types.def"
#undef SYMBOL
/* Wheels of scipy, since 1.13 */
#define SYMBOL(lower, upper) "scipy_" lower "_"
#include "types.def"
#undef SYMBOL
#define SYMBOL(lower, upper) lower "@" MKL_OBJECTS
#include "types.def"
#undef SYMBOL
#define SYMBOL(lower, upper) upper "@" MKL_OBJECTS
#include "types.def"
#undef SYMBOL
#undef INT

#define INT                  "int64_t"
/* OpenBLAS in wheels of numpy, since 1.22; Julia; MKL */
#define SYMBOL(lower, upper) lower "_64_"
#include "types.def"
#undef SYMBOL
/* Wheels of numpy, since 1.26 */
#define SYMBOL(lower, upper) "scipy_" lower "_64_"
#include "types.def"
#undef SYMBOL
#define SYMBOL(lower, upper) lower "_@" OBJECTS_64
#include "types.def"
#undef SYMBOL
#define SYMBOL(lower, upper) lower "@" MKL_OBJECTS_64
#include "types.def"
#undef SYMBOL
#define SYMBOL(lower, upper) upper "@" MKL_OBJECTS_64
#include "types.def"
#undef SYMBOL
#undef INT
};

static int init(const struct taskcache_host *host, struct taskcache_error *error)
{
    (void)error;
    return openblas_register(host);
}

TASKCACHE_PLUGIN_WITH_CODE("lapack", "1.1", "MIT", "LAPACK's drivers", tasks,
                           TASKCACHE_THREAD_SAFE | TASKCACHE_FORK_SAFE, init);
