/* preload/function_source.c: what of a function is remembered, looked up in the plans, asked for
 * and when it is asked for again. The service is this file. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/flat_build.h"
#include "preload/client.h"
#include "preload/function_source.h"
#include "preload/in_handler.h"

#define S 1000000000ll

struct tc_state tc_state;
static struct tc_config config;

static struct {
    int64_t now_ns;
    int in_handler, down, refuses;
    unsigned asked;
    uint64_t asked_for;
    char asked_path[64];
    /* What the plans file has. */
    struct tc_code_source functions[3000];
    size_t count;
    int without_object, other_build, damaged;
} world;

int64_t tc_monotonic_ns(void)
{
    return world.now_ns;
}

int tc_in_handler(uint64_t stack)
{
    (void)stack;
    return world.in_handler;
}

static const struct tc_known_code object = {.low = 0x1000,
                                            .high = 0x9000,
                                            .id = {1, 2, 3, 4, 5},
                                            .build_id_bytes = 4,
                                            .build_id = {0xde, 0xad, 0xbe, 0xef}};

static char *plans_file(void)
{
    static char path[TC_PATH_BYTES];

    assert_int_equal(tc_plans_path(tc_state.cache_dir, config.resolve_digest, path, sizeof path),
                     0);
    return path;
}

static void write_plans(void)
{
    struct tc_flat_builder b;
    struct tc_object o = {.id = object.id, .build_id_bytes = object.build_id_bytes};
    struct tc_span objects;
    FILE *f;

    tc_flat_builder_init(&b, TC_FLAT_PLANS, sizeof(struct tc_plans));
    memcpy(o.build_id, object.build_id, object.build_id_bytes);
    o.build_id[0] ^= world.other_build != 0;
    o.path = tc_flat_add_str(&b, "/lib/libcb.so");
    o.soname = tc_flat_add_str(&b, "libcb.so");
    o.functions = tc_flat_add(&b, world.functions, world.count, sizeof world.functions[0]);
    objects = tc_flat_add(&b, &o, world.without_object ? 0 : 1, sizeof o);
    ((struct tc_plans *)tc_flat_builder_root(&b))->objects = objects;
    assert_int_equal(tc_flat_builder_finish(&b), 0);
    f = fopen(plans_file(), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(b.data, 1, world.damaged ? b.bytes / 2 : b.bytes, f),
                     world.damaged ? b.bytes / 2 : b.bytes);
    (void)fclose(f);
    tc_flat_builder_free(&b);
}

static void add(uint64_t vaddr, uint32_t state)
{
    struct tc_code_source *c = &world.functions[world.count++];

    *c = (struct tc_code_source){.vaddr = vaddr, .state = state};
    memset(c->digest, (int)(vaddr % 251) + 1, sizeof c->digest);
}

int tc_request(const struct tc_outgoing *m, int64_t deadline_ns, struct tc_reply *ret_reply)
{
    const struct tc_plan_request *q = (const void *)m->head;
    const struct tc_object_ref *ref = (const void *)((const char *)q + q->objects);

    assert_true(deadline_ns > 0);
    assert_int_equal(q->head.type, TC_MSG_PLAN);
    assert_int_equal(q->object_count, 1);
    assert_string_equal((const char *)q + q->config_path, "/etc/tc.yaml");
    assert_true(ref->path < m->head_bytes);
    (void)snprintf(world.asked_path, sizeof world.asked_path, "%s", (const char *)q + ref->path);
    world.asked++;
    world.asked_for = ref->function;
    if (world.down)
        return -ENOTCONN;
    memset(ret_reply, 0, sizeof *ret_reply);
    if (world.refuses)
        return 0;
    add(ref->function, TC_CODE_KNOWN);
    write_plans();
    return 0;
}

static int begin(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    world.now_ns = 1000 * S;
    tc_state.config = &config;
    tc_state.uid = (uint32_t)getuid();
    (void)snprintf(tc_state.config_path, sizeof tc_state.config_path, "/etc/tc.yaml");
    (void)snprintf(tc_state.cache_dir, sizeof tc_state.cache_dir, "/tmp/tc-source-XXXXXX");
    assert_non_null(mkdtemp(tc_state.cache_dir));
    for (int i = 0; i < 16; i++)
        config.resolve_digest[i] = (uint8_t)i;
    return 0;
}

static int end(void **state)
{
    (void)state;
    (void)unlink(plans_file());
    (void)rmdir(tc_state.cache_dir);
    return 0;
}

/* Each test has functions of its own: what was learned stays. */
static uint32_t ask(uint64_t vaddr)
{
    unsigned char digest[16] = {0}, wanted[16];
    uint32_t r = tc_function_source(&object, vaddr, 0, digest);

    memset(wanted, (int)(vaddr % 251) + 1, sizeof wanted);
    if (r == 0)
        assert_memory_equal(digest, wanted, 16);
    return r;
}

static void what_the_plans_have_is_read_and_remembered(void **state)
{
    (void)state;
    add(0x100, TC_CODE_KNOWN);
    add(0x200, TC_CODE_KNOWN);
    write_plans();
    assert_int_equal(ask(0x100), 0);
    assert_int_equal(ask(0x200), 0);
    assert_int_equal(world.asked, 0);
    (void)unlink(plans_file());
    assert_int_equal(ask(0x100), 0);
    assert_int_equal(ask(0x200), 0);
}

