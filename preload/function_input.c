#include "preload/function_input.h"

#include <elf.h>
#include <string.h>
#include <sys/uio.h>

#include "preload/arch/arch.h"
#include "preload/build_id.h"
#include "preload/function_source.h"
#include "preload/objects.h"
#include "preload/state.h"

enum {
    MAX_PASSES = 4,
    ROOM = 1024, /* of the context's scratch memory, at its end */
};

/* Copies what is there, which another thread may be unmapping. */
static int read_memory(uint64_t address, void *to, size_t bytes)
{
    struct iovec here = {to, bytes}, there = {(void *)(uintptr_t)address, bytes};

    return TC_SYS(SYS_process_vm_readv, tc_state.pid, &here, 1, &there, 1, 0) == (long)bytes;
}

/* The object's code segment that `address` is in, by its program headers. The object may be gone:
 * the pointer needn't lead into it. */
static int holds_code(struct tc_context *x, const struct tc_known_object *o, uint64_t address,
                      struct tc_known_code *ret)
{
    Elf64_Ehdr *e = (void *)x->scratch;
    Elf64_Phdr *ph = (void *)(e + 1);

    if (!read_memory(o->header, e, sizeof *e) || memcmp(e, ELFMAG, SELFMAG) != 0 ||
        e->e_phentsize != sizeof *ph ||
        e->e_phnum > (TC_SCRATCH_BYTES - ROOM - sizeof *e) / sizeof *ph ||
        !read_memory(o->header + e->e_phoff, ph, e->e_phnum * sizeof *ph))
        return 0;
    for (int i = 0; i < e->e_phnum; i++) {
        ret->low = o->base + ph[i].p_vaddr;
        ret->high = ret->low + ph[i].p_memsz;
        if (ph[i].p_type == PT_LOAD && ph[i].p_flags & PF_X && address - ret->low < ph[i].p_memsz)
            return 1;
    }
    return 0;
}

/* Where a pointer leads to. */
struct place {
    struct tc_known_code code;
    int unbound; /* a linkage table's entry, and its slot isn't bound */
    unsigned char text[TC_ARCH_PASSES_BYTES]; /* what is there, as far as it is code */
};

/* Too much for the stack of a hit. */
struct room {
    struct place place, passed; /* what is asked for; the entry of a linkage table */
};
_Static_assert(sizeof(struct room) <= ROOM, "at the end of the scratch memory");

static struct room *room_of(struct tc_context *x)
{
    return (struct room *)(void *)(x->scratch + TC_SCRATCH_BYTES - ROOM);
}

static size_t text_bytes(const struct tc_known_code *k, uint64_t pointer)
{
    uint64_t left = ((k->high + 4095) & ~4095ull) - pointer;

    return left < TC_ARCH_PASSES_BYTES ? left : TC_ARCH_PASSES_BYTES;
}

static int read_text(uint64_t pointer, struct place *p)
{
    return read_memory(pointer, p->text, text_bytes(&p->code, pointer));
}

/* Is what was seen there still there? The loader may have put another object in its place without
 * our knowing. One system call, where looking anew takes half a dozen. */
static int still_there(const struct tc_known_code *k, uint64_t pointer, unsigned char *text)
{
    unsigned char now[TC_MAX_BUILD_ID];
    size_t n = text_bytes(k, pointer);
    struct iovec there[2] = {{(void *)(uintptr_t)k->build_id_at, k->build_id_bytes},
                             {(void *)(uintptr_t)pointer, n}};
    struct iovec here[2] = {{now, k->build_id_bytes}, {text, n}};

    return TC_SYS(SYS_process_vm_readv, tc_state.pid, here, 2, there, 2, 0) ==
               (long)(k->build_id_bytes + n) &&
           memcmp(now, k->build_id, k->build_id_bytes) == 0;
}

static int find_known(struct tc_context *x, uint64_t pointer, struct place *ret)
{
    for (uint32_t i = 0; i < TC_KNOWN_CODE; i++) {
        struct tc_known_code *k = &x->code[i];
        if (pointer < k->low || pointer >= k->high)
            continue;
        if (still_there(k, pointer, ret->text)) {
            ret->code = *k;
            return 1;
        }
        k->high = 0;
    }
    return 0;
}

/* A pointer to a function whose symbol is hooked leads to our stub: what it stands for counts. */
static uint64_t behind_stub(uint64_t pointer)
{
    for (uint32_t i = 0; i < tc_state.hook_count; i++)
        if (tc_state.hooks[i].stub == pointer && !tc_is_at_entry(tc_state.hooks[i].plan))
            return __atomic_load_n(&tc_state.hooks[i].original, __ATOMIC_ACQUIRE);
    return pointer;
}

