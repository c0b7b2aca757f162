#include "preload/log.h"

#include <errno.h>
#include <string.h>

#include "preload/client.h"
#include "preload/state.h"

static int wanted = -1; /* the highest level that is printed, -1: none */
static char file[TC_PATH_BYTES];
static struct tc_file_id standard_error; /* as it was at the start; dev 0: closed */

static int level_by_name(const char *name)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};

    for (int i = 0; name != NULL && i < 4; i++)
        if (strlen(name) == strlen(names[i]) && memcmp(name, names[i], strlen(name)) == 0)
            return i;
    return -1;
}

void tc_log_init(void)
{
    const char *name = tc_env(tc_state.env, "TASKCACHE_LOG");
    const char *path = tc_env(tc_state.env, "TASKCACHE_LOG_FILE");

    wanted = level_by_name(name);
    if (name == NULL && tc_state.config != NULL && tc_state.config->log_level != 0)
        wanted = (int)tc_state.config->log_level - 1;
    if (path == NULL && tc_state.config != NULL)
        path = tc_config_str(tc_state.config->log_file);
    tc_join(file, sizeof file, path, NULL, NULL, NULL);
    if (tc_sys_fd_id(2, &standard_error, NULL, NULL) < 0)
        memset(&standard_error, 0, sizeof standard_error);
}

int tc_log_wanted(enum tc_log_level level)
{
    return (int)level <= wanted && !tc_is_sandboxed();
}

void tc_line_textn(struct tc_line *l, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes && l->bytes + 1 < sizeof l->text; i++)
        l->text[l->bytes++] = text[i] >= 0 && text[i] < ' ' ? '?' : text[i];
}

void tc_line_text(struct tc_line *l, const char *text)
{
    tc_line_textn(l, text, strlen(text));
}

static void padded(struct tc_line *l, uint64_t n, int width)
{
    char digits[20];
    int count = 0;

    do {
        digits[count++] = (char)('0' + n % 10);
        n /= 10;
    } while (n != 0 || count < width);
    while (count > 0)
        tc_line_textn(l, &digits[--count], 1);
}

void tc_line_number(struct tc_line *l, uint64_t n)
{
    padded(l, n, 1);
}

void tc_line_hex(struct tc_line *l, uint64_t n, int digits)
{
    for (int i = digits - 1; i >= 0; i--)
        tc_line_textn(l, &"0123456789abcdef"[n >> (4 * i) & 15], 1);
}

/* Three digits and a unit that a person reads at once. */
void tc_line_duration(struct tc_line *l, int64_t ns)
{
    static const struct {
        int64_t unit_ns;
        const char *name;
    } units[] = {{1000000000, " s"}, {1000000, " ms"}, {1000, " us"}, {1, " ns"}};
    int i = 0;

    if (ns < 0)
        ns = 0;
    while (i < 3 && ns < units[i].unit_ns)
        i++;
    tc_line_number(l, (uint64_t)(ns / units[i].unit_ns));
    if (i < 3 && ns / units[i].unit_ns < 100) {
        tc_line_text(l, ".");
        tc_line_number(l, (uint64_t)(ns % units[i].unit_ns / (units[i].unit_ns / 10)));
    }
    tc_line_text(l, units[i].name);
}

void tc_line_begin(struct tc_line *l, enum tc_log_level level)
{
    static const char *const names[] = {"ERROR  ", "WARNING", "INFO   ", "DEBUG  "};
    int64_t ms = tc_now_ns() / 1000000;

    l->bytes = 0;
    padded(l, (uint64_t)(ms / 3600000 % 24), 2);
    tc_line_text(l, ":");
    padded(l, (uint64_t)(ms / 60000 % 60), 2);
    tc_line_text(l, ":");
    padded(l, (uint64_t)(ms / 1000 % 60), 2);
    tc_line_text(l, ".");
    padded(l, (uint64_t)(ms % 1000), 3);
    tc_line_text(l, " | ");
    tc_line_text(l, names[level]);
    tc_line_text(l, " | ");
}

