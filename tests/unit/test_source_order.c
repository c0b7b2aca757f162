/*
 * What a function's source is doesn't depend on who was asked for before: the same as if it had
 * been asked for alone, in every order, in both modes, in circles of calls, and with a memo that is
 * given up in between.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "service/resolve/source.h"
#include "tests/unit/elf_fixture.h"

#define MAX_FUNCTIONS 512u

struct object {
    struct tc_image im;
    struct tc_piece functions[MAX_FUNCTIONS];
    struct tc_source alone[2][MAX_FUNCTIONS];
    size_t count;
};

static void same_refs(const struct tc_source *a, const struct tc_source *b)
{
    assert_int_equal(a->ref_count, b->ref_count);
    assert_int_equal(a->import_count, b->import_count);
    for (size_t i = 0; i < a->ref_count; i++) {
        const struct tc_source_ref *x = &a->refs[i], *y = &b->refs[i];
        assert_int_equal(x->from, y->from);
        assert_int_equal(x->to, y->to);
        assert_int_equal(x->place, y->place);
        assert_int_equal(x->access, y->access);
        assert_string_equal(x->label, y->label);
        assert_string_equal(x->coarse != NULL ? x->coarse : "", y->coarse != NULL ? y->coarse : "");
    }
    for (size_t i = 0; i < a->import_count; i++) {
        assert_string_equal(a->imports[i].name, b->imports[i].name);
        assert_int_equal(a->imports[i].vaddr, b->imports[i].vaddr);
    }
}

static void same_source(const struct tc_source *a, const struct tc_source *b)
{
    assert_memory_equal(a->digest, b->digest, sizeof a->digest);
    assert_int_equal(a->item_count, b->item_count);
    assert_int_equal(a->coarse_count, b->coarse_count);
    assert_int_equal(a->indirect_calls, b->indirect_calls);
    assert_int_equal(a->functions, b->functions);
    assert_int_equal(a->whole, b->whole);
    for (size_t i = 0; i < a->item_count; i++) {
        const struct tc_source_item *x = &a->items[i], *y = &b->items[i];
        assert_int_equal(x->kind, y->kind);
        assert_int_equal(x->coarse, y->coarse);
        assert_int_equal(x->begin, y->begin);
        assert_int_equal(x->end, y->end);
        assert_memory_equal(x->digest, y->digest, sizeof x->digest);
        assert_string_equal(x->label, y->label);
    }
    same_refs(a, b);
}

static struct object *open_object(const char *path, size_t step)
{
    struct object *o = calloc(1, sizeof *o);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct tc_map m;

    assert_non_null(o);
    assert_true(fd >= 0);
    assert_int_equal(tc_image_open_fd(fd, path, &o->im), 0);
    (void)close(fd);
    assert_int_equal(tc_map_open(&o->im, &m), 0);
    for (size_t i = 0; i < o->im.symbols.count && o->count < MAX_FUNCTIONS; i += step) {
        const struct tc_symbol *s = &o->im.symbols.all[i];
        if (s->type == 2 && s->bytes != 0 &&
            tc_map_code_range(&m, s->vaddr, &o->functions[o->count]))
            o->count++;
    }
    tc_map_close(&m);
    assert_true(o->count > 0);
    for (size_t i = 0; i < 2 * o->count; i++) {
        assert_int_equal(tc_map_open(&o->im, &m), 0);
        assert_int_equal(tc_source_make(&m, o->functions[i / 2], i % 2, &o->alone[i % 2][i / 2]),
                         0);
        tc_map_close(&m);
    }
    return o;
}

static void close_object(struct object *o)
{
    for (size_t i = 0; i < 2 * o->count; i++)
        tc_source_free(&o->alone[i % 2][i / 2]);
    tc_image_close(&o->im);
    free(o);
}

enum order {
    FORWARD,
    BACKWARD,
    SHUFFLED,
    ORDERS,
};

static void ask_all(struct object *o, enum order order, size_t memo_bytes)
{
    size_t *which = calloc(2 * o->count, sizeof *which);
    struct tc_map m;

    assert_non_null(which);
    for (size_t i = 0; i < 2 * o->count; i++)
        which[i] = order == BACKWARD ? 2 * o->count - 1 - i : i;
    for (size_t i = 2 * o->count - 1; order == SHUFFLED && i > 0; i--) {
        size_t k = (size_t)random() % (i + 1), was = which[i];
        which[i] = which[k];
        which[k] = was;
    }
    assert_int_equal(tc_map_open(&o->im, &m), 0);
    m.memo_bytes = memo_bytes != 0 ? memo_bytes : m.memo_bytes;
    for (size_t i = 0; i < 2 * o->count; i++) {
        struct tc_source s;
        assert_int_equal(tc_source_make(&m, o->functions[which[i] / 2], which[i] % 2, &s), 0);
        same_source(&o->alone[which[i] % 2][which[i] / 2], &s);
        tc_source_free(&s);
    }
    tc_map_close(&m);
    free(which);
}

static void check_object(const char *path, size_t step)
{
    struct object *o = open_object(path, step);

    for (int order = FORWARD; order < ORDERS; order++)
        ask_all(o, order, 0);
    ask_all(o, SHUFFLED, 200000);
    ask_all(o, SHUFFLED, 1);
    close_object(o);
}

/* Circles of two, three and one; a table that leads into one; a switch; and data of all kinds. */
static const char circles[] =
    "#include <stdio.h>\n"
    "#define NI __attribute__((noinline, noclone))\n"
    "int even(unsigned), odd(unsigned);\n"
    "static int a(int), b(int), c(int);\n"
    "static int seen; int shared = 3; static const int tab[] = {3, 1, 4, 1, 5};\n"
    "NI static int a(int x) { __asm__(\"\"); return x < 0 ? tab[-x & 3] : b(x - 1) + 1; }\n"
    "NI static int b(int x) { __asm__(\"\"); seen++; return x < 0 ? 2 : c(x - 1) + a(x - 2); }\n"
    "NI static int c(int x) { __asm__(\"\"); return x < 0 ? shared : a(x - 1) * 3; }\n"
    "static int (*const all[])(int) = {a, b, c};\n"
    "NI int even(unsigned n) { __asm__(\"\"); return n == 0 ? 1 : odd(n - 1); }\n"
    "NI int odd(unsigned n) { __asm__(\"\"); return n == 0 ? 0 : even(n - 1); }\n"
    "NI int f_a(int x) { return a(x) + 1; }\n"
    "NI int f_b(int x) { return b(x) + 2; }\n"
    "NI int f_c(int x) { return c(x) + even(3); }\n"
    "NI int f_all(int x) { return all[x % 3u](x); }\n"
    "NI const char *f_text(int x) { return &\"one\\0two\\0three\"[x]; }\n"
    "NI int f_self(int x) { __asm__(\"\"); return x < 2 ? x : f_self(x - 1) * f_self(x - 2); }\n"
    "NI int f_switch(int x) { switch (x) { case 0: return a(1); case 1: return puts(\"p\");\n"
    "  case 2: return 7; case 3: return odd(9); case 4: return x + seen; case 5: return tab[x]; }\n"
    "  return 0; }\n"
    "int main(void) { return f_a(1) + f_b(2) + f_c(3) + f_all(4) + f_self(5) + f_switch(3) +\n"
    "  *f_text(2); }\n";

