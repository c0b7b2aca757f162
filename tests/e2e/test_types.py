"""Types from debug information: prototypes that name structs which no `types:` declares."""
import json

from harness import contains, equal, lacks

HEAD = r"""
#include <complex.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define TASK __attribute__((noinline, noclone))
static void ran(const char *name)
{
    FILE *f = fopen(getenv("BODY_LOG"), "a");
    fprintf(f, "%s\n", name);
    fclose(f);
}
"""
# Everything that C lays out in its own way. Each body changes each member, so that none can be forgotten.
LAYOUTS = HEAD + r"""
enum mode { SLOW, FAST = 7 };
typedef struct { double x, y, z; } Vec3;
typedef double row[3];
typedef int number;
struct inner { char tag; short s[2]; };
struct stats {
    char first;
    double mean;
    unsigned a : 3, b : 7;
    int c : 20;
    struct inner in[2];
    struct { int u; float v; };
    struct { long w; } named;
    enum mode mode;
    row rows[2];
    _Bool flag;
    number n;
};
struct __attribute__((packed)) tight { char c; double d; short s; unsigned bits : 5, more : 14; };
struct wide { long double l; __int128 i; double complex z; float complex f; };
struct apart { char c; int x __attribute__((aligned(32))); char d; };
struct gaps { uint8_t a; uint64_t : 5; uint64_t b : 9; uint16_t c; uint8_t d; } __attribute__((aligned(16)));
struct __attribute__((packed)) mixed { char c; struct inner i; long double l; };

TASK Vec3 cross(Vec3 a, Vec3 b) { ran("cross"); return (Vec3){a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x}; }
TASK int fill(struct stats *s, int by)
{
    ran("fill");
    s->first += by; s->mean += by; s->a += by; s->b += by; s->c -= by;
    for (int i = 0; i < 2; i++) { s->in[i].tag += by; s->in[i].s[0] -= by; s->in[i].s[1] += i + by; }
    s->u += by; s->v *= by; s->named.w -= by; s->mode = by > 1 ? FAST : SLOW;
    for (int i = 0; i < 6; i++) s->rows[i / 3][i % 3] += i * by;
    s->flag = by & 1; s->n += by;
    return s->n;
}
TASK double tighten(struct tight *t, const struct apart *a) { ran("tighten"); t->c++; t->d += a->x; t->s += a->c; t->bits += a->d; t->more += 3; return t->d; }
TASK void widen(struct wide *w, int n) { ran("widen"); for (int i = 0; i < n; i++) { w[i].l *= 2; w[i].i += (__int128)i << 70; w[i].z *= I; w[i].f += 1; } }
TASK int gap(struct gaps *g, struct mixed *m) { ran("gap"); g->a++; g->b += 2; g->c += 3; g->d += 4; m->c++; m->i.tag++; m->i.s[1] = 9; m->l += 1; return g->a; }
TASK struct inner small(struct inner i, enum mode m) { ran("small"); i.tag += m; i.s[1] += m; return i; }

static void print(const void *p, size_t n) { for (size_t i = 0; i < n; i++) printf("%02x", ((const unsigned char *)p)[i]); puts(""); }
int main(int argc, char **argv)
{
    struct stats s;
    struct tight t;
    struct wide w[2];
    struct apart a;
    struct gaps g;
    struct mixed m;
    memset(&s, 1, sizeof s); memset(&t, 1, sizeof t); memset(w, 0, sizeof w); memset(&a, 1, sizeof a); memset(&g, 1, sizeof g); memset(&m, 0, sizeof m);
    s.flag = 0; s.mode = SLOW; s.v = 2; s.mean = 1; w[0].l = 3; w[1].l = 4; w[1].z = 2;
    Vec3 c = cross((Vec3){argc, 2, 3}, (Vec3){4, 5, 6});
    int r = fill(&s, 1 + argc);
    double d = tighten(&t, &a);
    widen(w, 2);
    struct inner i = small((struct inner){'a', {1, 2}}, FAST);
    printf("%g %g %g %d %g %d %c %d\n", c.x, c.y, c.z, r, d, gap(&g, &m), i.tag, i.s[1]);
    print(&s, sizeof s); print(&t, sizeof t); print(w, sizeof w); print(&g, sizeof g); print(&m, sizeof m);
    (void)argv;
    return 0;
}
"""
WRITTEN = """
defaults: { cache_policy: INPUTS }
tasks:
  - symbol: cross
    prototype: |
      Vec3 cross(Vec3 a, Vec3 b)
  - symbol: fill
    prototype: |
      int fill(inout struct stats *s, int by)
    success: 's->mode >= 0 && s->rows[1][2] == s->rows[1][2]'
  - symbol: tighten
    prototype: |
      double tighten(inout struct tight *t, in struct apart *a)
  - symbol: widen
    prototype: |
      void widen(inout struct wide w[n], int n)
  - symbol: gap
    prototype: |
      int gap(inout struct gaps *g, inout struct mixed *m)
  - symbol: small
    prototype: |
      struct inner small(struct inner i, enum mode m)
    success: 'm == FAST || m == SLOW'
"""
DERIVED = """
defaults: { cache_policy: INPUTS }
tasks:
  - symbol: cross
  - symbol: fill
    params: { s: inout }
  - symbol: tighten
    params: { t: inout, a: in }
  - symbol: widen
    params: { w: 'inout [n]' }
  - symbol: gap
    params: { g: inout, m: inout }
  - symbol: small
"""
ALL = ["cross", "fill", "gap", "small", "tighten", "widen"]


