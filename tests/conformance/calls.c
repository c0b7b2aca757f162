/*
 * A small server for calls: a line on stdin names a function of functions.h and its arguments, the
 * answer is a line on stdout, with whatever the call wrote.
 */
#include "functions.h"

#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "../programs/body.h"

struct answer {
    char text[512];
    int err;
};

static void came_back(struct answer *a)
{
    a->err = errno;
    if (now.kill_after)
        raise(SIGKILL);
}

#define CALL(a, assignment)      \
    do {                         \
        errno = now.given_errno; \
        assignment;              \
        came_back(a);            \
    } while (0)
#define SAY(a, ...) ((void)snprintf((a)->text, sizeof(a)->text, __VA_ARGS__))

static int number(const char *s)
{
    return (int)strtol(s ? s : "0", NULL, 0);
}

#define OF_INT(name)                                  \
    static void do_##name(struct answer *a, char **w) \
    {                                                 \
        int r;                                        \
        CALL(a, r = name(number(w[0])));              \
        SAY(a, "%d", r);                              \
    }
OF_INT(f)
OF_INT(g)
OF_INT(ignores)
OF_INT(nth)
OF_INT(zero)
OF_INT(sets_errno)
OF_INT(meet)
OF_INT(slow)
OF_INT(flow)
OF_INT(outer)
OF_INT(retries)
OF_INT(child_works)
OF_INT(threads)
OF_INT(forks)
OF_INT(other_stack)
OF_INT(deep)
OF_INT(late)
OF_INT(rec)
OF_INT(calls)

static void do_jumps(struct answer *a, char **w)
{
    int x = number(w[0]);
    if (setjmp(before) == 0) {
        int r;
        CALL(a, r = jumps(x));
        SAY(a, "%d", r);
    } else {
        SAY(a, "-1 by longjmp");
    }
}

static void do_escapes(struct answer *a, char **w)
{
    int r = 0;
    switch (setjmp(outside)) {
    case 0:
        r = escapes(number(w[0]));
        break;
    default:
        break;
    }
    came_back(a);
    SAY(a, "%d", r);
}

static void do_two(struct answer *a, char **w)
{
    int r;
    CALL(a, r = two(number(w[0]), number(w[1])));
    SAY(a, "%d", r);
}

static void do_none(struct answer *a, char **w)
{
    int r;
    (void)w;
    CALL(a, r = none());
    SAY(a, "%d", r);
}

static void do_third(struct answer *a, char **w)
{
    double r;
    CALL(a, r = third(strtod(w[0], NULL)));
    SAY(a, "%a", r);
}

/* 8 guard bytes on both sides; the memory is overwritten afterwards. */
struct guarded {
    uint8_t before[8], b[64], behind[8];
};

static void guard(struct guarded *g)
{
    memset(g, 0xee, sizeof *g);
}

static void show(struct answer *a, struct guarded *g)
{
    const uint8_t *p = g->before;
    for (size_t i = 0; i < sizeof *g; i++)
        (void)snprintf(a->text + 2 * i, 3, "%02x", p[i]);
    memset(g, 0x55, sizeof *g);
}

static size_t from_hex(const char *hex, uint8_t *b)
{
    size_t n = 0;
    unsigned byte;
    for (; n < 64 && sscanf(hex + 2 * n, "%2x", &byte) == 1; n++)
        b[n] = (uint8_t)byte;
    return n;
}

static void do_bump(struct answer *a, char **w)
{
    struct guarded g;
    guard(&g);
    size_t n = from_hex(w[0], g.b);
    CALL(a, bump(g.b, n));
    show(a, &g);
}

static void do_fill(struct answer *a, char **w)
{
    struct guarded g;
    guard(&g);
    CALL(a, fill(number(w[0]), g.b, (size_t)number(w[1])));
    show(a, &g);
}

static void do_large(struct answer *a, char **w)
{
    uint8_t *b = calloc(1, 1048576);
    unsigned long sum = 0;
    CALL(a, large(number(w[0]), b));
    for (size_t i = 0; i < 1048576; i++)
        sum = sum * 31 + b[i];
    SAY(a, "%lu", sum);
    free(b);
}

static void do_liar(struct answer *a, char **w)
{
    struct guarded g;
    guard(&g);
    size_t n = from_hex(w[0], g.b);
    CALL(a, liar(g.b, n));
    show(a, &g);
}

/* Each time at another address. */
static void do_sum(struct answer *a, char **w)
{
    int v[256];
    static size_t at;
    size_t n = 0;
    long r;

    at = (at + 17) % 200;
    if (w[0] && strcmp(w[0], "NULL") == 0) {
        CALL(a, r = sum(NULL, 3));
    } else {
        for (; w[n] && n < 16; n++)
            v[at + n] = number(w[n]);
        CALL(a, r = sum(v + at, n));
    }
    SAY(a, "%ld", r);
}

static void do_text(struct answer *a, char **w)
{
    char *s = w[0] && strcmp(w[0], "NULL") == 0 ? NULL : strdup(w[0] ? w[0] : "");
    size_t r;
    CALL(a, r = text(s));
    SAY(a, "%zu", r);
    free(s);
}

static void do_made(struct answer *a, char **w)
{
    char *s;
    CALL(a, s = made(number(w[0])));
    SAY(a, "%s", s != NULL ? s : "(null)");
    free(s);
}

