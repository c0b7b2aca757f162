"""How calls are taken: at the entry, through symbols where the entry can't be taken, and where an implementation is chosen."""
import collections
import json
import pathlib

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
    yield from loading_tests()


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
    if (found != NULL)
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


def chosen(wanted, impl, here, flags, late, export=("-rdynamic",)):
    def f(t):
        define = (f'-DWANTED="{wanted}"',)
        if here:
            program = t.cc(USES_CHOSEN, "chooses", ("-O1", "-DHERE", *define, *flags, *export))
        else:
            t.cc(CHOOSER, "libchooser.so", ("-O1", "-shared", "-fPIC", *define, *(f for f in flags if f != "-no-pie")))
            program = t.cc(USES_CHOSEN, "chooses", ("-O1", *flags, f"-L{t.dir}", "-l:libchooser.so", f"-Wl,-rpath,{t.dir}"))
        args = [t.cc(CHOOSER, "late.so", ("-O1", "-shared", "-fPIC", *define, *flags, "-Wl,-Bsymbolic"))] if late else []
        config = t.config(TASK.format("chosen", "chosen", "auto"))
        # also_chosen and hidden_chosen are the same resolver's: one hook.
        counts = run_twice(t, program, config, *args)
        found = not here or bool(export)
        executed = 9 + 2 * found + 6 * len(args)
        equal(counts, [{impl: executed}, {impl: 3 + found + 2 * len(args)}, {}])
        contains(next(iter(doctor(t, config, program).values()))["note"], "chosen")

    return f


def ifunc_tests():
    for wanted, impl in (("sse2", "fast"), ("avx512f", None)):
        if impl is None:
            impl = "fast" if " avx512f " in open("/proc/cpuinfo").read() else "slow"
        for name, flags in (("lazy", ("-Wl,-z,lazy",)), ("now", ("-Wl,-z,now",)), ("no plt", ("-fno-plt",))):
            yield f"hooks: ifunc: {wanted} {name}", chosen(wanted, impl, False, flags, True)
    yield "hooks: ifunc: in the program", chosen("sse2", "fast", True, (), False)
    yield "hooks: ifunc: in the program, not exported", chosen("sse2", "fast", True, (), False, ())
    yield "hooks: ifunc: no pie", chosen("sse2", "fast", False, ("-no-pie",), False)


SHORT = LIBRARY.split("static int body")[0].replace("#include", "#include <stdio.h>\n#include", 1) + r"""
static int calls;
/* Counts, as a body this short can't append a line. */
__asm__(".section .text.short,\"ax\"\n.balign 16\n.globl short_task\n.type short_task,@function\nshort_task:\n"
        " push %rdi\n pop %rax\n ret\n.size short_task,.-short_task\n.balign 16, 0xcc\n"
        ".globl loops\n.type loops,@function\n.skip 16, 0x90\nloops:\n xor %eax, %eax\n"
        "1: add %edi, %eax\n dec %edi\n jg 1b\n nop\n nop\n ret\n.size loops,.-loops\n.text\n");
int short_task(int x), loops(int x);
int main(void)
{
    int sum = 0;
    for (int i = 0; i < 3; i++)
        sum += short_task(5) + loops(4);
    printf("%d\n", sum + calls);
    return 0;
}
"""


def test_padding_behind_and_in_front(t):
    """Three bytes and the padding behind them; a branch to the second byte and the padding in front."""
    program = t.cc(SHORT, "short")
    config = t.config("defaults: { cache_policy: INPUTS }\ntasks:\n" + "".join(
        f"  - symbol: {n}\n    prototype: |\n      int {n}(int x)\n" for n in ("short_task", "loops")))
    bare = t.bare([program])
    equal({k: x["state"] for k, x in doctor(t, config, program).items()}, {"short_task": "hookable", "loops": "hookable"})
    for hits in (4, 6):
        r = t.run([program], config, options=("--stats=stats",))
        equal((r.out, r.err), (bare.out, bare.err))
        equal(json.loads((t.dir / "stats").read_text())["hits"], hits)


