"""Entries that somebody jumps into, where no instruction says so."""
import itertools
import json

from harness import equal

INTERPRETERS = r"""
#include <stdio.h>
#include <stdlib.h>

#define TASK __attribute__((noinline, noclone))

static void body(const char *name)
{
    FILE *f = fopen(getenv("BODY_LOG"), "a");
    fprintf(f, "%s\n", name);
    fclose(f);
}

TASK int labels(const unsigned char *p)
{
    static const void *const next[] = {&&add, &&twice, &&end};
    int s = 0;
add:
    s += 3;
    goto *next[*p++];
twice:
    s *= 2;
    goto *next[*p++];
end:
    return s;
}

TASK int cases(const unsigned char *p)
{
    int s = 0;

    for (;;)
        switch (*p++) {
        case 0: s += 3; break;
        case 1: s *= 2; break;
        case 2: s -= 7; break;
        case 3: s ^= 5; break;
        case 4: s <<= 1; break;
        case 5: s = s * s; break;
        default: return s;
        }
}

/* Offsets of 32 bits from the table, one to the entry's third byte. */
int offsets(const unsigned char *p);
/* The first label is the entry. */
int loops(const unsigned char *p);
/* Offsets of 8 bits from a place that the code itself names. */
int places(const unsigned char *p);
__asm__(".text\n"
        ".macro begin name\n.globl \\name\n.type \\name, @function\n.balign 16\n\\name:\n.cfi_startproc\n.endm\n"
        ".macro end name\n.cfi_endproc\n.size \\name, . - \\name\n.endm\n"
        "begin offsets\n"
        "xor %eax, %eax\n"
        "1: add $3, %eax\n movzbl (%rdi), %ecx\n inc %rdi\n lea 9f(%rip), %rdx\n movslq (%rdx,%rcx,4), %rcx\n add %rdx, %rcx\n jmp *%rcx\n"
        "2: add %eax, %eax\n ret\n"
        "end offsets\n"
        ".pushsection .rodata\n.balign 4\n9: .long 2b-9b, 1b-9b\n.popsection\n"
        "begin loops\n"
        "1: movzbl (%rdi), %ecx\n inc %rdi\n lea 9f(%rip), %rdx\n jmp *(%rdx,%rcx,8)\n"
        "2: mov %ecx, %eax\n add (%rdi), %al\n ret\n"
        "end loops\n"
        ".pushsection .data.rel.ro, \"aw\"\n.balign 8\n9: .quad 1b, 2b\n.popsection\n"
        "begin places\n"
        "xor %eax, %eax\n"
        "1: add $3, %eax\n movzbl (%rdi), %ecx\n inc %rdi\n lea 1b(%rip), %rdx\n lea 9f(%rip), %rsi\n movzbl (%rsi,%rcx), %ecx\n add %rdx, %rcx\n jmp *%rcx\n"
        "2: ret\n"
        "end places\n"
        ".pushsection .rodata\n9: .byte 0, 2b-1b\n.popsection\n");

int main(void)
{
    static const unsigned char l[] = {0, 1, 0, 1, 1, 0, 2, 2}, c[] = {0, 1, 3, 4, 5, 2, 0, 9, 9, 9};
    static const unsigned char o[] = {1, 1, 0, 0, 0, 0, 0, 0}, n[] = {0, 0, 1, 5, 1, 7, 1, 8}, q[] = {0, 0, 1, 0, 1, 1, 1, 1};

    body("main");
    for (int i = 0; i < 3; i++)
        printf("%d %d %d %d %d\n", labels(l + i), cases(c + i), offsets(o + i), loops(n + i), places(q + i));
    return 0;
}
"""

TASKS = ("labels", "cases", "offsets", "loops", "places")


def test_tables_that_lead_into_an_entry(t):
    config = t.config("defaults: { cache_policy: INPUTS }\ntasks:\n" + "".join(
        f"  - symbol: {name}\n    prototype: |\n      int {name}(const unsigned char p[4])\n" for name in TASKS))
    seen = set()
    builds = itertools.product(("gcc", "clang"), ("-O1", "-O2", "-Os"), (("-fno-pie", "-no-pie"), ("-fPIE", "-pie")))
    for i, (compiler, level, position) in enumerate(builds):
        p = t.cc(INTERPRETERS, f"entries{i}", (level, "-w", *position), compiler)
        bare = t.bare([p]).text
        for _ in range(2):
            equal(t.run([p], config).text, bare, f"{compiler} {level} {position}")
        told = json.loads(t.ctl("doctor", "-c", config, "--json", p, status=None).out)
        seen |= {(task["task"].split("@")[0], task.get("reason")) for task in told["tasks"]}
    for wanted in (("labels", "branch-into-window"), ("cases", "branch-into-window"), ("offsets", "branch-into-window"),
                   ("loops", "branch-to-entry"), ("places", "branch-into-window")):
        equal(wanted in seen, True, f"{wanted} in {sorted(map(str, seen))}")
