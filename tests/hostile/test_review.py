"""Hosts that once crashed, were misled, held up or changed by the runtime: each test is a bug that was."""
import os
import subprocess

from harness import Failure, TESTS, equal

INCLUDE = f"-I{TESTS}/programs"
TASK = r"""
#define _GNU_SOURCE
#include <stdint.h>
#include "body.h"
EXPORTED_TASK(int64_t task(int x))
{
    __asm__ volatile("nop; nop; nop; nop; nop" ::: "memory");
    return x * 3 + 1;
}
"""
CONFIG = """
tasks:
  - symbol: task
    prototype: |
      int64_t task(int x)
    cache_policy: INPUTS
"""


def build(t, source, *flags, name="host"):
    return t.cc(source, name, ("-O2", INCLUDE, *flags))


def same_twice(t, argv, config, **kw):
    """Bare, missed, hit: the same output and status."""
    bare = t.bare(argv, status=None)
    for turn in ("first", "second"):
        r = t.run(argv, config, status=None, **kw)
        equal((r.status, r.out), (bare.status, bare.out), f"the {turn} run")


VFORK = TASK + r"""
#include <pthread.h>
#include <sys/wait.h>
static int go;
static void *call(void *id)
{
    long bad = 0;

    while (!__atomic_load_n(&go, __ATOMIC_ACQUIRE))
        ;
    for (int i = 0; i < 50000; i++) {
        int x = i % 7 + (int)(long)id * 10;
        bad += task(x) != x * 3 + 1;
    }
    return (void *)bad;
}
int main(void)
{
    pthread_t t[3];
    pid_t child = vfork(); /* its first call of a task is the process's first */
    if (child == 0) {
        task(1000);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    for (long i = 0; i < 3; i++)
        pthread_create(&t[i], NULL, call, (void *)i);
    __atomic_store_n(&go, 1, __ATOMIC_RELEASE);
    long bad = (long)call((void *)5);
    for (int i = 0; i < 3; i++) {
        void *more;
        pthread_join(t[i], &more);
        bad += (long)more;
    }
    printf("%ld\n", bad);
    return 0;
}
"""


def test_a_vfork_child_that_calls_first(t):
    p = build(t, VFORK, "-pthread")
    config = t.config(CONFIG)
    for _ in range(3):
        equal(t.run([p], config).text, "0\n")


DISARMED = TASK + r"""
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif
static volatile long bad;
static void tick(int s)
{
    (void)s;
    bad += task(1000) != 3001;
}
static void *work(void *alternate)
{
    stack_t st = {.ss_sp = alternate, .ss_size = 65536, .ss_flags = (int)SS_AUTODISARM};
    struct itimerval often = {{0, 150}, {0, 150}}, off = {{0, 0}, {0, 0}};
    time_t end = time(NULL) + 2;

    if (sigaltstack(&st, NULL) != 0)
        exit(3);
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; time(NULL) < end; i = (i + 1) % 50)
        bad += task(i) != i * 3 + 1;
    setitimer(ITIMER_REAL, &off, NULL);
    return NULL;
}
int main(void)
{
    struct sigaction sa = {.sa_handler = tick, .sa_flags = SA_ONSTACK};
    char *m = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_attr_t a;
    sigset_t alarm;
    pthread_t t;

    sigaction(SIGALRM, &sa, NULL);
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    pthread_attr_init(&a);
    pthread_attr_setstack(&a, m, 524288);
    pthread_create(&t, &a, work, m + 700000); /* the handler's stack lies above */
    pthread_sigmask(SIG_BLOCK, &alarm, NULL);
    pthread_join(t, NULL);
    printf("%ld\n", bad);
    return 0;
}
"""


def test_handlers_on_a_disarmed_stack_above(t):
    p = build(t, DISARMED, "-pthread")
    config = t.config(CONFIG)
    for _ in range(2):
        equal(t.run([p], config).text, "0\n")


THROWS = r"""
#include <cstdio>
#include <stdexcept>
__attribute__((noinline, noclone)) void inner(int x)
{
    if (x > 2)
        throw std::runtime_error("x");
}
/* The call is one of the displaced instructions. */
extern "C" __attribute__((noinline, noclone)) int throws(int x)
{
    inner(x);
    return x * 3;
}
int main()
{
    for (int i = 1; i < 5; i++) {
        try {
            std::printf("%d\n", throws(i));
        } catch (const std::exception &e) {
            std::printf("caught %s\n", e.what());
        }
    }
}
"""


def test_an_exception_out_of_a_displaced_call(t):
    p = t.cc(t.write("throws.cc", THROWS), "throws")
    same_twice(t, [p], t.config(CONFIG.replace("int64_t task", "int throws").replace("task\n", "throws\n")))


