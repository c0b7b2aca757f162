/* Objects with random damage: whatever is made of them, no byte outside of the file is read. Worth
 * most under the sanitizers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <elf.h>

#include "service/resolve/window.h"
#include "tests/unit/elf_fixture.h"

static const char solver_c[] =
    "__attribute__((noinline)) static double inner(const double *x, long n, int d)\n"
    "{ double s = d; for (long i = 0; i < n; i++) s += x[i] * x[i] + s / 3; return s; }\n"
    "double solve(const double *x, long n) { return inner(x, n, 3) + inner(x, n / 2, 4); }\n"
    "__attribute__((alias(\"solve\"))) double solve_alias(const double *, long);\n"
    "void abort(void);\n"
    "int cold(int x) { if (__builtin_expect(x < 0, 0)) abort(); return x * 3; }\n"
    "int counter = 3;\n";

static uint64_t random_state = 20240229;

static uint32_t roll(uint32_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 16) % below;
}

/* All questions about an object that may be anything. */
static void use(const unsigned char *data, size_t bytes)
{
    struct tc_image im;
    static struct tc_candidate all[64];
    struct tc_candidate *list[64];
    size_t count = 0;

    if (tc_image_open_memory(data, bytes, &im) < 0)
        return;
    for (size_t i = 0; i < im.symbols.count && count < 64; i++) {
        const struct tc_symbol *s = &im.symbols.all[i];
        char name[512];
        (void)snprintf(name, sizeof name, "%.*s", s->name_bytes < 500 ? (int)s->name_bytes : 500,
                       s->name);
        list[count] = &all[count];
        all[count] = (struct tc_candidate){0};
        (void)tc_function_find(&im, name, i % 3 ? "" : "solver.c", &all[count].function);
        if (all[count].function.reason == 0)
            tc_window_find(&im, &all[count].function, &all[count].window);
        count++;
    }
    (void)tc_windows_check(&im, list, count);
    tc_image_close(&im);
}

/* One word of a header, or of a table that is read: symbols, strings, hashes, versions, dynamic
 * entries, notes, unwind information. */
static void lie(unsigned char *copy, const unsigned char *original, size_t bytes)
{
    const uint64_t lies[] = {0, 1, bytes, bytes - 1, bytes + 1, UINT64_MAX, 1ull << 63, roll(4096)};
    static const uint32_t widths[] = {1, 2, 4, 8};
    Elf64_Ehdr h;
    Elf64_Shdr s;
    uint64_t from = 0, size = sizeof h;
    uint32_t which, width = widths[roll(4)];

    memcpy(&h, original, sizeof h);
    which = roll(h.e_shnum + 3u);
    if (which < h.e_shnum) {
        memcpy(&s, original + h.e_shoff + which * sizeof s, sizeof s);
        from = s.sh_type == SHT_NOBITS ? 0 : s.sh_offset;
        size = s.sh_type == SHT_NOBITS ? sizeof h : s.sh_size;
    } else if (which == h.e_shnum) {
        from = h.e_shoff;
        size = h.e_shnum * sizeof s;
    } else if (which == h.e_shnum + 1u) {
        from = h.e_phoff;
        size = h.e_phnum * sizeof(Elf64_Phdr);
    }
    if (size < 8)
        return;
    from += roll((uint32_t)(size / width)) * width;
    memcpy(copy + from, &lies[roll(sizeof lies / sizeof lies[0])], width);
}

static void lying_tables_are_survived(void **state)
{
    static const char *const links[] = {"-Wl,--hash-style=both", "-Wl,--hash-style=gnu -s"};
    const struct elf_dir *d = *state;
    char command[200];

    elf_write(d, "solver.c", solver_c);
    for (size_t k = 0; k < sizeof links / sizeof links[0]; k++) {
        size_t bytes = 0;
        (void)snprintf(command, sizeof command,
                       "gcc -O2 -shared -fPIC -Wl,--build-id %s -o l.so solver.c", links[k]);
        elf_sh(d, command);
        unsigned char *original = elf_read(d, "l.so", &bytes), *copy = malloc(bytes);
        assert_non_null(copy);
        for (unsigned i = 0; i < 2500; i++) {
            memcpy(copy, original, bytes);
            for (unsigned n = 0; n <= roll(3); n++)
                lie(copy, original, bytes);
            use(copy, bytes);
        }
        free(copy);
        free(original);
    }
}

static void damaged_objects_are_survived(void **state)
{
    const struct elf_dir *d = *state;
    size_t bytes = 0;

    elf_write(d, "solver.c", solver_c);
    elf_sh(d, "gcc -O2 -shared -fPIC -o a.so solver.c");
    unsigned char *original = elf_read(d, "a.so", &bytes);
    unsigned char *copy = malloc(bytes);
    assert_non_null(copy);
    use(original, bytes);
    for (unsigned i = 0; i < 900; i++) {
        memcpy(copy, original, bytes);
        /* Headers, tables and the end (section headers) more often than the rest. */
        for (unsigned k = 0; k <= roll(6); k++) {
            uint32_t at = roll(4) != 0 ? roll(0x600) : roll((uint32_t)bytes);
            at = roll(5) == 0 ? (uint32_t)bytes - 1 - roll(2048) : at;
            copy[at] = roll(3) == 0 ? (uint8_t)(copy[at] ^ (1u << roll(8))) : (uint8_t)roll(256);
        }
        use(copy, bytes);
    }
    for (unsigned i = 0; i < 150; i++) {
        size_t shorter = roll((uint32_t)bytes);
        unsigned char *cut = malloc(shorter + (shorter == 0));
        assert_non_null(cut);
        memcpy(cut, original, shorter);
        use(cut, shorter);
        free(cut);
    }
    free(copy);
    free(original);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_objects_are_survived),
        cmocka_unit_test(lying_tables_are_survived),
    };
    if (!elf_have("gcc"))
        return 77;
    return cmocka_run_group_tests(tests, elf_dir_setup, elf_dir_teardown);
}
