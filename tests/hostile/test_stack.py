"""What a hit takes of the caller's stack: 2 KiB at most, however the inputs are reached."""
import re

from harness import TESTS, Failure, equal

SOURCE = r"""
#include <stdint.h>
#include "body.h"

struct point { double x, y; };
struct table { int rows, columns; const double **cell; const char **name; const struct point **point; };
struct calls { int n; int (*f[2])(int); };

EXPORTED_TASK(double scalars(int a, double b))
{
    body_ran("scalars");
    return a * b;
}
EXPORTED_TASK(double array(const double *x, int n))
{
    body_ran("array");
    return x[0] + x[n - 1];
}
EXPORTED_TASK(void inside(const int *x, int *to, int n))
{
    body_ran("inside");
    for (int i = 0; i < n; i++)
        to[i] = x[i] + i;
}
EXPORTED_TASK(int words(const char **w, int n))
{
    body_ran("words");
    return (int)strlen(w[0]) + (int)strlen(w[n - 1]);
}
EXPORTED_TASK(double rows(const double **a, int n, int m))
{
    body_ran("rows");
    return a[0][0] + a[n - 1][m - 1];
}
EXPORTED_TASK(double through(const struct table *t))
{
    body_ran("through");
    return t->cell[t->rows - 1][t->columns - 1] + t->name[0][0] + t->point[1]->y;
}
EXPORTED_TASK(int by_pointer(int (*f)(int), int x))
{
    body_ran("by_pointer");
    return f(x);
}
EXPORTED_TASK(int by_member(struct calls c, int x))
{
    body_ran("by_member");
    return c.f[0](x) + c.f[1](x);
}
EXPORTED_TASK(int by_elements(const struct calls *c, int n, int x))
{
    body_ran("by_elements");
    return c[0].f[0](x) + c[n - 1].f[1](x);
}
EXPORTED_TASK(int from_file(const char *path))
{
    char c[8] = "";
    int fd = open(path, O_RDONLY);
    body_ran("from_file");
    if (read(fd, c, sizeof c) < 0)
        _exit(98);
    close(fd);
    return c[0];
}
EXPORTED_TASK(int named(int x))
{
    body_ran("named");
    return x + 7;
}
EXPORTED_TASK(int in_run(int x))
{
    body_ran("in_run");
    return x + 8;
}
EXPORTED_TASK(int alone(int x))
{
    body_ran("alone");
    return x + 9;
}
EXPORTED_TASK(struct point made(double x))
{
    body_ran("made");
    return (struct point){x, -x};
}

EXPORTED_TASK(int secret(const char *word, int n))
{
    body_ran("secret");
    return word[0] + n;
}
EXPORTED_TASK(const int *lent(int x))
{
    static int v[4];
    body_ran("lent");
    for (int i = 0; i < 4; i++)
        v[i] = x + i;
    return v;
}
EXPORTED_TASK(long double wide(long double x, double _Complex c))
{
    body_ran("wide");
    return x + (double)c;
}
EXPORTED_TASK(void sparse(const double *a, int n, int m, int lda, double *to, int ldb))
{
    body_ran("sparse");
    for (int i = 0; i < n; i++)
        for (int k = 0; k < m; k++)
            to[i * ldb + k] = a[i * lda + k];
}
EXPORTED_TASK(void large(int x, char *to, int n))
{
    body_ran("large");
    memset(to, x, (size_t)n);
}
EXPORTED_TASK(void changed(char *at, int n))
{
    body_ran("changed");
    memset(at, 7, (size_t)n);
}
EXPORTED_TASK(int in_flow(const char *word, int x))
{
    body_ran("in_flow");
    return word[0] + x;
}

static int twice(int x) { return 2 * x; }
static int less(int x) { return x - 1; }

static const char *path;
#ifdef __x86_64__
#define STACK_POINTER "mov %%rsp, %0"
#else
#define STACK_POINTER "mov %0, sp"
#endif
static uintptr_t here;
static volatile double sum;
#define CALL(name, ...) \
    __attribute__((noinline)) static void call_##name(void) \
    { \
        __asm__ volatile(STACK_POINTER : "=r"(here)); \
        __VA_ARGS__; \
        sum += 1; \
    }

static const double numbers[4] = {1, 2, 3, 4};
static const double *const row[2] = {numbers, numbers + 2};
static const char *const word[2] = {"one", "another"};
static const struct point points[2] = {{1, 2}, {3, 4}};
static const struct point *const point[2] = {&points[0], &points[1]};
static const struct table table = {2, 2, (const double **)row, (const char **)word, (const struct point **)point};
static const struct calls calls[2] = {{2, {twice, less}}, {2, {less, twice}}};

CALL(scalars, sum += scalars(3, 0.5))
CALL(array, sum += array(numbers, 4))
CALL(inside, int v[4] = {1, 2, 3, 4}; inside(v, v, 4); sum += v[3])
CALL(words, sum += words((const char **)word, 2))
CALL(rows, sum += rows((const double **)row, 2, 2))
CALL(through, sum += through(&table))
CALL(by_pointer, sum += by_pointer(twice, 4))
CALL(by_library, sum += by_pointer(abs, 4))
CALL(by_member, sum += by_member(calls[0], 4))
CALL(by_elements, sum += by_elements(calls, 2, 4))
CALL(from_file, sum += from_file(path))
CALL(named, sum += named(5))
CALL(in_run, sum += in_run(5))
CALL(alone, sum += alone(5))
CALL(made, sum += made(5).y)
CALL(secret, sum += secret("word", 5))
CALL(lent, sum += lent(5)[3])
CALL(wide, sum += wide(5, 6))
CALL(sparse, double to[6]; sparse(numbers, 2, 1, 2, to, 3); sum += to[0] + to[3])
static char much[600000];
CALL(large, large(5, much, 600000); sum += much[599999])
CALL(changed, memset(much, 0, 300000); changed(much, 300000); sum += much[299999])
CALL(in_flow, sum += in_flow("word", 5))

#define WATCHED 32768

/* How far the stack was written to below where `call` has it. */
__attribute__((noinline)) static size_t depth_of(void (*call)(void))
{
    volatile unsigned char *low = (volatile unsigned char *)__builtin_frame_address(0) - WATCHED - 512;
    size_t i;

    for (i = 0; i < WATCHED; i++)
        low[i] = 0xd3;
    call();
    for (i = 0; i < WATCHED && low[i] == 0xd3; i++)
        ;
    return here - (uintptr_t)(low + i);
}

static void measure(const char *name, void (*call)(void))
{
    size_t most = 0;

    call(); /* a function's source is asked for once */
    for (int i = 0; i < 40; i++) {
        size_t n = depth_of(call);
        most = n > most ? n : most;
    }
    fprintf(stderr, "%s %zu\n", name, most);
}
#define MEASURE(name) measure(#name, call_##name)

EXPORTED_TASK(int flow(int x))
{
    MEASURE(in_flow);
    return x;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 1;
    path = argv[1];
    MEASURE(scalars);
    MEASURE(array);
    MEASURE(inside);
    MEASURE(words);
    MEASURE(rows);
    MEASURE(through);
    MEASURE(by_pointer);
    MEASURE(by_library);
    MEASURE(by_member);
    MEASURE(by_elements);
    MEASURE(from_file);
    MEASURE(named);
    MEASURE(in_run);
    MEASURE(alone);
    MEASURE(made);
    MEASURE(secret);
    MEASURE(lent);
    MEASURE(wide);
    MEASURE(sparse);
    MEASURE(large);
    MEASURE(changed);
    (void)flow(1);
    printf("%a\n", sum);
    return 0;
}
"""

