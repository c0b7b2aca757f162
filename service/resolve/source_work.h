/*
 * A digest at work: shared by source_make.c (from item to item), source_items.c (which ones there
 * are), source_walk.c (code), source_refs.c (what is referred to) and source_data.c (contents). Not
 * for others.
 */
#ifndef TC_SERVICE_RESOLVE_SOURCE_WORK_H
#define TC_SERVICE_RESOLVE_SOURCE_WORK_H

#include "service/resolve/source_memo.h"

/* What a reference is, in the digest: never renumber, raise the algorithm instead. */
enum tc_mark {
    TC_MARK_INSN = 1,
    TC_MARK_BRANCH,
    TC_MARK_INSIDE,   /* of the same code */
    TC_MARK_FUNCTION, /* by name */
    TC_MARK_CODE,     /* by contents */
    TC_MARK_IMPORT,
    TC_MARK_SLOT,
    TC_MARK_CHOSEN,
    TC_MARK_WRITABLE,
    TC_MARK_UNNAMED,
    TC_MARK_THREAD,
    TC_MARK_BYTES,
    TC_MARK_DATUM,
    TC_MARK_END,
    TC_MARK_TEXT,
    TC_MARK_REST,
    TC_MARK_BRANCHES, /* a branch table */
    TC_MARK_OFFSETS,  /* a table of offsets from itself */
    TC_MARK_NUMBER,
    TC_MARK_PLACES, /* where instructions lie */
    TC_MARK_UNREADABLE,
    TC_MARK_COPY,
    TC_MARK_STOP,
    TC_MARK_ONWARD, /* code that goes on into other code */
    TC_MARK_NAME,
    TC_MARK_HANDLERS, /* of exceptions */
};

/* A function's instructions. `number[offset]`: of the instruction that begins there, or of the next
 * one that does something; NO_NUMBER: none begins there. */
#define TC_NO_NUMBER 0xffffffffu
struct tc_listing {
    struct tc_instruction *insns; /* all that do something */
    uint32_t *offsets;
    uint32_t *number;
    uint32_t count;
    uint64_t bytes;
    int broken;       /* not all of it could be decoded */
    int has_downward; /* an index may be negative that isn't when the function is entered */
    int has_entries;  /* it loads signed 32 bits by an index: from a table of offsets, perhaps */
};

struct tc_work_item {
    struct tc_source_item item;
    struct tc_listing code;
    uint32_t entry;  /* of the memo; TC_NO_ITEM: a region's rest, of which that has parts */
    uint32_t before; /* of TC_ITEM_REST: the one that was met before; 0: none */
    uint64_t done;   /* of TC_ITEM_REST: hashed from here on; its end: nothing yet */
    int is_borrowed; /* `code` is the memo's */
};

struct tc_source_work {
    struct tc_map *m;
    enum tc_source_mode mode;
    struct tc_source_memo *memo;
    uint32_t walk;                /* number in the memo */
    struct tc_memo_event *events; /* of the item at work, while `is_noting` */
    size_t event_count, events_allocated;
    int is_noting;
    int is_cut; /* a limit kept something out: not what another walk would find */
    uint64_t bytes_before;
    size_t calls_before;
    struct tc_work_item *items;
    size_t count, allocated;
    struct tc_source_ref *refs;
    size_t ref_count, refs_allocated;
    struct tc_source_import *imports;
    size_t import_count, imports_allocated;
    struct tc_hash_state *hash; /* of the item at work */
    uint32_t at;                /* that item */
    uint64_t hashed_bytes;
    size_t coarse_count, indirect_calls;
    int whole_file;
    int too_many; /* TC_SOURCE_MAX_CLOSURE */
    uint32_t functions;
    uint32_t last_rest; /* 0: none */
    uint8_t access;     /* enum tc_source_access, of what is being referred to */
    int depth;          /* of stubs and resolvers that lead to others */
    int r;              /* the first error */
};

/* How an address came up. */
enum tc_by {
    TC_BY_ACCESS = 1, /* `width` bytes there are read or written */
    TC_BY_VALUE,      /* it is kept, passed, returned, compared: just what it says */
    TC_BY_COMPARISON, /* only compared */
    TC_BY_BASE,       /* others are computed from it: it may lie in front of what is meant, or
                         behind it */
};

/* source_list.c */
int tc_work_list(struct tc_map *m, uint64_t vaddr, uint64_t bytes, struct tc_listing *ret);
void tc_work_free_list(struct tc_listing *l);

/* source_walk.c: the code of the item at work */
void tc_work_code(struct tc_source_work *w);

