#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "service/resolve/plugin_read.h"

static const char *plugin_path(const char *name)
{
    static char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s.so", PLUGINS_DIR, name);
    return path;
}

static struct tc_plugin read_good(const char *name)
{
    struct tc_plugin p = {0};
    struct tc_text_error e = {0};
    int rc = tc_plugin_read(plugin_path(name), &p, &e);
    if (rc != 0)
        fail_msg("%s: %d: %s", name, rc, e.sentence);
    return p;
}

static void check_variant(const char *name)
{
    struct tc_plugin p = read_good(name);
    const struct taskcache_task *g = NULL;

    assert_string_equal(p.name, "variant");
    assert_string_equal(p.version, "1.0");
    assert_string_equal(p.licence, "MIT");
    assert_string_equal(p.description, "A variant");
    assert_int_equal(p.abi_major, 1);
    assert_false(p.has_code);
    assert_int_equal(p.task_count, 2);
    assert_string_equal(p.tasks[0].text.symbol, "f");
    assert_string_equal(p.tasks[0].text.prototype, "int f(int x)");
    assert_null(p.tasks[0].text.cache_policy);
    assert_null(p.tasks[0].text.persist_result);
    assert_false(p.tasks[0].unknown_members);
    g = &p.tasks[1].text;
    assert_string_equal(g->symbol, "g");
    assert_string_equal(g->prototype, "int g(int x)");
    assert_string_equal(g->cache_policy, "INPUTS");
    assert_string_equal(g->skip, "x == 1");
    assert_string_equal(g->success, "return == 2");
    assert_string_equal(g->cache_expiration, "3s");
    assert_string_equal(g->types, "typedef int four;");
    assert_string_equal(g->name, "five");
    assert_string_equal(g->space, "six");
    assert_string_equal(g->refresh_cache, "false");
    assert_string_equal(g->persist_result, "true");
    tc_plugin_free(&p);
}

static void reads_every_member(void **state)
{
    (void)state;
    check_variant("good");
}

static void follows_symbol_relocations(void **state)
{
    (void)state;
    check_variant("exported_table");
}

static void follows_packed_relocations(void **state)
{
    (void)state;
#ifdef HAVE_RELR
    check_variant("relr");
#else
    skip();
#endif
}

static void remembers_which_file_it_was(void **state)
{
    struct tc_plugin p = read_good("good");
    struct stat st;
    (void)state;

    assert_int_equal(stat(plugin_path("good"), &st), 0);
    assert_int_equal(p.id.ino, st.st_ino);
    assert_int_equal(p.id.dev, st.st_dev);
    assert_int_equal(p.id.size, st.st_size);
    assert_int_equal(p.id.mtime_ns, st.st_mtim.tv_sec * 1000000000ll + st.st_mtim.tv_nsec);
    tc_plugin_free(&p);
}

static void a_plugin_may_have_code_and_no_tasks(void **state)
{
    struct tc_plugin p = read_good("with_code");
    (void)state;

    assert_true(p.has_code);
    tc_plugin_free(&p);
    p = read_good("no_tasks");
    assert_int_equal(p.task_count, 0);
    tc_plugin_free(&p);
}

static void a_later_minor_version_is_read(void **state)
{
    struct tc_plugin p = read_good("larger");
    (void)state;

    assert_string_equal(p.name, "larger");
    assert_null(p.licence);
    assert_int_equal(p.abi_minor, TASKCACHE_ABI_MINOR + 7);
    assert_int_equal(p.task_count, 3);
    assert_string_equal(p.tasks[0].text.name, "p");
    assert_false(p.tasks[0].unknown_members);
    assert_string_equal(p.tasks[1].text.symbol, "dancer");
    assert_true(p.tasks[1].unknown_members);
    assert_string_equal(p.tasks[2].text.persist_result, "true");
    assert_false(p.tasks[2].unknown_members);
    tc_plugin_free(&p);
}

static void what_a_smaller_struct_lacks_is_not_given(void **state)
{
    struct tc_plugin p = read_good("smaller");
    (void)state;

    assert_string_equal(p.name, "smaller");
    assert_false(p.has_code);
    assert_int_equal(p.task_count, 2);
    assert_string_equal(p.tasks[0].text.prototype, "int one(int x)");
    assert_string_equal(p.tasks[1].text.symbol, "two");
    assert_null(p.tasks[0].text.cache_policy);
    assert_null(p.tasks[1].text.cache_policy);
    tc_plugin_free(&p);
}