/* A file that the host opened under that number isn't ours to write to. */
static int is_standard_error(int fd)
{
    struct tc_file_id id;

    return tc_sys_fd_id(fd, &id, NULL, NULL) == 0 && id.dev == standard_error.dev &&
           id.ino == standard_error.ino;
}

/* A closed pipe and a limit on files raise a signal that would be the host's end. */
static void write_quietly(int fd, const char *text, size_t bytes)
{
    const uint64_t ours = 1ull << (SIGPIPE - 1) | 1ull << (SIGXFSZ - 1);
    const struct timespec at_once = {0, 0};
    uint64_t before = 0, pending = 0, raised;
    long n;

    TC_SYS(SYS_rt_sigprocmask, SIG_BLOCK, &ours, &before, sizeof before, 0, 0);
    TC_SYS(SYS_rt_sigpending, &pending, sizeof pending, 0, 0, 0, 0);
    raised = ours & ~pending;
    n = tc_sys_write(fd, text, bytes);
    if ((n == -EPIPE || n == -EFBIG) && raised != 0)
        TC_SYS(SYS_rt_sigtimedwait, &raised, NULL, &at_once, sizeof raised, 0, 0);
    TC_SYS(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before, 0, 0);
}

void tc_line_end(struct tc_line *l, enum tc_log_level level)
{
    int fd = 2;

    if (!tc_log_wanted(level))
        return;
    l->text[l->bytes++] = '\n'; /* there is always room for it */
    if (file[0] != 0)
        fd = tc_sys_open(file, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK, 0600);
    if (fd < 0 || (file[0] == 0 && !is_standard_error(fd)))
        return;
    write_quietly(fd, l->text, l->bytes);
    if (file[0] != 0)
        tc_sys_close(fd);
}

static void tell_service(enum tc_log_level level, uint32_t reason, const char *text, size_t bytes)
{
    struct tc_log_message m = {.head.type = TC_MSG_LOG,
                               .level = level,
                               .reason = reason,
                               .pid = (uint32_t)tc_state.pid,
                               .text_bytes = (uint32_t)bytes};
    struct tc_outgoing out = {
        .head = &m.head, .head_bytes = sizeof m, .part = {text}, .part_bytes = {bytes}, .fd = -1};

    tc_tell(&out);
}

static void explain(struct tc_line *l, const struct tc_reason_info *info, const char *detail)
{
    tc_line_text(l, info->sentence);
    if (detail[0] != 0) {
        tc_line_text(l, " (");
        tc_line_text(l, detail);
        tc_line_text(l, ")");
    }
    if (info->remedy[0] != 0) {
        tc_line_text(l, "; ");
        tc_line_text(l, info->remedy);
    }
}

void tc_log_reason(enum tc_log_level level, const char *subject, uint32_t reason,
                   const char *detail)
{
    const struct tc_reason_info *info = tc_reason_info(reason);
    struct tc_line l = {.bytes = 0};

    if (wanted < 0 ? level > TC_LOG_WARN : !tc_log_wanted(level))
        return;
    if (wanted >= 0)
        tc_line_begin(&l, level);
    tc_line_text(&l, subject);
    tc_line_text(&l, ": ");
    if (wanted >= 0) {
        tc_line_text(&l, info->id);
        tc_line_text(&l, ": ");
    }
    explain(&l, info, detail);
    if (wanted >= 0)
        tc_line_end(&l, level);
    else
        tell_service(level, reason, l.text, l.bytes);
}

void tc_log_problem(enum tc_log_level level, uint32_t reason, const char *text)
{
    struct tc_line l;
    size_t n;

    if (wanted < 0 && level <= TC_LOG_WARN)
        tell_service(level, reason, text, strlen(text));
    for (; tc_log_wanted(level) && *text != 0; text += n + (text[n] != 0)) {
        for (n = 0; text[n] != 0 && text[n] != '\n'; n++)
            ;
        tc_line_begin(&l, level);
        tc_line_textn(&l, text, n);
        tc_line_end(&l, level);
    }
}
