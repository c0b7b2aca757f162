"""Code of plugins that does what it mustn't: a refusal or a bypass with its reason, and the program runs on."""
import os

from harness import Failure, ROOT, contains, equal, lacks

INCLUDE = f"-I{ROOT}/plugin-api/include"
PROGRAM = r"""
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

__attribute__((noinline, noclone)) int f(int x)
{
    FILE *log = fopen(getenv("BODY_LOG"), "a");
    fputs("f\n", log);
    fclose(log);
    return x * 2;
}
static void handler(int s)
{
    (void)s;
    char text[32];
    int n = snprintf(text, sizeof text, "%d\n", f(7));
    (void)!write(1, text, n);
}
static void *thread(void *arg)
{
    return (void *)(long)f((int)(long)arg);
}
int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "altstack") == 0) {
            static char memory[65536];
            stack_t s = {.ss_sp = memory, .ss_size = sizeof memory};
            struct sigaction a = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
            sigaltstack(&s, NULL);
            sigaction(SIGUSR1, &a, NULL);
            raise(SIGUSR1);
        } else if (strcmp(argv[i], "signal") == 0) {
            struct sigaction a = {.sa_handler = handler};
            sigaction(SIGUSR2, &a, NULL);
            raise(SIGUSR2);
        } else if (strcmp(argv[i], "blocked") == 0) {
            sigset_t all;
            sigfillset(&all);
            sigprocmask(SIG_BLOCK, &all, NULL);
        } else if (strcmp(argv[i], "vfork") == 0) {
            pid_t child = vfork();
            if (child == 0) {
                f(5);
                _exit(0);
            }
            waitpid(child, NULL, 0);
        } else if (strcmp(argv[i], "seccomp") == 0) {
            prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            struct sock_filter allow = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
            struct sock_fprog all = {1, &allow};
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all, 0, 0);
        } else if (strcmp(argv[i], "threads") == 0) {
            pthread_t t[4];
            long sum = 0;
            for (long k = 0; k < 4; k++)
                pthread_create(&t[k], NULL, thread, (void *)k);
            for (int k = 0; k < 4; k++) {
                void *r;
                pthread_join(t[k], &r);
                sum += (long)r;
            }
            printf("%ld\n", sum);
        } else {
            printf("%d\n", f(atoi(argv[i])));
        }
    }
    return 0;
}
"""
PLUGIN = r"""
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <taskcache/plugin.h>
static const struct taskcache_host *host;
static int key(void *data, const struct taskcache_call *call, struct taskcache_cursor *to, struct taskcache_error *error)
{
    (void)data, (void)call, (void)to, (void)error;
    %(key)s
}
static int init(const struct taskcache_host *h, struct taskcache_error *error)
{
    static struct taskcache_key_function f = {sizeof f, 0, "key", NULL, key};
    (void)error, (void)f;
    host = h;
    %(init)s
}
%(more)s
TASKCACHE_PLUGIN_OF_CODE("bad", "1.0", "MIT", "Whatever can be wrong", %(flags)s, init);
"""
GOOD_KEY = 'taskcache_put(to, "k", 1); return 0;'
GOOD_INIT = "return h->add_key_function(h, &f);"
CONFIG = "plugins:\n  - ./bad.so\ntasks:\n  - symbol: f\n    prototype: 'int f(int x)'\n    cache_policy: INPUTS + KEY(bad.key)\n"


def plugin(t, key=GOOD_KEY, init=GOOD_INIT, more="", flags="0", compiler=None, options=(), name="bad.so"):
    source = t.write("bad.cc" if compiler else "bad.c", PLUGIN % {"key": key, "init": init, "more": more, "flags": flags})
    t.cc(source, name, flags=("-O1", "-g", "-shared", "-fPIC", INCLUDE, *options), compiler=compiler)


def run(t, program, *argv, status=0, config=CONFIG):
    return t.run([program, *argv], t.config(config), env={"TASKCACHE_LOG": "error"}, status=status)


