"""What a reading of blocks, flows, function pointers and transactions by an adversary found: each test is a bug that was."""
import os
import signal
import subprocess

from harness import ROOT, TESTS, equal

INCLUDE = f"-I{TESTS}/programs"
BODY = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define TASK __attribute__((visibility("default"), noinline, noclone))
static void body(const char *name)
{
    int fd = open(getenv("BODY_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || write(fd, name, strlen(name)) < 0 || write(fd, "\n", 1) < 0)
        _exit(99);
    close(fd);
}
"""


INTEGRATE = """
tasks:
  - symbol: integrate
    prototype: |
      double integrate(double (*f)(double), double lo, double hi)
    cache_policy: INPUTS
"""
CALLER = BODY + r"""
extern double cb(double x);
TASK double integrate(double (*f)(double), double lo, double hi)
{
    body("integrate");
    return f(lo) + f(hi);
}
int main(void)
{
#ifdef BOUND
    printf("%g\n", cb(0));
#endif
    for (int i = 0; i < 3; i++)
        printf("%g\n", integrate(cb, 1, 2));
    return 0;
}
"""


def test_a_pointer_to_a_plt_entry_is_what_lies_behind_it(t):
    """A program that isn't position-independent takes its own PLT entry for the address of a library's function."""
    config = t.config(INTEGRATE)
    for name, flags in (("lazy", ("-Wl,-z,lazy",)), ("bound", ("-Wl,-z,lazy", "-DBOUND")), ("now", ("-Wl,-z,now",)),
                        ("cet", ("-Wl,-z,now", "-fcf-protection", "-Wl,-z,ibtplt"))):
        new = 2 if name == "lazy" else 1  # before the program's first own call binds it, and after
        for factor, bodies in ((2, new), (None, 0), (3, new)):
            if factor is not None:
                lib = t.write("cb.c", f"double cb(double x) {{ return x * {factor}; }}\n")
                t.execute(["gcc", "-O1", "-shared", "-fPIC", "-o", str(t.dir / "libcb.so"), lib])
            p = str(t.dir / name)
            if not os.path.exists(p):
                t.cc(CALLER, name, ("-O1", "-no-pie", "-fno-pie", f"-L{t.dir}", "-lcb", f"-Wl,-rpath,{t.dir}", *flags))
            bare = t.bare([p])
            t.bodies()
            r = t.run([p], config)
            equal((r.out, r.err), (bare.out, bare.err), name)
            equal(t.bodies(), bodies, f"{name}, times {factor}")


FLOWS = BODY + r"""
#include <sys/wait.h>
TASK int f(int x)
{
    body(x == 1 ? "one" : "two");
    return x * 10;
}
TASK int inner(int x)
{
    return f(x) + f(x);
}
TASK int flow(int x)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(inner(1) != 20);
    waitpid(child, &status, 0);
    usleep(100000);
    f(2);
    usleep(1500000); /* what the child left is swept */
    f(2);
    return status;
}
int main(void)
{
    printf("%d\n", flow(1));
    printf("%d\n", f(2));
    printf("%d\n", f(1));
    return 0;
}
"""
TRANSACTIONS = """
defaults: { cache_policy: INPUTS }
flows:
  - symbol: flow
    prototype: |
      int flow(int x)
    transaction: true
  - symbol: inner
    prototype: |
      int inner(int x)
    transaction: true
tasks:
  - symbol: f
    prototype: |
      int f(int x)
"""


def test_a_childs_flow_is_no_part_of_its_parents_transaction(t):
    """It was handed over to that, and went with the child: all that the parent had staged by then."""
    p = t.cc(FLOWS, "flows", ("-O1",))
    config = t.config(TRANSACTIONS)
    bare = t.bare([p])
    t.bodies()
    r = t.run([p], config, env={"TASKCACHE_LOG": "error"})
    equal((r.out, r.err), (bare.out, b""))
    equal(t.body_log.read_text().split(), ["one", "one", "two", "one"], "the child's results go nowhere, the parent's stay")
    equal(len(t.records(config)), 2)


STATICS = BODY + r"""
#include <pthread.h>
TASK const char *name_of(int code)
{
    static char names[8][100];
    body("name_of");
    snprintf(names[code], sizeof names[code], "name %d", code);
    return names[code];
}
TASK const char *page_of(int code)
{
    static char pages[8][1 << 20];
    body("page_of");
    memset(pages[code], 'a' + code, sizeof pages[code] - 1);
    return pages[code];
}
static const char *found[2];
static void *look(void *arg)
{
    int n = *(int *)arg;
    const char *page = page_of(n & 7);
    if (n < 2)
        found[n] = name_of(n);
    return strlen(page) == (1 << 20) - 1 && page[5] == 'a' + (n & 7) ? NULL : arg;
}
static long anonymous_kb(void)
{
    char line[100];
    long kb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof line, f) != NULL)
        sscanf(line, "RssAnon: %ld", &kb);
    fclose(f);
    return kb;
}
int main(void)
{
    long before = anonymous_kb(), wrong = 0;
    for (int i = 0; i < 150; i++) {
        pthread_t t;
        void *bad;
        pthread_create(&t, NULL, look, &i);
        pthread_join(t, &bad);
        wrong += bad != NULL;
    }
    printf("%s %s %ld %d\n", found[0], found[1], wrong, anonymous_kb() - before < 100 * 1024);
    return 0;
}
"""


def test_static_results_outlast_the_thread_that_got_them(t):
    """The copies went with the thread, where the function's own memory stays. Nor do they grow without end."""
    p = t.cc(STATICS, "statics", ("-O1", "-pthread"))
    config = t.config("""
defaults: { cache_policy: INPUTS }
tasks:
  - symbol: name_of
    prototype: |
      static const char *name_of(int code)
  - symbol: page_of
    prototype: |
      static const char *page_of(int code)
""")
    bare = t.bare([p])
    t.bodies()
    for turn in (1, 2):
        r = t.run([p], config)
        equal((r.out, r.err), (bare.out, bare.err), f"run {turn}")
        bodies = t.bodies()
    equal(50 < bodies < 100, True, "what the first threads got was replayed")


