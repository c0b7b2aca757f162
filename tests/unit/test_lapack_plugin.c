/*
 * What plugins/lapack says about LAPACK's functions, against the installed LAPACK: for random
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

#include "service/resolve/plugin_read.h"
#include "tests/unit/proto_fixture.h"

#define MAX_BUFFER_BYTES (1u << 18)

/* One argument: a buffer, and what it holds before the call. */
struct buffer {
    const char *name;
    int is_workspace; /* only what the prototype claims is looked at */
    size_t bytes;
    unsigned char *data, *input, *result;
};

struct call {
    struct compiled proto;
    void *function;
    struct buffer buffers[16];
    size_t count;
};

static void *lapack;
static uint64_t seed = 0x2545f4914f6cdd1du;

static unsigned next_random(void)
{
    seed ^= seed << 13; /* xorshift64 */
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 32);
}

static void add(struct call *c, const char *name, size_t bytes)
{
    struct buffer *b = &c->buffers[c->count++];

    assert_in_range(bytes, 1, MAX_BUFFER_BYTES);
    *b = (struct buffer){.name = name, .bytes = bytes};
    b->data = aligned_alloc(64, (bytes + 63) / 64 * 64);
    b->input = calloc(1, bytes);
    b->result = malloc(bytes);
    assert_true(b->data != NULL && b->input != NULL && b->result != NULL);
}

static void add_int(struct call *c, const char *name, int value)
{
    add(c, name, sizeof value);
    memcpy(c->buffers[c->count - 1].input, &value, sizeof value);
}

static void add_letter(struct call *c, const char *name, char value)
{
    add(c, name, 1);
    c->buffers[c->count - 1].input[0] = (unsigned char)value;
}

static void add_matrix(struct call *c, const char *name, int columns, int rows, int ld)
{
    double *a = NULL;

    add(c, name, (size_t)columns * (size_t)ld * sizeof *a);
    a = (double *)(void *)c->buffers[c->count - 1].input;
    for (int j = 0; j < columns; j++)
        for (int i = 0; i < rows; i++)
            a[j * ld + i] = (double)(int)next_random() * 0x1p-31 + (i == j);
}

static void add_workspace(struct call *c, const char *name, size_t bytes)
{
    add(c, name, bytes);
    c->buffers[c->count - 1].is_workspace = 1;
}

static void begin(struct call *c, const char *symbol)
{
    struct tc_plugin p = {0};
    struct tc_text_error e = {0};

    memset(c, 0, sizeof *c);
    assert_int_equal(tc_plugin_read(LAPACK_PLUGIN, &p, &e), 0);
    for (size_t i = 0; i < p.task_count; i++)
        if (strcmp(p.tasks[i].text.symbol, symbol) == 0)
            compile_text(&c->proto, &(struct tc_proto_text){
                                        .prototype = p.tasks[i].text.prototype,
                                        .types = p.tasks[i].text.types,
                                        .skip = p.tasks[i].text.skip,
                                        .success = p.tasks[i].text.success,
                                    });
    if (c->proto.status != 0)
        fail_msg("%s: %s", symbol, c->proto.error.sentence);
    tc_plugin_free(&p);
    c->function = dlsym(lapack, symbol);
    assert_non_null(c->function);
}

static void end(struct call *c)
{
    for (size_t i = 0; i < c->count; i++) {
        free(c->buffers[i].data);
        free(c->buffers[i].input);
        free(c->buffers[i].result);
    }
    compiled_free(&c->proto);
}

/* Expressions over this call. */

static int64_t evaluate(const struct call *c, uint32_t program, int64_t absent)
{
    uint64_t args[TC_MAX_PARAMS] = {0};
    struct values v = {.args = args, .returned = 1};
    int64_t result = 0;

    if (program == TC_NO_EXPR)
        return absent;
    for (size_t i = 0; i < c->count; i++)
        args[i] = (uint64_t)(uintptr_t)c->buffers[i].data;
    assert_int_equal(compiled_eval(&c->proto, program, &v, &result), 0);
    return result;
}