static void the_header_is_cxx_too(void **state)
{
    (void)state;
#ifdef HAVE_CXX
    struct tc_plugin p = read_good("in_cxx");
    assert_int_equal(p.task_count, 1);
    assert_string_equal(p.tasks[0].text.symbol, "from_cxx");
    assert_string_equal(p.tasks[0].text.success, "return > 0");
    tc_plugin_free(&p);
#else
    skip();
#endif
}

static void the_lapack_plugin_is_whole(void **state)
{
    struct tc_plugin p = {0};
    struct tc_text_error e = {0};
    (void)state;

    assert_int_equal(tc_plugin_read(LAPACK_PLUGIN, &p, &e), 0);
    assert_string_equal(p.name, "lapack");
    for (size_t i = 0; i < p.task_count; i++) {
        assert_non_null(strstr(p.tasks[i].text.success, "*info "));
        assert_non_null(p.tasks[i].text.skip);
        assert_non_null(strstr(p.tasks[i].text.prototype, " info[1]"));
    }
    /* 52 drivers by 9 ways of naming them. */
    assert_int_equal(p.task_count, 52 * 9);
    tc_plugin_free(&p);
}

static void each_wrong_plugin_says_why(void **state)
{
    static const struct {
        const char *name, *sentence;
        enum tc_reason reason;
    } cases[] = {
        {"no_descriptor", "exports no object", TC_R_BAD_PLUGIN},
        {"wrong_magic", "magic", TC_R_BAD_PLUGIN},
        {"other_major", "plugin ABI 2.0", TC_R_PLUGIN_ABI},
        {"unknown_flag", "doesn't have", TC_R_PLUGIN_ABI},
        {"short_struct", "64 bytes", TC_R_BAD_PLUGIN},
        {"long_struct", "4096 bytes", TC_R_BAD_PLUGIN},
        {"short_task", "8 bytes", TC_R_BAD_PLUGIN},
        {"odd_task", "89 bytes", TC_R_BAD_PLUGIN},
        {"many_tasks", "1001 tasks", TC_R_BAD_PLUGIN},
        {"table_too_long", "task", TC_R_BAD_PLUGIN},
        {"null_table", "table of tasks", TC_R_BAD_PLUGIN},
        {"no_name", "name is missing", TC_R_BAD_PLUGIN},
        {"bad_name", "name must be", TC_R_BAD_PLUGIN},
        {"control_version", "control character", TC_R_BAD_PLUGIN},
        {"no_symbol", "task 1: `symbol` is missing", TC_R_BAD_PLUGIN},
        {"foreign_symbol", "task 1: `symbol` lies outside", TC_R_BAD_PLUGIN},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tc_plugin p = {.task_count = 77};
        struct tc_text_error e = {0};
        int rc = tc_plugin_read(plugin_path(cases[i].name), &p, &e);
        if (rc != -EINVAL || e.reason != cases[i].reason ||
            strstr(e.sentence, cases[i].sentence) == NULL)
            fail_msg("%s: %d, %s: %s", cases[i].name, rc, tc_reason_info(e.reason)->id, e.sentence);
        assert_int_equal(p.task_count, 77); /* untouched */
    }
}

static void what_is_no_plugin_at_all(void **state)
{
    static const struct {
        const char *path;
        int rc;
        enum tc_reason reason;
    } cases[] = {
        {"/nonexistent/plugin.so", -ENOENT, TC_R_NO_SUCH_PLUGIN},
        {"/dev/null", -EINVAL, TC_R_BAD_PLUGIN},
        {"/proc/self/exe", -EINVAL, TC_R_BAD_PLUGIN},
        {"/etc/passwd", -EINVAL, TC_R_BAD_PLUGIN},
        {"/", -EINVAL, TC_R_BAD_PLUGIN},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tc_plugin p = {0};
        struct tc_text_error e = {0};
        assert_int_equal(tc_plugin_read(cases[i].path, &p, &e), cases[i].rc);
        assert_int_equal(e.reason, cases[i].reason);
        assert_true(e.sentence[0] != '\0');
    }
}

