"""Blocks of replays come from the program's own malloc, whatever that does: it fails, calls tasks, uses every register, jumps away, is
interrupted."""
import subprocess

from harness import contains, equal

OWN_MALLOC = r"""
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void body(const char *name)
{
    int fd = open(getenv("BODY_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (write(fd, name, strlen(name)) < 0 || write(fd, "\n", 1) < 0)
        abort();
    close(fd);
}
#define TASK __attribute__((noinline, noclone))

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void __libc_free(void *);
static int inside, fail_next, mine, freed;

TASK char *label(int n)
{
    body("label");
    char *s = malloc(32);
    if (s != NULL)
        sprintf(s, "label %d", n);
    return s;
}

/* An allocator with a header of its own, which calls a task while it is at work. */
void *malloc(size_t n)
{
    if (inside || getenv("BODY_LOG") == NULL)
        goto plain;
    inside = 1;
    if (fail_next) {
        fail_next = inside = 0;
        return NULL;
    }
    char *s = label(1000);
    if (strcmp(s, "label 1000") != 0)
        abort();
    free(s);
    inside = 0;
plain:;
    size_t *p = __libc_malloc(n + 16);
    p[0] = 0x6d696e65;
    mine++;
    return p + 2;
}
void free(void *p)
{
    if (p == NULL)
        return;
    size_t *q = (size_t *)p - 2;
    if (q[0] != 0x6d696e65)
        abort();
    q[0] = 0;
    freed++;
    __libc_free(q);
}
void *calloc(size_t a, size_t b)
{
    void *p = malloc(a * b);
    return memset(p, 0, a * b);
}
void *realloc(void *p, size_t n)
{
    void *q = malloc(n);
    if (p != NULL) {
        memcpy(q, p, n < 8 ? n : 8);
        free(p);
    }
    return q;
}

int main(void)
{
    for (int i = 0; i < 4; i++) {
        char *s = label(i % 2);
        printf("%s\n", s);
        free(s);
    }
    fail_next = 1;
    char *s = label(1);
    printf("%s\n", s == NULL ? "none" : s);
    free(s);
    s = label(1);
    printf("%s\n", s);
    free(s);
    return 0;
}
"""

LABEL = """
tasks:
  - symbol: label
    prototype: |
      malloc char *label(int n)
    success: return != NULL
    cache_policy: INPUTS
"""


def test_a_programs_own_malloc_that_calls_a_task(t):
    p = t.cc(OWN_MALLOC, "ownmalloc", ("-O1", "-rdynamic", "-fno-builtin"))
    config = t.config(LABEL)
    bare = t.bare([p]).text
    contains(bare, "none")
    for _ in range(3):
        r = t.run([p], config)
        # On a hit our call of malloc is the one that fails: the function runs, and finds memory.
        equal((r.text.replace("none", "label 1"), r.errors), (bare.replace("none", "label 1"), ""))
    equal(t.bodies() > 0, True)
    t.run([p], config)
    equal(t.bodies(), 6, "within malloc and for want of memory")


LIVE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned runs;
static int hot;

/* A malloc that spoils whatever registers it may. */
void *__libc_malloc(size_t);
void *malloc(size_t n)
{
    void *p = __libc_malloc(n);
    if (hot)
        __asm__ volatile("vpcmpeqd %%ymm0, %%ymm0, %%ymm0\n\tvmovaps %%ymm0, %%ymm1\n\tvmovaps %%ymm0, %%ymm2\n\t"
                         "vmovaps %%ymm0, %%ymm3\n\tvmovaps %%ymm0, %%ymm4\n\tvmovaps %%ymm0, %%ymm5\n\t"
                         "vmovaps %%ymm0, %%ymm8\n\tvmovaps %%ymm0, %%ymm12\n\tvmovaps %%ymm0, %%ymm15\n\tvzeroupper"
                         ::: "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm8", "xmm12", "xmm15",
                         "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11");
    return p;
}

static char room[64][16];

/* Local: its callers know which registers it leaves alone. It takes a block from a free list, as a
 * call of malloc would make the compiler forget all. */
