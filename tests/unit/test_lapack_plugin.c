/*
 * What plugins/lapack says about LAPACK's functions, against the installed LAPACKs: for random
 * shapes and all job letters, every element that the prototype calls an output is written and
 * depends on the inputs alone, and no other is touched.
 */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/lapack_call.h"

#define ROUNDS 40
#define LWORK  9000

/* A library that Debian doesn't make the default is there all the same. */
static const char *const libraries[] = {
    "liblapack.so.3",
    "/usr/lib/x86_64-linux-gnu/lapack/liblapack.so.3",
    "/usr/lib/x86_64-linux-gnu/openblas-pthread/liblapack.so.3",
    "/usr/lib/aarch64-linux-gnu/lapack/liblapack.so.3",
};

static int is_complex(const struct call *c)
{
    return c->type->bytes != c->type->real_bytes;
}

static int min(int a, int b)
{
    return a < b ? a : b;
}

static int max(int a, int b)
{
    return a > b ? a : b;
}

static void add_work(struct call *c, int lwork)
{
    add_scratch(c, "work", (size_t)max(lwork, 1) * c->type->bytes);
    add_int(c, "lwork", lwork);
}

static void add_rwork(struct call *c, int elements)
{
    if (is_complex(c))
        add_scratch(c, "rwork", (size_t)elements * c->type->real_bytes);
}

static void say(struct call *c, const char *letters, int m, int n)
{
    size_t at = strlen(c->what);

    (void)snprintf(c->what + at, sizeof c->what - at, " %s %d x %d", letters, m, n);
}

static void begin_gesdd(struct call *c, const struct lapack_type *t, char jobz, int m, int n,
                        int lwork)
{
    int most = max(m, n), least = min(m, n), lda = random_ld(m), ldu = random_ld(m);
    int ldvt = random_ld(n);

    begin(c, t, "gesdd");
    say(c, (char[]){jobz, 0}, m, n);
    add_letter(c, "jobz", jobz);
    add_int(c, "m", m);
    add_int(c, "n", n);
    add_matrix(c, "a", n, m, lda, 1);
    add_int(c, "lda", lda);
    add_real_room(c, "s", most + 2);
    add_room(c, "u", ldu * (m + 1));
    add_int(c, "ldu", ldu);
    add_room(c, "vt", ldvt * (n + 1));
    add_int(c, "ldvt", ldvt);
    add_work(c, lwork);
    add_rwork(c, least * max(5 * least + 7, 2 * most + 2 * least + 1));
    add_scratch(c, "iwork", (size_t)most * 8 * 4);
    add_int_room(c, "info", 1);
}

static void make_gesdd(struct call *c, const struct lapack_type *t)
{
    begin_gesdd(c, t, random_letter("NSAOnsao"), random_size(), random_size(), LWORK);
}

static void begin_gesvd(struct call *c, const struct lapack_type *t, char jobu, char jobvt)
{
    int m = random_size(), n = random_size(), lda = random_ld(m), ldu = random_ld(m);
    int ldvt = random_ld(n);

    begin(c, t, "gesvd");
    say(c, (char[]){jobu, jobvt, 0}, m, n);
    add_letter(c, "jobu", jobu);
    add_letter(c, "jobvt", jobvt);
    add_int(c, "m", m);
    add_int(c, "n", n);
    add_matrix(c, "a", n, m, lda, 1);
    add_int(c, "lda", lda);
    add_real_room(c, "s", max(m, n) + 2);
    add_room(c, "u", ldu * (m + 1));
    add_int(c, "ldu", ldu);
    add_room(c, "vt", ldvt * (n + 1));
    add_int(c, "ldvt", ldvt);
    add_work(c, LWORK);
    add_rwork(c, 5 * min(m, n));
    add_int_room(c, "info", 1);
}

static void make_gesvd(struct call *c, const struct lapack_type *t)
{
    char jobu = random_letter("NSAOnsao");

    begin_gesvd(c, t, jobu, random_letter(jobu == 'O' || jobu == 'o' ? "NSAnsa" : "NSAOnsao"));
}

static const char *symmetric(const struct lapack_type *t, const char *real, const char *complex)
{
    return t->bytes == t->real_bytes ? real : complex;
}

static void add_sized_workspaces(struct call *c, int lwork, int lrwork, int liwork)
{
    add_work(c, lwork);
    if (is_complex(c)) {
        add_rwork(c, max(lrwork, 1));
        add_int(c, "lrwork", lrwork);
    }
    add_scratch(c, "iwork", (size_t)max(liwork, 1) * sizeof(int));
    add_int(c, "liwork", liwork);
}

