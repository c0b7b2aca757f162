#include "service/log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "service/clock.h"

#define ROTATE_BYTES     (1024 * 1024)
#define LINES_PER_SECOND 200u

static const char *level_name(enum tc_log_level level)
{
    static const char *const names[] = {"ERROR", "WARN", "INFO", "DEBUG"};

    return (unsigned)level < 4 ? names[level] : "INFO";
}

static int open_log(const struct tc_log *log)
{
    int flags = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    int fd = openat(log->dirfd, "log", flags, 0600);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < ROTATE_BYTES)
        return fd;
    (void)close(fd);
    (void)renameat(log->dirfd, "log", log->dirfd, "log.1");
    return openat(log->dirfd, "log", flags, 0600);
}

static void write_line(const struct tc_log *log, const char *line, size_t bytes)
{
    int fd = log->dirfd >= 0 ? open_log(log) : -1;

    if (log->to_stderr && write(STDERR_FILENO, line, bytes) < 0)
        return;
    if (fd < 0)
        return;
    /* One write() of a line in append mode isn't interleaved with others'; a full disk loses it. */
    if (write(fd, line, bytes) < 0)
        (void)0;
    (void)close(fd);
}

static size_t format_head(char *line, size_t bytes, enum tc_log_level level, unsigned reason,
                          uint32_t pid)
{
    int64_t now = tc_wall_ns();
    time_t seconds = (time_t)(now / 1000000000);
    struct tm t;
    size_t n;

    if (gmtime_r(&seconds, &t) == NULL)
        memset(&t, 0, sizeof t);
    n = strftime(line, bytes, "%Y-%m-%dT%H:%M:%S", &t);
    return n + (size_t)snprintf(line + n, bytes - n, ".%03dZ %u %s %s ",
                                (int)(now / 1000000 % 1000), (unsigned)pid, level_name(level),
                                tc_reason_info(reason)->id);
}

/* Is there room for a line in this second? */
static int admit(struct tc_log *log)
{
    int64_t now = tc_monotonic_ms();
    unsigned dropped = log->dropped;

    if (now - log->window_ms >= 1000) {
        log->window_ms = now;
        log->in_window = 0;
        log->dropped = 0;
        if (dropped > 0)
            tc_log_line(log, TC_LOG_WARN, TC_R_NONE, "%u more lines were dropped", dropped);
    }
    if (log->in_window >= LINES_PER_SECOND) {
        log->dropped++;
        return 0;
    }
    log->in_window++;
    return 1;
}

void tc_log_text(struct tc_log *log, enum tc_log_level level, unsigned reason, uint32_t pid,
                 const char *text, size_t bytes)
{
    char line[TC_LOG_TEXT_BYTES + 128];
    size_t n;

    if (!admit(log))
        return;
    if (bytes > TC_LOG_TEXT_BYTES)
        bytes = TC_LOG_TEXT_BYTES;
    n = format_head(line, 128, level, reason, pid);
    /* Control characters would forge lines, or drive the terminal that shows the log. */
    for (size_t i = 0; i < bytes; i++)
        line[n++] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? ' ' : text[i];
    line[n++] = '\n';
    write_line(log, line, n);
}

void tc_log_line(struct tc_log *log, enum tc_log_level level, enum tc_reason reason,
                 const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    tc_log_text(log, level, reason, (uint32_t)getpid(), text, strlen(text));
}