static void do_gives(struct answer *a, char **w)
{
    int *block = (int *)(void *)w, x = number(w[0]), r;
    CALL(a, r = gives(x, w[1] != NULL ? NULL : &block));
    SAY(a, "%d %d", r, w[1] != NULL || block == NULL ? -1 : x > 0 ? block[x - 1] : 0);
    if (w[1] == NULL)
        free(block);
}

static void do_own(struct answer *a, char **w)
{
    const char *s;
    CALL(a, s = own(number(w[0])));
    SAY(a, "%s", s != NULL ? s : "(null)");
}

static void do_opaque(struct answer *a, char **w)
{
    int r;
    CALL(a, r = opaque((struct thing *)(void *)w));
    SAY(a, "%d", r);
}

/* The third number fills the padding. */
static void do_padded(struct answer *a, char **w)
{
    struct padded s;
    int r;
    memset(&s, number(w[2]), sizeof s);
    s.c = (char)number(w[0]);
    s.n = number(w[1]);
    CALL(a, r = padded(&s));
    SAY(a, "%d", r);
}

static void do_into(struct answer *a, char **w)
{
    char b[4], *r;
    (void)w;
    CALL(a, r = into(b));
    SAY(a, "%s %.4s", r ? "not NULL" : "NULL", b);
}

static void do_empty(struct answer *a, char **w)
{
    struct guarded g;
    size_t r;
    (void)w;
    guard(&g);
    CALL(a, r = empty(g.b, 8));
    show(a, &g);
    (void)snprintf(a->text + strlen(a->text), 24, " %zu", r);
}

typedef void call(struct answer *a, char **words);
static const struct {
    const char *name;
    call *call;
} calls_by_name[] = {
    {"f", do_f},
    {"g", do_g},
    {"two", do_two},
    {"none", do_none},
    {"ignores", do_ignores},
    {"third", do_third},
    {"nth", do_nth},
    {"bump", do_bump},
    {"fill", do_fill},
    {"large", do_large},
    {"liar", do_liar},
    {"sum", do_sum},
    {"text", do_text},
    {"made", do_made},
    {"gives", do_gives},
    {"own", do_own},
    {"opaque", do_opaque},
    {"padded", do_padded},
    {"zero", do_zero},
    {"into", do_into},
    {"empty", do_empty},
    {"sets_errno", do_sets_errno},
    {"meet", do_meet},
    {"slow", do_slow},
    {"flow", do_flow},
    {"outer", do_outer},
    {"retries", do_retries},
    {"child_works", do_child_works},
    {"escapes", do_escapes},
    {"threads", do_threads},
    {"forks", do_forks},
    {"other_stack", do_other_stack},
    {"deep", do_deep},
    {"late", do_late},
    {"jumps", do_jumps},
    {"rec", do_rec},
    {"calls", do_calls},
};

static call *find_call(const char *name)
{
    for (size_t i = 0; i < sizeof calls_by_name / sizeof *calls_by_name; i++)
        if (strcmp(calls_by_name[i].name, name) == 0)
            return calls_by_name[i].call;
    fprintf(stderr, "no function %s\n", name);
    exit(98);
}

static void say(const struct answer *a, char end)
{
    printf("%s errno %d%c", a->text, a->err, end);
    fflush(stdout);
}

static void do_call(char **words)
{
    struct answer a = {{0}, 0};
    find_call(words[0])(&a, words + 1);
    say(&a, '\n');
}

static void *in_thread(void *p)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct answer a = {{0}, 0};
    char **words = p;

    find_call(words[0])(&a, words + 1);
    pthread_mutex_lock(&lock);
    say(&a, ' ');
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void twice_at_once(char **words)
{
    pthread_t t[2];
    for (int i = 0; i < 2; i++)
        if (pthread_create(&t[i], NULL, in_thread, words) != 0)
            exit(97);
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    puts("");
    fflush(stdout);
}

/* In a forked child, which may become this program anew. */
static void in_child(char **words, int by_exec)
{
    char *argv[20] = {(char *)"program", (char *)"--call"};
    pid_t child = fork();

    if (child == 0 && by_exec) {
        for (int i = 0; words[i] && i < 16; i++)
            argv[2 + i] = words[i];
        execv("/proc/self/exe", argv);
        _exit(96);
    }
    if (child == 0) {
        do_call(words);
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

static void set(char **words)
{
    const char *name = words[0], *value = words[1];

    if (strcmp(name, "fail") == 0)
        now.failing = number(value);
    else if (strcmp(name, "errno") == 0)
        now.given_errno = number(value);
    else if (strcmp(name, "kill") == 0)
        *(strcmp(value, "body") == 0 ? &now.kill_in_body : &now.kill_after) = 1;
    else if (strcmp(name, "round") == 0)
        fesetround(strcmp(value, "up") == 0 ? FE_UPWARD : FE_TONEAREST);
    else
        exit(95);
    puts("set");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char line[512], *words[20], *rest;

    if (argc > 2 && strcmp(argv[1], "--call") == 0) {
        do_call(argv + 2);
        return 0;
    }
    while (fgets(line, sizeof line, stdin)) {
        int n = 0;
        for (char *w = strtok_r(line, " \n", &rest); w && n < 19; w = strtok_r(NULL, " \n", &rest))
            words[n++] = w;
        words[n] = NULL;
        if (n == 0)
            continue;
        if (strcmp(words[0], "set") == 0)
            set(words + 1);
        else if (strcmp(words[0], "both") == 0)
            twice_at_once(words + 1);
        else if (strcmp(words[0], "fork") == 0 || strcmp(words[0], "spawn") == 0)
            in_child(words + 1, words[0][0] == 's');
        else
            do_call(words);
    }
    return 0;
}