def calls(t, argv, expected, bodies, config=CONFIG):
    """Runs the program, and compares its output with a bare run's."""
    program = str(t.dir / "program")
    if not os.path.exists(program):
        t.cc(PROGRAM, "program", flags=("-O2", "-pthread"))
    bare = t.bare([program, *argv])
    t.bodies()
    r = run(t, program, *argv, config=config)
    equal(r.text, bare.text)
    equal(r.text, expected)
    ran = t.bodies()
    if bodies is not None:
        equal(ran, bodies)
    return r


def bypassed(t, reason):
    return t.stats(str(t.dir / "taskcache.yaml"))["bypass_reasons"].get(reason, 0)


def test_good_code_is_called(t):
    plugin(t)
    calls(t, ["1", "1"], "2\n2\n", 1)
    calls(t, ["1", "2"], "2\n4\n", 1)


def test_an_exception_switches_the_plugin_off(t):
    plugin(t, key="throw 5;", compiler="g++")
    r = calls(t, ["1", "1", "1"], "2\n2\n2\n", 3)
    contains(r.errors, "plugin-off")
    contains(r.errors, "plugin bad: key: threw an exception")
    equal(bypassed(t, "plugin-off"), 3)


def test_an_exception_leaves_nothing_behind_in_the_thread(t):
    """Of a C++ program, which counts exceptions under way."""
    plugin(t, key="throw 5;", compiler="g++")
    program = t.cc(t.write("host.cc", r"""
#include <cstdio>
#include <cstdlib>
#include <exception>
extern "C" __attribute__((noinline, noclone)) int f(int x) { asm volatile("nop;nop;nop;nop;nop;nop"); return x * 2; }
int main() { int r = f(4); printf("%d %d\n", r, std::uncaught_exceptions()); try { throw 1; } catch (int) { puts("caught"); } }
"""), "host", flags=("-O2", "-std=c++17"), compiler="g++")
    equal(run(t, program).text, "8 0\ncaught\n")


def test_a_write_beyond_the_cursor_switches_the_plugin_off(t):
    plugin(t, key="memset(to->bytes, 1, to->room + 9); to->used = 4; return 0;")
    r = calls(t, ["1", "1"], "2\n2\n", 2)
    contains(r.errors, "wrote beyond its cursor's room")
    equal(bypassed(t, "plugin-off"), 2)


def test_garbage_is_an_error(t):
    for key, text in (("return 7;", "returned 7"), ("to->used = UINT64_MAX; return 0;", "asked for more room"),
                      ("to->used = to->room + 1; return 0;", "never had enough room"), ("return -EIO;", "returned -5")):
        plugin(t, key=key)
        r = calls(t, ["1", "1"], "2\n2\n", 2)
        contains(r.errors, "plugin-error")
        contains(r.errors, text)


def test_errno_is_the_programs(t):
    plugin(t, key=f"errno = ENOTTY; {GOOD_KEY}")
    program = t.cc(r"""
#include <errno.h>
#include <stdio.h>
__attribute__((noinline, noclone)) int f(int x) { __asm__ volatile("nop;nop;nop;nop;nop;nop"); return x * 2; }
int main(void) { errno = 3; int a = f(1), e = errno; int b = f(1); printf("%d %d %d %d\n", a, e, b, errno); }
""", "host")
    equal(run(t, program).text, "2 3 2 3\n")


def test_init_that_fails_refuses_the_code(t):
    for init, text in (('h->cause(error, "no licence"); return -EPERM;', "its `init` failed: no licence"),
                       ("abort();", "its `init` crashed: Aborted"), ("for (;;) pause();", "its `init` took longer than 2 s"),
                       ("_exit(0);", "its `init` ended the process"), ("return 3;", "its `init` returned 3"),
                       ("h->add_key_function(h, &f); return h->add_key_function(h, &f) < 0 ? 0 : 1;", "'key' is registered twice"),
                       ('f.name = "a name"; h->add_key_function(h, &f); return 0;', "can't be registered"),
                       ("f.struct_size = 4; return h->add_key_function(h, &f);", "its `init` failed")):
        plugin(t, init=init)
        r = calls(t, ["1", "1"], "2\n2\n", 2)
        contains(r.errors, "plugin-init")
        contains(r.errors, text)
    equal(t.stats(str(t.dir / "taskcache.yaml"))["hits"], 0)


