"""Random prototypes: a program that calls functions of all kinds, and the config that caches them.

The functions' results follow from every byte of value in their arguments, and the caller prints every byte of value that it got
back; so a bare run says what a miss and a hit have to print. Structs are filled with a byte of the run's choice before their
members are set: padding must not count. Nor do addresses: rows and what structs lead to lie elsewhere in each run. A run that is told so checks that what lies between the members of its outputs is still that byte.
"""
import random

# C's name, bytes of value, kind
SCALARS = [
    ("char", 1, "int"), ("signed char", 1, "int"), ("unsigned char", 1, "int"), ("short", 2, "int"), ("unsigned short", 2, "int"),
    ("int", 4, "int"), ("unsigned int", 4, "int"), ("long", 8, "int"), ("unsigned long", 8, "int"), ("_Bool", 1, "bool"),
    ("float", 4, "real"), ("double", 8, "real"), ("long double", 10, "real"), ("__int128", 16, "wide"),
    ("unsigned __int128", 16, "wide"), ("float _Complex", 4, "complex"), ("double _Complex", 8, "complex"),
    ("long double _Complex", 10, "complex"),
]
COMMON = SCALARS[:12]
PART = {"float _Complex": "float", "double _Complex": "double", "long double _Complex": "long double"}

SUPPORT = r"""
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline uint64_t mix(uint64_t h, const void *data, size_t n)
{
    const unsigned char *p = data;
    while (n-- > 0)
        h = (h ^ *p++) * 0x100000001b3ull, h ^= h >> 29;
    return h;
}
static inline uint64_t next(uint64_t *s)
{
    *s = *s * 6364136223846793005ull + 1442695040888963407ull;
    return *s >> 20;
}
static inline void show(const void *data, size_t n)
{
    const unsigned char *p = data;
    while (n-- > 0)
        printf("%02x", *p++);
    putchar(' ');
}
void ran(const char *name);
"""


class Leaf:
    def __init__(self, path, ctype, size, kind, bits=0):
        self.path, self.ctype, self.size, self.kind, self.bits = path, ctype, size, kind, bits


class Struct:
    def __init__(self, name, text, leaves, by_value):
        self.name, self.text, self.leaves, self.by_value = name, text, leaves, by_value
        self.ctype = f"struct {name}"