SWITCHING = BODY + r"""
#include <pthread.h>
#include <sys/mman.h>
#include <ucontext.h>
extern void *__libc_malloc(size_t);
static ucontext_t here, there;
static int switching;
TASK int f(int x)
{
    body("f");
    return x * 10;
}
TASK char *label(int n)
{
    body("label");
    char *s = malloc(100);
    snprintf(s, 100, "label %d", n);
    return s;
}
static void elsewhere(void)
{
    f(5);
}
void *malloc(size_t n)
{
    if (switching) {
        switching = 0;
        swapcontext(&here, &there);
    }
    return __libc_malloc(n);
}
static void *call(void *arg)
{
    f(6);
    return arg;
}
TASK int flow(int x)
{
    pthread_t t;
    char *s;
    f(1);
    free(label(1));
    switching = 1;
    s = label(1);
    switching = 0;
    f(2);
    for (int i = 0; i < 20; i++) {
        pthread_create(&t, NULL, call, NULL);
        pthread_join(t, NULL);
    }
    f(3);
    printf("%s %d\n", s, f(1) + f(2) + f(3) + x);
    free(s);
    return 0;
}
static void *run(void *arg)
{
    (void)arg;
    return flow(0) == 0 ? NULL : &here;
}
int main(void)
{
    const size_t n = 1 << 20;
    pthread_attr_t a;
    pthread_t t;
    char *p = mmap(NULL, 4 * n, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(p, n, PROT_READ | PROT_WRITE);             /* the thread's stack */
    mprotect(p + 2 * n, n, PROT_READ | PROT_WRITE);     /* above it, the other one */
    getcontext(&there);
    there.uc_stack.ss_sp = p + 2 * n;
    there.uc_stack.ss_size = n;
    there.uc_link = &here;
    makecontext(&there, elsewhere, 0);
    label(1);
    pthread_attr_init(&a);
    pthread_attr_setstack(&a, p, n);
    pthread_create(&t, &a, run, NULL);
    pthread_join(t, NULL);
    return 0;
}
"""


def test_a_transaction_goes_on_when_its_thread_changes_its_context(t):
    """A malloc that leaves for another stack, from which a task is called: what was left behind is dropped, its flows go on."""
    p = t.cc(SWITCHING, "switching", ("-O1", "-pthread", "-rdynamic", "-fno-builtin"))
    config = t.config(TRANSACTIONS.replace("inner", "unused") + """
  - symbol: label
    prototype: |
      malloc char *label(int n)
""")
    bare = t.bare([p])
    r = t.run([p], config, env={"TASKCACHE_LOG": "error"})
    equal(r.out, bare.out)
    equal("transaction-lost" in r.errors, False, r.errors)
    equal(len(t.records(config)), 4, "label(1), f(1), f(2) and f(3)")


