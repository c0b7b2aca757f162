#include "service/resolve/plugin_read.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/resolve/elf_symbols.h"
#include "service/resolve/plugin_image.h"

#define MAX_FILE_BYTES         (256u << 20)
#define MAX_TEXT_BYTES         (16u << 10) /* of one text */
#define MAX_TEXTS_BYTES        (4u << 20)  /* of all: a table may point at one text many times */
#define MAX_NAME_BYTES         63u
#define MAX_TASK_WORDS         512u

#define KNOWN_CLAIMS           (TASKCACHE_THREAD_SAFE | TASKCACHE_FORK_SAFE | TASKCACHE_VECTOR_SAFE)

#define DESCRIPTOR_WORDS       (sizeof(struct taskcache_plugin) / 8)
#define TASK_WORDS             (sizeof(struct taskcache_task) / 8)
/* What every plugin has, since the first release: all but `init`, and a task's first two texts. */
#define LEAST_DESCRIPTOR_BYTES offsetof(struct taskcache_plugin, init)
#define LEAST_TASK_BYTES       offsetof(struct taskcache_task, cache_policy)

/* The descriptor's words, by number. */
enum {
    W_MAGIC = offsetof(struct taskcache_plugin, magic) / 8,
    W_VERSIONS = offsetof(struct taskcache_plugin, abi_major) / 8,
    W_NAME = offsetof(struct taskcache_plugin, name) / 8,
    W_VERSION = offsetof(struct taskcache_plugin, version) / 8,
    W_LICENCE = offsetof(struct taskcache_plugin, licence) / 8,
    W_DESCRIPTION = offsetof(struct taskcache_plugin, description) / 8,
    W_TASKS = offsetof(struct taskcache_plugin, tasks) / 8,
    W_COUNTS = offsetof(struct taskcache_plugin, task_count) / 8,
    W_FLAGS = offsetof(struct taskcache_plugin, flags) / 8,
    W_INIT = offsetof(struct taskcache_plugin, init) / 8,
};

_Static_assert(sizeof(struct taskcache_plugin) == 80 && sizeof(struct taskcache_task) == 88,
               "the layout of ABI 1.0 and 1.1; a later minor version appends");

struct reader {
    struct tc_elf *elf;
    struct tc_relocations relocations;
    struct tc_symbols symbols;
    struct tc_text_error *e;
    struct tc_plugin plugin;
    size_t texts_bytes;
    const struct tc_symbol *symbol; /* taskcache_plugin */
};

#define bad(r, ...)     tc_text_fail((r)->e, TC_R_BAD_PLUGIN, 0, NULL, __VA_ARGS__)
#define bad_abi(r, ...) tc_text_fail((r)->e, TC_R_PLUGIN_ABI, 0, NULL, __VA_ARGS__)

static int no_memory(struct reader *r)
{
    (void)bad(r, "out of memory while reading the plugin");
    return -ENOMEM;
}

/* Texts. */

static int check_printable(struct reader *r, const char *text, size_t bytes, bool lines,
                           const char *what)
{
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c < 0x20 && !(lines && (c == '\n' || c == '\t'))) || c == 0x7f)
            return bad(r, "%s has a control character at offset %zu", what, i);
    }
    return 0;
}

/* A copy of the text that a word points at; NULL if it points nowhere and that is allowed. */
static int copy_text(struct reader *r, struct tc_word word, bool lines, bool required,
                     const char *what, char **ret)
{
    uint32_t flags = 0;
    uint64_t room = 0;
    const char *text = NULL;
    size_t bytes = 0;
    int rc = 0;

    if (word.kind == TC_WORD_PLAIN && word.value == 0)
        return required ? bad(r, "%s is missing", what) : 0;
    if (word.kind == TC_WORD_FOREIGN)
        return bad(r, "%s lies outside of the plugin's own data", what);
    room = word.kind == TC_WORD_POINTER ? tc_elf_room(r->elf, word.value, &flags) : 0;
    if (room > MAX_TEXT_BYTES)
        room = MAX_TEXT_BYTES;
    text = (const char *)tc_elf_at(r->elf, word.value, room);
    if (room == 0 || text == NULL)
        return bad(r, "%s points outside of the plugin's data", what);
    bytes = strnlen(text, room);
    if (bytes == room || bytes > MAX_TEXTS_BYTES - r->texts_bytes)
        return bad(r, "%s doesn't end, or is too long", what);
    rc = check_printable(r, text, bytes, lines, what);
    if (rc < 0)
        return rc;
    *ret = strndup(text, bytes);
    r->texts_bytes += bytes;
    return *ret != NULL ? 0 : no_memory(r);
}