def names(t):
    ran = sorted(t.body_log.read_text().split()) if t.body_log.exists() else []
    t.body_log.unlink(missing_ok=True)
    return ran


def doctor(t, config, path):
    return {x["task"].split("@")[0]: x for x in json.loads(t.ctl("doctor", "--json", "-c", config, path, status=None).out)["tasks"]}


def replays(t, program, config, expected, again=()):
    bare = t.bare([program])
    names(t)
    for bodies in (expected, list(again)):
        r = t.run([program], config)
        equal((r.out, r.err), (bare.out, b""), str({k: (v.get("reason"), v.get("sentence")) for k, v in doctor(t, config, program).items()}))
        equal(names(t), bodies)


def layouts(compiler, level, dwarf, text):
    def f(t):
        program = t.cc(LAYOUTS, "layouts", flags=(level, dwarf), compiler=compiler)
        replays(t, program, t.config(text), ALL)

    return f


def tests():
    for compiler, level, dwarf in (("gcc", "-O0", "-g"), ("gcc", "-O2", "-gdwarf-4"), ("gcc", "-O2", "-gdwarf-3"), ("clang", "-O2", "-g"),
                                   ("clang", "-O0", "-gdwarf-4")):
        for kind, text in (("written", WRITTEN), ("derived", DERIVED)):
            yield f"types: layouts, {kind}, {compiler} {level} {dwarf}", layouts(compiler, level, dwarf, text)


REFUSED = HEAD + r"""
union u { int i; float f; };
struct with_union { int kind; union u u; };
struct flexible { int n; double x[]; };
struct node { int value; struct node *next; };
struct other { struct node n; struct other *self; };
TASK int takes_union(const struct with_union *w) { ran("union"); return w->kind; }
TASK int takes_flexible(const struct flexible *f) { ran("flexible"); return f->n; }
TASK int takes_node(const struct node *n, int x) { ran("node"); return n->value + x; }
TASK int takes_other(const struct other *o) { ran("other"); return o->n.value; }
TASK int unknown(int x) { ran("unknown"); return x; }
int main(void)
{
    struct with_union w = {1, {2}};
    struct flexible *f = calloc(1, 64);
    struct node n = {3, 0};
    n.next = &n;
    struct other o = {n, 0};
    printf("%d\n", takes_union(&w) + takes_flexible(f) + takes_node(&n, 1) + takes_other(&o) + unknown(1));
    return 0;
}
"""


