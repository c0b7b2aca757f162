/* preload/follow.c over structs and pointers of this file's own, with prototypes as people write
 * them: what goes into a key, and that nothing else is read (under a sanitizer: blocks have exactly
 * their size). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "preload/capture.h"
#include "preload/extent.h"
#include "preload/follow.h"
#include "preload/function_input.h"
#include "tests/unit/proto_fixture.h"

static struct {
    struct compiled c;
    struct tc_hook hook;
    struct tc_context *x;
    unsigned char out[65536];
    size_t bytes, pointers;
    uint64_t unknown_code;
} world;

/* What the rest of the runtime does, without a process around it. */
uint32_t tc_evaluate(struct tc_call *c, uint32_t program, int64_t *ret)
{
    struct values v = {.args = c->arg};

    return compiled_eval(&world.c, program, &v, ret) < 0 ? TC_R_BAD_EXTENT : 0;
}

uint32_t tc_evaluate_member(struct tc_call *c, uint32_t program, uint64_t owner, int64_t *ret)
{
    struct values v = {.args = &owner};

    (void)c;
    return compiled_eval(&world.c, program, &v, ret) < 0 ? TC_R_BAD_EXTENT : 0;
}

uint32_t tc_string_bytes(const struct tc_call *c, uint64_t address, uint64_t *ret)
{
    (void)c;
    *ret = strlen((const char *)(uintptr_t)address);
    return 0;
}

uint32_t tc_function_input(struct tc_context *x, struct tc_call *c, uint64_t pointer,
                           unsigned char ret[TC_FUNCTION_DIGEST])
{
    assert_ptr_equal(x, world.x);
    assert_ptr_equal(c, &world.x->call);
    if (pointer == world.unknown_code)
        return TC_R_UNKNOWN_CODE;
    memset(ret, (int)(pointer & 0xff), TC_FUNCTION_DIGEST);
    return 0;
}

static void put(void *arg, const void *data, uint64_t bytes)
{
    assert_ptr_equal(arg, &world);
    assert_true(world.bytes + bytes <= sizeof world.out);
    memcpy(world.out + world.bytes, data, bytes);
    world.bytes += bytes;
}

static void pointer(void *arg, const void *data, uint64_t bytes)
{
    assert_ptr_equal(arg, &world);
    assert_non_null(data);
    assert_int_equal(bytes, 8);
    world.pointers++;
}

static void begin(const char *prototype, const char *types)
{
    const struct tc_proto_text text = {prototype, types, NULL, NULL, NULL};

    compile_text(&world.c, &text);
    if (world.c.status != 0)
        fail_msg("%s", world.c.error.sentence);
    assert_int_equal(tc_task_ok(&world.c.flat, &world.c.task), 1);
    world.hook = (struct tc_hook){
        .layouts = tc_flat_builder_at(&world.c.builder, world.c.task.layouts.off),
        .members = tc_flat_builder_at(&world.c.builder, world.c.task.members.off),
    };
    world.x = calloc(1, sizeof *world.x);
    assert_non_null(world.x);
    world.x->call.hook = &world.hook;
    world.unknown_code = UINT64_MAX;
}

static void end(void)
{
    compiled_free(&world.c);
    free(world.x);
}

/* `count` elements of the first parameter. */
static uint32_t follow(const void *at, uint64_t count)
{
    struct tc_element e = tc_element_of(&world.hook, compiled_param(&world.c, "p"));

    world.bytes = world.pointers = 0;
    assert_true(tc_follows(&e));
    return tc_follow(&world.x->call, &e, (uint64_t)(uintptr_t)at, count, put, pointer, &world);
}

/* What is expected of it: counts, strings and values one after the other. */
static size_t checked;
static void expect(const void *data, size_t bytes)
{
    assert_true(checked + bytes <= world.bytes);
    assert_memory_equal(world.out + checked, data, bytes);
    checked += bytes;
}
static void expect_count(uint64_t n)
{
    expect(&n, sizeof n);
}
static void expect_end(size_t pointers)
{
    assert_int_equal(checked, world.bytes);
    assert_int_equal(world.pointers, pointers);
    checked = 0;
}

static void *copy(const void *from, size_t bytes)
{
    void *p = malloc(bytes);

    assert_non_null(p);
    return memcpy(p, from, bytes);
}

