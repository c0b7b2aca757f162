/* Where in the file a byte of a text stands. */
#include "service/resolve/config_yaml.h"

#include <string.h>

static int is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* One character of the source: how many bytes it takes there, and how many visible bytes it gives
 * in the text. Every style keeps the visible bytes and their order, whatever it does to spaces and
 * line ends; so they are what is counted. */
struct unit {
    size_t source, visible;
};

static struct unit escape(const char *s, size_t left)
{
    size_t digits = left < 2 ? 0 : s[1] == 'x' ? 2 : s[1] == 'u' ? 4 : s[1] == 'U' ? 8 : 0;
    unsigned long code = 0;

    if (left < 2)
        return (struct unit){1, 1};
    if (digits == 0 || left < 2 + digits) {
        if (strchr("nt r\t\n", s[1]))
            return (struct unit){2, 0};
        return (struct unit){2, s[1] == 'N' || s[1] == '_'   ? 2
                                : s[1] == 'L' || s[1] == 'P' ? 3
                                                             : 1};
    }
    for (size_t i = 0; i < digits; i++) {
        char c = s[2 + i];

        code = code * 16 + (unsigned long)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    }
    if (code < 0x80)
        return (struct unit){2 + digits, !is_space((char)code)};
    return (struct unit){2 + digits, code < 0x800 ? 2 : code < 0x10000 ? 3 : 4};
}

static struct unit next_unit(const struct tc_yaml_node *n, const char *s, size_t left)
{
    if (n->style == TC_YAML_DOUBLE && *s == '\\')
        return escape(s, left);
    if (n->style == TC_YAML_SINGLE && *s == '\'' && left > 1 && s[1] == '\'')
        return (struct unit){2, 1};
    return (struct unit){1, !is_space(*s)};
}

size_t tc_yaml_offset(const struct tc_yaml *y, const struct tc_yaml_node *n, size_t at)
{
    size_t wanted = 0, seen = 0, after = n->start;

    if (at > n->bytes)
        at = n->bytes;
    for (size_t i = 0; i < at; i++)
        wanted += !is_space(n->text[i]);
    if (n->text[at] != 0 && !is_space(n->text[at]))
        wanted++;
    else
        at = n->bytes;
    for (size_t p = n->start; p < n->end && seen < wanted;) {
        struct unit u = next_unit(n, y->text + p, n->end - p);

        seen += u.visible;
        if (seen >= wanted && at < n->bytes)
            return p;
        p += u.source;
        if (u.visible > 0)
            after = p;
    }
    return after;
}
