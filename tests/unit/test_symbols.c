/*
 * Functions by name in objects that compilers made: what is found, with which bounds, and what is
 * refused; the same of objects that were stripped or have no section headers.
 */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "service/resolve/elf_function.h"
#include "service/resolve/window.h"
#include "tests/unit/elf_fixture.h"

static const char *const compilers[] = {"gcc", "clang"};

/* An opened object and its bytes. */
struct built {
    unsigned char *data;
    size_t bytes;
    struct tc_image im;
};

static struct built open_built(const struct elf_dir *d, const char *name)
{
    struct built b = {0};

    b.data = elf_read(d, name, &b.bytes);
    assert_int_equal(tc_image_open_memory(b.data, b.bytes, &b.im), 0);
    return b;
}

static void close_built(struct built *b)
{
    tc_image_close(&b->im);
    free(b->data);
}

static struct tc_function find(const struct built *b, const char *name, const char *file)
{
    struct tc_function f;

    (void)tc_function_find(&b->im, name, file, &f);
    return f;
}

static void check_reason(const struct built *b, const char *name, const char *file,
                         enum tc_reason reason)
{
    struct tc_function f = find(b, name, file);
    if (f.reason != (uint32_t)reason)
        fail_msg("%s: reason %u, %s", name, f.reason, f.detail);
}

static void check_hookable(const struct built *b, const char *name)
{
    struct tc_candidate c = {0}, *one = &c;

    c.function = find(b, name, "");
    if (c.function.reason != 0)
        fail_msg("%s: reason %u, %s", name, c.function.reason, c.function.detail);
    tc_window_find(&b->im, &c.function, &c.window);
    assert_int_equal(tc_windows_check(&b->im, &one, 1), 0);
    if (c.window.reason != 0)
        fail_msg("%s: window %u, %s", name, c.window.reason, c.window.detail);
}

static const char solver_c[] =
    "#include <stddef.h>\n"
    "extern void deep(const double *, double *);\n"
    "__attribute__((noinline)) static double inner(const double *x, size_t n, int d)\n"
    "{ double s = d; for (size_t i = 0; i < n; i++) s += x[i] * x[i] + s / 3; return s; }\n"
    "__attribute__((noinline)) double solve(const double *x, size_t n, int d)\n"
    "{ return inner(x, n, d) + inner(x, n / 2, d + 1); }\n"
    "__attribute__((alias(\"solve\"))) double solve_alias(const double *, size_t, int);\n"
    "__attribute__((visibility(\"hidden\"), noinline)) int hidden_one(int a)\n"
    "{ return a * a * a + 17 * a; }\n"
    "__attribute__((visibility(\"protected\"), noinline)) int guarded(int a)\n"
    "{ return hidden_one(a) + hidden_one(a + 1); }\n"
    "int counter = 3;\n";

static void static_and_exported_functions_are_found(void **state)
{
    static const char *const flags[] = {"-O0", "-O2", "-O2 -fcf-protection", "-O3 -g"};
    const struct elf_dir *d = *state;
    char command[256];

    elf_write(d, "solver.c", solver_c);
    for (size_t i = 0; i < 2; i++) {
        for (size_t k = 0; elf_have(compilers[i]) && k < sizeof flags / sizeof flags[0]; k++) {
            (void)snprintf(command, sizeof command,
                           "%s %s -shared -fPIC -Wl,-soname,libsolver.so.1 -o a.so solver.c",
                           compilers[i], flags[k]);
            elf_sh(d, command);
            struct built b = open_built(d, "a.so");
            assert_int_equal(b.im.reason, 0);
            assert_string_equal(b.im.elf->soname, "libsolver.so.1");

            struct tc_function f = find(&b, "inner", "");
            assert_int_equal(f.reason, 0);
            assert_true(f.is_static && !f.exported);
            assert_string_equal(f.file, "solver.c");
            check_reason(&b, "inner", "solver.c", TC_R_NONE);
            check_reason(&b, "inner", "src/solver.c", TC_R_NONE);
            check_reason(&b, "inner", "other.c", TC_R_NOT_FOUND);

            f = find(&b, "solve", "");
            assert_true(f.exported && !f.is_static && f.file == NULL);
            assert_string_equal(f.names, "solve, solve_alias");
            f = find(&b, "solve_alias", "");
            assert_string_equal(f.names, "solve_alias, solve");

            f = find(&b, "guarded", "");
            assert_int_equal(f.reason, 0);
            assert_true(f.exported);
            f = find(&b, "hidden_one", "");
            assert_int_equal(f.reason, 0);
            assert_false(f.exported);

            check_reason(&b, "counter", "", TC_R_NOT_A_FUNCTION);
            check_reason(&b, "nosuch", "", TC_R_NOT_FOUND);
            check_reason(&b, "", "", TC_R_NOT_FOUND);
            check_hookable(&b, "inner");
            check_hookable(&b, "solve");
            close_built(&b);
        }
    }
}

