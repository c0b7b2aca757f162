/* cache/plugin_table: what plugins register, by structs of any size. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cache/plugin_table.h"

static int compute(void *data, const struct taskcache_call *call, struct taskcache_cursor *key,
                   struct taskcache_error *error)
{
    (void)data, (void)call, (void)key, (void)error;
    return 0;
}

static int set_up(void **state)
{
    *state = calloc(1, sizeof(struct tc_plugin_table));
    return *state == NULL;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

static void key_functions_are_found_by_name(void **state)
{
    struct tc_plugin_table *t = *state;
    struct taskcache_key_function f = {sizeof f, 0, "one", t, compute};

    assert_int_equal(tc_plugin_add_key(t, &f), 0);
    f.name = "two";
    assert_int_equal(tc_plugin_add_key(t, &f), 0);
    assert_int_equal(tc_plugin_add_key(t, &f), -EEXIST);
    assert_ptr_equal(tc_plugin_key(t, "one"), &t->key[0]);
    assert_ptr_equal(tc_plugin_key(t, "two"), &t->key[1]);
    assert_null(tc_plugin_key(t, "tw"));
    assert_null(tc_plugin_key(t, "twos"));
    assert_null(tc_plugin_codec(t, "one"));
    assert_ptr_equal(t->key[0].data, t);
}

/* A struct that ends where its memory does: a sanitizer sees who reads on. */
static void structs_are_read_as_far_as_they_go(void **state)
{
    struct tc_plugin_table *t = *state;
    size_t least = offsetof(struct taskcache_codec, encode);
    struct taskcache_codec whole = {(uint32_t)least, 7, "short", NULL, NULL, NULL, NULL};
    void *exact = malloc(least);
    struct {
        struct taskcache_key_function known;
        void *more[9];
    } larger = {{sizeof larger, 0, "large", NULL, compute}, {NULL}};

    assert_non_null(exact);
    memcpy(exact, &whole, least);
    assert_int_equal(tc_plugin_add_codec(t, exact), 0);
    free(exact);
    assert_int_equal(t->codec[0].data_version, 7);
    assert_null(t->codec[0].encode);
    assert_null(t->codec[0].decode);
    assert_int_equal(tc_plugin_add_key(t, &larger.known), 0);
    larger.known.name = "small";
    larger.known.struct_size = sizeof larger.known - 1;
    assert_int_equal(tc_plugin_add_key(t, &larger.known), -EINVAL);
}

static void what_cannot_be_is_refused(void **state)
{
    static const char *const names[] = {
        "",    "a b",      "a.b",
        "a-b", "\xc3\xa4", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        NULL};
    struct tc_plugin_table *t = *state;
    struct taskcache_key_function f = {sizeof f, 0, NULL, NULL, compute};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        f.name = names[i];
        assert_int_equal(tc_plugin_add_key(t, &f), -EINVAL);
    }
    f.name = "good";
    f.compute = NULL;
    assert_int_equal(tc_plugin_add_key(t, &f), -EINVAL);
    assert_int_equal(tc_plugin_add_key(t, NULL), -EINVAL);
    assert_int_equal(tc_plugin_add_codec(t, NULL), -EINVAL);
    assert_int_equal(t->key_count, 0);
}

static void there_is_room_for_64(void **state)
{
    static char names[TC_PLUGIN_FUNCTIONS + 1][8];
    struct tc_plugin_table *t = *state;

    for (uint32_t i = 0; i <= TC_PLUGIN_FUNCTIONS; i++) {
        struct taskcache_key_function f = {sizeof f, 0, names[i], NULL, compute};
        (void)snprintf(names[i], sizeof names[i], "f%u", i);
        assert_int_equal(tc_plugin_add_key(t, &f), i < TC_PLUGIN_FUNCTIONS ? 0 : -ENOSPC);
    }
}

static void causes_are_told_from_the_outermost(void **state)
{
    struct taskcache_error e = {0};
    char text[200], little[10], huge[500];

    (void)state;
    tc_plugin_causes(&e, text, sizeof text);
    assert_string_equal(text, "");
    tc_plugin_cause(&e, "inner\033[2J");
    tc_plugin_cause(&e, "outer");
    tc_plugin_cause(&e, NULL);
    tc_plugin_cause(NULL, "nobody");
    tc_plugin_causes(&e, text, sizeof text);
    assert_string_equal(text, "outer: inner[2J");
    tc_plugin_causes(&e, little, sizeof little);
    assert_string_equal(little, "outer: in");
    memset(huge, 'x', sizeof huge - 1);
    huge[sizeof huge - 1] = 0;
    for (int i = 0; i < 10; i++)
        tc_plugin_cause(&e, huge);
    assert_int_equal(e.count, TC_CAUSES);
    assert_int_equal(strlen(e.text[2]), TC_CAUSE_BYTES);
}

/* taskcache/value.h */
static void cursors_count_what_does_not_fit(void **state)
{
    unsigned char room[8];
    struct taskcache_cursor c = {room, 4, 0};

    (void)state;
    memset(room, '-', sizeof room);
    taskcache_put(&c, "abc", 3);
    taskcache_put(&c, "def", 3);
    taskcache_put(&c, "g", 1);
    assert_int_equal(c.used, 7);
    assert_memory_equal(room, "abc-----", 8);
    taskcache_put(&c, "", UINT64_MAX);
    assert_true(c.used == UINT64_MAX);
}

static void values_are_found_by_name_whatever_their_size(void **state)
{
    struct {
        struct taskcache_value known;
        uint64_t more;
    } values[2] = {{{.name = "n", .integer = 4}, 0}, {{.name = "nn", .integer = 5}, 0}};
    struct taskcache_call call = {.struct_size = sizeof call,
                                  .value_size = sizeof values[0],
                                  .values = values,
                                  .value_count = 2};

    (void)state;
    assert_int_equal(taskcache_value(&call, "n")->integer, 4);
    assert_int_equal(taskcache_value(&call, "nn")->integer, 5);
    assert_null(taskcache_value(&call, "nnn"));
    assert_null(taskcache_value(&call, ""));
    assert_null(taskcache_value_at(&call, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(key_functions_are_found_by_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(structs_are_read_as_far_as_they_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(there_is_room_for_64, set_up, tear_down),
        cmocka_unit_test(causes_are_told_from_the_outermost),
        cmocka_unit_test(cursors_count_what_does_not_fit),
        cmocka_unit_test(values_are_found_by_name_whatever_their_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
