"""How calls are taken: at the entry, through symbols where the entry can't be taken, and where an implementation is chosen."""
import collections
import json

from harness import contains, equal

LIBRARY = r"""
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define EXPORT __attribute__((visibility("default"), noinline))
EXPORT void ran(const char *name)
{
    int fd = open(getenv("BODY_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || write(fd, name, strlen(name)) < 0 || write(fd, "\n", 1) < 0)
        _exit(99);
    close(fd);
}
__attribute__((noinline, noclone, used)) static int body(int x)
{
    ran("hop");
    return x * 3;
}
static int (*const to_body)(int) = body;
/* Too short for a jump: a jump itself, of two bytes, to where the function goes on. */
__asm__(".globl hop\n.type hop,@function\nhop:\n jmp hop_on\n.size hop,.-hop\n hop_on: jmp *to_body_slot(%rip)\n"
        ".section .data.rel.local\n.balign 8\nto_body_slot: .quad body_alias\n.text\n");
EXPORT int hop(int x);
int body_alias(int x);
__attribute__((visibility("hidden"))) int body_alias(int x) { return to_body(x); }
EXPORT int plain(int x)
{
    ran("plain");
    return x + 100;
}
EXPORT int inside(int x)
{
    return hop(x) + plain(x);
}
static int (*const table[2])(int) = {hop, plain};
EXPORT int (*entry(int i))(int)
{
    return table[i];
}
"""
PROGRAM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
int hop(int), plain(int), inside(int);
int (*entry(int))(int);
static int (*pointer)(int) = hop;
int main(int argc, char **argv)
{
    printf("%d %d\n", hop(1), hop(1));
    printf("%d %d\n", pointer(2), pointer(2));
    printf("%d %d\n", entry(0)(3), entry(0)(3));
    printf("%d %d\n", plain(4), plain(4));
    printf("%d %d\n", inside(5), inside(5));
    int (*found)(int) = NULL;
    *(void **)&found = dlsym(RTLD_DEFAULT, "hop");
    printf("%d %d %d\n", found(6), found(6), found == pointer);
    for (int i = 1; i < argc; i++) {
        void *h = dlopen(argv[i], RTLD_LAZY);
        int (*late)(int) = NULL;
        if (h == NULL)
            puts(dlerror());
        *(void **)&late = dlsym(h, "late");
        printf("%d %d\n", late(7 + i), late(7 + i));
    }
    return 0;
}
"""
LATE = "int hop(int);\n__attribute__((visibility(\"default\"))) int late(int x) { return hop(x) + 1; }\nint (*late_pointer)(int) = hop;\n"
TASK = "tasks:\n  - symbol: {}\n    prototype: |\n      int {}(int x)\n    cache_policy: INPUTS + TASK_SOURCE\n    hook: {}\n"


def doctor(t, config, program):
    return {x["task"].split("@")[0]: x for x in json.loads(t.ctl("doctor", "--json", "-c", config, program, status=None).out)["tasks"]}


def build(t, library_flags=(), program_flags=(), name="hopping"):
    library = t.cc(LIBRARY, f"lib{name}.so", ("-O2", "-shared", "-fPIC", *library_flags))
    return library, t.cc(PROGRAM, name, ("-O1", *program_flags, f"-L{t.dir}", f"-l:lib{name}.so", f"-Wl,-rpath,{t.dir}"))


def bodies(t):
    names = t.body_log.read_text().split() if t.body_log.exists() else []
    t.body_log.unlink(missing_ok=True)
    return dict(collections.Counter(names))


def run_twice(t, program, config, *args):
    """The bodies of a bare run, and of a first and a second one."""
    bare = t.bare([program, *args])
    counts = [bodies(t)]
    for _ in range(2):
        r = t.run([program, *args], config)
        equal((r.out, r.err), (bare.out, bare.err))
        counts.append(bodies(t))
    return counts


def by_symbol(library_flags, program_flags, unseen):
    """`unseen`: pairs of calls of hop that nobody can see, those inside its library."""

    def f(t):
        _, program = build(t, library_flags, program_flags)
        late = t.cc(LATE, "late.so", ("-O1", "-shared", "-fPIC"))
        config = t.config(TASK.format("hop@libhopping.so", "hop", "auto"))
        counts = run_twice(t, program, config, late)
        expected = [{"hop": n, "plain": 4} for n in (12, 6 + unseen, 2 * unseen)]
        if unseen == 0:
            del expected[2]["hop"]
        equal(counts, expected)
        d = doctor(t, config, program)["hop"]
        equal(d["state"], "hookable")
        contains(d["note"], "too-short")

    return f


def tests():
    kinds = {
        "lazy": ((), ("-Wl,-z,lazy",), 0),
        "now, relro": (("-Wl,-z,now,-z,relro",), ("-Wl,-z,now,-z,relro",), 0),
        "no plt": (("-fno-plt",), ("-fno-plt",), 0),
        "no pie": ((), ("-no-pie", "-fno-pie"), 0),
        "symbolic": (("-Wl,-Bsymbolic",), (), 2),
    }
    for name, (library, program, unseen) in kinds.items():
        yield f"hooks: by symbol: {name}", by_symbol(library, program, unseen)
    yield from ifunc_tests()


def test_hook_got_and_entry(t):
    _, program = build(t)
    got = t.config(TASK.format("plain", "plain", "got"), "got.yaml")
    equal(run_twice(t, program, got), [{"hop": 10, "plain": 4}, {"hop": 10, "plain": 2}, {"hop": 10}])
    contains(doctor(t, got, program)["plain"]["note"], "taken by its symbol")
    entry = t.config(TASK.format("hop@libhopping.so", "hop", "entry"), "entry.yaml")
    equal(doctor(t, entry, program)["hop"]["reason"], "too-short")
    nowhere = t.config(TASK.format("body@libhopping.so", "body", "got"), "static.yaml")
    equal([x["reason"] for x in doctor(t, nowhere, program).values()], ["not-exported"])


def test_without_proc(t):
    """Symbols and slots are written by mprotect where /proc can't be."""
    _, program = build(t, program_flags=("-Wl,-z,now",))
    config = t.config(TASK.format("hop@libhopping.so", "hop", "got"))
    t.run([program], config)
    equal(bodies(t), {"hop": 5, "plain": 4})
    bare = t.bare([program])
    bodies(t)
    r = t.execute(["unshare", "-rm", "sh", "-c", f"mount -t tmpfs none /proc && exec {program}"], status=None,
                  env={"LD_PRELOAD": t.library, "TASKCACHE_CONFIG": config})
    if r.status != 0:
        return  # no namespaces here
    equal(r.out, bare.out)
    equal(bodies(t), {"plain": 4})


