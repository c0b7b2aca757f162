"""Memory that changes hands: malloc'ed results and blocks, static results."""
import json
import pathlib

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
