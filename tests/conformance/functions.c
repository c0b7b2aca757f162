/*
 * The functions that the cases call. The comment above one is its prototype, which the runner puts
 * into configs. Bodies prove that they ran by a line in the file that BODY_LOG names.
 */
#include "functions.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>

#include "../programs/body.h"

#ifndef BODY
#define BODY 1 /* another number: another version of f */
#endif
#ifndef CALLEE
#define CALLEE 1 /* another number: another version of what `calls` calls */
#endif
#ifndef CALLEE_NAME
#define CALLEE_NAME callee /* or `other`: the same bytes of `calls`, another callee */
#endif

struct behaviour now;

static void body(const char *name)
{
    body_ran(name);
    if (now.kill_in_body)
        raise(SIGKILL);
}

/*: int f(int x) */
EXPORTED_TASK(int f(int x))
{
    body("f");
    return now.failing ? -1 : x * 10 + BODY;
}

/*: int g(int x) */
EXPORTED_TASK(int g(int x))
{
    body("g");
    return x * 10 + 5;
}

/*: int two(int x, int debug) */
EXPORTED_TASK(int two(int x, int debug))
{
    body("two");
    return x * 10 + 0 * debug;
}

/*: int none(void) */
EXPORTED_TASK(int none(void))
{
    body("none");
    return 7;
}

/*: int ignores(ignore int x) */
EXPORTED_TASK(int ignores(int x))
{
    body("ignores");
    return 0 * x;
}

/*: double third(double x) */
EXPORTED_TASK(double third(double x))
{
    volatile double three = 3;
    body("third");
    return x / three;
}

/* How often it was computed, over all processes: tells records of one key apart.
 *: int nth(int x) */
EXPORTED_TASK(int nth(int x))
{
    const char *path = getenv("NTH_FILE");
    FILE *file = path ? fopen(path, "a") : NULL;
    long n = 0;

    body("nth");
    if (now.failing)
        return -1;
    if (file) {
        fputc('.', file);
        fflush(file);
        n = ftell(file);
        fclose(file);
    }
    return (int)(x * 100 + n);
}

/*: void bump(inout uint8_t b[n], size_t n) */
EXPORTED_TASK(void bump(uint8_t *b, size_t n))
{
    body("bump");
    for (size_t i = 0; i < n; i++)
        b[i]++;
}

/*: void fill(int x, out uint8_t b[n], size_t n) */
EXPORTED_TASK(void fill(int x, uint8_t *b, size_t n))
{
    body("fill");
    memset(b, x, n);
}

/*: void large(int x, out uint8_t b[1048576]) */
EXPORTED_TASK(void large(int x, uint8_t *b))
{
    body("large");
    for (size_t i = 0; i < 1048576; i++)
        b[i] = (uint8_t)((size_t)x * i >> 5);
}

/*: int liar(const uint8_t b[n], size_t n) */
EXPORTED_TASK(int liar(uint8_t *b, size_t n))
{
    body("liar");
    for (size_t i = 0; i < n; i++)
        b[i]++;
    return (int)n;
}

/*: long sum(const int v[n], size_t n) */
EXPORTED_TASK(long sum(const int *v, size_t n))
{
    long s = 0;
    body("sum");
    for (size_t i = 0; v && i < n; i++)
        s += v[i];
    return s;
}

/*: size_t text(const char *s) */
EXPORTED_TASK(size_t text(const char *s))
{
    body("text");
    return s ? strlen(s) : 99;
}

/*: malloc char *made(int x) */
EXPORTED_TASK(char *made(int x))
{
    char *s = NULL;

    body("made");
    if (x >= 0 && (s = malloc(16)) != NULL)
        (void)snprintf(s, 16, "%.*s", x, "0123456789");
    return s;
}

/*: int gives(int x, out malloc int *block[x]) */
EXPORTED_TASK(int gives(int x, int **block))
{
    body("gives");
    if (block == NULL)
        return -7;
    *block = x < 0 ? NULL : malloc((size_t)x * sizeof **block + 1);
    for (int i = 0; i < x && *block != NULL; i++)
        (*block)[i] = i * 3 + x;
    return x;
}

/*: static const char *own(int x) */
EXPORTED_TASK(const char *own(int x))
{
    static char s[16];

    body("own");
    (void)snprintf(s, sizeof s, "%.*s", x, "0123456789");
    return x < 0 ? NULL : s;
}

/*: int opaque(struct thing *p) */
EXPORTED_TASK(int opaque(struct thing *p))
{
    body("opaque");
    return p != NULL;
}

/*: int padded(in struct padded *s) */
EXPORTED_TASK(int padded(const struct padded *s))
{
    body("padded");
    return s->c * 1000 + s->n;
}

/*: int zero(int x) */
EXPORTED_TASK(int zero(int x))
{
    body("zero");
    return 0 * x;
}

/*: char *into(out char b[4]) */
EXPORTED_TASK(char *into(char *b))
{
    body("into");
    memset(b, 'n', 4);
    return NULL;
}