ALIASED = r"""
#include <stdint.h>
#include "body.h"
EXPORTED_TASK(void next(const uint8_t *a, uint8_t *b, size_t n))
{
    body_ran("next");
    for (size_t i = 0; i < n; i++)
        b[i] = (uint8_t)(a[i] * 7 + 1);
}
int main(int argc, char **argv)
{
    size_t n = 1 << 20;
    uint8_t *a = malloc(n), *b = argc > 1 ? a : malloc(n);
    uint32_t x = 12345, sum = 0;

    (void)argv;
    for (size_t i = 0; i < n; i++)
        a[i] = (uint8_t)((x = x * 1664525u + 1013904223u) >> 24);
    next(a, b, n);
    for (size_t i = 0; i < n; i++)
        sum = sum * 31 + b[i];
    printf("%08x\n", sum);
    FILE *f = fopen("tail", "wb");
    fwrite(b + n - 64, 1, 64, f);
    fclose(f);
    return 0;
}
"""


def test_a_damaged_chunk_when_the_output_is_the_input(t):
    p = build(t, ALIASED)
    config = t.config("tasks:\n  - symbol: next\n    prototype: |\n      void next(const uint8_t a[n], out uint8_t b[n], size_t n)\n"
                      "    cache_policy: INPUTS\n")
    bare = t.bare([p])
    t.bodies()
    for bodies in (1, 0):
        equal(t.run([p, "aliased"], config).out, bare.out)
        equal(t.bodies(), bodies)
    data = next((t.dir / "cache" / "taskcache").glob("store-*/data.mdb"))
    raw = data.read_bytes()
    at = raw.rindex((t.dir / "tail").read_bytes()) + 5
    with open(data, "r+b") as f:
        f.seek(at)
        f.write(bytes([raw[at] ^ 1]))
    equal(t.run([p, "aliased"], config).out, bare.out)
    equal(t.bodies(), 1)


LOGGED = TASK + r"""
#include <sys/resource.h>
int main(int argc, char **argv)
{
    struct rlimit limit = {100, 100}, few = {3, 3};
    long sum = 0, written = 0;

    if (argc > 1 && strcmp(argv[1], "limit") == 0)
        setrlimit(RLIMIT_FSIZE, &limit);
    if (argc > 1 && strcmp(argv[1], "file") == 0 && (close(2) < 0 || open("mine", O_CREAT | O_RDWR, 0600) != 2))
        return 4;
    if (argc > 1 && strcmp(argv[1], "few") == 0 && (close(2) < 0 || setrlimit(RLIMIT_NOFILE, &few) < 0))
        return 4;
    for (int i = 0; i < 50; i++)
        sum += task(i);
    if (argc > 1 && strcmp(argv[1], "few") == 0)
        written = write(2, "x", 1);
    printf("%ld %ld\n", sum, written);
    return 0;
}
"""


def test_a_log_line_is_no_signal(t):
    p = build(t, LOGGED)
    config = t.config(CONFIG)
    r, w = os.pipe()
    os.close(r)
    done = subprocess.run([t.cachectl, "run", "-c", config, "--", p], env={**t.env, "TASKCACHE_LOG": "info"}, stdout=subprocess.PIPE,
                          stderr=w, check=False)
    os.close(w)
    equal((done.returncode, done.stdout), (0, b"3725 0\n"), "a closed pipe")
    r = t.run([p, "limit"], config, env={"TASKCACHE_LOG": "info", "TASKCACHE_LOG_FILE": t.dir / "log"})
    equal(r.text, "3725 0\n", "a limit on files")


def test_no_log_line_in_the_hosts_own_descriptor_2(t):
    p = build(t, LOGGED)
    equal(t.run([p, "file"], t.config(CONFIG), env={"TASKCACHE_LOG": "info"}).text, "3725 0\n")
    equal((t.dir / "mine").read_bytes(), b"")


def test_the_socket_is_never_a_standard_stream(t):
    p = build(t, LOGGED)
    same_twice(t, [p, "few"], t.config(CONFIG))


CANCELLED = TASK + r"""
#include <pthread.h>
#include <signal.h>
#include <time.h>
static void *idle(void *p)
{
    for (;;)
        pause();
    return p;
}
static void *work(void *p)
{
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    for (int i = 100;; i++)
        task(i);
    return p;
}
static void cancel(void *(*f)(void *), int us)
{
    pthread_t t;
    pthread_create(&t, NULL, f, NULL);
    usleep(us);
    pthread_cancel(t);
    pthread_join(t, NULL);
}
int main(int argc, char **argv)
{
    pid_t service = (pid_t)argument(argc, argv, 1, 0);
    long sum = 0;

    cancel(idle, 1000); /* loads what cancelling needs */
    task(1);
    kill(service, SIGSTOP);
    cancel(work, 20000); /* while it waits for the reply */
    kill(service, SIGCONT);
    for (int i = 1000; i < 1040; i++)
        sum += task(i);
    printf("%ld\n", sum);
    return 0;
}
"""


def test_a_thread_cancelled_while_it_waits_for_the_service(t):
    p = build(t, CANCELLED, "-pthread")
    config = t.config(CONFIG)
    t.execute([t.taskcached, "--config", config])
    equal(t.run([p, t.service_pids()[0]], config).text, "122380\n")
    stored = len(t.records(config))
    if stored < 41:
        raise Failure(f"{stored} of 41 results were stored: the connection stayed the cancelled thread's")


