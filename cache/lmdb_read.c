#include "cache/lmdb_read.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && sizeof(size_t) == 8,
               "LMDB files have the byte order and word size of the host that wrote them");

/*
 * The layout, as in LMDB 0.9's mdb.c (MDB_page, MDB_node, MDB_db, MDB_meta on LP64):
 *   page    0 pgno u64, 8 pad u16, 10 flags u16, 12 lower u16, 14 upper u16 (overflow pages: 12 the
 *           number of pages, u32), 16 offsets of the nodes, u16 each, up to `lower`
 *   node    leaf: 0 size of the data u32; branch: 0 child's pgno u48; 4 flags u16 (leaf), 6 size of
 *           the key u16, 8 key, then the data, or the u64 pgno of its first overflow page
 *   table   0 pad u32, 4 flags u16, 6 depth u16, 8/16/24 page counts, 32 entries u64, 40 root u64
 *   meta    (behind the header of pages 0 and 1) 0 magic u32, 4 version u32, 8 address, 16 map
 * size, 24 table of free pages (its pad is the page size), 72 main table, 120 last pgno u64, 128
 * txnid u64
 */
enum {
    PAGE_HEADER_BYTES = 16,
    PAGE_BYTES_MIN = 512,
    PAGE_BYTES_MAX = 32768,
    NODE_HEADER_BYTES = 8,
    TABLE_BYTES = 48,
    META_BYTES = 136,
    FIRST_TREE_PAGE = 2,
    LEAF_NODES_FETCHED = 32,
};

enum {
    PAGE_BRANCH = 0x01,
    PAGE_LEAF = 0x02,
    PAGE_OVERFLOW = 0x04,
    PAGE_META = 0x08,
    PAGE_KINDS = 0x6f, /* with LEAF2 and SUBP, which occur in tables with duplicates only */
};

enum {
    NODE_OVERFLOW = 0x01,
    NODE_TABLE = 0x02,
    NODE_DUPLICATES = 0x04,
};

#define LMDB_MAGIC        0xBEEFC0DEu
#define LMDB_VERSION      1
#define NO_PAGE           UINT64_MAX
#define PGNO_LIMIT        (UINT64_C(1) << 48) /* a branch node has 48 bits for a page number */

#define TABLE_REVERSE_KEY 0x02

/*
 * Each byte of the file is loaded once, into a variable that is checked and then used: the page may
 * be overwritten at any time, so a compiler that loaded it again would undo the check. Hence
 * volatile.
 */
typedef uint16_t __attribute__((aligned(1), may_alias)) loose_u16;
typedef uint32_t __attribute__((aligned(1), may_alias)) loose_u32;
typedef uint64_t __attribute__((aligned(1), may_alias)) loose_u64;

static inline uint16_t load16(const unsigned char *p)
{
    return *(const volatile loose_u16 *)p;
}

static inline uint32_t load32(const unsigned char *p)
{
    return *(const volatile loose_u32 *)p;
}

static inline uint64_t load64(const unsigned char *p)
{
    return *(const volatile loose_u64 *)p;
}

static inline uint64_t pages_mapped(const struct tc_lmdb *db, const struct tc_lmdb_snapshot *s)
{
    return db->bytes >> s->page_shift;
}

/* A sound page number lies in the tree's part of the file; a mapped one can be read. */
static inline int find_pages(const struct tc_lmdb *db, const struct tc_lmdb_snapshot *s,
                             uint64_t pgno, uint64_t count, const unsigned char **ret)
{
    if (pgno < FIRST_TREE_PAGE || pgno > s->last_page || count > s->last_page - pgno + 1)
        return -EBADMSG;
    if (pgno + count > pages_mapped(db, s))
        return -ESTALE;
    *ret = db->map + (pgno << s->page_shift);
    return 0;
}

