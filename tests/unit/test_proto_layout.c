/* Structs as the prototype compiler lays them out, against this file's own compiler; and where the
 * psABI puts them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/proto_fixture.h"

/* One text for the compiler and for the prototypes. */
#define TYPES                               \
    struct mixed {                          \
        char c;                             \
        double d;                           \
        struct {                            \
            short s[3];                     \
            struct {                        \
                int a;                      \
                long double l;              \
            };                              \
        } in[2];                            \
        int f : 5;                          \
        unsigned g : 20;                    \
        long h : 40;                        \
    };                                      \
    struct tight {                          \
        char c;                             \
        int n;                              \
        unsigned f : 3;                     \
        unsigned g : 7;                     \
        double d[2];                        \
    } __attribute__((packed));              \
    struct wide {                           \
        char c __attribute__((aligned(8))); \
        float x, y;                         \
    } __attribute__((aligned(16)));         \
    struct point {                          \
        double x, y;                        \
    };                                      \
    struct pair {                           \
        float x;                            \
        int n;                              \
        double y;                           \
    };                                      \
    struct box {                            \
        int count;                          \
        unsigned low : 4;                   \
        int high : 9;                       \
        struct point at[2];                 \
    };
#define TEXT2(...) #__VA_ARGS__
#define TEXT(x)    TEXT2(x)
TYPES

static void compile_with(struct compiled *c, const char *prototype)
{
    const struct tc_proto_text text = {.prototype = prototype, .types = TEXT(TYPES)};

    compile_text(c, &text);
    if (c->status != 0)
        fail_msg("%s: %s", prototype, c->error.sentence);
}

static const struct tc_layout *only_layout(const struct compiled *c)
{
    assert_int_equal(c->task.layouts.count, 1);
    return tc_flat_at(&c->flat, c->task.layouts.off, 1, sizeof(struct tc_layout));
}

static const struct tc_member *member(const struct compiled *c, const char *name)
{
    const struct tc_member *m =
        tc_flat_at(&c->flat, c->task.members.off, c->task.members.count, sizeof *m);

    for (uint32_t i = 0; i < c->task.members.count; i++)
        if (strcmp(tc_flat_str(&c->flat, m[i].name), name) == 0)
            return &m[i];
    fail_msg("no member %s", name);
    return NULL;
}

#define AT(c, type, path, name) \
    assert_int_equal(member(c, name)->offset, offsetof(struct type, path))

static void members_are_where_the_compiler_has_them(void **state)
{
    struct compiled c;

    (void)state;
    compile_with(&c, "int f(in struct mixed *p)");
    assert_int_equal(only_layout(&c)->bytes, sizeof(struct mixed));
    assert_int_equal(only_layout(&c)->is_plain, 0);
    AT(&c, mixed, d, "d");
    AT(&c, mixed, in[0].s[1], "in.s[1]");
    AT(&c, mixed, in[0].a, "in.a");
    AT(&c, mixed, in[0].l, "in.l");
    assert_int_equal(member(&c, "in.l")->count, 2);
    assert_int_equal(member(&c, "in.l")->stride, sizeof((struct mixed *)0)->in[0]);
    assert_int_equal(member(&c, "f")->offset, sizeof(struct mixed) - 16);
    assert_int_equal(member(&c, "g")->bit, 5);
    assert_int_equal(member(&c, "h")->offset, sizeof(struct mixed) - 8);
    compiled_free(&c);

    compile_with(&c, "int f(in struct tight *p)");
    assert_int_equal(only_layout(&c)->bytes, sizeof(struct tight));
    AT(&c, tight, n, "n");
    AT(&c, tight, d, "d");
    assert_int_equal(member(&c, "g")->bit, 3);
    compiled_free(&c);

    compile_with(&c, "int f(in struct wide *p)");
    assert_int_equal(only_layout(&c)->bytes, sizeof(struct wide));
    AT(&c, wide, y, "y");
    compiled_free(&c);

    compile_with(&c, "int f(const struct point p[n], int n)");
    assert_int_equal(only_layout(&c)->is_plain, 1);
    compiled_free(&c);
}

