"""C++ functions by the names of their source: ns::f(int) and not _ZN2ns1fEi."""
import json

from harness import contains, equal, lacks

PROGRAM = r"""
#include <cstdio>
#include <cstdlib>
#include <string>
#define TASK __attribute__((noinline, noclone))
static void ran(const char *name)
{
    FILE *f = std::fopen(std::getenv("BODY_LOG"), "a");
    std::fprintf(f, "%s\n", name);
    std::fclose(f);
}
namespace ns {
TASK int f(int x) { ran("f(int)"); return x * 2; }
TASK double f(const double *x, unsigned long n)
{
    double s = 0;
    ran("f(double)");
    for (unsigned long i = 0; i < n; i++)
        s += x[i];
    return s;
}
namespace { TASK int hidden(int x) { ran("hidden"); return x + 7; } }
template <class T> TASK T twice(T x) { ran("twice"); return x + x; }
struct S {
    int v;
    TASK int get(int x) const { ran("get"); return v * x; }
    TASK void set(int x);
};
void S::set(int x) { ran("set"); v = x; }
TASK int length(const std::string &s, int more) { ran("length"); return (int)s.size() + more; }
}
TASK static int plain(long x) { ran("plain"); return (int)x - 1; }
int main(int argc, char **argv)
{
    double x[3] = {1, 2, (double)argc};
    ns::S s = {4};
    std::string text = argv[0];
    std::printf("%d %g %d ", ns::f(argc), ns::f(x, 3), ns::hidden(argc));
    std::printf("%d %g %d ", ns::twice(argc), ns::twice(0.5 * argc), plain(argc));
    std::printf("%d ", s.get(argc + 1));
    s.set(argc);
    std::printf("%d %d\n", s.v, ns::length(text, argc) > 0);
    return 0;
}
"""
TASK = "  - symbol: '{0}'\n    prototype: |\n      {1}\n"


def program(t, *flags):
    return t.cc(t.write("program.cc", PROGRAM), "program", flags=("-O1", *flags))


def names(t):
    ran = sorted(t.body_log.read_text().split()) if t.body_log.exists() else []
    t.body_log.unlink(missing_ok=True)
    return ran


def doctor(t, config, path, status=None):
    found = json.loads(t.ctl("doctor", "--json", "-c", config, path, status=status).out)["tasks"]
    return {x["task"].split("@")[0]: x for x in found}


ALL = ["f(double)", "f(int)", "get", "hidden", "length", "plain", "set", "twice", "twice"]


def test_overloads_templates_and_static_functions_by_name(t):
    p = program(t)
    config = t.config("defaults: { cache_policy: INPUTS }\ntasks:\n"
                      + TASK.format("ns::f(int)", "int f(int x)")
                      + TASK.format("ns::f(const double *, size_t)", "double f(const double x[n], size_t n)")
                      + TASK.format("ns::hidden", "int ns::hidden(int x)")
                      + TASK.format("ns::twice<double>(double)", "double twice(double x)")
                      + TASK.format("program.cc:plain(long)@program", "int plain(long x)"))
    bare = t.bare([p])
    equal(names(t), ALL)
    for expected in (ALL, ["get", "length", "set", "twice"]):
        r = t.run([p], config)
        equal((r.out, r.err), (bare.out, b""))
        equal(names(t), expected)
    found = doctor(t, config, p)
    equal({k: v["state"] for k, v in found.items()},
          {"ns::f(int)": "hookable", "ns::f(double const*, unsigned long)": "hookable", "program.cc:ns::{anonymous}::hidden(int)": "hookable",
           "ns::twice<double>(double)": "hookable", "program.cc:plain(long)": "hookable"})
    contains(t.ctl("ls", "-c", config).text, "ns::f(int)@program")


def test_a_name_of_several_functions_lists_them(t):
    p = program(t)
    config = t.config("tasks:\n" + TASK.format("ns::f", "int f(int x)") + TASK.format("ns::twice@program", "int f(int x)"))
    found = doctor(t, config, p)
    for asked, one, two in (("ns::f", "'ns::f(double const*, unsigned long)'", "'ns::f(int)'"),
                            ("ns::twice", "'ns::twice<double>(double)'", "'ns::twice<int>(int)'")):
        equal(found[asked]["reason"], "ambiguous-name")
        contains(found[asked]["sentence"], "2 candidates")
        contains(found[asked]["remedy"], one)
        contains(found[asked]["remedy"], two)
    contains(t.ctl("doctor", "-c", config, p, status=None).text, "try: write 'ns::f(double const*, unsigned long)' or 'ns::f(int)'")


