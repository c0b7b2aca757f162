/* Comparing key materials and choosing an explanation: tools/compare.c, component_text.c,
 * explain.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/expr.h"
#include "tools/component_text.h"
#include "tools/explain.h"

struct made {
    unsigned char memory[TC_MATERIAL_BYTES];
    struct tc_hash_state state;
    struct tc_material m;
};

static void begin(struct made *made, const char *const *names)
{
    tc_material_init(&made->m, made->memory, &made->state, 7);
    for (; *names != NULL; names++)
        tc_material_announce(&made->m, strlen(*names));
}

static void add(struct made *made, const char *name, uint8_t tag, const void *data, size_t bytes)
{
    assert_int_equal(tc_material_begin(&made->m, name, strlen(name), tag, bytes), 0);
    if (bytes != 0)
        tc_material_content(&made->m, data, bytes);
    assert_int_equal(tc_material_end(&made->m), 0);
}

static struct tc_material_view view(const struct made *m)
{
    return (struct tc_material_view){m->memory, m->m.bytes};
}

/* A key of a task f(x, y) in a run. */
static void make(struct made *made, const char *run, const char *source, int32_t x, int32_t y)
{
    begin(made, (const char *const[]){"=run_id", "=source", "x", "y", NULL});
    add(made, "=run_id", TC_TAG_BYTES, run, strlen(run));
    add(made, "=source", TC_TAG_BYTES, source, strlen(source));
    add(made, "x", TC_TAG_SCALAR + TC_I32, &x, sizeof x);
    add(made, "y", TC_TAG_SCALAR + TC_I32, &y, sizeof y);
}

static struct made a, b;

static void differences_come_by_name(void **state)
{
    struct tc_comparison c;
    struct tc_difference d;

    (void)state;
    make(&a, "one", "code", 1, 2);
    make(&b, "two", "code", 1, 3);
    c = tc_compare(view(&a), view(&b));
    assert_true(tc_compare_next(&c, &d));
    assert_true(tc_is_named(&d, "=run_id"));
    assert_memory_equal(d.was.content, "one", 3);
    assert_memory_equal(d.is.content, "two", 3);
    assert_true(tc_compare_next(&c, &d));
    assert_true(tc_is_named(&d, "y"));
    assert_false(tc_compare_next(&c, &d));
    assert_false(tc_compare_next(&c, &d));
    c = tc_compare(view(&a), view(&a));
    assert_false(tc_compare_next(&c, &d));
}

static void one_side_may_lack_a_component(void **state)
{
    int32_t x = 5;
    struct tc_comparison c;
    struct tc_difference d;
    struct tc_nearness n;

    (void)state;
    begin(&a, (const char *const[]){"x", NULL});
    add(&a, "x", TC_TAG_SCALAR + TC_I32, &x, sizeof x);
    begin(&b, (const char *const[]){"=key", "x", "xy", NULL});
    add(&b, "=key", TC_TAG_STRING, "k", 1);
    add(&b, "x", TC_TAG_SCALAR + TC_I32, &x, sizeof x);
    add(&b, "xy", TC_TAG_NULL, NULL, 0);
    n = tc_compare_all(view(&a), view(&b));
    assert_int_equal(n.equal, 1);
    assert_int_equal(n.different, 2);
    assert_int_equal(n.inputs, 1);
    c = tc_compare(view(&a), view(&b));
    assert_true(tc_compare_next(&c, &d));
    assert_true(tc_is_named(&d, "=key"));
    assert_null(d.was.name);
    assert_true(tc_compare_next(&c, &d));
    assert_true(tc_is_named(&d, "xy"));
    assert_null(d.was.name);
    assert_false(tc_compare_next(&c, &d));
    /* and the other way round */
    c = tc_compare(view(&b), view(&a));
    assert_true(tc_compare_next(&c, &d));
    assert_non_null(d.was.name);
    assert_null(d.is.name);
}

static void damaged_material_ends_early(void **state)
{
    struct tc_material_view cut;

    (void)state;
    make(&a, "one", "code", 1, 2);
    for (size_t n = 0; n < a.m.bytes; n++) {
        struct tc_nearness near;
        cut = (struct tc_material_view){a.memory, n};
        near = tc_compare_all(cut, view(&a));
        assert_true(near.equal <= 4);
        assert_int_equal(near.equal + near.different, 4);
    }
}

static void nearer_is_who_shares_more(void **state)
{
    const struct tc_nearness more = {3, 2, 2}, less = {2, 1, 0}, fewer = {3, 1, 1},
                             not_input = {3, 1, 0};

    (void)state;
    assert_true(tc_is_nearer(&more, &less));
    assert_false(tc_is_nearer(&less, &more));
    assert_true(tc_is_nearer(&fewer, &more));
    assert_true(tc_is_nearer(&not_input, &fewer));
    assert_false(tc_is_nearer(&more, &more));
}

