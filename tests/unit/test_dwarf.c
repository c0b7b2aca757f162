/*
 * Prototypes from debug information, by compilers, levels and languages: what is taken, what is
 * refused and with which words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "service/resolve/debug_file.h"
#include "tests/unit/dwarf_fixture.h"

#define N "__attribute__((noinline)) "

static const char source[] =
    "#include <stdlib.h>\n"
    "#include <stdint.h>\n"
    "struct pair { int a, b; };\n"
    "volatile int sink, source;\n"
    "static " N "double mean(const double *x, int n) {\n"
    "  double s = 0; for (int i = 0; i < n; i++) s += x[i]; sink++; return s / n; }\n"
    "static " N "long many(int a, unsigned char b, short c, long d, float e, double f, bool_t g,\n"
    "    uint8_t *h, size_t i, char j, int k, double l) {\n"
    "  sink = a + b + c + d + (int)e + (int)f + g + h[i - 1] + j + k + (int)l;\n"
    "  return a * 2 + k + j + i + (long)(l * e); }\n"
    "static " N "int dropped(int *p, int n) { for (int i = 0; i < n; i++) p[i] += source;\n"
    "  return n * source; }\n"
    "static " N "int pointed(int *p, int n) { for (int i = 0; i < n; i++) p[i] += source;\n"
    "  return n * source + 1; }\n"
    "int (*volatile table)(int *, int) = pointed;\n"
    "static " N "int unused(int a, int extra, int b) { sink++; return a - b * source; }\n"
    "static " N "void cold(int n) { sink += n; if (__builtin_expect(n == source, 0)) {\n"
    "  sink = 3; abort(); } sink += n / 3; }\n"
    "int public_unused(int a, int debug, int b) { return a * b; }\n"
    "int public_sum(const int *v, int n) { int s = 0; while (n-- > 0) s += v[n]; return s; }\n"
    "int logged(const char *format, ...) { return format[0]; }\n"
    "int named(const char *name, void *data, struct pair *p, int (*f)(int)) {\n"
    "  return name[0] + *(char *)data + p->a + f(3); }\n"
    "int main(int c, char **v) {\n"
    "  double x[4] = {c, 2, 3, source}; int p[9] = {c}; uint8_t h[3] = {1, 2, (uint8_t)c};\n"
    "  sink = (int)mean(x, c + source) + (int)mean(x, 3);\n"
    "  sink += many(c, c, c, c, (float)c, c, c > 1, h, (size_t)c, (char)c, c, c + source);\n"
    "  sink += many(1 + source, 2, 3, 4, 5, 6, 0, h, 2, 9, 10, 11);\n"
    "  dropped(p, c); dropped(p + 2, source); sink += table(p, c);\n"
    "  pointed(p, 2); pointed(p, source);\n"
    "  sink += unused(c, 2, source) + unused(source, 5, c); cold(c); cold(source);\n"
    "  return 0; }\n";

static void compile(const struct elf_dir *d, const char *command)
{
    char line[700];

    elf_write(d, "p.c", source);
    (void)snprintf(line, sizeof line, "%s -Dbool_t=_Bool -Wno-all -fno-ipa-cp -o p p.c", command);
    if (strncmp(command, "clang", 5) == 0)
        (void)snprintf(line, sizeof line, "%s -Dbool_t=_Bool -w -o p p.c", command);
    elf_sh(d, line);
}

static const char *const builds[] = {
    "gcc -g -O0",       "gcc -g -O1",          "gcc -g -O2",
    "gcc -g -O3",       "gcc -gdwarf-4 -O2",   "gcc -g -Os",
    "gcc -g -O2 -flto", "gcc -g -O0 -no-pie",  "gcc -g -O2 -fcf-protection=none",
    "gcc -g -gz -O1",   "clang -g -O0",        "clang -g -O1",
    "clang -g -O2",     "clang -gdwarf-4 -O3", "clang -g -O2 -no-pie",
};

static void local_functions_of_all_builds(void **state)
{
    static const struct dwarf_task mean = {
        .symbol = "mean", .params = {"x", "in [n]"}, .success = "return >= 0"};
    static const struct dwarf_task many = {.symbol = "many", .params = {"h", "inout [i]"}};
    static const struct dwarf_task cold = {.symbol = "cold"};
    const struct elf_dir *d = *state;
    struct dwarf_outcome o;

    if (!elf_have("clang"))
        skip();
    for (size_t i = 0; i < sizeof builds / sizeof builds[0]; i++) {
        compile(d, builds[i]);
        dwarf_expect(d, "p", &mean, TC_R_NONE, builds[i], &o);
        assert_string_equal(o.prototype, "double mean(const double x[n], int n)");
        dwarf_expect(d, "p", &many, TC_R_NONE, builds[i], &o);
        assert_string_equal(o.prototype,
                            "long many(int a, unsigned char b, short c, long d, float e, double f, "
                            "bool g, inout unsigned char h[i], unsigned long i, char j, int k, "
                            "double l)");
        dwarf_expect(d, "p", &cold, TC_R_NONE, builds[i], &o);
        assert_string_equal(o.prototype, "void cold(int n)");
    }
}

/* Neither compiler says in a name or type that it removed a parameter or a result. */
static void what_compilers_remove(void **state)
{
    static const struct dwarf_task unused = {.symbol = "unused"};
    static const struct dwarf_task written = {.symbol = "unused",
                                              .prototype = "int unused(int a, int extra, int b)"};
    static const struct dwarf_task dropped = {.symbol = "dropped", .params = {"p", "inout [n]"}};
    static const struct dwarf_task judged = {
        .symbol = "dropped", .params = {"p", "inout [n]"}, .success = "return == 0"};
    static const struct dwarf_task written_judged = {.symbol = "dropped",
                                                     .prototype =
                                                         "int dropped(inout int p[n], int n)",
                                                     .success = "return == 0"};
    static const struct dwarf_task pointed = {
        .symbol = "pointed", .params = {"p", "inout [n]"}, .success = "return == 0"};
    static const char *const optimized[] = {"gcc -g -O2", "clang -g -O2"};
    const struct elf_dir *d = *state;
    struct dwarf_outcome o;

    if (!elf_have("clang"))
        skip();
    for (int i = 0; i < 2; i++) {
        compile(d, optimized[i]);
        dwarf_expect(d, "p", &unused, TC_R_PROTOTYPE_ABI_MISMATCH, optimized[i], &o);
        dwarf_expect(d, "p", &written, TC_R_PROTOTYPE_ABI_MISMATCH, optimized[i], &o);
        assert_string_equal(o.detail, "the compiler removed 'extra'");
        dwarf_expect(d, "p", &judged, TC_R_RETURN_DROPPED, optimized[i], &o);
        dwarf_expect(d, "p", &written_judged, TC_R_RETURN_DROPPED, optimized[i], &o);
        dwarf_expect(d, "p", &dropped, TC_R_NONE, optimized[i], &o);
        dwarf_expect(d, "p", &pointed, TC_R_NONE, optimized[i], &o);
    }
    compile(d, "gcc -g -O0");
    dwarf_expect(d, "p", &unused, TC_R_NONE, "-O0", &o);
    dwarf_expect(d, "p", &written, TC_R_NONE, "-O0", &o);
    dwarf_expect(d, "p", &judged, TC_R_NONE, "-O0", &o);
}

