"""Memory that changes hands: malloc'ed results and blocks, static results."""
import json
import pathlib
import subprocess

from harness import contains, equal

PROGRAM = r"""
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void body(const char *name)
{
    FILE *f = fopen(getenv("BODY_LOG"), "a");
    fprintf(f, "%s\n", name);
    fclose(f);
}
#define TASK __attribute__((noinline, noclone))

struct point { char tag; double x, y; short id; };

TASK char *lookup(const char *name)
{
    body("lookup");
    if (name[0] == '-') {
        errno = ENOENT;
        return NULL;
    }
    char *r = malloc(2 * strlen(name) + 3);
    sprintf(r, "<%s%s>", name, name);
    return r;
}

TASK double *ramp(double from, int n, int *count)
{
    body("ramp");
    *count = n / 2;
    if (n < 0)
        return NULL;
    double *r = malloc(sizeof *r * (n / 2) + 1);
    for (int i = 0; i < n / 2; i++)
        r[i] = from + i;
    return r;
}

TASK int pack(const uint8_t *in, size_t n, uint8_t **buf, size_t *len)
{
    body("pack");
    *buf = NULL;
    *len = 0;
    if (n == 0)
        return -1;
    uint8_t *to = malloc(n);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || in[i] != in[i - 1])
            to[(*len)++] = in[i];
    *buf = to;
    return 7;
}

TASK int describe(int n, char **text)
{
    body("describe");
    if (text == NULL)
        return n;
    *text = n < 0 ? NULL : malloc(32);
    if (*text != NULL)
        sprintf(*text, "number %d", n);
    return n;
}

TASK struct point *locate(int id)
{
    body("locate");
    struct point *p = malloc(sizeof *p);
    memset(p, id, sizeof *p);
    *p = (struct point){'p', id * 1.5, id * 2.5, (short)id};
    return p;
}

TASK const char *name_of(int n)
{
    static char text[64];
    body("name_of");
    if (n == 0)
        return NULL;
    sprintf(text, "name-%d-%.*s", n, n, "abcdefghijklmnopqrstuvwxyz");
    return text;
}

TASK const int *digits(unsigned n)
{
    static int d[16];
    body("digits");
    for (int i = 0; i < 10; i++, n /= 10)
        d[i] = n % 10;
    return d;
}

TASK uint8_t *large(int seed, size_t n)
{
    body("large");
    uint8_t *p = malloc(n);
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(i * 31 + i / 4099 + (size_t)seed);
    return p;
}

int main(void)
{
    static const char *const names[] = {"alpha", "", "-none", "beta"};
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 4; i++) {
            errno = 0;
            char *s = lookup(names[i]);
            printf("%s %d\n", s == NULL ? "(null)" : s, errno);
            free(s);
        }
        for (int n = -1; n < 8; n += 3) {
            int count = 99;
            double *r = ramp(0.5, n, &count);
            printf("%d %d:", r != NULL, count);
            for (int i = 0; r != NULL && i < count; i++)
                printf(" %g", r[i]);
            printf("\n");
            free(r);
        }
        for (size_t n = 0; n < 10; n += 4) {
            uint8_t *buf = (uint8_t *)-1;
            size_t len = 77;
            int r = pack((const uint8_t *)"aabbbcdeefff", n, &buf, &len);
            printf("%d %zu %.*s\n", r, len, (int)len, buf == NULL ? "" : (char *)buf);
            free(buf);
        }
        for (int n = -1; n < 2; n++) {
            char *text = NULL;
            int r = describe(n, &text);
            printf("%d %s\n", r, text == NULL ? "(null)" : text);
            free(text);
        }
        printf("%d\n", describe(5, NULL));
        struct point *p = locate(3);
        printf("%c %g %g %d\n", p->tag, p->x, p->y, p->id);
        p = realloc(p, 1000);
        free(p);
        for (int n = 0; n < 26; n += 5) {
            const char *s = name_of(n);
            printf("%s\n", s == NULL ? "(null)" : s);
        }
        const int *d = digits(90210);
        printf("%d%d%d%d%d\n", d[4], d[3], d[2], d[1], d[0]);
        uint8_t *big = large(5, 3000000);
        uint64_t sum = 0;
        for (size_t i = 0; i < 3000000; i++)
            sum = sum * 31 + big[i];
        printf("%llx\n", (unsigned long long)sum);
        free(big);
    }
    return 0;
}
"""

