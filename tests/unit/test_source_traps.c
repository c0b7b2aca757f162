/*
 * TASK_SOURCE: changes of a function's meaning that its own bytes and the place of what it refers
 * to don't show. Each was a false hit once, or is the neighbour of one.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "service/resolve/source.h"
#include "tests/unit/elf_fixture.h"

#define ASM_END ".section .note.GNU-stack,\"\",@progbits\n"
#define ASM_F   ".text\n.globl f\n.type f,@function\nf: "
#define ASM_DATA                                                                           \
    ".size f,.-f\n.globl main\nmain: ret\n.section .rodata\n.balign 64\n.type a,@object\n" \
    ".size a,8\na: .quad 5\n"
#define TAB                                                 \
    "static const int tab[8] = {1, 2, 3, 4, 5, K, 7, 8};\n" \
    "int main(void) { return 0; }\n"
#define LIST(type)                                                                           \
    "struct e { int a, b; };\n"                                                              \
    "#define E(n, v) static " type " n __attribute__((section(\"list\"), used)) = {v, v};\n" \
    "E(a1, 1) E(a2, 2) E(a3, 3) E(a4, 4) E(a5, 5) E(a6, K) E(a7, 7) E(a8, 8) E(a9, 9)\n"     \
    "#define HIDDEN __attribute__((visibility(\"hidden\")))\n"                               \
    "extern " type " __start_list[] HIDDEN, __stop_list[] HIDDEN;\n"                         \
    "int f(int k) { int s = 0;\n"                                                            \
    "for (" type " *p = __start_list; p < __stop_list; p++) s = s * k + p->a; return s; }\n" \
    "int main(void) { return f(1); }\n"

/* `f` of two builds, with K defined as 1 and as 2. `flags` are tried one by one: a word each of
 * `builds` begins with 'g' (gcc) or 'c' (clang). */