static void begin_syevd(struct call *c, const struct lapack_type *t, char jobz, char uplo, int n,
                        int lwork, int liwork)
{
    int lda = random_ld(n);

    begin(c, t, symmetric(t, "syevd", "heevd"));
    say(c, (char[]){jobz, uplo, 0}, n, n);
    add_letter(c, "jobz", jobz);
    add_letter(c, "uplo", uplo);
    add_int(c, "n", n);
    add_matrix(c, "a", n, n, lda, 1);
    add_int(c, "lda", lda);
    add_real_room(c, "w", n + 2);
    add_sized_workspaces(c, lwork, 1 + 5 * n + 2 * n * n, liwork);
    add_int_room(c, "info", 1);
}

static void make_syevd(struct call *c, const struct lapack_type *t)
{
    int n = random_size();

    begin_syevd(c, t, random_letter("NVnv"), random_letter("ULul"), n, 1 + 6 * n + 2 * n * n + 100,
                3 + 5 * n);
}

static void make_syev(struct call *c, const struct lapack_type *t)
{
    char jobz = random_letter("NVnv"), uplo = random_letter("ULul");
    int n = random_size(), lda = random_ld(n);

    begin(c, t, symmetric(t, "syev", "heev"));
    say(c, (char[]){jobz, uplo, 0}, n, n);
    add_letter(c, "jobz", jobz);
    add_letter(c, "uplo", uplo);
    add_int(c, "n", n);
    add_matrix(c, "a", n, n, lda, 1);
    add_int(c, "lda", lda);
    add_real_room(c, "w", n + 2);
    add_work(c, LWORK);
    add_rwork(c, 3 * n);
    add_int_room(c, "info", 1);
}

static void begin_syevr(struct call *c, const struct lapack_type *t, char jobz, char range, int n)
{
    char uplo = random_letter("ULul");
    int lda = random_ld(n), ldz = random_ld(n), il = 1 + (int)(next_random() % (unsigned)n);
    int iu = il + (int)(next_random() % (unsigned)(n - il + 1));

    if (next_random() % 4 == 0)
        il = 1, iu = n;
    begin(c, t, symmetric(t, "syevr", "heevr"));
    say(c, (char[]){jobz, range, uplo, 0}, n, iu - il + 1);
    add_letter(c, "jobz", jobz);
    add_letter(c, "range", range);
    add_letter(c, "uplo", uplo);
    add_int(c, "n", n);
    add_matrix(c, "a", n, n, lda, 1);
    add_int(c, "lda", lda);
    add_real(c, "vl", -1.5);
    add_real(c, "vu", 0.75);
    add_int(c, "il", il);
    add_int(c, "iu", iu);
    add_real(c, "abstol", next_random() % 2 ? 0 : 1e-3);
    add_int_room(c, "m", 1);
    add_scratch(c, "w", (size_t)(n + 2) * t->real_bytes); /* above the m-th: scratch */
    add_room(c, "z", ldz * (n + 1));
    add_int(c, "ldz", ldz);
    add_scratch(c, "isuppz", (size_t)n * 2 * sizeof(int));
    add_sized_workspaces(c, 33 * n + 100, 24 * n + 100, 10 * n + 10);
    add_int_room(c, "info", 1);
}

static void make_syevr(struct call *c, const struct lapack_type *t)
{
    char jobz = random_letter("NVnv");

    begin_syevr(c, t, jobz, random_letter(jobz == 'V' || jobz == 'v' ? "AIai" : "AIVaiv"),
                random_size());
}

static void make_geev(struct call *c, const struct lapack_type *t)
{
    char jobvl = random_letter("NVnv"), jobvr = random_letter("NVnv");
    int n = random_size(), lda = random_ld(n), ldvl = random_ld(n), ldvr = random_ld(n);

    begin(c, t, "geev");
    say(c, (char[]){jobvl, jobvr, 0}, n, n);
    add_letter(c, "jobvl", jobvl);
    add_letter(c, "jobvr", jobvr);
    add_int(c, "n", n);
    add_matrix(c, "a", n, n, lda, 0);
    add_int(c, "lda", lda);
    add_room(c, is_complex(c) ? "w" : "wr", n + 2);
    if (!is_complex(c))
        add_room(c, "wi", n + 2);
    add_room(c, "vl", ldvl * (n + 1));
    add_int(c, "ldvl", ldvl);
    add_room(c, "vr", ldvr * (n + 1));
    add_int(c, "ldvr", ldvr);
    add_work(c, LWORK);
    add_rwork(c, 2 * n);
    add_int_room(c, "info", 1);
}