/* Marks the bytes that the prototype claims of a buffer. */
static void claim(const struct call *c, size_t i, unsigned char *claimed)
{
    const struct buffer *b = &c->buffers[i];
    const struct tc_param *p = compiled_param(&c->proto, b->name);
    size_t elem = tc_scalar_bytes(p->elem);
    int64_t pieces = evaluate(c, p->pieces, 1), length = evaluate(c, p->length, 1);
    int64_t stride = evaluate(c, p->stride, length);

    memset(claimed, 0, b->bytes);
    if (p->dir != TC_OUT && p->dir != TC_INOUT)
        return;
    for (int64_t k = 0; k < pieces; k++) {
        assert_true((size_t)(k * stride + length) * elem <= b->bytes);
        memset(claimed + (size_t)(k * stride) * elem, 1, (size_t)length * elem);
    }
}

/* Inputs as they are; all that isn't an input is `pattern`. */
static void prepare(struct call *c, unsigned char pattern)
{
    static unsigned char claimed[MAX_BUFFER_BYTES];

    for (size_t i = 0; i < c->count; i++)
        memcpy(c->buffers[i].data, c->buffers[i].input, c->buffers[i].bytes);
    for (size_t i = 0; i < c->count; i++) {
        struct buffer *b = &c->buffers[i];
        uint8_t dir = compiled_param(&c->proto, b->name)->dir;
        if (dir == TC_IN)
            continue;
        claim(c, i, claimed);
        for (size_t k = 0; k < b->bytes; k++)
            if (dir != TC_INOUT || !claimed[k])
                b->data[k] = pattern;
    }
}

static void run(const struct call *c)
{
    void (*f)(void *, ...) = NULL; /* pointers alone: the same registers and slots */
    const struct buffer *b = c->buffers;

    *(void **)(void *)&f = c->function;
    if (c->count == 14)
        f(b[0].data, b[1].data, b[2].data, b[3].data, b[4].data, b[5].data, b[6].data, b[7].data,
          b[8].data, b[9].data, b[10].data, b[11].data, b[12].data, b[13].data, (size_t)1);
    else
        f(b[0].data, b[1].data, b[2].data, b[3].data, b[4].data, b[5].data, b[6].data, b[7].data,
          b[8].data, b[9].data, b[10].data, (size_t)1, (size_t)1);
}

static void check(struct call *c, const char *what)
{
    static unsigned char claimed[MAX_BUFFER_BYTES];

    prepare(c, 0x5a);
    assert_int_equal(evaluate(c, c->proto.task.skip, 0), 0);
    run(c);
    assert_int_equal(evaluate(c, c->proto.task.success, 0), 1);
    for (size_t i = 0; i < c->count; i++)
        memcpy(c->buffers[i].result, c->buffers[i].data, c->buffers[i].bytes);
    prepare(c, 0xc3);
    run(c);
    for (size_t i = 0; i < c->count; i++) {
        const struct buffer *b = &c->buffers[i];
        int untouched_is_input = compiled_param(&c->proto, b->name)->dir == TC_IN;
        claim(c, i, claimed);
        for (size_t k = 0; k < b->bytes; k++) {
            unsigned char rest = untouched_is_input ? b->input[k] : 0xc3;
            if (claimed[k] && b->data[k] != b->result[k])
                fail_msg("%s: %s[%zu] isn't written, or depends on more than inputs", what, b->name,
                         k / 8);
            if (!claimed[k] && !b->is_workspace && b->data[k] != rest)
                fail_msg("%s: %s[%zu] is written, too", what, b->name, k / 8);
        }
    }
}

static int random_size(void)
{
    static const unsigned limits[] = {1, 4, 12, 40};
    return 1 + (int)(next_random() % limits[next_random() % 4]);
}

static int random_ld(int least)
{
    return least + (next_random() % 2 ? (int)(next_random() % 4) : 0);
}

static void begin_gesdd(struct call *c, char jobz, int m, int n, int lwork)
{
    int big = m > n ? m : n, lda = random_ld(m), ldu = random_ld(m), ldvt = random_ld(n);

    begin(c, "dgesdd_");
    add_letter(c, "jobz", jobz);
    add_int(c, "m", m);
    add_int(c, "n", n);
    add_matrix(c, "a", n, m, lda);
    add_int(c, "lda", lda);
    add(c, "s", (size_t)(big + 2) * 8);
    add(c, "u", (size_t)ldu * (size_t)(m + 1) * 8);
    add_int(c, "ldu", ldu);
    add(c, "vt", (size_t)ldvt * (size_t)(n + 1) * 8);
    add_int(c, "ldvt", ldvt);
    add_workspace(c, "work", (size_t)(lwork < 1 ? 1 : lwork) * 8);
    add_int(c, "lwork", lwork);
    add_workspace(c, "iwork", (size_t)big * 8 * 4);
    add(c, "info", 4);
}