def test_what_has_no_layout_is_refused_and_loops_end(t):
    program = t.cc(REFUSED, "refused", flags=("-O1", "-g"))
    config = t.config("defaults: { cache_policy: INPUTS }\ntasks:\n"
                      "  - symbol: takes_union\n    prototype: |\n      int f(in struct with_union *w)\n"
                      "  - symbol: takes_flexible\n    params: { f: in }\n"
                      "  - symbol: takes_node\n    prototype: |\n      int f(in struct node *n, int x)\n    cache_policy: INPUTS - n\n"
                      "  - symbol: takes_other\n    prototype: |\n      int f(in struct other *o)\n"
                      "  - symbol: unknown\n    prototype: |\n      int f(Vec4 x)\n")
    found = doctor(t, config, program)
    equal({k: v.get("reason") for k, v in found.items()},
          {"takes_union": "open-layout", "takes_flexible": "open-layout", "takes_node": None, "takes_other": None, "unknown": "unknown-type"})
    for name in ("takes_union", "takes_flexible"):
        contains(found[name]["remedy"], "ignore")
    contains(found["unknown"]["sentence"], "'Vec4'")
    contains(found["unknown"]["remedy"], "`types:`")
    bare = t.bare([program])
    names(t)
    for expected in (["flexible", "node", "other", "union", "unknown"], ["flexible", "other", "union", "unknown"]):
        equal(t.run([program], config).out, bare.out)
        equal(names(t), expected, "what has pointers inside is opaque, and excluded from the key of takes_node")


def test_without_debug_information_the_type_is_unknown(t):
    program = t.cc(LAYOUTS, "layouts", flags=("-O1",))
    config = t.config(WRITTEN)
    r = t.run([program], config)
    contains(r.errors, "unknown-type")
    contains(r.errors, "declare it under `types:`, or build with -g")
    equal(names(t), ALL)
    equal({x["reason"] for x in doctor(t, config, program).values()}, {"unknown-type", None} - {None})


def test_a_types_block_goes_first(t):
    """The config's own declaration stands where debug information has another one."""
    program = t.cc(LAYOUTS, "layouts", flags=("-O1", "-g"))
    config = t.config("defaults: { cache_policy: INPUTS }\ntypes: |\n  struct inner { char tag; short s[2]; };\n  enum mode { SLOW, FAST = 7 };\n"
                      + DERIVED[DERIVED.index("tasks:"):])
    replays(t, program, config, ALL)


CXX = r"""
#include <cstdio>
#include <cstdlib>
#include <string>
#define TASK __attribute__((noinline, noclone))
static void ran(const char *name) { FILE *f = std::fopen(std::getenv("BODY_LOG"), "a"); std::fprintf(f, "%s\n", name); std::fclose(f); }
namespace geo {
struct Empty {};
struct Base { double w; int n; };
struct Point : Empty { double x, y; static int count; double norm() const { return x * x + y * y; } };
struct Named : Base { char c; };
enum class Kind : long { A = 1, B = 2 };
template <class T> struct Pair { T a, b; };
struct Owner { std::string s; int n; };
int Point::count = 0;
TASK double dist(Point a, Point b) { ran("dist"); return (a.x - b.x) * (a.y - b.y); }
TASK int base(Named *n, Kind k) { ran("base"); n->w *= 2; n->n += (int)k; n->c++; return n->n; }
TASK Pair<double> twist(Pair<int> p) { ran("twist"); return {p.b * 0.5, p.a * 2.0}; }
TASK int own(Owner o) { ran("own"); return o.n; }
struct Counter { int v, w; TASK int add(int x) { ran("add"); v += x; return v; } };
}
int main(int argc, char **)
{
    geo::Named n; n.w = 1; n.n = 2; n.c = 'a';
    geo::Point p, q; p.x = argc; p.y = 2; q.x = 5; q.y = 7;
    geo::Pair<double> r = geo::twist({argc, 3});
    geo::Owner o{"x", 4};
    geo::Counter c{argc, 1};
    int k = geo::base(&n, geo::Kind::B), a = c.add(5);
    std::printf("%g %g %g %d %g %c %d %d %d\n", geo::dist(p, q), r.a, r.b, k, n.w, n.c, geo::own(o), a, c.v);
    return 0;
}
"""