__attribute__((noinline, noclone)) static char *leaf(int a, int b)
{
    char *p = room[runs++ & 63];
    p[0] = (char)('a' + a);
    p[1] = (char)('a' + b);
    p[2] = 0;
    return p;
}

typedef double v4 __attribute__((vector_size(32)));

__attribute__((noinline)) static double caller(const v4 *in, int n)
{
    v4 a = in[0], b = in[1], c = a * b, d = a - b, e = a + 3 * b;
    double tail = 0;

    for (int i = 0; i < n; i++) {
        char *p = leaf(i % 5, i % 3);
        tail += p[0] * 2 + p[1];
        a += c; b -= d; c += e * 0.5; d = d + a; e = e - b;
    }
    a += b + c + d + e;
    return a[0] + 2 * a[1] + 3 * a[2] + 5 * a[3] + tail;
}

int main(void)
{
    v4 in[2] = {{1, 2, 3, 4}, {5, 7, 11, 13}};
    char *warm = malloc(10);

    hot = 1;
    free(warm);
    for (int i = 0; i < 3; i++) {
        double r = caller(in, 20);
        hot = 0;
        printf("%.17g\n", r);
        hot = 1;
    }
    hot = 0;
    if (runs < 15)
        fprintf(stderr, "replayed\n");
    return 0;
}
"""


def test_live_vector_registers_outlast_the_hosts_malloc(t):
    if "avx" not in open("/proc/cpuinfo").read().split():
        return
    p = t.cc(LIVE, "live", ("-O2", "-mavx", "-rdynamic"))
    code = subprocess.run(["objdump", "-d", "--no-show-raw-insn", p], capture_output=True, text=True, check=True).stdout
    contains(code, "<leaf>:")
    config = t.config("tasks:\n  - symbol: leaf\n    prototype: |\n      malloc char *leaf(int a, int b)\n    cache_policy: INPUTS\n")
    bare = t.bare([p])
    t.run([p], config)
    r = t.run([p], config)
    equal((r.out, r.errors), (bare.out, "replayed\n"))


JUMPING = r"""
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>

static void body(const char *name)
{
    int fd = open(getenv("BODY_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (write(fd, name, strlen(name)) < 0 || write(fd, "\n", 1) < 0)
        abort();
    close(fd);
}

extern void *__libc_malloc(size_t);
static jmp_buf back;
static int jump, raising;

void *malloc(size_t n)
{
    if (jump) {
        jump = 0;
        longjmp(back, 1);
    }
    if (raising) {
        raising = 0;
        raise(SIGUSR1);
    }
    return __libc_malloc(n);
}

__attribute__((noinline, noclone)) char *label(int n)
{
    body("label");
    char *s = malloc(70000);
    memset(s, 'a' + n, 69999);
    s[69999] = 0;
    return s;
}

static void on_signal(int n)
{
    char *s = label(2);
    (void)n;
    if (strlen(s) != 69999 || s[5] != 'c')
        abort();
    free(s);
}

int main(void)
{
    signal(SIGUSR1, on_signal);
    for (volatile int i = 0; i < 6; i++) {
        char *s;
        if (setjmp(back) == 0) {
            jump = i % 2;
            s = label(i % 3);
            printf("%d %c %zu\n", i, s[0], strlen(s));
            free(s);
        } else {
            printf("%d jumped\n", i);
        }
        raising = 1;
        s = label(0);
        printf("%c %zu\n", s[0], strlen(s));
        free(s);
    }
    return 0;
}
"""


def test_a_malloc_that_jumps_and_one_that_is_interrupted(t):
    p = t.cc(JUMPING, "jumping", ("-O1", "-rdynamic", "-fno-builtin"))
    config = t.config(LABEL)
    bare = t.bare([p])
    n = t.bodies()
    t.run([p], config)
    t.bodies()
    for _ in range(2):
        r = t.run([p], config)
        equal((r.out, r.errors), (bare.out, ""))
        equal(t.bodies() < n, True, "some are replayed")