static void what_is_missing_is_asked_for(void **state)
{
    (void)state;
    write_plans();
    assert_int_equal(ask(0x1100), 0);
    assert_int_equal(world.asked, 1);
    assert_int_equal(world.asked_for, 0x1100);
    assert_string_equal(world.asked_path, "/lib/libcb.so");
    assert_int_equal(ask(0x1100), 0);
    assert_int_equal(world.asked, 1);
}

static void a_service_that_is_down_is_asked_once_a_second(void **state)
{
    (void)state;
    write_plans();
    world.down = 1;
    for (int i = 0; i < 5; i++)
        assert_int_equal(ask(0x2100), TC_R_SOURCE_UNKNOWN);
    assert_int_equal(world.asked, 1);
    world.now_ns += S + 1;
    world.down = 0;
    assert_int_equal(ask(0x2100), 0);
    assert_int_equal(world.asked, 2);
}

static void what_cannot_be_told_is_asked_after_a_minute(void **state)
{
    (void)state;
    add(0x3100, TC_CODE_UNKNOWN);
    write_plans();
    assert_int_equal(ask(0x3100), TC_R_SOURCE_UNKNOWN);
    world.refuses = 1; /* it answers, and nothing has come of it */
    assert_int_equal(ask(0x3200), TC_R_SOURCE_UNKNOWN);
    assert_int_equal(world.asked, 1);
    world.now_ns += 59 * S;
    world.refuses = 0;
    assert_int_equal(ask(0x3200), TC_R_SOURCE_UNKNOWN);
    assert_int_equal(world.asked, 1);
    world.now_ns += 2 * S;
    assert_int_equal(ask(0x3200), 0);
    assert_int_equal(ask(0x3100), TC_R_SOURCE_UNKNOWN);
}

static void nobody_is_asked_in_a_handler(void **state)
{
    (void)state;
    add(0x4100, TC_CODE_KNOWN);
    write_plans();
    world.in_handler = 1;
    assert_int_equal(ask(0x4100), TC_R_SOURCE_UNKNOWN);
    world.in_handler = 0;
    assert_int_equal(ask(0x4100), 0); /* and it didn't count as a try */
    world.in_handler = 1;
    assert_int_equal(ask(0x4100), 0);
}

static void another_build_is_another_object(void **state)
{
    struct tc_known_code other = object, unnamed = object;
    unsigned char digest[16];

    (void)state;
    add(0x5100, TC_CODE_KNOWN);
    add(0x5200, TC_CODE_KNOWN);
    world.other_build = 1;
    write_plans();
    assert_int_equal(ask(0x5100), TC_R_SOURCE_UNKNOWN);
    assert_int_equal(world.asked, 0);
    world.other_build = 0;
    write_plans();
    world.now_ns += 61 * S;
    assert_int_equal(ask(0x5100), 0);
    /* What was learned of one is no answer for the other. */
    other.build_id[3]++;
    assert_int_equal(tc_function_source(&other, 0x5100, 0, digest), TC_R_SOURCE_UNKNOWN);
    unnamed.build_id_bytes = 0;
    assert_int_equal(tc_function_source(&unnamed, 0x5200, 0, digest), TC_R_SOURCE_UNKNOWN);
    other = object;
    other.id.mtime_ns++;
    assert_int_equal(tc_function_source(&other, 0x5100, 0, digest), TC_R_SOURCE_UNKNOWN);
}

static void damaged_plans_are_none(void **state)
{
    (void)state;
    add(0x6100, TC_CODE_KNOWN);
    world.damaged = 1;
    write_plans();
    assert_int_equal(ask(0x6100), TC_R_SOURCE_UNKNOWN);
    world.damaged = 0;
    world.without_object = 1;
    world.now_ns += 61 * S;
    write_plans();
    assert_int_equal(ask(0x6100), TC_R_SOURCE_UNKNOWN);
    assert_int_equal(world.asked, 0);
    world.without_object = 0;
    world.now_ns += 61 * S;
    write_plans();
    assert_int_equal(ask(0x6100), 0);
}

/* More than the table holds: those without a place are read from the plans each time. */
static void a_full_table_forgets_nothing(void **state)
{
    (void)state;
    world.now_ns *= 5; /* no try of other tests is due later */
    for (uint64_t i = 0; i < 2000; i++)
        add(0x100000 + 16 * i, TC_CODE_KNOWN);
    write_plans();
    for (int round = 0; round < 2; round++)
        for (uint64_t i = 0; i < 2000; i++)
            assert_int_equal(ask(0x100000 + 16 * i), 0);
    assert_int_equal(world.asked, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_the_plans_have_is_read_and_remembered, begin, end),
        cmocka_unit_test_setup_teardown(what_is_missing_is_asked_for, begin, end),
        cmocka_unit_test_setup_teardown(a_service_that_is_down_is_asked_once_a_second, begin, end),
        cmocka_unit_test_setup_teardown(what_cannot_be_told_is_asked_after_a_minute, begin, end),
        cmocka_unit_test_setup_teardown(nobody_is_asked_in_a_handler, begin, end),
        cmocka_unit_test_setup_teardown(another_build_is_another_object, begin, end),
        cmocka_unit_test_setup_teardown(damaged_plans_are_none, begin, end),
        cmocka_unit_test_setup_teardown(a_full_table_forgets_nothing, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