def test_init_that_fails_in_the_program_alone(t):
    plugin(t, init="if (getenv(\"BODY_LOG\")) { h->cause(error, \"not in here\"); return -EPERM; } " + GOOD_INIT)
    r = calls(t, ["1", "1"], "2\n2\n", 2)
    contains(r.errors, "plugin-unavailable")
    contains(r.errors, "not in here")


def test_static_thread_local_storage_is_refused(t):
    plugin(t, more="__thread int mine __attribute__((tls_model(\"initial-exec\"))); int use(void) { return mine++; }")
    r = calls(t, ["1", "1"], "2\n2\n", 2)
    contains(r.errors, "plugin-static-tls")


def test_a_plugin_that_everybody_may_write_is_refused(t):
    plugin(t)
    os.chmod(t.dir / "bad.so", 0o777)
    program = t.cc(PROGRAM, "program", flags=("-O2", "-pthread"))
    r = run(t, program, "1", status=125)
    contains(r.errors, "untrusted")


def test_a_missing_library_is_told(t):
    t.cc("int g(void) { return 1; }\n", "libgone.so", flags=("-shared", "-fPIC"))
    plugin(t, key="extern int g(void); g(); " + GOOD_KEY, options=(f"-L{t.dir}", "-lgone"))
    os.unlink(t.dir / "libgone.so")
    r = calls(t, ["1"], "2\n", 1)
    contains(r.errors, "it can't be loaded")
    contains(r.errors, "libgone.so")


def test_not_on_a_signal_stack(t):
    plugin(t)
    calls(t, ["7", "altstack", "7"], "14\n14\n14\n", 2)
    equal(bypassed(t, "plugin-context"), 1)


def test_not_in_a_signal_handler(t):
    """On the thread's own stack, too; the first call would even have loaded it."""
    plugin(t)
    calls(t, ["signal", "7", "signal", "7"], "14\n14\n14\n14\n", 3)
    equal(bypassed(t, "plugin-context"), 2)


def test_blocked_signals_are_no_handler(t):
    plugin(t)
    calls(t, ["blocked", "7", "7"], "14\n14\n", 1)


def test_not_in_a_vfork_child_nor_after_seccomp(t):
    plugin(t)
    calls(t, ["vfork", "5", "vfork", "seccomp", "5"], "10\n10\n", 4)
    equal((bypassed(t, "vfork-child"), bypassed(t, "sandboxed")), (2, 1))


def test_nothing_is_registered_after_init(t):
    plugin(t, key="static const struct taskcache_key_function late = {sizeof late, 0, \"late\", NULL, key};"
                  " if (host->add_key_function(host, &late) != -EPERM) return -EIO; " + GOOD_KEY)
    lacks(calls(t, ["1", "1"], "2\n2\n", 1).errors, "plugin")


def test_one_thread_at_a_time_unless_it_claims_more(t):
    count = "static int inside, most; int now = __atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST); if (now > most) most = now; usleep(3000);"
    count += " if (most > 1) abort(); __atomic_sub_fetch(&inside, 1, __ATOMIC_SEQ_CST); " + GOOD_KEY
    plugin(t, key=count)
    calls(t, ["1", "threads"], "2\n12\n", 4)
    plugin(t, key=count.replace("most > 1", "0").replace("3000", "200000"), flags="TASKCACHE_THREAD_SAFE")
    r = calls(t, ["threads"], "12\n", 0)
    lacks(r.errors, "plugin")


def test_who_waits_for_long_goes_by(t):
    t.env["TASKCACHE_TEST_DEADLINE_MS"] = "50"
    plugin(t, key="usleep(400000); " + GOOD_KEY)
    calls(t, ["1", "threads"], "2\n12\n", None)
    if bypassed(t, "plugin-busy") == 0:
        raise Failure("nobody was told that the plugin is busy")


def test_a_jump_out_of_its_code_switches_it_off(t):
    program = t.cc(r"""
#include <setjmp.h>
#include <stdio.h>
jmp_buf out;
__attribute__((noinline, noclone)) int f(int x) { __asm__ volatile("nop;nop;nop;nop;nop;nop"); return x * 2; }
int main(void) { if (setjmp(out) == 0) f(1); printf("%d\n", f(2)); printf("%d\n", f(2)); return 0; }
""", "host", flags=("-O1", "-rdynamic"))
    plugin(t, key="extern void *out; extern void longjmp(void *, int); longjmp(&out, 1); return 0;")
    r = run(t, program)
    equal(r.text, "4\n4\n")
    contains(t.ctl("stats", "-c", str(t.dir / "taskcache.yaml")).text + r.errors, "plugin")