static const char *change(struct tc_text *t, struct tc_component_facts facts)
{
    struct tc_comparison c = tc_compare(view(&a), view(&b));
    struct tc_difference d;

    assert_true(tc_compare_next(&c, &d));
    tc_text_free(t);
    *t = (struct tc_text){0};
    tc_difference_text(t, &d, &facts, &facts);
    return t->data;
}

static void make_array(struct made *made, const double *values, size_t count)
{
    unsigned char content[16 + 64];
    uint64_t shape[2] = {1, count * sizeof *values};

    memcpy(content, shape, sizeof shape);
    memcpy(content + 16, values, count * sizeof *values);
    begin(made, (const char *const[]){"v", NULL});
    add(made, "v", TC_TAG_ARRAY, content, 16 + count * sizeof *values);
}

static void changes_in_words(void **state)
{
    struct tc_component_facts none = {.elem = TC_VOID}, doubles = {.elem = TC_F64};
    struct tc_text t = {0};

    (void)state;
    make(&a, "run", "code", -1, 2);
    make(&b, "run", "code", 4, 2);
    assert_string_equal(change(&t, none), "-1 -> 4");
    make_array(&a, (const double[]){1, 2, 3}, 3);
    make_array(&b, (const double[]){1, 2.5, 3}, 3);
    assert_string_equal(change(&t, doubles), "[1]: 2.0 -> 2.5");
    make_array(&b, (const double[]){1, 2}, 2);
    assert_string_equal(change(&t, doubles), "{1.0, 2.0, 3.0} -> {1.0, 2.0}");
    make_array(&a, (const double[]){1}, 1);
    make_array(&b, (const double[]){2}, 1);
    assert_string_equal(change(&t, doubles), "1.0 -> 2.0");
    assert_string_equal(change(&t, none), "000000000000f03f -> 0000000000000040");
    tc_text_free(&t);
}

static void digests_in_words(void **state)
{
    static unsigned char large[2][TC_MATERIAL_BYTES + 8];
    struct tc_component_facts facts = {.elem = TC_VOID};
    struct tc_text t = {0};

    (void)state;
    large[1][0] = 1;
    begin(&a, (const char *const[]){"v", NULL});
    add(&a, "v", TC_TAG_STRING, large[0], sizeof large[0]);
    begin(&b, (const char *const[]){"v", NULL});
    add(&b, "v", TC_TAG_STRING, large[1], sizeof large[1]);
    assert_memory_equal(change(&t, facts), "digest ", 7);
    facts.beginning = "so it begins";
    facts.beginning_bytes = 5;
    assert_string_equal(change(&t, facts), "\"so it\"... of 4.01 KiB -> \"so it\"... of 4.01 KiB");
    tc_text_free(&t);
}

static struct tc_known_miss a_miss(void)
{
    return (struct tc_known_miss){.task = 9,
                                  .key_low = 1,
                                  .when_ns = 1000,
                                  .order = 10,
                                  .material = {.data = b.memory, .bytes = b.m.bytes},
                                  .nearest_material = {.data = a.memory, .bytes = a.m.bytes}};
}

static enum tc_why of_nearest(void)
{
    struct tc_known_miss m = a_miss();

    m.has_nearest = true;
    return tc_explain(&m);
}

static void what_differs_explains(void **state)
{
    struct tc_known_miss m = a_miss();

    (void)state;
    make(&a, "one", "code", 1, 2);
    make(&b, "two", "code", 1, 2);
    assert_int_equal(of_nearest(), TC_WHY_ANOTHER_RUN);
    make(&b, "two", "other", 1, 2);
    assert_int_equal(of_nearest(), TC_WHY_SOURCE);
    make(&b, "two", "code", 1, 3);
    assert_int_equal(of_nearest(), TC_WHY_INPUT);
    make(&b, "one", "code", 1, 3);
    assert_int_equal(of_nearest(), TC_WHY_INPUT);
    m = a_miss();
    assert_int_equal(tc_explain(&m), TC_WHY_FIRST);
    m.all_removed = true;
    m.all_removed_ns = 400;
    assert_int_equal(tc_explain(&m), TC_WHY_ALL_REMOVED);
    assert_int_equal(tc_why_before_ns(&m, TC_WHY_ALL_REMOVED), 600);
}