/* In two registers, in one, on the stack; of the types that the config declares. */
static void structs_by_value(void **state)
{
    static const struct dwarf_task dot = {
        .symbol = "dot",
        .types = "struct two { double x; long n; }; typedef struct { float a, b; } small;\n"
                 "struct big { long v[4]; };"};
    const struct elf_dir *d = *state;
    struct dwarf_outcome o;

    elf_write(d, "s.c",
              "struct two { double x; long n; }; typedef struct { float a, b; } small;\n"
              "struct big { long v[4]; }; volatile int s;\n"
              "static __attribute__((noinline)) double dot(struct two t, int k, struct big b,\n"
              "  small c) { s++; return t.x * k + t.n + b.v[3] + c.a + c.b; }\n"
              "int main(int k, char **v) { struct two t = {k, k}; struct big b = {{k, 2, 3, k}};\n"
              "  small c = {k, 2}; s = (int)dot(t, k, b, c); t.n = s; b.v[3] = s; c.b = s;\n"
              "  s += (int)dot(t, s, b, c); return 0; }\n");
    elf_sh(d, "gcc -g -O0 -o s s.c");
    dwarf_expect(d, "s", &dot, TC_R_NONE, "structs at -O0", &o);
    assert_string_equal(o.declaration, "double dot(struct two t, int k, struct big b, small c)");
    /* Optimized code keeps members where it likes: in place or refused, never misread. */
    elf_sh(d, "gcc -g -O2 -o s s.c");
    dwarf_plan(d, "s", &dot, &o);
    assert_true(o.reason == TC_R_NONE || o.reason == TC_R_PROTOTYPE_ABI_MISMATCH);
}

