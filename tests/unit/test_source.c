/*
 * TASK_SOURCE, both ways: a change of an instruction or of anything that is referred to changes the
 * digest, and moving, relinking or stripping doesn't, as far as docs/source.md says so.
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

#define MAX_FUNCTIONS 64u

static int is_long(void)
{
    const char *value = getenv("TASKCACHE_TEST_LONG"); /* test.sh --long */
    return value != NULL && *value != 0;
}

/* An object and the digests of its functions f_*, or of those that were asked for. */
struct digests {
    struct {
        char name[64];
        struct tc_source source;
    } at[MAX_FUNCTIONS];
    size_t count;
};

static void add_digest(struct digests *d, struct tc_map *m, const char *name)
{
    struct tc_function f;

    (void)tc_function_find(m->im, name, "", &f);
    if (f.reason != 0)
        fail_msg("%s: reason %u", name, f.reason);
    assert_true(d->count < MAX_FUNCTIONS);
    (void)snprintf(d->at[d->count].name, sizeof d->at[0].name, "%s", name);
    assert_int_equal(tc_source_make(m, (struct tc_piece){f.vaddr, f.bytes}, TC_SOURCE_OWN,
                                    &d->at[d->count].source),
                     0);
    d->count++;
}

static void add_all(struct digests *d, struct tc_map *m)
{
    const struct tc_symbols *s = &m->im->symbols;

    for (size_t i = 0; i < s->count; i++) {
        const struct tc_symbol *symbol = &s->all[s->by_name[i]];
        char name[64];
        if (symbol->name_bytes < 3 || symbol->name_bytes >= sizeof name ||
            memcmp(symbol->name, "f_", 2) != 0 || memchr(symbol->name, '.', symbol->name_bytes))
            continue;
        memcpy(name, symbol->name, symbol->name_bytes);
        name[symbol->name_bytes] = 0;
        if (d->count == 0 || strcmp(d->at[d->count - 1].name, name) != 0)
            add_digest(d, m, name);
    }
}

/* The path matters for debug files. */
static struct digests *digests_of(const struct elf_dir *dir, const char *file, const char *only)
{
    struct digests *d = calloc(1, sizeof *d);
    struct tc_image im;
    struct tc_map m;
    char path[512];
    int fd;

