/* Just as much of ELF as decides whether the loader will load our library. */
#include <elf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tools/program.h"

#define PROGRAM_HEADERS_MAX 256

static int read_at(int fd, void *to, size_t bytes, uint64_t offset)
{
    if (offset > INT64_MAX)
        return -ENOEXEC;
    ssize_t n = pread(fd, to, bytes, (off_t)offset);
    return n < 0 ? -errno : (size_t)n == bytes ? 0 : -ENOEXEC;
}

static int read_interpreter(int fd, uint64_t offset, uint64_t bytes, struct tc_elf_facts *ret)
{
    if (bytes < 2 || bytes > sizeof ret->interpreter)
        return -ENOEXEC;
    int r = read_at(fd, ret->interpreter, bytes, offset);
    ret->interpreter[bytes - 1] = 0;
    if (r < 0)
        ret->interpreter[0] = 0;
    return r;
}

static int read_headers_64(int fd, struct tc_elf_facts *ret)
{
    Elf64_Ehdr h;
    Elf64_Phdr p;
    int r = read_at(fd, &h, sizeof h, 0);
    if (r < 0)
        return r;
    if (h.e_phentsize != sizeof p || h.e_phnum > PROGRAM_HEADERS_MAX)
        return -ENOEXEC;
    for (unsigned i = 0; i < h.e_phnum; i++) {
        r = read_at(fd, &p, sizeof p, h.e_phoff + i * sizeof p);
        if (r < 0)
            return r;
        if (p.p_type == PT_INTERP)
            return read_interpreter(fd, p.p_offset, p.p_filesz, ret);
    }
    return 0;
}

int tc_elf_facts_read(int fd, struct tc_elf_facts *ret)
{
    unsigned char head[20];
    *ret = (struct tc_elf_facts){0};
    if (read_at(fd, head, sizeof head, 0) < 0 || memcmp(head, ELFMAG, SELFMAG) != 0)
        return 0;
    ret->is_elf = true;
    ret->class_bits = head[EI_CLASS] == ELFCLASS64 ? 64 : head[EI_CLASS] == ELFCLASS32 ? 32 : 0;
    bool big = head[EI_DATA] == ELFDATA2MSB;
    ret->type = (uint16_t)(big ? head[16] << 8 | head[17] : head[17] << 8 | head[16]);
    ret->machine = (uint16_t)(big ? head[18] << 8 | head[19] : head[19] << 8 | head[18]);
    if (ret->class_bits != 64 || big)
        return ret->class_bits ? 0 : -ENOEXEC;
    return read_headers_64(fd, ret);
}
