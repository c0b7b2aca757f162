/* cache/flat, flat_build, task: building, checking, and files that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/flat_build.h"
#include "cache/hash.h"
#include "cache/task.h"

struct root {
    struct tc_span numbers;
    struct tc_str text, empty, none;
};

static void build_and_read(void **state)
{
    static const uint32_t numbers[] = {1, 2, 3};
    struct tc_flat_builder b;
    struct tc_flat f;
    struct root root = {.none = {0, 0}};
    const struct root *got;
    const uint32_t *at;

    (void)state;
    tc_flat_builder_init(&b, TC_FLAT_PLANS, sizeof root);
    root.numbers = tc_flat_add(&b, numbers, 3, sizeof numbers[0]);
    root.text = tc_flat_add_str(&b, "hello");
    root.empty = tc_flat_add_str(&b, "");
    for (int i = 0; i < 10000; i++) /* grows, and offsets stay */
        tc_flat_add(&b, NULL, 1, 24);
    *(struct root *)tc_flat_builder_root(&b) = root;
    *(uint32_t *)tc_flat_builder_at(&b, root.numbers.off) = 7;
    assert_int_equal(tc_flat_builder_finish(&b), 0);

    assert_int_equal(tc_flat_check(b.data, b.bytes, TC_FLAT_CONFIG, &f), -EPROTONOSUPPORT);
    assert_int_equal(tc_flat_check(b.data, b.bytes, TC_FLAT_PLANS, &f), 0);
    got = tc_flat_root(&f, sizeof *got);
    at = tc_flat_at(&f, got->numbers.off, got->numbers.count, sizeof *at);
    assert_int_equal(at[0], 7);
    assert_int_equal(at[2], 3);
    assert_string_equal(tc_flat_str(&f, got->text), "hello");
    assert_int_not_equal(got->empty.off, 0);
    assert_string_equal(tc_flat_str(&f, got->empty), "");
    assert_string_equal(tc_flat_str(&f, got->none), "");
    tc_flat_builder_free(&b);
}

static void equal_content_is_kept_once(void **state)
{
    static const uint32_t numbers[] = {1, 2, 3}, others[] = {1, 2, 4};
    struct tc_flat_builder b;
    struct tc_span first, zeroes;
    struct tc_str text;
    size_t bytes;

    (void)state;
    tc_flat_builder_init(&b, TC_FLAT_PLANS, sizeof(struct root));
    first = tc_flat_add(&b, numbers, 3, sizeof numbers[0]);
    text = tc_flat_add_str(&b, "hello");
    for (int i = 0; i < 3000; i++) { /* the table grows */
        char number[16];
        (void)snprintf(number, sizeof number, "%d", i);
        tc_flat_add_str(&b, number);
    }
    bytes = b.bytes;
    assert_int_equal(tc_flat_add(&b, numbers, 3, sizeof numbers[0]).off, first.off);
    assert_int_equal(tc_flat_add(&b, numbers, 6, sizeof numbers[0] / 2).off, first.off);
    assert_int_equal(tc_flat_add_strn(&b, "hello world", 5).off, text.off);
    assert_int_not_equal(tc_flat_add_str(&b, "2999").off, 0);
    assert_int_equal(b.bytes, bytes);
    assert_int_not_equal(tc_flat_add(&b, others, 3, sizeof others[0]).off, first.off);
    assert_int_not_equal(tc_flat_add_str(&b, "hell").off, text.off);
    /* Zeroes are there to be filled in. */
    zeroes = tc_flat_add(&b, NULL, 3, 8);
    assert_int_not_equal(tc_flat_add(&b, NULL, 3, 8).off, zeroes.off);
    assert_int_equal(b.broken, 0);
    tc_flat_builder_free(&b);
}