    assert_non_null(d);
    elf_path(dir, file, path, sizeof path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(tc_image_open_fd(fd, path, &im), 0);
    (void)close(fd);
    assert_int_equal(tc_map_open(&im, &m), 0);
    if (only != NULL)
        add_digest(d, &m, only);
    else
        add_all(d, &m);
    assert_true(d->count > 0);
    tc_map_close(&m);
    tc_image_close(&im);
    return d;
}

static void free_digests(struct digests *d)
{
    for (size_t i = 0; i < d->count; i++)
        tc_source_free(&d->at[i].source);
    free(d);
}

static const struct tc_source *find(const struct digests *d, const char *name)
{
    for (size_t i = 0; i < d->count; i++)
        if (strcmp(d->at[i].name, name) == 0)
            return &d->at[i].source;
    fail_msg("there is no %s", name);
    return NULL;
}

static int same(const struct digests *a, const struct digests *b, const char *name)
{
    return memcmp(find(a, name)->digest, find(b, name)->digest, 16) == 0;
}

/* What a change of source_program.c must change. */
static const struct {
    unsigned change;
    const char *functions; /* "a b " */
} expected[] = {
    {1, "f_tab f_tabm f_sum "},
    {2, "f_nm f_nm1 "},
    {3, "f_names "},
    {4, "f_k f_kf "},
    {5, "f_scale "},
    {7, "f_k "},
    {8, "f_helper "},
    {9, "f_puts "},
    {10, "f_sw "},
    {11, "f_jump "},
    {12, "f_jump "},
    {13, "f_cmp "},
    {14, "f_err "},
    {15, "f_ops "},
    {16, "f_rec "},
    {17, "f_tls "},
    {18, "f_tls "},
    {19, "f_libc "},
    {20, "f_const "},
    {21, "f_recs "},
    {22, "f_recs "},
    {23, "f_local "},
};
#define EXPECTED (sizeof expected / sizeof expected[0])

struct build {
    const char *compiler, *flags, *strip;
    const char *stable; /* functions that nothing but their own change may change */
};

static void build(const struct elf_dir *d, const struct build *b, const char *name,
                  const char *more)
{
    char command[1024];

    (void)snprintf(command, sizeof command, "%s -w %s %s %s -o %s -lm%s%s", b->compiler, b->flags,
                   more, SOURCE_PROGRAM, name, b->strip[0] != 0 ? " && strip " : "",
                   b->strip[0] != 0 ? name : "");
    elf_sh(d, command);
}

static int is_word(const char *list, const char *word)
{
    size_t n = strlen(word);

    for (const char *at = list; (at = strstr(at, word)) != NULL; at += n)
        if ((at == list || at[-1] == ' ') && at[n] == ' ')
            return 1;
    return 0;
}

#define STABLE_ALWAYS "f_k f_kf f_rec f_libc f_const "
#define STABLE_CLANG0 STABLE_ALWAYS "f_tab f_sum f_scale f_helper f_jump f_tls "
#define STABLE        STABLE_CLANG0 "f_nm1 "

static const struct build builds[] = {
    {"gcc", "-O2 -fPIE -pie", "", STABLE "f_sw f_cmp f_err f_local f_counter f_recs f_puts "},
    {"gcc", "-O0 -fno-pie -no-pie", "", STABLE "f_sw f_cmp f_counter "},
    {"clang", "-O2 -fPIE -pie", "", STABLE "f_counter "},
    {"clang", "-O2 -fno-pie -no-pie", "", STABLE "f_counter "},
    {"gcc", "-O3 -fPIC -shared", "s", STABLE_ALWAYS},
    {"clang", "-O2 -fPIC -shared", "s", STABLE_ALWAYS},
};

static const struct build more_builds[] = {
    {"gcc", "-O0 -fPIE -pie", "", STABLE},
    {"gcc", "-O3 -fPIE -pie", "", STABLE},
    {"gcc", "-Os -fPIE -pie", "", STABLE_ALWAYS},
    {"gcc", "-O2 -fno-pie -no-pie", "", STABLE},
    {"gcc", "-O2 -fPIC -shared", "", STABLE},
    {"gcc", "-O2 -fPIC -shared -fno-plt", "", STABLE},
    {"gcc", "-O2 -fPIE -pie -flto", "", STABLE_ALWAYS},
    {"gcc", "-O0 -fPIC -shared", "s", ""},
    {"gcc", "-O2 -fPIE -pie -ffunction-sections -fdata-sections -Wl,--gc-sections", "", STABLE},
    {"gcc", "-O2 -fPIE -pie -ffunction-sections -fuse-ld=gold -Wl,--icf=all", "", STABLE_ALWAYS},
    {"clang", "-O2 -fPIE -pie -ffunction-sections -fdata-sections", "", STABLE},
    {"clang", "-O2 -fPIE -pie -ffunction-sections -fuse-ld=lld -Wl,--icf=all", "", STABLE_ALWAYS},
    {"clang", "-O2 -fPIE -pie -flto -fuse-ld=lld", "", STABLE_ALWAYS},
    {"clang", "-O0 -fPIE -pie", "", STABLE_CLANG0},
    {"clang", "-O3 -fPIE -pie", "", STABLE},
    {"clang", "-Os -fno-pie -no-pie", "", STABLE_ALWAYS},
    {"clang", "-O2 -fPIC -shared", "", STABLE},
    {"clang", "-O0 -fPIC -shared", "s", ""},
};

static int have_linker(const struct build *b)
{
    return (strstr(b->flags, "=lld") == NULL || elf_have("ld.lld")) &&
           (strstr(b->flags, "=gold") == NULL || elf_have("ld.gold"));
}

typedef void check(const struct elf_dir *d, const struct build *b);

static void for_builds(const struct elf_dir *d, check *c)
{
    size_t count = sizeof builds / sizeof builds[0];

    for (size_t i = 0; i < count; i++)
        if (elf_have(builds[i].compiler))
            c(d, &builds[i]);
    if (!is_long())
        return;
    count = sizeof more_builds / sizeof more_builds[0];
    for (size_t i = 0; i < count; i++)
        if (elf_have(more_builds[i].compiler) && have_linker(&more_builds[i]))
            c(d, &more_builds[i]);
}

static void check_changes(const struct elf_dir *d, const struct build *b, uint32_t changes)
{
    struct digests *before, *after;
    char define[32];

    (void)snprintf(define, sizeof define, "-DCHANGED=%u", changes);
    build(d, b, "before", "");
    build(d, b, "after", define);
    before = digests_of(d, "before", NULL);
    after = digests_of(d, "after", NULL);
    for (size_t i = 0; i < before->count; i++) {
        const char *name = before->at[i].name;
        char word[80];
        int must = 0;
        (void)snprintf(word, sizeof word, "%s ", name);
        for (size_t k = 0; k < EXPECTED; k++)
            must |= (changes >> expected[k].change & 1) && is_word(expected[k].functions, name);
        if (must && same(before, after, name))
            fail_msg("FALSE HIT: %s %s %s %s: changes %x", name, b->compiler, b->flags, b->strip,
                     changes);
        if (!must && is_word(b->stable, name) && !same(before, after, name))
            fail_msg("false miss: %s %s %s: changes %x", name, b->compiler, b->flags, changes);
    }
    free_digests(before);
    free_digests(after);
}

/* One build has many changes; those of a function that refers to several things take turns. */
static void check_all_changes(const struct elf_dir *d, const struct build *b)
{
    check_changes(d, b,
                  1u << 2 | 1u << 4 | 1u << 5 | 1u << 8 | 1u << 10 | 1u << 11 | 1u << 14 |
                      1u << 16 | 1u << 17 | 1u << 19 | 1u << 21);
    check_changes(d, b,
                  1u << 1 | 1u << 3 | 1u << 7 | 1u << 9 | 1u << 12 | 1u << 13 | 1u << 15 |
                      1u << 18 | 1u << 20 | 1u << 22 | 1u << 23);
    if (!is_long())
        return;
    for (size_t k = 0; k < EXPECTED; k++)
        check_changes(d, b, 1u << expected[k].change);
}

static void changes_are_seen(void **state)
{
    for_builds(*state, check_all_changes);
}

static void check_move(const struct elf_dir *d, const struct build *b, const char *more,
                       const struct digests *before)
{
    struct digests *after;

    build(d, b, "after", more);
    after = digests_of(d, "after", NULL);
    for (size_t i = 0; i < before->count; i++)
        if (is_word(b->stable, before->at[i].name) && !same(before, after, before->at[i].name))
            fail_msg("false miss: %s %s %s: %s", before->at[i].name, b->compiler, b->flags, more);
    free_digests(after);
}

static void check_moves(const struct elf_dir *d, const struct build *b)
{
    struct digests *before;

    build(d, b, "before", "");
    before = digests_of(d, "before", NULL);
    check_move(d, b, "-DPRE -DPOST", before);
    check_move(d, b,
               strstr(b->flags, "=gold") != NULL ? "-Wl,-z,now,-O2 -g"
                                                 : "-Wl,-z,now,-z,noseparate-code,-O2 -g",
               before);
    if (strstr(b->flags, "-fuse-ld") != NULL)
        return free_digests(before);
    if (elf_have("ld.lld") && strstr(b->flags, "-flto") == NULL)
        check_move(d, b, "-fuse-ld=lld", before);
    if (elf_have("ld.gold") && strstr(b->flags, "-flto") == NULL)
        check_move(d, b, "-fuse-ld=gold", before);
    free_digests(before);
}

static void moves_are_not(void **state)
{
    for_builds(*state, check_moves);
}

/* Nothing nameless: equal. Else different, and it says where. */
static void stripped_copies(void **state)
{
    const struct elf_dir *d = *state;
    static const struct build b = {"gcc", "-O2 -fPIC -shared -g", "", ""};
    struct digests *whole, *bare, *linked;

    build(d, &b, "whole", "");
    elf_sh(d, "strip -o bare whole && objcopy --only-keep-debug whole linked.debug && "
              "strip -o linked whole && objcopy --add-gnu-debuglink=linked.debug linked");
    whole = digests_of(d, "whole", NULL);
    bare = digests_of(d, "bare", NULL);
    linked = digests_of(d, "linked", NULL);
    for (size_t i = 0; i < whole->count; i++) {
        const char *name = whole->at[i].name;
        /* With the debug file the names are back; the file as a whole isn't the same. */
        if (find(whole, name)->coarse_count == 0 && !same(whole, linked, name))
            fail_msg("%s isn't what it was, with its debug file", name);
        if (is_word("f_helper f_names f_nm f_counter f_cmp f_ops f_puts ", name) &&
            same(whole, bare, name))
            fail_msg("%s has lost names, and is the same", name);
        if (is_word(STABLE_ALWAYS, name) && !same(whole, bare, name))
            fail_msg("%s has no nameless reference, and differs", name);
    }
    assert_true(find(bare, "f_nm")->coarse_count > 0);
    assert_true(find(bare, "f_counter")->coarse_count > 0);
    assert_int_equal(find(whole, "f_nm")->coarse_count, 0);
    free_digests(whole);
    free_digests(bare);
    free_digests(linked);
}

static void check_pair(const struct elf_dir *d, const char *first, const char *second,
                       const char *function, int equal)
{
    struct digests *a, *b;

    elf_sh(d, first);
    a = digests_of(d, "a.so", function);
    elf_sh(d, second);
    b = digests_of(d, "a.so", function);
    if (same(a, b, function) != equal)
        fail_msg("%s: %s | %s", equal ? "false miss" : "FALSE HIT", first, second);
    free_digests(a);
    free_digests(b);
}

/* The 5 of `g(x, n, 5)` is in `g` alone, which gcc renames and clang doesn't. */
static void constants_that_moved_into_a_local_callee(void **state)
{
    const struct elf_dir *d = *state;
    static const char *const compilers[] = {"gcc", "clang"};

    elf_write(d, "k.c",
              "__attribute__((noinline)) static int g(const int *x, int n, int k)\n"
              "{ int s = 0; for (int i = 0; i < n; i++) s += x[i] * k; return s; }\n"
              "int f(const int *x, int n) { return g(x, n, K); }\n"
              "int f2(const int *x, int n) { return g(x, n + 1, K) + 1; }\n");
    for (size_t i = 0; i < 2; i++) {
        char first[256], second[256];
        if (!elf_have(compilers[i]))
            continue;
        (void)snprintf(first, sizeof first, "%s -O2 -fPIC -shared -DK=5 -o a.so k.c", compilers[i]);
        (void)snprintf(second, sizeof second, "%s -O2 -fPIC -shared -DK=7 -o a.so k.c",
                       compilers[i]);
        check_pair(d, first, second, "f", 0);
        (void)snprintf(second, sizeof second, "%s -O2 -fPIC -shared -DK=5 -g -o a.so k.c",
                       compilers[i]);
        check_pair(d, first, second, "f", 1);
    }
}

/* A static callee's change is its caller's where gcc is sure to have compiled it, and not else: the
 * start files are gcc's in any case. */
static void local_names_that_hold(void **state)
{
    static const struct {
        const char *command; /* with %s for the flags */
        const char *tool;
        int holds;
    } cases[] = {
        {"gcc -O2 -fPIC -shared %s -o a.so n.c", "gcc", 1},
        {"gcc -O0 -g -fPIC -shared %s -o a.so n.c", "gcc", 1},
        {"gcc -O2 -fPIC -shared %s -o a.so n.c -fuse-ld=gold", "ld.gold", 1},
        {"gcc -O2 -fPIC -shared %s -o a.so n.c -fuse-ld=lld", "ld.lld", 1},
        {"gcc -O2 %s -c -o n.o n.c && clang -O2 -c -o m.o m.c && gcc -shared -o a.so n.o m.o",
         "clang", 0},
        /* Says nothing, but leaves a trace each. */
        {"clang -Qn -O2 -fPIC -shared %s -g -o a.so n.c", "clang", 0},
        {"clang -Qn -O2 -fPIC -shared %s -DSTATIC -o a.so n.c", "clang", 0},
        {"clang -Qn -O2 -fPIC -shared %s -gdwarf-4 -o a.so n.c", "clang", 0},
        /* Another language of LLVM's. */
        {"gcc -O2 -fPIC %s -S -o - n.c | sed 's/n.c\"/n.0-cgu.0\"/' >n.s && gcc -shared -o a.so "
         "n.s",
         "gcc", 0},
    };
    const struct elf_dir *d = *state;

    elf_write(d, "m.c", "int m(int x) { return x + 1; }\n");
    elf_write(d, "n.c",
              "__attribute__((noinline)) static int g(int x) { __asm__(\"\"); return x * K; }\n"
              "int f(int x) { return g(x) + g(x + 1); }\n"
              "#ifdef STATIC\nint h(void) { static int calls = 3; return calls++; }\n#endif\n");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char first[512], second[512];
        if (!elf_have(cases[i].tool))
            continue;
        (void)snprintf(first, sizeof first, cases[i].command, "-DK=5");
        (void)snprintf(second, sizeof second, cases[i].command, "-DK=7");
        check_pair(d, first, second, "f", cases[i].holds);
    }
}