CHOOSER = LIBRARY.split("static int body")[0] + r"""
static int fast(int x)
{
    ran("fast");
    return x * 5;
}
static int slow(int x)
{
    ran("slow");
    return x + x + x + x + x;
}
static int (*choose(void))(int)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports(WANTED) ? fast : slow;
}
EXPORT int chosen(int x) __attribute__((ifunc("choose")));
__attribute__((visibility("hidden"))) int hidden_chosen(int x) __attribute__((ifunc("choose")));
EXPORT int also_chosen(int x) __attribute__((ifunc("choose")));
EXPORT int within(int x)
{
    return chosen(x) + hidden_chosen(x);
}
"""
USES_CHOSEN = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#ifdef HERE
%s
#include <stdio.h>
#else
int chosen(int), within(int), also_chosen(int);
#endif
static int (*pointer)(int) = chosen;
int main(int argc, char **argv)
{
    int (*found)(int) = NULL;
    printf("%%d %%d %%d\n", chosen(1), chosen(1), also_chosen(1));
    printf("%%d %%d\n", pointer(2), pointer(2));
    printf("%%d %%d\n", within(3), within(3));
    *(void **)&found = dlsym(RTLD_DEFAULT, "chosen");
    printf("%%d %%d\n", found(4), found(4));
    for (int i = 1; i < argc; i++) {
        void *h = dlopen(argv[i], RTLD_LAZY);
        *(void **)&found = dlsym(h, "chosen");
        printf("%%d %%d\n", found(4 + i), found(4 + i));
        *(void **)&found = dlsym(h, "within");
        printf("%%d %%d\n", found(14 + i), found(14 + i));
    }
    return 0;
}
""" % CHOOSER


def chosen(wanted, impl, here, flags, late):
    def f(t):
        define = (f'-DWANTED="{wanted}"',)
        if here:
            program = t.cc(USES_CHOSEN, "chooses", ("-O1", "-DHERE", *define, *flags, "-rdynamic"))
        else:
            t.cc(CHOOSER, "libchooser.so", ("-O1", "-shared", "-fPIC", *define, *(f for f in flags if f != "-no-pie")))
            program = t.cc(USES_CHOSEN, "chooses", ("-O1", *flags, f"-L{t.dir}", "-l:libchooser.so", f"-Wl,-rpath,{t.dir}"))
        args = [t.cc(CHOOSER, "late.so", ("-O1", "-shared", "-fPIC", *define, *flags, "-Wl,-Bsymbolic"))] if late else []
        config = t.config(TASK.format("chosen", "chosen", "auto"))
        # also_chosen and hidden_chosen are the same resolver's: one hook.
        counts = run_twice(t, program, config, *args)
        executed = 11 + 6 * len(args)
        equal(counts, [{impl: executed}, {impl: 4 + 2 * len(args)}, {}])
        contains(next(iter(doctor(t, config, program).values()))["note"], "chosen")

    return f


def ifunc_tests():
    for wanted, impl in (("sse2", "fast"), ("avx512f", None)):
        if impl is None:
            impl = "fast" if " avx512f " in open("/proc/cpuinfo").read() else "slow"
        for name, flags in (("lazy", ("-Wl,-z,lazy",)), ("now", ("-Wl,-z,now",)), ("no plt", ("-fno-plt",))):
            yield f"hooks: ifunc: {wanted} {name}", chosen(wanted, impl, False, flags, True)
    yield "hooks: ifunc: in the program", chosen("sse2", "fast", True, (), False)
    yield "hooks: ifunc: no pie", chosen("sse2", "fast", False, ("-no-pie",), False)