static void in_any_order(void **state)
{
    static const char *const builds[] = {
        "gcc -O2 -o one one.c",
        "gcc -O0 -no-pie -o one one.c",
        "gcc -O2 -fPIC -shared -s -o one one.c",
        "gcc -O2 -no-pie -s -fPIC -rdynamic -o one one.c",
    };
    const struct elf_dir *d = *state;
    char path[512];

    elf_write(d, "one.c", circles);
    elf_path(d, "one", path, sizeof path);
    for (size_t i = 0; i < sizeof builds / sizeof builds[0]; i++) {
        elf_sh(d, builds[i]);
        check_object(path, 1);
    }
}

static void real_libraries(void **state)
{
    static const struct {
        const char *path;
        size_t step;
    } libraries[] = {{"/lib/x86_64-linux-gnu/libz.so.1", 1},
                     {"/usr/lib/x86_64-linux-gnu/lapack/liblapack.so.3", 197},
                     {"/usr/lib/x86_64-linux-gnu/libpython3.11.so.1.0", 197}};

    (void)state;
    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++)
        if (access(libraries[i].path, R_OK) == 0)
            check_object(libraries[i].path, libraries[i].step);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(in_any_order, elf_dir_setup, elf_dir_teardown),
        cmocka_unit_test(real_libraries),
    };

    if (!elf_have("gcc"))
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