/* gcc makes tab-4 of tab[i-1], which here is another datum, or the end or the middle of one. */
static void addresses_in_front_of_what_is_meant(void **state)
{
    static const char *const front[] = {".globl x\n.size x,4\n.type x,@object\nx: .long 1\n",
                                        ".size x,16\n.type x,@object\nx: .long 1,2,3,4\n",
                                        ".long 7\n", ".string \"abc\"\n",
                                        ".size x,8\n.type x,@object\nx: .long 1,2\n.long 0\n"};
    const struct elf_dir *d = *state;

    for (size_t i = 0; i < sizeof front / sizeof front[0]; i++) {
        char text[1024];
        (void)snprintf(
            text, sizeof text,
            ".section .note.GNU-stack,\"\",@progbits\n.text\n.globl f\n.type f,@function\nf:\n"
            "lea tab-4(%%rip),%%rsi\nmov (%%rsi,%%rdi,4),%%eax\nret\n.size f,.-f\n"
            ".section .rodata\n.balign 64\n%s"
            ".size tab,32\n.type tab,@object\ntab: .long 1,2,3,4,5,K,7,8\n"
            ".size y,8\n.type y,@object\ny: .quad 5\n",
            front[i]);
        elf_write(d, "f.S", text);
        check_pair(d, "gcc -DK=6 -shared -o a.so f.S", "gcc -DK=9 -shared -o a.so f.S", "f", 0);
        check_pair(d, "gcc -DK=6 -shared -o a.so f.S", "gcc -DK=6 -g -shared -o a.so f.S", "f", 1);
    }
}

