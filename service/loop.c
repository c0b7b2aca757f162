#include <errno.h>
#include <unistd.h>

#include "service/clock.h"
#include "service/salvage.h"

#define FOLD_MS         1000
#define TRANSACTIONS_MS 1000
#define LOOK_MS         2000
#define SYNC_MS         30000
#define SWEEP_MS        3600000
#define LEAVE_MS        3000 /* for what clients sent before we were told to leave */
#define CONFIG_AGE_S    (7L * 24 * 3600)
#define PLANS_AGE_S     (90L * 24 * 3600)
#define LEFTOVER_AGE_S  3600L

static int sync_file(void *arg)
{
    return fdatasync(*(const int *)arg) < 0 ? -errno : 0;
}

static void on_synced(void *ctx, int status)
{
    struct tc_service *s = ctx;

    s->syncing = 0;
    if (status == 0)
        tc_store_synced(s->store);
}

/* By a child: writing back what a busy half minute left can take seconds. */
static void sync_store(struct tc_service *s)
{
    int fd = s->syncing ? -1 : tc_store_sync_fd(s->store);
    struct tc_job_spec spec = {.run = sync_file,
                               .arg = &fd,
                               .done = on_synced,
                               .ctx = s,
                               .keep_fd = fd,
                               .cpu_s = 60,
                               .wall_ms = 120000};

    if (fd < 0)
        return;
    tc_store_sync_begins(s->store);
    s->syncing = tc_job_start(&s->jobs, &spec) == 0;
}

static void sweep(struct tc_service *s)
{
    tc_sweep(s->dirs.runtime_fd, "config-", ".flat", CONFIG_AGE_S);
    tc_sweep(s->dirs.runtime_fd, "config-", ".new", LEFTOVER_AGE_S);
    tc_sweep(s->dirs.runtime_fd, "", ".tmp", LEFTOVER_AGE_S);
    tc_sweep(s->dirs.cache_fd, "plans-", ".new", LEFTOVER_AGE_S);
    tc_sweep(s->dirs.cache_fd, "plans-", ".tmp", LEFTOVER_AGE_S);
    tc_sweep(s->dirs.cache_fd, "plans-", ".flat", PLANS_AGE_S);
    tc_sweep(s->dirs.cache_fd, "tasks-", ".yaml", PLANS_AGE_S);
    tc_sweep(s->dirs.runtime_fd, "run-", ".counters", PLANS_AGE_S);
}

static void fold(struct tc_service *s)
{
    int r = tc_store_fold(s->store);

    if (r < 0)
        tc_batch_failed(s, r, NULL);
}

/* Is what makes us the service of this cache still there? */
static void look_around(struct tc_service *s)
{
    if (!tc_dirs_cache_is_there(&s->dirs) || !tc_instance_is_ours(s) || !tc_server_is_ours(s))
        s->leaving = 1;
}

static void check_idle(struct tc_service *s, int64_t now)
{
    if (s->connections != NULL || s->attached != NULL || s->transactions != NULL ||
        tc_remotes_busy(&s->remotes) || (tc_jobs_running(&s->jobs) && !s->syncing)) {
        s->idle_since_ms = now;
        return;
    }
    if (s->options.idle_exit_s > 0 &&
        now - s->idle_since_ms >= (int64_t)s->options.idle_exit_s * 1000)
        s->leaving = 1;
}

static int is_due(int64_t *last_ms, int64_t now, int64_t every_ms)
{
    if (now - *last_ms < every_ms)
        return 0;
    *last_ms = now;
    return 1;
}

static void do_timed(struct tc_service *s)
{
    int64_t now = tc_monotonic_ms();

    tc_jobs_reap(&s->jobs);
    tc_observers_tick(&s->observers);
    tc_remotes_tick(&s->remotes);
    tc_lock_far_tick(&s->locks[TC_LOCKS_OF_PLUGIN]);
    tc_store_tick(s->store);
    if (is_due(&s->folded_ms, now, FOLD_MS))
        fold(s);
    if (is_due(&s->transactions_ms, now, TRANSACTIONS_MS))
        tc_transactions_sweep(s);
    if (is_due(&s->looked_ms, now, LOOK_MS))
        look_around(s);
    if (is_due(&s->synced_ms, now, SYNC_MS))
        sync_store(s);
    if (is_due(&s->swept_ms, now, SWEEP_MS))
        sweep(s);
    tc_salvage_start(s);
    check_idle(s, now);
}

static int usual_timeout_ms(const struct tc_service *s)
{
    if (tc_server_has_work(s) || tc_batch_has_work(s))
        return 0;
    if (tc_jobs_running(&s->jobs) || s->deaf_until_ms != 0)
        return 100;
    return s->options.idle_exit_s == 0 && s->connections == NULL ? LOOK_MS : FOLD_MS;
}

static int timeout_ms(const struct tc_service *s)
{
    return tc_remotes_sleep_ms(&s->remotes, usual_timeout_ms(s));
}

/* What far storages gave is committed with the rest; what is committed is handed on to them. */
static void work(struct tc_service *s, int wait_ms)
{
    tc_server_wait(s, wait_ms);
    tc_remotes_step(&s->remotes);
    tc_server_receive(s);
    tc_batch_commit(s);
    tc_remotes_step(&s->remotes);
    tc_server_settle(s);
}

static void one_round(struct tc_service *s)
{
    work(s, timeout_ms(s));
    do_timed(s);
    tc_server_reply(s);
}

/* What was sent before we were told to leave is still carried out. */
static void drain(struct tc_service *s)
{
    int64_t until = tc_monotonic_ms() + LEAVE_MS;

    do {
        work(s, 0);
        tc_server_reply(s);
    } while (tc_monotonic_ms() < until && (tc_server_has_work(s) || tc_batch_has_work(s)));
}

void tc_service_run(struct tc_service *s)
{
    int64_t now = tc_monotonic_ms();

    s->idle_since_ms = s->synced_ms = s->looked_ms = now;
    s->swept_ms = now - SWEEP_MS;
    while (!s->leaving)
        one_round(s);
    /* From here on nobody finds us; who found us just before is still served. */
    if (tc_server_is_ours(s))
        (void)unlink(s->socket_path);
    drain(s);
}
