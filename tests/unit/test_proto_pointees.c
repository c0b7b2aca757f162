/* Pointers that lead on: in structs, and behind other pointers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/proto_fixture.h"

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

/* The layout of one pointer that another one leads to. */
static const struct tc_member *pointer_behind(struct compiled *c, const struct tc_member *m)
{
    const struct tc_layout *l = tc_flat_builder_at(&c->builder, c->task.layouts.off);
    const struct tc_member *all = tc_flat_builder_at(&c->builder, c->task.members.off);

    assert_int_equal(m->follow, TC_FOLLOW_ARRAY);
    assert_int_equal(m->elem, TC_MEMBERS);
    l += m->layout - 1;
    assert_int_equal(l->bytes, 8);
    assert_int_equal(l->count, 1);
    assert_true(l->follows);
    return &all[l->first];
}

static void pointers_behind_pointers_in_structs(void **state)
{
    const struct tc_proto_text text = {
        "int f(in struct s *s)",
        "struct t { int x; };\n"
        "struct s { int n; short m; double (*rows[n])[m]; char *(*tables[n])[m + 1];\n"
        "  int (*call)(int); void (*calls[n])(void); in struct t **one; double (*few[3])[m];\n"
        "  in const char *words[2]; ignore int (*unused)(int); };",
        NULL, NULL, NULL};
    struct {
        int n;
        short m;
    } s = {.n = 4, .m = 6};
    struct compiled c;
    uint64_t self = (uint64_t)(uintptr_t)&s;
    struct values v = {.args = &self};
    const struct tc_member *m;
    int64_t n;

    (void)state;
    compile_text(&c, &text);
    if (c.status != 0)
        fail_msg("%s", c.error.sentence);
    assert_int_equal(tc_task_ok(&c.flat, &c.task), 1);
    assert_int_equal(compiled_eval(&c, member_of(&c, "rows")->length, &v, &n), 0);
    assert_int_equal(n, 4);
    m = pointer_behind(&c, member_of(&c, "rows"));
    assert_int_equal(m->follow, TC_FOLLOW_ARRAY);
    assert_int_equal(m->elem, TC_F64);
    assert_int_equal(m->owner, TC_OWNER_OUTER);
    assert_int_equal(compiled_eval(&c, m->length, &v, &n), 0);
    assert_int_equal(n, 6);
    m = pointer_behind(&c, member_of(&c, "tables"));
    assert_int_equal(m->follow, TC_FOLLOW_STRINGS);
    assert_int_equal(compiled_eval(&c, m->length, &v, &n), 0);
    assert_int_equal(n, 7);
    assert_int_equal(member_of(&c, "call")->follow, TC_FOLLOW_FUNCTION);
    m = pointer_behind(&c, member_of(&c, "calls"));
    assert_int_equal(m->follow, TC_FOLLOW_FUNCTION);
    m = pointer_behind(&c, member_of(&c, "one"));
    assert_int_equal(m->follow, TC_FOLLOW_ARRAY);
    assert_int_equal(m->elem, TC_MEMBERS);
    assert_int_equal(m->length, TC_NO_EXPR);
    m = member_of(&c, "few[2]");
    assert_int_equal(m->count, 1);
    assert_int_equal(m->offset, member_of(&c, "few[0]")->offset + 16);
    assert_int_equal(m->elem, TC_F64);
    assert_int_equal(compiled_eval(&c, m->length, &v, &n), 0);
    assert_int_equal(n, 6);
    assert_int_equal(member_of(&c, "words")->count, 2);
    assert_int_equal(member_of(&c, "words")->follow, TC_FOLLOW_STRING);
    assert_int_equal(member_of(&c, "unused")->follow, TC_FOLLOW_IGNORED);
    compiled_free(&c);
}

static void parameters_of_pointers(void **state)
{
    static const struct {
        const char *text;
        uint8_t follow, elem;
        int64_t length; /* with n = 5, *m = 9 */
    } cases[] = {
        {"int f(const double (*p[n])[*m], int n, inout int *m)", TC_FOLLOW_ARRAY, TC_F64, 9},
        {"int f(in double (*p[n])[n][2], int n, inout int *m)", TC_FOLLOW_ARRAY, TC_F64, 10},
        {"int f(const char *p[n][3], int n, inout int *m)", TC_FOLLOW_STRING, TC_I8, -1},
        {"int f(in int (*p[n])(int), int n, inout int *m)", TC_FOLLOW_FUNCTION, TC_VOID, -1},
        {"int f(in struct t *p[n], int n, inout int *m)", TC_FOLLOW_ARRAY, TC_MEMBERS, -1},
        {"int f(const struct t (*p[n])[2], int n, inout int *m)", TC_FOLLOW_ARRAY, TC_MEMBERS, 2},
        {"int f(in char **p, int n, inout int *m)", TC_FOLLOW_STRING, TC_I8, -1},
        {"int f(in const void (*p[n])[n], int n, inout int *m)", TC_FOLLOW_ARRAY, TC_U8, 5},
        {"int f(in const char *(*p[n])[n], int n, inout int *m)", TC_FOLLOW_STRINGS, TC_PTR, 5},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct tc_proto_text text = {cases[i].text, "struct t { char c; int x; };", NULL,
                                           NULL, NULL};
        int m = 9;
        uint64_t args[] = {0, 5, (uint64_t)(uintptr_t)&m};
        int64_t n;
        struct values v = {.args = args};
        struct compiled c;
        const struct tc_param *p;
        struct tc_member at;

        compile_text(&c, &text);
        if (c.status != 0)
            fail_msg("%s: %s", cases[i].text, c.error.sentence);
        assert_int_equal(tc_task_ok(&c.flat, &c.task), 1);
        compiled_olds(&c, &v);
        m = 1000; /* an input's extent is what it was before the call */
        p = compiled_param(&c, "p");
        if (p->shape != TC_SHAPE_ARRAY)
            fail_msg("%s: shape %u", cases[i].text, p->shape);
        assert_int_equal(p->dir, TC_IN);
        assert_int_equal(p->elem, TC_MEMBERS);
        at = (struct tc_member){.follow = TC_FOLLOW_ARRAY, .elem = TC_MEMBERS};
        at.layout = (uint16_t)p->layout;
        at = *pointer_behind(&c, &at);
        if (at.follow != cases[i].follow || at.elem != cases[i].elem)
            fail_msg("%s: follow %u, elements %u", cases[i].text, at.follow, at.elem);
        assert_int_equal(at.owner, TC_OWNER_CALL);
        assert_int_equal(at.length == TC_NO_EXPR, cases[i].length < 0);
        if (cases[i].length >= 0) {
            assert_int_equal(compiled_eval(&c, at.length, &v, &n), 0);
            assert_int_equal(n, cases[i].length);
        }
        compiled_free(&c);
    }
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
    REFUSED(m->follow, TC_FOLLOW_FUNCTION + 1);
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
        cmocka_unit_test(pointers_behind_pointers_in_structs),
        cmocka_unit_test(parameters_of_pointers),
        cmocka_unit_test(tables_of_pointees_are_verified),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