CONFIG = """
types: |
  struct point { char tag; double x, y; short id; };
defaults:
  cache_policy: INPUTS + TASK_SOURCE
tasks:
  - symbol: lookup
    prototype: |
      malloc char *lookup(const char *name)
  - symbol: ramp
    prototype: |
      malloc(*count) double *ramp(double from, int n, out int *count)
  - symbol: pack
    prototype: |
      int pack(const uint8_t in[n], size_t n, out malloc uint8_t *buf[*len], out size_t *len)
  - symbol: describe
    prototype: |
      int describe(int n, out malloc char **text)
  - symbol: locate
    prototype: |
      malloc struct point *locate(int id)
  - symbol: name_of
    prototype: |
      static const char *name_of(int n)
  - symbol: digits
    prototype: |
      static(10) const int *digits(unsigned n)
  - symbol: large
    prototype: |
      malloc(n) uint8_t *large(int seed, size_t n)
"""

BODIES = 4 + 3 + 3 + 4 + 1 + 6 + 1 + 1


def replays(t, program, config, env=None):
    bare = t.bare([program], env=env)
    equal(t.bodies(), 2 * BODIES)
    first = t.run([program], config, env=env)
    equal((first.out, first.errors), (bare.out, ""))
    equal(t.bodies(), BODIES, "the second round replays")
    second = t.run([program], config, env=env)
    equal((second.out, second.errors), (bare.out, ""))
    equal(t.bodies(), 0, "the second run replays")


def test_blocks_and_static_results_replay(t):
    replays(t, t.cc(PROGRAM, "owned"), t.config(CONFIG))


def test_replayed_blocks_are_the_allocators_own(t):
    """free() and realloc() of them, where the allocator checks."""
    config = t.config(CONFIG)
    jemalloc = next(pathlib.Path("/usr/lib").rglob("libjemalloc.so.2"))
    plain = t.cc(PROGRAM, "plain", ("-O1", "-g"))
    address = t.cc(PROGRAM, "address", ("-O1", "-g", "-fsanitize=address"))
    out = t.bare([plain]).out
    for name, command, env in (("ASan", [address], None),
                               ("valgrind", ["valgrind", "-q", "--error-exitcode=9", "--leak-check=full", plain], None),
                               ("jemalloc", [plain], {"LD_PRELOAD": jemalloc})):
        t.bodies()
        for replayed in (False, True):
            r = t.run(command, config, env=env)
            equal((r.out, r.errors), (out, ""), name)
            n = t.bodies()
            if replayed:
                equal(n, 0, name)
    for first, second in ((t.library, jemalloc), (jemalloc, t.library)):
        r = t.preload([plain], config, env={"LD_PRELOAD": f"{first}:{second}"})
        equal((r.out, r.errors, t.bodies()), (out, "", 0))


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


LIES = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void body(const char *name)
{
    FILE *f = fopen(getenv("BODY_LOG"), "a");
    fprintf(f, "%s\n", name);
    fclose(f);
}
#define TASK __attribute__((noinline, noclone))

static char *edge(int n)
{
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(p + 4096, 4096, PROT_NONE);
    memset(p, 'x', 4096);
    return p + 4096 - n;
}
TASK char *no_end(int n) { body("no_end"); return edge(n); }
TASK double *too_far(int n) { body("too_far"); return (double *)edge(8 * n); }
TASK int untouched(int n, char **text) { (void)text; body("untouched"); return n; }

int main(void)
{
    char *text = (char *)16;
    for (int i = 0; i < 20; i++) {
        printf("%.3s ", no_end(3));
        printf("%d ", too_far(2) != NULL);
        __asm__ volatile("" : "+m"(text));
        printf("%d %d\n", untouched(i, &text), text == (char *)16);
    }
    return 0;
}
"""


def test_extents_that_lie_are_seen(t):
    p = t.cc(LIES, "lies")
    config = t.config("""
defaults:
  cache_policy: INPUTS + TASK_SOURCE
tasks:
  - symbol: no_end
    prototype: |
      malloc char *no_end(int n)
  - symbol: too_far
    prototype: |
      malloc(600 * n) double *too_far(int n)
  - symbol: untouched
    prototype: |
      int untouched(int n, out malloc char **text)
""")
    bare = t.bare([p])
    equal(t.bodies(), 60)
    for _ in range(2):
        r = t.run([p], config)
        equal(r.out, bare.out)
        equal(t.bodies(), 60)
    s = t.stats(config)
    equal(s["hits"], 0)
    reasons = json.dumps(s)
    contains(reasons, "unreadable-input")


THREADS = r"""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void body(const char *name)
{
    FILE *f = fopen(getenv("BODY_LOG"), "a");
    fprintf(f, "%s\n", name);
    fclose(f);
}

__attribute__((noinline, noclone)) const char *word(int n)
{
    static __thread char text[8192];
    body("word");
    memset(text, 'a' + n % 26, (size_t)(n % 8000));
    text[n % 8000] = 0;
    return text;
}

static pthread_barrier_t barrier;