static void what_was_found_comes_first(void **state)
{
    static const struct {
        uint32_t found;
        enum tc_why why;
    } cases[] = {
        {TC_FOUND_EXPIRED, TC_WHY_EXPIRED},     {TC_FOUND_OTHER_SHAPE, TC_WHY_SHAPE},
        {TC_FOUND_UNWANTED, TC_WHY_REFRESH},    {TC_FOUND_DAMAGED, TC_WHY_DAMAGED},
        {TC_FOUND_OTHER_KEY, TC_WHY_OTHER_KEY}, {TC_FOUND_NO_STORE, TC_WHY_NO_STORE},
        {TC_FOUND_CHANGING, TC_WHY_CHANGING},   {TC_FOUNDS + 5, TC_WHY_EVICTED},
    };
    struct tc_known_miss m = a_miss();

    (void)state;
    m.has_nearest = m.has_gone = true;
    m.gone = (struct tc_gone){.why = TC_GONE_EVICTED, .when_ns = 300};
    m.expired_ns = 900;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        m.found = cases[i].found;
        assert_int_equal(tc_explain(&m), cases[i].why);
    }
    assert_int_equal(tc_why_before_ns(&m, TC_WHY_EVICTED), 700);
    m.found = TC_FOUND_EXPIRED;
    assert_int_equal(tc_why_before_ns(&m, TC_WHY_EXPIRED), 100);
    assert_int_equal(tc_why_before_ns(&m, TC_WHY_REFRESH), -1);
}

static void what_went_away_explains(void **state)
{
    static const enum tc_why why[] = {
        [TC_GONE_EVICTED] = TC_WHY_EVICTED,
        [TC_GONE_EXPIRED] = TC_WHY_EXPIRED,
        [TC_GONE_REMOVED] = TC_WHY_REMOVED,
        [TC_GONE_WRONG] = TC_WHY_WRONG,
    };
    struct tc_known_miss m = a_miss(), earlier = a_miss();

    (void)state;
    m.has_gone = true;
    m.earlier = &earlier;
    for (uint32_t i = TC_GONE_EVICTED; i <= TC_GONE_WRONG; i++) {
        if (i == TC_GONE_ALL_REMOVED)
            continue;
        m.gone.why = i;
        assert_int_equal(tc_explain(&m), why[i]);
    }
    m.has_gone = false;
    assert_int_equal(tc_explain(&m), TC_WHY_NOT_STORED_BEFORE);
    m.wrong_id = 4;
    assert_int_equal(tc_explain(&m), TC_WHY_VERIFIED);
    m = (struct tc_known_miss){.reason = TC_R_OPAQUE, .found = TC_FOUND_UNWANTED};
    assert_int_equal(tc_explain(&m), TC_WHY_BYPASSED);
}

static void only_older_records_of_the_task_are_near(void **state)
{
    struct tc_record head = {.task = 9, .key_low = 2, .record_id = 5};
    struct tc_nearness n = {.equal = 2, .different = 1}, more = {.equal = 3, .different = 1};
    struct tc_known_miss m = a_miss();

    (void)state;
    assert_true(tc_why_is_nearer(&m, &head, &n));
    m.has_nearest = true;
    m.nearest = head;
    m.nearness = n;
    assert_false(tc_why_is_nearer(&m, &head, &n));
    head.record_id = 6; /* as near, but newer */
    assert_true(tc_why_is_nearer(&m, &head, &n));
    head.record_id = 4;
    assert_false(tc_why_is_nearer(&m, &head, &n));
    assert_true(tc_why_is_nearer(&m, &head, &more));
    head.record_id = 10;
    assert_false(tc_why_is_nearer(&m, &head, &more));
    head.record_id = 4;
    head.task = 8;
    assert_false(tc_why_is_nearer(&m, &head, &more));
    head = (struct tc_record){.task = 9, .key_low = 1, .record_id = 4};
    assert_false(tc_why_is_nearer(&m, &head, &more)); /* the miss' own key */
}

static void beginnings_are_found_by_name(void **state)
{
    static unsigned char heads[] = "\1\3xabc\2\2yzde";
    struct tc_known_material m = {.heads = heads, .head_bytes = sizeof heads - 1};
    struct tc_component c = {.head.name_bytes = 2, .name = "yz"};
    size_t bytes = 0;

    (void)state;
    assert_memory_equal(tc_known_beginning(&m, &c, &bytes), "de", 2);
    assert_int_equal(bytes, 2);
    c.name = "zz";
    assert_null(tc_known_beginning(&m, &c, &bytes));
    m.head_bytes = 9; /* cut short */
    c.name = "yz";
    assert_null(tc_known_beginning(&m, &c, &bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences_come_by_name),
        cmocka_unit_test(one_side_may_lack_a_component),
        cmocka_unit_test(damaged_material_ends_early),
        cmocka_unit_test(nearer_is_who_shares_more),
        cmocka_unit_test(changes_in_words),
        cmocka_unit_test(digests_in_words),
        cmocka_unit_test(what_differs_explains),
        cmocka_unit_test(what_was_found_comes_first),
        cmocka_unit_test(what_went_away_explains),
        cmocka_unit_test(only_older_records_of_the_task_are_near),
        cmocka_unit_test(beginnings_are_found_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