UNMAPS = r"""
#include <sys/mman.h>
#include "body.h"
EXPORTED_TASK(int consume(const int *a, int n))
{
    int sum = 0;
    for (int i = 0; i < n; i++)
        sum += a[i];
    munmap((void *)a, 4096);
    return sum;
}
int main(void)
{
    int sum = 0;
    for (int i = 0; i < 40; i++) {
        int *a = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        a[0] = i;
        sum += consume(a, 10);
    }
    printf("%d\n", sum);
    return 0;
}
"""


def test_a_task_that_unmaps_its_const_input(t):
    p = build(t, UNMAPS)
    same_twice(t, [p], t.config("tasks:\n  - symbol: consume\n    prototype: |\n      int consume(const int a[n], int n)\n    cache_policy: INPUTS\n"))


HEAP = TASK + r"""
int main(void)
{
    size_t got = 0;
    while (got < 64 << 20 && sbrk(65536) != (void *)-1)
        got += 65536;
    printf("%zu %d\n", got, (int)task(5));
    return 0;
}
"""


def test_the_heap_grows_without_randomised_addresses(t):
    for flags in ((), ("-no-pie",)):
        p = build(t, HEAP, *flags)
        same_twice(t, ["setarch", "-R", p], t.config(CONFIG))


SCRIPT = TASK.replace("__asm__", 'body_ran("task");\n    __asm__') + r"""
int main(void)
{
    printf("%d\n", (int)task(5));
    return 0;
}
"""


def test_an_interpreter_of_a_script(t):
    p = build(t, SCRIPT)
    script = t.write("script", f"#!{p}\n")
    os.chmod(script, 0o755)
    for bodies in (1, 0):
        equal(t.preload([script], t.config(CONFIG)).text, "16\n")
        equal(t.bodies(), bodies)


LIBRARIES = TASK + r"""
#include <dlfcn.h>
static int mappings(void)
{
    FILE *f = fopen("/proc/self/maps", "r");
    int n = 0, c;
    while ((c = getc(f)) != EOF)
        n += c == '\n';
    fclose(f);
    return n;
}
int main(void)
{
    static char bytes[65536];
    FILE *f = fopen("empty.so", "rb");
    size_t n = fread(bytes, 1, sizeof bytes, f);
    int before = 0;

    fclose(f);
    for (int i = 0; i < 40; i++) {
        char name[32];
        snprintf(name, sizeof name, "./new%d.so", i);
        f = fopen(name, "wb");
        fwrite(bytes, 1, n, f);
        fclose(f);
        void *h = dlopen(name, RTLD_NOW);
        if (h == NULL || dlclose(h) != 0)
            return 3;
        if (i == 5)
            before = mappings();
    }
    printf("%d %d\n", (int)task(4), mappings() - before);
    return 0;
}
"""


def test_new_libraries_again_and_again_leave_nothing_mapped(t):
    source = t.write("empty.s", '.globl filler\nfiller: ret\n.section .note.GNU-stack, "", @progbits\n')
    subprocess.run(["gcc", "-shared", "-nostdlib", "-o", t.dir / "empty.so", source], check=True)
    p = build(t, LIBRARIES, "-ldl")
    equal(t.run([p], t.config(CONFIG)).text, "13 0\n")


TICKED = TASK + r"""
#include <dlfcn.h>
#include <signal.h>
#include <sys/time.h>
static void tick(int s)
{
    static int x;
    (void)s;
    task(x++);
}
int main(void)
{
    static char bytes[65536];
    struct itimerval often = {{0, 300}, {0, 300}};
    struct sigaction sa = {.sa_handler = tick, .sa_flags = SA_RESTART};
    FILE *f = fopen("one.so", "rb");
    size_t n = fread(bytes, 1, sizeof bytes, f);
    int sum = 0;

    fclose(f);
    task(-1);
    sigaction(SIGALRM, &sa, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; i < 40; i++) {
        char name[32];
        snprintf(name, sizeof name, "./one%d.so", i);
        f = fopen(name, "wb");
        fwrite(bytes, 1, n, f);
        fputc(i, f);
        fclose(f);
        void *h = dlopen(name, RTLD_NOW);
        int (*library_task)(int) = h != NULL ? (int (*)(int))dlsym(h, "library_task") : NULL;
        if (library_task == NULL)
            return 3;
        sum += library_task(1);
    }
    printf("%d\n", sum);
    return 0;
}
"""


def test_handlers_that_call_a_task_while_a_library_is_loaded(t):
    source = t.write("one.c", '#include "body.h"\nEXPORTED_TASK(int library_task(int x))\n{\n    body_ran("library_task");\n    return x + 4;\n}\n')
    subprocess.run(["gcc", "-O2", INCLUDE, "-shared", "-fPIC", "-o", t.dir / "one.so", source], check=True)
    p = build(t, TICKED, "-ldl")
    config = t.config(CONFIG + "  - symbol: library_task\n    namespace: one\n    cache_policy: INPUTS\n"
                      "    prototype: |\n      int library_task(int x)\n")
    equal(t.run([p], config).text, "200\n")
    equal(t.bodies(), 1, "each copy was hooked")