/* A branch or leaf page, and how many nodes it has: never 0. */
static inline int tree_page(const struct tc_lmdb *db, const struct tc_lmdb_snapshot *s,
                            uint64_t pgno, unsigned kind, const unsigned char **ret,
                            unsigned *ret_count)
{
    const unsigned char *page;
    int r = find_pages(db, s, pgno, 1, &page);

    if (r < 0)
        return r;
    unsigned lower = load16(page + 12);
    if (load64(page) != pgno || (load16(page + 10) & PAGE_KINDS) != kind ||
        lower < PAGE_HEADER_BYTES + 2 || lower > s->page_bytes)
        return -EBADMSG;
    *ret = page;
    *ret_count = (lower - PAGE_HEADER_BYTES) / 2;
    return 0;
}

static inline unsigned node_offset(const unsigned char *page, unsigned index)
{
    return load16(page + PAGE_HEADER_BYTES + 2 * index);
}

static inline int child_of(const struct tc_lmdb_snapshot *s, const unsigned char *page,
                           unsigned index, uint64_t *ret_pgno)
{
    unsigned offset = node_offset(page, index);

    if (offset + NODE_HEADER_BYTES > s->page_bytes)
        return -EBADMSG;
    *ret_pgno = load64(page + offset) & (PGNO_LIMIT - 1);
    return 0;
}

struct wanted {
    const void *key; /* NULL: an integer */
    size_t key_bytes;
    uint64_t integer;
};

/* Does the node's key sort behind the wanted one? As LMDB orders: as memcmp, then the shorter
 * first. */
static inline int node_is_behind(const struct tc_lmdb_snapshot *s, const unsigned char *page,
                                 unsigned offset, const struct wanted *w)
{
    if (offset + NODE_HEADER_BYTES > s->page_bytes)
        return -EBADMSG;
    size_t key_bytes = load16(page + offset + 6);
    if (offset + NODE_HEADER_BYTES + key_bytes > s->page_bytes)
        return -EBADMSG;

    size_t common = key_bytes < w->key_bytes ? key_bytes : w->key_bytes;
    int order = memcmp(page + offset + NODE_HEADER_BYTES, w->key, common);
    return order ? order > 0 : key_bytes > w->key_bytes;
}

/*
 * The last node whose key isn't behind the wanted one, or node 0, whose key is never looked at (in
 * a branch page it is empty and stands for minus infinity; in a leaf the caller compares). A branch
 * lets the processor load ahead of the comparison: with a conditional move in its place the same
 * look-up takes twice as long, and random ones among 40,000 an eighth longer.
 */
static inline int search_page(const struct tc_lmdb_snapshot *s, const unsigned char *page,
                              unsigned count, const struct wanted *w, unsigned *ret_index)
{
    unsigned base = 0;

    while (count > 1) {
        unsigned half = count / 2;
        unsigned offset = node_offset(page, base + half);

        if (w->key) {
            int behind = node_is_behind(s, page, offset, w);
            if (behind < 0)
                return behind;
            base += behind ? 0 : half;
        } else {
            if (offset + NODE_HEADER_BYTES + sizeof(uint64_t) > s->page_bytes)
                return -EBADMSG;
            if (load64(page + offset + NODE_HEADER_BYTES) <= w->integer) {
                __asm__ volatile(""); /* keeps it a branch */
                base += half;
            }
        }
        count -= half;
    }
    *ret_index = base;
    return 0;
}

/* A leaf's node with all of it inside its page. */
struct leaf_node {
    const unsigned char *key;
    const unsigned char *inner; /* the data, or the number of its first overflow page */
    unsigned key_bytes;
    unsigned flags;
    size_t bytes; /* of the data */
};

static inline int leaf_node_at(const struct tc_lmdb_snapshot *s, const unsigned char *page,
                               unsigned index, struct leaf_node *ret)
{
    unsigned offset = node_offset(page, index);

    if (offset < PAGE_HEADER_BYTES || offset + NODE_HEADER_BYTES > s->page_bytes)
        return -EBADMSG;
    const unsigned char *node = page + offset;
    size_t bytes = load32(node);
    unsigned flags = load16(node + 4);
    unsigned key_bytes = load16(node + 6);
    size_t inner_bytes = flags & NODE_OVERFLOW ? sizeof(uint64_t) : bytes;

    if (offset + NODE_HEADER_BYTES + key_bytes + inner_bytes > s->page_bytes)
        return -EBADMSG;
    *ret = (struct leaf_node){
        .key = node + NODE_HEADER_BYTES,
        .inner = node + NODE_HEADER_BYTES + key_bytes,
        .key_bytes = key_bytes,
        .flags = flags,
        .bytes = bytes,
    };
    return 0;
}