static void make_geevx(struct call *c, const struct lapack_type *t)
{
    char balanc = random_letter("NPSBnpsb"), sense = random_letter("NEVBnevb");
    int both = strchr("EBeb", sense) != NULL;
    char jobvl = random_letter(both ? "Vv" : "NVnv"), jobvr = random_letter(both ? "Vv" : "NVnv");
    int n = random_size(), lda = random_ld(n), ldvl = random_ld(n), ldvr = random_ld(n);

    begin(c, t, "geevx");
    say(c, (char[]){balanc, jobvl, jobvr, sense, 0}, n, n);
    add_letter(c, "balanc", balanc);
    add_letter(c, "jobvl", jobvl);
    add_letter(c, "jobvr", jobvr);
    add_letter(c, "sense", sense);
    add_int(c, "n", n);
    add_matrix(c, "a", n, n, lda, 0);
    add_int(c, "lda", lda);
    add_room(c, is_complex(c) ? "w" : "wr", n + 2);
    if (!is_complex(c))
        add_room(c, "wi", n + 2);
    add_room(c, "vl", ldvl * (n + 1));
    add_int(c, "ldvl", ldvl);
    add_room(c, "vr", ldvr * (n + 1));
    add_int(c, "ldvr", ldvr);
    add_int_room(c, "ilo", 1);
    add_int_room(c, "ihi", 1);
    add_real_room(c, "scale", n + 2);
    add_real_room(c, "abnrm", 1);
    add_real_room(c, "rconde", n + 2);
    add_real_room(c, "rcondv", n + 2);
    add_work(c, LWORK);
    if (is_complex(c))
        add_rwork(c, 2 * n);
    else
        add_scratch(c, "iwork", (size_t)(2 * n) * sizeof(int));
    add_int_room(c, "info", 1);
}

static void begin_gesv(struct call *c, const struct lapack_type *t, int n, int nrhs)
{
    int lda = random_ld(n), ldb = random_ld(n);

    begin(c, t, "gesv");
    say(c, "", n, nrhs);
    add_int(c, "n", n);
    add_int(c, "nrhs", nrhs);
    add_matrix(c, "a", n, n, lda, 1);
    add_int(c, "lda", lda);
    add_int_room(c, "ipiv", n + 2);
    add_matrix(c, "b", nrhs, n, ldb, 0);
    add_int(c, "ldb", ldb);
    add_int_room(c, "info", 1);
}

static void make_gesv(struct call *c, const struct lapack_type *t)
{
    begin_gesv(c, t, random_size(), random_size());
}

static void make_potrf(struct call *c, const struct lapack_type *t)
{
    char uplo = random_letter("ULul");
    int n = random_size(), lda = random_ld(n);

    begin(c, t, "potrf");
    say(c, (char[]){uplo, 0}, n, n);
    add_letter(c, "uplo", uplo);
    add_int(c, "n", n);
    /* One in four isn't positive definite, and says so. */
    add_matrix(c, "a", n, n, lda, next_random() % 4 ? 2 * n : 0);
    add_int(c, "lda", lda);
    add_int_room(c, "info", 1);
}

static void make_getrf(struct call *c, const struct lapack_type *t)
{
    int m = random_size(), n = random_size(), lda = random_ld(m);

    begin(c, t, "getrf");
    say(c, "", m, n);
    add_int(c, "m", m);
    add_int(c, "n", n);
    add_matrix(c, "a", n, m, lda, 1);
    if (next_random() % 4 == 0) /* singular, and says so */
        memset(c->buffers[2].input, 0, c->buffers[2].bytes / 2);
    add_int(c, "lda", lda);
    add_int_room(c, "ipiv", min(m, n) + 2);
    add_int_room(c, "info", 1);
}

static void make_geqrf(struct call *c, const struct lapack_type *t)
{
    int m = random_size(), n = random_size(), lda = random_ld(m);

    begin(c, t, "geqrf");
    say(c, "", m, n);
    add_int(c, "m", m);
    add_int(c, "n", n);
    add_matrix(c, "a", n, m, lda, 1);
    add_int(c, "lda", lda);
    add_room(c, "tau", min(m, n) + 2);
    add_work(c, LWORK);
    add_int_room(c, "info", 1);
}

static void make_orgqr(struct call *c, const struct lapack_type *t)
{
    int m = random_size(), n = 1 + (int)(next_random() % (unsigned)m), lda = random_ld(m);
    int k = (int)(next_random() % (unsigned)(n + 1));

    begin(c, t, symmetric(t, "orgqr", "ungqr"));
    say(c, "", m, n);
    add_int(c, "m", m);
    add_int(c, "n", n);
    add_int(c, "k", k);
    add_matrix(c, "a", n, m, lda, 1);
    add_int(c, "lda", lda);
    add_matrix(c, "tau", 1, k, k, 0);
    add_work(c, LWORK);
    add_int_room(c, "info", 1);
}