static int check_name(struct reader *r, const char *name)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    size_t bytes = strlen(name);

    if (bytes == 0 || bytes > MAX_NAME_BYTES || strspn(name, allowed) != bytes || name[0] == '.')
        return bad(r, "the plugin's name must be 1 to %u of A-Z a-z 0-9 _ . -", MAX_NAME_BYTES);
    return 0;
}

/* The descriptor. */

static int find_symbol(struct reader *r)
{
    static const char name[] = "taskcache_plugin";
    size_t bytes = sizeof name - 1;

    for (size_t i = tc_symbols_lower(&r->symbols, name, bytes); i < r->symbols.count; i++) {
        const struct tc_symbol *s = &r->symbols.all[r->symbols.by_name[i]];
        if (!tc_symbol_is(s, name, bytes))
            break;
        if (s->type == STT_OBJECT && (s->flags & TC_SYMBOL_EXPORTED)) {
            r->symbol = s;
            return 0;
        }
    }
    return bad(r, "it exports no object `%s`", name);
}

static int check_versions(struct reader *r, struct tc_word word, uint32_t *ret_bytes)
{
    uint16_t major = (uint16_t)word.value, minor = (uint16_t)(word.value >> 16);
    uint32_t bytes = (uint32_t)(word.value >> 32);

    if (word.kind != TC_WORD_PLAIN)
        return bad(r, "its descriptor's version is relocated");
    if (major != TASKCACHE_ABI_MAJOR)
        return bad_abi(r, "it was built for plugin ABI %u.%u, this is %u.%u", major, minor,
                       TASKCACHE_ABI_MAJOR, TASKCACHE_ABI_MINOR);
    if (bytes < LEAST_DESCRIPTOR_BYTES || bytes % 8 != 0 || bytes > r->symbol->bytes)
        return bad(r, "its descriptor says that it has %u bytes", bytes);
    r->plugin.abi_major = major;
    r->plugin.abi_minor = minor;
    *ret_bytes = bytes;
    return 0;
}

/* The descriptor's words; those that it lacks are 0. */
static int read_descriptor(struct reader *r, struct tc_word words[DESCRIPTOR_WORDS])
{
    uint32_t bytes = 0;
    size_t count = DESCRIPTOR_WORDS;
    int rc = find_symbol(r);

    if (rc < 0)
        return rc;
    if (tc_relocated_words(&r->relocations, r->symbol->vaddr, W_VERSIONS + 1, words) < 0)
        return bad(r, "its descriptor isn't in the file");
    if (words[W_MAGIC].kind != TC_WORD_PLAIN || words[W_MAGIC].value != TASKCACHE_PLUGIN_MAGIC)
        return bad(r, "its descriptor has a wrong magic number");
    rc = check_versions(r, words[W_VERSIONS], &bytes);
    if (rc < 0)
        return rc;
    if (bytes / 8 < count)
        count = bytes / 8;
    if (tc_relocated_words(&r->relocations, r->symbol->vaddr, count, words) < 0)
        return bad(r, "its descriptor isn't in the file");
    if (words[W_FLAGS].kind != TC_WORD_PLAIN || (words[W_FLAGS].value & ~KNOWN_CLAIMS) != 0)
        return bad_abi(r, "it asks for something that plugin ABI %u.%u doesn't have",
                       TASKCACHE_ABI_MAJOR, TASKCACHE_ABI_MINOR);
    r->plugin.claims = words[W_FLAGS].value;
    r->plugin.has_static_tls = (r->elf->dynamic.flags & DF_STATIC_TLS) != 0;
    r->plugin.has_code = words[W_INIT].kind != TC_WORD_PLAIN || words[W_INIT].value != 0;
    return 0;
}