CONFIG = """
policies: { strict: { policy: INPUTS, isolation_level: SERIALIZABLE } }
defaults: { cache_policy: INPUTS + TASK_SOURCE }
flows:
  - symbol: flow
    prototype: |
      int flow(int x)
types: |
  struct point { double x, y; };
  struct table { int rows, columns; double (*cell[rows])[columns]; const char *name[rows]; struct point (*point[rows])[1]; };
  struct calls { int n; int (*f[2])(int); };
tasks:
  - symbol: scalars
    prototype: |
      double scalars(int a, double b)
  - symbol: array
    prototype: |
      double array(const double x[n], int n)
  - symbol: inside
    prototype: |
      void inside(const int x[n], out int to[n], int n)
  - symbol: words
    prototype: |
      int words(const char *w[n], int n)
  - symbol: rows
    prototype: |
      double rows(const double (*a[n])[m], int n, int m)
  - symbol: through
    prototype: |
      double through(in struct table *t)
  - symbol: by_pointer
    prototype: |
      int by_pointer(int (*f)(int), int x)
  - symbol: by_member
    prototype: |
      int by_member(struct calls c, int x)
  - symbol: by_elements
    prototype: |
      int by_elements(const struct calls c[n], int n, int x)
  - symbol: from_file
    prototype: |
      int from_file(file const char *path)
  - symbol: named
    prototype: |
      int named(int x)
    result_storage_key: 'named {x}'
  - symbol: in_run
    prototype: |
      int in_run(int x)
    cache_policy: INPUTS + RUN_ID + FLOW_PARAMETERS
  - symbol: alone
    prototype: |
      int alone(int x)
    cache_policy: strict
  - symbol: secret
    prototype: |
      int secret(const char *word, int n)
    private: true
  - symbol: lent
    prototype: |
      static(4) const int *lent(int x)
  - symbol: wide
    prototype: |
      long double wide(long double x, double _Complex c)
  - symbol: sparse
    prototype: |
      void sparse(const double a[n][m : lda], int n, int m, int lda, out double to[n][m : ldb], int ldb)
  - symbol: large
    prototype: |
      void large(int x, out char to[n], int n)
  - symbol: changed
    prototype: |
      void changed(inout char at[n], int n)
  - symbol: in_flow
    prototype: |
      int in_flow(const char *word, int x)
    cache_policy: INPUTS + FLOW_PARAMETERS
  - symbol: made
    prototype: |
      struct point made(double x)
"""


def test_a_hit_takes_2_kib_of_stack_at_most(t):
    program = t.cc(SOURCE, "stack", flags=("-O2", "-rdynamic", f"-I{TESTS / 'programs'}"))
    config, argv = t.config(CONFIG), [program, t.write("input", "x")]
    bare = t.bare(argv)
    t.bodies()
    t.run(argv, config)
    t.bodies()
    for pad in range(0, 64, 16):  # where the stack begins, and so how much goes into aligning ours
        r = t.run(argv, config, env={"TASKCACHE_RUN_ID": f"run {pad}", "PAD": "x" * pad})
        equal((r.text, t.bodies()), (bare.text, 1), "all but the one of this run alone are replayed")
        found = {name: int(n) for name, n in re.findall(r"^(\w+) (\d+)$", r.errors, re.M)}
        if len(found) != 22 or max(found.values()) > 2048:
            raise Failure(r.errors)