/* Damage. Every copy has exactly the file's size, so that a sanitizer sees each read beyond it. */

static char *load(const char *path, size_t *ret_bytes)
{
    FILE *f = fopen(path, "rb");
    struct stat st;
    char *data = NULL;

    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &st), 0);
    data = malloc((size_t)st.st_size);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)st.st_size, f), st.st_size);
    (void)fclose(f);
    *ret_bytes = (size_t)st.st_size;
    return data;
}

static uint64_t next_random(uint64_t *s)
{
    *s ^= *s << 13; /* xorshift64 */
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

static void read_damaged(const char *data, size_t bytes)
{
    struct tc_plugin p = {0};
    struct tc_text_error e = {0};
    int rc = tc_plugin_read_memory(data, bytes, &p, &e);

    assert_true(rc == 0 || rc == -EINVAL);
    assert_true(rc == 0 || e.reason == TC_R_BAD_PLUGIN || e.reason == TC_R_PLUGIN_ABI);
    if (rc == 0)
        tc_plugin_free(&p);
}

/* A byte, or an aligned word that is replaced by a value that makes trouble. */
static void damage(char *data, size_t bytes, uint64_t *seed)
{
    static const uint64_t words[] = {0,          1,          7,           0xffffffffu, INT64_MAX,
                                     ~0ull,      ~0ull - 7,  0x80000000u, 0x1000,      0x10000,
                                     1ull << 63, 1ull << 32, 0x7fffffff};
    size_t at = next_random(seed) % bytes;

    if (next_random(seed) % 2) {
        data[at] = (char)next_random(seed);
    } else if (at / 8 * 8 + 8 <= bytes) {
        uint64_t w = words[next_random(seed) % (sizeof words / sizeof *words)];
        memcpy(data + at / 8 * 8, &w, 8);
    }
}

/* Most of a file is text that nobody reads, so the damage goes where tables are. */
static void mutate(const char *path, uint64_t seed, int rounds)
{
    size_t bytes = 0;
    char *good = load(path, &bytes);
    uint64_t s = seed;

    for (int i = 0; i < rounds; i++) {
        char *bad = malloc(bytes);
        assert_non_null(bad);
        memcpy(bad, good, bytes);
        for (unsigned n = 1 + next_random(&s) % 4; n > 0; n--) {
            static const size_t parts[] = {64, 1024, 4096};
            size_t part = next_random(&s) % 4;
            if (part < 3)
                damage(bad, parts[part] < bytes ? parts[part] : bytes, &s);
            else
                damage(bad + 0x2800, bytes - 0x2800, &s); /* relocated data, dynamic table */
        }
        read_damaged(bad, bytes);
        free(bad);
    }
    free(good);
}

static void survives_damage(void **state)
{
    (void)state;
    mutate(plugin_path("good"), 0x9e3779b97f4a7c15u, 8000);
    mutate(plugin_path("exported_table"), 0xbf58476d1ce4e5b9u, 4000);
#ifdef HAVE_RELR
    mutate(plugin_path("relr"), 0x94d049bb133111ebu, 8000);
#endif
}

static void survives_truncation(void **state)
{
    size_t bytes = 0;
    char *good = load(plugin_path("good"), &bytes);
    (void)state;

    for (size_t n = 0; n < bytes; n += n < 1200 ? 1 : 37) {
        char *cut = malloc(n != 0 ? n : 1);
        assert_non_null(cut);
        memcpy(cut, good, n);
        read_damaged(cut, n);
        free(cut);
    }
    free(good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_member),
        cmocka_unit_test(follows_symbol_relocations),
        cmocka_unit_test(follows_packed_relocations),
        cmocka_unit_test(remembers_which_file_it_was),
        cmocka_unit_test(a_plugin_may_have_code_and_no_tasks),
        cmocka_unit_test(a_later_minor_version_is_read),
        cmocka_unit_test(what_a_smaller_struct_lacks_is_not_given),
        cmocka_unit_test(the_header_is_cxx_too),
        cmocka_unit_test(the_lapack_plugin_is_whole),
        cmocka_unit_test(each_wrong_plugin_says_why),
        cmocka_unit_test(what_is_no_plugin_at_all),
        cmocka_unit_test(survives_damage),
        cmocka_unit_test(survives_truncation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