/* Each exported function of a library, from two copies. */
static void check_library(const struct elf_dir *d, const char *path, size_t step)
{
    char command[512], copy[2][512];
    struct tc_image im[2];
    struct tc_map m[2];
    size_t seen = 0;

    (void)snprintf(command, sizeof command, "cp %s one.so && cp %s two.so", path, path);
    elf_sh(d, command);
    for (int i = 0; i < 2; i++) {
        elf_path(d, i == 0 ? "one.so" : "two.so", copy[i], sizeof copy[i]);
        int fd = open(copy[i], O_RDONLY | O_CLOEXEC);
        assert_int_equal(tc_image_open_fd(fd, copy[i], &im[i]), 0);
        (void)close(fd);
        assert_int_equal(tc_map_open(&im[i], &m[i]), 0);
    }
    for (size_t k = 0; k < im[0].symbols.count; k += step) {
        const struct tc_symbol *s = &im[0].symbols.all[k];
        struct tc_piece range;
        struct tc_source a, b;
        if (!(s->flags & TC_SYMBOL_DYNAMIC) || s->type != 2 || s->bytes == 0 ||
            !tc_map_code_range(&m[0], s->vaddr, &range))
            continue;
        assert_int_equal(tc_source_make(&m[0], range, TC_SOURCE_OWN, &a), 0);
        assert_int_equal(tc_source_make(&m[1], range, TC_SOURCE_OWN, &b), 0);
        assert_memory_equal(a.digest, b.digest, 16);
        tc_source_free(&a);
        tc_source_free(&b);
        seen++;
    }
    assert_true(seen > 0);
    for (int i = 0; i < 2; i++) {
        tc_map_close(&m[i]);
        tc_image_close(&im[i]);
    }
}