static const struct trap {
    const char *name, *suffix, *source;
    const char *builds[6];
} traps[] = {
    {"a table that is read downwards from its end",
     "c",
     "static const int y[8] = {9, 9};\n" TAB "int f(long i) { return (tab + 8)[i]; }\n"
     "int g(long i) { return y[i]; }\n",
     {"g-fPIC -shared", "c-fPIC -shared", "g-fPIC -shared -s", "g-no-pie -fno-pie"}},
    {"tab[9-i]: an address beyond the end",
     "c",
     "static const int y[80] = {9, 9};\n" TAB "int f(long i) { return tab[9 - i]; }\n"
     "int g(long i) { return y[i]; }\n",
     {"g-fPIC -shared", "c-fPIC -shared", "g-fPIC -shared -s", "g-no-pie -fno-pie"}},
    {"the same, in the middle of something else",
     "S",
     ASM_F "lea tab+36(%rip),%rax\nneg %rdi\nmov (%rax,%rdi,4),%eax\nret\n" ASM_DATA
           "tab: .long 1,2,3,4,5,K,7,8\n.size tab,32\n.type tab,@object\n"
           ".type y,@object\n.size y,64\ny: .zero 64\n" ASM_END,
     {"g-shared"}},
    {"digits of a string literal, backwards",
     "c",
     "#if K == 1\n#define S \"0123456789abcdef\"\n#else\n#define S \"0123X56789abcdef\"\n#endif\n"
     "int f(long i) { return S[15 - i]; }\nint main(void) { return 0; }\n",
     {"g-fPIC -shared", "c-fPIC -shared", "g-fPIC -shared -s", "g-no-pie -fno-pie"}},
    {"a loop from the end of a table, stripped",
     "c",
     TAB "int f(int k) { int s = 0; for (const int *p = tab + 8; p > tab;) s = s * k + *--p;\n"
         "return s; }\n",
     {"g-fPIC -shared -s", "c-fPIC -shared -s", "g-fPIC -shared"}},
    {"the large code model: addresses as differences",
     "c",
     TAB "int f(long i) { return tab[i]; }\n",
     {"g-fPIC -shared -mcmodel=large", "c-fPIC -shared -mcmodel=large",
      "g-fPIE -pie -mcmodel=large", "g-fno-pie -no-pie -mcmodel=large"}},
    {"the medium code model",
     "c",
     "static const int tab[80000] = {1, 2, K};\nint f(long i) { return tab[i]; }\n"
     "int main(void) { return 0; }\n",
     {"g-fPIC -shared -mcmodel=medium", "c-fPIC -shared -mcmodel=medium",
      "g-fno-pie -no-pie -mcmodel=medium"}},
    {"another variable of the thread, by a module and an offset",
     "c",
     "__attribute__((visibility(\"hidden\"))) __thread int a = 1, b = 1;\n"
     "int *g(void) { return K == 1 ? &a : &b; }\nint f(void) { return K == 1 ? a : b; }\n",
     {"g-fPIC -shared", "c-fPIC -shared", "g-fPIC -shared -ftls-model=global-dynamic",
      "g-fPIC -shared -mtls-dialect=gnu2"}},
    {"the types that are caught",
     "cc",
     "struct A { int x; };\nstruct B { int y; };\nextern \"C\" void h();\n"
     "#if K == 1\n#define ONE A\n#define TWO B\n#else\n#define ONE B\n#define TWO A\n#endif\n"
     "extern \"C\" int f() { try { h(); } catch (ONE &) { return 1; } catch (TWO &) { return 2; }\n"
     "return 3; }\nextern \"C\" void g(int i) { if (i) throw A(); throw B(); }\n",
     {"g-fPIC -shared", "c-fPIC -shared", "g-fPIC -shared -s", "g-fPIC -shared -O0"}},
    {"which calls are inside of try",
     "cc",
     "extern \"C\" void h(), h2();\n#if K == 1\n"
     "extern \"C\" int f() { try { h(); h2(); } catch (...) { return 1; } return 3; }\n#else\n"
     "extern \"C\" int f() { h(); try { h2(); } catch (...) { return 1; } return 3; }\n#endif\n",
     {"g-fPIC -shared", "c-fPIC -shared"}},
    {"what a handler does that was split off",
     "cc",
     "extern \"C\" void h(); extern \"C\" void cold(int) __attribute__((cold));\n"
     "extern \"C\" int f() { try { h(); } catch (...) { cold(K); return 1; } return 3; }\n",
     {"g-fPIC -shared", "c-fPIC -shared"}},
    {"a pointer in a packed struct",
     "c",
     "struct __attribute__((packed)) S { char c; const char *s; };\n"
     "#if K == 1\n#define T \"beta\"\n#else\n#define T \"betA\"\n#endif\n"
     "static const struct S s[3] = {{1, \"alpha\"}, {2, T}, {3, \"gamma\"}};\n"
     "const char *f(long i) { return s[i].s; }\nint main(void) { return 0; }\n",
     {"g-fno-pie -no-pie", "c-fno-pie -no-pie", "g-fPIC -shared"}},
    {"a list that the linker makes of a section",
     "c",
     LIST("const struct e"),
     {"g-fPIC -shared", "c-fPIC -shared", "c-fno-pie -no-pie", "g-fPIC -shared -s"}},
    {"the same, of writable data", "c", LIST("struct e"), {"g-fPIC -shared", "c-fno-pie -no-pie"}},
    {"wide strings that share their ends",
     "c",
     "#if K == 1\n#define X L\".txt\"\n#else\n#define X L\".png\"\n#endif\n"
     "extern long h(const __WCHAR_TYPE__ *);\n"
     "long f(void) { return h(L\"foo\" X); }\nlong g(void) { return h(X); }\n",
     {"g-fPIC -shared", "c-fPIC -shared"}},
    {"16-bit strings that share their ends",
     "c",
     "#if K == 1\n#define X u\".txt\"\n#else\n#define X u\".png\"\n#endif\n"
     "extern long h(const __CHAR16_TYPE__ *);\n"
     "long f(void) { return h(u\"foo\" X); }\nlong g(void) { return h(X); }\n",
     {"g-fPIC -shared", "c-fPIC -shared"}},
    {"another callee, to which an alias went along",
     "c",
     "extern int q(int);\n#define NI __attribute__((noinline))\n"
     "NI int b1(int x) { return q(x) * 3; }\nNI int c1(int x) { return q(x) * 5; }\n#if K == 1\n"
     "int a1(int) __attribute__((alias(\"b1\")));\nint f(int x) { return b1(x) + 1; }\n#else\n"
     "int a1(int) __attribute__((alias(\"c1\")));\nint f(int x) { return c1(x) + 1; }\n#endif\n",
     {"g-fPIC -shared -fvisibility=hidden", "g-fPIC -shared -Wl,-Bsymbolic"}},
    {"another datum of the same contents",
     "c",
     "extern int h(const void *);\nstatic const char a[1], b[1];\n"
     "int f(void) { return h(K == 1 ? a : b); }\nint g(void) { return h(a) + 2 * h(b); }\n",
     {"g-fPIC -shared", "c-fPIC -shared"}},
    {"a loop of OpenMP",
     "c",
     "int f(int *x) {\n#pragma omp parallel for\nfor (int i = 0; i < 100; i++) x[i] *= K + 4;\n"
     "return 0; }\nint main(void) { int x[100] = {0}; return f(x); }\n",
     {"g-fopenmp -fPIC -shared", "g-fopenmp", "g-fopenmp -O0"}},
    {"a nested function",
     "c",
     "extern int h(int (*)(int));\n"
     "int f(int n) { __attribute__((noinline)) int inner(int i) { return i * n + K; }\n"
     "return h(inner); }\n",
     {"g-fPIC -shared", "g-fPIC -shared -O0"}},
    {"a lambda",
     "cc",
     "extern \"C\" int h(int (*)(int));\n"
     "extern \"C\" int f() { return h([](int i) { return i + K; }); }\n",
     {"g-fPIC -shared", "c-fPIC -shared", "g-fPIC -shared -O0"}},
    {"a member of a local class of an inline function",
     "cc",
     "struct B { virtual int q(int); };\nextern \"C\" int h(B *);\n"
     "inline int g() { struct D : B { int q(int i) override { return i + K; } } d; return h(&d); "
     "}\n"
     "extern \"C\" int f() { return g(); }\n",
     {"g-fPIC -shared"}},
    {"code that goes on into other code",
     "S",
     ASM_F
     "xor %eax,%eax\n.size f,.-f\n.type g,@function\ng: mov $K,%eax\nret\n.size g,.-g\n" ASM_END,
     {"g-shared"}},
    {"the value of an absolute symbol",
     "S",
     ASM_F "mov foo@GOTPCREL(%rip),%rax\nret\n.size f,.-f\n.globl foo\n.set foo,K\n" ASM_END,
     {"g-shared"}},
    {"a datum that is reached through another one's address",
     "S",
     ASM_F "lea a(%rip),%rax\nmov 100(%rax,%rdi,4),%eax\nret\n" ASM_DATA
           ".zero 92\n.type b,@object\n.size b,16\nb: .long 1,2,K,4\n" ASM_END,
     {"g-shared"}},
    {"an address on the stack that is computed with",
     "S",
     ASM_F "movq $tab-4,-8(%rsp)\nmov -8(%rsp),%rax\nmov (%rax,%rdi,4),%eax\nret\n" ASM_DATA
           ".type tab,@object\n.size tab,16\ntab: .long 1,2,K,4\n" ASM_END,
     {"g-no-pie"}},
    {"data behind a function, from an address in it",
     "S",
     ASM_F "lea 1f(%rip),%rax\nadd $32,%rax\nmov (%rax),%eax\nret\n1:\n.size f,.-f\n.zero 32\n"
           ".long K\n" ASM_END,
     {"g-shared"}},
    {"a loop that counts in half a register",
     "S",
     ASM_F "mov %rdi,%rcx\n1: inc %rax\n#if K == 2\n.byte 0x67\n#endif\nloop 1b\nret\n"
           ".size f,.-f\n" ASM_END,
     {"g-shared"}},
    {"a gather",
     "S",
     ASM_F "vgatherdps %ymm2,tab(,%ymm1,4),%ymm0\nret\n" ASM_DATA
           ".type tab,@object\n.size tab,16\ntab: .long 1,2,K,4\n" ASM_END,
     {"g-no-pie"}},
    {"an address of 64 bits",
     "S",
     ASM_F "movabs tab,%eax\nret\n" ASM_DATA "tab: .long K\n.size tab,4\n" ASM_END,
     {"g-no-pie"}},
};

