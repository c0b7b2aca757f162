#include "service/resolve/config_values.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "service/resolve/cxx_name.h"

/* A whole number, UINT64_MAX if it is about as large or larger; NULL if there is none. */
static const char *read_number(const char *p, uint64_t *ret)
{
    uint64_t n = 0;

    if (*p < '0' || *p > '9')
        return NULL;
    for (; *p >= '0' && *p <= '9'; p++)
        n = n > (UINT64_MAX - 9) / 10 ? UINT64_MAX : n * 10 + (uint64_t)(*p - '0');
    *ret = n;
    return p;
}

struct suffix {
    const char *name;
    uint64_t factor;
};

/* The factor of the suffix that is exactly `bytes` long at `p`, 0 if there is none. */
static uint64_t factor_of(const struct suffix *list, const char *p, size_t bytes)
{
    for (; list->name != NULL; list++)
        if (strlen(list->name) == bytes && memcmp(list->name, p, bytes) == 0)
            return list->factor;
    return 0;
}

int tc_parse_duration(const char *text, int64_t *ret_ns)
{
    static const struct suffix units[] = {
        {"ns", 1},          {"us", 1000},         {"ms", 1000000},       {"s", 1000000000},
        {"m", 60000000000}, {"h", 3600000000000}, {"d", 86400000000000}, {"w", 604800000000000},
        {NULL, 0},
    };
    const char *p = text + (*text == '-');
    int64_t sum = 0;
    int first = 1;

    do {
        uint64_t n, factor;
        size_t bytes;

        p = read_number(p, &n);
        if (p == NULL)
            return -EINVAL;
        bytes = strspn(p, "abcdefghijklmnopqrstuvwxyz");
        factor = bytes > 0 ? factor_of(units, p, bytes) : first && *p == 0 ? 1000000000 : 0;
        if (factor == 0)
            return -EINVAL;
        p += bytes;
        first = 0;
        if (n > INT64_MAX / factor || __builtin_add_overflow(sum, (int64_t)(n * factor), &sum))
            return -ERANGE;
    } while (*p != 0);
    *ret_ns = *text == '-' ? -sum : sum;
    return 0;
}

int tc_parse_size(const char *text, uint64_t *ret_bytes)
{
    static const struct suffix units[] = {
        {"", 1},
        {"KiB", 1ull << 10},
        {"MiB", 1ull << 20},
        {"GiB", 1ull << 30},
        {"TiB", 1ull << 40},
        {"k", 1000},
        {"M", 1000000},
        {"G", 1000000000},
        {NULL, 0},
    };
    uint64_t n, factor;
    const char *p = read_number(text, &n);

    if (p == NULL)
        return -EINVAL;
    if (*p == ' ')
        p++;
    factor = factor_of(units, p, strlen(p));
    if (factor == 0)
        return -EINVAL;
    if (n > (uint64_t)INT64_MAX / factor)
        return -ERANGE;
    *ret_bytes = n * factor;
    return 0;
}

static int has_space(struct tc_slice s)
{
    for (size_t i = 0; i < s.bytes; i++)
        if ((unsigned char)s.text[i] <= ' ')
            return 1;
    return 0;
}

/* ns::f(int) */
static int check_cxx(const char *copy, size_t at, struct tc_text_error *e)
{
    struct tc_cxx_name n;
    const char *why = NULL;
    int r = tc_cxx_parse(copy, &n, &why);

    if (r == -EINVAL)
        return tc_text_fail(e, TC_R_BAD_SYMBOL, at, "ns::f or 'ns::f(int, const char *)'",
                            "this isn't a C++ function's name: %s", why);
    if (r == 0)
        tc_cxx_name_free(&n);
    return r;
}

static int check_name(const char *text, struct tc_slice name, struct tc_text_error *e)
{
    size_t at = (size_t)(name.text - text);
    char *copy;
    int is_cxx, r = 0;

    if (name.bytes == 0)
        return tc_text_fail(e, TC_R_BAD_SYMBOL, at, NULL, "the function's name is missing");
    copy = strndup(name.text, name.bytes);
    is_cxx = copy != NULL && tc_cxx_is_name(copy);
    if (is_cxx)
        r = check_cxx(copy, at, e);
    free(copy);
    if (is_cxx)
        return r;
    for (size_t i = 0; i < name.bytes; i++) {
        unsigned char c = (unsigned char)name.text[i];

        if (c <= ' ' || strchr("()[]{}*&,;", c) != NULL)
            return tc_text_fail(e, TC_R_BAD_SYMBOL, at + i, NULL,
                                "'%c' can't be part of a function's name", c < ' ' ? '?' : c);
    }
    return 0;
}

/* The ':' behind a source file: alone, and in front of all parentheses. */
static const char *file_colon(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes && text[i] != '(' && text[i] != '<'; i++) {
        if (text[i] != ':')
            continue;
        if (i + 1 == bytes || text[i + 1] != ':')
            return text + i;
        i++;
    }
    return NULL;
}

int tc_parse_symbol(const char *text, struct tc_symbol_parts *ret, struct tc_text_error *e)
{
    const char *end = strchr(text, '@');
    struct tc_symbol_parts parts = {.name = {text, end ? (size_t)(end - text) : strlen(text)}};
    const char *colon = file_colon(text, parts.name.bytes);

    if (end != NULL)
        parts.object = (struct tc_slice){end + 1, strlen(end + 1)};
    if (end != NULL && (parts.object.bytes == 0 || has_space(parts.object)))
        return tc_text_fail(e, TC_R_BAD_SYMBOL, (size_t)(end - text) + 1, NULL,
                            "'@' needs an object's file name or a pattern for it");
    if (end != NULL && strchr(end, '/') != NULL)
        return tc_text_fail(e, TC_R_BAD_SYMBOL, (size_t)(strrchr(end, '/') - text),
                            strrchr(end, '/') + 1,
                            "an object is named by its file name, without directories");
    if (colon != NULL) {
        parts.file = (struct tc_slice){text, (size_t)(colon - text)};
        parts.name.bytes -= parts.file.bytes + 1;
        parts.name.text = colon + 1;
        if (parts.file.bytes == 0)
            return tc_text_fail(e, TC_R_BAD_SYMBOL, 0, NULL, "':' needs a source file in front");
    }
    if (check_name(text, parts.name, e) < 0)
        return -EINVAL;
    *ret = parts;
    return 0;
}

int tc_lock_manager_named(const char *text, enum tc_lock_manager_id *ret)
{
    static const char *const names[TC_LOCK_MANAGERS] = {
        [TC_LOCKS_OF_SERVICE] = "service",
        [TC_LOCKS_OF_PROCESS] = "memory",
        [TC_LOCKS_OF_PLUGIN] = "", /* plugin.name */
    };

    for (unsigned i = 0; i < TC_LOCK_MANAGERS; i++) {
        if (text[0] != 0 && strcmp(names[i], text) == 0) {
            *ret = (enum tc_lock_manager_id)i;
            return 0;
        }
    }
    return -ENOENT;
}