static void begin_syevd(struct call *c, char jobz, char uplo, int n, int lwork, int liwork)
{
    int lda = random_ld(n);

    begin(c, "dsyevd_");
    add_letter(c, "jobz", jobz);
    add_letter(c, "uplo", uplo);
    add_int(c, "n", n);
    add_matrix(c, "a", n, n, lda);
    add_int(c, "lda", lda);
    add(c, "w", (size_t)(n + 2) * 8);
    add_workspace(c, "work", (size_t)(lwork < 1 ? 1 : lwork) * 8);
    add_int(c, "lwork", lwork);
    add_workspace(c, "iwork", (size_t)(liwork < 1 ? 1 : liwork) * 4);
    add_int(c, "liwork", liwork);
    add(c, "info", 4);
}

static void dgesdd_writes_what_it_says(void **state)
{
    static const char jobs[] = "NSAO";
    (void)state;

    for (int i = 0; i < 200; i++) {
        char jobz = jobs[i % 4], what[64];
        int m = random_size(), n = random_size();
        struct call c;
        begin_gesdd(&c, jobz, m, n, 16000);
        (void)snprintf(what, sizeof what, "dgesdd_ %c %d x %d", jobz, m, n);
        check(&c, what);
        end(&c);
    }
}

static void dsyevd_writes_what_it_says(void **state)
{
    (void)state;

    for (int i = 0; i < 200; i++) {
        char jobz = "NVnv"[i % 4], uplo = "ULul"[i / 4 % 4], what[64];
        int n = random_size();
        struct call c;
        begin_syevd(&c, jobz, uplo, n, 1 + 6 * n + 2 * n * n + 100, 3 + 5 * n);
        (void)snprintf(what, sizeof what, "dsyevd_ %c %c %d", jobz, uplo, n);
        check(&c, what);
        end(&c);
    }
}

static void expect_skip(struct call *c)
{
    for (size_t i = 0; i < c->count; i++)
        memcpy(c->buffers[i].data, c->buffers[i].input, c->buffers[i].bytes);
    assert_int_equal(evaluate(c, c->proto.task.skip, 0), 1);
    end(c);
}

static void queries_and_unknown_jobs_are_skipped(void **state)
{
    struct call c;
    (void)state;

    begin_gesdd(&c, 'A', 5, 3, -1);
    expect_skip(&c);
    begin_gesdd(&c, 'a', 5, 3, 1000);
    expect_skip(&c);
    begin_gesdd(&c, 'x', 5, 3, 1000);
    expect_skip(&c);
    begin_syevd(&c, 'V', 'U', 5, -1, 100);
    expect_skip(&c);
    begin_syevd(&c, 'V', 'U', 5, 1000, -1);
    expect_skip(&c);
    begin_syevd(&c, 'V', 'x', 5, 1000, 100);
    expect_skip(&c);
    begin_syevd(&c, 'x', 'L', 5, 1000, 100);
    expect_skip(&c);
}

/* DGESDD returns -4 for them without writing its results; they mustn't be kept. */
static void not_a_number_is_a_failure(void **state)
{
    static const unsigned char nan_bytes[8] = {0, 0, 0, 0, 0, 0, 0xf8, 0x7f};
    struct call c;
    (void)state;

    begin_gesdd(&c, 'S', 6, 4, 1000);
    memcpy(c.buffers[3].input, nan_bytes, sizeof nan_bytes);
    prepare(&c, 0x5a);
    run(&c);
    assert_int_equal(evaluate(&c, c.proto.task.success, 1), 0);
    end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dgesdd_writes_what_it_says),
        cmocka_unit_test(dsyevd_writes_what_it_says),
        cmocka_unit_test(queries_and_unknown_jobs_are_skipped),
        cmocka_unit_test(not_a_number_is_a_failure),
    };

    lapack = dlopen("liblapack.so.3", RTLD_NOW);
    if (lapack == NULL) {
        (void)fprintf(stderr, "skipped: %s\n", dlerror());
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