/* Behind three words on the stack, aligned by 16 or by 8. What the type doesn't tell, and the place
 * in the compiled function contradicts, is refused. */
static void alignments_on_the_stack(void **state)
{
    static const struct {
        const char *type;
        int is_told;
    } cases[] = {
        {"struct { long a, b[3]; }", 1},
        {"struct { char a; int b[7]; char c[3]; } __attribute__((packed))", 1},
        {"struct { double a[4]; } __attribute__((aligned(16)))", 1},
        {"struct { long double a; char b; }", 1},
        {"struct { char a; long double b; }", 1},
        {"struct { __int128 a, b; } __attribute__((packed))", 0},
        {"struct { low a; long b[2]; }", 0},
    };
    static const char *const compilers[] = {
        "gcc -g -O1 -gdwarf-5",
        "gcc -g -O1 -gdwarf-4",
        "clang -g -O1 -gdwarf-5",
        "gcc -g -O1 -gdwarf-4 -gstrict-dwarf",
    };
    static const struct dwarf_task f = {.symbol = "f"};
    const struct elf_dir *d = *state;
    char text[700], command[200];
    struct dwarf_outcome o;

    for (size_t k = 0; k < sizeof compilers / sizeof compilers[0]; k++) {
        int strict = strstr(compilers[k], "strict") != NULL;
        if (strncmp(compilers[k], "clang", 5) == 0 && !elf_have("clang"))
            continue;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            int is_told = cases[i].is_told && !(strict && i == 2);
            (void)snprintf(text, sizeof text,
                           "typedef __int128 low __attribute__((aligned(8)));\n"
                           "struct three { long a, b, c; }; typedef %s value;\n"
                           "long f(struct three t, value v, struct three u) {"
                           " return t.a + t.c * u.b; }\n",
                           cases[i].type);
            elf_write(d, "s.c", text);
            (void)snprintf(command, sizeof command, "%s -shared -fPIC -w -o s s.c", compilers[k]);
            elf_sh(d, command);
            (void)snprintf(text, sizeof text, "%s: %s", compilers[k], cases[i].type);
            dwarf_expect(d, "s", &f, is_told ? TC_R_NONE : TC_R_PLACE_UNCERTAIN, text, &o);
        }
    }
}

static void a_written_prototype_that_is_another_one(void **state)
{
    static const struct dwarf_task longer = {
        .symbol = "mean", .prototype = "double mean(const double x[n], int n, int more)"};
    static const struct dwarf_task of_doubles = {.symbol = "mean",
                                                 .prototype = "double mean(double x, int n)"};
    static const struct dwarf_task right = {.symbol = "mean",
                                            .prototype = "double mean(const double x[n], int n)"};
    const struct elf_dir *d = *state;
    struct dwarf_outcome o;

    compile(d, "gcc -g -O1");
    dwarf_expect(d, "p", &right, TC_R_NONE, "right", &o);
    dwarf_expect(d, "p", &longer, TC_R_PROTOTYPE_ABI_MISMATCH, "longer", &o);
    assert_string_equal(o.detail, "the source declares 2 parameters, the prototype 3");
    dwarf_expect(d, "p", &of_doubles, TC_R_PROTOTYPE_ABI_MISMATCH, "doubles", &o);
}

static void what_the_config_must_say(void **state)
{
    static const struct dwarf_task bare = {.symbol = "mean"};
    static const struct dwarf_task half = {.symbol = "public_sum", .params = {"v", "in"}};
    static const struct dwarf_task unknown = {.symbol = "mean",
                                              .params = {"x", "in [n]", "y", "ignore"}};
    static const struct dwarf_task wrong = {.symbol = "mean", .params = {"x", "in [m]"}};
    static const struct dwarf_task named = {.symbol = "named"};
    static const struct dwarf_task excluding = {
        .symbol = "mean", .params = {"x", "in [n]"}, .excluded = "n"};
    static const struct dwarf_task excluding_none = {
        .symbol = "mean", .params = {"x", "in [n]"}, .excluded = "m"};
    const struct elf_dir *d = *state;
    struct dwarf_outcome o;

    compile(d, "gcc -g -O1");
    dwarf_expect(d, "p", &bare, TC_R_EXTENT_MISSING, "bare", &o);
    assert_string_equal(o.detail, "parameter 'x'");
    assert_string_equal(o.remedy, "params: { x: 'in [n]' }");
    assert_string_equal(o.declaration, "double mean(const double *x, int n)");
    dwarf_expect(d, "p", &half, TC_R_NONE, "one of them", &o);
    assert_string_equal(o.prototype, "int public_sum(const int v[1], int n)");
    dwarf_expect(d, "p", &unknown, TC_R_UNKNOWN_PARAMETER, "unknown", &o);
    dwarf_expect(d, "p", &wrong, TC_R_UNKNOWN_PARAMETER, "wrong", &o);
    dwarf_expect(d, "p", &named, TC_R_EXTENT_MISSING, "named", &o);
    assert_string_equal(o.declaration,
                        "int named(const char *name, void *data, struct pair *p, int (*f)(int))");
    assert_string_equal(o.remedy, "params: { name: 'in', data: 'inout [1]', p: 'inout', f: 'in' }");
    dwarf_expect(d, "p", &excluding, TC_R_NONE, "excluding", &o);
    assert_int_equal(o.excluded, 2);
    dwarf_expect(d, "p", &excluding_none, TC_R_NONE, "excluding none", &o);
    assert_string_equal(o.note, "the policy excludes 'm', which it doesn't have");
}

