/* cache/places: where things lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cache/flat.h"
#include "cache/places.h"
#include "cache/wire.h"

#define ENV(...) ((char *const *)(const char *const[]){__VA_ARGS__, NULL})

static void variables(void **state)
{
    char *const env[] = {(char *)"HOMER=x", (char *)"HOME=/h", (char *)"HOME=/second",
                         (char *)"EMPTY=",  (char *)"NOVALUE", NULL};

    (void)state;
    assert_string_equal(tc_env(env, "HOME"), "/h");
    assert_string_equal(tc_env(env, "EMPTY"), "");
    assert_null(tc_env(env, "NOVALUE"));
    assert_null(tc_env(env, "HOM"));
    assert_null(tc_env(NULL, "HOME"));
}

static void joining(void **state)
{
    char out[6];

    (void)state;
    assert_int_equal(tc_join(out, sizeof out, "a", NULL, "bc", "de"), 0);
    assert_string_equal(out, "abcde");
    assert_int_equal(tc_join(out, sizeof out, "abc", "def", NULL, NULL), -ENAMETOOLONG);
    assert_string_equal(out, "");
    assert_int_equal(tc_join(out, 0, NULL, NULL, NULL, NULL), -ENAMETOOLONG);
}

static void runtime_directory(void **state)
{
    char out[64];

    (void)state;
    assert_int_equal(tc_runtime_dir(ENV("XDG_RUNTIME_DIR=/run/user/7"), 7, out, sizeof out), 0);
    assert_string_equal(out, "/run/user/7/taskcache");
    assert_int_equal(tc_runtime_dir(ENV("XDG_RUNTIME_DIR=relative"), 1000, out, sizeof out), 0);
    assert_string_equal(out, "/dev/shm/taskcache-1000");
    assert_int_equal(tc_runtime_dir(ENV("XDG_RUNTIME_DIR="), 0, out, sizeof out), 0);
    assert_string_equal(out, "/dev/shm/taskcache-0");
    assert_int_equal(tc_runtime_dir(ENV("A=b"), UINT32_MAX, out, sizeof out), 0);
    assert_string_equal(out, "/dev/shm/taskcache-4294967295");
    assert_int_equal(tc_runtime_dir(ENV("A=b"), 1000, out, 10), -ENAMETOOLONG);
}

static void expect_cache_dir(char *const *env, const char *config, const char *expected)
{
    char out[64] = "untouched";

    assert_int_equal(tc_cache_dir(env, config, out, sizeof out), expected ? 0 : -ENOENT);
    assert_string_equal(out, expected ? expected : "untouched");
}

static void cache_directory(void **state)
{
    (void)state;
    expect_cache_dir(ENV("HOME=/h", "XDG_CACHE_HOME=/x", "TASKCACHE_DIR=/t"), "/c", "/t");
    expect_cache_dir(ENV("HOME=/h", "XDG_CACHE_HOME=/x", "TASKCACHE_DIR=rel"), "/c", "/c");
    expect_cache_dir(ENV("HOME=/h", "XDG_CACHE_HOME=/x"), "rel", "/x/taskcache");
    expect_cache_dir(ENV("HOME=/h", "XDG_CACHE_HOME=x"), NULL, "/h/.cache/taskcache");
    expect_cache_dir(ENV("CACHE_DIRECTORY=/var/cache/a:/var/cache/b"), NULL, "/var/cache/a");
    expect_cache_dir(ENV("HOME=h"), "", NULL);
}

static void ways_home(void **state)
{
    (void)state;
    assert_true(tc_leads_home(ENV("HOME=/a/home"), "/a/home"));
    assert_true(tc_leads_home(ENV("HOME=/a/home/"), "/a/home"));
    assert_true(tc_leads_home(ENV("HOME=/a/home"), "/a"));
    assert_false(tc_leads_home(ENV("HOME=/a/home"), "/a/ho"));
    assert_false(tc_leads_home(ENV("HOME=/a/home"), "/a/home/.cache"));
    assert_false(tc_leads_home(ENV("HOME=/a/home"), "/b"));
    assert_false(tc_leads_home(ENV("HOME=a"), "a"));
    assert_false(tc_leads_home(ENV("A=/b"), "/b"));
}

static void config_path(void **state)
{
    char out[64];

    (void)state;
    assert_int_equal(tc_config_path(ENV("HOME=/h", "TASKCACHE_CONFIG=/c.yaml"), out, 64), 0);
    assert_string_equal(out, "/c.yaml");
    assert_int_equal(
        tc_config_path(ENV("HOME=/h", "XDG_CONFIG_HOME=/x", "TASKCACHE_CONFIG=c"), out, 64), 0);
    assert_string_equal(out, "/x/taskcache/config.yaml");
    assert_int_equal(tc_config_path(ENV("HOME=/h"), out, 64), 0);
    assert_string_equal(out, "/h/.config/taskcache/config.yaml");
    assert_int_equal(tc_config_path(ENV("A=b"), out, 64), -ENOENT);
}

static void names_of_files(void **state)
{
    static const uint8_t digest[16] = {0x01, 0xab, [15] = 0xff};
    char out[128], other[128];
    char expected[64];

    (void)state;
    assert_int_equal(tc_cache_id(0xfd01, 0, out, sizeof out), 0);
    assert_string_equal(out, "fd01-0");
    assert_int_equal(tc_cache_id(UINT64_MAX, 0x10, out, sizeof out), 0);
    assert_string_equal(out, "ffffffffffffffff-10");
    assert_int_equal(tc_page_path("/r", "1-2", out, sizeof out), 0);
    assert_string_equal(out, "/r/1-2.page");
    assert_int_equal(tc_socket_path("/r", "1-2", out, sizeof out), 0);
    snprintf(expected, sizeof expected, "/r/1-2.v%u-%u.sock", TC_WIRE_VERSION, TC_FLAT_VERSION);
    assert_string_equal(out, expected);
    assert_int_equal(tc_config_flat_path("/r", "00ff", out, sizeof out), 0);
    assert_string_equal(out, "/r/config-00ff.flat");
    assert_int_equal(tc_plans_path("/c", digest, out, sizeof out), 0);
    assert_string_equal(out, "/c/plans-01ab00000000000000000000000000ff.flat");
    /* Any text may be a run id: its file has a name of fixed form. */
    assert_int_equal(tc_run_page_path("/r", "../../etc/passwd", out, sizeof out), 0);
    assert_int_equal(strlen(out), strlen("/r/run-.counters") + 32);
    assert_null(strstr(out, ".."));
    assert_int_equal(tc_run_page_path("/r", "other", other, sizeof other), 0);
    assert_string_not_equal(out, other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variables),         cmocka_unit_test(joining),
        cmocka_unit_test(runtime_directory), cmocka_unit_test(cache_directory),
        cmocka_unit_test(ways_home),         cmocka_unit_test(config_path),
        cmocka_unit_test(names_of_files),
    };

    return cmocka_run_group_tests_name("places", tests, NULL, NULL);
}