static inline int leaf_data(const struct tc_lmdb *db, const struct tc_lmdb_snapshot *s,
                            const struct leaf_node *node, const void **ret_data, size_t *ret_bytes)
{
    if (__builtin_expect(node->flags & (NODE_TABLE | NODE_DUPLICATES), 0))
        return -ENOTSUP;
    if (!(node->flags & NODE_OVERFLOW)) {
        *ret_data = node->inner;
        *ret_bytes = node->bytes;
        return 0;
    }

    const unsigned char *first;
    uint64_t pgno = load64(node->inner);
    uint64_t count = ((PAGE_HEADER_BYTES - 1 + node->bytes) >> s->page_shift) + 1;
    int r = find_pages(db, s, pgno, count, &first);
    if (r < 0)
        return r;
    if (load64(first) != pgno || (load16(first + 10) & PAGE_KINDS) != PAGE_OVERFLOW ||
        load32(first + 12) < count)
        return -EBADMSG;
    *ret_data = first + PAGE_HEADER_BYTES;
    *ret_bytes = node->bytes;
    return 0;
}

static int check_table(const struct tc_lmdb_table *t)
{
    if (t->root == NO_PAGE)
        return -ENOENT;
    return t->depth == 0 || t->depth > TC_LMDB_DEPTH_MAX ? -EBADMSG : 0;
}

/* Leaves are rarely in the processor's caches, and their nodes far apart: all are asked for at
 * once, rather than one after the other as the search comes to them. (A prefetch of any address is
 * harmless.) */
static inline void fetch_nodes(const unsigned char *page, unsigned count)
{
    if (count > LEAF_NODES_FETCHED)
        return;
    for (unsigned i = 0; i < count; i++)
        __builtin_prefetch(page + node_offset(page, i));
}

/* Inlined twice, so that `w->key` is a constant in each of the two loops. */
static inline __attribute__((always_inline)) int
find_leaf_node(const struct tc_lmdb *db, const struct tc_lmdb_snapshot *s,
               const struct tc_lmdb_table *t, const struct wanted *w, struct leaf_node *ret)
{
    const unsigned char *page;
    unsigned count, index;
    uint64_t pgno = t->root;
    int r = check_table(t);

    for (unsigned level = 1; r == 0 && level < t->depth; level++) {
        r = tree_page(db, s, pgno, PAGE_BRANCH, &page, &count);
        if (r == 0)
            r = search_page(s, page, count, w, &index);
        if (r == 0)
            r = child_of(s, page, index, &pgno);
    }
    if (r == 0)
        r = tree_page(db, s, pgno, PAGE_LEAF, &page, &count);
    if (r == 0) {
        fetch_nodes(page, count);
        r = search_page(s, page, count, w, &index);
    }
    return r == 0 ? leaf_node_at(s, page, index, ret) : r;
}

static int find_bytes(const struct tc_lmdb *db, const struct tc_lmdb_snapshot *s,
                      const struct tc_lmdb_table *t, const void *key, size_t key_bytes,
                      struct leaf_node *ret)
{
    if (t->flags & TC_LMDB_INTEGER_KEY)
        return -EINVAL;
    if (t->flags & TABLE_REVERSE_KEY)
        return -ENOTSUP;

    /* An empty key may come as NULL, which stands for an integer here. */
    struct wanted w = {.key = key_bytes ? key : "", .key_bytes = key_bytes};
    struct leaf_node node;
    int r = find_leaf_node(db, s, t, &w, &node);
    if (r < 0)
        return r;
    if (node.key_bytes != key_bytes || memcmp(node.key, w.key, key_bytes) != 0)
        return -ENOENT;
    *ret = node;
    return 0;
}

