/*
 * Stored results. A record is one LMDB value under the key's low 64 bits in table "records";
 * outputs that don't fit inline lie in chunks in table "chunks". Little-endian, natural alignment
 * inside the record; LMDB gives values an alignment of 2 only, so readers copy the header out
 * before they use it.
 *
 *   struct tc_record | identity | material | shapes (struct tc_extent, outputs in order) | outputs
 * (if chunk_count is 0)
 *
 * Outputs, in this order: the result (TC_RESULT_VALUE: 8 bytes, the register image;
 * TC_RESULT_INTO_ARG: struct tc_into_arg), then each `out` and `inout` parameter in prototype
 * order, its pieces packed without the gaps between them. What has a layout (struct tc_layout) is
 * here in its packed form, the result too; extents count those bytes. A NULL output pointer has
 * pieces 0, length 0 and flag TC_EXTENT_NULL. A block that the call gives away (TC_RESULT_MALLOC,
 * TC_RESULT_STATIC, TC_SHAPE_BLOCK, TC_SHAPE_TEXT) is one piece, its content, a string with its
 * NUL; where there was none, length 0 and TC_EXTENT_NO_BLOCK. What a codec made is one piece
 * likewise.
 *
 * Decoding is freestanding; encoding too (into memory that the caller gives).
 */
#ifndef TC_CACHE_RECORD_H
#define TC_CACHE_RECORD_H

#include <stddef.h>
#include <stdint.h>

#define TC_RECORD_MAGIC   0x43524354u /* "TCRC" */
#define TC_RECORD_VERSION 1u
#define TC_RECORD_INLINE_BYTES \
    (256u * 1024u) /* a record with its outputs inline is at most this long */
#define TC_CHUNK_BYTES   \
    (64u * 4096u - 16u - \
     8u) /* output bytes of a chunk: 64 pages less LMDB's page header and the checksum */
#define TC_MATERIAL_BYTES 4096u     /* key material is never longer, see cache/key.h */
#define TC_NEVER          INT64_MAX /* expires_ns: no expiration */
#define TC_MAX_OUTPUTS    33u

enum tc_record_flag {
    TC_RECORD_ERRNO = 1u << 0, /* the real call changed errno: `err` is its value afterwards */
    TC_RECORD_HEADER =
        1u << 1, /* the result lies in another storage: the outputs are struct tc_result_ref */
};

struct tc_record {
    uint32_t magic;
    uint16_t version;
    uint16_t header_bytes; /* sizeof(struct tc_record) of the writer */
    uint64_t key_low, key_high;
    uint64_t checksum; /* of the LMDB value: XXH3-64, seed 0, of the bytes ahead of this field and
                          the XXH3-64 of those behind it */
    uint64_t task;     /* XXH3-64, seed 0, of the identity: index of counters */
    int64_t created_ns, expires_ns; /* since the epoch */
    int64_t duration_ns;            /* of the real call */
    uint32_t flags;                 /* enum tc_record_flag */
    int32_t err;
    uint32_t identity_bytes, material_bytes;
    uint32_t output_count;
    uint32_t chunk_count; /* 0: the outputs are inline */
    uint64_t chunk_first; /* chunks are numbered consecutively */
    uint64_t output_bytes;
    uint64_t record_id;      /* given by the service, never used twice */
    uint64_t transaction[2]; /* of a staged result: whose it is; else 0 */
};

/* A flow's staged results lie in table "staged", under the transaction's id and the key's low half,
 * until they are moved to "records" in one LMDB transaction. */
struct tc_staged_key {
    uint64_t transaction[2];
    uint64_t key_low;
};

enum tc_extent_flag {
    TC_EXTENT_NULL = 1u << 0,
    TC_EXTENT_NO_BLOCK = 1u << 1, /* the pointer to the block is NULL */
};
struct tc_extent {
    uint64_t pieces;      /* 1 for the result */
    uint64_t piece_bytes; /* bytes of one piece, without gaps */
    uint32_t param;       /* index in the prototype; 0xffffffff: the result */
    uint32_t flags;       /* enum tc_extent_flag */
};

struct tc_into_arg {
    uint32_t is_null;
    uint32_t param;
    uint64_t offset_bytes;
};

/* Where the result of a header is: under the same key in the task's storage, this very record.
 * There are no extents then. */
struct tc_result_ref {
    uint64_t record_id;
    int64_t created_ns; /* ids begin anew when a store is set aside */
};

/* A chunk's LMDB value is its checksum (XXH3-64, seed 0, of the bytes behind it) and up to
 * TC_CHUNK_BYTES bytes. */
struct tc_chunk_header {
    uint64_t checksum;
};

/* A decoded record: pointers into the LMDB value. */
struct tc_record_view {
    struct tc_record head;
    const char *identity;
    const unsigned char *material;
    const unsigned char
        *extents; /* head.output_count of struct tc_extent, unaligned: copy each out */
    const unsigned char *outputs; /* NULL if chunked */
};

/* Checks magic, version, sizes and checksum of a complete LMDB value. 0, -EPROTONOSUPPORT,
 * -EBADMSG. */
int tc_record_decode(const void *value, size_t bytes, struct tc_record_view *ret);

/* The same without the checksum, for a record as it is sent to the service (outputs behind it
 * whatever their size: the value holds no outputs if `output_bytes` don't follow, then
 * view->outputs is NULL). */
int tc_record_decode_draft(const void *value, size_t bytes, struct tc_record_view *ret);

/* The checksum for a complete value, computed with the field as 0. `value` may be unaligned. */
uint64_t tc_record_checksum(const void *value, size_t bytes);

/* Does the store's record count as a hit at `now_ns`? It expires strictly later than now, or never.
 * One of the future was written before the clock was set back: how old it is nobody knows. */
static inline int tc_record_live(const struct tc_record *r, int64_t now_ns)
{
    return r->expires_ns == TC_NEVER || (r->expires_ns > now_ns && r->created_ns <= now_ns);
}

#endif