/* clang's callers pass what they like for a parameter that an exported function doesn't use. */
static void unused_parameters_of_exported_functions(void **state)
{
    static const struct dwarf_task plain = {.symbol = "public_unused"};
    static const struct dwarf_task reading = {.symbol = "public_unused", .skip = "debug > 0"};
    const struct elf_dir *d = *state;
    struct dwarf_outcome o;

    if (!elf_have("clang"))
        skip();
    compile(d, "clang -g -O2");
    dwarf_expect(d, "p", &plain, TC_R_NONE, "plain", &o);
    assert_int_equal(o.dirs[0], TC_IN);
    assert_int_equal(o.dirs[1], TC_IGNORE);
    assert_int_equal(o.dirs[2], TC_IN);
    assert_string_equal(o.note, "'debug' is unused in the compiled code: it is left out of INPUTS");
    dwarf_expect(d, "p", &reading, TC_R_PROTOTYPE_ABI_MISMATCH, "reading", &o);
    compile(d, "clang -g -O0");
    dwarf_expect(d, "p", &plain, TC_R_NONE, "-O0", &o);
    assert_int_equal(o.dirs[1], TC_IN);
    dwarf_expect(d, "p", &reading, TC_R_NONE, "-O0", &o);
}

static void what_debug_information_lacks(void **state)
{
    static const struct dwarf_task mean = {.symbol = "mean", .params = {"x", "in [n]"}};
    static const struct dwarf_task logged = {.symbol = "logged", .params = {"format", "in"}};
    static const struct dwarf_task bare = {.symbol = "public_sum"};
    const struct elf_dir *d = *state;
    struct dwarf_outcome o;

    compile(d, "gcc -O1");
    dwarf_expect(d, "p", &mean, TC_R_PROTOTYPE_MISSING, "without -g", &o);
    compile(d, "gcc -g1 -O1");
    dwarf_expect(d, "p", &mean, TC_R_PROTOTYPE_MISSING, "-g1", &o);
    dwarf_expect(d, "p", &bare, TC_R_PROTOTYPE_MISSING, "-g1", &o);
    compile(d, "gcc -g -O1");
    dwarf_expect(d, "p", &logged, TC_R_VARIADIC, "variadic", &o);
    elf_write(d, "v.c",
              "typedef float v4 __attribute__((vector_size(16))); volatile int s;\n"
              "v4 twice(v4 a) { return a + a; }\nint first(v4 a, int n) { return n + (int)a[0]; }\n"
              "int quad(__float128 x) { return (int)(x * 2); }\n"
              "int main(int c, char **v) {\n"
              "  __attribute__((noinline)) int inner(int n) { s++; return n * c; }\n"
              "  return inner(3) + inner(s); }\n");
    elf_sh(d, "gcc -g -O1 -o v v.c");
    dwarf_expect(d, "v", &(struct dwarf_task){.symbol = "twice"}, TC_R_VECTOR_TYPE, "vector", &o);
    dwarf_expect(d, "v", &(struct dwarf_task){.symbol = "first"}, TC_R_VECTOR_TYPE, "vector", &o);
    dwarf_expect(d, "v", &(struct dwarf_task){.symbol = "quad"}, TC_R_UNKNOWN_TYPE, "float128", &o);
    elf_sh(d,
           "gcc -g -O0 -o v v.c && objcopy --redefine-sym $(nm v | sed -n 's/.* t inner/inner/p')"
           "=inner v");
    dwarf_expect(d, "v", &(struct dwarf_task){.symbol = "inner"}, TC_R_PROTOTYPE_ABI_MISMATCH,
                 "nested", &o);
    assert_string_equal(o.detail, "it reads variables of the function around it");
    elf_write(d, "a.S",
              ".text\n.globl main\n.type main, @function\nmain: xor %eax, %eax\nret\n"
              ".size main, .-main\n.type local, @function\nlocal: lea (%rdi,%rsi), %eax\n"
              "add $3, %eax\nret\n.size local, .-local\n.section .note.GNU-stack\n");
    elf_sh(d, "gcc -g -o a a.S");
    dwarf_expect(d, "a", &(struct dwarf_task){.symbol = "local"}, TC_R_PROTOTYPE_MISSING,
                 "assembly", &o);
    dwarf_expect(d, "a",
                 &(struct dwarf_task){.symbol = "local", .prototype = "int local(int a, int b)"},
                 TC_R_NONE, "assembly", &o);
    elf_write(d, "k.c",
              "float f(x, n) float x; int n; { return x * n; }\n"
              "int g(n) int n; { return n; }\nint main(void) { return 0; }\n");
    elf_sh(d, "gcc -g -w -O0 -o k k.c");
    dwarf_expect(d, "k", &(struct dwarf_task){.symbol = "f"}, TC_R_PROTOTYPE_ABI_MISMATCH, "K&R",
                 &o);
    dwarf_expect(d, "k", &(struct dwarf_task){.symbol = "g"}, TC_R_NONE, "K&R", &o);
}

