/*
 * Windows on x86-64: the moved instructions do what the original ones did, run beside the function
 * and entered through a patched entry; and each refusal is provoked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "service/resolve/arch.h"

#define PAGE 4096u

/* In window_code.S. */
struct code {
    const char *name;
    unsigned char *at;
    size_t bytes;
};
extern const struct code window_codes[];

typedef uint64_t function(uint64_t a, uint64_t b);

static function *as_function(void *at)
{
    function *f;
    memcpy(&f, &at, sizeof f);
    return f;
}

static unsigned char *map_near(const void *text)
{
    uintptr_t start = (uintptr_t)text & ~(uintptr_t)(PAGE - 1);

    for (uintptr_t gap = 1 << 20; gap < 1u << 30; gap += 1 << 20) {
        void *at = mmap((void *)(start - gap), PAGE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (at != MAP_FAILED)
            return at;
    }
    fail_msg("no memory near the code");
    return NULL;
}

/* The moved code at `to`, as the target would place it. The object's addresses are the process's
 * own here. */
static void place(const struct tc_window *w, unsigned char *to)
{
    memcpy(to, w->moved, w->moved_bytes);
    for (uint32_t i = 0; i < w->fixup_count; i++) {
        const struct tc_fixup *f = &w->fixups[i];
        int64_t value = (int64_t)(f->target_vaddr - ((uintptr_t)to + f->at + 4 + f->tail));
        assert_int_equal(value, (int32_t)value);
        assert_true(f->at + 4u + f->tail <= w->moved_bytes);
        int32_t field = (int32_t)value;
        memcpy(to + f->at, &field, sizeof field);
    }
}

static void write_text(unsigned char *at, const void *from, size_t bytes)
{
    uintptr_t first = (uintptr_t)at & ~(uintptr_t)(PAGE - 1);
    size_t length = (((uintptr_t)at + bytes - first) + PAGE - 1) & ~(size_t)(PAGE - 1);

    assert_int_equal(mprotect((void *)first, length, PROT_READ | PROT_WRITE), 0);
    memcpy(at, from, bytes);
    assert_int_equal(mprotect((void *)first, length, PROT_READ | PROT_EXEC), 0);
}

static const uint64_t arguments[][2] = {
    {0, 0},   {1, 1}, {1, 2}, {2, 1}, {7, 100}, {100, 7}, {(uint64_t)-5, 3}, {3, (uint64_t)-5},
    {12, 12},
};
#define ARGUMENTS (sizeof arguments / sizeof arguments[0])

static void run(unsigned char *at, uint64_t *ret)
{
    for (size_t i = 0; i < ARGUMENTS; i++)
        ret[i] = as_function(at)(arguments[i][0], arguments[i][1]);
}

static void check_same(const struct code *c, const char *how, const uint64_t *a, const uint64_t *b)
{
    for (size_t i = 0; i < ARGUMENTS; i++) {
        if (a[i] != b[i])
            fail_msg("%s, %s, arguments %zu: %llx, should be %llx", c->name, how, i,
                     (unsigned long long)b[i], (unsigned long long)a[i]);
    }
}

static void check_moved(const struct code *c)
{
    struct tc_code code = {.at = c->at, .bytes = c->bytes, .vaddr = (uintptr_t)c->at};
    uint64_t expected[ARGUMENTS], got[ARGUMENTS];
    unsigned char jump[5] = {0xe9}, saved[TC_MAX_WINDOW];
    struct tc_window w;

    tc_arch_x86_64.move(&code, 0, &w);
    if (w.reason != 0)
        fail_msg("%s: refused, %u %s", c->name, w.reason, w.detail);
    assert_in_range(w.window_bytes, 5, TC_MAX_WINDOW);
    unsigned char *patch = c->at + (w.patch_vaddr - w.entry_vaddr);
    assert_memory_equal(patch, w.window, w.window_bytes);

    unsigned char *near = map_near(c->at);
    place(&w, near);
    assert_int_equal(mprotect(near, PAGE, PROT_READ | PROT_EXEC), 0);
    run(c->at, expected);
    run(near, got);
    check_same(c, "moved", expected, got);

    /* Entered as in a target, with the rest of the window unusable. */
    int32_t distance = (int32_t)(near - (patch + 5));
    memcpy(saved, patch, w.window_bytes);
    memcpy(jump + 1, &distance, sizeof distance);
    unsigned char window[TC_MAX_WINDOW];
    memset(window, 0xcc, sizeof window);
    memcpy(window, jump, sizeof jump);
    write_text(patch, window, w.window_bytes);
    run(c->at, got);
    write_text(patch, saved, w.window_bytes);
    check_same(c, "patched", expected, got);
    munmap(near, PAGE);
}

static int can_run(const struct code *c)
{
    if (strncmp(c->name, "avx512", 6) == 0)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl");
    return strncmp(c->name, "avx", 3) != 0 || __builtin_cpu_supports("avx");
}

static void moved_code_behaves_as_the_original(void **state)
{
    unsigned ran = 0, left_out = 0;

    (void)state;
    for (const struct code *c = window_codes; c->name != NULL; c++) {
        if (can_run(c)) {
            check_moved(c);
            ran++;
        } else {
            left_out++;
        }
    }
    print_message("%u run, %u left out for want of AVX\n", ran, left_out);
    assert_true(ran > 40);
}

static void find_code(const char *name, struct tc_window *ret)
{
    for (const struct code *c = window_codes; c->name != NULL; c++) {
        struct tc_code code = {.at = c->at, .bytes = c->bytes, .vaddr = 0x10000};
        if (strcmp(c->name, name) != 0)
            continue;
        tc_arch_x86_64.move(&code, 0, ret);
        assert_int_equal(ret->reason, 0);
        return;
    }
    fail_msg("no code %s", name);
}

/* What can't be seen by running: where fields and tails lie, also without the processor's AVX. */
static void fixups_name_field_tail_and_target(void **state)
{
    static const struct {
        const char *name;
        unsigned window, moved, count, at, tail;
    } cases[] = {
        {"plain", 6, 11, 1, 7, 0},         {"rip_load", 7, 12, 2, 3, 0},
        {"rip_imm8", 7, 12, 2, 2, 1},      {"rip_imm16", 9, 14, 2, 3, 2},
        {"rip_imm32", 11, 16, 2, 3, 4},    {"avx_load", 8, 13, 2, 4, 0},
        {"avx_imm", 9, 14, 2, 4, 1},       {"avx512_load", 10, 15, 2, 6, 0},
        {"avx512_imm", 11, 16, 2, 6, 1},   {"endbr", 7, 12, 2, 3, 0},
        {"two_fixups", 10, 19, 3, 3, 0},   {"jump_first", 5, 13, 2, 1, 0},
        {"three_fixups", 10, 23, 4, 2, 0}, {"call_padded", 8, 22, 3, 4, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tc_window w;
        find_code(cases[i].name, &w);
        const struct tc_fixup *back = &w.fixups[w.fixup_count - 1];
        if (w.window_bytes != cases[i].window || w.moved_bytes != cases[i].moved ||
            w.fixup_count != cases[i].count)
            fail_msg("%s: window %u moved %u fixups %u", cases[i].name, w.window_bytes,
                     w.moved_bytes, w.fixup_count);
        if (cases[i].count > 1) {
            assert_int_equal(w.fixups[0].at, cases[i].at);
            assert_int_equal(w.fixups[0].tail, cases[i].tail);
        }
        assert_int_equal(back->at, w.moved_bytes - 4);
        assert_int_equal(back->target_vaddr, w.patch_vaddr + w.window_bytes);
    }
}

static void patch_lies_behind_endbr64(void **state)
{
    struct tc_window w;

    (void)state;
    find_code("endbr", &w);
    assert_int_equal(w.entry_vaddr, 0x10000);
    assert_int_equal(w.patch_vaddr, 0x10004);
}

#define BYTES(...) \
    (const unsigned char[]){__VA_ARGS__}, sizeof((const unsigned char[]){__VA_ARGS__})

static const struct {
    const char *name;
    const unsigned char *bytes;
    size_t count;
    enum tc_reason reason;
    const char *detail;
} refusals[] = {
    {"4 bytes", BYTES(0x31, 0xc0, 0x90, 0xc3), TC_R_TOO_SHORT, "4 bytes"},
    {"nothing", (const unsigned char *)"", 0, TC_R_TOO_SHORT, "0 bytes"},
    {"endbr64 and 4 bytes", BYTES(0xf3, 0x0f, 0x1e, 0xfa, 0x31, 0xc0, 0x90, 0xc3), TC_R_TOO_SHORT,
     "8 bytes"},
    {"loop", BYTES(0x90, 0xe2, 0x10, 0x90, 0x90, 0xc3), TC_R_UNSUPPORTED_INSN, "at +1: loop"},
    {"loope", BYTES(0xe1, 0x10, 0x90, 0x90, 0x90, 0xc3), TC_R_UNSUPPORTED_INSN, "at +0: loope"},
    {"jrcxz", BYTES(0xe3, 0x10, 0x90, 0x90, 0x90, 0xc3), TC_R_UNSUPPORTED_INSN, "at +0: jrcxz"},
    {"jecxz", BYTES(0x67, 0xe3, 0x10, 0x90, 0x90, 0xc3), TC_R_UNSUPPORTED_INSN, "at +0: jecxz"},
    {"xbegin", BYTES(0xc7, 0xf8, 0, 0, 0, 0, 0xc3), TC_R_UNSUPPORTED_INSN, "at +0: xbegin"},
    {"syscall", BYTES(0x89, 0xf8, 0x0f, 0x05, 0xc3, 0x90), TC_R_UNSUPPORTED_INSN, "at +2: syscall"},
    {"sysenter", BYTES(0x0f, 0x34, 0x90, 0x90, 0x90, 0xc3), TC_R_UNSUPPORTED_INSN,
     "at +0: sysenter"},
    {"int", BYTES(0x90, 0xcd, 0x80, 0x90, 0x90, 0xc3), TC_R_UNSUPPORTED_INSN, "at +1: int"},
    {"int3", BYTES(0xcc, 0x90, 0x90, 0x90, 0x90, 0xc3), TC_R_UNSUPPORTED_INSN, "at +0: int3"},
    {"hlt", BYTES(0xf4, 0x90, 0x90, 0x90, 0x90, 0xc3), TC_R_UNSUPPORTED_INSN, "at +0: hlt"},
    {"ud2", BYTES(0x0f, 0x0b, 0x90, 0x90, 0x90, 0xc3), TC_R_UNSUPPORTED_INSN, "at +0: ud2"},
    {"far jump", BYTES(0xff, 0x2d, 0, 0, 0, 0, 0xc3), TC_R_UNSUPPORTED_INSN, "at +0: jmp"},
    {"iretq", BYTES(0x48, 0xcf, 0x90, 0x90, 0x90, 0xc3), TC_R_UNSUPPORTED_INSN, "at +0: iretq"},
    {"ret in the window", BYTES(0x31, 0xc0, 0xc3, 0x90, 0x90, 0x90), TC_R_UNSUPPORTED_INSN,
     "at +2: the function ends inside the window"},
    {"indirect jump in the window", BYTES(0x31, 0xc0, 0xff, 0xe0, 0x90, 0x90),
     TC_R_UNSUPPORTED_INSN, "at +2: the function ends inside the window"},
    {"call next", BYTES(0xe8, 0, 0, 0, 0, 0x58, 0xc3), TC_R_UNSUPPORTED_INSN,
     "at +0: call of an instruction nearby"},
    {"call into the window", BYTES(0x90, 0xe8, 0xfd, 0xff, 0xff, 0xff, 0xc3), TC_R_UNSUPPORTED_INSN,
     "at +1: call of an instruction nearby"},
    {"returns into the window", BYTES(0x90, 0xff, 0xd0, 0x90, 0x90, 0xc3), TC_R_UNSUPPORTED_INSN,
     "at +1: a call that returns into the window"},
    {"call by the stack", BYTES(0x90, 0xff, 0x54, 0x24, 0x10, 0xc3), TC_R_UNSUPPORTED_INSN,
     "at +1: a call by a pointer on the stack"},
    {"jump to the entry", BYTES(0xff, 0xc7, 0x75, 0xfc, 0x90, 0xc3), TC_R_BRANCH_TO_ENTRY,
     "from +2"},
    {"jump to the endbr64", BYTES(0xf3, 0x0f, 0x1e, 0xfa, 0xff, 0xc7, 0x75, 0xf8, 0x90, 0xc3),
     TC_R_BRANCH_TO_ENTRY, "from +2"},
    {"into an instruction", BYTES(0x66, 0x90, 0x74, 0xfd, 0x90, 0xc3), TC_R_BRANCH_INTO_WINDOW,
     "from +2 into the middle of an instruction"},
    {"eip", BYTES(0x67, 0x8b, 0x05, 0, 0, 0, 0, 0xc3), TC_R_UNSUPPORTED_INSN,
     "at +0: an address relative to eip"},
    {"66 jmp", BYTES(0x66, 0xe9, 0, 1, 0, 0, 0xc3), TC_R_UNSUPPORTED_INSN,
     "at +0: a branch with an operand size"},
    {"cut short", BYTES(0x90, 0x90, 0x90, 0x48, 0xb8, 1), TC_R_UNSUPPORTED_INSN,
     "at +3: an instruction is cut by the function's end"},
    {"no instruction", BYTES(0x90, 0x06, 0x90, 0x90, 0x90, 0xc3), TC_R_UNSUPPORTED_INSN,
     "at +1: no known instruction"},
};

static void what_cant_be_moved_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct tc_window w;
        unsigned char *exact = malloc(refusals[i].count + (refusals[i].count == 0));
        assert_non_null(exact);
        memcpy(exact, refusals[i].bytes, refusals[i].count);
        struct tc_code code = {.at = exact, .bytes = refusals[i].count, .vaddr = 0x401000};
        tc_arch_x86_64.move(&code, 0, &w);
        if (w.reason != (uint32_t)refusals[i].reason || strcmp(w.detail, refusals[i].detail) != 0)
            fail_msg("%s: reason %u, %s", refusals[i].name, w.reason, w.detail);
        free(exact);
    }
}