IMPATIENT = BODY + r"""
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <time.h>
static int runs;
static sigjmp_buf out;
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
static void sleep_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&t, &t) < 0)
        ;
}
TASK int f(int x)
{
    body("f");
    if (__atomic_fetch_add(&runs, 1, __ATOMIC_RELAXED) > 0)
        return x;
    sleep_ms(2000);
    return -1;
}
TASK int h(int x)
{
    body("h");
    return x;
}
static void *first(void *arg)
{
    f(1);
    return arg;
}
static void *last(void *arg)
{
    double begun = now();
    f(1);
    *(double *)arg = now() - begun;
    return arg;
}
static void on_alarm(int n)
{
    (void)n;
    siglongjmp(out, 1);
}
int main(void)
{
    pthread_t a, c;
    double took = 0;
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &s, NULL);
    pthread_create(&a, NULL, first, NULL);
    pthread_sigmask(SIG_UNBLOCK, &s, NULL);
    while (__atomic_load_n(&runs, __ATOMIC_RELAXED) == 0)
        sleep_ms(1);
    signal(SIGALRM, on_alarm);
    if (sigsetjmp(out, 1) == 0) {
        ualarm(500000, 0);
        f(1);
        puts("not interrupted");
    }
    h(1);
    pthread_create(&c, NULL, last, &took);
    pthread_join(a, NULL);
    pthread_join(c, NULL);
    puts(took < 4.5 ? "in time" : "held up");
    return 0;
}
"""


def test_who_jumps_out_of_waiting_gives_up_its_place_in_line(t):
    """Noticed at the thread's next call, of whatever task: the next in line got its turn when the place had lapsed."""
    p = t.cc(IMPATIENT, "impatient", ("-O1", "-pthread"))
    config = t.config("""
policies:
  strict: { policy: INPUTS, isolation_level: SERIALIZABLE }
tasks:
  - symbol: f
    prototype: |
      int f(int x)
    cache_policy: strict
    success: 'return >= 0'
  - symbol: h
    prototype: |
      int h(int x)
    cache_policy: INPUTS
""")
    for last in (False, False, True):  # a busy machine can hold it up, too
        r = t.run([p], config)
        bodies = t.body_log.read_text().split()
        if r.text == "in time\n" or last:
            break
        t.bodies()
        t.ctl("rm", "-c", config, "--all")
    equal((r.out, r.err), (b"in time\n", b""))
    equal(bodies, ["f", "h", "f"])


LEAVING = BODY + r"""
#include <setjmp.h>
#include <signal.h>
static sigjmp_buf out;
TASK int f(int x)
{
    body("f");
    return x * 10;
}
static void on_alarm(int n)
{
    (void)n;
    siglongjmp(out, 1);
}
static void say(const char *word)
{
    puts(word);
    fflush(stdout);
    if (getchar() == EOF)
        exit(1);
}
int main(void)
{
    signal(SIGALRM, on_alarm);
    f(0);
    say("ready");
    if (sigsetjmp(out, 1) == 0) {
        alarm(3); /* less than the test's deadline for a reply */
        f(1);
        puts("not interrupted");
    }
    say("jumped");
    f(2);
    return 0;
}
"""


def test_who_jumps_out_of_a_request_can_make_the_next_one(t):
    """The turn on the connection was kept until it was longer than any may be: what was computed meanwhile got lost."""
    p = t.cc(LEAVING, "leaving", ("-O1",))
    config = t.config("""
tasks:
  - symbol: f
    prototype: |
      int f(int x)
    cache_policy: INPUTS
""")
    t.run([p], config, stdin=b"\n\n", status=None)
    t.ctl("rm", "-c", config, "--all")
    q = subprocess.Popen([t.cachectl, "run", "-c", config, "--", p], env=t.env, cwd=t.dir, stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, text=True, bufsize=1)
    equal(q.stdout.readline(), "ready\n")
    t.kill_services(signal.SIGSTOP)
    try:
        q.stdin.write("\n")
        equal(q.stdout.readline(), "jumped\n")
    finally:
        t.kill_services(signal.SIGCONT)
    q.stdin.write("\n")
    equal((q.stdout.read(), q.wait(120)), ("", 0))
    equal(len(t.records(config)), 3)