def test_what_is_not_there(t):
    p = program(t)
    config = t.config("tasks:\n" + TASK.format("ns::f(long)@program", "int f(long x)") + TASK.format("ns::g@program", "int g(long x)"))
    found = doctor(t, config, p)
    equal([x["reason"] for x in found.values()], ["not-found", "not-found"])


def test_a_method_from_debug_information(t):
    """`this` is the first parameter, and opaque: what `params` says of it makes it an input, or an output."""
    p = program(t, "-g")
    opaque = t.config("tasks:\n  - symbol: ns::S::get\n    cache_policy: INPUTS\n", "opaque.yaml")
    bare = t.bare([p])
    names(t)
    for _ in range(2):
        equal(t.run([p], opaque).out, bare.out)
        equal(names(t), ALL, "an opaque `this` has no key")
    contains(doctor(t, opaque, p)["ns::S::get(int) const"]["prototype"], "*this, int x)")
    config = t.config("defaults: { cache_policy: INPUTS }\ntypes: |\n  struct S { int v; };\ntasks:\n"
                      "  - symbol: ns::S::get(int) const\n    params: { this: in }\n"
                      "  - symbol: ns::S::set\n    params: { this: out }\n"
                      "  - symbol: ns::f(int)\n")
    for expected in (ALL, ["f(double)", "hidden", "length", "plain", "twice", "twice"]):
        equal(t.run([p], config).out, bare.out)
        equal(names(t), expected)


def test_standard_types_are_opaque(t):
    p = program(t, "-g")
    config = t.config("tasks:\n  - symbol: ns::length(const std::string &, int)\n    cache_policy: INPUTS - s\n")
    bare = t.bare([p])
    names(t)
    for expected in (ALL, [x for x in ALL if x != "length"]):
        r = t.run([p], config)
        equal((r.out, r.err), (bare.out, b""))
        equal(names(t), expected)


def test_inlined_everywhere_by_name(t):
    source = t.write("inlined.cc", "namespace ns { static inline __attribute__((always_inline)) int f(int x) { return x * 3; } }\n"
                                   "int main(int argc, char **argv) { (void)argv; return ns::f(argc) - 3; }\n")
    p = t.cc(source, "inlined", flags=("-O2", "-g"))
    config = t.config("tasks:\n" + TASK.format("ns::f(int)@inlined", "int f(int x)"))
    equal(doctor(t, config, p)["ns::f(int)"]["reason"], "inlined-everywhere")


def test_extern_c_in_a_namespace(t):
    """Its symbol doesn't say the namespace; debug information does."""
    source = t.write("plainc.cc", PROGRAM.split("namespace ns {")[0] + 'namespace ns { extern "C" TASK int cf(int x) { ran("cf"); return x - 1; } }\n'
                     "int main(int argc, char **argv) { (void)argv; return ns::cf(argc); }\n")
    p = t.cc(source, "plainc", flags=("-O2", "-g"))
    config = t.config("tasks:\n" + TASK.format("ns::cf@plainc", "int cf(int x)") + "    cache_policy: INPUTS\n")
    for expected in (["cf"], []):
        t.run([p], config)
        equal(names(t), expected)


def test_task_on_the_command_line(t):
    p = program(t)
    bare = t.bare([p])
    names(t)
    for expected in (ALL, [x for x in ALL if x != "hidden"]):
        equal(t.run([p], options=("--task", "int ns::hidden(int x)@program")).out, bare.out)
        equal(names(t), expected)


def test_overloads_on_the_command_line(t):
    p = program(t)
    bare = t.bare([p])
    names(t)
    options = ("--task", "ns::f(int) = int f(int x)@program", "--task", "ns::twice<int>(int) = int twice(int x)")
    for expected in (ALL, ["f(double)", "get", "hidden", "length", "plain", "set", "twice"]):
        r = t.run([p], options=options)
        equal(r.out, bare.out)
        equal(names(t), expected)
    r = t.run([p], options=("--task", "int ns::f(int x)@program"))  # which one?
    equal(r.out, bare.out)
    contains(r.errors, "ambiguous-name")
    r = t.run([p], options=("--task", "ns::f(int)@program = int f(int x)"), status=125)
    contains(r.errors, "'@OBJECT' stands behind the prototype")


def test_init_by_name(t):
    p = program(t, "-g")
    r = t.ctl("init", p, "ns::f(const double *, unsigned long)", "ns::S::get")
    contains(r.text, "symbol: 'ns::f(const double *, unsigned long)@program'")
    contains(r.text, "x: 'in [n]'    # CHECK")
    lacks(r.text, "this:")
    r = t.ctl("init", p, "ns::f", status=1)
    contains(r.errors, "ambiguous-name")
    contains(r.errors, "'ns::f(int)'")