static void stripped_objects_have_exported_functions_only(void **state)
{
    const struct elf_dir *d = *state;

    elf_write(d, "solver.c", solver_c);
    elf_sh(d, "gcc -O2 -shared -fPIC -o a.so solver.c && strip -o b.so a.so");
    struct built whole = open_built(d, "a.so"), b = open_built(d, "b.so");
    struct tc_function f = find(&b, "solve", ""), g = find(&whole, "solve", "");
    assert_int_equal(f.reason, 0);
    assert_int_equal(f.vaddr, g.vaddr);
    assert_int_equal(f.bytes, g.bytes);
    check_reason(&b, "inner", "", TC_R_STRIPPED);
    check_hookable(&b, "solve");
    close_built(&whole);
    close_built(&b);
}

static void section_headers_arent_needed(void **state)
{
    static const char *const hashes[] = {"gnu", "sysv", "both"};
    const struct elf_dir *d = *state;

    elf_write(d, "solver.c", solver_c);
    for (size_t i = 0; i < 3; i++) {
        char command[128];
        (void)snprintf(command, sizeof command,
                       "gcc -O2 -shared -fPIC -Wl,--hash-style=%s -o a.so solver.c", hashes[i]);
        elf_sh(d, command);
        struct built whole = open_built(d, "a.so"), b = {0};
        b.data = elf_read(d, "a.so", &b.bytes);
        Elf64_Ehdr *h = (void *)b.data;
        h->e_shoff = 0;
        h->e_shnum = h->e_shstrndx = 0;
        assert_int_equal(tc_image_open_memory(b.data, b.bytes, &b.im), 0);
        assert_int_equal(b.im.reason, 0);
        assert_int_equal(b.im.elf->section_count, 0);
        assert_int_equal(b.im.bounds.fde_count, whole.im.bounds.fde_count);
        assert_true(b.im.bounds.fde_count >= 3);
        check_hookable(&b, "solve");
        check_hookable(&b, "guarded");
        check_reason(&b, "inner", "", TC_R_STRIPPED);
        close_built(&whole);
        close_built(&b);
    }
}

static void assembly_without_size_takes_its_unwind_entry(void **state)
{
    static const char source[] = "\t.text\n"
                                 "\t.globl with_cfi, bare\n"
                                 "\t.type with_cfi, @function\n"
                                 "\t.type bare, @function\n"
                                 "with_cfi:\n\t.cfi_startproc\n\tpush %rbx\n"
                                 "\t.cfi_adjust_cfa_offset 8\n\tmov %rdi, %rbx\n\tmov %rbx, %rax\n"
                                 "\tpop %rbx\n\t.cfi_adjust_cfa_offset -8\n\tret\n\t.cfi_endproc\n"
                                 "\t.skip 32, 0x90\n"
                                 "bare:\n\tmov %rdi, %rax\n\tadd %rsi, %rax\n\tret\n"
                                 "\t.skip 32, 0x90\n"
                                 "\t.globl label\n"
                                 "label:\n\t.cfi_startproc\n\tmov %rdi, %rax\n\tadd %rsi, %rax\n"
                                 "\tret\n\t.cfi_endproc\n"
                                 "\t.section .note.GNU-stack, \"\", @progbits\n";
    const struct elf_dir *d = *state;

    elf_write(d, "a.s", source);
    elf_sh(d, "gcc -shared -nostdlib -o a.so a.s");
    struct built b = open_built(d, "a.so");
    struct tc_function f = find(&b, "with_cfi", "");
    assert_int_equal(f.reason, 0);
    assert_int_equal(f.bytes, 9);
    check_reason(&b, "bare", "", TC_R_NO_BOUNDS);
    f = find(&b, "label", "");
    assert_int_equal(f.reason, 0);
    assert_int_equal(f.bytes, 7);
    check_hookable(&b, "with_cfi");
    close_built(&b);
}