static void make_gelsd(struct call *c, const struct lapack_type *t)
{
    int m = random_size(), n = random_size(), nrhs = random_size(), most = max(m, n);
    int lda = random_ld(m), ldb = random_ld(most);

    begin(c, t, "gelsd");
    say(c, "", m, n);
    add_int(c, "m", m);
    add_int(c, "n", n);
    add_int(c, "nrhs", nrhs);
    add_matrix(c, "a", n, m, lda, 1);
    add_int(c, "lda", lda);
    add_matrix(c, "b", nrhs, most, ldb, 0);
    add_int(c, "ldb", ldb);
    add_real_room(c, "s", min(m, n) + 2);
    add_real(c, "rcond", next_random() % 2 ? -1 : 0.25);
    add_int_room(c, "rank", 1);
    add_work(c, LWORK);
    add_rwork(c, 12000);
    add_scratch(c, "iwork", 4000);
    add_int_room(c, "info", 1);
}

static const struct {
    const char *name;
    void (*make)(struct call *c, const struct lapack_type *t);
} drivers[] = {
    {"gesdd", make_gesdd}, {"gesvd", make_gesvd}, {"syevd", make_syevd}, {"syevr", make_syevr},
    {"geev", make_geev},   {"geevx", make_geevx}, {"syev", make_syev},   {"gesv", make_gesv},
    {"potrf", make_potrf}, {"getrf", make_getrf}, {"geqrf", make_geqrf}, {"orgqr", make_orgqr},
    {"gelsd", make_gelsd},
};

static void drivers_write_what_the_plugin_says(void **state)
{
    (void)state;

    for (size_t d = 0; d < sizeof drivers / sizeof drivers[0]; d++)
        for (int type = 0; type < 4; type++)
            for (int i = 0; i < ROUNDS; i++) {
                struct call c;
                drivers[d].make(&c, &lapack_types[type]);
                check(&c);
                end(&c);
            }
}

static void expect_skip(struct call *c)
{
    if (!is_skipped(c))
        fail_msg("%s isn't skipped", c->what);
    end(c);
}

static void queries_and_unknown_jobs_are_skipped(void **state)
{
    struct call c;
    (void)state;

    for (int type = 0; type < 4; type++) {
        const struct lapack_type *t = &lapack_types[type];
        begin_gesdd(&c, t, 'A', 5, 3, -1);
        expect_skip(&c);
        begin_gesdd(&c, t, 'x', 5, 3, 1000);
        expect_skip(&c);
        begin_gesdd(&c, t, '!', 5, 3, 1000); /* 'A' modulo 32 */
        expect_skip(&c);
        begin_gesdd(&c, t, 'S', 0, 3, 1000);
        expect_skip(&c);
        begin_gesvd(&c, t, 'O', 'o');
        expect_skip(&c);
        begin_gesvd(&c, t, 'x', 'S');
        expect_skip(&c);
        begin_gesvd(&c, t, 'A', 'V');
        expect_skip(&c);
        begin_syevd(&c, t, 'V', 'U', 5, -1, 100);
        expect_skip(&c);
        begin_syevd(&c, t, 'V', 'U', 5, 1000, -1);
        expect_skip(&c);
        begin_syevd(&c, t, 'V', 'x', 5, 1000, 100);
        expect_skip(&c);
        begin_syevd(&c, t, 'x', 'L', 5, 1000, 100);
        expect_skip(&c);
        begin_syevr(&c, t, 'V', 'V', 5);
        expect_skip(&c);
        begin_syevr(&c, t, 'N', 'B', 5);
        expect_skip(&c);
        begin_gesv(&c, t, 3, 0);
        expect_skip(&c);
    }
}

/* xGESDD returns -4 for them without writing its results; they mustn't be kept. */
static void not_a_number_is_a_failure(void **state)
{
    struct call c;
    (void)state;

    begin_gesdd(&c, &lapack_types[1], 'S', 6, 4, 1000);
    memset(c.buffers[3].input, 0xff, 8);
    assert_int_equal(succeeds(&c), 0);
    end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drivers_write_what_the_plugin_says),
        cmocka_unit_test(queries_and_unknown_jobs_are_skipped),
        cmocka_unit_test(not_a_number_is_a_failure),
    };
    int found = 0, failed = 0;

    /* Threads may divide the work in another way each time. */
    (void)setenv("OPENBLAS_NUM_THREADS", "1", 1);
    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
        lapack = dlopen(libraries[i], RTLD_NOW);
        if (lapack == NULL)
            continue;
        (void)fprintf(stderr, "# %s\n", libraries[i]);
        found++;
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    }
    if (found == 0) {
        (void)fprintf(stderr, "skipped: there is no LAPACK\n");
        return 77;
    }
    return failed;
}
