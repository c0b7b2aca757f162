#include <string.h>

#include "cache/hash.h"
#include "cache/key.h"
#include "service/clock.h"
#include "service/store/internal.h"

#define RUN_ID "=run_id"

/* The digest of the key material without RUN_ID: equal in records that differ in nothing but the
 * run. 0: the key doesn't hold it. */
static int without_run(const struct tc_store *s, const struct tc_record_view *v, uint64_t ret[2])
{
    unsigned char rest[TC_MATERIAL_BYTES];
    struct tc_component c;
    struct tc_hash128 digest;
    size_t offset = 0, from = 0, bytes = 0;
    int found = 0;

    while (tc_material_next(v->material, v->head.material_bytes, &offset, &c) == 1) {
        if (c.head.name_bytes == sizeof RUN_ID - 1 &&
            memcmp(c.name, RUN_ID, sizeof RUN_ID - 1) == 0) {
            found = 1;
        } else {
            memcpy(rest + bytes, v->material + from, offset - from);
            bytes += offset - from;
        }
        from = offset;
    }
    if (!found)
        return 0;
    digest = tc_hash128(rest, bytes, s->state.seed);
    ret[0] = digest.low;
    ret[1] = digest.high;
    return 1;
}

int tc_details_put(struct tc_store *s, const struct tc_draft *d, const struct tc_record *head)
{
    struct {
        struct tc_details details;
        unsigned char heads[TC_STRING_HEADS];
    } entry;
    struct tc_details *e = &entry.details;
    uint64_t key_low = head->key_low;
    MDB_val key = {sizeof key_low, &key_low}, value = {0, &entry};
    struct tc_record_view view;

    *e = (struct tc_details){.bytes = sizeof *e,
                             .pid = d->pid,
                             .stored_ns = tc_wall_ns(),
                             .record_id = head->record_id,
                             .task = head->task,
                             .found = d->found,
                             .expired_ns = d->expired_ns};
    if (d->program != NULL)
        memcpy(e->program, d->program, strnlen(d->program, sizeof e->program - 1));
    if (tc_record_decode_draft(d->data, d->bytes, &view) == 0 &&
        without_run(s, &view, e->without_run))
        e->flags |= TC_DETAILS_RUN;
    if (d->heads != NULL && d->head_bytes <= sizeof entry.heads) {
        e->head_bytes = d->head_bytes;
        memcpy(entry.heads, d->heads, d->head_bytes);
    }
    value.mv_size = sizeof *e + e->head_bytes;
    return tc_mdb_errno(mdb_put(s->txn, s->table[TC_TABLE_DETAILS], &key, &value, 0));
}