static void *thread(void *arg)
{
    int n = *(int *)arg;
    const char *mine = word(n);
    pthread_barrier_wait(&barrier);
    if (strlen(mine) != (size_t)(n % 8000) || (n % 8000 > 0 && mine[n % 8000 - 1] != 'a' + n % 26))
        abort();
    pthread_barrier_wait(&barrier);
    return NULL;
}

int main(void)
{
    for (int round = 0; round < 400; round++) {
        pthread_t t[2];
        int n[2] = {round % 4 * 2000 + 1, round % 4 * 2000 + 2};
        pthread_barrier_init(&barrier, NULL, 2);
        for (int i = 0; i < 2; i++)
            pthread_create(&t[i], NULL, thread, &n[i]);
        for (int i = 0; i < 2; i++)
            pthread_join(t[i], NULL);
    }
    puts("done");
    return 0;
}
"""


def test_static_results_belong_to_a_thread(t):
    p = t.cc(THREADS, "threads", ("-O2", "-lpthread"))
    config = t.config("tasks:\n  - symbol: word\n    prototype: |\n      static const char *word(int n)\n    cache_policy: INPUTS\n")
    for expected in (None, 0):
        r = t.run([p], config)
        equal((r.text, r.errors), ("done\n", ""))
        if expected is not None:
            equal(t.bodies(), expected)
        t.bodies()


def test_show_knows_blocks(t):
    p = t.cc(PROGRAM, "owned")
    config = t.config(CONFIG)
    t.run([p], config)
    texts = [t.ctl("show", "-c", config, r["key"]).text for r in t.records(config)]
    everything = "\n".join(texts)
    for part in ('"<alphaalpha>"', "return       NULL", '"number 1"', "double[2]", "struct point {tag =", '"name-5-abcde"'):
        contains(everything, part)


CALLBACKS = r"""
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void body(const char *name)
{
    FILE *f = fopen(getenv("BODY_LOG"), "a");
    fprintf(f, "%s\n", name);
    fclose(f);
}

__attribute__((noinline, noclone)) double integrate(double (*f)(double, void *), void *arg, double lo, double hi)
{
    double s = 0;
    body("integrate");
    for (int i = 0; f != NULL && i < 100; i++)
        s += f(lo + (hi - lo) * (i + 0.5) / 100, arg);
    return s * (hi - lo) / 100;
}

static double square(double x, void *arg) { (void)arg; return x * x; }
static double cube(double x, void *arg) { (void)arg; return x * x * x; }

int main(void)
{
    static const unsigned char code[] = {0xf3, 0x0f, 0x1e, 0xfa, 0xf2, 0x0f, 0x58, 0xc0, 0xc3}; /* x + x */
    double (*made)(double, void *) = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *m = dlopen("libm.so.6", RTLD_NOW);
    double (*root)(double, void *);
    *(void **)&root = dlsym(m, "cbrt");
    memcpy((void *)made, code, sizeof code);
    mprotect((void *)made, 4096, PROT_READ | PROT_EXEC);
    for (int i = 0; i < 2; i++) {
        printf("%.17g %.17g %.17g\n", integrate(square, NULL, 0, 1), integrate(cube, &m, 0, 1), integrate(NULL, NULL, 0, 1));
        printf("%.17g\n", integrate(root, NULL, 0, 1));
        printf("%.17g\n", integrate(made, NULL, 0, 1));
    }
    return 0;
}
"""

INTEGRATE = """
tasks:
  - symbol: integrate
    prototype: |
      double integrate(double (*f)(double, void *), ignore void *arg, double lo, double hi)
    cache_policy: INPUTS