static void names_of_several_functions_are_ambiguous(void **state)
{
    const struct elf_dir *d = *state;

    elf_write(d, "a.c",
              "__attribute__((noinline)) static int work(int x) { return x * x + 3; }\n"
              "int a(int x) { return work(x) + work(x + 1); }\n");
    elf_write(d, "b.c",
              "__attribute__((noinline)) static int work(int x) { return x * x * x - 7; }\n"
              "int b(int x) { return work(x) - work(x + 2); }\n");
    elf_sh(d, "gcc -O1 -shared -fPIC -o a.so a.c b.c");
    struct built b = open_built(d, "a.so");
    struct tc_function f = find(&b, "work", "");
    assert_int_equal(f.reason, TC_R_AMBIGUOUS_NAME);
    assert_non_null(strstr(f.detail, "2 candidates: "));
    assert_non_null(strstr(f.detail, "a.c at 0x"));
    assert_non_null(strstr(f.detail, "b.c at 0x"));
    struct tc_function in_a = find(&b, "work", "a.c"), in_b = find(&b, "work", "b.c");
    assert_int_equal(in_a.reason, 0);
    assert_int_equal(in_b.reason, 0);
    assert_true(in_a.vaddr != in_b.vaddr);
    assert_string_equal(in_b.file, "b.c");
    close_built(&b);
}

static void default_versions_are_preferred(void **state)
{
    const struct elf_dir *d = *state;

    elf_write(d, "v.c",
              "int old_f(int x) { return x + 1000; } int new_f(int x) { return x * 3 + 77; }\n"
              "int old_g(int x) { return x - 1234; } int older_g(int x) { return x * 5; }\n"
              "__asm__(\".symver old_f, f@V1\"); __asm__(\".symver new_f, f@@V2\");\n"
              "__asm__(\".symver older_g, g@V1\"); __asm__(\".symver old_g, g@V2\");\n");
    elf_write(d, "v.map",
              "V1 { global: f; g; old_f; new_f; local: *; }; V2 { global: f; g; } V1;\n");
    elf_sh(d, "gcc -O1 -shared -fPIC -Wl,--version-script=v.map -o a.so v.c && strip -o b.so a.so");
    for (int i = 0; i < 2; i++) {
        struct built b = open_built(d, i ? "b.so" : "a.so");
        struct tc_function f = find(&b, "f", ""), g = find(&b, "new_f", "");
        assert_int_equal(f.reason, 0);
        assert_int_equal(f.vaddr, g.vaddr);
        assert_true(f.exported);
        check_reason(&b, "g", "", TC_R_AMBIGUOUS_NAME);
        close_built(&b);
    }
}

static void clones_are_other_names(void **state)
{
    const struct elf_dir *d = *state;

    elf_write(d, "c.c",
              "#include <stdio.h>\n"
              "struct big { int a, b, c, d; };\n"
              "__attribute__((noinline)) static int cloned(struct big *p, int k)\n"
              "{ int s = 0; for (int i = 0; i < p->a; i++) s += i * k + s / 3; return s; }\n"
              "int f(struct big *p) { return cloned(p, 17) + cloned(p + 1, 17); }\n");
    elf_sh(d, "gcc -O3 -shared -fPIC -o a.so c.c");
    struct built b = open_built(d, "a.so");
    struct tc_function f = find(&b, "cloned", "");
    assert_int_equal(f.reason, TC_R_NOT_FOUND);
    assert_non_null(strstr(f.detail, "cloned."));
    const char *clone = strstr(f.detail, "cloned.");
    char name[64];
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(clone, ", "), clone);
    check_reason(&b, name, "", TC_R_NONE);
    close_built(&b);
}

static void cold_pieces_belong_to_the_function(void **state)
{
    const struct elf_dir *d = *state;

    elf_write(d, "c.c",
              "#include <stdlib.h>\n#include <stdio.h>\n"
              "__attribute__((cold, noinline)) void bad(int);\n"
              "void bad(int x) { fprintf(stderr, \"%d\", x); exit(x); }\n"
              "int f(int x, int y) { if (__builtin_expect(x < 0, 0)) { bad(x); bad(y); }\n"
              "  return x / (y | 1); }\n");
    elf_sh(d, "gcc -O2 -shared -fPIC -o a.so c.c");
    struct built b = open_built(d, "a.so");
    struct tc_function f = find(&b, "f", "");
    assert_int_equal(f.reason, 0);
    assert_int_equal(f.piece_count, 2);
    assert_true(f.pieces[1].vaddr != f.vaddr && f.pieces[1].bytes != 0);
    check_hookable(&b, "f");
    close_built(&b);
}