int tc_lmdb_get(const struct tc_lmdb *db, const struct tc_lmdb_snapshot *s,
                const struct tc_lmdb_table *t, uint64_t key, const void **ret_data,
                size_t *ret_bytes)
{
    if (!(t->flags & TC_LMDB_INTEGER_KEY))
        return -EINVAL;

    struct wanted w = {.integer = key};
    struct leaf_node node;
    int r = find_leaf_node(db, s, t, &w, &node);
    if (r < 0)
        return r;
    if (node.key_bytes != sizeof(key))
        return -EBADMSG;
    if (load64(node.key) != key)
        return -ENOENT;
    return leaf_data(db, s, &node, ret_data, ret_bytes);
}

int tc_lmdb_get_bytes(const struct tc_lmdb *db, const struct tc_lmdb_snapshot *s,
                      const struct tc_lmdb_table *t, const void *key, size_t key_bytes,
                      const void **ret_data, size_t *ret_bytes)
{
    struct leaf_node node;
    int r = find_bytes(db, s, t, key, key_bytes, &node);

    return r < 0 ? r : leaf_data(db, s, &node, ret_data, ret_bytes);
}

static struct tc_lmdb_table load_table(const unsigned char *p)
{
    return (struct tc_lmdb_table){
        .root = load64(p + 40),
        .depth = load16(p + 6),
        .flags = load16(p + 4),
        .entries = load64(p + 32),
    };
}

int tc_lmdb_table(const struct tc_lmdb *db, const struct tc_lmdb_snapshot *s, const char *name,
                  size_t name_bytes, struct tc_lmdb_table *ret)
{
    struct tc_lmdb_table main_table = {
        .root = s->main_root,
        .depth = s->main_depth,
        .flags = s->main_flags,
    };
    struct leaf_node node;
    int r = find_bytes(db, s, &main_table, name, name_bytes, &node);

    if (r < 0)
        return r;
    if ((node.flags & (NODE_TABLE | NODE_DUPLICATES)) != NODE_TABLE)
        return -ENOENT;
    if ((node.flags & NODE_OVERFLOW) || node.bytes != TABLE_BYTES)
        return -EBADMSG;
    *ret = load_table(node.inner);
    return 0;
}

/* The page size stands in both meta pages; that of page 0 tells where the other is. */
static int page_shift(const struct tc_lmdb *db, unsigned *ret)
{
    if (db->bytes < PAGE_HEADER_BYTES + META_BYTES)
        return -EBADMSG;
    uint32_t page_bytes = load32(db->map + PAGE_HEADER_BYTES + 24);
    if (page_bytes < PAGE_BYTES_MIN || page_bytes > PAGE_BYTES_MAX ||
        (page_bytes & (page_bytes - 1)) || db->bytes / page_bytes < 2)
        return -EBADMSG;
    *ret = (unsigned)__builtin_ctz(page_bytes);
    return 0;
}

/* 32-bit hosts have a page header of 12 bytes, LMDB 1.0 one of 24. */
static bool is_foreign(const struct tc_lmdb *db)
{
    return load32(db->map + 12) == LMDB_MAGIC || load32(db->map + 24) == LMDB_MAGIC ||
           load32(db->map + PAGE_HEADER_BYTES) == __builtin_bswap32(LMDB_MAGIC);
}

int tc_lmdb_check(const struct tc_lmdb *db)
{
    unsigned shift;

    if (db->bytes < PAGE_HEADER_BYTES + META_BYTES)
        return -EBADMSG;
    if (load32(db->map + PAGE_HEADER_BYTES) != LMDB_MAGIC)
        return is_foreign(db) ? -EPROTONOSUPPORT : -EBADMSG;
    if (load32(db->map + PAGE_HEADER_BYTES + 4) != LMDB_VERSION)
        return -EPROTONOSUPPORT;

    int r = page_shift(db, &shift);
    if (r < 0)
        return r;
    const unsigned char *second = db->map + ((size_t)1 << shift);
    if (load32(second + PAGE_HEADER_BYTES) != LMDB_MAGIC ||
        load32(second + PAGE_HEADER_BYTES + 4) != LMDB_VERSION ||
        !(load16(db->map + 10) & PAGE_META) || !(load16(second + 10) & PAGE_META))
        return -EBADMSG;
    return 0;
}