static void references_outside_are_refused(void **state)
{
    _Alignas(8) unsigned char file[64] = {0};
    struct tc_flat f = {file, sizeof file};

    (void)state;
    assert_non_null(tc_flat_at(&f, 32, 4, 8));
    assert_null(tc_flat_at(&f, 32, 5, 8));
    assert_null(tc_flat_at(&f, 36, 1, 4)); /* not aligned */
    assert_null(tc_flat_at(&f, 0, 1, 8));  /* the header */
    assert_null(tc_flat_at(&f, 72, 1, 1));
    assert_null(tc_flat_at(&f, UINT32_MAX - 7, UINT32_MAX, SIZE_MAX));
    assert_non_null(tc_flat_at(&f, UINT32_MAX, 0, 8));
    assert_null(tc_flat_root(&f, 33));
    assert_non_null(tc_flat_root(&f, 32));
    file[40] = 'x';
    assert_string_equal(tc_flat_str(&f, (struct tc_str){40, 1}), "x");
    assert_string_equal(tc_flat_str(&f, (struct tc_str){40, 0}), ""); /* no NUL there */
    memset(file + 40, 'x', 24);
    assert_string_equal(tc_flat_str(&f, (struct tc_str){40, 23}), "");
    assert_string_equal(tc_flat_str(&f, (struct tc_str){40, 24}), "");
    assert_string_equal(tc_flat_str(&f, (struct tc_str){UINT32_MAX, UINT32_MAX}), "");
}

static void damage_is_seen(void **state)
{
    struct tc_flat_builder b;
    struct tc_flat f;

    (void)state;
    tc_flat_builder_init(&b, TC_FLAT_CONFIG, 64);
    tc_flat_add_str(&b, "some text");
    assert_int_equal(tc_flat_builder_finish(&b), 0);
    for (size_t i = 0; i < b.bytes; i++) {
        b.data[i] ^= 0x40;
        assert_true(tc_flat_check(b.data, b.bytes, TC_FLAT_CONFIG, &f) < 0);
        b.data[i] ^= 0x40;
    }
    for (size_t n = 0; n < b.bytes; n++)
        assert_true(tc_flat_check(b.data, n, TC_FLAT_CONFIG, &f) < 0);
    assert_int_equal(tc_flat_check(NULL, 0, TC_FLAT_CONFIG, &f), -EBADMSG);
    assert_int_equal(tc_flat_check(b.data, b.bytes, TC_FLAT_CONFIG, &f), 0);
    tc_flat_builder_free(&b);
}

static void too_large_breaks_the_builder(void **state)
{
    struct tc_flat_builder b;
    struct tc_span span;

    (void)state;
    tc_flat_builder_init(&b, TC_FLAT_CONFIG, 8);
    span = tc_flat_add(&b, NULL, SIZE_MAX / 2, 16);
    assert_int_equal(span.off, 0);
    assert_null(tc_flat_builder_root(&b));
    assert_int_equal(tc_flat_add_str(&b, "x").off, 0);
    assert_int_equal(tc_flat_builder_finish(&b), -ENOMEM);
    assert_int_equal(tc_flat_builder_write(&b, AT_FDCWD, "never"), -ENOMEM);
    tc_flat_builder_free(&b);
}