static void digest_of(const struct elf_dir *d, struct tc_source *ret)
{
    struct tc_function f;
    struct tc_image im;
    struct tc_map m;
    char path[512];
    int fd;

    elf_path(d, "object", path, sizeof path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(tc_image_open_fd(fd, path, &im), 0);
    (void)close(fd);
    assert_int_equal(tc_map_open(&im, &m), 0);
    (void)tc_function_find(&im, "f", "", &f);
    assert_int_equal(f.reason, 0);
    assert_int_equal(tc_source_make(&m, (struct tc_piece){f.vaddr, f.bytes}, TC_SOURCE_OWN, ret),
                     0);
    tc_map_close(&m);
    tc_image_close(&im);
}

static void check(const struct elf_dir *d, const struct trap *t, const char *build)
{
    int plus = strcmp(t->suffix, "cc") == 0;
    const char *compiler = build[0] == 'g' ? plus ? "g++" : "gcc" : plus ? "clang++" : "clang";
    struct tc_source made[2];
    char command[512];

    if (!elf_have(compiler))
        return;
    for (int k = 0; k < 2; k++) {
        (void)snprintf(command, sizeof command, "%s -w -O2 %s -DK=%d -o object trap.%s", compiler,
                       build + 1, k + 1, t->suffix);
        elf_sh(d, command);
        digest_of(d, &made[k]);
    }
    if (memcmp(made[0].digest, made[1].digest, 16) == 0)
        fail_msg("FALSE HIT: %s: %s %s", t->name, compiler, build + 1);
    tc_source_free(&made[0]);
    tc_source_free(&made[1]);
}

static void each_change_is_seen(void **state)
{
    for (size_t i = 0; i < sizeof traps / sizeof traps[0]; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "trap.%s", traps[i].suffix);
        elf_write(*state, name, traps[i].source);
        for (size_t k = 0; k < 6 && traps[i].builds[k] != NULL; k++)
            check(*state, &traps[i], traps[i].builds[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_change_is_seen, elf_dir_setup, elf_dir_teardown),
    };

    if (!elf_have("gcc"))
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