static int read_texts(struct reader *r, const struct tc_word words[DESCRIPTOR_WORDS])
{
    struct tc_plugin *p = &r->plugin;
    int rc = copy_text(r, words[W_NAME], false, true, "the plugin's name", &p->name);

    if (rc == 0)
        rc = check_name(r, p->name);
    if (rc == 0)
        rc = copy_text(r, words[W_VERSION], false, true, "the plugin's version", &p->version);
    if (rc == 0)
        rc = copy_text(r, words[W_LICENCE], false, false, "the plugin's licence", &p->licence);
    if (rc == 0)
        rc = copy_text(r, words[W_DESCRIPTION], false, false, "the plugin's description",
                       &p->description);
    return rc;
}

/* The table of tasks. */

static const struct {
    const char *name;
    size_t offset;
    bool lines, required;
} task_texts[] = {
#define TEXT(member, ...)                                             \
    {                                                                 \
#member, offsetof(struct taskcache_task, member), __VA_ARGS__ \
    }
    TEXT(symbol, false, true),          TEXT(prototype, true, true),
    TEXT(cache_policy, true, false),    TEXT(skip, true, false),
    TEXT(success, true, false),         TEXT(cache_expiration, false, false),
    TEXT(types, true, false),           TEXT(name, false, false),
    TEXT(space, false, false),          TEXT(refresh_cache, false, false),
    TEXT(persist_result, false, false),
#undef TEXT
};
_Static_assert(sizeof task_texts / sizeof *task_texts == TASK_WORDS, "every member is a text");

static const char **task_text(struct tc_plugin_task *t, size_t i)
{
    return (const char **)((char *)&t->text + task_texts[i].offset);
}

static int read_task(struct reader *r, const struct tc_word *words, size_t count, size_t number)
{
    struct tc_plugin_task *t = &r->plugin.tasks[number];

    for (size_t i = 0; i < TASK_WORDS; i++) {
        static const struct tc_word null_word;
        char what[80], *copy = NULL;
        size_t word = task_texts[i].offset / 8;
        (void)snprintf(what, sizeof what, "task %zu: `%s`", number + 1, task_texts[i].name);
        int rc = copy_text(r, word < count ? words[word] : null_word, task_texts[i].lines,
                           task_texts[i].required, what, &copy);
        if (rc < 0)
            return rc;
        *task_text(t, i) = copy;
    }
    for (size_t i = TASK_WORDS; i < count; i++)
        if (words[i].kind != TC_WORD_PLAIN || words[i].value != 0)
            t->unknown_members = true;
    return 0;
}

static int read_table(struct reader *r, uint64_t vaddr, size_t count, size_t words_each)
{
    struct tc_word *words = calloc(count * words_each, sizeof *words);
    int rc = 0;

    r->plugin.tasks = calloc(count, sizeof *r->plugin.tasks);
    if (words == NULL || r->plugin.tasks == NULL)
        rc = no_memory(r);
    else if (tc_relocated_words(&r->relocations, vaddr, count * words_each, words) < 0)
        rc = bad(r, "its table of tasks isn't in the file");
    for (size_t i = 0; rc == 0 && i < count; i++) {
        r->plugin.task_count = i + 1;
        rc = read_task(r, &words[i * words_each], words_each, i);
    }
    free(words);
    return rc;
}

static int read_tasks(struct reader *r, const struct tc_word words[DESCRIPTOR_WORDS])
{
    uint32_t count = (uint32_t)words[W_COUNTS].value;
    uint32_t task_bytes = (uint32_t)(words[W_COUNTS].value >> 32);

    if (words[W_COUNTS].kind != TC_WORD_PLAIN)
        return bad(r, "its number of tasks is relocated");
    if (count == 0)
        return 0;
    if (count > TC_MAX_TASKS)
        return bad(r, "it says that it has %u tasks; %u are allowed", count, TC_MAX_TASKS);
    if (task_bytes < LEAST_TASK_BYTES || task_bytes % 8 != 0 || task_bytes > MAX_TASK_WORDS * 8)
        return bad(r, "it says that a task has %u bytes", task_bytes);
    if (words[W_TASKS].kind != TC_WORD_POINTER)
        return bad(r, "its table of tasks isn't its own data");
    return read_table(r, words[W_TASKS].value, count, task_bytes / 8);
}

