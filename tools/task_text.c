#include "tools/task_text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cache/hash.h"
#include "tools/plugin_info.h"

static char *trimmed(const char *s, size_t bytes)
{
    while (bytes && isspace((unsigned char)*s)) {
        s++;
        bytes--;
    }
    while (bytes && isspace((unsigned char)s[bytes - 1]))
        bytes--;
    return tc_copyn(s, bytes);
}

static bool is_name(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$';
}

/* C++'s ns::f */
static bool is_scope(const char *text, const char *at)
{
    return at - text > 2 && at[-1] == ':' && at[-2] == ':';
}

/* Behind the parenthesis that closes the one at `p`, NULL if none does. */
static const char *behind_group(const char *p)
{
    int depth = 0;
    for (; *p; p++) {
        depth += *p == '(' ? 1 : *p == ')' ? -1 : 0;
        if (depth == 0)
            return p + 1;
    }
    return NULL;
}

/* The name in front of the parameters: in front of the first '(' that isn't `static(extent)`,
 * `malloc(extent)` or `__attribute__((...))`. */
static char *function_name(const char *text)
{
    static const char *const no_names[] = {"static", "__attribute__"};
    const char *open = strchr(text, '(');
    while (open) {
        const char *end = open;
        while (end > text && isspace((unsigned char)end[-1]))
            end--;
        const char *begin = end;
        while (begin > text && (is_name(begin[-1]) || is_scope(text, begin)))
            begin -= begin[-1] == ':' ? 2 : 1;
        TC_CLEANUP(tc_free_text) char *name = tc_copyn(begin, (size_t)(end - begin));
        bool owned = strcmp(name, "malloc") == 0 && begin == text;
        if (!owned && strcmp(name, no_names[0]) != 0 && strcmp(name, no_names[1]) != 0)
            return *name && !isdigit((unsigned char)*name) ? tc_copy(name) : NULL;
        const char *behind = behind_group(open);
        open = behind ? strchr(behind, '(') : NULL;
    }
    return NULL;
}

static const char *why_not(const char *text, const char *close)
{
    for (const char *p = text; *p; p++)
        if (((unsigned char)*p < 0x20 && *p != '\n' && *p != '\t') || *p == 0x7f)
            return "it holds a control character";
    return close ? NULL : "a prototype has parentheses: write int f(int x)@libx*";
}

/* The '=' of `SYMBOL = PROTOTYPE`, with blanks around: a prototype has none (`==` is one word), nor
 * has a symbol (`operator=` begins with a letter). */
static const char *equals_sign(const char *text)
{
    for (const char *p = text; (p = strchr(p, '=')) != NULL; p++)
        if (p > text && isspace((unsigned char)p[-1]) && (!p[1] || isspace((unsigned char)p[1])))
            return p;
    return NULL;
}

static const char *why_no_symbol(const char *symbol)
{
    return !*symbol ? "no symbol stands before the '='"
           : strchr(symbol, '@') || strchr(symbol, '\n') != NULL
               ? "'@OBJECT' stands behind the prototype, not in the symbol"
               : NULL;
}

int tc_task_text_split(const char *text, struct tc_task_text *ret, const char **ret_why)
{
    const char *equals = equals_sign(text), *begin = equals ? equals + 1 : text;
    const char *close = strrchr(begin, ')');
    *ret_why = why_not(text, close);
    if (*ret_why)
        return -EINVAL;
    const char *at = strrchr(close, '@');
    TC_CLEANUP(tc_free_text)
    char *prototype = trimmed(begin, at ? (size_t)(at - begin) : strlen(begin));
    TC_CLEANUP(tc_free_text) char *object = at ? trimmed(at + 1, strlen(at + 1)) : NULL;
    TC_CLEANUP(tc_free_text)
    char *symbol = equals ? trimmed(text, (size_t)(equals - text)) : function_name(prototype);
    *ret_why = !symbol                           ? "no function's name stands before the parameters"
               : equals && why_no_symbol(symbol) ? why_no_symbol(symbol)
               : object && !*object              ? "no object's name stands behind the '@'"
               : object && strchr(object, '\n')  ? "the object's name goes over several lines"
                                                 : NULL;
    if (*ret_why)
        return -EINVAL;
    *ret = (struct tc_task_text){.prototype = prototype, .object = object, .symbol = symbol};
    prototype = object = symbol = NULL;
    return 0;
}

void tc_task_text_free(struct tc_task_text *t)
{
    free(t->prototype);
    free(t->object);
    free(t->symbol);
    *t = (struct tc_task_text){0};
}

void tc_yaml_quote(struct tc_text *to, const char *text)
{
    tc_text_addn(to, "'", 1);
    for (; *text; text++)
        tc_text_addn(to, *text == '\'' ? "''" : text, *text == '\'' ? 2 : 1);
    tc_text_addn(to, "'", 1);
}