static void written_by_rename(void **state)
{
    char dir[] = "/tmp/tc-test-flat-XXXXXX", path[64];
    struct tc_flat_builder b;
    struct stat st;
    int fd;

    (void)state;
    assert_non_null(mkdtemp(dir));
    fd = open(dir, O_RDONLY | O_DIRECTORY);
    tc_flat_builder_init(&b, TC_FLAT_CONFIG, 8);
    assert_int_equal(tc_flat_builder_finish(&b), 0);
    assert_int_equal(tc_flat_builder_write(&b, fd, "a.flat"), 0);
    assert_int_equal(tc_flat_builder_write(&b, fd, "a.flat"), 0);
    assert_int_equal(tc_flat_builder_write(&b, fd, "no/such/a.flat"), -ENOENT);
    assert_int_equal(fstatat(fd, "a.flat", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, b.bytes);
    snprintf(path, sizeof path, "%s/a.flat", dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0); /* nothing was left beside it */
    close(fd);
    tc_flat_builder_free(&b);
}

/* A config with one task of two parameters, for the checks of tc_config_verify(). */
struct sample {
    struct tc_flat_builder b;
    struct tc_flat f;
    struct tc_config *config;
    struct tc_task *task;
    struct tc_param *params;
    uint8_t *sorted;
    struct tc_insn *code;
};

static void sample_build(struct sample *s)
{
    const struct tc_insn code[] = {{.op = TC_OP_ARG, .arg = 1}, {.op = TC_OP_END}};
    const uint8_t sorted[] = {1, 0};
    struct tc_param params[2] = {
        {.dir = TC_IN,
         .shape = TC_SHAPE_ARRAY,
         .type = TC_PTR,
         .elem = TC_F64,
         .loc = TC_LOC_INT,
         .pieces = TC_NO_EXPR,
         .length = 0,
         .stride = TC_NO_EXPR,
         .capacity = TC_NO_EXPR},
        {.dir = TC_IN,
         .shape = TC_SHAPE_SCALAR,
         .type = TC_F64,
         .loc = TC_LOC_SSE,
         .pieces = TC_NO_EXPR,
         .length = TC_NO_EXPR,
         .stride = TC_NO_EXPR,
         .capacity = TC_NO_EXPR},
    };
    struct tc_task task = {.skip = TC_NO_EXPR, .success = 0, .stack_slots = 2};
    struct tc_config config = {0};

    tc_flat_builder_init(&s->b, TC_FLAT_CONFIG, sizeof config);
    params[0].name = tc_flat_add_str(&s->b, "x");
    params[1].name = tc_flat_add_str(&s->b, "n");
    task.symbol = tc_flat_add_str(&s->b, "f");
    task.params = tc_flat_add(&s->b, params, 2, sizeof params[0]);
    task.sorted = tc_flat_add(&s->b, sorted, 2, 1);
    task.code = tc_flat_add(&s->b, code, 2, sizeof code[0]);
    config.tasks = tc_flat_add(&s->b, &task, 1, sizeof task);
    *(struct tc_config *)tc_flat_builder_root(&s->b) = config;
    assert_int_equal(tc_flat_builder_finish(&s->b), 0);
    assert_int_equal(tc_flat_check(s->b.data, s->b.bytes, TC_FLAT_CONFIG, &s->f), 0);
    s->config = tc_flat_builder_root(&s->b);
    s->task = tc_flat_builder_at(&s->b, config.tasks.off);
    s->params = tc_flat_builder_at(&s->b, task.params.off);
    s->sorted = tc_flat_builder_at(&s->b, task.sorted.off);
    s->code = tc_flat_builder_at(&s->b, task.code.off);
}

/* Sets a place to a value, expects the config to be refused, and takes it back. */
#define REFUSED(place, value)                           \
    do {                                                \
        __typeof__(place) saved = place;                \
        place = value;                                  \
        if (tc_config_verify(&s.f) != -EBADMSG)         \
            fail_msg("accepted: " #place " = " #value); \
        place = saved;                                  \
        assert_int_equal(tc_config_verify(&s.f), 0);    \
    } while (0)

static void config_tables_are_verified(void **state)
{
    struct sample s;

    (void)state;
    sample_build(&s);
    assert_int_equal(tc_config_verify(&s.f), 0);
    REFUSED(s.config->tasks.off, UINT32_MAX - 7);
    REFUSED(s.config->tasks.count, TC_MAX_TASKS + 1);
    REFUSED(s.config->children, 3);
    REFUSED(s.config->log_level, 5);
    REFUSED(s.config->path.off, (uint32_t)s.b.bytes);
    REFUSED(s.config->deps.count, 9999);
    REFUSED(s.config->problems.count, UINT32_MAX);
    REFUSED(s.config->child_names.count, 1); /* at offset 0 */
    REFUSED(s.task->symbol.bytes, (uint32_t)s.b.bytes);
    REFUSED(s.task->name.bytes, 1); /* at offset 0 */
    REFUSED(s.task->params.count, TC_MAX_PARAMS + 1);
    REFUSED(s.task->params.count, 1);
    REFUSED(s.task->sorted.count, 1);
    REFUSED(s.task->code.count, 0);
    REFUSED(s.task->olds.count, TC_EXPR_MAX_OLD + 1);
    REFUSED(s.task->stack_slots, TC_MAX_STACK_SLOTS + 1);
    REFUSED(s.task->excluded, 4);
    REFUSED(s.task->policy, 1u << 5);
    REFUSED(s.task->flags, 1u << 31);
    REFUSED(s.task->persist, 3);
    REFUSED(s.task->refresh, 3);
    REFUSED(s.task->skip, 2);
    REFUSED(s.task->success, 2);
    REFUSED(s.task->result_kind, 3);
    REFUSED(s.task->result_kind, TC_RESULT_VALUE); /* of type void */
    REFUSED(s.task->result_type, TC_I32);          /* of a void function */
    tc_flat_builder_free(&s.b);
}

static void parameters_are_verified(void **state)
{
    struct sample s;

    (void)state;
    sample_build(&s);
    REFUSED(s.sorted[0], 0); /* twice the same */
    REFUSED(s.sorted[0], 2);
    s.sorted[0] = 0; /* not by name */
    s.sorted[1] = 1;
    assert_int_equal(tc_config_verify(&s.f), -EBADMSG);
    s.sorted[0] = 1;
    s.sorted[1] = 0;
    REFUSED(s.params[0].name.off, (uint32_t)s.b.bytes - 1);
    REFUSED(s.params[0].dir, 0);
    REFUSED(s.params[0].dir, TC_HIDDEN + 1);
    REFUSED(s.params[0].shape, 0);
    REFUSED(s.params[0].shape, TC_SHAPE_FILE + 1);
    REFUSED(s.params[0].type, TC_I64); /* an array is a pointer */
    REFUSED(s.params[0].elem, TC_VOID);
    REFUSED(s.params[0].elem, TC_PTR + 1);
    REFUSED(s.params[1].type, TC_PTR + 1);
    REFUSED(s.params[0].loc, 0);
    REFUSED(s.params[0].loc, TC_LOC_SSE); /* a pointer */
    REFUSED(s.params[0].loc, TC_LOC_STACK + 1);
    REFUSED(s.params[0].loc_index, 6);
    REFUSED(s.params[1].loc_index, 8);
    REFUSED(s.params[1].loc, TC_LOC_INT); /* a double */
    s.params[1].loc = TC_LOC_STACK;
    assert_int_equal(tc_config_verify(&s.f), 0);
    REFUSED(s.params[1].loc_index, 2);
    REFUSED(s.params[0].length, 1); /* ends with one value too few */
    REFUSED(s.params[0].pieces, 2);
    REFUSED(s.params[0].stride, 0x80000000u);
    REFUSED(s.params[0].capacity, 77);
    REFUSED(s.code[0].arg, 2);
    REFUSED(s.code[0].op, 0);
    REFUSED(s.code[1].op, TC_OP_ADD);
    tc_flat_builder_free(&s.b);
}

/* Whatever the bytes say behind a right checksum: verifying reads nothing outside. */
static void forged_files_are_harmless(void **state)
{
    struct sample s;
    uint64_t seed = 0x9e3779b97f4a7c15ull;
    unsigned refused = 0;

    (void)state;
    sample_build(&s);
    for (int round = 0; round < 20000; round++) {
        size_t at = 0;
        unsigned char saved[4];

        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        at = sizeof(struct tc_flat_header) +
             (seed >> 33) % (s.b.bytes - sizeof(struct tc_flat_header) - 4);
        memcpy(saved, s.b.data + at, 4);
        memcpy(s.b.data + at, &seed, 1 + (seed >> 20) % 4);
        refused += tc_config_verify(&s.f) < 0;
        memcpy(s.b.data + at, saved, 4);
    }
    assert_true(refused > 1000);
    assert_int_equal(tc_config_verify(&s.f), 0);
    tc_flat_builder_free(&s.b);
}

static void config_names_depend_on_path_and_identity(void **state)
{
    struct tc_file_id id = {1, 2, 3, 4, 5}, other = {1, 2, 3, 4, 6};
    char a[33], b[33];

    (void)state;
    tc_config_name("/c.yaml", &id, a);
    tc_config_name("/c.yaml", &id, b);
    assert_int_equal(strlen(a), 32);
    assert_string_equal(a, b);
    tc_config_name("/c.yaml", &other, b);
    assert_string_not_equal(a, b);
    tc_config_name("/d.yaml", &id, b);
    assert_string_not_equal(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(build_and_read),
        cmocka_unit_test(equal_content_is_kept_once),
        cmocka_unit_test(references_outside_are_refused),
        cmocka_unit_test(damage_is_seen),
        cmocka_unit_test(too_large_breaks_the_builder),
        cmocka_unit_test(written_by_rename),
        cmocka_unit_test(config_tables_are_verified),
        cmocka_unit_test(parameters_are_verified),
        cmocka_unit_test(forged_files_are_harmless),
        cmocka_unit_test(config_names_depend_on_path_and_identity),
    };

    return cmocka_run_group_tests_name("flat", tests, NULL, NULL);
}