/* The file. */

static int read_plugin(struct reader *r)
{
    struct tc_word words[DESCRIPTOR_WORDS] = {0};
    int rc = 0;

    if (r->elf->reason == TC_R_FOREIGN_CLASS)
        return bad(r, "it is for another processor or word size");
    if (r->elf->reason == TC_R_MALFORMED_ELF || r->elf->type != ET_DYN)
        return bad(r, "it isn't a shared object");
    if (tc_relocations_find(r->elf, &r->relocations) < 0)
        return bad(r, "its dynamic table is missing or damaged");
    if (tc_symbols_read(r->elf, NULL, &r->symbols) < 0)
        return no_memory(r);
    rc = read_descriptor(r, words);
    if (rc == 0)
        rc = read_texts(r, words);
    if (rc == 0)
        rc = read_tasks(r, words);
    return rc;
}

int tc_plugin_read_memory(const void *data, size_t bytes, struct tc_plugin *ret,
                          struct tc_text_error *e)
{
    struct reader r = {.e = e};
    int rc = tc_elf_open_memory(data, bytes, &r.elf);

    if (rc < 0)
        return rc == -ENOMEM ? no_memory(&r) : bad(&r, "it isn't an ELF object");
    rc = read_plugin(&r);
    tc_symbols_free(&r.symbols);
    tc_elf_close(r.elf);
    if (rc < 0)
        tc_plugin_free(&r.plugin);
    else
        *ret = r.plugin;
    return rc;
}

static int read_all(int fd, char *into, size_t bytes)
{
    size_t done = 0;

    while (done < bytes) {
        ssize_t n = read(fd, into + done, bytes - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO; /* it shrank meanwhile */
        done += (size_t)n;
    }
    return 0;
}

/* The bytes of a regular file, read rather than mapped: one that somebody truncates can't fault. */
static int load(const char *path, struct reader *r, char **ret, size_t *ret_bytes,
                struct tc_file_id *ret_id)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), rc = 0;
    struct stat st;
    char *data = NULL;

    if (fd < 0 || fstat(fd, &st) < 0)
        rc = -errno;
    else if (!S_ISREG(st.st_mode))
        rc = bad(r, "it isn't a regular file");
    else if (st.st_size <= 0 || (uint64_t)st.st_size > MAX_FILE_BYTES)
        rc = bad(r, "a file of %lld bytes can't be a plugin", (long long)st.st_size);
    else if ((data = malloc((size_t)st.st_size)) == NULL)
        rc = no_memory(r);
    else
        rc = read_all(fd, data, (size_t)st.st_size);
    if (fd >= 0)
        (void)close(fd);
    if (rc < 0) {
        free(data);
        return rc;
    }
    *ret = data;
    *ret_bytes = (size_t)st.st_size;
    *ret_id = (struct tc_file_id){st.st_dev, st.st_ino, (uint64_t)st.st_size,
                                  st.st_mtim.tv_sec * 1000000000ll + st.st_mtim.tv_nsec,
                                  st.st_ctim.tv_sec * 1000000000ll + st.st_ctim.tv_nsec};
    return 0;
}

int tc_plugin_read(const char *path, struct tc_plugin *ret, struct tc_text_error *e)
{
    struct reader r = {.e = e};
    struct tc_file_id id;
    char *data = NULL;
    size_t bytes = 0;
    int rc = load(path, &r, &data, &bytes, &id);

    if (rc < 0 && rc != -EINVAL && rc != -ENOMEM)
        (void)tc_text_fail(e, TC_R_NO_SUCH_PLUGIN, 0, NULL, "the plugin can't be read: %s",
                           strerror(-rc));
    if (rc < 0)
        return rc;
    rc = tc_plugin_read_memory(data, bytes, ret, e);
    if (rc == 0)
        ret->id = id;
    free(data);
    return rc;
}

void tc_plugin_free(struct tc_plugin *p)
{
    for (size_t i = 0; i < p->task_count; i++)
        for (size_t k = 0; k < TASK_WORDS; k++)
            free((char *)*task_text(&p->tasks[i], k));
    free(p->tasks);
    free(p->name);
    free(p->version);
    free(p->licence);
    free(p->description);
    *p = (struct tc_plugin){0};
}