static void classes_have_places(void **state)
{
    const struct tc_param *p;
    struct compiled c;

    (void)state;
    compile_with(
        &c, "struct pair f(int a, struct pair p, struct point q, struct box b, long double l)");
    p = compiled_param(&c, "p");
    assert_int_equal(p->loc, TC_LOC_INT);
    assert_int_equal(p->loc_index, 1);
    assert_int_equal(p->second_loc, TC_LOC_SSE);
    assert_int_equal(p->second_index, 0);
    p = compiled_param(&c, "q");
    assert_int_equal(p->loc, TC_LOC_SSE);
    assert_int_equal(p->loc_index, 1);
    assert_int_equal(p->second_index, 2);
    p = compiled_param(&c, "b");
    assert_int_equal(p->loc, TC_LOC_STACK);
    assert_int_equal(p->loc_index, 0);
    p = compiled_param(&c, "l");
    assert_int_equal(p->loc, TC_LOC_STACK);
    assert_int_equal(p->loc_index, (sizeof(struct box) + 15) / 16 * 2);
    assert_int_equal(c.task.result_place[0], TC_PLACE_RAX);
    assert_int_equal(c.task.result_place[1], TC_PLACE_XMM0);
    compiled_free(&c);

    compile_with(&c, "struct box f(int a)");
    assert_int_equal(c.task.result_place[0], TC_PLACE_MEMORY);
    assert_int_equal(compiled_param(&c, "a")->loc_index, 1);
    compiled_free(&c);

    compile_with(&c, "long double _Complex f(int a)");
    assert_int_equal(c.task.result_place[0], TC_PLACE_ST0);
    assert_int_equal(c.task.result_place[1], TC_PLACE_ST1);
    compiled_free(&c);
}

static void members_in_expressions(void **state)
{
    static const struct {
        const char *extent;
        int64_t value;
    } cases[] = {
        {"b->count", 7},   {"(*b).count", 7}, {"b[1].count", 9},       {"b->low", 13},
        {"-b->high", 200}, {"s.count", 9},    {"b->at[1].x > 2.5", 1},
    };
    const struct box boxes[2] = {{7, 13, -200, {{1, 2}, {3, 4}}}, {9, 1, 2, {{5, 6}, {7, 8}}}};
    const uint64_t args[] = {0, (uintptr_t)&boxes[0], (uintptr_t)&boxes[1]};
    char prototype[128];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct values v = {.args = args};
        struct compiled c;
        int64_t got = -1;

        (void)snprintf(prototype, sizeof prototype,
                       "int f(const int x[%s], const struct box b[2], struct box s)",
                       cases[i].extent);
        compile_with(&c, prototype);
        assert_int_equal(compiled_eval(&c, compiled_param(&c, "x")->length, &v, &got), 0);
        assert_int_equal(got, cases[i].value);
        compiled_free(&c);
    }
}

static void a_struct_is_its_members(void **state)
{
    const struct tc_proto_text a = {.prototype = "int f(in struct s *p)",
                                    .types = "struct s { int a; };"};
    const struct tc_proto_text b = {.prototype = "int f(in struct s *p)",
                                    .types = "struct s { float a; };"};
    struct compiled x, y;

    (void)state;
    compile_text(&x, &a);
    compile_text(&y, &b);
    assert_int_equal(x.status | y.status, 0);
    assert_memory_not_equal(x.task.prototype_digest, y.task.prototype_digest, 16);
    compiled_free(&x);
    compiled_free(&y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_where_the_compiler_has_them),
        cmocka_unit_test(classes_have_places),
        cmocka_unit_test(members_in_expressions),
        cmocka_unit_test(a_struct_is_its_members),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