class Holder:
    """A struct whose pointers lead on: what the program declares, and what the config says of it. Fields: (kind, name, type, leaves, n, m)."""

    C = {"plain": "{t} {f};", "some": "{t} *{f};", "counted": "signed char n_{f}; {t} *{f};", "rows": "{t} **{f};", "few": "{t} *{f}[{n}];",
         "text": "char *{f};", "texts": "char **{f};", "ignored": "void *{f};"}
    TYPES = {"plain": C["plain"], "some": "in {t} (*{f})[{n}];", "counted": "signed char n_{f}; {t} {f}[n_{f}];", "rows": "in {t} (*(*{f})[{n}])[{m}];",
             "few": "in {t} (*{f}[{n}])[{m}];", "text": "in char *{f};", "texts": "in char *(*{f})[{n}];", "ignored": "ignore void *{f};"}

    def __init__(self, name, fields):
        self.name, self.fields, self.ctype = name, fields, f"struct {name}"

    def declaration(self, how):
        parts = "".join("    " + how[kind].format(t=ctype, f=f, n=n, m=m) + "\n" for kind, f, ctype, _, n, m in self.fields)
        return f"struct {self.name} {{\n{parts}}};\n"

    def inside(self):
        return [(ctype, leaves) for kind, _, ctype, leaves, _, _ in self.fields if leaves]

    def mix(self, p):
        out = []
        for kind, f, ctype, _, n, m in self.fields:
            at, tag = f"{p}->{f}", Generator.tag(ctype) if ctype else ""
            each = f"for (int k = 0; k < {{}}; k++)\n            h = mix_{tag}(h, &{{}}[k]);"
            if kind == "plain":
                out.append(f"    h = mix_{tag}(h, &{at});\n")
            elif kind in ("some", "counted"):
                count = n if kind == "some" else f"{p}->n_{f}"
                out.append(f"    h = mix(h, &(char){{{at} != NULL}}, 1);\n    if ({at} != NULL)\n        {each.format(count, at)}\n")
            elif kind in ("rows", "few"):
                out.append(f"    for (int i = 0; {'%s != NULL && ' % at if kind == 'rows' else ''}i < {n}; i++) {{\n        h = mix(h, &(char){{{at}[i] != NULL}}, 1);\n"
                           f"        if ({at}[i] != NULL)\n        {each.format(m, at + '[i]')}\n    }}\n")
            elif kind == "text":
                out.append(f"    h = {at} != NULL ? mix(h, {at}, strlen({at}) + 1) : h * 7;\n")
            elif kind == "texts":
                out.append(f"    for (int i = 0; {at} != NULL && i < {n}; i++)\n        h = {at}[i] != NULL ? mix(h, {at}[i], strlen({at}[i]) + 1) : h * 5;\n")
        return "".join(out)

    def fill(self, p, first):
        """Statements that make one, `p`, with what it leads to, and one element more of that than counts. `tweak` changes one that does,
        by numbers from `first` on."""
        out = [f"    {self.ctype} {p}[1];\n    memset((void *){p}, filler, sizeof {p});\n"]
        for i, (kind, f, ctype, _, n, m) in enumerate(self.fields):
            tag, mem = Generator.tag(ctype) if ctype else "", f"{p}_{f}"
            tweak = f"    if (tweak == {first + i})\n        {{}};\n"
            if kind == "plain":
                out.append(f"    set_{tag}(&{p}->{f}, &s);\n" + tweak.format(f"set_{tag}(&{p}->{f}, &(uint64_t){{s + 99}})"))
            elif kind in ("some", "counted"):
                out.append(f"    {ctype} {mem}[4];\n    memset((void *){mem}, filler, sizeof {mem});\n")
                out.append(f"    {p}->n_{f} = (signed char)(next(&s) % 4);\n" if kind == "counted" else "")
                count = n if kind == "some" else f"{p}->n_{f}"
                out.append(f"    for (int i = 0; i < {count}; i++)\n        set_{tag}(&{mem}[i], &s);\n")
                out.append(tweak.format(f"set_{tag}(&{mem}[{count} > 0 ? {count} - 1 : 0], &(uint64_t){{s + 99}})"))
                out.append(f"    {p}->{f} = next(&s) % 6 == 0 ? NULL : {mem};\n")
            elif kind in ("rows", "few"):
                out.append(f"    {ctype} {mem}[{n}][{m + 1}], *{mem}_at[{n}];\n    memset((void *){mem}, filler, sizeof {mem});\n"
                           f"    for (int i = 0; i < {n}; i++) {{\n        for (int k = 0; k < {m}; k++)\n            set_{tag}(&{mem}[i][k], &s);\n"
                           f"        {mem}_at[i] = next(&s) % 5 == 0 ? NULL : {mem}[i];\n    }}\n")
                out.append(tweak.format(f"set_{tag}(&{mem}[{n - 1}][{m - 1}], &(uint64_t){{s + 99}})"))
                out.append(f"    {p}->{f} = next(&s) % 6 == 0 ? NULL : {mem}_at;\n" if kind == "rows" else f"    memcpy({p}->{f}, {mem}_at, sizeof {mem}_at);\n")
            elif kind == "text":
                out.append(f"    char {mem}[24];\n    snprintf({mem}, sizeof {mem}, \"%x\", (unsigned)next(&s) >> next(&s) % 32);\n"
                           + tweak.format(f"strcat({mem}, \"x\")") + f"    {p}->{f} = next(&s) % 6 == 0 ? NULL : {mem};\n")
            elif kind == "texts":
                out.append(f"    char {mem}[{n}][24], *{mem}_at[{n}];\n    for (int i = 0; i < {n}; i++) {{\n"
                           f"        snprintf({mem}[i], sizeof {mem}[i], \"%x\", (unsigned)next(&s) >> next(&s) % 32);\n"
                           f"        {mem}_at[i] = next(&s) % 5 == 0 ? NULL : {mem}[i];\n    }}\n"
                           + tweak.format(f"strcat({mem}[{n - 1}], \"x\")") + f"    {p}->{f} = next(&s) % 6 == 0 ? NULL : {mem}_at;\n")
        return "".join(out)


