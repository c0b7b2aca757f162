#include "preload/function_input.h"

#include <elf.h>
#include <string.h>

#include "preload/build_id.h"
#include "preload/objects.h"
#include "preload/state.h"

/* Is `address` in the object's code? Looked up in its program headers, which may be gone. */
static int holds_code(const struct tc_known_object *o, uint64_t address)
{
    const Elf64_Ehdr *e = (const void *)(uintptr_t)o->header;
    const Elf64_Phdr *ph;

    if (tc_sys_readable(o->header, sizeof *e) < 0 || memcmp(e, ELFMAG, SELFMAG) != 0 ||
        e->e_phentsize != sizeof *ph)
        return 0;
    ph = (const void *)(uintptr_t)(o->header + e->e_phoff);
    if (tc_sys_readable((uint64_t)(uintptr_t)ph, e->e_phnum * sizeof *ph) < 0)
        return 0;
    for (int i = 0; i < e->e_phnum; i++)
        if (ph[i].p_type == PT_LOAD && ph[i].p_flags & PF_X &&
            address - (o->base + ph[i].p_vaddr) < ph[i].p_memsz)
            return 1;
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

static int find(uint64_t pointer, struct tc_known_object *ret)
{
    return tc_object_below(pointer, ret) && holds_code(ret, pointer);
}

uint32_t tc_function_input(uint64_t pointer, unsigned char ret[TC_FUNCTION_DIGEST])
{
    struct {
        unsigned char build_id[TC_MAX_BUILD_ID];
        struct tc_file_id id; /* of an object without one */
        uint64_t build_id_bytes, offset;
    } content;
    struct tc_known_object o;
    struct tc_hash128 digest;

    if (tc_is_sandboxed())
        return TC_R_SANDBOXED; /* nothing can be probed */
    memset(&content, 0, sizeof content);
    if (!find(pointer, &o)) {
        pointer = behind_stub(pointer);
        if (!find(pointer, &o))
            return TC_R_UNKNOWN_CODE;
    }
    content.build_id_bytes = tc_build_id_at(o.header, o.base, content.build_id);
    if (content.build_id_bytes == 0)
        content.id = o.id;
    if (content.build_id_bytes == 0 && o.id.ino == 0)
        return TC_R_UNKNOWN_CODE;
    content.offset = pointer - o.base;
    digest = tc_hash128(&content, sizeof content, tc_state.page->seed);
    memcpy(ret, &digest, sizeof digest);
    return 0;
}
