"""Where function pointers lead to that aren't simply a library's function: code that comes and goes, is made, chosen, hooked, or looked at
in a signal handler or a forked child. What another code would have given must never be replayed."""
import json
import shutil

from harness import Failure, contains, equal

HEAD = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
__attribute__((noinline, noclone)) int apply(int (*f)(int), int x)
{
    int fd = open(getenv("BODY_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || write(fd, "apply\n", 6) != 6)
        _exit(99);
    close(fd);
    return f != NULL ? f(x) : -1;
}
static int (*load(void **handle, const char *path))(int)
{
    int (*f)(int) = NULL;
    *handle = dlopen(path, RTLD_NOW);
    if (*handle == NULL)
        puts(dlerror());
    *(void **)&f = dlsym(*handle, "callback");
    return f;
}
"""
TASK = "  - symbol: {0}\n    prototype: |\n      {1}\n    cache_policy: INPUTS\n    hook: {2}\n"
APPLY = TASK.format("apply", "int apply(int (*f)(int), int x)", "auto")
CALLBACK = '__attribute__((visibility("default"))) int callback(int x) {{ return x * 3 + {}; }}\n'


def config_of(t, *more):
    return t.config("tasks:\n" + APPLY + "".join(more))


def library(t, name, add, flags=()):
    return t.cc(CALLBACK.format(add), name, ("-O1", "-shared", "-fPIC", *flags))


def until_known(t, program, config, bodies, what, **kw):
    """Every run prints what a bare one does; in the end `bodies` of them run."""
    bare = t.bare(program, **kw)
    t.bodies()

    def known():
        r = t.run(program, config, **kw)
        equal((r.out, r.err), (bare.out, bare.err), what)
        return t.bodies() == bodies
    t.wait(known, f"{what}: {bodies} bodies", 60)


REOPENS = HEAD + r"""
int main(int argc, char **argv)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/now.so", argv[1]);
    for (int i = 2; i < argc; i++) {
        void *h;
        char from[4096];
        snprintf(from, sizeof from, "%s/link", argv[1]);
        unlink(from);
        if (link(argv[i], from) != 0 || rename(from, path) != 0)
            return 1;
        unlink(from);
        int (*f)(int) = load(&h, path);
        printf("%d %d\n", apply(f, 5), apply(f, 5));
        dlclose(h);
    }
    return 0;
}
"""


def test_another_library_in_the_same_place(t):
    """Opened, closed, and another one of the same shape opened, most often at the same address: by another file, or by the same name."""
    p = t.cc(REOPENS, "reopens", ("-O1",))
    for name, flags in (("by build-id", ("-Wl,--build-id",)), ("by file", ("-Wl,--build-id=none",))):
        libraries = [library(t, f"{name[3:]}{i}.so", 10 + i, flags) for i in range(3)]
        order = [libraries[i] for i in (0, 1, 2, 0, 1, 0)]
        config = config_of(t)
        until_known(t, [p, t.dir, *order], config, 0, name)
        t.ctl("rm", "*", "-c", config, status=None)


MADE = HEAD + r"""
int main(void)
{
    /* mov %edi,%eax; add $N,%eax; ret */
    unsigned char code[] = {0x89, 0xf8, 0x05, 0, 0, 0, 0, 0xc3};
    unsigned char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return 77;
    for (int i = 0; i < 4; i++) {
        code[3] = (unsigned char)(i / 2);
        memcpy(p, code, sizeof code);
        printf("%d\n", apply((int (*)(int))(void *)p, 5));
    }
    return 0;
}
"""


def test_code_made_at_run_time_is_a_bypass(t):
    p = t.cc(MADE, "made", ("-O1",))
    config = config_of(t)
    bare = t.bare([p], status=None)
    if bare.status == 77:
        return  # writable code isn't allowed here
    t.bodies()
    for _ in range(2):
        r = t.run([p], config)
        equal((r.out, r.err), (bare.out, bare.err))
        equal(t.bodies(), 4)
    equal(t.stats(config)["bypass_reasons"].get("unknown-code"), 8)


CHOSEN = HEAD + r"""
static int fast(int x) { return x + 100; }
static int slow(int x) { return x + 100; }
static int other(int x) { return x + ADD; }
static int (*choose(void))(int) { return other; }
static int (*choose_too(void))(int) { return WANT; }
int chosen(int) __attribute__((ifunc("choose")));
int chosen_too(int) __attribute__((ifunc("choose_too")));
int main(void)
{
    int (*volatile f)(int) = chosen, (*volatile g)(int) = chosen_too;
    printf("%d %d %d\n", apply(f, 1), apply(g, 1), fast(1) - slow(1));
    return 0;
}
"""


def test_a_chosen_implementation_counts_by_its_code(t):
    for flags in (("-O1", "-fPIE", "-pie"), ("-O1", "-fno-pie", "-no-pie")):
        config = config_of(t)
        builds = {(add, want): t.cc(CHOSEN, f"c{add}{want}", (*flags, f"-DADD={add}", f"-DWANT={want}")) for add in (1, 2) for want in ("fast", "slow")}
        for b in builds.values():
            (t.dir / "chooses").unlink(missing_ok=True)
            shutil.copy(b, t.dir / "chooses")
            until_known(t, [t.dir / "chooses"], config, 0, f"{flags} {b}")
        t.ctl("rm", "*", "-c", config, status=None)


HOOKED = HEAD + r"""
extern int shown(int x);
__attribute__((noinline, noclone)) int inner(int x)
{
    int fd = open(getenv("BODY_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || write(fd, "inner\n", 6) != 6)
        _exit(99);
    close(fd);
    return x * 11;
}
int main(void)
{
    for (int i = 0; i < 2; i++)
        printf("%d %d\n", apply(inner, 3), apply(shown, 4));
    return 0;
}
"""
SHOWN = r"""
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
__attribute__((visibility("default"))) int shown(int x)
{
    int fd = open(getenv("BODY_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || write(fd, "shown\n", 6) != 6)
        _exit(99);
    close(fd);
    return x * 13;
}
"""


def test_a_hooked_function_is_the_same_as_without_the_hook(t):
    """By its entry, whose first bytes are our jump, or by its symbol, where the pointer leads to our stub."""
    t.cc(SHOWN, "libshown.so", ("-O1", "-shared", "-fPIC"))
    for flags in (("-fPIE", "-pie"), ("-fno-pie", "-no-pie")):
        p = t.cc(HOOKED, "hooked", ("-O1", *flags, f"-L{t.dir}", "-lshown", f"-Wl,-rpath,{t.dir}"))
        alone = config_of(t)
        until_known(t, [p], alone, 0, f"alone {flags}")
        for hook in ("entry", "got"):
            both = t.config("tasks:\n" + APPLY + TASK.format("inner", "int inner(int x)", "auto") + TASK.format("shown", "int shown(int x)", hook),
                            f"{hook}.yaml")
            bare = t.bare([p])
            t.bodies()
            r = t.run([p], both)
            equal((r.out, r.err), (bare.out, bare.err), hook)
            equal(t.bodies(), 0, f"{hook} {flags}: the calls that were kept without the hook")
        t.ctl("rm", "*", "-c", alone, status=None)


HANDLERS = HEAD + r"""
static int one(int x) { return x + 1; }
static int two(int x) { return x + 2; }
static volatile int sum;
static void handler(int n)
{
    (void)n;
    sum += apply(one, 20) + apply(two, 20);
}
int main(void)
{
    char stack[65536];
    stack_t s = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction a = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    sigaltstack(&s, NULL);
    sigaction(SIGUSR1, &a, NULL);
    raise(SIGUSR1);
    printf("%d\n", sum);
    a.sa_flags = 0;
    sigaction(SIGUSR1, &a, NULL);
    raise(SIGUSR1);
    printf("%d %d\n", sum, apply(one, 20));
    raise(SIGUSR1);
    printf("%d\n", sum);
    return 0;
}
"""


def test_in_signal_handlers_only_what_is_known_counts(t):
    """Nobody is asked there: the first calls run. Once a call outside of them has learned it, so do theirs."""
    p = t.cc(HANDLERS, "handlers", ("-O1",))
    config = config_of(t)
    bare = t.bare([p])
    t.bodies()
    for _ in range(3):
        r = t.run([p], config)
        equal((r.out, r.err), (bare.out, bare.err))
        if t.bodies() < 4:
            raise Failure("a function was asked for in a handler")
    contains(str(t.stats(config)["bypass_reasons"]), "source-unknown")


FORKS = HEAD + r"""
int main(int argc, char **argv)
{
    (void)argc;
    void *h;
    int (*f)(int) = load(&h, argv[1]);
    printf("%d\n", apply(f, 5));
    fflush(stdout);
    if (fork() == 0) {
        dlclose(h);
        f = load(&h, argv[2]); /* most often in the same place, which the parent has for the other one */
        printf("child %d\n", apply(f, 5));
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    printf("%d\n", apply(f, 5));
    return 0;
}
"""


def test_a_forked_child_sees_its_own_memory(t):
    p = t.cc(FORKS, "forks", ("-O1",))
    for flags in (("-Wl,--build-id",), ("-Wl,--build-id=none",)):
        config = config_of(t)
        a, b = library(t, "a.so", 1, flags), library(t, "b.so", 2, flags)
        until_known(t, [p, a, b], config, 0, f"{flags}")
        t.ctl("rm", "*", "-c", config, status=None)


def test_where_the_loader_tells_nothing(t):
    """Under gdb libraries come and go unseen: those without a build-id can't be told apart by what is in memory."""
    if shutil.which("gdb") is None:
        return
    p = t.cc(REOPENS, "reopens", ("-O1",))
    config = config_of(t)
    for flags in (("-Wl,--build-id",), ("-Wl,--build-id=none",)):
        libraries = [library(t, f"l{i}.so", 20 + i, flags) for i in range(2)]
        arguments = [p, t.dir, *libraries, libraries[0]]
        bare = t.bare(arguments)
        for _ in range(2):
            r = t.execute(["gdb", "-q", "-batch", "-nx", "-ex", "set startup-with-shell off", "-ex", f"set environment LD_PRELOAD {t.library}",
                           "-ex", f"set environment TASKCACHE_CONFIG {config}", "-ex", "run", "--args", *arguments])
            found = [line for line in r.text.splitlines() if line in bare.text.splitlines()]
            equal(found, bare.text.splitlines(), str(flags))


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