/* source_items.c */
/* The item, made if it isn't there. TC_NO_ITEM: an error, or too many. */
uint32_t tc_work_item(struct tc_source_work *w, uint8_t kind, uint64_t begin, uint64_t end);
void tc_work_mark(struct tc_source_work *w, enum tc_mark mark);
void tc_work_number(struct tc_source_work *w, uint64_t n);
void tc_work_text(struct tc_source_work *w, const char *text);
void tc_work_bytes(struct tc_source_work *w, const void *data, size_t bytes);
/* An edge of the tree. `coarse` NULL: it isn't. */
void tc_work_ref(struct tc_source_work *w, uint32_t to, uint64_t place, const char *coarse,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));
void tc_work_import(struct tc_source_work *w, const struct tc_source_import *one);
/* All from `from` to the end of its region; `vaddr` is what is meant. 0: an error, or too many. */
int tc_work_extend(struct tc_source_work *w, uint64_t from, uint64_t vaddr, const char *why);
/* Too little is known: the whole file enters the digest. */
void tc_work_give_up(struct tc_source_work *w, const char *why);
int tc_work_is_crowded(const struct tc_map *m, uint64_t begin, uint64_t end);
/* What the item at work does, which is known from another walk. */
void tc_work_again(struct tc_source_work *w, uint32_t entry);

/* source_refs.c */
void tc_work_code_ref(struct tc_source_work *w, uint64_t vaddr);
void tc_work_address(struct tc_source_work *w, uint64_t vaddr, enum tc_by by, unsigned width);
void tc_work_reloc(struct tc_source_work *w, const struct tc_reloc *r);
void tc_work_thread_offset(struct tc_source_work *w, uint64_t offset);
void tc_work_thread_layout(struct tc_source_work *w);
/* Does the number fall into the image, so that it may be an address? */
int tc_work_in_image(const struct tc_source_work *w, uint64_t vaddr);
/* Does the symbol table have all data that has names in the source? */
int tc_work_knows_data(const struct tc_source_work *w);

/* source_data.c */
void tc_work_contents(struct tc_source_work *w, uint64_t begin, uint64_t end);
void tc_work_rest(struct tc_source_work *w, uint64_t vaddr, const char *why);
void tc_work_region(struct tc_source_work *w, uint64_t vaddr, const char *why);
void tc_work_text_at(struct tc_source_work *w, uint64_t vaddr, int is_text);
void tc_work_offsets(struct tc_source_work *w, uint64_t table, int also_bytes);

/* source_tables.c: branch tables. 1: it is one, and has entered. */
int tc_work_branch_table(struct tc_source_work *w, uint64_t table, unsigned entry_bytes);

/* source_flow.c: what becomes of the address that instruction `at` puts into a register. */
enum tc_fate {
    TC_FATE_THROUGH = 1u << 0, /* memory is reached through it */
    TC_FATE_COUNTED = 1u << 1, /* it is computed with */
    TC_FATE_VALUE = 1u << 2,   /* passed, stored, returned */
    TC_FATE_COMPARED = 1u << 3,
    TC_FATE_OFFSETS = 1u << 4,  /* the base of a table of offsets from itself, for sure */
    TC_FATE_ENTRIES = 1u << 5,  /* signed 32 bits are loaded from there, by an index */
    TC_FATE_BACKWARD = 1u << 6, /* memory below it is reached */
    TC_FATE_JUMPED = 1u << 7,   /* control leaves by an address that is loaded through it */
    TC_FATE_UNKNOWN = 1u << 8,
};
/* Displacements by which memory is reached through the address. */
struct tc_reach {
    int64_t lowest, highest;
    int stores; /* something is written there */
};
unsigned tc_flow_fate(const struct tc_map *m, const struct tc_listing *code, uint64_t vaddr,
                      uint32_t at, unsigned reg, struct tc_reach *ret);

/* source_bases.c */
/* What begins or ends within so many bytes of an address from which others are computed counts. */
#define TC_NEAR_BYTES 32u

/* Memory is reached at displacements from an address: what lies there may be another datum. */
void tc_work_reach(struct tc_source_work *w, uint64_t vaddr, const struct tc_reach *reach);
/* What begins, or ends, close to an address from which others are computed. */
void tc_work_near(struct tc_source_work *w, const struct tc_region *r, uint64_t vaddr);
/* The address stands for an array that consists of many data: a list made by the linker. */
int tc_work_is_listed(const struct tc_source_work *w, const struct tc_region *r, uint64_t vaddr);

/* source_handlers.c: what catches exceptions in the code, and where. */
void tc_work_handlers(struct tc_source_work *w, uint64_t begin, uint64_t end);

#endif
