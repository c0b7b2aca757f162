#include "tools/run_stats.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/hash.h"
#include "tools/tasks.h"

/* A file that is there belongs to a run of the same id around us. */
static int open_page(struct tc_run_stats *r, int *ret_fd)
{
    struct stat st;
    int fd = open(r->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    r->made = fd >= 0;
    if (fd < 0 && errno == EEXIST)
        fd = open(r->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    int error = 0;
    if (fstat(fd, &st) < 0)
        error = errno;
    else if (st.st_uid != geteuid() || (!r->made && st.st_size < (off_t)sizeof *r->page))
        error = EPERM;
    else if (r->made) /* allocated now: a full tmpfs would be SIGBUS in the program */
        error = posix_fallocate(fd, 0, sizeof *r->page);
    if (error) {
        (void)close(fd);
        return -error;
    }
    *ret_fd = fd;
    return 0;
}

static int map_page(struct tc_run_stats *r)
{
    TC_CLEANUP(tc_close_fd) int fd = -1;
    int e = open_page(r, &fd);
    if (e < 0)
        return e;
    void *p = mmap(NULL, sizeof *r->page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return -errno;
    r->page = p;
    r->before = tc_alloc(sizeof *r->before);
    memcpy(r->before, r->page, sizeof *r->before);
    if (r->made) {
        r->page->version = TC_PAGE_VERSION;
        r->page->bytes = sizeof *r->page;
        __atomic_store_n(&r->page->magic, TC_RUN_MAGIC, __ATOMIC_RELEASE);
    }
    return 0;
}

int tc_run_stats_begin(struct tc_run_stats *r, const char *runtime, const char *run_id,
                       struct tc_cause *ret_cause)
{
    *r = (struct tc_run_stats){0};
    int e = tc_run_page_path(runtime, run_id, r->path, sizeof r->path);
    if (e == 0)
        e = map_page(r);
    if (e == 0)
        return 0;
    tc_run_stats_end(r);
    return tc_cause_set(ret_cause, -e, TC_R_NO_SHARED_PAGE, "--stats",
                        "the run's counters can't be kept: %s", strerror(-e));
}

void tc_run_stats_end(struct tc_run_stats *r)
{
    if (r->page)
        (void)munmap(r->page, sizeof *r->page);
    if (r->made)
        (void)unlink(r->path);
    free(r->before);
    *r = (struct tc_run_stats){0};
}

static void sum_up(const struct tc_run_stats *r, struct tc_sums *ret)
{
    if (!r->page)
        return;
    tc_sums_add(ret, &r->page->totals, &r->before->totals);
    for (size_t i = 0; i < TC_RUN_TASKS; i++)
        tc_sums_add(ret, &r->page->task[i], &r->before->task[i]);
}

static bool was_called(const struct tc_sums *sums, const char *identity)
{
    uint64_t hash = tc_hash64(identity, strlen(identity));
    for (size_t i = 0; i < sums->count; i++)
        if (sums->task[i].task == hash)
            return true;
    return false;
}

/* A task has an identity in each object: it was seen if one of them was. */
static bool was_seen(const struct tc_sums *sums, const struct tc_plan_file *plans, uint32_t index)
{
    const struct tc_flat *f = &plans->flat;
    const struct tc_plans *root = plans->open ? tc_flat_root(f, sizeof *root) : NULL;
    const struct tc_object *o =
        root ? tc_flat_at(f, root->objects.off, root->objects.count, sizeof *o) : NULL;
    for (uint32_t i = 0; o && i < root->objects.count; i++) {
        const struct tc_plan *p = tc_flat_at(f, o[i].plans.off, o[i].plans.count, sizeof *p);
        for (uint32_t k = 0; p && k < o[i].plans.count; k++)
            if (p[k].task == index && was_called(sums, tc_flat_str(f, p[k].identity)))
                return true;
    }
    return false;
}

static bool holds(const struct tc_words *words, const char *word)
{
    for (size_t i = 0; i < words->count; i++)
        if (strcmp(words->word[i], word) == 0)
            return true;
    return false;
}

/* Of a plugin's tasks some are enough: it is listed, by its name, if none was seen. */
static void find_never_seen(const struct tc_session *s, const struct tc_sums *sums,
                            struct tc_words *ret)
{
    struct tc_plan_file plans = {0};
    struct tc_words seen = {0};
    uint32_t count;
    const struct tc_task *tasks = tc_session_tasks(s, &count);
    const struct tc_flat *f = &s->config_flat;
    (void)tc_plan_file_open(s, &plans);
    for (uint32_t i = 0; tasks && i < count; i++)
        if (tc_task_is_offered(&tasks[i]) && was_seen(sums, &plans, i))
            tc_words_add(&seen, tc_flat_str(f, tasks[i].origin));
    for (uint32_t i = 0; tasks && i < count; i++) {
        const char *plugin = tc_task_is_offered(&tasks[i]) ? tc_flat_str(f, tasks[i].origin) : "";
        if ((tasks[i].flags & TC_TASK_FLOW) || holds(&seen, plugin) || holds(ret, plugin) ||
            (!*plugin && was_seen(sums, &plans, i)))
            continue;
        tc_words_add(ret, *plugin ? tc_copy(plugin) : tc_task_label(f, &tasks[i]));
    }
    free(seen.word);
    tc_plan_file_close(&plans);
}

static void report_json(const struct tc_sums *sums, const struct tc_words *never_seen,
                        uint64_t processes, const char *run_id, FILE *to)
{
    struct tc_json j;
    tc_json_begin(&j, to);
    tc_json_object(&j, NULL);
    tc_sums_json_head(&j, &sums->all);
    tc_json_u64(&j, "stored", sums->all.stored);
    tc_sums_json_reasons(&j, &sums->all);
    tc_json_u64(&j, "processes", processes);
    tc_json_text(&j, "run_id", run_id);
    tc_sums_json_tasks(&j, sums);
    tc_json_array(&j, "never_seen");
    for (size_t i = 0; i < never_seen->count; i++)
        tc_json_text(&j, NULL, never_seen->word[i]);
    tc_json_close_array(&j);
    tc_json_close_object(&j);
    tc_json_end(&j);
}

static void report_text(struct tc_sums *sums, const struct tc_words *never_seen, FILE *to)
{
    tc_sums_print(&sums->all, to);
    if (sums->count > 1)
        tc_sums_print_tasks(sums, to);
    for (size_t i = 0; i < never_seen->count; i++)
        fprintf(to, "%s %s\n", i ? "                  " : "Never seen        ",
                never_seen->word[i]);
}

void tc_run_stats_report(const struct tc_run_stats *r, const struct tc_session *s, bool json,
                         const char *run_id, FILE *to)
{
    struct tc_sums sums = {0};
    struct tc_words never_seen = {0};
    sum_up(r, &sums);
    find_never_seen(s, &sums, &never_seen);
    uint64_t processes =
        r->page ? __atomic_load_n(&r->page->processes, __ATOMIC_RELAXED) - r->before->processes : 0;
    if (json)
        report_json(&sums, &never_seen, processes, run_id, to);
    else
        report_text(&sums, &never_seen, to);
    for (size_t i = 0; i < never_seen.count; i++)
        free((char *)(uintptr_t)never_seen.word[i]);
    free(never_seen.word);
    tc_sums_free(&sums);
}