def scalar_leaves(path, s):
    return [Leaf(path, *s)]


class Generator:
    def __init__(self, seed, count, holders):
        """holders: structs whose pointers lead on, which the config has to declare."""
        self.r = random.Random(seed)
        self.structs = []
        self.holders = [] if holders else None
        self.functions = [self.function(i) for i in range(count)]

    def scalar(self):
        return self.r.choice(COMMON if self.r.random() < 0.7 else SCALARS)

    # ---- structs ----
    def bit_field(self, path, name):
        ctype, size, kind = self.r.choice([s for s in COMMON if s[2] in ("int", "bool") and s[0] != "char"])
        width = 1 if kind == "bool" else self.r.randint(1, 8 * size)
        return f"    {ctype} {name} : {width};\n", [Leaf(path + name, ctype, size, kind, width)]

    def member(self, path, name, depth):
        roll = self.r.random()
        if roll < 0.2:
            return self.bit_field(path, name)
        aligned = f" __attribute__((aligned({self.r.choice((2, 4, 8, 16))})))" if self.r.random() < 0.06 else ""
        dims = "" if self.r.random() < 0.75 else "".join(f"[{self.r.randint(1, 3)}]" for _ in range(self.r.randint(1, 2)))
        places = [""]
        for n in dims.replace("]", "").split("[")[1:]:
            places = [f"{p}[{i}]" for p in places for i in range(int(n))]
        if roll < 0.35 and depth < 2:
            anonymous = self.r.random() < 0.3 and not dims
            inner, leaves = self.members(f"{name}_" if anonymous else "", depth + 1)
            packed = " __attribute__((packed))" if self.r.random() < 0.15 and ": 0" not in inner else ""
            self.taint_packed_array(dims, inner + packed)
            self.has_bit_structs |= any(l.bits for l in leaves)
            text = f"    struct {{\n{inner}    }}{packed}{'' if anonymous else ' ' + name + dims};\n"
            prefix = [path] if anonymous else [f"{path}{name}{p}." for p in places]
            return text, [Leaf(b + l.path, l.ctype, l.size, l.kind, l.bits) for b in prefix for l in leaves]
        known = [s for s in self.structs if len(s.leaves) * len(places) <= 24]
        if roll < 0.42 and known:
            s = self.r.choice(known)
            self.tainted |= not s.by_value
            self.taint_packed_array(dims, s.text)
            self.has_bit_structs |= any(l.bits for l in s.leaves)
            return (f"    {s.ctype} {name}{dims};\n",
                    [Leaf(f"{path}{name}{p}.{l.path}", l.ctype, l.size, l.kind, l.bits) for p in places for l in s.leaves])
        s = self.scalar()
        return f"    {s[0]} {name}{dims}{aligned};\n", [Leaf(f"{path}{name}{p}", *s) for p in places]

    def taint_packed_array(self, dims, text):
        """gcc looks at the first element of an array only, and may find it aligned where others aren't; clang looks at all."""
        self.tainted |= bool(dims) and "packed" in text

    def members(self, prefix, depth):
        text, leaves = "", []
        for i in range(self.r.choice((1, 1, 2, 2, 3, 4, 6))):
            t, ls = self.member("", f"{prefix}m{i}", depth)
            text += t
            leaves += ls
            if self.r.random() < 0.04:
                text += "    int : 0;\n"
            elif self.r.random() < 0.03:
                text += "    int : 3;\n"
                self.tainted = True
        return text, leaves

    def struct(self):
        self.tainted = self.has_bit_structs = False
        text, leaves = self.members("", 0)
        name = f"s{len(self.structs)}"
        attributes = []
        if self.r.random() < 0.15 and ": 0" not in text:
            attributes.append("packed")
            self.tainted |= self.has_bit_structs  # unaligned: memory for clang, not for gcc
        if self.r.random() < 0.1:
            align = self.r.choice((4, 8, 16, 32, 64))
            attributes.append(f"aligned({align})")
            self.tainted |= align <= 16  # else it is in memory, whatever is in it
        tail = f" __attribute__(({', '.join(attributes)}))" if attributes else ""
        s = Struct(name, f"struct {name} {{\n{text}}}{tail};\n", leaves, not self.tainted)
        self.structs.append(s)
        return s

    def holder(self):
        fields = []
        for i in range(self.r.randint(1, 4)):
            kind = self.r.choice(tuple(Holder.C))
            ctype, leaves = (None, None) if kind in ("text", "texts", "ignored") else self.type(False)
            fields.append((kind, f"h{i}", ctype, leaves, self.r.randint(1, 3), self.r.randint(1, 3)))
        # Something must count, and as C has it: what has no size is no struct.
        if all(f[0] == "ignored" for f in fields):
            fields.append(("text", "h9", None, None, 1, 1))
        h = Holder(f"holder{len(self.holders)}", fields)
        self.holders.append(h)
        return h

    # ---- functions ----
    def type(self, by_value):
        if self.r.random() < 0.5:
            s = self.scalar()
            return s[0], scalar_leaves("", s)
        for _ in range(20):
            fit = [s for s in self.structs if s.by_value or not by_value]
            s = self.r.choice(fit) if fit and self.r.random() < 0.4 else self.struct()
            if (s.by_value or not by_value) and len(s.leaves) <= 40:
                return s.ctype, s.leaves
        return "int", scalar_leaves("", SCALARS[5])

    def function(self, i):
        params = [("value", "k", "int", scalar_leaves("", SCALARS[5]), None)]
        for n in range(self.r.randint(0, 9)):
            kind = self.r.choice(("value",) * 6 + ("in", "one", "out", "inout", "block", "rows", "holder"))
            if kind == "holder" and self.holders is not None:
                h = self.holder()
                params.append((kind, f"p{n}", h.ctype, h, 1))
                continue
            kind = "rows" if kind == "holder" else kind
            ctype, leaves = self.type(kind == "value")
            if kind == "rows":
                params.append((kind, f"p{n}", ctype, leaves, (self.r.randint(1, 3), self.r.randint(1, 3))))
                continue
            if (kind, ctype) == ("one", "char"):
                kind = "in"  # it would be a string
            extent = self.r.randint(1, 3)
            params.append((kind, f"p{n}", ctype, leaves, extent if kind in ("in", "out", "inout", "block") else 1))
        self.r.shuffle(params)
        # In front, where registers are left: compilers disagree about its place on the stack.
        def wide(p): return p[0] == "value" and p[2].endswith("__int128")
        params = [p for p in params if wide(p)][:2] + [p for p in params if not wide(p)]
        roll = self.r.random()
        owned = ("malloc" if roll < 0.05 else "static", self.r.randint(1, 3)) if roll < 0.1 else None
        result = ("void", []) if roll > 0.85 else self.type(owned is None)
        return f"f{i}", (*result, owned), params

    # ---- C ----
    def helpers(self):
        out = []
        for ctype, leaves in self.all_types().items():
            tag = self.tag(ctype)
            out.append(f"static inline uint64_t mix_{tag}(uint64_t h, const {ctype} *p)\n{{\n{self.each(leaves, 'mix')}    return h;\n}}\n")
            out.append(f"static inline void show_{tag}(const {ctype} *p)\n{{\n{self.each(leaves, 'show')}}}\n")
            out.append(f"static inline void set_{tag}({ctype} *p, uint64_t *s)\n{{\n{self.each(leaves, 'set')}}}\n")
            out.append(f"static inline void mask_{tag}({ctype} *p)\n{{\n    memset((void *)p, 0, sizeof *p);\n{self.mask(ctype, leaves)}}}\n")
        return "".join(out)

    def all_types(self):
        found = {}
        for _, result, params in self.functions:
            inside = [x for p in params if p[0] == "holder" for x in p[3].inside()]
            for ctype, leaves in [result[:2]] + [(p[2], p[3]) for p in params if p[0] != "holder"] + inside:
                if leaves:
                    found[ctype] = leaves
        return found

    @staticmethod
    def tag(ctype):
        return ctype.replace("struct ", "").replace(" ", "_")

    @staticmethod
    def each(leaves, what):
        out = []
        for l in leaves:
            place = f"p->{l.path}" if l.path else "(*p)"
            if what == "set":
                if l.kind == "bool":
                    out.append(f"    {place} = next(s) & 1;\n")
                elif l.kind in ("int", "wide"):
                    more = " | (unsigned __int128)next(s) << 80" if l.kind == "wide" else ""
                    out.append(f"    {place} = ({l.ctype})(next(s){more});\n")
                elif l.kind == "real":
                    out.append(f"    {place} = ({l.ctype})(int32_t)next(s) / 8;\n")
                else:
                    out.append(f"    __real__ {place} = ({PART[l.ctype]})(int32_t)next(s) / 8;\n"
                               f"    __imag__ {place} = ({PART[l.ctype]})(int32_t)next(s) / 8;\n")
                continue
            if l.kind == "complex":
                values = [(PART[l.ctype], f"__real__ {place}"), (PART[l.ctype], f"__imag__ {place}")]
            else:
                values = [("long" if l.bits else l.ctype, place)]
            for ctype, value in values:
                call = f"h = mix(h, &v, {8 if l.bits else l.size})" if what == "mix" else f"show(&v, {8 if l.bits else l.size})"
                out.append(f"    {{ {ctype} v = {value}; {call}; }}\n")
        return "".join(out)

    @staticmethod
    def mask(ctype, leaves):
        out = []
        for l in leaves:
            at = f"offsetof({ctype}, {l.path})" if l.path else "0"
            if l.bits:
                out.append(f"    p->{l.path} = {1 if l.kind == 'bool' else -1};\n")
            elif l.kind == "complex":
                out.append(f"    memset((char *)p + {at}, 255, {l.size});\n"
                           f"    memset((char *)p + {at} + sizeof({PART[l.ctype]}), 255, {l.size});\n")
            else:
                out.append(f"    memset((char *)p + {at}, 255, {l.size});\n")
        return "".join(out)

    @staticmethod
    def declaration(name, result, params, prototype):
        parts = []
        for kind, pname, ctype, _, extent in params:
            if kind == "value":
                parts.append(f"{ctype} {pname}")
            elif kind == "one":
                parts.append(f"in {ctype} *{pname}" if prototype else f"const {ctype} *{pname}")
            elif kind == "block":
                parts.append(f"out malloc {ctype} *{pname}[{extent}]" if prototype else f"{ctype} **{pname}")
            elif kind == "in":
                parts.append(f"const {ctype} {pname}[{extent}]")
            elif kind == "rows":
                parts.append(f"const {ctype} (*{pname}[{extent[0]}])[{extent[1]}]")
            elif kind == "holder":
                parts.append(f"in {ctype} *{pname}" if prototype else f"const {ctype} *{pname}")
            else:
                parts.append(f"{kind + ' ' if prototype else ''}{ctype} {pname}[{extent}]")
        owned = result[2]
        before = f"{owned[0]}({owned[1]}) " if owned and prototype else ""
        return f"{before}{result[0]} {'*' if owned else ''}{name}({', '.join(parts)})"

    def types(self, how=Holder.C):
        return "".join([s.text for s in self.structs] + [h.declaration(how) for h in self.holders or ()])

    def bodies(self):
        out = [SUPPORT, self.types(), self.helpers()]
        for name, result, params in self.functions:
            body = [f"{self.declaration(name, result, params, False)}\n{{\n    uint64_t h = 14695981039346656037ull;\n    ran(\"{name}\");\n"]
            for kind, pname, ctype, leaves, extent in params:
                if kind == "value":
                    body.append(f"    h = mix_{self.tag(ctype)}(h, &{pname});\n")
                elif kind == "holder":
                    body.append(leaves.mix(pname))
                elif kind == "rows":
                    body.append(f"    for (int i = 0; i < {extent[0]}; i++)\n        for (int k = 0; k < ({pname}[i] != NULL ? {extent[1]} : 0); k++)\n"
                                f"            h = mix_{self.tag(ctype)}(h, &(*{pname}[i])[k]);\n")
                elif kind not in ("out", "block"):
                    body.append(f"    for (int i = 0; i < {extent}; i++)\n        h = mix_{self.tag(ctype)}(h, &{pname}[i]);\n")
            for kind, pname, ctype, _, extent in params:
                if kind in ("out", "inout"):
                    body.append(f"    for (int i = 0; i < {extent}; i++)\n        set_{self.tag(ctype)}(&{pname}[i], &h);\n")
                elif kind == "block":
                    body.append(f"    *{pname} = h % 5 == 0 ? NULL : malloc({extent} * sizeof **{pname});\n"
                                f"    for (int i = 0; *{pname} != NULL && i < {extent}; i++) {{\n        memset((void *)&(*{pname})[i], 0x3c, sizeof **{pname});\n"
                                f"        set_{self.tag(ctype)}(&(*{pname})[i], &h);\n    }}\n")
            if result[2]:
                how, n = result[2]
                memory = f"static {result[0]} r[{n}]" if how == "static" else f"{result[0]} *r = malloc({n} * sizeof *r)"
                body.append(f"    {memory};\n    if (h % 5 == 0)\n        return {'free(r), ' if how == 'malloc' else ''}NULL;\n    memset((void *)r, 0x3c, {n} * sizeof *r);\n"
                            f"    for (int i = 0; i < {n}; i++)\n        set_{self.tag(result[0])}(&r[i], &h);\n    return r;\n")
            elif result[1]:
                body.append(f"    {result[0]} r;\n    memset((void *)&r, 0x3c, sizeof r);\n    set_{self.tag(result[0])}(&r, &h);\n    return r;\n")
            out.append("".join(body) + "}\n")
        return "".join(out)

    def main(self):
        out = [SUPPORT, self.types(), self.helpers(), r"""
static int filler, hits, tweaks, tweak, log_fd;
void ran(const char *name)
{
    (void)!write(log_fd, name, strlen(name));
    (void)!write(log_fd, "\n", 1);
}
/* On a hit nothing but members is written. */
static void check(const char *name, const void *buffer, const void *before, const void *mask, size_t n)
{
    const unsigned char *b = buffer, *was = before, *m = mask;
    for (size_t i = 0; hits && i < n; i++)
        if ((b[i] ^ was[i]) & (unsigned char)~m[i]) {
            printf("%s: padding at %zu is %02x\n", name, i, b[i]);
            return;
        }
}
"""]
        for name, result, params in self.functions:
            out.append(f"{self.declaration(name, result, params, False)};\n")
        tweakable = {}
        for name, result, params in self.functions:
            lines, args, after = [], [], []
            tweakable[name] = 0
            for kind, pname, ctype, leaves, extent in params:
                if kind == "holder":
                    lines.append(leaves.fill(pname, tweakable[name] + 1))
                    tweakable[name] += len(leaves.fields)
                    args.append(pname)
                    continue
                tag = self.tag(ctype)
                if kind == "rows":
                    lines.append(f"    {ctype} {pname}_mem[{extent[0]}][{extent[1] + 1}];\n    const {ctype} (*{pname}[{extent[0]}])[{extent[1]}];\n"
                                 f"    memset((void *){pname}_mem, filler, sizeof {pname}_mem);\n    for (int i = 0; i < {extent[0]}; i++) {{\n"
                                 f"        for (int k = 0; k < {extent[1]}; k++)\n            set_{tag}(&{pname}_mem[i][k], &s);\n"
                                 f"        {pname}[i] = next(&s) % 5 == 0 ? NULL : (const void *){pname}_mem[i];\n    }}\n"
                                 f"    if (tweak == {tweakable[name] + 1})\n        set_{tag}(&{pname}_mem[{extent[0] - 1}][{extent[1] - 1}], &(uint64_t){{s + 99}});\n")
                    tweakable[name] += 1
                    args.append(pname)
                    continue
                n = 1 if kind == "value" else extent
                if kind == "block":
                    lines.append(f"    {ctype} *{pname} = ({ctype} *)8;\n")
                    after.append(f"    for (int i = 0; {pname} != NULL && i < {n}; i++)\n        show_{tag}(&{pname}[i]);\n    free({pname});\n")
                    args.append(f"&{pname}")
                    continue
                # One more than the function may touch.
                lines.append(f"    {ctype} {pname}[{n + 1}];\n    memset((void *){pname}, filler, sizeof {pname});\n")
                if kind != "out":
                    lines.append(f"    for (int i = 0; i < {n}; i++)\n        set_{tag}(&{pname}[i], &s);\n")
                if kind in ("out", "inout"):
                    lines.append(f"    {ctype} {pname}_was[{n + 1}];\n    memcpy((void *){pname}_was, {pname}, sizeof {pname});\n")
                    after.append(f"    for (int i = 0; i < {n}; i++) {{\n        {ctype} m;\n        show_{tag}(&{pname}[i]);\n        mask_{tag}(&m);\n"
                                 f"        check(\"{name} {pname}\", &{pname}[i], &{pname}_was[i], &m, sizeof m);\n    }}\n"
                                 f"    for (size_t i = 0; i < sizeof {pname}[0]; i++)\n        if (((unsigned char *)&{pname}[{n}])[i] != filler)\n"
                                 f"            puts(\"{name} {pname}: written beyond its end\");\n")
                args.append(f"{pname}[0]" if kind == "value" else pname)
            call = f"{name}({', '.join(args)})"
            if result[2]:
                call = (f"{result[0]} *r = {call};\n    for (int i = 0; r != NULL && i < {result[2][1]}; i++)\n        show_{self.tag(result[0])}(&r[i]);\n"
                        f"    printf(\"%s\", r == NULL ? \"null \" : \"\")")
                if result[2][0] == "malloc":
                    after.append("    free(r);\n")
            elif result[1]:
                call = f"{result[0]} r = {call};\n    show_{self.tag(result[0])}(&r)"
            out.append(f"static void call_{name}(uint64_t s)\n{{\n{''.join(lines)}    printf(\"{name}: \");\n    {call};\n{''.join(after)}    puts(\"\");\n}}\n")
        calls = "".join(f"    call_{n}({i}000);\n    call_{n}({i}001);\n" +
                        (f"    for (tweak = tweaks; tweak != 0; tweak = (tweak + 1) % {tweakable[n] + 1})\n        call_{n}({i}000);\n" if tweakable[n] else "")
                        for i, (n, _, _) in enumerate(self.functions))
        out.append("int main(int argc, char **argv)\n{\n    filler = (int)strtol(argv[1], NULL, 16);\n    hits = argc > 2 && strcmp(argv[2], \"hit\") == 0;\n"
                   "    tweaks = argc > 2 && strcmp(argv[2], \"tweak\") == 0;\n"
                   "    log_fd = open(getenv(\"BODY_LOG\"), O_WRONLY | O_CREAT | O_APPEND, 0600);\n" + calls + "    return 0;\n}\n")
        return "".join(out)

    def config(self):
        def block(text, indent):
            return "".join(f"{' ' * indent}{line}\n" for line in text.splitlines())
        out = ["types: |\n", block(self.types(Holder.TYPES) or ";", 2), "tasks:\n"]
        for name, result, params in self.functions:
            out.append(f"  - symbol: {name}\n    cache_policy: INPUTS\n    prototype: |\n" +
                       block(self.declaration(name, result, params, True), 6))
        return "".join(out)
