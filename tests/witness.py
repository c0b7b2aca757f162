"""A library to preload that tells when functions of another library run: each writes its name to $BODY_LOG, at its first
call in a process or at every one, and goes on to the real one. How a test proves that nothing was computed, where the functions themselves leave no trace."""

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {NAMES};
static void *real[sizeof names / sizeof names[0]];
static char told[sizeof names / sizeof names[0]];

/* Called with all argument registers kept. */
static __attribute__((used)) void *witness_called(unsigned i)
{
    if (!__atomic_exchange_n(&told[i], 1, __ATOMIC_RELAXED) || EACH) {
        char line[128];
        int n = snprintf(line, sizeof line, "%s\n", names[i]);
        int fd = open(getenv("BODY_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (write(fd, line, (size_t)n) != n)
            abort();
        close(fd);
    }
    if (real[i] == NULL)
        real[i] = dlsym(RTLD_NEXT, names[i]);
    if (real[i] == NULL) {
        void *library = dlopen(LIBRARY, RTLD_LAZY);
        real[i] = library != NULL ? dlsym(library, names[i]) : NULL;
    }
    if (real[i] == NULL)
        abort();
    return real[i];
}

__asm__(
    ".text\n"
    "witness_common:\n"
    "    push %rbp\n"
    "    mov %rsp, %rbp\n"
    "    push %rdi\n    push %rsi\n    push %rdx\n    push %rcx\n    push %r8\n    push %r9\n    push %rax\n    push %r10\n"
    "    sub $128, %rsp\n"
    "    and $-16, %rsp\n"
    "    movups %xmm0, (%rsp)\n    movups %xmm1, 16(%rsp)\n    movups %xmm2, 32(%rsp)\n    movups %xmm3, 48(%rsp)\n"
    "    movups %xmm4, 64(%rsp)\n    movups %xmm5, 80(%rsp)\n    movups %xmm6, 96(%rsp)\n    movups %xmm7, 112(%rsp)\n"
    "    mov %r11d, %edi\n"
    "    call witness_called\n"
    "    mov %rax, %r11\n"
    "    movups (%rsp), %xmm0\n    movups 16(%rsp), %xmm1\n    movups 32(%rsp), %xmm2\n    movups 48(%rsp), %xmm3\n"
    "    movups 64(%rsp), %xmm4\n    movups 80(%rsp), %xmm5\n    movups 96(%rsp), %xmm6\n    movups 112(%rsp), %xmm7\n"
    "    lea -64(%rbp), %rsp\n"
    "    pop %r10\n    pop %rax\n    pop %r9\n    pop %r8\n    pop %rcx\n    pop %rdx\n    pop %rsi\n    pop %rdi\n"
    "    pop %rbp\n"
    "    jmp *%r11\n"
STUBS
);
"""

STUB = '    ".globl {name}\\n.type {name},@function\\n{name}: mov ${i}, %r11d\\n    jmp witness_common\\n.size {name}, . - {name}\\n"\n'


def build(t, names, library, each=False):
    """The path of such a library for these functions of `library` (as the loader finds it). `each`: it tells each call."""
    source = SOURCE.replace("EACH", str(int(each))).replace("NAMES", ", ".join(f'"{n}"' for n in names)).replace("LIBRARY", f'"{library}"')
    source = source.replace("STUBS\n", "".join(STUB.format(name=n, i=i) for i, n in enumerate(names)))
    return t.cc(source, "witness.so", ["-O1", "-shared", "-fPIC", "-ldl"])
