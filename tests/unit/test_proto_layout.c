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

static const struct tc_member *member_of(const struct compiled *c, const char *name)
{
    const struct tc_member *m =
        tc_flat_at(&c->flat, c->task.members.off, c->task.members.count, sizeof *m);

    for (uint32_t i = 0; i < c->task.members.count; i++)
        if (strcmp(tc_flat_str(&c->flat, m[i].name), name) == 0)
            return &m[i];
    fail_msg("no member %s", name);
    return NULL;
}

static void pointers_with_an_extent_are_followed(void **state)
{
    static const char types[] = "enum { UNIT = 3 };\n"
                                "struct point { char tag; double x; };\n"
                                "struct series { unsigned n : 4; short rows; double y[n * UNIT], "
                                "z[rows][n]; in char *name;\n"
                                "  in struct point *p; ignore void *context; int (*q)[rows]; };\n"
                                "struct set { int count; struct series all[count]; const char "
                                "*names[count]; int fixed[UNIT];\n"
                                "  struct series own[2]; };";
    const struct tc_proto_text text = {"int f(in struct set *s, struct point by)", types, NULL,
                                       NULL, NULL};
    struct {
        unsigned n : 4;
        short rows;
        double *y, *z;
        char *name;
        void *p, *context;
        int *q;
    } series = {.n = 5, .rows = 7};
    struct {
        const char *name;
        uint8_t follow, elem;
        uint32_t count;
        int64_t length; /* of `series` */
    } expected[] = {
        {"all", TC_FOLLOW_ARRAY, TC_MEMBERS, 1, -1},   {"names", TC_FOLLOW_STRINGS, TC_PTR, 1, -1},
        {"fixed", TC_FOLLOW_VALUE, 0, 3, -1},          {"own.y", TC_FOLLOW_ARRAY, TC_F64, 2, 15},
        {"own.z", TC_FOLLOW_ARRAY, TC_F64, 2, 35},     {"own.name", TC_FOLLOW_STRING, TC_I8, 2, -1},
        {"own.p", TC_FOLLOW_ARRAY, TC_MEMBERS, 2, -1}, {"own.context", TC_FOLLOW_IGNORED, 0, 2, -1},
        {"own.q", TC_FOLLOW_ARRAY, TC_I32, 2, 7},
    };
    struct compiled c;

    (void)state;
    compile_text(&c, &text);
    if (c.status != 0)
        fail_msg("%s", c.error.sentence);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        const struct tc_member *m = member_of(&c, expected[i].name);
        uint64_t self = (uint64_t)(uintptr_t)&series;
        int64_t length;

        assert_int_equal(m->follow, expected[i].follow);
        assert_int_equal(m->elem, expected[i].elem);
        assert_int_equal(m->count, expected[i].count);
        if (expected[i].length >= 0) {
            struct values v = {.args = &self};
            assert_int_equal(compiled_eval(&c, m->length, &v, &length), 0);
            assert_int_equal(length, expected[i].length);
        }
    }
    assert_int_equal(member_of(&c, "own.y")->owner, 40);
    compiled_free(&c);
}

/* What the target relies on when it follows pointers and makes blocks. */
static void tables_of_pointees_are_verified(void **state)
{
    const struct tc_proto_text text = {
        "malloc(n) int *f(in struct s *s, int n, out int *k)",
        "struct p { char c; int x; }; struct s { int n; struct p p[n]; };", NULL, NULL, NULL};
    struct compiled c;
    struct tc_member *m;
    struct tc_param *params;
    struct tc_layout *layouts;

    (void)state;
    compile_text(&c, &text);
    assert_int_equal(c.status, 0);
    m = (struct tc_member *)(uintptr_t)member_of(&c, "p");
    params = (struct tc_param *)(uintptr_t)compiled_param(&c, "s");
    layouts = tc_flat_builder_at(&c.builder, c.task.layouts.off);
    assert_int_equal(tc_task_ok(&c.flat, &c.task), 1);
#define REFUSED(place, value)                              \
    do {                                                   \
        __typeof__(place) saved = place;                   \
        place = value;                                     \
        if (tc_task_ok(&c.flat, &c.task))                  \
            fail_msg("accepted: " #place " = " #value);    \
        place = saved;                                     \
        assert_int_equal(tc_task_ok(&c.flat, &c.task), 1); \
    } while (0)
    REFUSED(m->follow, TC_FOLLOW_STRINGS + 1);
    REFUSED(m->follow, TC_FOLLOW_VALUE);
    REFUSED(m->type, TC_I64);
    REFUSED(m->bits, 3);
    REFUSED(m->elem, TC_PTR);
    REFUSED(m->elem, TC_VOID);
    REFUSED(m->layout, 0);
    REFUSED(m->layout, (uint16_t)(c.task.layouts.count + 1));
    REFUSED(m->length, c.task.code.count);
    REFUSED(layouts[0].follows, 0);
    REFUSED(layouts[1].follows, 1);
    REFUSED(params->dir, TC_INOUT);
    REFUSED(c.task.owned.shape, TC_SHAPE_ARRAY);
    REFUSED(c.task.owned.elem, TC_VOID);
    REFUSED(c.task.owned.elem, TC_PTR);
    REFUSED(c.task.owned.dir, TC_IN);
    REFUSED(c.task.owned.length, c.task.code.count);
    REFUSED(c.task.result_type, TC_I64);
    compiled_free(&c);
}

/* A header's type alone is no promise about what a pointer leads to. */
static void pointers_to_arrays_stay_opaque(void **state)
{
    const struct tc_proto_text text = {"int f(in struct s *s)", "struct s { int (*p)[3]; };", NULL,
                                       NULL, NULL};
    struct compiled c;

    (void)state;
    compile_text(&c, &text);
    assert_int_equal(c.status, 0);
    assert_int_equal(compiled_param(&c, "s")->shape, TC_SHAPE_OPAQUE);
    compiled_free(&c);
}

static void extents_of_members_are_part_of_the_prototype(void **state)
{
    static const char *const types[] = {
        "struct s { int n; double y[n]; };",       "struct s { int n; double y[n + 1]; };",
        "struct s { int n; double y[1 * n]; };",   "struct s { int n; in double *y; };",
        "struct s { int n; ignore double *y; };",  "struct s { int n; double *y; };",
        "struct s { int n; in double (*y)[2]; };",
    };
    uint8_t digests[7][16];

    (void)state;
    for (size_t i = 0; i < 7; i++) {
        const struct tc_proto_text text = {"int f(struct s s)", types[i], NULL, NULL, NULL};
        struct compiled c;

        compile_text(&c, &text);
        assert_int_equal(c.status, 0);
        memcpy(digests[i], c.task.prototype_digest, 16);
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(digests[i], digests[k], 16);
        compiled_free(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pointers_with_an_extent_are_followed),
        cmocka_unit_test(extents_of_members_are_part_of_the_prototype),
        cmocka_unit_test(pointers_to_arrays_stay_opaque),
        cmocka_unit_test(tables_of_pointees_are_verified),
        cmocka_unit_test(members_are_where_the_compiler_has_them),
        cmocka_unit_test(classes_have_places),
        cmocka_unit_test(members_in_expressions),
        cmocka_unit_test(a_struct_is_its_members),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