static void ifuncs_are_their_resolvers(void **state)
{
    const struct elf_dir *d = *state;

    elf_write(d, "i.c",
              "static int one(int x) { return x + 1; }\n"
              "static int (*choose(void))(int) { return one; }\n"
              "int chosen(int) __attribute__((ifunc(\"choose\")));\n");
    elf_sh(d, "gcc -O1 -shared -fPIC -o a.so i.c");
    struct built b = open_built(d, "a.so");
    struct tc_function f = find(&b, "chosen", "");
    assert_int_equal(f.reason, 0);
    assert_true(f.is_ifunc && f.dynamic_count == 1);
    assert_string_equal(f.names, "chosen");
    uint64_t resolver = f.vaddr;
    f = find(&b, "choose", "");
    assert_int_equal(f.reason, 0);
    assert_int_equal(f.vaddr, resolver);
    assert_true(!f.is_ifunc && f.dynamic_count == 0);
    close_built(&b);
}

/* Windows that something else in the object jumps into or falls back to. */
static const char branches_s[] =
    "\t.text\n"
    "\t.macro fn n\n\t.balign 16\n\t.globl \\n\n\t.type \\n, @function\n\\n:\n\t.endm\n"
    "\t.macro end n\n\t.size \\n, . - \\n\n\t.endm\n"
    "fn back_into\n\txor %eax, %eax\n1:\tadd %rdi, %rax\n\tdec %rdi\n\tjnz 1b\n\tret\nend "
    "back_into\n"
    "fn to_entry\n\tdec %rdi\n\tadd %rdi, %rsi\n\tcmp $5, %rdi\n\tjg to_entry\n\tret\nend "
    "to_entry\n"
    "fn to_patch\n\tendbr64\n1:\tdec %rdi\n\tadd %rdi, %rsi\n\tcmp $5, %rdi\n\tjg 1b\n\tret\n"
    "end to_patch\n"
    "fn recurses\n\tsub $8, %rsp\n\tdec %rdi\n\tjs 1f\n\tcall recurses\n1:\tadd $8, %rsp\n\tret\n"
    "end recurses\n"
    "fn victim\n\tmov %rdi, %rax\n\tadd %rsi, %rax\n\tadd %rsi, %rax\n\tret\nend victim\n"
    "fn neighbour\n\tmov %rdi, %rax\n\tadd %rsi, %rsi\n\t.byte 0xe9\n\t.long victim + 3 - . - 4\n"
    "end neighbour\n"
    "fn target\n\tmov %rdi, %rax\n\tadd %rsi, %rax\n\tret\nend target\n"
    "fn tail_caller\n\tadd %rsi, %rdi\n\tadd %rsi, %rdi\n\t.byte 0xe9\n\t.long target - . - 4\n"
    "end tail_caller\n"
    /* The immediate of the mov reads as a jump into the next function's window. */
    "fn hidden_bytes\n\tmov %rdi, %rcx\n\tmovabs $0xe9ffffff00, %rax\n\tret\nend hidden_bytes\n"
    "fn decoy\n\tmov %rdi, %rax\n\tmov $0x2ebeb, %esi\n\tadd %rsi, %rax\n\tret\nend decoy\n"
    "fn inner_entry\n\tmov %rdi, %rax\n\t.globl second\n\t.type second, @function\nsecond:\n"
    "\tadd %rsi, %rax\n\tret\n\t.size second, . - second\nend inner_entry\n"
    "fn split\n\tmov %rdi, %rax\n\ttest %rdi, %rdi\n\tje split.cold\n\tret\nend split\n"
    "\t.section .text.unlikely, \"ax\"\n\t.type split.cold, @function\nsplit.cold:\n"
    "\tinc %rdi\n\t.byte 0xe9\n\t.long split - . - 4\n\t.size split.cold, . - split.cold\n"
    "\t.section .note.GNU-stack, \"\", @progbits\n";

static void branches_into_windows_are_refused(void **state)
{
    static const struct {
        const char *name;
        enum tc_reason reason;
        const char *detail;
    } cases[] = {
        {"back_into", TC_R_BRANCH_INTO_WINDOW, "at +2, from 0x"},
        {"to_entry", TC_R_BRANCH_TO_ENTRY, "from 0x"},
        {"to_patch", TC_R_BRANCH_TO_ENTRY, "from 0x"},
        {"recurses", TC_R_NONE, ""},
        {"victim", TC_R_BRANCH_INTO_WINDOW, "in another function"},
        {"neighbour", TC_R_NONE, ""},
        {"target", TC_R_NONE, ""},
        {"tail_caller", TC_R_NONE, ""},
        {"hidden_bytes", TC_R_NONE, ""},
        {"decoy", TC_R_NONE, ""},
        {"inner_entry", TC_R_BRANCH_INTO_WINDOW, "at +3: second begins there"},
        {"split", TC_R_BRANCH_TO_ENTRY, "from 0x"},
    };
    enum {
        COUNT = sizeof cases / sizeof cases[0]
    };
    const struct elf_dir *d = *state;
    static struct tc_candidate all[COUNT];
    struct tc_candidate *list[COUNT];

    elf_write(d, "b.s", branches_s);
    elf_sh(d, "gcc -shared -nostdlib -Wl,-Bsymbolic -o a.so b.s");
    struct built b = open_built(d, "a.so");
    for (size_t i = 0; i < COUNT; i++) {
        list[i] = &all[i];
        all[i].function = find(&b, cases[i].name, "");
        assert_int_equal(all[i].function.reason, 0);
        tc_window_find(&b.im, &all[i].function, &all[i].window);
    }
    assert_int_equal(tc_windows_check(&b.im, list, COUNT), 0);
    for (size_t i = 0; i < COUNT; i++) {
        if (all[i].window.reason != (uint32_t)cases[i].reason ||
            strstr(all[i].window.detail, cases[i].detail) == NULL)
            fail_msg("%s: reason %u, %s", cases[i].name, all[i].window.reason,
                     all[i].window.detail);
    }
    close_built(&b);
}