static void functions_that_are_inlined(void **state)
{
    static const char *const compilers[] = {"gcc", "clang"};
    const struct elf_dir *d = *state;
    struct dwarf_outcome o;
    char command[200];

    if (!elf_have("clang"))
        skip();
    elf_write(d, "i.c",
              "static inline __attribute__((always_inline)) int gone(int n) { return n * 3; }\n"
              "int kept(int n) { return n * 5 + n / 3; }\n"
              "volatile int s;\n"
              "int main(int c, char **v) { s = gone(c) + kept(c); s += gone(s); return 0; }\n");
    for (int i = 0; i < 2; i++) {
        (void)snprintf(command, sizeof command, "%s -g -O2 -o i i.c", compilers[i]);
        elf_sh(d, command);
        dwarf_expect(d, "i", &(struct dwarf_task){.symbol = "gone"}, TC_R_INLINED_EVERYWHERE,
                     compilers[i], &o);
        assert_non_null(strstr(o.detail, " cop"));
        dwarf_expect(d, "i", &(struct dwarf_task){.symbol = "kept"}, TC_R_NONE, compilers[i], &o);
        assert_int_equal(o.inlined, 1);
        assert_string_equal(o.note, "1 inlined copy of it: calls there aren't seen");
        dwarf_expect(d, "i", &(struct dwarf_task){.symbol = "never"}, TC_R_PENDING, compilers[i],
                     &o);
    }
}

static void copies_with_a_suffix(void **state)
{
    const struct elf_dir *d = *state;
    struct dwarf_outcome o;

    elf_write(d, "c.c",
              "#include <stdlib.h>\nvolatile int s;\n"
              "static __attribute__((noinline)) int scaled(int n, int by) {\n"
              "  for (int i = 0; i < n; i++) s += rand() * by; return s; }\n"
              "int main(int c, char **v) { s = scaled(c, 7) + scaled(c + 1, 7); return 0; }\n");
    elf_sh(d, "gcc -g -O2 -o c c.c");
    dwarf_expect(d, "c", &(struct dwarf_task){.symbol = "scaled"}, TC_R_PROTOTYPE_ABI_MISMATCH,
                 "constprop", &o);
    assert_string_equal(o.detail, "the compiler removed 'by'");
    elf_sh(d, "strip -g c");
    dwarf_expect(d, "c", &(struct dwarf_task){.symbol = "scaled"}, TC_R_NOT_FOUND, "stripped", &o);
    assert_non_null(strstr(o.detail, "the compiler left only scaled.constprop.0"));
}

static void from_a_debug_file(void **state)
{
    static const struct dwarf_task mean = {.symbol = "mean", .params = {"x", "in [n]"}};
    const struct elf_dir *d = *state;
    struct dwarf_outcome o;

    compile(d, "gcc -g -O2");
    elf_sh(d, "objcopy --only-keep-debug p p.debug && strip p");
    dwarf_expect(d, "p", &mean, TC_R_PENDING, "stripped", &o);
    elf_sh(d, "objcopy --add-gnu-debuglink=p.debug p");
    dwarf_expect(d, "p", &mean, TC_R_NONE, "linked", &o);
    assert_string_equal(o.prototype, "double mean(const double x[n], int n)");
}

