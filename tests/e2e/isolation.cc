/*
 * What concurrent calls of SERIALIZABLE tasks run into: `isolation SCENARIO` prints the results of its
 * calls, and on stderr how long all took. The first call of f in a process does what the scenario says.
 * MARKS: a directory for files that say how far things are, across processes.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <exception>
#include <stdexcept>
#include <string>

extern "C" {
#include "body.h"
}

static double now()
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void sleep_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000}, left;
    while (nanosleep(&t, &left) < 0)
        t = left;
}

/* A file that says that something has happened, to this and to other processes. */
static void mark(const char *name)
{
    std::string path = std::string(getenv("MARKS")) + "/" + name;
    int fd = open(path.c_str(), O_WRONLY | O_CREAT, 0600);
    close(fd);
}

static void await(const char *name, double seconds = 100)
{
    std::string path = std::string(getenv("MARKS")) + "/" + name;
    for (double end = now() + seconds; access(path.c_str(), F_OK) < 0 && now() < end;)
        sleep_ms(1);
}

enum { RETURNS, THROWS, JUMPS, EXITS_THREAD, STOPS, FORKS, CALLS_G, LINGERS };
static volatile int how;
static const char *lingers_until = "f-again"; /* a mark */
static sigjmp_buf target;

extern "C" int g(int x);
static thread_local int inside;

extern "C" TASK_ATTRIBUTES int f(int x)
{
    static int first = 1;
    int was_first = __atomic_exchange_n(&first, 0, __ATOMIC_SEQ_CST);
    body_ran("f");
    if (access((std::string(getenv("MARKS")) + "/f-runs").c_str(), F_OK) == 0)
        mark("f-again");
    mark("f-runs");
    if (!was_first)
        return x * 10;
    switch (how) {
    case THROWS:
        sleep_ms(200);
        throw std::runtime_error("f");
    case JUMPS:
        siglongjmp(target, 1);
    case EXITS_THREAD:
        sleep_ms(200);
        pthread_exit(nullptr);
    case STOPS:
        raise(SIGSTOP);
        break;
    case LINGERS:
        await(lingers_until, 30);
        break;
    case FORKS:
        if (fork() == 0) {
            printf("child: %d\n", f(x));
            fflush(stdout);
            _exit(0);
        }
        wait(nullptr);
        break;
    case CALLS_G:
        if (inside++ == 0) {
            await("g-runs");
            (void)g(x);
        }
        break;
    default:
        sleep_ms(200);
    }
    return x * 10;
}

extern "C" TASK_ATTRIBUTES int g(int x)
{
    body_ran("g");
    mark("g-runs");
    if (how == CALLS_G && inside++ == 0) {
        await("f-runs");
        (void)f(x);
    }
    return x;
}

struct call {
    int (*function)(int);
    int result;
    pthread_t thread;
};

static void *call_it(void *p)
{
    call *c = static_cast<call *>(p);
    try {
        c->result = c->function(7);
    } catch (const std::exception &) {
        c->result = -1;
    }
    return nullptr;
}

static void start(call *c, int (*function)(int))
{
    *c = {function, -2, {}};
    pthread_create(&c->thread, nullptr, call_it, c);
}

static void finish(call *c, const char *who)
{
    pthread_join(c->thread, nullptr);
    printf("%s: %d\n", who, c->result);
}

/* One call holds the lock, and then so many more come. */
static void crowd(int count)
{
    call first, others[64];
    start(&first, f);
    await("f-runs");
    for (int i = 0; i < count; i++)
        start(&others[i], f);
    finish(&first, "first");
    for (int i = 0; i < count; i++)
        finish(&others[i], "other");
}

static volatile int has_run, ended_in_time;

/* This thread's end would be noticed, too, and after 30 s its lock lapses. */
static void wait_for_the_other()
{
    for (double end = now() + 20; !has_run && now() < end;)
        sleep_ms(1);
    ended_in_time = has_run;
}

/* The thread that jumps away comes back to us by another call; meanwhile another one waits. */
static void *jump(void *)
{
    if (sigsetjmp(target, 1) == 0)
        f(7);
    await("waits");
    sleep_ms(100);
    g(1);
    wait_for_the_other();
    return nullptr;
}

/* The thread that jumps away works on, and never calls a task again. */
static __attribute__((noinline)) void work()
{
    volatile char stack[64 * 1024];
    for (size_t i = 0; i < sizeof stack; i++)
        stack[i] = 1;
    await("waits");
}

static void *jump_for_good(void *)
{
    if (sigsetjmp(target, 1) == 0)
        f(7);
    work();
    wait_for_the_other();
    return nullptr;
}

static void jumps(void *(*how)(void *))
{
    pthread_t thread;
    call other;
    pthread_create(&thread, nullptr, how, nullptr);
    await("f-runs");
    mark("waits");
    start(&other, f);
    finish(&other, "other");
    has_run = 1;
    pthread_join(thread, nullptr);
    puts(ended_in_time ? "in time" : "too late");
}

static void both(int (*one)(int), int (*two)(int))
{
    call a, b;
    start(&a, one);
    start(&b, two);
    finish(&a, "one");
    finish(&b, "two");
}

static volatile sig_atomic_t signals;

static void on_signal(int)
{
    signals = signals + 1;
}

/* A waiting thread's signals are handled while it waits, and the wait isn't ended by them. */
static void is_signalled()
{
    struct sigaction action = {};
    call first, other;
    action.sa_handler = on_signal;
    sigaction(SIGUSR1, &action, nullptr);
    start(&first, f);
    await("f-runs");
    start(&other, f);
    sleep_ms(200);
    for (int i = 1; i <= 5; i++) {
        pthread_kill(other.thread, SIGUSR1);
        for (double end = now() + 60; signals < i && now() < end;)
            sleep_ms(1);
    }
    printf("signals: %d\n", (int)signals);
    mark("signalled");
    finish(&first, "first");
    finish(&other, "other");
}

int main(int argc, char **argv)
{
    std::string scenario = argc > 1 ? argv[1] : "";
    double begun = now();

    setvbuf(stdout, nullptr, _IOLBF, 0);
    if (scenario == "once") {
        printf("once: %d\n", f(7));
    } else if (scenario == "crowd") {
        crowd((int)argument(argc, argv, 2, 1));
    } else if (scenario == "throws") {
        how = THROWS;
        crowd(2);
    } else if (scenario == "exits") {
        how = EXITS_THREAD;
        crowd(2);
    } else if (scenario == "jumps") {
        how = JUMPS;
        jumps(jump);
    } else if (scenario == "jumps-for-good") {
        how = JUMPS;
        jumps(jump_for_good);
    } else if (scenario == "stops") {
        how = STOPS;
        printf("once: %d\n", f(7));
    } else if (scenario == "lingers") {
        how = LINGERS;
        crowd(1);
    } else if (scenario == "forks") {
        how = FORKS;
        printf("parent: %d\n", f(7));
    } else if (scenario == "circle") {
        how = CALLS_G;
        both(f, g);
    } else if (scenario == "half-circle") {
        how = CALLS_G;
        printf("half: %d\n", argument(argc, argv, 2, 0) ? g(7) : f(7));
    } else if (scenario == "signalled") {
        how = LINGERS;
        lingers_until = "signalled";
        is_signalled();
    }
    fprintf(stderr, "%.3f s\n", now() - begun);
    return 0;
}
