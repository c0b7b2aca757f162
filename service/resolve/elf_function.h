/*
 * An object's code, ready for questions, and the answer to "which function is NAME here?": its
 * bounds, its other pieces, what it is called, or the reason why it can't be told.
 *
 * Host code; one thread. Opening fails with -ENOMEM or what the file system says.
 */
#ifndef TC_SERVICE_RESOLVE_ELF_FUNCTION_H
#define TC_SERVICE_RESOLVE_ELF_FUNCTION_H

#include "cache/reason.h"
#include "service/resolve/elf_bounds.h"

#define TC_MAX_PIECES   8u
#define TC_DETAIL_BYTES 256u
#define TC_MAX_NAMES    16u

struct tc_image {
    struct tc_elf *elf;
    struct tc_debug debug;
    struct tc_symbols symbols;
    struct tc_bounds bounds;
    uint32_t reason; /* enum tc_reason: the object is refused as a whole, 0 */
};

/* `path` says where debug files are looked for, beside the system's; NULL: nowhere. */
int tc_image_open_fd(int fd, const char *path, struct tc_image *ret);
int tc_image_open_memory(const void *data, size_t bytes, struct tc_image *ret);
void tc_image_close(struct tc_image *im);

/* A run of machine code. */
struct tc_piece {
    uint64_t vaddr, bytes;
};

struct tc_function {
    uint32_t reason;              /* enum tc_reason, 0: all below is valid */
    char detail[TC_DETAIL_BYTES]; /* more about the reason */
    uint64_t vaddr, bytes;
    struct tc_piece pieces[TC_MAX_PIECES]; /* the body first, then what was split off as .cold */
    size_t piece_count;
    char names[TC_DETAIL_BYTES];    /* "asked, alias, alias" */
    const char *file;               /* static and known: the source file's basename; else NULL */
    uint32_t dynamic[TC_MAX_NAMES]; /* its names as indexes into the dynamic symbol table */
    size_t dynamic_count;
    int exported, is_static;
    int is_ifunc;     /* `vaddr` is the resolver, which chooses the function */
    int has_versions; /* of an IFUNC: other functions share its name */
    int from_debug;   /* only its debug file has the name */
    int is_clone; /* the compiler left a changed copy only, under a name with a suffix: whether that
                     takes the same parameters, debug information knows */
};

/* Is it the address of code of the function? */
static inline int tc_function_holds(const struct tc_function *f, uint64_t vaddr)
{
    for (size_t i = 0; i < f->piece_count; i++) {
        if (vaddr - f->pieces[i].vaddr < f->pieces[i].bytes)
            return 1;
    }
    return 0;
}

/* Fills all of `ret`. `file` "" is any; it compares with the basename of STT_FILE. 1: this object
 * has something of that name (be it refused), 0: it has nothing (`reason` not-found or stripped).
 */
int tc_function_find(const struct tc_image *im, const char *name, const char *file,
                     struct tc_function *ret);

#endif