def test_classes(t):
    for compiler in ("g++", "clang++"):
        program = t.cc(t.write("classes.cc", CXX), "classes", flags=("-O1", "-g", "-std=c++17"), compiler=compiler)
        written = t.config("defaults: { cache_policy: INPUTS }\ntasks:\n"
                           "  - symbol: geo::dist\n    prototype: |\n      double dist(geo::Point a, geo::Point b)\n"
                           "  - symbol: geo::base\n    prototype: |\n      int base(inout geo::Named *n, geo::Kind k)\n"
                           "  - symbol: geo::Counter::add\n    prototype: |\n      int geo::Counter::add(inout geo::Counter *self, int x)\n", "written.yaml")
        derived = t.config("defaults: { cache_policy: INPUTS }\ntasks:\n  - symbol: geo::dist\n  - symbol: geo::base\n    params: { n: inout }\n"
                           "  - symbol: geo::twist\n  - symbol: geo::Counter::add\n    params: { this: inout }\n", "derived.yaml")
        for config, again in ((written, ["own", "twist"]), (derived, ["own"])):
            replays(t, program, config, ["add", "base", "dist", "own", "twist"], again)
            t.ctl("rm", "*", "-c", config, status=None)
        for owner in ("    prototype: |\n      int own(geo::Owner o)\n", ""):
            config = t.config("tasks:\n  - symbol: geo::own\n" + owner, "owner.yaml")
            found = list(doctor(t, config, program).values())[0]
            equal(found["reason"], "unsupported-type", compiler)
            contains(found["sentence"], "passed by address")


FORTRAN = """
module m
  implicit none
  type point
    real(8) :: x, y
    integer :: n(3)
    character(len=5) :: name
  end type
contains
  subroutine move(p, by)
    type(point), intent(inout) :: p
    real(8), intent(in) :: by
    integer :: unit
    character(len=200) :: path
    call get_environment_variable('BODY_LOG', path)
    open(newunit=unit, file=trim(path), position='append')
    write(unit, '(a)') 'move'
    close(unit)
    p%x = p%x + by
    p%n(3) = p%n(3) + 1
    p%name(2:2) = 'z'
  end subroutine
end module
program main
  use m
  implicit none
  type(point) :: p
  p = point(1d0, 2d0, [1, 2, 3], 'abcde')
  call move(p, 0.5d0)
  print *, p%x, p%n, p%name
end program
"""


def test_fortran_types(t):
    source = t.write("types.f90", FORTRAN)
    program = t.cc(source, "types", flags=("-O1", "-g", "-fno-inline", "-fno-ipa-cp", "-fno-ipa-sra"), compiler="gfortran")
    config = t.config("defaults: { cache_policy: INPUTS }\ntasks:\n  - symbol: __m_MOD_move\n    params: { p: inout, by: in }\n")
    replays(t, program, config, ["move"])
    text = t.ctl("init", program, "__m_MOD_move").text
    lacks(text, "types:")


def test_init_needs_no_types_block(t):
    program = t.cc(LAYOUTS, "layouts", flags=("-O1", "-g"))
    text = t.ctl("init", program, "fill", "cross").text
    contains(text, "s: 'inout'")
    lacks(text, "types:")
    made = t.config(text, "made.yaml")
    replays(t, program, made, ALL, [x for x in ALL if x not in ("cross", "fill")])