static void whole_objects_are_refused(void **state)
{
    const struct elf_dir *d = *state;
    struct tc_image im;

    elf_write(d, "t.s",
              "\t.globl f\n\t.type f, @function\nf:\tmovabs $g, %rax\n\tret\n\t.size f, . - f\n"
              "\t.data\n\t.globl g\ng:\t.quad 0\n\t.section .note.GNU-stack, \"\", @progbits\n");
    elf_sh(d, "gcc -shared -nostdlib -Wl,-z,notext -o t.so t.s");
    struct built b = open_built(d, "t.so");
    assert_int_equal(b.im.reason, TC_R_TEXT_RELOCATIONS);
    close_built(&b);

    elf_write(d, "go.c",
              "int f(int x) { return x + 1; }\n"
              "__attribute__((section(\".gopclntab\"))) const int tab[4] = {1};\n");
    elf_sh(d, "gcc -shared -fPIC -o go.so go.c");
    b = open_built(d, "go.so");
    assert_int_equal(b.im.reason, TC_R_GO_RUNTIME);
    close_built(&b);

    elf_write(d, "more.c",
              "__asm__(\".globl x\\n x = 1\");\n"
              "int morestack(int) __asm__(\"runtime.morestack_noctxt\");\n"
              "int morestack(int x) { return x; }\n");
    elf_sh(d, "gcc -shared -fPIC -o more.so more.c");
    b = open_built(d, "more.so");
    assert_int_equal(b.im.reason, TC_R_GO_RUNTIME);
    close_built(&b);

    elf_write(d, "m.c", "int main(void) { return 0; }\n");
    elf_sh(d, "gcc -static -o m m.c && gcc -static-pie -o mp m.c");
    b = open_built(d, "m");
    assert_int_equal(b.im.reason, TC_R_STATIC_EXECUTABLE);
    close_built(&b);
    b = open_built(d, "mp");
    assert_int_equal(b.im.reason, TC_R_STATIC_EXECUTABLE);
    close_built(&b);

    b.data = elf_read(d, "go.so", &b.bytes);
    ((Elf64_Ehdr *)(void *)b.data)->e_machine = EM_AARCH64;
    assert_int_equal(tc_image_open_memory(b.data, b.bytes, &b.im), 0);
    assert_int_equal(b.im.reason, TC_R_FOREIGN_CLASS);
    close_built(&b);
    elf_sh(d, "gcc -c m.c -o m.o");
    b = open_built(d, "m.o");
    assert_int_equal(b.im.reason, TC_R_MALFORMED_ELF);
    close_built(&b);
    assert_int_equal(tc_image_open_memory("#!/bin/sh", 8, &im), 0);
    assert_int_equal(im.reason, TC_R_MALFORMED_ELF);
    tc_image_close(&im);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(static_and_exported_functions_are_found),
        cmocka_unit_test(stripped_objects_have_exported_functions_only),
        cmocka_unit_test(section_headers_arent_needed),
        cmocka_unit_test(assembly_without_size_takes_its_unwind_entry),
        cmocka_unit_test(names_of_several_functions_are_ambiguous),
        cmocka_unit_test(default_versions_are_preferred),
        cmocka_unit_test(clones_are_other_names),
        cmocka_unit_test(cold_pieces_belong_to_the_function),
        cmocka_unit_test(ifuncs_are_their_resolvers),
        cmocka_unit_test(branches_into_windows_are_refused),
        cmocka_unit_test(whole_objects_are_refused),
    };
    if (!elf_have("gcc"))
        return 77;
    return cmocka_run_group_tests(tests, elf_dir_setup, elf_dir_teardown);
}