/* `bytes` long, then what is behind the function. */
static void padding_counts(void **state)
{
    const struct {
        const char *name;
        const unsigned char *bytes;
        size_t all, bytes_count;
        int is_short;
        int reason;
        uint32_t window;
    } cases[] = {
        {"one nop", BYTES(0x31, 0xc0, 0xc3, 0x0f, 0x1f, 0x00), 3, 0, 0, 5},
        {"int3", BYTES(0x31, 0xc0, 0xc3, 0xcc, 0xcc), 3, 0, 0, 5},
        {"a long one", BYTES(0xc3, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0), 1, 0, 0, 5},
        {"a jump", BYTES(0xeb, 0x40, 0x90, 0x90, 0x90), 2, 0, 0, 5},
        {"too little", BYTES(0x31, 0xc0, 0xc3, 0x90), 3, 0, TC_R_TOO_SHORT, 0},
        {"zeros", BYTES(0x31, 0xc0, 0xc3, 0, 0), 3, 0, TC_R_TOO_SHORT, 0},
        {"it goes on", BYTES(0x31, 0xc0, 0x90, 0x90, 0x90), 2, 0, TC_R_TOO_SHORT, 0},
        {"a cut nop", BYTES(0xc3, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0), 1, 0, TC_R_TOO_SHORT, 0},
        {"short", BYTES(0x90, 0x90, 0xc3), 3, 1, 0, 2},
        {"short, an instruction", BYTES(0x48, 0x89, 0xf8, 0xc3), 4, 1, 0, 3},
        {"short, one byte", BYTES(0xc3), 1, 1, TC_R_TOO_SHORT, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tc_window w;
        struct tc_code code = {.at = cases[i].bytes,
                               .bytes = cases[i].bytes_count,
                               .vaddr = 0x401000,
                               .after = cases[i].all - cases[i].bytes_count};
        tc_arch_x86_64.move(&code, cases[i].is_short, &w);
        if (w.reason != (uint32_t)cases[i].reason)
            fail_msg("%s: reason %u, %s", cases[i].name, w.reason, w.detail);
        if (w.reason == 0 && w.window_bytes != cases[i].window)
            fail_msg("%s: %u bytes", cases[i].name, w.window_bytes);
    }
}

struct seen {
    uint64_t field[8], target[8];
    unsigned is_call[8], count;
};

static void note(void *arg, const struct tc_branch *b)
{
    struct seen *s = arg;

    assert_true(s->count < 8);
    s->field[s->count] = b->field;
    s->target[s->count] = b->target;
    s->is_call[s->count++] = b->is_call;
}

static void every_form_of_branch_is_seen(void **state)
{
    static const unsigned char code[] = {
        0xe8, 0xfb, 0xff, 0xff, 0xff,       /* 0: call 0 */
        0xe9, 0xf6, 0xff, 0xff, 0xff,       /* 5: jmp 0 */
        0x0f, 0x85, 0xf0, 0xff, 0xff, 0xff, /* 10: jnz 0 */
        0x75, 0xee,                         /* 16: jnz 0 */
        0xeb, 0xec,                         /* 18: jmp 0 */
        0xe2, 0xea,                         /* 20: loop 0 */
        0xc7, 0xf8, 0xe4, 0xff, 0xff, 0xff, /* 22: xbegin 0 */
        0xb8, 0xe9, 0xde, 0xff, 0xff, 0xff, /* 28: mov; +1 reads as jmp 0 */
    };
    struct tc_code c = {.at = code, .bytes = sizeof code, .vaddr = 0x5000};
    struct seen s = {0};

    (void)state;
    tc_arch_x86_64.branches(&c, 0x5000, 0x5001, note, &s);
    assert_int_equal(s.count, 8);
    for (unsigned i = 0; i < s.count; i++)
        assert_int_equal(s.is_call[i], i == 0);
    for (unsigned i = 0; i < s.count; i++)
        assert_int_equal(tc_arch_x86_64.is_branch(&c, s.field[i]), i != 7);
    assert_int_equal(s.field[2], 0x500c);
    assert_int_equal(s.target[2], 0x5000);
    s.count = 0;
    tc_arch_x86_64.branches(&c, 0x5001, 0x5002, note, &s);
    assert_int_equal(s.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moved_code_behaves_as_the_original),
        cmocka_unit_test(fixups_name_field_tail_and_target),
        cmocka_unit_test(patch_lies_behind_endbr64),
        cmocka_unit_test(what_cant_be_moved_is_refused),
        cmocka_unit_test(padding_counts),
        cmocka_unit_test(every_form_of_branch_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