static void real_libraries(void **state)
{
    static const struct {
        const char *path;
        size_t step;
    } libraries[] = {{"/lib/x86_64-linux-gnu/libz.so.1", 1},
                     {"/usr/lib/x86_64-linux-gnu/lapack/liblapack.so.3", 97},
                     {"/usr/lib/x86_64-linux-gnu/libcrypto.so.3", 97}};

    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++)
        if (access(libraries[i].path, R_OK) == 0)
            check_library(*state, libraries[i].path, is_long() ? 1 : libraries[i].step);
}

/* Flipped bytes, everywhere but in the first header: an answer, or a refusal, and no crash. */
static void damage(void **state)
{
    static const struct build b = {"gcc", "-O2 -fPIC -shared", "", ""};
    const struct elf_dir *d = *state;
    size_t bytes, rounds = is_long() ? 20000 : 400;
    unsigned char *data, *copy;

    build(d, &b, "whole", "");
    data = elf_read(d, "whole", &bytes);
    copy = malloc(bytes);
    assert_non_null(copy);
    srandom(1);
    for (size_t i = 0; i < rounds; i++) {
        struct tc_image im;
        struct tc_map m;
        memcpy(copy, data, bytes);
        for (int k = 0; k < 8; k++) {
            size_t range = i % 3 == 0 ? 1024 : bytes - 64;
            copy[64 + (size_t)random() % range] = (unsigned char)random();
        }
        assert_int_equal(tc_image_open_memory(copy, bytes, &im), 0);
        if (im.reason == 0 && tc_map_open(&im, &m) == 0) {
            for (size_t k = 0; k < im.symbols.count; k += 7) {
                struct tc_piece range;
                struct tc_source s;
                if (im.symbols.all[k].type == 2 &&
                    tc_map_code_range(&m, im.symbols.all[k].vaddr, &range) &&
                    tc_source_make(&m, range, i & 1, &s) == 0)
                    tc_source_free(&s);
            }
            tc_map_close(&m);
        }
        tc_image_close(&im);
    }
    free(copy);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(changes_are_seen, elf_dir_setup, elf_dir_teardown),
        cmocka_unit_test_setup_teardown(moves_are_not, elf_dir_setup, elf_dir_teardown),
        cmocka_unit_test_setup_teardown(stripped_copies, elf_dir_setup, elf_dir_teardown),
        cmocka_unit_test_setup_teardown(constants_that_moved_into_a_local_callee, elf_dir_setup,
                                        elf_dir_teardown),
        cmocka_unit_test_setup_teardown(local_names_that_hold, elf_dir_setup, elf_dir_teardown),
        cmocka_unit_test_setup_teardown(addresses_in_front_of_what_is_meant, elf_dir_setup,
                                        elf_dir_teardown),
        cmocka_unit_test_setup_teardown(real_libraries, elf_dir_setup, elf_dir_teardown),
        cmocka_unit_test_setup_teardown(damage, elf_dir_setup, elf_dir_teardown),
    };

    if (!elf_have("gcc"))
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