TAMPER = r"""
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cache/record.h"
#define CHECK(x) do { if ((x) != 0) { fprintf(stderr, "%s\n", #x); exit(1); } } while (0)
/* A string without its end; a result far behind the output that it pointed into. */
int main(int argc, char **argv)
{
    static unsigned char v[TC_RECORD_INLINE_BYTES];
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi t;
    MDB_cursor *c;
    MDB_val k, d;
    int changed = 0;
    CHECK(argc != 2 || mdb_env_create(&env) || mdb_env_set_maxdbs(env, 16) || mdb_env_set_mapsize(env, 1ul << 32));
    CHECK(mdb_env_open(env, argv[1], 0, 0600));
    CHECK(mdb_txn_begin(env, NULL, 0, &txn));
    CHECK(mdb_dbi_open(txn, "records", 0, &t));
    CHECK(mdb_cursor_open(txn, t, &c));
    while (mdb_cursor_get(c, &k, &d, MDB_NEXT) == 0) {
        struct tc_record_view r;
        struct tc_extent e;
        struct tc_into_arg into;
        size_t bytes = d.mv_size, extents;
        memcpy(v, d.mv_data, bytes);
        CHECK(tc_record_decode(v, bytes, &r));
        extents = (size_t)(r.extents - v);
        memcpy(&e, r.extents, sizeof e);
        if (r.head.output_count == 1) {
            bytes -= r.head.output_bytes;
            r.head.output_bytes = e.piece_bytes = 0;
            memcpy(v + extents, &e, sizeof e);
        } else {
            memcpy(&into, r.outputs, sizeof into);
            into.offset_bytes = 1ul << 40;
            memcpy(v + (r.outputs - v), &into, sizeof into);
        }
        r.head.checksum = 0;
        memcpy(v, &r.head, sizeof r.head);
        r.head.checksum = tc_record_checksum(v, bytes);
        memcpy(v, &r.head, sizeof r.head);
        CHECK(tc_record_decode(v, bytes, &r));
        d = (MDB_val){bytes, v};
        CHECK(mdb_cursor_put(c, &k, &d, MDB_CURRENT));
        changed++;
    }
    mdb_cursor_close(c);
    CHECK(mdb_txn_commit(txn));
    mdb_env_close(env);
    return changed != 2;
}
"""
POINTING = BODY + r"""
TASK char *name_of(int n)
{
    body("name_of");
    char *s = malloc(24);
    snprintf(s, 24, "number %d", n);
    return s;
}
TASK char *last(int n, char text[16])
{
    body("last");
    memset(text, 'a', 16);
    text[15] = 0;
    return text + n;
}
int main(void)
{
    char text[16], *name;
    for (int i = 0; i < 50; i++) {
        name = malloc(24);
        memset(name, '!', 23);
        name[23] = 0;
        free(name);
    }
    name = name_of(7);
    printf("%s %s\n", name, last(3, text));
    free(name);
    return 0;
}
"""


def test_records_that_say_what_none_of_ours_does(t):
    p = t.cc(POINTING, "pointing", ("-O1",))
    tamper = t.cc(TAMPER, "tamper", ("-O1", f"-I{ROOT}", f"{ROOT}/cache/record.c", f"{ROOT}/cache/hash.c", "-llmdb"))
    config = t.config("""
defaults: { cache_policy: INPUTS }
tasks:
  - symbol: name_of
    prototype: |
      malloc char *name_of(int n)
  - symbol: last
    prototype: |
      char *last(int n, out char text[16])
""")
    bare = t.bare([p])
    t.bodies()
    equal((t.run([p], config).out, t.bodies()), (bare.out, 2))
    equal((t.run([p], config).out, t.bodies()), (bare.out, 0))
    t.ctl("service", "stop", "-c", config)
    t.wait(lambda: not t.service_pids(), "the service to leave")
    t.execute([tamper, str(next((t.dir / "cache").rglob("data.mdb")).parent)])
    equal((t.run([p], config).out, t.bodies()), (bare.out, 2))