int tc_lmdb_snapshot(const struct tc_lmdb *db, uint64_t ceiling, struct tc_lmdb_snapshot *ret)
{
    unsigned shift;
    int r = page_shift(db, &shift);
    if (r < 0)
        return r;

    const unsigned char *first = db->map + PAGE_HEADER_BYTES;
    const unsigned char *second = first + ((size_t)1 << shift);
    uint64_t first_txnid = load64(first + 128), second_txnid = load64(second + 128);
    bool take_second =
        second_txnid <= ceiling && (first_txnid > ceiling || second_txnid > first_txnid);
    const unsigned char *meta = take_second ? second : first;
    uint64_t txnid = take_second ? second_txnid : first_txnid;
    if (txnid > ceiling)
        return -EAGAIN;

    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    struct tc_lmdb_table main_table = load_table(meta + 72);
    uint64_t last_page = load64(meta + 120);
    uint32_t page_bytes = load32(meta + 24);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (load64(meta + 128) != txnid)
        return -EAGAIN;
    __atomic_thread_fence(__ATOMIC_ACQUIRE); /* for the caller's second look at the ceiling */

    if (page_bytes != 1u << shift || last_page >= PGNO_LIMIT || last_page < FIRST_TREE_PAGE - 1)
        return -EBADMSG;
    *ret = (struct tc_lmdb_snapshot){
        .txnid = txnid,
        .main_root = main_table.root,
        .main_entries = main_table.entries,
        .last_page = last_page,
        .page_bytes = page_bytes,
        .main_depth = main_table.depth,
        .main_flags = main_table.flags,
        .page_shift = (uint8_t)shift,
    };
    return 0;
}

/* Puts a page on top of the frames, which stay as they are on failure. */
static int push_page(struct tc_lmdb_cursor *c, uint64_t pgno, unsigned level)
{
    const unsigned char *page;
    unsigned count;

    if (c->pages_left == 0) {
        c->level = c->depth;
        return -EBADMSG;
    }
    c->pages_left--;
    int r = tree_page(&c->db, &c->snapshot, pgno, level + 1 < c->depth ? PAGE_BRANCH : PAGE_LEAF,
                      &page, &count);
    if (r < 0)
        return r;
    c->frames[level].page = page;
    c->frames[level].next = 0;
    c->frames[level].count = (uint16_t)count;
    c->level = (uint16_t)level;
    return 0;
}

/* Each frame's `next` is moved on before the node is looked at: so a failure skips that node. */
int tc_lmdb_next(struct tc_lmdb_cursor *c, struct tc_lmdb_entry *ret)
{
    unsigned index;

    for (;;) {
        if (c->level >= c->depth)
            return -ENOENT;
        if (c->frames[c->level].next == c->frames[c->level].count) {
            c->level = c->level ? c->level - 1 : c->depth;
            continue;
        }
        index = c->frames[c->level].next++;
        if (c->level + 1 == c->depth)
            break;

        uint64_t pgno;
        int r = child_of(&c->snapshot, c->frames[c->level].page, index, &pgno);
        if (r == 0)
            r = push_page(c, pgno, c->level + 1u);
        if (r < 0)
            return r;
    }

    struct leaf_node node;
    struct tc_lmdb_entry entry;
    int r = leaf_node_at(&c->snapshot, c->frames[c->level].page, index, &node);
    if (r == 0)
        r = leaf_data(&c->db, &c->snapshot, &node, &entry.data, &entry.bytes);
    if (r < 0)
        return r;
    entry.key = node.key;
    entry.key_bytes = node.key_bytes;
    *ret = entry;
    return 0;
}

int tc_lmdb_first(const struct tc_lmdb *db, const struct tc_lmdb_snapshot *s,
                  const struct tc_lmdb_table *t, struct tc_lmdb_cursor *ret_cursor,
                  struct tc_lmdb_entry *ret)
{
    int r = check_table(t);

    ret_cursor->db = *db;
    ret_cursor->snapshot = *s;
    ret_cursor->pages_left = pages_mapped(db, s);
    ret_cursor->depth = r == 0 ? t->depth : 0;
    ret_cursor->level = ret_cursor->depth;
    if (r == 0)
        r = push_page(ret_cursor, t->root, 0);
    return r < 0 ? r : tc_lmdb_next(ret_cursor, ret);
}