static void cxx(void **state)
{
    static const struct dwarf_task sum = {.symbol = "_ZN2ns3sumERKdi", .params = {"x", "in [1]"}};
    static const struct dwarf_task method = {.symbol = "_ZN2ns1C3addEi",
                                             .params = {"this", "ignore"}};
    static const struct dwarf_task text = {.symbol = "_ZN2ns4textE1S"};
    const struct elf_dir *d = *state;
    struct dwarf_outcome o;

    if (!elf_have("g++"))
        skip();
    elf_write(d, "c.cc",
              "struct S { S(const S &); ~S(); int n; };\n"
              "namespace ns {\n"
              "double sum(const double &x, int n) { return x * n; }\n"
              "struct C { int base; int add(int n); };\n"
              "int C::add(int n) { return base + n; }\n"
              "int text(S s) { return s.n; } int local_s;\n"
              "}\n"
              "S::S(const S &s) : n(s.n) {} S::~S() {}\n"
              "int main() { return 0; }\n");
    elf_sh(d, "g++ -g -O1 -o c c.cc");
    dwarf_expect(d, "c", &sum, TC_R_NONE, "sum", &o);
    assert_non_null(strstr(o.prototype, "(const double x[1], int n)"));
    dwarf_expect(d, "c", &method, TC_R_NONE, "method", &o);
    dwarf_expect(d, "c", &text, TC_R_UNSUPPORTED_TYPE, "text", &o);
}

static void fortran(void **state)
{
    static const struct dwarf_task bare = {.symbol = "axpy_"};
    static const struct dwarf_task axpy = {.symbol = "axpy_",
                                           .params = {"n", "in [1]", "a", "in [1]", "x", "in [*n]",
                                                      "y", "inout [*n]", "tag", "in [1]"}};
    static const struct dwarf_task shaped = {.symbol = "shaped_"};
    static const char *const levels[] = {"-O0", "-O2"};
    const struct elf_dir *d = *state;
    struct dwarf_outcome o;
    char command[200];

    if (!elf_have("gfortran"))
        skip();
    elf_write(d, "f.f90",
              "subroutine axpy(n, a, x, y, tag)\n"
              "  integer, intent(in) :: n\n"
              "  double precision, intent(in) :: a, x(n)\n"
              "  double precision, intent(inout) :: y(*)\n"
              "  character(len=*), intent(in) :: tag\n"
              "  y(1:n) = y(1:n) + a*x(1:n)\n"
              "  if (tag(1:1) == 'x') y(1) = 0\n"
              "end subroutine\n"
              "real function shaped(x)\n  real :: x(:)\n  shaped = x(1)\nend function\n"
              "program main\nend program\n");
    for (int i = 0; i < 2; i++) {
        (void)snprintf(command, sizeof command, "gfortran -g %s -o f f.f90", levels[i]);
        elf_sh(d, command);
        dwarf_expect(d, "f", &bare, TC_R_EXTENT_MISSING, levels[i], &o);
        assert_string_equal(o.remedy, "params: { n: 'in [1]', a: 'in [1]', x: 'in [*n]', "
                                      "y: 'in [*n]', tag: 'in [*n]' }");
        dwarf_expect(d, "f", &axpy, TC_R_NONE, levels[i], &o);
        assert_string_equal(o.prototype,
                            "void axpy_(const int n[1], const double a[1], const double x[*n], "
                            "inout double y[*n], const char tag[1], hidden long _tag)");
        dwarf_expect(d, "f", &shaped, TC_R_UNSUPPORTED_TYPE, levels[i], &o);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, elf_dir_setup, elf_dir_teardown)
    const struct CMUnitTest tests[] = {
        TEST(local_functions_of_all_builds),
        TEST(what_compilers_remove),
        TEST(structs_by_value),
        TEST(alignments_on_the_stack),
        TEST(a_written_prototype_that_is_another_one),
        TEST(what_the_config_must_say),
        TEST(unused_parameters_of_exported_functions),
        TEST(what_debug_information_lacks),
        TEST(functions_that_are_inlined),
        TEST(copies_with_a_suffix),
        TEST(from_a_debug_file),
        TEST(cxx),
        TEST(fortran),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
