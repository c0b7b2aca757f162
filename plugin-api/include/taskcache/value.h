/*
 * What a plugin's code sees of a call: its arguments as values, and the places where it puts bytes.
 * Part of taskcache/plugin.h, whose rules of versions hold here: structs grow at their end, the
 * size of what the host knows comes with them.
 *
 * Ownership: everything is the host's and the calling program's, valid until the plugin's function
 * returns. Nothing of it may be written but the bytes of a cursor, `used`, and what decode() is
 * asked to fill.
 */
#ifndef TASKCACHE_VALUE_H
#define TASKCACHE_VALUE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a value, or each element of an array, is. */
enum taskcache_kind {
    TASKCACHE_NULL = 1, /* a NULL pointer */
    TASKCACHE_INTEGER,  /* `integer`; bool, char and enums, too */
    TASKCACHE_UNSIGNED, /* `integer`, to be taken as a uint64_t */
    TASKCACHE_REAL,     /* `real`: float or double */
    TASKCACHE_STRING,   /* `data` points at `bytes` bytes and a NUL */
    TASKCACHE_ARRAY,    /* `pieces` runs of `bytes` bytes, `stride_bytes` from one to the next */
    TASKCACHE_MEMBERS,  /* a struct, complex or other large number: `bytes` bytes as in memory */
    TASKCACHE_POINTER   /* only the address is known: `data` */
};

/* What the prototype says that the call does with a parameter. */
enum taskcache_direction {
    TASKCACHE_IN = 1,
    TASKCACHE_OUT,   /* always a TASKCACHE_POINTER or NULL: not written yet */
    TASKCACHE_INOUT, /* as it is before the call */
    TASKCACHE_IGNORED
};

struct taskcache_value {
    const char *name;       /* the parameter's, from the prototype */
    uint32_t kind;          /* enum taskcache_kind; take those that you don't know as POINTER */
    uint32_t direction;     /* enum taskcache_direction */
    uint32_t element_kind;  /* of an ARRAY: INTEGER, UNSIGNED, REAL, MEMBERS or POINTER (strings) */
    uint32_t element_bytes; /* of an ARRAY */
    int64_t integer;
    double real;
    const void *data;
    uint64_t bytes;
    uint64_t pieces, stride_bytes;
};

/* A call of a task, before or after its body. */
struct taskcache_call {
    uint32_t struct_size; /* sizeof(struct taskcache_call), the host's */
    uint32_t value_size;  /* sizeof(struct taskcache_value), the host's */
    const char *task;     /* its identity */
    const void *function; /* its address in this process */
    const void *values;   /* in the prototype's order; use taskcache_value_at() */
    uint32_t value_count;
    uint32_t reserved;
    const struct taskcache_value *result; /* after the body; NULL: before it, or none. Pointers: the
                                             address alone */
};

static inline const struct taskcache_value *taskcache_value_at(const struct taskcache_call *call,
                                                               uint32_t i)
{
    const char *first = (const char *)call->values;

    return i < call->value_count
               ? (const struct taskcache_value *)(const void *)(first +
                                                                (uint64_t)i * call->value_size)
               : (const struct taskcache_value *)0;
}

/* The value of a parameter; NULL if the prototype has none of that name. */
static inline const struct taskcache_value *taskcache_value(const struct taskcache_call *call,
                                                            const char *name)
{
    for (uint32_t i = 0; i < call->value_count; i++) {
        const struct taskcache_value *v = taskcache_value_at(call, i);
        uint32_t k = 0;

        while (name[k] != 0 && name[k] == v->name[k])
            k++;
        if (name[k] == v->name[k])
            return v;
    }
    return (const struct taskcache_value *)0;
}

/*
 * Where a plugin puts bytes: at bytes[0 .. room), and says in `used` how many there are. More than
 * `room` means that it needs so many: it is called once more, with that room. Nothing may be
 * written beyond `room`: who does is switched off.
 */
struct taskcache_cursor {
    unsigned char *bytes;
    uint64_t room;
    uint64_t used; /* 0 at the beginning */
};

/* Appends what fits, and counts all of it. */
static inline void taskcache_put(struct taskcache_cursor *to, const void *data, uint64_t bytes)
{
    if (to->used <= to->room && bytes <= to->room - to->used && bytes > 0)
        __builtin_memcpy(to->bytes + to->used, data, bytes);
    to->used = bytes <= UINT64_MAX - to->used ? to->used + bytes : UINT64_MAX;
}

/* One of the plugin's options in the config, by its place there: `options: { threads: 4 }`. */
enum taskcache_option_kind {
    TASKCACHE_OPTION_TEXT = 1, /* quoted, or none of the others */
    TASKCACHE_OPTION_INTEGER,  /* fits an int64_t */
    TASKCACHE_OPTION_REAL,
    TASKCACHE_OPTION_BOOLEAN /* `integer` is 0 or 1 */
};

struct taskcache_option {
    const char *name;
    uint32_t kind; /* enum taskcache_option_kind */
    uint32_t reserved;
    const char *text; /* as written, whatever the kind; never NULL */
    int64_t integer;
    double real; /* of an INTEGER, too */
};

#ifdef __cplusplus
}
#endif

#endif
