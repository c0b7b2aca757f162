/* cache/source_tree.c: which parts of two sources differ. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cache/flat_build.h"
#include "cache/plan.h"

struct part {
    const char *label;
    unsigned char digest; /* all 16 bytes */
};

struct made {
    struct tc_flat_builder b;
    struct tc_flat flat;
};

static void make(struct made *m, const struct part *was, uint32_t was_count, const struct part *is,
                 uint32_t is_count)
{
    struct tc_source_part parts[8];
    struct tc_source_tree trees[2];
    const struct part *list[2] = {was, is};
    const uint32_t count[2] = {was_count, is_count};
    struct tc_span span;
    struct tc_plans *root;

    tc_flat_builder_init(&m->b, TC_FLAT_PLANS, sizeof *root);
    for (int t = 0; t < 2; t++) {
        for (uint32_t i = 0; i < count[t]; i++) {
            parts[i].label = tc_flat_add_str(&m->b, list[t][i].label);
            memset(parts[i].digest, list[t][i].digest, 16);
        }
        memset(trees[t].digest, 'a' + t, 16);
        trees[t].parts = tc_flat_add(&m->b, parts, count[t], sizeof parts[0]);
    }
    span = tc_flat_add(&m->b, trees, 2, sizeof trees[0]);
    root = tc_flat_builder_root(&m->b);
    root->trees = span;
    assert_int_equal(tc_flat_builder_finish(&m->b), 0);
    assert_int_equal(tc_flat_check(m->b.data, m->b.bytes, TC_FLAT_PLANS, &m->flat), 0);
}

static char told[400];

static void tell(void *ctx, enum tc_part_change change, const char *label)
{
    static const char marks[] = " *+-";
    size_t n = strlen(told);

    (void)ctx;
    (void)snprintf(told + n, sizeof told - n, "%c%s ", marks[change], label ? label : "(itself)");
}

static const char *compare(const struct part *was, uint32_t was_count, const struct part *is,
                           uint32_t is_count)
{
    unsigned char a[16], b[16];
    struct made m;

    memset(a, 'a', sizeof a);
    memset(b, 'b', sizeof b);
    make(&m, was, was_count, is, is_count);
    told[0] = 0;
    tc_source_trees_compare(&m.flat, tc_source_tree_find(&m.flat, a), &m.flat,
                            tc_source_tree_find(&m.flat, b), tell, NULL);
    tc_flat_builder_free(&m.b);
    return told;
}

static void parts_change_come_and_go(void **state)
{
    static const struct part was[] = {{"f", 1}, {"helper", 2}, {"table", 3}, {"old", 4}};
    static const struct part is[] = {{"f", 9}, {"helper", 2}, {"table", 8}, {"new", 5}};

    (void)state;
    assert_string_equal(compare(was, 4, is, 4), "*(itself) *table +new -old ");
    assert_string_equal(compare(was, 4, was, 4), "");
    assert_string_equal(compare(was, 4, was, 1), "-helper -table -old ");
    assert_string_equal(compare(was, 1, is, 1), "*(itself) ");
    assert_string_equal(compare(was, 0, is, 0), "");
}

static void equal_labels_go_in_pairs(void **state)
{
    static const struct part was[] = {{"f", 1}, {"x", 2}, {"x", 3}};
    static const struct part is[] = {{"f", 1}, {"x", 2}, {"x", 4}, {"x", 5}};

    (void)state;
    assert_string_equal(compare(was, 3, is, 4), "*x +x ");
    assert_string_equal(compare(is, 4, was, 3), "*x -x ");
}

static void an_unknown_digest_has_no_tree(void **state)
{
    static const struct part some[] = {{"f", 1}};
    unsigned char other[16] = {0};
    struct made m;

    (void)state;
    make(&m, some, 1, some, 1);
    assert_null(tc_source_tree_find(&m.flat, other));
    tc_flat_builder_free(&m.b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_change_come_and_go),
        cmocka_unit_test(equal_labels_go_in_pairs),
        cmocka_unit_test(an_unknown_digest_has_no_tree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