/*: size_t empty(out uint8_t b[return <= cap], size_t cap) */
EXPORTED_TASK(size_t empty(uint8_t *b, size_t cap))
{
    body("empty");
    return b != NULL ? cap * 0 : 0;
}

/*: int sets_errno(int x) */
EXPORTED_TASK(int sets_errno(int x))
{
    body("sets_errno");
    errno = x;
    return -x;
}

/* Its body waits until another thread's is inside, too.
 *: int meet(int x) */
static int inside;
EXPORTED_TASK(int meet(int x))
{
    struct timespec ms = {0, 1000000};
    body("meet");
    __atomic_fetch_add(&inside, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < 3000 && __atomic_load_n(&inside, __ATOMIC_SEQ_CST) < 2; i++)
        nanosleep(&ms, NULL);
    return x;
}

/* Takes so many seconds of the tests' clock.
 *: int late(int s) */
EXPORTED_TASK(int late(int s))
{
    const char *path = getenv("TASKCACHE_CLOCK_FILE");
    FILE *file = path ? fopen(path, "r+") : NULL;
    long long ns = 0;

    body("late");
    if (file && fscanf(file, "%lld", &ns) == 1) {
        rewind(file);
        fprintf(file, "%lld", ns + s * 1000000000ll);
    }
    if (file)
        fclose(file);
    return s;
}

jmp_buf before;
/*: int jumps(int x) */
EXPORTED_TASK(int jumps(int x))
{
    body("jumps");
    if (now.failing)
        longjmp(before, 1);
    return x;
}

/*: int slow(int x) */
EXPORTED_TASK(int slow(int x))
{
    struct timespec t = {0, 200000000};
    body("slow");
    nanosleep(&t, NULL);
    return now.failing ? -1 : x * 2;
}

/* Calls itself with the same input.
 *: int rec(int x) */
static int depth;
EXPORTED_TASK(int rec(int x))
{
    int r = x;
    body("rec");
    if (depth++ == 0)
        r += rec(x);
    depth--;
    return r;
}

TASK_ATTRIBUTES static int callee(int x)
{
    __asm__ volatile(""); /* keeps callers from knowing what it computes */
    return x + CALLEE;
}

TASK_ATTRIBUTES static int other(int x)
{
    __asm__ volatile("");
    return x + CALLEE + 1;
}

/*: int calls(int x) */
EXPORTED_TASK(int calls(int x))
{
    body("calls");
    return CALLEE_NAME(x) * 2;
}

/* Flows. */
/*: int flow(int x) */
EXPORTED_TASK(int flow(int x))
{
    int once = f(x);
    return once * 1000 + f(x);
}

/*: int inner(int x) */
EXPORTED_TASK(int inner(int x))
{
    return f(x) * 10;
}

/*: int outer(int x) */
EXPORTED_TASK(int outer(int x))
{
    return f(x) + inner(x);
}

/*: int attempt(int x, int bad) */
EXPORTED_TASK(int attempt(int x, int bad))
{
    int r = f(x) + g(x);
    return bad ? -1 : r;
}

/*: int retries(int x) */
EXPORTED_TASK(int retries(int x))
{
    int r = attempt(x, 1);
    return r >= 0 ? r : attempt(x, 0);
}

/* What the child has is lost.
 *: int child_works(int x) */
EXPORTED_TASK(int child_works(int x))
{
    int status = 0, r = f(x);
    pid_t child = fork();
    if (child == 0)
        _exit(f(x) == r && g(x) > 0);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return r + WEXITSTATUS(status);
}

/* Comes back by a jump.
 *: int escapes(int x) */
jmp_buf outside;
EXPORTED_TASK(int escapes(int x))
{
    longjmp(outside, f(x));
}

static void *thread_of_flow(void *x)
{
    *(int *)x = f(*(int *)x);
    return NULL;
}

/*: int threads(int x) */
EXPORTED_TASK(int threads(int x))
{
    pthread_t t;
    int r = x;
    if (pthread_create(&t, NULL, thread_of_flow, &r) == 0)
        pthread_join(t, NULL);
    return r + f(x);
}

/*: int forks(int x) */
EXPORTED_TASK(int forks(int x))
{
    int status = 0, r = f(x);
    pid_t child = fork();
    if (child == 0)
        _exit(f(x) == r);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return r + WEXITSTATUS(status);
}

static ucontext_t flows_stack, others_stack;
static int others_result;
static void on_other_stack(void)
{
    others_result = f(1);
}

/*: int other_stack(int x) */
EXPORTED_TASK(int other_stack(int x))
{
    static char stack[65536];
    int r = f(x);
    getcontext(&others_stack);
    others_stack.uc_stack.ss_sp = stack;
    others_stack.uc_stack.ss_size = sizeof stack;
    others_stack.uc_link = &flows_stack;
    makecontext(&others_stack, on_other_stack, 0);
    swapcontext(&flows_stack, &others_stack);
    return r + others_result + f(x);
}

/*: int deep(int x) */
EXPORTED_TASK(int deep(int x))
{
    int r = f(x), more = x > 0 ? deep(x - 1) : 0;
    __asm__ volatile("" : "+r"(more)); /* no loop */
    return r + more;
}