/* Remembered by its build-id, which alone can be looked at again. */
static int look(struct tc_context *x, uint64_t pointer, struct place *ret)
{
    const unsigned char *build_id = NULL;
    struct tc_known_code *k = &ret->code;
    struct tc_known_object o;

    if (!tc_object_below(pointer, &o) || !holds_code(x, &o, pointer, k) || !read_text(pointer, ret))
        return 0;
    k->base = o.base;
    k->build_id_bytes = tc_build_id_place(o.header, o.base, &build_id);
    k->id = o.id;
    /* Nothing in its memory says which one it is. */
    if (k->build_id_bytes == 0)
        return o.id.ino != 0 && (o.stays || tc_objects_are_sure());
    k->build_id_at = (uint64_t)(uintptr_t)build_id;
    memcpy(k->build_id, build_id, k->build_id_bytes);
    x->code[x->next_code++ % TC_KNOWN_CODE] = *k;
    return 1;
}

static int locate(struct tc_context *x, uint64_t *pointer, struct place *ret)
{
    memset(ret, 0, sizeof *ret);
    if (find_known(x, *pointer, ret) || look(x, *pointer, ret))
        return 1;
    *pointer = behind_stub(*pointer);
    return look(x, *pointer, ret);
}

/* Does the slot of an entry in `from`'s procedure linkage table still lead back there? */
static int is_unbound(struct tc_context *x, const struct place *from, uint64_t pointer)
{
    struct place *p = &room_of(x)->passed;

    memset(p, 0, sizeof *p);
    p->code = from->code;
    return pointer >= from->code.low && pointer < from->code.high && read_text(pointer, p) &&
           text_bytes(&p->code, pointer) >= TC_ARCH_LAZY_BYTES && tc_arch_is_lazy(p->text);
}

/* Code that only passes calls on stands for what it passes them on to: a program that isn't
 * position-independent takes its own linkage table for the address of a library's function. Not
 * bound yet, that may be in any object: all of them count then, in *ret_all. */
static uint32_t find_code(struct tc_context *x, uint64_t *pointer, struct place *ret,
                          struct tc_hash128 *ret_all)
{
    uint64_t slot, to;

    for (int i = 0; i < MAX_PASSES; i++) {
        if (!locate(x, pointer, ret))
            return TC_R_UNKNOWN_CODE;
        slot = tc_arch_passes_on(*pointer, ret->text);
        if (slot == 0)
            return 0;
        if (!read_memory(slot, &to, sizeof to))
            return TC_R_UNKNOWN_CODE;
        if (is_unbound(x, ret, to)) {
            ret->unbound = 1;
            return tc_objects_digest(ret_all) ? 0 : TC_R_UNKNOWN_CODE;
        }
        *pointer = to;
    }
    return TC_R_UNKNOWN_CODE;
}

/* By place: in all objects as they are, or in the kernel's, which has no file. */
__attribute__((noinline)) static struct tc_hash128
place_digest(const struct place *p, uint64_t vaddr, const struct tc_hash128 *all, uint64_t seed)
{
    struct {
        unsigned char build_id[TC_MAX_BUILD_ID];
        struct tc_file_id id;
        struct tc_hash128 all;
        uint64_t build_id_bytes, vaddr;
    } content;

    memset(&content, 0, sizeof content);
    memcpy(content.build_id, p->code.build_id, p->code.build_id_bytes);
    if (p->code.build_id_bytes == 0)
        content.id = p->code.id;
    content.all = *all;
    content.build_id_bytes = p->code.build_id_bytes;
    content.vaddr = vaddr;
    return tc_hash128(&content, sizeof content, seed);
}

uint32_t tc_function_input(struct tc_context *x, struct tc_call *c, uint64_t pointer,
                           unsigned char ret[TC_FUNCTION_DIGEST])
{
    struct {
        uint64_t form;
        unsigned char source[TC_FUNCTION_DIGEST];
    } content;
    struct tc_hash128 digest, all = {0, 0};
    struct place *p = &room_of(x)->place;
    uint32_t r;

    if (tc_is_sandboxed())
        return TC_R_SANDBOXED; /* nothing can be probed */
    r = find_code(x, &pointer, p, &all);
    if (r != 0)
        return r;
    if (p->unbound || p->code.id.ino == 0) {
        digest = place_digest(p, pointer - p->code.base, &all, c->seed);
    } else {
        memset(&content, 0, sizeof content);
        content.form = TC_SOURCE_RESOLVED;
        r = tc_function_source(&p->code, pointer - p->code.base, c->frame->entry, content.source);
        if (r != 0)
            return r;
        digest = tc_hash128(&content, sizeof content, c->seed);
    }
    memcpy(ret, &digest, sizeof digest);
    return 0;
}
