/*
 * LAPACK's drivers, as Fortran and C programs call them: every argument by address, matrices column
 * by column with `ld` elements from one column to the next, the lengths of character arguments
 * behind all others (C callers often leave those out).
 *
 * What is replayed is what reference LAPACK 3.11 promises for INFO = 0: the results, and the first
 * elements of WORK and IWORK, which hold their optimal sizes; the rest of the workspaces has no
 * value that a caller could use. Left to the function itself:
 *   - workspace queries, which are as fast as a look-up;
 *   - job letters that the extents don't know, and empty matrices, for which a driver returns
 *     without writing all of its outputs;
 *   - calls that fail (INFO != 0): they may leave outputs unwritten, and call XERBLA.
 *
 * The leading dimensions and LWORK are part of the key although no result is defined by them: they
 * choose block sizes and the alignment of columns, and with them the order of the additions. So is
 * the triangle that dsyevd_ doesn't read (the language has rectangles): a matrix with other garbage
 * there is another key; that costs a hit, never a right result.
 */
#include <taskcache/plugin.h>

static const struct taskcache_task tasks[] = {
    /* A = U S VT. JOBZ 'A': all of U and VT; 'S': the first min(m, n) columns and rows; 'O': as 'S'
     * for the smaller of the two, and A holds the other one; 'N': singular values alone. A's old
     * content is lost in each case. */
    TASKCACHE_TASK(
            .symbol = "dgesdd_",
            .prototype =
                "void dgesdd_(const char jobz[1], const int m[1], const int n[1],\n"
                "             inout double a[*n][*m : *lda], const int lda[1],\n"
                "             out double s[min(*m, *n)],\n"
                "             out double u[*jobz == 'A' || (*jobz == 'O' && *m < *n) ? *m\n"
                "                          : *jobz == 'S' ? min(*m, *n) : 0]\n"
                "                         [*jobz == 'A' || *jobz == 'S' ||\n"
                "                          (*jobz == 'O' && *m < *n) ? *m : 0 : *ldu],\n"
                "             const int ldu[1],\n"
                "             out double vt[*jobz == 'A' || *jobz == 'S' ||\n"
                "                           (*jobz == 'O' && *m >= *n) ? *n : 0]\n"
                "                          [*jobz == 'A' || (*jobz == 'O' && *m >= *n) ? *n\n"
                "                           : *jobz == 'S' ? min(*m, *n) : 0 : *ldvt],\n"
                "             const int ldvt[1],\n"
                "             out double work[1], const int lwork[1], ignore int *iwork,\n"
                "             out int info[1], hidden size_t jobz_len)",
            .skip = "*lwork == -1 || *m <= 0 || *n <= 0 ||\n"
                    "(*jobz != 'N' && *jobz != 'S' && *jobz != 'A' && *jobz != 'O')",
            .success = "*info == 0"),

    /* A = Z W ZT of a symmetric matrix. JOBZ 'V': A becomes Z; 'N': the triangle that UPLO names,
     * with the diagonal, is lost. */
    TASKCACHE_TASK(
            .symbol = "dsyevd_",
            .prototype =
                "void dsyevd_(const char jobz[1], const char uplo[1], const int n[1],\n"
                "             inout double a[*n][*n : *lda], const int lda[1], out double w[*n],\n"
                "             out double work[1], const int lwork[1],\n"
                "             out int iwork[1], const int liwork[1], out int info[1],\n"
                "             hidden size_t jobz_len, hidden size_t uplo_len)",
            .skip = "*lwork == -1 || *liwork == -1 || *n <= 0 ||\n"
                    "(*jobz != 'N' && *jobz != 'V' && *jobz != 'n' && *jobz != 'v') ||\n"
                    "(*uplo != 'U' && *uplo != 'L' && *uplo != 'u' && *uplo != 'l')",
            .success = "*info == 0"),
};

TASKCACHE_PLUGIN("lapack", "1.0", "MIT", "LAPACK's decompositions", tasks);