void tc_yaml_block(struct tc_text *to, int indent, const char *key, const char *text)
{
    tc_text_add(to, "%s: |\n", key);
    /* The first line that isn't empty sets the indentation: it must begin with a word. */
    text += strspn(text, " \t\n");
    while (*text) {
        size_t line = strcspn(text, "\n");
        tc_text_add(to, "%*s%.*s\n", line ? indent : 0, "", (int)line, text);
        text += line + (text[line] == '\n');
    }
}

static int add_task(struct tc_text *to, const char *text, struct tc_cause *ret_cause)
{
    struct tc_task_text t;
    const char *why;
    if (tc_task_text_split(text, &t, &why) < 0) {
        (void)tc_cause_set(ret_cause, EINVAL, TC_R_BAD_PROTOTYPE, "--task", "'%s': %s", text, why);
        (void)snprintf(ret_cause->remedy, sizeof ret_cause->remedy,
                       "--task 'double simulate(const double g[n], size_t n)@libsolver*'");
        return -EINVAL;
    }
    TC_CLEANUP(tc_free_text)
    char *symbol = t.object ? tc_format("%s@%s", t.symbol, t.object) : tc_copy(t.symbol);
    tc_text_add(to, "  - symbol: ");
    tc_yaml_quote(to, symbol);
    tc_text_add(to, "\n    ");
    tc_yaml_block(to, 6, "prototype", t.prototype);
    tc_text_add(to, "    cache_policy: INPUTS + TASK_SOURCE\n");
    tc_task_text_free(&t);
    return 0;
}

static int add_plugin(struct tc_text *to, const char *name, struct tc_cause *ret_cause)
{
    TC_CLEANUP(tc_free_text)
    char *path = tc_is_plugin_path(name) ? realpath(name, NULL) : tc_copy(name);
    if (!path)
        return tc_cause_set(ret_cause, errno, TC_R_NO_SUCH_PLUGIN, name, "%s", strerror(errno));
    for (const char *p = path; *p; p++)
        if ((unsigned char)*p < 0x20)
            return tc_cause_set(ret_cause, EINVAL, TC_R_NO_SUCH_PLUGIN, name, NULL);
    tc_text_add(to, "  - ");
    tc_yaml_quote(to, path);
    tc_text_add(to, "\n");
    return 0;
}

int tc_task_text_config(const struct tc_words *tasks, const struct tc_words *plugins,
                        struct tc_text *ret, struct tc_cause *ret_cause)
{
    int r = 0;
    if (plugins->count)
        tc_text_add(ret, "plugins:\n");
    for (size_t i = 0; r == 0 && i < plugins->count; i++)
        r = add_plugin(ret, plugins->word[i], ret_cause);
    if (tasks->count)
        tc_text_add(ret, "tasks:\n");
    for (size_t i = 0; r == 0 && i < tasks->count; i++)
        r = add_task(ret, tasks->word[i], ret_cause);
    return r;
}

/* The service sweeps away what is 90 days old: what is in use is written anew before. */
#define RENEWED_S (30L * 24 * 3600)

static bool holds(const char *path, const struct tc_text *text)
{
    struct tc_mapping map;
    struct stat st;
    if (stat(path, &st) < 0 || time(NULL) - st.st_mtime > RENEWED_S || tc_map_file(path, &map) < 0)
        return false;
    bool same = map.bytes == text->bytes && memcmp(map.base, text->data, text->bytes) == 0;
    tc_unmap(&map);
    return same;
}

static int write_file(const char *path, const struct tc_text *text)
{
    TC_CLEANUP(tc_free_text) char *draft = tc_format("%s.%d", path, (int)getpid());
    (void)unlink(draft);
    TC_CLEANUP(tc_close_fd) int fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    ssize_t n = write(fd, text->data, text->bytes);
    int r = n < 0 ? -errno : (size_t)n < text->bytes ? -ENOSPC : 0;
    if (r == 0 && rename(draft, path) < 0)
        r = -errno;
    if (r < 0)
        (void)unlink(draft);
    return r;
}

int tc_task_text_store(const char *cache, const struct tc_text *config, char **ret_path,
                       struct tc_cause *ret_cause)
{
    char digest[33];
    tc_hash_hex(tc_hash128(config->data, config->bytes, 0), digest);
    TC_CLEANUP(tc_free_text) char *path = tc_format("%s/tasks-%s.yaml", cache, digest);
    int r = tc_make_dirs(cache);
    if (r == 0 && !holds(path, config))
        r = write_file(path, config);
    if (r < 0)
        return tc_cause_set(ret_cause, -r, TC_R_NO_CACHE_DIR, path, "it can't be written: %s",
                            strerror(-r));
    *ret_path = path;
    path = NULL;
    return 0;
}