def test_a_replaced_file_is_not_loaded(t):
    plugin(t)
    program = t.cc(r"""
#include <stdio.h>
#include <stdlib.h>
__attribute__((noinline, noclone)) int f(int x) { __asm__ volatile("nop;nop;nop;nop;nop;nop"); return x * 2; }
int main(int argc, char **argv) { if (system(argv[1]) != 0) return 1; printf("%d\n", f(2)); return argc == 0; }
""", "host")
    r = run(t, program, f"touch {t.dir}/bad.so")
    equal(r.text, "4\n")
    contains(r.errors, "plugin-unavailable")
    contains(r.errors, "isn't the one")


def test_programs_that_do_not_call_the_task_never_load_it(t):
    plugin(t, more="__attribute__((constructor)) static void loaded(void) { if (getenv(\"BODY_LOG\")) abort(); }")
    program = t.cc(PROGRAM, "program", flags=("-O2", "-pthread"))
    equal(run(t, program).text, "")


def test_loaded_from_a_librarys_constructor(t):
    """Which runs under the loader's lock, in the middle of a dlopen of the program."""
    plugin(t)
    t.cc("""
#include <stdio.h>
__attribute__((noinline, noclone)) int f(int x) { __asm__ volatile("nop;nop;nop;nop;nop;nop"); return x * 2; }
__attribute__((constructor)) static void begin(void) { printf("%d\\n", f(1)); }
""", "libf.so", flags=("-O1", "-shared", "-fPIC"))
    program = t.cc("""
#include <dlfcn.h>
#include <stdio.h>
int main(void)
{
    void *handle = dlopen("./libf.so", RTLD_NOW);
    int (*f)(int) = (int (*)(int))dlsym(handle, "f");
    printf("%d\\n", f(1));
    return 0;
}
""", "host")
    equal(run(t, program).text, "2\n2\n")
    equal(t.stats(str(t.dir / "taskcache.yaml"))["hits"], 1)


def test_options_arrive_by_their_types(t):
    plugin(t, init=r"""
    static const struct { const char *name; int kind; long long integer; double real; const char *text; } want[] = {
        {"n", TASKCACHE_OPTION_INTEGER, -4, -4, "-4"}, {"r", TASKCACHE_OPTION_REAL, 0, 2.5, "2.5"},
        {"b", TASKCACHE_OPTION_BOOLEAN, 1, 0, "yes"}, {"q", TASKCACHE_OPTION_TEXT, 0, 0, "17"}, {"w", TASKCACHE_OPTION_TEXT, 0, 0, "some words"}};
    for (unsigned i = 0; i < 5; i++) {
        const struct taskcache_option *o = h->option(h, want[i].name);
        if (o == NULL || o != h->option_at(h, i) || (int)o->kind != want[i].kind || o->integer != want[i].integer || o->real != want[i].real || strcmp(o->text, want[i].text) != 0) {
            h->cause(error, want[i].name);
            return -EINVAL;
        }
    }
    if (h->option(h, "x") != NULL || h->option_at(h, 5) != NULL)
        return -EINVAL;
    """ + GOOD_INIT)
    r = calls(t, ["1", "1"], "2\n2\n", 1, CONFIG.replace("./bad.so", "{ path: ./bad.so, options: { n: -4, r: 2.5, b: yes, q: '17', w: some words } }"))
    lacks(r.errors, "plugin")


def test_two_plugins_of_one_name(t):
    plugin(t)
    plugin(t, name="other.so", more="int another;")
    program = t.cc(PROGRAM, "program", flags=("-O2", "-pthread"))
    r = run(t, program, "1", status=125, config=CONFIG.replace("  - ./bad.so\n", "  - ./bad.so\n  - ./other.so\n"))
    contains(r.errors, "two plugins have the name 'bad'")
