#include "service/resolve/source.h"

#include <string.h>

struct tc_hash128 tc_source_file(const struct tc_image *im)
{
    return tc_hash128(im->elf->data, im->elf->bytes, 0);
}

void tc_source_interim(const struct tc_image *im, const struct tc_function *f,
                       struct tc_hash128 file, uint8_t ret[16])
{
    struct tc_hash_state state;
    struct tc_hash128 digest;

    tc_hash_begin(&state, TC_SOURCE_INTERIM);
    for (size_t i = 0; i < f->piece_count; i++) {
        const struct tc_piece *p = &f->pieces[i];
        const unsigned char *code = tc_elf_at(im->elf, p->vaddr, p->bytes);
        if (code == NULL)
            continue;
        /* The address tells two copies of one function in one file apart: their references, which
         * are relative, differ in meaning. */
        tc_hash_add(&state, p, sizeof *p);
        tc_hash_add(&state, code, p->bytes);
    }
    tc_hash_add(&state, &file, sizeof file);
    digest = tc_hash_end128(&state);
    memcpy(ret, &digest.low, 8);
    memcpy(ret + 8, &digest.high, 8);
}