LOADS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static void use(const char *how, void *h, int x)
{
    int (*plain)(int) = NULL, (*inside)(int) = NULL;
    if (h == NULL) {
        printf("%s: %s\n", how, dlerror());
        return;
    }
    *(void **)&plain = dlsym(h, "plain");
    *(void **)&inside = dlsym(h, "inside");
    printf("%s: %d %d %d %d\n", how, plain(x), plain(x), inside(x + 1), inside(x + 1));
}
int main(int argc, char **argv)
{
    const char *how = argv[1], *path = argv[2];
    void *h = NULL;
    int base = 0;
    if (strcmp(how, "deepbind") == 0)
        use(how, dlopen(path, RTLD_NOW | RTLD_DEEPBIND), 1);
    if (strcmp(how, "namespace") == 0) {
        use(how, dlmopen(LM_ID_NEWLM, path, RTLD_NOW), 1);
        use(how, dlmopen(LM_ID_NEWLM, path, RTLD_LAZY), 3);
    }
    if (strcmp(how, "constructor") == 0)
        use(how, dlopen(path, RTLD_LAZY), 1);
    if (strcmp(how, "copies") == 0) {
        use(how, dlopen(path, RTLD_LAZY | RTLD_LOCAL), 1);
        use(how, dlopen(argv[3], RTLD_LAZY | RTLD_LOCAL), 1);
    }
    if (strcmp(how, "again") == 0) {
        /* Something else takes the place, so that it comes back at another address. */
        for (int i = 0; i < 5; i++) {
            h = dlopen(path, RTLD_LAZY);
            use(how, h, 1 + i);
            dlclose(h);
            void *taken = dlopen(argv[3], RTLD_LAZY);
            base += taken != NULL;
        }
        printf("%d\n", base);
    }
    return 0;
}
"""
OPENER = r"""
#include <dlfcn.h>
#include <stdio.h>
static int sum;
__attribute__((constructor)) static void at_load(void)
{
    int (*inside)(int) = 0;
    void *h = dlopen(INNER, RTLD_NOW);
    *(void **)&inside = dlsym(h, "inside");
    sum = inside(20) + inside(20);
    printf("constructor %d\n", sum);
}
__attribute__((visibility("default"))) int plain(int x) { return sum + x; }
__attribute__((visibility("default"))) int inside(int x) { return sum * x; }
"""


def loaded(how, hook, flags, expected):
    """`expected`: bodies of plain bare, missed and hit; twice as many of hop run always, unless it is the task."""

    def f(t):
        library = t.cc(LIBRARY, "libhopping.so", ("-O2", "-shared", "-fPIC", *flags))
        program = t.cc(LOADS, "loads", ("-O1",))
        args = [how, library]
        if how == "copies":
            (t.dir / "copy").mkdir()
            args.append(str(t.dir / "copy" / "libhopping.so"))
            (t.dir / "copy" / "libhopping.so").write_bytes(pathlib.Path(library).read_bytes())
        if how == "again":
            args.append(t.cc("int other[100000] = {1};\n", "other.so", ("-shared", "-fPIC")))
        if how == "constructor":
            args[1] = t.cc(OPENER, "opener.so", ("-O1", "-shared", "-fPIC", f'-DINNER="{library}"'))
        config = t.config(TASK.format("plain@libhopping.so", "plain", hook))
        counts = run_twice(t, program, config, *args)
        equal([c.get("plain", 0) for c in counts], expected)

    return f


def loading_tests():
    symbolic = ("-Wl,-Bsymbolic",)
    for hook, flags, name in (("entry", symbolic, "by entry"), ("got", (), "by symbol")):
        yield f"hooks: {name}: deep binding", loaded("deepbind", hook, flags, [4, 2, 0])
        yield f"hooks: {name}: namespaces", loaded("namespace", hook, flags, [8, 4, 0])
        yield f"hooks: {name}: from a constructor", loaded("constructor", hook, flags, [2, 1, 0])
        yield f"hooks: {name}: two copies", loaded("copies", hook, flags, [8, 2, 0])
        yield f"hooks: {name}: closed and opened again", loaded("again", hook, flags, [20, 6, 0])


VERSIONS = LIBRARY.split("static int body")[0] + r"""
EXPORT int old_one(int x)
{
    ran("old");
    return x + 1;
}
EXPORT int new_one(int x)
{
    ran("new");
    return x + 2;
}
__asm__(".symver old_one,versioned@V1\n.symver new_one,versioned@@V2\n");
EXPORT int strong(int x)
{
    ran("strong");
    return x + 3;
}
EXPORT int weak_name(int x) __attribute__((weak, alias("strong")));
"""
USES_VERSIONS = r"""
#include <stdio.h>
int versioned(int), versioned_old(int), strong(int), weak_name(int);
__asm__(".symver versioned_old,versioned@V1\n");
int main(void)
{
    printf("%d %d\n", versioned(1), versioned(1));
    printf("%d %d\n", versioned_old(2), versioned_old(2));
    printf("%d %d %d\n", strong(3), weak_name(3), weak_name(3));
    return 0;
}
"""


def test_versions_and_aliases(t):
    """The default version is meant; an alias is the same function."""
    script = t.write("versions", "V1 { global: versioned; strong; weak_name; local: *; };\nV2 { global: versioned; } V1;\n")
    t.cc(VERSIONS, "libversions.so", ("-O1", "-shared", "-fPIC", f"-Wl,--version-script={script}"))
    program = t.cc(USES_VERSIONS, "versions-user", ("-O1", f"-L{t.dir}", "-l:libversions.so", f"-Wl,-rpath,{t.dir}"))
    for hook, missed in (("entry", {"new": 1, "old": 2, "strong": 1}), ("got", {"old": 2})):  # what the first one kept
        config = t.config(TASK.format("versioned", "versioned", hook) + TASK.format("weak_name", "weak_name", hook)[7:], hook + ".yaml")
        counts = run_twice(t, program, config)
        equal(counts, [{"new": 2, "old": 2, "strong": 3}, missed, {"old": 2}], hook)
        contains(doctor(t, config, program)["weak_name"]["symbol"], "strong")