"""


def test_functions_are_inputs_by_their_code(t):
    config = t.config(INTEGRATE)
    for name, flags in (("pie", ("-O1", "-pie", "-fPIE", "-ldl")), ("nopie", ("-O1", "-no-pie", "-fno-pie", "-ldl")),
                        ("anonymous", ("-O1", "-Wl,--build-id=none", "-ldl"))):
        p = t.cc(CALLBACKS, name, flags)
        bare = t.bare([p])
        t.bodies()
        for bodies in (6, 2, 2):
            r = t.run([p], config, env={"TASKCACHE_LOG": "error"})
            equal(r.out, bare.out, name)
            equal(t.bodies(), bodies, name)
            contains(r.errors, "unknown-code")
            contains(r.errors, "'f'")
    s = json.dumps(t.stats(config))
    contains(s, "unknown-code")
    texts = "\n".join(t.ctl("show", "-c", config, r["key"]).text for r in t.records(config))
    contains(texts, "f            code ")
    contains(texts, "f            NULL")


def test_another_build_of_a_function_is_another_input(t):
    config = t.config(INTEGRATE)
    for constant, bodies in (("x * x;", 6), ("x * x + 1;", 3), ("x * x;", 2)):
        p = t.cc(CALLBACKS.replace("return x * x;", "return " + constant), "callbacks", ("-O1", "-ldl"))
        bare = t.bare([p])
        t.bodies()
        equal(t.run([p], config).out, bare.out)
        equal(t.bodies(), bodies, constant)


DESCRIBED = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void body(const char *name)
{
    FILE *f = fopen(getenv("BODY_LOG"), "a");
    fprintf(f, "%s\n", name);
    fclose(f);
}
#define TASK __attribute__((noinline, noclone))

TASK char *twice(const char *s)
{
    body("twice");
    char *r = malloc(2 * strlen(s) + 1);
    return strcat(strcpy(r, s), s);
}
TASK const char *name_of(int n)
{
    body("name_of");
    return n ? "one" : "none";
}
TASK int pack(const unsigned char *in, size_t n, unsigned char **to, size_t *len)
{
    body("pack");
    *len = n / 2;
    *to = malloc(n);
    memcpy(*to, in, n);
    return 3;
}
TASK double apply(double (*f)(double), double x)
{
    body("apply");
    return f(x);
}
static double third(double x) { return x / 3; }

int main(void)
{
    unsigned char *block;
    size_t len;
    char *s = twice("ab");
    int r = pack((const unsigned char *)"0123456789", 10, &block, &len);
    printf("%s %s %d %.*s %.17g\n", s, name_of(1), r, (int)len, (char *)block, apply(third, 1));
    free(s);
    free(block);
    return 0;
}
"""


def test_debug_information_with_ownership_on_top(t):
    p = t.cc(DESCRIBED, "described", ("-O1", "-g"))
    proposed = t.ctl("init", p, "twice@described", "name_of", "pack", "apply").text
    for line in ("s: 'in'", "return: 'malloc'", "return: 'static'", "to: 'out malloc [1]'", "f: 'in'"):
        contains(proposed, line)
    proposed = proposed.replace("out malloc [1]", "out malloc [*len]").replace("len: 'inout [n]'", "len: 'out'").replace("twice@described", "twice")
    config = t.config(proposed)
    bare = t.bare([p])
    t.bodies()
    for bodies in (4, 0):
        r = t.run([p], config)
        equal((r.out, r.errors), (bare.out, ""))
        equal(t.bodies(), bodies)
    contains(t.ctl("doctor", "-c", config, p).text, "out malloc unsigned char *to[*len], out unsigned long len[1]")


def test_verified_hits_compare_blocks(t):
    p = t.cc(PROGRAM, "owned")
    bare = t.bare([p])
    t.bodies()
    config = t.config(CONFIG.replace("defaults:\n", "defaults:\n  verify: 100%\n"))
    for _ in range(2):
        r = t.run([p], config)
        equal((r.out, r.errors), (bare.out, ""))
    equal(t.bodies(), 2 * 2 * BODIES)
    config = t.config(CONFIG.replace("defaults:\n", "defaults:\n  verify: 100%\n").replace("INPUTS + TASK_SOURCE", "INPUTS"))
    t.run([t.cc(PROGRAM.replace('sprintf(text, "name-', 'sprintf(text, "Name-'), "owned")], config)
    r = t.run([t.cc(PROGRAM, "owned")], config, env={"TASKCACHE_LOG": "error"})
    equal(r.out, bare.out)
    contains(r.errors, "output 'return' differs from byte 0 on")


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


def test_another_library_in_the_place_of_one_is_another_input(t):
    for i in (1, 2):
        source = t.write(f"plug{i}.c", f"double cb(double x, void *arg) {{ (void)arg; return x * {i}; }}\n")
        t.execute(["gcc", "-O1", "-shared", "-fPIC", "-o", str(t.dir / f"plug{i}.so"), source])
    p = t.cc(r"""
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((noinline, noclone)) double integrate(double (*f)(double, void *), void *arg, double lo, double hi)
{
    FILE *log = fopen(getenv("BODY_LOG"), "a");
    fprintf(log, "integrate\n");
    fclose(log);
    return f(hi - lo, arg);
}

int main(void)
{
    void *place = NULL;
    for (int i = 0; i < 6; i++) {
        void *lib = dlopen(i % 2 ? "./plug2.so" : "./plug1.so", RTLD_NOW);
        double (*f)(double, void *);
        *(void **)&f = dlsym(lib, "cb");
        if (i > 0 && place != (void *)f)
            fprintf(stderr, "moved\n");
        place = (void *)f;
        printf("%g\n", integrate(f, NULL, 0, 3));
        dlclose(lib);
    }
    return 0;
}
""", "reopens", ("-O1", "-ldl"))
    config = t.config(INTEGRATE)
    bare = t.bare([p])
    t.bodies()
    for bodies in (2, 0):
        r = t.run([p], config)
        equal((r.out, r.err), (bare.out, bare.err))
        equal(t.bodies(), bodies)