static void rows_are_as_long_as_another_parameter_says(void **state)
{
    static const double numbers[] = {1, 2, 3, 4};
    double **rows = calloc(3, sizeof *rows);

    (void)state;
    begin("int f(const double (*p[n])[m], int n, int m)", NULL);
    rows[0] = copy(numbers, 3 * sizeof *numbers);
    rows[2] = copy(numbers + 1, 3 * sizeof *numbers);
    world.x->call.arg[1] = 3;
    world.x->call.arg[2] = 3;
    assert_int_equal(follow(rows, 3), 0);
    expect_count(3);
    expect(numbers, 3 * sizeof *numbers);
    expect_count(UINT64_MAX);
    expect_count(3);
    expect(numbers + 1, 3 * sizeof *numbers);
    expect_end(3);
    world.x->call.arg[2] = 0;
    assert_int_equal(follow(rows, 3), 0);
    expect_count(0);
    expect_count(UINT64_MAX);
    expect_count(0);
    expect_end(3);
    world.x->call.arg[2] = (uint64_t)-1;
    assert_int_equal(follow(rows, 3), TC_R_BAD_EXTENT);
    world.x->call.arg[2] = (uint64_t)INT64_MAX;
    assert_int_equal(follow(rows, 3), TC_R_BAD_EXTENT);
    free(rows[0]);
    free(rows[2]);
    free(rows);
    end();
}

struct inner {
    char tag;
    short n;
    int **rows;
    char *name;
};
struct outer {
    int count, width;
    struct inner **all;
    double *edge[2];
    char ***table;
    int (*call)(int);
    int (**calls)(int);
};

static void structs_within_structs(void **state)
{
    static const char types[] =
        "struct inner { char tag; short n; int (*rows[n])[n + 1]; in char *name; };\n"
        "struct outer { int count, width; struct inner (*all[count])[2]; double "
        "(*edge[2])[width];\n"
        "  char *(*table[count])[width]; int (*call)(int); int (*calls[width])(int); };";
    static const int numbers[] = {1, 2, 3};
    static const double reals[] = {0.5, 1.5};
    struct outer *o = calloc(2, sizeof *o);
    struct inner *two = malloc(2 * sizeof *two);

    (void)state;
    begin("int f(const struct outer p[k], int k)", types);
    memset(two, 0x5a, 2 * sizeof *two);
    for (int i = 0; i < 2; i++) {
        two[i].tag = (char)('a' + i);
        two[i].n = (short)(2 - i);
        two[i].rows = calloc((size_t)two[i].n, sizeof *two[i].rows);
        two[i].name = i == 0 ? copy("name", 5) : NULL;
        for (int k = 0; k < two[i].n; k++)
            two[i].rows[k] = copy(numbers, (size_t)(two[i].n + 1) * sizeof *numbers);
    }
    o[0] = (struct outer){.count = 1, .width = 2};
    o[0].all = copy(&two, sizeof two);
    o[0].edge[1] = copy(reals, sizeof reals);
    o[0].table = calloc(1, sizeof *o[0].table);
    o[0].table[0] = calloc(2, sizeof **o[0].table);
    o[0].table[0][1] = copy("", 1);
    o[0].call = (int (*)(int))(uintptr_t)0x77;
    o[0].calls = calloc(2, sizeof *o[0].calls);
    o[0].calls[0] = (int (*)(int))(uintptr_t)0x88;
    assert_int_equal(follow(o, 2), 0);
    expect(&o[0].count, 4);
    expect(&o[0].width, 4);
    expect_count(1);
    expect_count(2);
    for (int i = 0; i < 2; i++) {
        expect(&two[i].tag, 1);
        expect(&two[i].n, 2);
        expect_count((uint64_t)two[i].n);
        for (int k = 0; k < two[i].n; k++) {
            expect_count((uint64_t)two[i].n + 1);
            expect(numbers, (size_t)(two[i].n + 1) * sizeof *numbers);
        }
        expect_count(i == 0 ? 4 : UINT64_MAX);
        expect("name", i == 0 ? 4 : 0);
    }
    expect_count(UINT64_MAX); /* edge */
    expect_count(2);
    expect(reals, sizeof reals);
    expect_count(1); /* table */
    expect_count(2);
    expect_count(UINT64_MAX);
    expect_count(0);
    expect_count(1); /* call, calls */
    expect("\x77\x77\x77\x77\x77\x77\x77\x77\x77\x77\x77\x77\x77\x77\x77\x77", 16);
    expect_count(2);
    expect_count(1);
    expect("\x88\x88\x88\x88\x88\x88\x88\x88\x88\x88\x88\x88\x88\x88\x88\x88", 16);
    expect_count(UINT64_MAX);
    expect(&o[1].count, 4); /* the second one has nothing but NULL */
    expect(&o[1].width, 4);
    for (int i = 0; i < 6; i++)
        expect_count(UINT64_MAX);
    expect_end(2 + 4 + 3 + 2 + 4 + 1 + 3 + 6);
    world.unknown_code = 0x88;
    assert_int_equal(follow(o, 2), TC_R_UNKNOWN_CODE);
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < two[i].n; k++)
            free(two[i].rows[k]);
        free((void *)two[i].rows);
        free(two[i].name);
    }
    free((void *)o[0].calls);
    free(o[0].table[0][1]);
    free((void *)o[0].table[0]);
    free((void *)o[0].table);
    free(o[0].edge[1]);
    free((void *)o[0].all);
    free(two);
    free(o);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_as_long_as_another_parameter_says),
        cmocka_unit_test(structs_within_structs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
