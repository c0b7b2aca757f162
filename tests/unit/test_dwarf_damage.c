/*
 * Damaged debug information: whatever is in the sections, resolving ends, in time, with plans that
 * verify. Mutations are seeded; TC_SEED and TC_ROUNDS set other ones. Each runs in a process of its
 * own, as it does in the service.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "service/resolve/elf_file.h"
#include "tests/unit/dwarf_fixture.h"

static const char source[] =
    "struct list { struct list *next; double v[3]; int (*f)(struct list *, int); };\n"
    "typedef const struct list *ptr;\n"
    "volatile int sink;\n"
    "static inline __attribute__((always_inline)) int in(int n) { return n * sink; }\n"
    "static __attribute__((noinline)) int local(const double *x, int n, ptr p, char c) {\n"
    "  sink += in(n); return (int)x[n] + (int)p->v[1] + c; }\n"
    "int public(const char *s, struct list **l, int (*f)(ptr, int), int n) {\n"
    "  return s[0] + in(n) + f(*l, n); }\n"
    "enum e { A, B = 9 }; typedef struct { short s; enum e e : 5; unsigned b : 9; } pair;\n"
    "struct big { pair p[2][3]; struct { long double l; char c; }; union { int i; float f; } u; "
    "};\n"
    "__attribute__((noinline)) pair by_value(pair p, struct big *b, enum e e) {\n"
    "  p.s += (short)(b->p[1][2].s + e); b->c++; return p; }\n"
    "int main(int c, char **v) { struct big b = {0}; struct list l = {0}; double x[9] = {c};\n"
    "  pair p = {1}; sink = by_value(p, &b, B).s;\n"
    "  sink = local(x, c, &l, (char)c) + local(x, sink, &l, 3); return 0; }\n";

static const struct dwarf_task tasks[] = {
    {.symbol = "local", .params = {"x", "in [n]", "p", "ignore"}, .success = "return > 0"},
    {.symbol = "public"},
    {.symbol = "in"},
    {.symbol = "by_value", .params = {"b", "in"}},
    {.symbol = "public", .params = {"s", "in", "l", "in [n]", "f", "ignore"}},
    {.symbol = "local", .prototype = "int local(const double x[n], int n, ignore void *p, char c)"},
};

static uint64_t state_of_random;

static uint32_t draw(uint32_t below)
{
    state_of_random = state_of_random * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)((state_of_random >> 33) % below);
}

/* One to four bytes of a section that describes. */
static void mutate(const struct tc_elf *e, unsigned char *data)
{
    const struct tc_section *s;

    do
        s = &e->sections[draw((uint32_t)e->section_count)];
    while (strncmp(s->name, ".debug_", 7) != 0 || s->bytes == 0);
    for (uint32_t n = 1 + draw(4); n > 0; n--) {
        unsigned char *at = data + s->offset + draw((uint32_t)s->bytes);
        static const unsigned char values[] = {0, 1, 0x7f, 0x80, 0xff};
        switch (draw(3)) {
        case 0:
            *at ^= (unsigned char)(1u << draw(8));
            break;
        case 1:
            *at = values[draw(sizeof values)];
            break;
        default:
            *at = (unsigned char)draw(256);
            break;
        }
    }
}

static void write_bytes(const struct elf_dir *d, const unsigned char *data, size_t bytes)
{
    char path[512];

    elf_path(d, "damaged", path, sizeof path);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, bytes, f), bytes);
    assert_int_equal(fclose(f), 0);
}

static void resolve_apart(const struct elf_dir *d, uint64_t seed)
{
    struct dwarf_outcome o;
    int status = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(20);
        for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++)
            dwarf_plan(d, "damaged", &tasks[i], &o);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status != 0)
        fail_msg("TC_SEED=%llu: status %#x", (unsigned long long)seed, (unsigned)status);
}

static void damage(const struct elf_dir *d, const char *command, uint64_t seed, uint32_t rounds)
{
    struct tc_elf *e = NULL;
    size_t bytes = 0;

    elf_write(d, "d.c", source);
    elf_sh(d, command);
    unsigned char *data = elf_read(d, "d", &bytes), *copy = malloc(bytes);
    assert_non_null(copy);
    assert_int_equal(tc_elf_open_memory(data, bytes, &e), 0);
    for (uint32_t i = 0; i < rounds; i++) {
        state_of_random = seed + i;
        memcpy(copy, data, bytes);
        mutate(e, copy);
        write_bytes(d, copy, bytes);
        resolve_apart(d, seed + i);
    }
    tc_elf_close(e);
    free(copy);
    free(data);
}

static void damaged_debug_information(void **state)
{
    const char *seed = getenv("TC_SEED"), *rounds = getenv("TC_ROUNDS");
    uint64_t first = seed != NULL ? strtoull(seed, NULL, 10) : 20260701;
    uint32_t count = rounds != NULL ? (uint32_t)strtoul(rounds, NULL, 10) : 150;

    damage(*state, "gcc -g -O2 -w -o d d.c", first, count);
    damage(*state, "gcc -gdwarf-4 -O0 -w -o d d.c", first + count, count);
    if (elf_have("clang"))
        damage(*state, "clang -g -O1 -w -o d d.c", first + 2 * count, count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(damaged_debug_information, elf_dir_setup, elf_dir_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
